use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::notify::testing::{self, at};

const DELAY: i64 = 60;
const RETENTION: i64 = 900;
const VALID_FOR: i64 = 240;

fn outbox() -> Outbox {
    Outbox::new(Timing {
        resend_delay: Duration::from_secs(DELAY as u64),
        resolved_retention: Duration::from_secs(RETENTION as u64),
    })
}

fn outgoing(alert: crate::model::Alert) -> Arc<Outgoing> {
    Arc::new(Outgoing {
        labels: alert.labels,
        annotations: alert.annotations,
        starts_at: alert.starts_at,
        state: alert.state,
        generator_url: alert.generator_url,
    })
}

fn firing(rule: u64, since: i64) -> Arc<Outgoing> {
    outgoing(testing::firing(rule, since))
}

fn resolved(rule: u64, since: i64, resolved_at: i64) -> Arc<Outgoing> {
    outgoing(testing::resolved(rule, since, resolved_at))
}

fn annotated(rule: u64, since: i64, text: &str) -> Arc<Outgoing> {
    let annotations = Labels::from_pairs([("value", text)]);
    Arc::new(Outgoing { annotations, ..Outgoing::clone(&firing(rule, since)) })
}

/// `2+ 3-`: rule 2 fires, rule 3 is resolved.
fn shown(batch: &Batch) -> String {
    let rule = |item: &Item| item.alert.labels.value("alertname").trim_start_matches("rule ").to_owned();
    let sign = |item: &Item| if item.alert.is_firing() { '+' } else { '-' };
    batch.items.iter().map(|item| format!("{}{}", rule(item), sign(item))).collect::<Vec<_>>().join(" ")
}

/// Takes what is due and accepts it at once.
fn accept(outbox: &mut Outbox, seconds: i64) -> String {
    let batch = outbox.due(at(seconds), 100);
    outbox.accepted(&batch, at(seconds));
    shown(&batch)
}

#[test]
fn firing_is_sent_at_once_and_again_a_resend_delay_after_its_acceptance() {
    let mut outbox = outbox();
    outbox.tell(&firing(1, 0));
    assert_eq!(outbox.wake(at(0)), Wake::Now);
    assert_eq!(accept(&mut outbox, 7), "1+");
    assert_eq!(outbox.wake(at(8)), Wake::At(at(7 + DELAY)));
    assert_eq!(accept(&mut outbox, 66), "");
    assert_eq!(accept(&mut outbox, 67), "1+");
    outbox.tell(&firing(1, 0));
    assert_eq!(outbox.wake(at(68)), Wake::At(at(67 + DELAY)), "nothing new was told");
}

#[test]
fn new_annotations_wait_for_the_next_sending() {
    let mut outbox = outbox();
    outbox.tell(&annotated(1, 0, "a"));
    accept(&mut outbox, 0);
    outbox.tell(&annotated(1, 0, "b"));
    assert_eq!((outbox.owed(), outbox.wake(at(1))), (0, Wake::At(at(DELAY))));
    let batch = outbox.due(at(DELAY), 10);
    assert_eq!(batch.items[0].alert.annotations.value("value"), "b");
}

#[test]
fn a_resolve_is_sent_until_it_is_accepted_then_repeated_and_forgotten() {
    let mut outbox = outbox();
    outbox.tell(&resolved(1, 0, 10));
    for seconds in [10, 2000, 90_000] {
        let batch = outbox.due(at(seconds), 10);
        assert_eq!(shown(&batch), "1-");
        outbox.failed(&batch, false, at(seconds));
        assert_eq!(outbox.owed(), 1);
    }
    assert_eq!(accept(&mut outbox, 90_001), "1-");
    assert_eq!(accept(&mut outbox, 90_001 + DELAY), "", "long past its retention");
    assert_eq!((outbox.len(), outbox.wake(at(0))), (0, Wake::Never));

    outbox.tell(&resolved(2, 0, 10));
    let mut sent = 0;
    for seconds in 10..2000 {
        sent += usize::from(!accept(&mut outbox, seconds).is_empty());
    }
    assert_eq!(sent as i64, RETENTION / DELAY + 1);
    assert_eq!(outbox.len(), 0);
}

