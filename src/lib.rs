//! Bellwether evaluates Prometheus rules and delivers the alerts.

pub mod client;
pub mod clock;
pub mod config;
pub mod diagnostic;
pub mod model;
pub mod promql;
pub mod relabel;
pub mod rules;
pub mod sources;
pub mod store;
pub mod template;
pub mod wire;

#[cfg(test)]
mod test_peers;
