//! All groups, over reloads and until the stop.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tracing::{error, info};

use super::GroupStatus;
use super::clock_watch::watch_clock;
use super::evaluate::Surroundings;
use super::metrics::Metrics;
use super::task::GroupTask;
use crate::clock::Clock;
use crate::evaluation::{GroupState, Settings};
use crate::model::{Alert, TimedSample, Timestamp, Value, stale_nan};
use crate::notify::Sink;
use crate::rules::Group;
use crate::sources::Source;
use crate::store::Store;

/// How long a reload waits for the running evaluations of groups that change. What has no answer by then stays as it was,
/// and is asked again in the new group's first evaluation.
const RELOAD_PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether a group's task died. None should ever; a pager must not depend on that.
const SUPERVISE_EVERY: Duration = Duration::from_secs(5);

/// One group on one source, with everything its evaluation takes.
#[derive(Clone)]
pub struct GroupPlan {
    pub group: Arc<Group>,
    pub source: Arc<dyn Source>,
    pub settings: Arc<Settings>,
}

impl std::fmt::Debug for GroupPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GroupPlan({}; {} on {})", self.group.file, self.group.name, self.source.name())
    }
}

/// Source, file and name.
type GroupKey = (String, String, String);

impl GroupPlan {
    fn key(&self) -> GroupKey {
        (self.source.name().to_owned(), self.group.file.to_string(), self.group.name.to_string())
    }

    /// Whether a task can go on with the new plan: nothing that its state or slots depend on has changed.
    fn continues(&self, old: &GroupPlan) -> bool {
        self.group.same_as(&old.group)
            && self.settings.interval == old.settings.interval
            && self.settings.query_offset == old.settings.query_offset
    }
}

#[derive(Clone, Copy, Debug)]
pub struct RulerOptions {
    /// Questions that may be open at once beyond one for each group.
    pub max_concurrent_evals: usize,
    pub query_timeout: Duration,
}

/// What the stop finished and what it left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopReport {
    /// Groups whose running evaluation came to its end, or that had none.
    pub finished: usize,
    /// Groups whose evaluation was cut off.
    pub cut_off: usize,
}

/// The running groups. Cheap to clone.
#[derive(Clone)]
pub struct Ruler {
    around: Surroundings,
    metrics: Metrics,
    tasks: Arc<Mutex<BTreeMap<GroupKey, GroupTask>>>,
    jumps: watch::Receiver<u64>,
}

impl std::fmt::Debug for Ruler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ruler({} groups)", self.tasks.lock().len())
    }
}

impl Ruler {
    /// No group runs until `apply`. Must be called within a tokio runtime.
    pub fn new(
        clock: Arc<dyn Clock>,
        store: Arc<dyn Store>,
        sink: Arc<dyn Sink>,
        metrics: Metrics,
        options: RulerOptions,
    ) -> Ruler {
        let (jumped, jumps) = watch::channel(0);
        tokio::spawn(watch_clock(clock.clone(), jumped, metrics.clock_jumps.clone()));
        let extra_asks = Arc::new(Semaphore::new(options.max_concurrent_evals.min(Semaphore::MAX_PERMITS)));
        let around = Surroundings { clock, store, sink, extra_asks, query_timeout: options.query_timeout };
        let ruler = Ruler { around, metrics, tasks: Arc::default(), jumps };
        tokio::spawn(supervise(ruler.clone()));
        ruler
    }

    /// Makes these the running groups. Groups that did not change run on undisturbed; changed ones keep the state of the
    /// rules that are the same by name and labels; firing alerts of rules that are gone are resolved.
    pub async fn apply(&self, plans: Vec<GroupPlan>) {
        let mut wanted: BTreeMap<GroupKey, Arc<GroupPlan>> =
            plans.into_iter().map(|plan| (plan.key(), Arc::new(plan))).collect();
        let leaving = self.sort_out(&mut wanted);
        let moves = moves(&leaving, &wanted);
        // Only what is new or changed can be the place that a rule has moved to.
        let names: HashSet<Arc<str>> =
            wanted.values().flat_map(|plan| &plan.group.rules).map(|rule| rule.name.clone()).collect();
        for (_, task) in &leaving {
            task.ask_to_stop();
        }
        let stops = leaving.into_iter().map(|(key, task)| async move {
            let (plan, metrics) = (task.plan(), task.metrics());
            let (state, _) = task.stopped(RELOAD_PATIENCE).await;
            (key, plan, metrics, state)
        });
        for (key, old, metrics, state) in futures_util::future::join_all(stops).await {
            let now = self.around.clock.now();
            let here = |other: &GroupKey| other.1 == key.1 && other.2 == key.2;
            // Another source may still have the group: its figures stay.
            if !self.tasks.lock().keys().chain(wanted.keys()).any(here) {
                metrics.remove();
            }
            let place = moves.get(&key).cloned().unwrap_or(key);
            match wanted.remove(&place) {
                Some(plan) => {
                    let (state, resolved) =
                        GroupState::carried_over(&plan.group, &plan.settings, &old.group, state, now);
                    self.tell(resolved);
                    self.start(place, plan, state);
                }
                None => self.end(&old, &state, &names, now),
            }
        }
        for (key, plan) in wanted {
            let state = GroupState::new(&plan.group, &plan.settings, true);
            self.start(key, plan, state);
        }
    }

