//! The life of one group on one source: wait for the slot, evaluate, again.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::info;

use super::evaluate::{Surroundings, evaluate};
use super::metrics::{GroupMetrics, Metrics};
use super::schedule::{following, group_offset, next_slot};
use super::{GroupPlan, GroupStatus};
use crate::evaluation::GroupState;
use crate::model::Timestamp;

/// Longest single sleep: between two of them the wall clock is looked at again.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// A running group, from outside.
pub(crate) struct GroupTask {
    /// Swapped where only what is around the group has changed.
    plan: Arc<ArcSwap<GroupPlan>>,
    status: Arc<ArcSwap<GroupStatus>>,
    stop: watch::Sender<Stop>,
    handle: JoinHandle<GroupState>,
    metrics: Arc<GroupMetrics>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    /// When the running evaluation is over.
    Soon,
    /// At once: rules without an answer stay as they were.
    Now,
}

impl GroupTask {
    pub(crate) fn start(
        plan: Arc<GroupPlan>,
        state: GroupState,
        around: Surroundings,
        metrics: &Metrics,
        jumps: watch::Receiver<u64>,
    ) -> GroupTask {
        let (group, interval) = (&plan.group, plan.settings.interval);
        let metrics = Arc::new(GroupMetrics::new(metrics, &group.file, &group.name, interval, group.rules.len()));
        let status = Arc::new(ArcSwap::from_pointee(GroupStatus::new(plan.clone(), &state)));
        let plan = Arc::new(ArcSwap::from(plan));
        let (stop, stopped) = watch::channel(Stop::No);
        let life =
            Life { plan: plan.clone(), status: status.clone(), around, metrics: metrics.clone(), stopped, jumps };
        GroupTask { plan, status, stop, handle: tokio::spawn(life.live(state)), metrics }
    }

    pub(crate) fn plan(&self) -> Arc<GroupPlan> {
        self.plan.load_full()
    }

    pub(crate) fn status(&self) -> Arc<GroupStatus> {
        self.status.load_full()
    }

    /// From the next evaluation on. Group and interval must be the same.
    pub(crate) fn replan(&self, plan: Arc<GroupPlan>) {
        self.plan.store(plan.clone());
        let mut status = GroupStatus::clone(&self.status.load());
        status.plan = plan;
        self.status.store(Arc::new(status));
    }

    pub(crate) fn ask_to_stop(&self) {
        self.stop.send_replace(Stop::Soon);
    }

    /// The state, once the running evaluation is over or `patience` is; and whether it was over. If the task died of a
    /// fault of ours: what is remembered of it.
    pub(crate) async fn stopped(mut self, patience: Duration) -> (GroupState, bool) {
        self.ask_to_stop();
        let (state, whole) = match tokio::time::timeout(patience, &mut self.handle).await {
            Ok(state) => (state, true),
            Err(_) => {
                self.stop.send_replace(Stop::Now);
                ((&mut self.handle).await, false)
            }
        };
        (state.unwrap_or_else(|_| self.remembered()), whole)
    }

    /// What its last whole evaluation left to see of its state.
    pub(crate) fn remembered(&self) -> GroupState {
        self.status.load().remembered()
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.handle.is_finished()
    }

    pub(crate) fn metrics(&self) -> Arc<GroupMetrics> {
        self.metrics.clone()
    }
}

struct Life {
    plan: Arc<ArcSwap<GroupPlan>>,
    status: Arc<ArcSwap<GroupStatus>>,
    around: Surroundings,
    metrics: Arc<GroupMetrics>,
    stopped: watch::Receiver<Stop>,
    jumps: watch::Receiver<u64>,
}

impl Life {
    async fn live(mut self, mut state: GroupState) -> GroupState {
        let plan = self.plan.load_full();
        let interval = plan.settings.interval;
        let offset = group_offset(&plan.group.file, &plan.group.name, interval);
        let mut slot = next_slot(self.around.clock.now(), interval, offset);
        while self.wait_for(&mut slot, interval, offset).await {
            self.metrics.count(&self.metrics.all.iterations, 1);
            state = self.evaluate(state, slot).await;
            if *self.stopped.borrow() != Stop::No {
                break;
            }
            let next = following(slot, self.around.clock.now(), interval, offset);
            if next.missed > 0 {
                self.metrics.count(&self.metrics.all.iterations, next.missed);
                self.metrics.count(&self.metrics.all.iterations_missed, next.missed);
            }
            slot = next.slot;
        }
        state
    }

    async fn evaluate(&mut self, state: GroupState, slot: Timestamp) -> GroupState {
        let plan = self.plan.load_full();
        let mut status = GroupStatus::clone(&self.status.load());
        let mut stopped = self.stopped.clone();
        let abandon = async move {
            // A sender that is gone never says `Now`; then the evaluation runs to its end.
            if stopped.wait_for(|stop| *stop == Stop::Now).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let state = evaluate(&plan, &self.around, &self.metrics, state, &mut status, slot, abandon).await;
        // The plan may have been swapped meanwhile: the newer one is shown.
        status.plan = self.plan.load_full();
        self.status.store(Arc::new(status));
        state
    }

    /// Until the wall clock says `slot`. False: asked to stop. A clock that jumped moves the slot: forward past slots
    /// to the newest begun one, backward to the next one by the new time.
    async fn wait_for(&mut self, slot: &mut Timestamp, interval: Duration, offset: Duration) -> bool {
        loop {
            if *self.stopped.borrow() != Stop::No {
                return false;
            }
            let now = self.around.clock.now();
            if now >= *slot {
                let late = now.since(*slot);
                if late >= interval {
                    // Only a jump or a suspended machine comes here: `following` has skipped what was missed before.
                    let newest = next_slot(now, interval, offset) - interval;
                    let missed = (newest.since(*slot).as_millis() / interval.as_millis().max(1)) as u64;
                    info!(group = &*self.plan.load().group.name, missed, "slots passed while nothing ran: skipped");
                    self.metrics.count(&self.metrics.all.iterations, missed);
                    self.metrics.count(&self.metrics.all.iterations_missed, missed);
                    *slot = newest;
                }
                return true;
            }
            let ahead = slot.since(now);
            if ahead > interval {
                *slot = next_slot(now, interval, offset);
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(ahead.min(SLEEP_MAX)) => {}
                _ = self.jumps.changed() => {}
                _ = self.stopped.changed() => {}
            }
        }
    }
}