#[test]
fn only_the_state_that_was_sent_counts_as_accepted() {
    let mut outbox = outbox();
    outbox.tell(&firing(1, 0));
    let batch = outbox.due(at(0), 10);
    outbox.tell(&resolved(1, 0, 1));
    outbox.accepted(&batch, at(2));
    assert_eq!(outbox.owed(), 1);
    let batch = outbox.due(at(2), 10);
    assert_eq!(shown(&batch), "1-");
    outbox.tell(&firing(1, 3));
    outbox.failed(&batch, true, at(2));
    assert_eq!(accept(&mut outbox, 4), "1+");
    assert_eq!(outbox.owed(), 0);
}

#[test]
fn news_goes_before_repetition_and_the_longest_waiting_first() {
    let mut outbox = outbox();
    (1..=3).for_each(|rule| outbox.tell(&firing(rule, 0)));
    accept(&mut outbox, 0);
    outbox.tell(&firing(5, 60));
    outbox.tell(&resolved(2, 0, 60));
    outbox.tell(&firing(4, 60));
    assert_eq!(shown(&outbox.due(at(60), 4)), "5+ 2- 4+ 1+");
}

#[test]
fn a_refused_alert_is_left_alone_until_it_changes() {
    let mut outbox = outbox();
    outbox.tell(&annotated(1, 0, "a"));
    let batch = outbox.due(at(0), 10);
    outbox.refused(&batch.items[0], at(0));
    assert_eq!((outbox.owed(), outbox.refused_count(), outbox.wake(at(1))), (0, 1, Wake::At(at(DELAY))));
    outbox.tell(&annotated(1, 0, "b"));
    assert_eq!(outbox.wake(at(1)), Wake::At(at(DELAY)), "annotations wait");
    outbox.tell(&resolved(1, 0, 2));
    let batch = outbox.due(at(2), 10);
    assert_eq!(shown(&batch), "1-");
    outbox.refused(&batch.items[0], at(2));
    for seconds in 3..=2 + RETENTION + DELAY {
        assert_eq!(accept(&mut outbox, seconds), "");
    }
    assert_eq!((outbox.len(), outbox.refused_count()), (0, 0));
}

#[test]
fn a_refused_alert_that_fires_on_is_tried_again_after_a_long_time() {
    let mut outbox = outbox();
    outbox.tell(&firing(1, 0));
    let batch = outbox.due(at(0), 10);
    outbox.refused(&batch.items[0], at(0));
    let again = REFUSED_AGAIN.as_secs() as i64;
    for seconds in 1..again {
        assert_eq!(accept(&mut outbox, seconds), "");
    }
    assert_eq!(accept(&mut outbox, again + DELAY), "1+");
    assert_eq!((outbox.refused_count(), outbox.wake(at(again + DELAY))), (0, Wake::At(at(again + 2 * DELAY))));
}

#[test]
fn what_failed_goes_behind_all_that_is_due() {
    let mut outbox = outbox();
    (1..=2).for_each(|rule| outbox.tell(&firing(rule, 0)));
    accept(&mut outbox, 0);
    (3..=5).for_each(|rule| outbox.tell(&firing(rule, 60)));
    let batch = outbox.due(at(60), 1);
    outbox.failed(&batch, true, at(61));
    assert_eq!(shown(&outbox.due(at(61), 10)), "4+ 5+ 1+ 2+ 3+");
    assert_eq!(outbox.owed(), 3);
}

