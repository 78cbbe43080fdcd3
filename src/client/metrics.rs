//! What clients count.

use prometheus::{IntCounter, Registry};

/// Counters of all clients together.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) file_failures: IntCounter,
    pub(super) tls_failures: IntCounter,
    pub(super) token_requests: IntCounter,
    pub(super) token_failures: IntCounter,
}

impl Metrics {
    /// Registers the room's series; once per registry.
    pub fn new(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let metrics = Metrics::unregistered();
        for counter in [&metrics.file_failures, &metrics.tls_failures, &metrics.token_requests, &metrics.token_failures]
        {
            registry.register(Box::new(counter.clone()))?;
        }
        Ok(metrics)
    }

    /// Counters that nobody reads, for tools and tests.
    pub fn unregistered() -> Metrics {
        let counter = |name, help| IntCounter::new(name, help).expect("the names below are valid metric names");
        Metrics {
            file_failures: counter(
                "bellwether_http_client_file_failures_total",
                "Reads of a credentials, header or certificate file that failed; the last good value stays in use.",
            ),
            tls_failures: counter(
                "bellwether_http_client_tls_failures_total",
                "Changed certificate files that no TLS configuration could be made from; the last good one stays in use.",
            ),
            token_requests: counter("bellwether_http_client_token_requests_total", "OAuth2 tokens asked for."),
            token_failures: counter("bellwether_http_client_token_failures_total", "OAuth2 tokens not granted."),
        }
    }
}
