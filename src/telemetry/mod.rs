//! What the house says about itself: log lines and metrics.
//!
//! `log` turns tracing events into Prometheus' logfmt or JSON lines on stderr; `Telemetry` holds the registry that
//! `/metrics` shows. Rooms count for themselves: each has one `Metrics` struct, made of the constructors here.

mod log;
mod metrics;
mod summary;

pub use log::{LogFormat, LogLevel, LogSetUpError, log_to_stderr};
pub use metrics::{
    BuildInfo, DURATION_BUCKETS, Telemetry, counter, counter_vec, gauge, gauge_vec, histogram, histogram_vec,
    int_counter, int_counter_vec, int_gauge, int_gauge_vec, summary, summary_vec,
};
pub use summary::{Summary, SummaryVec};