    /// Takes out of `wanted` what runs on, and out of the running what does not.
    fn sort_out(&self, wanted: &mut BTreeMap<GroupKey, Arc<GroupPlan>>) -> Vec<(GroupKey, GroupTask)> {
        let mut tasks = self.tasks.lock();
        let keys: Vec<GroupKey> = tasks.keys().cloned().collect();
        let mut leaving = Vec::new();
        for key in keys {
            let goes_on = wanted.get(&key).filter(|plan| plan.continues(&tasks[&key].plan())).cloned();
            match goes_on {
                Some(plan) => {
                    tasks[&key].replan(plan);
                    wanted.remove(&key);
                }
                None => leaving.extend(tasks.remove_entry(&key)),
            }
        }
        leaving
    }

    fn start(&self, key: GroupKey, plan: Arc<GroupPlan>, state: GroupState) {
        let task = GroupTask::start(plan, state, self.around.clone(), &self.metrics, self.jumps.clone());
        self.tasks.lock().insert(key, task);
    }

    fn tell(&self, alerts: Vec<Alert>) {
        if !alerts.is_empty() {
            self.around.sink.tell(alerts);
        }
    }

    /// A group is gone: its alerts are resolved, its series end. Rules whose name lives on elsewhere have moved: a marker
    /// would only tear a gap into what the new place writes.
    fn end(&self, plan: &GroupPlan, state: &GroupState, names: &HashSet<Arc<str>>, at: Timestamp) {
        info!(group = &*plan.group.name, file = &*plan.group.file, source = plan.source.name(), "group removed");
        self.tell(state.resolve_all(at));
        let at = at - plan.settings.query_offset;
        let marker = |labels| TimedSample { labels, at, value: Value::Float(stale_nan()) };
        let moved = |index: usize| names.contains(&plan.group.rules[index].name);
        let markers: Vec<TimedSample> = state.series_of(|index| !moved(index)).map(marker).collect();
        if !markers.is_empty() {
            self.around.store.append(markers);
        }
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Every group on every source, by source, file and name.
    pub fn statuses(&self) -> Vec<Arc<GroupStatus>> {
        self.tasks.lock().values().map(GroupTask::status).collect()
    }

    #[cfg(test)]
    pub(crate) fn tasks_died(&self) -> bool {
        self.tasks.lock().values().any(GroupTask::is_dead)
    }

    /// Stops all groups: running evaluations may end within `patience`. No staleness markers are written, so that the
    /// series go on after a restart.
    pub async fn stop(&self, patience: Duration) -> StopReport {
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks.values() {
            task.ask_to_stop();
        }
        let stops = tasks.into_values().map(|task| task.stopped(patience));
        let mut report = StopReport::default();
        for (_, whole) in futures_util::future::join_all(stops).await {
            if whole { report.finished += 1 } else { report.cut_off += 1 }
        }
        report
    }
}

/// Where groups went that are gone from their place: to one of the same name in another file, or else in the same file
/// under another name, that is new and has one of their rules.
fn moves(
    leaving: &[(GroupKey, GroupTask)],
    wanted: &BTreeMap<GroupKey, Arc<GroupPlan>>,
) -> HashMap<GroupKey, GroupKey> {
    let was_there: HashSet<&GroupKey> = leaving.iter().map(|(key, _)| key).collect();
    let mut new: BTreeMap<&GroupKey, &GroupPlan> =
        wanted.iter().filter(|(key, _)| !was_there.contains(key)).map(|(key, plan)| (key, &**plan)).collect();
    let mut moves = HashMap::new();
    let same_name = |old: &GroupKey, new: &GroupKey| old.0 == new.0 && old.2 == new.2;
    let same_file = |old: &GroupKey, new: &GroupKey| old.0 == new.0 && old.1 == new.1;
    for same in [same_name as fn(&_, &_) -> bool, same_file] {
        for (key, task) in leaving.iter().filter(|(key, _)| !wanted.contains_key(key)) {
            if new.is_empty() || moves.contains_key(key) {
                continue;
            }
            let old = task.plan();
            let place = new.iter().find(|(place, plan)| same(key, place) && share_a_rule(&old.group, &plan.group));
            if let Some(place) = place.map(|(place, _)| *place) {
                new.remove(place);
                moves.insert(key.clone(), place.clone());
            }
        }
    }
    moves
}

fn share_a_rule(one: &Group, other: &Group) -> bool {
    let rules: HashSet<_> = one.rules.iter().map(|rule| (&rule.name, &rule.labels)).collect();
    other.rules.iter().any(|rule| rules.contains(&(&rule.name, &rule.labels)))
}

/// Starts groups again whose task died, with what was last seen of their alerts.
async fn supervise(ruler: Ruler) {
    loop {
        tokio::time::sleep(SUPERVISE_EVERY).await;
        // Held throughout: a reload must not take a group away in between.
        for task in ruler.tasks.lock().values_mut().filter(|task| task.is_dead()) {
            let plan = task.plan();
            error!(group = &*plan.group.name, file = &*plan.group.file, "the group's task ended: started again");
            ruler.metrics.group_restarts.inc();
            let state = task.remembered();
            *task = GroupTask::start(plan, state, ruler.around.clone(), &ruler.metrics, ruler.jumps.clone());
        }
    }
}
