//! HTTP clients made from Prometheus' client options.
//!
//! Decides how a peer is reached: TLS, proxies, credentials, custom headers, redirects. Reads every `_file` option again
//! when the file changes, and works on a machine without CA certificates (`https` peers then need `tls_config.ca`).
//! Never decides what an answer means, never repeats a request but for one case: an OAuth2 token that was refused is
//! asked for anew, once. No secret shows in `Debug`, `Display`, errors or logs.
//!
//! Called by `notify`, `sources` and `store`. Source: prometheus/common `config/http_config.go`.

mod body;
mod credentials;
mod error;
mod metrics;
mod oauth2;
mod redirect;
mod request;
mod retry_after;
mod tls;
mod transport;
mod watched;

#[cfg(test)]
mod loopback_tests;

pub use body::{ReadError, read_bounded};
pub use error::{ClientError, Failure, SendError, redacted};
pub use metrics::Metrics;
pub use request::{Client, ClientOptions, Request};
pub use retry_after::retry_after;

pub use reqwest::{Method, Response, StatusCode, header};
