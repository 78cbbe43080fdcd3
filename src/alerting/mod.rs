//! The life of an alert: pending, firing, inactive.
//!
//! Decides what one evaluation makes of one alert instance, which `ALERTS*` samples it writes, and how a `for` is
//! restored after a restart. Never asks anything and reads no clock: every function that decides takes `at`. Called by
//! `evaluation`. Source: Prometheus `rules/alerting.go` and `rules/group.go`.

mod instance;
mod instances;
mod restore;
mod series;
mod step;

pub use instance::{AlertInstance, Instance};
pub use instances::AlertInstances;
pub(crate) use instances::{LabelsHash, hash};
pub use restore::{
    LastState, bare, keep_visible, last_states, probes, restored_active_at, state_query, state_selector,
};
pub use series::{alert_series, for_state_series};
pub use step::{Seen, Timing, step};

/// How long a resolved alert is kept, and told to Alertmanagers again.
///
/// Source: Prometheus `rules/alerting.go`, `resolvedRetention`.
pub const RESOLVED_RETENTION: std::time::Duration = std::time::Duration::from_secs(15 * 60);