#[test]
fn resolves_that_an_alertmanager_cannot_know_of_are_not_kept_for_ever() {
    let mut outbox = outbox();
    (1..=3).for_each(|rule| outbox.tell(&firing(rule, 0)));
    let batch = outbox.due(at(0), 1);
    outbox.accepted(&batch, at(0));
    (1..=2).for_each(|rule| outbox.tell(&resolved(rule, 0, 10)));
    (1..=3).for_each(|rule| outbox.expire(&firing(rule, 0).labels));
    assert_eq!((outbox.owed(), outbox.len()), (2, 2));
    assert_eq!(shown(&outbox.due(at(10), 10)), "3+ 1-");
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_the_repetition() {
    let mut outbox = outbox();
    outbox.tell(&firing(1, 0));
    accept(&mut outbox, 100_000);
    assert_eq!(outbox.wake(at(50)), Wake::Now);
    assert_eq!(accept(&mut outbox, 50), "1+");
    assert_eq!(outbox.wake(at(51)), Wake::At(at(50 + DELAY)));
}

#[test]
fn on_another_route_what_is_produced_no_more_is_resolved_where_it_may_be_known() {
    let mut outbox = outbox();
    (1..=4).for_each(|rule| outbox.tell(&firing(rule, 0)));
    let mut batch = outbox.due(at(0), 3);
    let rest = batch.split();
    outbox.accepted(&batch, at(0)); // 1
    outbox.failed(&Batch { items: vec![rest.items[0].clone()] }, true, at(0)); // 2 may be known, 3 is on its way, 4 is not known
    let kept = Labels::from_pairs([("alertname", "kept")]);
    let new = Arc::new(Outgoing { labels: kept.clone(), ..Outgoing::clone(&firing(9, 0)) });
    outbox.reroute([new, resolved(8, 0, 5)].into_iter(), |labels| *labels == kept, at(10));
    let mut next = shown(&outbox.due(at(10), 10)).split(' ').map(str::to_owned).collect::<Vec<_>>();
    next.sort();
    assert_eq!(next, ["1-", "2-", "3-", "kept+"]);
}

/// What an Alertmanager holds: whether it fires, and until when.
type Held = BTreeMap<Labels, (bool, Timestamp)>;

#[derive(Clone, Debug)]
enum Step {
    Fire(u64),
    Resolve(u64),
    Annotate(u64),
    /// Sends a batch of this size, tells these rules meanwhile, and sees it end like this.
    Send(usize, Vec<u64>, End),
    Wait(i64),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Accepted,
    Lost,
    /// Stored, but no answer came.
    Unanswered,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rule = 0..6_u64;
    let end = prop_oneof![Just(End::Accepted), Just(End::Lost), Just(End::Unanswered)];
    let step = prop_oneof![
        3 => rule.clone().prop_map(Step::Fire),
        3 => rule.clone().prop_map(Step::Resolve),
        1 => rule.clone().prop_map(Step::Annotate),
        4 => (1..5_usize, prop::collection::vec(rule, 0..3), end).prop_map(|(n, told, end)| Step::Send(n, told, end)),
        2 => prop_oneof![0..90_i64, Just(1000)].prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..60)
}

/// An outbox, the truth it is told, and the Alertmanager it talks to.
struct World {
    outbox: Outbox,
    truth: BTreeMap<u64, Arc<Outgoing>>,
    /// The last state of each rule that was accepted.
    accepted: BTreeMap<Labels, Arc<Outgoing>>,
    held: Held,
    now: i64,
    told: u64,
}

impl World {
    fn new() -> World {
        let (truth, accepted, held) = (BTreeMap::new(), BTreeMap::new(), Held::new());
        World { outbox: outbox(), truth, accepted, held, now: 1000, told: 0 }
    }

    fn tell(&mut self, rule: u64, next: impl Fn(&Outgoing) -> Option<Arc<Outgoing>>) {
        self.told += 1;
        self.now += 1;
        let next = match self.truth.get(&rule) {
            Some(was) => next(was),
            None => Some(firing(rule, self.now)),
        };
        if let Some(next) = next {
            self.outbox.tell(&next);
            self.truth.insert(rule, next);
        }
    }

    fn fire(&mut self, rule: u64) {
        let now = self.now + 1;
        self.tell(rule, |was| (!was.is_firing()).then(|| firing(rule, now)));
    }

    fn resolve(&mut self, rule: u64) {
        let state = AlertState::Resolved { resolved_at: at(self.now + 1) };
        self.tell(rule, |was| was.is_firing().then(|| Arc::new(Outgoing { state, ..was.clone() })));
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Fire(rule) => self.fire(rule),
            Step::Resolve(rule) => self.resolve(rule),
            Step::Annotate(rule) => {
                let text = self.told.to_string();
                let annotations = Labels::from_pairs([("value", text)]);
                self.tell(rule, |was| {
                    let annotations = annotations.clone();
                    was.is_firing().then(|| Arc::new(Outgoing { annotations, ..was.clone() }))
                });
            }
            Step::Wait(seconds) => self.now += seconds,
            Step::Send(size, told_meanwhile, end) => self.send(size, told_meanwhile, end),
        }
    }

    fn send(&mut self, size: usize, told_meanwhile: Vec<u64>, end: End) {
        let batch = self.outbox.due(at(self.now), size);
        let newest = |item: &Item| self.truth.values().any(|truth| *truth == item.alert);
        assert!(batch.items.iter().all(newest), "only the newest state is ever sent");
        let sent_at = self.now;
        for rule in told_meanwhile {
            if self.truth.get(&rule).is_some_and(|was| was.is_firing()) { self.resolve(rule) } else { self.fire(rule) }
        }
        if !matches!(end, End::Lost) {
            for Item { alert, .. } in &batch.items {
                let until = alert.resolved_at().unwrap_or(at(sent_at + VALID_FOR));
                self.held.insert(alert.labels.clone(), (alert.is_firing(), until));
            }
        }
        match end {
            End::Accepted => {
                self.outbox.accepted(&batch, at(self.now));
                let accepted = batch.items.into_iter().map(|item| (item.alert.labels.clone(), item.alert));
                self.accepted.extend(accepted);
            }
            End::Lost => self.outbox.failed(&batch, false, at(self.now)),
            End::Unanswered => self.outbox.failed(&batch, true, at(self.now)),
        }
    }

    /// Rules whose newest turn was not accepted.
    fn undelivered(&self) -> usize {
        let delivered = |truth: &Arc<Outgoing>| {
            self.accepted.get(&truth.labels).is_some_and(|accepted| !truth.is_turn_from(accepted))
        };
        self.truth.values().filter(|truth| !delivered(truth)).count()
    }

    fn rest(&mut self) {
        while self.outbox.wake(at(self.now)) == Wake::Now {
            self.send(3, Vec::new(), End::Accepted);
        }
    }
}

