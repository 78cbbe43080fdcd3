//! The live clock against a simulated one: time passes as the test says, sources answer as the test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::*;
use crate::alerting::RESOLVED_RETENTION;
use crate::clock::Clock;
use crate::evaluation::{GeneratorUrl, Settings};
use crate::model::*;
use crate::notify::Sink;
use crate::rules::{Dependencies, Group, RecordingRule, Rule, RuleKind};
use crate::sources::Source;
use crate::store::{Store, Ticket};

/// Wall time that follows tokio's paused time, and jumps when told to.
struct SimulatedClock {
    started: Instant,
    base_millis: AtomicI64,
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let passed = self.started.elapsed().as_millis() as i64;
        Timestamp::from_millis(self.base_millis.load(Ordering::Relaxed) + passed)
    }
}

/// Answers one element after a delay that the test sets, and notes what it was asked.
#[derive(Default)]
struct Peer {
    delay_millis: AtomicI64,
    /// It answers, but with no element.
    empty: AtomicBool,
    /// It panics when it is asked.
    faulty: AtomicBool,
    /// What is written is never acknowledged.
    deaf: AtomicBool,
    asked: Mutex<Vec<(String, Timestamp)>>,
    samples: Mutex<Vec<TimedSample>>,
    told: Mutex<Vec<Alert>>,
}

impl Source for Peer {
    fn name(&self) -> &str {
        "peer"
    }
    fn labels(&self) -> &Labels {
        static NONE: std::sync::LazyLock<Labels> = std::sync::LazyLock::new(Labels::empty);
        &NONE
    }
    fn external_url(&self) -> &str {
        "http://peer"
    }
    fn answer<'a>(&'a self, need: &'a Need, _deadline: Instant) -> BoxFuture<'a, Answer> {
        let Need::Query { expr, times } = need;
        self.asked.lock().push((expr.to_string(), times[0]));
        Box::pin(async move {
            let delay = self.delay_millis.load(Ordering::Relaxed) as u64;
            tokio::time::sleep(Duration::from_millis(delay)).await;
            assert!(!self.faulty.load(Ordering::Relaxed), "a fault that the test wants");
            if self.empty.load(Ordering::Relaxed) {
                return Answer::Known(vec![(Evaluated::Vector(Arc::from([])), Annotations::default())]);
            }
            let sample = Sample { labels: Labels::from_pairs([("job", "a")]), value: Value::Float(1.0) };
            Answer::Known(vec![(Evaluated::Vector(Arc::from([sample])), Annotations::default())])
        })
    }
}

impl Store for Peer {
    fn append(&self, samples: Vec<TimedSample>) -> Ticket {
        self.samples.lock().extend(samples);
        if self.deaf.load(Ordering::Relaxed) { Ticket::never() } else { Ticket::done() }
    }
}

impl Sink for Peer {
    fn tell(&self, alerts: Vec<Alert>) {
        self.told.lock().extend(alerts);
    }
}

struct Bench {
    clock: Arc<SimulatedClock>,
    peer: Arc<Peer>,
    ruler: Ruler,
}

impl Bench {
    fn new() -> Bench {
        let base_millis = AtomicI64::new(1_700_000_000_000);
        let clock = Arc::new(SimulatedClock { started: Instant::now(), base_millis });
        let peer = Arc::new(Peer::default());
        let metrics = Metrics::new(&prometheus::Registry::new());
        let options = RulerOptions { max_concurrent_evals: 4, query_timeout: Duration::from_secs(120) };
        let ruler = Ruler::new(clock.clone(), peer.clone(), peer.clone(), metrics, options);
        Bench { clock, peer, ruler }
    }

    fn plan(&self, name: &str, rules: Vec<Rule>, external: &str) -> GroupPlan {
        self.plan_in("rules.yml", name, rules, external)
    }

    fn plan_in(&self, file: &str, name: &str, rules: Vec<Rule>, external: &str) -> GroupPlan {
        let group = Group {
            file: Arc::from(file),
            name: Arc::from(name),
            interval: None,
            query_offset: None,
            limit: None,
            dependencies: Dependencies::of(&rules),
            rules,
        };
        let settings = Settings {
            source: Arc::from("peer"),
            interval: Duration::from_secs(60),
            query_offset: Duration::ZERO,
            external_labels: Labels::from_pairs([("cluster", external)]),
            source_labels: Labels::empty(),
            external_url: Arc::from("http://bellwether"),
            generator_url: GeneratorUrl::Graph(Arc::from("http://peer")),
            resend_delay: Duration::from_secs(60),
            resolved_retention: RESOLVED_RETENTION,
            outage_tolerance: Duration::from_secs(3600),
            grace_period: Duration::from_secs(600),
        };
        GroupPlan { group: Arc::new(group), source: self.peer.clone(), settings: Arc::new(settings) }
    }

