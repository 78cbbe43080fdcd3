//! Bellwether evaluates Prometheus rules and delivers the alerts.

pub mod alerting;
pub mod api;
pub mod app;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod diagnostic;
pub mod evaluation;
pub mod model;
pub mod notify;
pub mod promql;
pub mod relabel;
pub mod ruler;
pub mod rules;
pub mod sources;
pub mod store;
pub mod telemetry;
pub mod template;
pub mod wire;
mod yaml;
