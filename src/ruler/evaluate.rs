//! One evaluation of one group, driven: asks go to the source, samples to the store, alerts to delivery.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::metrics::GroupMetrics;
use super::{GroupPlan, GroupStatus};
use crate::clock::Clock;
use crate::evaluation::{Ask, GroupEvaluation, GroupState, RuleOutcome};
use crate::model::{Answer, Evaluated, Timestamp};
use crate::notify::Sink;
use crate::store::{Store, Ticket};

/// How long the rules of one evaluation wait in vain, at most, for the storage to acknowledge what they read of their own
/// group: all of them together, since a storage that is down is down for each. Never longer than half the interval.
const VISIBILITY_WAIT_MAX: Duration = Duration::from_secs(10);

/// Answers from this size on are worked on away from the runtime's threads.
const HEAVY_SAMPLES_MIN: usize = 2000;

/// What the evaluations of all groups share.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sink: Arc<dyn Sink>,
    /// Questions that may be open beyond one for each group.
    pub(crate) extra_asks: Arc<Semaphore>,
    /// Bound of one question.
    pub(crate) query_timeout: Duration,
}

struct Answered {
    ask: Ask,
    answer: Answer,
    /// How long it waited for the storage, if that did not acknowledge.
    waited_in_vain: Option<Duration>,
    /// Between question and answer.
    took: Duration,
    _permit: Option<OwnedSemaphorePermit>,
}

/// Evaluates the group at `at`; gives its state afterwards. `abandon` ends it early: rules without an answer by then stay
/// as they were.
pub(crate) async fn evaluate(
    plan: &GroupPlan,
    around: &Surroundings,
    metrics: &GroupMetrics,
    state: GroupState,
    status: &mut GroupStatus,
    at: Timestamp,
    abandon: impl Future<Output = ()>,
) -> GroupState {
    let begun = Instant::now();
    let began_at = around.clock.now();
    let mut run = Run {
        plan,
        around,
        metrics,
        status,
        evaluation: Some(GroupEvaluation::new(plan.group.clone(), plan.settings.clone(), state, &[at])),
        tickets: HashMap::new(),
        begun: HashMap::new(),
        began_at,
        samples: 0,
        visibility_patience: VISIBILITY_WAIT_MAX.min(plan.settings.interval / 2),
    };
    let mut waiting: VecDeque<Ask> = VecDeque::new();
    let mut open = FuturesUnordered::new();
    tokio::pin!(abandon);
    loop {
        run.hand_out();
        waiting.extend(run.evaluation().take_asks());
        while let Some(permit) = run.may_ask(open.is_empty()) {
            let Some(ask) = waiting.pop_front() else { break };
            open.push(run.ask(ask, permit));
        }
        tokio::select! {
            answered = open.next() => match answered {
                Some(answered) => run.supply(answered).await,
                None => break,
            },
            () = &mut abandon => break,
        }
    }
    drop(open);
    run.close(begun)
}

fn samples_in(answer: &Answer) -> usize {
    let Answer::Known(values) = answer else { return 0 };
    let size = |value: &Evaluated| match value {
        Evaluated::Vector(samples) => samples.len(),
        Evaluated::Matrix(series) => series.len(),
        Evaluated::Scalar(_) | Evaluated::String(_) => 1,
    };
    values.iter().map(|(value, _)| size(value)).sum()
}

struct Run<'a> {
    plan: &'a GroupPlan,
    around: &'a Surroundings,
    metrics: &'a GroupMetrics,
    status: &'a mut GroupStatus,
    /// Away only while `supply` works on it.
    evaluation: Option<GroupEvaluation>,
    /// What the rules that are done have handed to the store.
    tickets: HashMap<usize, Ticket>,
    begun: HashMap<usize, Instant>,
    began_at: Timestamp,
    samples: usize,
    /// What is left of the time to wait for the storage in vain.
    visibility_patience: Duration,
}

