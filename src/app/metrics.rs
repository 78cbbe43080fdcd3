//! Figures about the process as a whole.

use prometheus::{Gauge, IntGauge, Registry};

use crate::telemetry::{gauge, int_gauge};

#[derive(Clone, Debug)]
pub(super) struct Metrics {
    pub(super) reload_successful: IntGauge,
    pub(super) reload_success_timestamp: Gauge,
    pub(super) ready: IntGauge,
    pub(super) rule_files: IntGauge,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Metrics {
        Metrics {
            reload_successful: int_gauge(
                registry,
                "prometheus_config_last_reload_successful",
                "Whether the last attempt to load the configuration succeeded.",
            ),
            reload_success_timestamp: gauge(
                registry,
                "prometheus_config_last_reload_success_timestamp_seconds",
                "When the configuration was last loaded successfully.",
            ),
            ready: int_gauge(registry, "prometheus_ready", "Whether the ruler is ready: 1, or not: 0."),
            rule_files: int_gauge(registry, "bellwether_rule_files", "Rule files in force."),
        }
    }
}
