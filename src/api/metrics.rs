//! Figures of the HTTP server, under Prometheus' names.

use std::time::Instant;

use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use prometheus::{HistogramVec, IntCounter, IntCounterVec, Registry};

use crate::telemetry::{histogram_vec, int_counter, int_counter_vec};

/// Seconds. Source: Prometheus `web/web.go`, `newMetrics`.
const DURATION_BUCKETS: [f64; 9] = [0.1, 0.2, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0];
/// Bytes: 100, 1,000, ... 1e9.
const SIZE_BUCKETS: [f64; 8] = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// `handler` is the route's template without the route prefix. Requests that match no route are not counted, as a client
/// could make up any number of them.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    sizes: HistogramVec,
    pub(super) refused_connections: IntCounter,
    pub(super) web_config_reload_failures: IntCounter,
}

impl HttpMetrics {
    /// Panics if the registry holds these already.
    pub fn new(registry: &Registry) -> HttpMetrics {
        HttpMetrics {
            requests: int_counter_vec(
                registry,
                "prometheus_http_requests_total",
                "Counter of HTTP requests.",
                &["handler", "code"],
            ),
            durations: histogram_vec(
                registry,
                "prometheus_http_request_duration_seconds",
                "Histogram of latencies for HTTP requests, until the answer begins.",
                &DURATION_BUCKETS,
                &["handler"],
            ),
            sizes: histogram_vec(
                registry,
                "prometheus_http_response_size_bytes",
                "Histogram of response size for HTTP requests, of those whose size is known when the answer begins.",
                &SIZE_BUCKETS,
                &["handler"],
            ),
            refused_connections: int_counter(
                registry,
                "bellwether_http_connections_refused_total",
                "Connections closed at once because too many were open.",
            ),
            web_config_reload_failures: int_counter(
                registry,
                "bellwether_web_config_reload_failures_total",
                "Changes of the web configuration file, or of files it names, that were not taken.",
            ),
        }
    }
}

#[derive(Clone)]
pub(super) struct Counted {
    pub(super) metrics: HttpMetrics,
    /// Taken off the template, so that series do not depend on where the API is mounted.
    pub(super) route_prefix: String,
}

pub(super) async fn count(State(counted): State<Counted>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let started = Instant::now();
    let response = next.run(request).await;
    let Some(matched) = matched else { return response };
    let template = matched.as_str();
    let handler = template.strip_prefix(&counted.route_prefix).unwrap_or(template);
    let handler = if handler.is_empty() { "/" } else { handler };
    let metrics = &counted.metrics;
    metrics.requests.with_label_values(&[handler, response.status().as_str()]).inc();
    metrics.durations.with_label_values(&[handler]).observe(started.elapsed().as_secs_f64());
    if let Some(bytes) = response.body().size_hint().exact() {
        metrics.sizes.with_label_values(&[handler]).observe(bytes as f64);
    }
    response
}