impl Run<'_> {
    fn evaluation(&mut self) -> &mut GroupEvaluation {
        self.evaluation.as_mut().expect("`supply` gives it back before it returns")
    }

    /// `Some` if one more question may be open: the first of a group always, more while there are permits.
    fn may_ask(&self, none_open: bool) -> Option<Option<OwnedSemaphorePermit>> {
        if none_open {
            return Some(None);
        }
        self.around.extra_asks.clone().try_acquire_owned().ok().map(Some)
    }

    fn ask(&mut self, ask: Ask, permit: Option<OwnedSemaphorePermit>) -> impl Future<Output = Answered> + use<> {
        self.begun.entry(ask.rule).or_insert_with(Instant::now);
        let tickets: Vec<Ticket> = ask.after.iter().filter_map(|rule| self.tickets.get(rule).cloned()).collect();
        let source = self.plan.source.clone();
        let query_timeout = self.around.query_timeout;
        let patience = self.visibility_patience;
        async move {
            let (waiting_since, mut in_vain) = (Instant::now(), false);
            if !tickets.is_empty() {
                for ticket in tickets {
                    in_vain |= !ticket.acknowledged(waiting_since + patience).await;
                }
                source.written();
            }
            let waited_in_vain = in_vain.then(|| waiting_since.elapsed());
            let asked = Instant::now();
            let answer = source.answer(&ask.need, asked + query_timeout).await;
            Answered { ask, answer, waited_in_vain, took: asked.elapsed(), _permit: permit }
        }
    }

    async fn supply(&mut self, answered: Answered) {
        if let Some(waited) = answered.waited_in_vain {
            self.visibility_patience = self.visibility_patience.saturating_sub(waited);
            self.metrics.all.visibility_timeouts.inc();
            let rule = &self.plan.group.rules[answered.ask.rule];
            warn!(
                group = &*self.plan.group.name,
                file = &*self.plan.group.file,
                rule = &*rule.name,
                "the storage did not acknowledge in time what this rule reads of its own group: evaluated without it"
            );
        }
        if answered.ask.is_restore() {
            self.metrics.set(&self.metrics.all.last_restore_duration, answered.took.as_secs_f64());
        }
        let Some(mut evaluation) = self.evaluation.take() else { return };
        if samples_in(&answered.answer) < HEAVY_SAMPLES_MIN {
            evaluation.supply(answered.ask, answered.answer);
            self.evaluation = Some(evaluation);
            return;
        }
        // A hundred thousand templates take a while: not on a thread that others wait for.
        let heavy = tokio::task::spawn_blocking(move || {
            evaluation.supply(answered.ask, answered.answer);
            evaluation
        });
        match heavy.await {
            Ok(evaluation) => self.evaluation = Some(evaluation),
            Err(fault) => std::panic::resume_unwind(fault.into_panic()),
        }
    }

    /// What rules that are done have come to goes out.
    fn hand_out(&mut self) {
        for outcome in self.evaluation().take_outcomes() {
            self.observe(&outcome);
            if !outcome.alerts.is_empty() {
                self.around.sink.tell(outcome.alerts);
            }
            self.samples += outcome.samples.len();
            let mut written = outcome.samples;
            written.extend(outcome.markers);
            if !written.is_empty() {
                self.tickets.insert(outcome.rule, self.around.store.append(written));
            }
        }
        let markers = self.evaluation().take_markers();
        if !markers.is_empty() {
            self.around.store.append(markers);
        }
    }

    fn observe(&mut self, outcome: &RuleOutcome) {
        let took = self.begun.get(&outcome.rule).map_or(Duration::ZERO, Instant::elapsed);
        let metrics = self.metrics;
        metrics.count(&metrics.all.evaluations, 1);
        metrics.all.evaluation_duration.observe(took.as_secs_f64());
        metrics.all.evaluation_summary.observe(took.as_secs_f64());
        metrics.all.expansions.inc_by(outcome.expansions);
        metrics.all.expansion_failures.inc_by(outcome.expansion_failures);
        let rule = &self.plan.group.rules[outcome.rule];
        let (group, file) = (&*self.plan.group.name, &*self.plan.group.file);
        if let Some(error) = &outcome.error {
            metrics.count(&metrics.all.failures, 1);
            warn!(group, file, rule = &*rule.name, source = self.plan.source.name(), %error, "rule evaluation failed");
        }
        if let Some(error) = &outcome.expansion_error {
            let failed = outcome.expansion_failures;
            warn!(group, file, rule = &*rule.name, failed, %error, "template expansion failed");
        }
        if !outcome.annotations.is_empty() {
            let (warnings, infos) = (&outcome.annotations.warnings, &outcome.annotations.infos);
            debug!(group, file, rule = &*rule.name, ?warnings, ?infos, "the source annotated its answer");
        }
        let status = &mut self.status.rules[outcome.rule];
        status.evaluation_time = took;
        status.last_evaluation = Some(self.began_at);
        status.annotations = outcome.annotations.clone();
    }

    fn close(self, begun: Instant) -> GroupState {
        let took = begun.elapsed();
        let metrics = self.metrics;
        metrics.all.group_duration.observe(took.as_secs_f64());
        metrics.all.group_summary.observe(took.as_secs_f64());
        metrics.set(&metrics.all.last_duration, took.as_secs_f64());
        metrics.age_gauge().set(self.began_at.as_seconds());
        let sum: f64 = self.status.rules.iter().map(|rule| rule.evaluation_time.as_secs_f64()).sum();
        metrics.set(&metrics.all.last_rule_duration_sum, sum);
        let samples = i64::try_from(self.samples).unwrap_or(i64::MAX);
        metrics.all.last_samples.with_label_values(&[metrics.label()]).set(samples);
        self.status.evaluation_time = took;
        self.status.last_evaluation = Some(self.began_at);
        let state = self.evaluation.map(GroupEvaluation::finish).unwrap_or_default();
        self.status.take_alerts(&state);
        state
    }
}
