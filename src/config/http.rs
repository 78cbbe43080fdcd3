//! Prometheus' HTTP-client options, checked. Source: prometheus/common `config/http_config.go`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use url::Url;

/// A text that never shows itself: its `Debug` and `Display` are `<secret>`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A text given in place or by its `_file` twin, which is read again when it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretText {
    Inline(Secret),
    File(PathBuf),
}

/// How to talk HTTP to a peer: at most one of `basic_auth`, `authorization` and `oauth2`.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpClientConfig {
    pub basic_auth: Option<BasicAuth>,
    pub authorization: Option<Authorization>,
    pub oauth2: Option<Box<OAuth2>>,
    pub tls: TlsConfig,
    pub proxy: Proxy,
    pub follow_redirects: bool,
    pub enable_http2: bool,
    /// Header name to its values, in order.
    pub http_headers: BTreeMap<String, Vec<SecretText>>,
}

impl Default for HttpClientConfig {
    fn default() -> HttpClientConfig {
        HttpClientConfig {
            basic_auth: None,
            authorization: None,
            oauth2: None,
            tls: TlsConfig::default(),
            proxy: Proxy::default(),
            follow_redirects: true,
            enable_http2: true,
            http_headers: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuth {
    pub username: SecretText,
    /// None: empty.
    pub password: Option<SecretText>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// `Bearer` by default.
    pub scheme: String,
    /// None: the header holds the scheme alone.
    pub credentials: Option<SecretText>,
}

/// OAuth2 client credentials.
#[derive(Clone, Debug, PartialEq)]
pub struct OAuth2 {
    pub client_id: String,
    pub client_secret: SecretText,
    pub scopes: Vec<String>,
    pub token_url: Url,
    pub endpoint_params: BTreeMap<String, String>,
    pub tls: TlsConfig,
    pub proxy: Proxy,
}

/// PEM texts in place or in files; client certificates are read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    pub ca: Option<SecretText>,
    pub cert: Option<SecretText>,
    pub key: Option<SecretText>,
    pub server_name: Option<String>,
    pub insecure_skip_verify: bool,
    pub min_version: Option<TlsVersion>,
    pub max_version: Option<TlsVersion>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proxy {
    pub url: Option<Url>,
    /// Comma-separated hosts, domains and networks that are asked directly.
    pub no_proxy: Option<String>,
    pub from_environment: bool,
    pub connect_header: BTreeMap<String, Vec<Secret>>,
}
