//! The live clock: groups evaluated on their slots, round the clock, and through reloads.
//!
//! Decides when a group is evaluated (`schedule`, pure) and what happens to its state when the configuration changes.
//! Asks sources, hands samples to the store and alerts to delivery; what they mean is `evaluation`'s business.
//! Specified in Prometheus `rules/manager.go` and `rules/group.go`.

mod clock_watch;
mod evaluate;
mod manager;
mod metrics;
mod schedule;
mod status;
mod task;

pub use manager::{GroupPlan, Ruler, RulerOptions, StopReport};
pub use metrics::Metrics;
pub use status::{GroupStatus, RuleStatus};

#[cfg(test)]
mod tests;
