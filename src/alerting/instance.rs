//! One label set of one alerting rule, and its state.

use std::sync::Arc;

use crate::model::{Fingerprint, Labels, Timestamp};

/// The state of an alert instance. Each variant holds only the times that exist in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instance {
    /// The expression gives it, but not yet for as long as `for` asks.
    Pending { active_at: Timestamp },
    /// `keep_firing_since` is the first evaluation that no longer gave it, while `keep_firing_for` holds it up.
    Firing { active_at: Timestamp, fired_at: Timestamp, keep_firing_since: Option<Timestamp> },
    /// Did fire; kept so that a return is told from a first time, and for the API of later rooms.
    Inactive { fired_at: Timestamp, resolved_at: Timestamp },
}

impl Instance {
    /// When the expression began to give it; none once it is inactive.
    pub fn active_at(self) -> Option<Timestamp> {
        match self {
            Instance::Pending { active_at } | Instance::Firing { active_at, .. } => Some(active_at),
            Instance::Inactive { .. } => None,
        }
    }

    pub fn is_firing(self) -> bool {
        matches!(self, Instance::Firing { .. })
    }

    /// Pending or firing.
    pub fn is_active(self) -> bool {
        self.active_at().is_some()
    }

    /// The value of the label `alertstate`; none once it is inactive.
    pub fn alertstate(self) -> Option<&'static str> {
        match self {
            Instance::Pending { .. } => Some("pending"),
            Instance::Firing { .. } => Some("firing"),
            Instance::Inactive { .. } => None,
        }
    }
}

/// An alert instance with what it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertInstance {
    pub state: Instance,
    /// Identity; `alertname` included, external labels not.
    pub labels: Labels,
    /// Of `labels`.
    pub fingerprint: Fingerprint,
    /// As of the last evaluation that gave it.
    pub annotations: Labels,
    /// As of the last evaluation that gave it; 0 for a histogram.
    pub value: f64,
    /// Where its `generatorURL` leads.
    pub generator_url: Arc<str>,
    /// The `alertstate` under which its samples were last written; none if they were not.
    pub written: Option<&'static str>,
    /// Made since the start and not yet compared with what `ALERTS_FOR_STATE` remembers of it.
    pub unrestored: bool,
}
