//! An alert on its way out: what evaluation tells, and delivery makes true at every Alertmanager.

use std::sync::Arc;
use std::time::Duration;

use super::{Fingerprint, Labels, Timestamp};

/// Which alert this is, over its whole life: the rule that made it, and its own labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertKey {
    /// Stable hash of source, file, group, rule name and rule labels.
    pub rule: u64,
    /// Of the alert's labels, before external labels and relabeling.
    pub fingerprint: Fingerprint,
}

/// The newest state of one alert, before external labels and relabeling.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    pub key: AlertKey,
    pub labels: Labels,
    /// Empty values are kept.
    pub annotations: Labels,
    /// When it fired (not when it became active).
    pub starts_at: Timestamp,
    pub state: AlertState,
    pub generator_url: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertState {
    /// `endsAt` is the moment of sending plus this: 4 x max(interval, resend delay).
    Firing {
        valid_for: Duration,
    },
    Resolved {
        resolved_at: Timestamp,
    },
}
