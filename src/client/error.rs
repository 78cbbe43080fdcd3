//! The ways in which a request fails, told apart, without secrets.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

/// Options that no client can be built from. Files are not read here: a file that is missing shows at the first request,
/// and heals when the file appears.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "no TLS version is left between tls_config.min_version and tls_config.max_version; this client speaks 1.2 and 1.3"
    )]
    TlsVersions,
    #[error("tls_config.server_name {0:?} is neither a host name nor an address")]
    ServerName(String),
    #[error("tls_config.{option}: {message}")]
    Pem { option: &'static str, message: String },
    #[error("tls_config: a client certificate needs both cert and key")]
    HalfIdentity,
    #[error("http_headers: {0:?} is not a header name")]
    HeaderName(String),
    #[error("{option}: the value of header {name:?} has bytes that a header cannot hold")]
    HeaderValue { option: &'static str, name: String },
    #[error("proxy_url: {0}")]
    Proxy(String),
    #[error("cannot build an HTTP client: {0}")]
    Build(String),
}

/// Where a request stopped. What the peer answered is never a `Failure`: a status is an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// Credentials or certificates are not to be had: a file that cannot be read, a token that is not granted.
    Setup,
    /// No connection: refused, unreachable, unknown host, failed TLS handshake. The peer has seen nothing.
    Connect,
    /// No whole answer in time. The peer may have seen the request.
    Timeout,
    /// The connection ended in the middle. The peer may have seen the request.
    Cut,
    /// More redirects than are followed, or one that leads nowhere.
    Redirect,
    /// Not HTTP, or a body whose compression does not decode.
    Malformed,
}

impl Failure {
    /// The word for it in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Failure::Setup => "setup",
            Failure::Connect => "connect",
            Failure::Timeout => "timeout",
            Failure::Cut => "cut",
            Failure::Redirect => "redirect",
            Failure::Malformed => "malformed",
        }
    }

    /// Whether the peer can have acted on the request although no answer came.
    pub fn may_have_arrived(self) -> bool {
        !matches!(self, Failure::Setup | Failure::Connect)
    }

    pub(super) fn of(error: &reqwest::Error) -> Failure {
        // A connection that is not made in time is no connection: the peer has seen nothing.
        if error.is_connect() {
            return Failure::Connect;
        }
        if error.is_timeout() {
            return Failure::Timeout;
        }
        if error.is_decode() && !is_cut(error) {
            return Failure::Malformed;
        }
        if error.is_builder() || is_no_http(error) { Failure::Malformed } else { Failure::Cut }
    }
}

/// A request without an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{method} {target}: {message}")]
pub struct SendError {
    pub failure: Failure,
    pub method: String,
    /// The URL without user, password and query.
    pub target: String,
    pub message: String,
}

impl SendError {
    pub(super) fn timeout(method: &reqwest::Method, url: &Url, timeout: Duration) -> SendError {
        SendError::new(Failure::Timeout, method, url, format!("no answer within {timeout:?}"))
    }

    pub(super) fn new(failure: Failure, method: &reqwest::Method, url: &Url, message: String) -> SendError {
        SendError { failure, method: method.to_string(), target: redacted(url), message }
    }
}

/// Credentials or certificates that are not to be had now, and may be later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SetupError {
    #[error("cannot read {path:?}: {message}")]
    File { path: PathBuf, message: String },
    #[error("{0}")]
    Tls(String),
    #[error("{option}: the value of header {name:?} has bytes that a header cannot hold")]
    HeaderValue { option: &'static str, name: String },
    #[error("no OAuth2 token from {target}: {message}")]
    Token { target: String, message: String },
}

/// The URL as it may be shown: without user, password, query and fragment.
pub fn redacted(url: &Url) -> String {
    let mut shown = url.clone();
    // These fail only for URLs that cannot hold a user at all.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.into()
}

/// What lies under a `reqwest::Error`, whose own text only repeats the URL.
pub(super) fn cause(error: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = error.source();
    while let Some(error) = next {
        let text = error.to_string();
        let says_more = !text.starts_with("client error (") && !parts.iter().any(|part| part.contains(&text));
        if says_more {
            parts.push(text);
        }
        next = error.source();
    }
    if parts.is_empty() { kind_of(error).to_owned() } else { parts.join(": ") }
}

fn kind_of(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else if error.is_decode() {
        "the body does not decode"
    } else {
        "the connection failed"
    }
}

/// Something came, and its head does not read. That, too, shows as hyper's own error.
fn is_no_http(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| {
        let text = cause.to_string();
        text.starts_with("invalid HTTP ") || text.starts_with("message head is too large")
    })
}

fn is_cut(error: &reqwest::Error) -> bool {
    causes(error).any(|error| {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
            if matches!(io.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe) {
                return true;
            }
        }
        // A body that ends early shows as hyper's own error, which this crate does not name.
        error.to_string().contains("end of file before message length reached")
    })
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |error: &&(dyn StdError + 'static)| (*error).source())
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_secrets() {
        for (url, shown) in [
            ("http://user:password@am:9093/api/v2/alerts?token=x#f", "http://am:9093/api/v2/alerts"),
            ("https://am/", "https://am/"),
        ] {
            assert_eq!(redacted(&Url::parse(url).unwrap()), shown);
        }
    }
}
