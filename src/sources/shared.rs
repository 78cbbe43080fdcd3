//! Equal needs of one tick are one question.
//!
//! A need that equals one in flight waits for that one's answer; one that equals a need answered moments ago gets that
//! answer again. Only answers are kept, never failures: who asks after a failure asks anew. Answers from before a write
//! (`Source::written`) are kept from those who ask after it, since a rule must see what the rule before it recorded.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, WeakShared};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use super::Source;
use super::metrics::{Metrics, SourceMetrics};
use crate::model::{Answer, Evaluated, Labels, Need, SourceError, SourceErrorKind};

/// How long an answer is given again. Rules of one tick ask within seconds; a need names its timestamps, so that
/// another tick never finds it.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// Most needs remembered at once: more than the rules of one tick that are ever in flight together.
const NEEDS_MAX: usize = 1024;

/// Most samples kept in answers, of a few hundred bytes each.
const SAMPLES_KEPT_MAX: usize = 500_000;

type InFlight = futures_util::future::Shared<BoxFuture<'static, Answer>>;

/// A source whose equal needs share one question.
pub struct Shared {
    source: Arc<dyn Source>,
    table: Arc<Mutex<Table>>,
    metrics: SourceMetrics,
}

#[derive(Default)]
struct Table {
    entries: HashMap<Need, Entry>,
    samples_kept: usize,
    /// Counts writes: entries of an earlier epoch are not shared any more.
    epoch: u64,
    /// Counts entries, so that a flight finds its own and not a later one of the same need.
    last_id: u64,
}

struct Entry {
    id: u64,
    epoch: u64,
    state: EntryState,
}

enum EntryState {
    /// Weak: a question that nobody waits for any more is dropped, and its place at the source with it.
    InFlight(WeakShared<BoxFuture<'static, Answer>>),
    Kept {
        answer: Answer,
        samples: usize,
        until: Instant,
    },
}

enum Found {
    Answer(Answer),
    InFlight(InFlight),
}

impl Shared {
    pub fn new(source: Arc<dyn Source>, metrics: &Metrics) -> Shared {
        let metrics = metrics.of(source.name());
        Shared { source, table: Arc::default(), metrics }
    }

    async fn ask(&self, need: &Need, deadline: Instant) -> Answer {
        let (found, own) = self.find_or_start(need, deadline);
        let flight = match found {
            Found::Answer(answer) => return answer,
            Found::InFlight(flight) => flight,
        };
        let Ok(answer) = timeout_at(deadline, flight).await else {
            return Answer::Unknown(SourceError {
                kind: SourceErrorKind::Timeout,
                message: format!("source {:?}: no answer to an equal query in time", self.name()),
            });
        };
        match answer {
            // The other one had less time than we have.
            Answer::Unknown(error) if !own && error.kind == SourceErrorKind::Timeout && Instant::now() < deadline => {
                self.source.answer(need, deadline).await
            }
            answer => answer,
        }
    }

