//! One rule group at given timestamps: what it needs, what it is told, what comes of it.
//!
//! The one machine that the live scheduler, unit tests and backtests all drive:
//!
//! ```text
//! let mut evaluation = GroupEvaluation::new(group, settings, state, &[at]);
//! loop {
//!     for outcome in evaluation.take_outcomes() { store(outcome.samples, outcome.markers); tell(outcome.alerts) }
//!     store(evaluation.take_markers());
//!     for ask in evaluation.take_asks() { start asking; when there is an answer: evaluation.supply(ask, answer) }
//!     // until nothing is asked any more
//! }
//! let state = evaluation.finish();
//! ```
//!
//! Decides which rules may be asked about at once and which must wait for another's results, whether several timestamps
//! may be asked about together, and what an answer means. Never does I/O, reads no clock, logs nothing.
//! Source: Prometheus `rules/group.go`, `rules/alerting.go`, `rules/recording.go`.

mod alerting_rule;
mod group;
mod outcome;
mod recording_rule;
mod settings;
mod state;
mod template_queries;

pub use group::{Ask, GroupEvaluation};
pub use outcome::{RuleError, RuleOutcome};
pub use settings::{GeneratorUrl, Settings};
pub use state::{GroupState, Health, RuleState};

#[cfg(test)]
mod tests;