    fn asked_at(&self) -> Vec<i64> {
        self.peer.asked.lock().iter().map(|(_, at)| at.as_millis()).collect()
    }

    async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

fn recording(name: &str) -> Rule {
    Rule {
        name: Arc::from(name),
        expr: crate::promql::parse("x").unwrap(),
        labels: Labels::empty(),
        kind: RuleKind::Recording(RecordingRule),
        line: 1,
    }
}

fn reading(name: &str, expr: &str) -> Rule {
    Rule { expr: crate::promql::parse(expr).unwrap(), ..recording(name) }
}

fn alerting(name: &str) -> Rule {
    Rule { kind: RuleKind::Alerting(crate::rules::AlertingRule::default()), ..recording(name) }
}

#[tokio::test(start_paused = true)]
async fn a_group_is_evaluated_on_its_slots_and_none_before_the_first() {
    let bench = Bench::new();
    bench.ruler.apply(vec![bench.plan("g", vec![recording("r")], "eu")]).await;
    bench.pass(181).await;
    let asked = bench.asked_at();
    assert_eq!(asked.len(), 3);
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] == 60_000), "{asked:?}");
    assert!(asked[0] > 1_700_000_000_000);
}

#[tokio::test(start_paused = true)]
async fn a_slow_source_misses_slots_and_never_catches_up() {
    let bench = Bench::new();
    bench.peer.delay_millis.store(150_000, Ordering::Relaxed);
    bench.ruler.apply(vec![bench.plan("g", vec![recording("r")], "eu")]).await;
    bench.pass(60 + 10 * 60).await;
    let asked = bench.asked_at();
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] >= 120_000), "{asked:?}");
    let metrics = &bench.ruler.metrics();
    let label = &["rules.yml;g"];
    assert!(metrics.iterations_missed.with_label_values(label).get() >= 3);
    assert!(metrics.iterations.with_label_values(label).get() >= 9, "executed and missed together");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_neither_stops_nor_storms_the_schedule() {
    let bench = Bench::new();
    bench.ruler.apply(vec![bench.plan("g", vec![recording("r")], "eu")]).await;
    bench.pass(121).await;
    for jump_seconds in [86_400, -86_400 * 2, 3600] {
        let before = bench.asked_at().len();
        bench.clock.base_millis.fetch_add(jump_seconds * 1000, Ordering::Relaxed);
        bench.pass(300).await;
        let more = bench.asked_at().len() - before;
        assert!((4..=6).contains(&more), "{more} evaluations in five minutes after a jump of {jump_seconds}s");
    }
    assert_eq!(bench.ruler.metrics().clock_jumps.get(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_reload_lets_what_did_not_change_run_on_with_the_new_surroundings() {
    let bench = Bench::new();
    bench.ruler.apply(vec![bench.plan("g", vec![alerting("A")], "eu")]).await;
    bench.pass(61).await;
    assert_eq!(bench.peer.told.lock().len(), 1);
    bench.ruler.apply(vec![bench.plan("g", vec![alerting("A")], "us")]).await;
    bench.pass(120).await;
    assert_eq!(bench.peer.told.lock().len(), 1, "it fired before, it fires on: nothing to tell");
    let status = &bench.ruler.statuses()[0];
    assert_eq!(status.plan.settings.external_labels.value("cluster"), "us");
    assert_eq!(status.rules[0].alerts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_gone_resolves_its_alerts_and_ends_its_series() {
    let bench = Bench::new();
    let plan = || bench.plan("g", vec![alerting("A"), recording("r")], "eu");
    bench.ruler.apply(vec![plan()]).await;
    bench.pass(61).await;
    bench.peer.samples.lock().clear();
    bench.ruler.apply(vec![]).await;
    let told = bench.peer.told.lock().clone();
    assert!(matches!(told[..], [_, Alert { state: AlertState::Resolved { .. }, .. }]), "{told:?}");
    let ended = bench.peer.samples.lock().clone();
    assert_eq!(ended.len(), 3, "ALERTS, ALERTS_FOR_STATE and r");
    assert!(ended.iter().all(|sample| is_stale(sample.value.as_float())));
    assert!(bench.ruler.statuses().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_running_evaluations_but_not_for_ever() {
    for (delay, patience, finished) in [(5, 10, true), (60, 10, false)] {
        let bench = Bench::new();
        bench.peer.delay_millis.store(delay * 1000, Ordering::Relaxed);
        bench.ruler.apply(vec![bench.plan("g", vec![recording("r")], "eu")]).await;
        while bench.asked_at().is_empty() {
            bench.pass(1).await;
        }
        let report = bench.ruler.stop(Duration::from_secs(patience)).await;
        let expected = StopReport { finished: usize::from(finished), cut_off: usize::from(!finished) };
        assert_eq!(report, expected);
        assert_eq!(bench.peer.samples.lock().len(), usize::from(finished));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_storage_holds_up_an_evaluation_once_and_not_rule_by_rule() {
    let bench = Bench::new();
    bench.peer.deaf.store(true, Ordering::Relaxed);
    let chain = (0..50).map(|index| reading(&format!("r{}", index + 1), &format!("r{index}"))).collect();
    bench.ruler.apply(vec![bench.plan("g", chain, "eu")]).await;
    while bench.asked_at().is_empty() {
        bench.pass(1).await;
    }
    bench.pass(11).await;
    assert_eq!(bench.asked_at().len(), 50, "rules asked about eleven seconds after the first");
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_ours_neither_forgets_what_fires_nor_leaves_it_firing_for_ever() {
    for reloaded in [false, true] {
        let bench = Bench::new();
        bench.ruler.apply(vec![bench.plan("g", vec![alerting("A")], "eu")]).await;
        bench.pass(61).await;
        assert_eq!(bench.peer.told.lock().len(), 1);
        bench.peer.faulty.store(true, Ordering::Relaxed);
        while !bench.ruler.tasks_died() {
            bench.pass(1).await;
        }
        bench.peer.faulty.store(false, Ordering::Relaxed);
        if reloaded {
            bench.ruler.apply(vec![bench.plan("g", vec![alerting("A"), recording("r")], "eu")]).await;
        } else {
            bench.pass(6).await;
        }
        assert_eq!(bench.ruler.statuses()[0].rules[0].alerts.len(), 1, "reloaded: {reloaded}");
        bench.pass(61).await;
        assert_eq!(bench.peer.told.lock().len(), 1, "it fires on: nothing to tell");
        bench.peer.empty.store(true, Ordering::Relaxed);
        bench.pass(61).await;
        let told = bench.peer.told.lock().clone();
        assert!(matches!(told[..], [_, Alert { state: AlertState::Resolved { .. }, .. }]), "{told:?}");
        assert_eq!(told[0].key, told[1].key);
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_moves_to_another_file_or_name_keeps_its_alerts() {
    let bench = Bench::new();
    let rules = || vec![alerting("A"), recording("r")];
    bench.ruler.apply(vec![bench.plan("g", rules(), "eu")]).await;
    bench.pass(61).await;
    for (file, name) in [("other.yml", "g"), ("other.yml", "h")] {
        bench.peer.samples.lock().clear();
        bench.ruler.apply(vec![bench.plan_in(file, name, rules(), "eu")]).await;
        assert_eq!(bench.ruler.statuses().len(), 1);
        bench.pass(121).await;
        assert_eq!(bench.peer.told.lock().len(), 1, "moved to {file}, {name}: it fires on");
        assert!(bench.peer.samples.lock().iter().all(|sample| !is_stale(sample.value.as_float())));
    }
    let metrics = bench.ruler.metrics();
    assert!(metrics.rules.remove_label_values(&["rules.yml;g"]).is_err(), "the old place's figures are gone");
}

#[tokio::test(start_paused = true)]
async fn series_of_a_removed_group_end_though_an_old_rule_elsewhere_has_the_name() {
    let bench = Bench::new();
    let labelled = |env| Rule { labels: Labels::from_pairs([("env", env)]), ..recording("r") };
    let stays = || bench.plan("stays", vec![labelled("a")], "eu");
    bench.ruler.apply(vec![stays(), bench.plan("goes", vec![labelled("b")], "eu")]).await;
    bench.pass(61).await;
    bench.peer.samples.lock().clear();
    bench.ruler.apply(vec![stays()]).await;
    assert_eq!(bench.peer.samples.lock().iter().filter(|sample| is_stale(sample.value.as_float())).count(), 1);
}