    /// What there is to share, or a question of our own (then true).
    fn find_or_start(&self, need: &Need, deadline: Instant) -> (Found, bool) {
        let mut table = self.table.lock();
        if let Some(found) = table.find(need, Instant::now()) {
            self.metrics.shared.inc();
            return (found, false);
        }
        let id = table.next_id();
        let (source, shared_table, asked) = (self.source.clone(), Arc::downgrade(&self.table), need.clone());
        let flight = async move {
            let answer = source.answer(&asked, deadline).await;
            if let Some(table) = shared_table.upgrade() {
                table.lock().landed(&asked, id, &answer, Instant::now());
            }
            answer
        };
        let flight = flight.boxed().shared();
        table.started(need, id, &flight);
        (Found::InFlight(flight), true)
    }
}

impl Table {
    fn find(&mut self, need: &Need, now: Instant) -> Option<Found> {
        let entry = self.entries.get(need).filter(|entry| entry.epoch == self.epoch)?;
        match &entry.state {
            EntryState::InFlight(flight) => flight.upgrade().map(Found::InFlight),
            EntryState::Kept { answer, until, .. } => (now < *until).then(|| Found::Answer(answer.clone())),
        }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn started(&mut self, need: &Need, id: u64, flight: &InFlight) {
        self.remove(need);
        if self.entries.len() >= NEEDS_MAX {
            self.make_room();
        }
        if let Some(flight) = flight.downgrade() {
            self.entries.insert(need.clone(), Entry { id, epoch: self.epoch, state: EntryState::InFlight(flight) });
        }
    }

    /// Keeps a known answer for a while, if its question is still the one remembered.
    fn landed(&mut self, need: &Need, id: u64, answer: &Answer, now: Instant) {
        self.drop_old(now);
        if self.entries.get(need).is_none_or(|entry| entry.id != id) {
            return;
        }
        let epoch = self.remove(need).map_or(self.epoch, |entry| entry.epoch);
        let samples = match answer {
            Answer::Known(values) => values.iter().map(|(value, _)| samples_in(value)).sum(),
            Answer::Unknown(_) => return,
        };
        if epoch == self.epoch && self.samples_kept + samples <= SAMPLES_KEPT_MAX {
            self.samples_kept += samples;
            let state = EntryState::Kept { answer: answer.clone(), samples, until: now + KEPT_FOR };
            self.entries.insert(need.clone(), Entry { id, epoch, state });
        }
    }

    fn remove(&mut self, need: &Need) -> Option<Entry> {
        let entry = self.entries.remove(need)?;
        if let EntryState::Kept { samples, .. } = &entry.state {
            self.samples_kept -= samples;
        }
        Some(entry)
    }

    fn drop_old(&mut self, now: Instant) {
        let Table { entries, samples_kept, epoch, .. } = self;
        entries.retain(|_, entry| match &entry.state {
            EntryState::InFlight(flight) => flight.upgrade().is_some(),
            EntryState::Kept { samples, until, .. } => {
                let keep = now < *until && entry.epoch == *epoch;
                if !keep {
                    *samples_kept -= samples;
                }
                keep
            }
        });
    }

    /// Full: what is old goes; if nothing is, everything goes. Flights go on, only nobody joins them any more.
    fn make_room(&mut self) {
        self.drop_old(Instant::now());
        if self.entries.len() >= NEEDS_MAX {
            self.entries.clear();
            self.samples_kept = 0;
        }
    }
}

fn samples_in(value: &Evaluated) -> usize {
    match value {
        Evaluated::Vector(samples) => samples.len(),
        Evaluated::Matrix(series) => series.iter().map(|series| series.samples.len() + 1).sum(),
        Evaluated::Scalar(_) | Evaluated::String(_) => 1,
    }
}

impl Source for Shared {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn labels(&self) -> &Labels {
        self.source.labels()
    }

    fn external_url(&self) -> &str {
        self.source.external_url()
    }

    fn answer<'a>(&'a self, need: &'a Need, deadline: Instant) -> BoxFuture<'a, Answer> {
        self.ask(need, deadline).boxed()
    }

