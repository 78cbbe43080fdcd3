//! The HTTP door: Prometheus' API, management endpoints and metrics.
//!
//! Shows snapshots that it is handed through `Views`, in Prometheus' JSON to the field; decides nothing about rules or
//! alerts. `app` makes the router with `router`, and runs it with `serve`. Requests are bounded in size, time and number
//! (`limits`); TLS, users and headers come from a web configuration file that is read again when it changes
//! (`web_config`). Specification: Prometheus `web/api/v1`, `web/web.go`, `docs/management_api.md`, and the web
//! configuration of prometheus/exporter-toolkit.

mod auth;
mod cors;
mod error;
mod form;
mod json;
mod limits;
mod management;
mod metrics;
mod router;
mod serve;
mod v1;
pub mod views;
mod web_config;

pub use cors::CorsOrigin;
pub use limits::{REQUEST_BODY_BYTES_MAX, REQUEST_TIME_MAX, REQUESTS_AT_ONCE_MAX, URI_BYTES_MAX};
pub use metrics::HttpMetrics;
pub use router::{ApiOptions, RoutePrefix, RoutePrefixError, router};
pub use serve::{
    CONNECTIONS_MAX, DEFAULT_LISTEN_ADDRESS, DRAIN_TIME_MAX, HEADER_TIME_MAX, IDLE_TIME_MAX, ListenError, ServeOptions,
    bind, serve,
};
pub use web_config::{WEB_CONFIG_CHECK_INTERVAL, WebConfig, WebConfigError};