proptest! {
    #[test]
    fn nothing_undelivered_is_forgotten_and_all_is_bounded_by_the_number_of_alerts(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
            prop_assert_eq!(world.outbox.owed(), world.undelivered());
            prop_assert!(world.outbox.len() <= world.truth.len());
            prop_assert!(world.outbox.queue.len() <= world.outbox.len());
        }
    }

    #[test]
    fn accepted_state_equals_truth_at_rest(steps in steps()) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        world.rest();
        prop_assert_eq!(world.outbox.owed(), 0);
        for truth in world.truth.values() {
            let (firing, until) = world.held[&truth.labels];
            prop_assert_eq!(firing, truth.is_firing());
            prop_assert!(!firing || until > at(world.now), "a firing alert never ends by itself");
        }
        world.now += RETENTION + DELAY;
        world.rest();
        let firing = world.truth.values().filter(|truth| truth.is_firing()).count();
        prop_assert_eq!(world.outbox.len(), firing, "what is resolved and told is forgotten");
    }

    #[test]
    fn an_alertmanager_that_is_told_every_minute_never_resolves_by_itself(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(match step {
                Step::Send(size, told, _) => Step::Send(size, told, End::Accepted),
                Step::Wait(seconds) => Step::Wait(seconds.min(VALID_FOR - DELAY - 10)),
                step => step,
            });
            world.rest();
            for truth in world.truth.values().filter(|truth| truth.is_firing()) {
                prop_assert!(world.held[&truth.labels].1 > at(world.now));
            }
        }
    }
}