    fn written(&self) {
        self.table.lock().epoch += 1;
        self.source.written();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;
    use crate::model::{Annotations, Timestamp};

    /// Answers with how often it was asked, one answer per permit; `never` is a timeout at the deadline.
    struct Counting {
        asked: AtomicUsize,
        gate: Semaphore,
        labels: Labels,
    }

    impl Source for Counting {
        fn name(&self) -> &str {
            "counting"
        }

        fn labels(&self) -> &Labels {
            &self.labels
        }

        fn external_url(&self) -> &str {
            ""
        }

        fn answer<'a>(&'a self, need: &'a Need, deadline: Instant) -> BoxFuture<'a, Answer> {
            let Need::Query { expr, .. } = need;
            Box::pin(async move {
                let asked = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
                let timeout = SourceError { kind: SourceErrorKind::Timeout, message: "late".to_owned() };
                match timeout_at(deadline, self.gate.acquire()).await {
                    Ok(permit) => permit.unwrap().forget(),
                    Err(_) => return Answer::Unknown(timeout),
                }
                match &**expr {
                    "fails" => Answer::Unknown(timeout),
                    _ => Answer::Known(vec![(Evaluated::Scalar(asked as f64), Annotations::default())]),
                }
            })
        }
    }

    fn shared() -> (Arc<Counting>, Shared) {
        let source =
            Arc::new(Counting { asked: AtomicUsize::new(0), gate: Semaphore::new(0), labels: Labels::empty() });
        (source.clone(), Shared::new(source, &Metrics::unregistered()))
    }

    fn need(expr: &str) -> Need {
        Need::Query { expr: expr.into(), times: [Timestamp::from_millis(0)].into() }
    }

    fn in_seconds(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    fn scalar(answer: Answer) -> Option<f64> {
        match answer {
            Answer::Known(values) => match values[0].0 {
                Evaluated::Scalar(value) => Some(value),
                _ => None,
            },
            Answer::Unknown(_) => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn equal_needs_are_one_question_in_flight_and_for_a_while_after() {
        let (source, shared) = shared();
        source.gate.add_permits(10);
        let (one, two, other) = (need("a"), need("a"), need("b"));
        let deadline = in_seconds(10);
        let (one, two, other) =
            tokio::join!(shared.answer(&one, deadline), shared.answer(&two, deadline), shared.answer(&other, deadline));
        assert_eq!((scalar(one), scalar(two), scalar(other)), (Some(1.0), Some(1.0), Some(2.0)));
        assert_eq!(scalar(shared.answer(&need("a"), deadline).await), Some(1.0));
        assert_eq!(shared.metrics.shared.get(), 2);
        tokio::time::advance(KEPT_FOR).await;
        assert_eq!(scalar(shared.answer(&need("a"), deadline).await), Some(3.0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_before_a_write_is_not_shared_with_those_after_it() {
        let (source, shared) = shared();
        source.gate.add_permits(10);
        assert_eq!(scalar(shared.answer(&need("a"), in_seconds(1)).await), Some(1.0));
        shared.written();
        assert_eq!(scalar(shared.answer(&need("a"), in_seconds(1)).await), Some(2.0));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_not_kept_and_a_longer_deadline_asks_for_itself() {
        let (source, shared) = shared();
        let a = need("a");
        let (short, long) = tokio::join!(shared.answer(&a, in_seconds(1)), async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let answer = shared.answer(&a, in_seconds(5));
            tokio::join!(answer, async {
                tokio::time::sleep(Duration::from_secs(2)).await;
                source.gate.add_permits(10);
            })
            .0
        });
        assert_eq!((scalar(short), scalar(long)), (None, Some(2.0)));
        assert_eq!(scalar(shared.answer(&need("fails"), in_seconds(1)).await), None);
        assert_eq!(scalar(shared.answer(&need("fails"), in_seconds(1)).await), None);
        assert_eq!(source.asked.load(Ordering::SeqCst), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn an_asker_who_leaves_takes_nothing_from_the_others() {
        let (source, shared) = shared();
        let a = need("a");
        let first = tokio::time::timeout(Duration::from_millis(10), shared.answer(&a, in_seconds(5)));
        let second = shared.answer(&a, in_seconds(5));
        let (first, second, ()) = tokio::join!(first, second, async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            source.gate.add_permits(1);
        });
        assert!(first.is_err());
        assert_eq!(scalar(second), Some(1.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_everybody_left_is_dropped_and_asked_anew() {
        let (source, shared) = shared();
        let _ = tokio::time::timeout(Duration::from_millis(10), shared.answer(&need("a"), in_seconds(5))).await;
        source.gate.add_permits(1);
        assert_eq!(scalar(shared.answer(&need("a"), in_seconds(5)).await), Some(2.0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded() {
        let (source, shared) = shared();
        source.gate.add_permits(3 * NEEDS_MAX);
        for index in 0..2 * NEEDS_MAX {
            shared.answer(&need(&index.to_string()), in_seconds(1)).await;
        }
        let table = shared.table.lock();
        assert!(table.entries.len() <= NEEDS_MAX);
        assert_eq!(table.samples_kept, table.entries.len());
    }
}
