//! What a group's last evaluation left to look at.

use std::sync::Arc;
use std::time::Duration;

use super::GroupPlan;
use crate::alerting::AlertInstance;
use crate::evaluation::{GroupState, Health};
use crate::model::{Annotations, Timestamp};

/// A group on one source, as of its last evaluation.
#[derive(Clone, Debug)]
pub struct GroupStatus {
    pub plan: Arc<GroupPlan>,
    /// Wall time of the whole evaluation.
    pub evaluation_time: Duration,
    /// When it began, by the wall clock; none before the first.
    pub last_evaluation: Option<Timestamp>,
    /// One for each rule, in order.
    pub rules: Vec<RuleStatus>,
}

/// A rule, as of its last evaluation.
#[derive(Clone, Debug, Default)]
pub struct RuleStatus {
    pub health: Health,
    pub evaluation_time: Duration,
    pub last_evaluation: Option<Timestamp>,
    /// Pending and firing, in no order.
    pub alerts: Arc<[AlertInstance]>,
    /// What the source said beside its last answer.
    pub annotations: Annotations,
    /// The rule's identity; part of the key of all its alerts.
    id: u64,
}

impl GroupStatus {
    /// Of a group that was not evaluated since it was made; the alerts it took over are there.
    pub(crate) fn new(plan: Arc<GroupPlan>, state: &GroupState) -> GroupStatus {
        let mut status = GroupStatus {
            plan,
            evaluation_time: Duration::ZERO,
            last_evaluation: None,
            rules: state.rules.iter().map(|_| RuleStatus::default()).collect(),
        };
        status.take_alerts(state);
        status
    }

    /// As much of the state as this shows: the pending and firing alerts. For a task that took its state with it.
    pub(crate) fn remembered(&self) -> GroupState {
        let mut state = GroupState::new(&self.plan.group, &self.plan.settings, true);
        for (rule, status) in state.rules.iter_mut().zip(&self.rules) {
            rule.id = status.id;
            rule.alerts = status.alerts.iter().cloned().collect();
        }
        state
    }

    /// Health and alerts out of the state.
    pub(crate) fn take_alerts(&mut self, state: &GroupState) {
        for (status, rule) in self.rules.iter_mut().zip(&state.rules) {
            status.id = rule.id;
            status.health = rule.health.clone();
            status.alerts = rule.active().cloned().collect();
        }
    }
}
