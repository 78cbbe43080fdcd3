//! Bellwether evaluates Prometheus rules and delivers the alerts.

pub mod api;
pub mod clock;
pub mod config;
pub mod diagnostic;
pub mod model;
pub mod promql;
pub mod relabel;
pub mod rules;
pub mod telemetry;
pub mod template;
