//! Prometheus' HTTP-client options, checked. Source: prometheus/common `config/http_config.go`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use url::Url;

use super::address::redacted;
use super::read::is_secret_name;

/// What is shown in place of a secret.
const HIDDEN: &str = "<secret>";

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
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
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
#[derive(Clone, PartialEq)]
pub struct OAuth2 {
    pub client_id: String,
    pub client_secret: SecretText,
    pub scopes: Vec<String>,
    pub token_url: Url,
    pub endpoint_params: BTreeMap<String, String>,
    pub tls: TlsConfig,
    pub proxy: Proxy,
}

impl OAuth2 {
    /// The endpoint parameters as they may be shown: a password grant has its password here.
    pub fn shown_params(&self) -> BTreeMap<&str, &str> {
        let shown = |name: &str, value| if is_secret_name(name) { HIDDEN } else { value };
        self.endpoint_params.iter().map(|(name, value)| (name.as_str(), shown(name, value.as_str()))).collect()
    }
}

impl fmt::Debug for OAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2")
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret)
            .field("scopes", &self.scopes)
            .field("token_url", &redacted(&self.token_url))
            .field("endpoint_params", &self.shown_params())
            .field("tls", &self.tls)
            .field("proxy", &self.proxy)
            .finish()
    }
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

impl TlsVersion {
    pub const ALL: [TlsVersion; 4] = [TlsVersion::Tls10, TlsVersion::Tls11, TlsVersion::Tls12, TlsVersion::Tls13];

    /// As it is written in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            TlsVersion::Tls10 => "TLS10",
            TlsVersion::Tls11 => "TLS11",
            TlsVersion::Tls12 => "TLS12",
            TlsVersion::Tls13 => "TLS13",
        }
    }
}

#[derive(Clone, Default, PartialEq)]
pub struct Proxy {
    pub url: Option<Url>,
    /// Comma-separated hosts, domains and networks that are asked directly.
    pub no_proxy: Option<String>,
    pub from_environment: bool,
    pub connect_header: BTreeMap<String, Vec<Secret>>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("url", &self.url.as_ref().map(redacted))
            .field("no_proxy", &self.no_proxy)
            .field("from_environment", &self.from_environment)
            .field("connect_header", &self.connect_header)
            .finish()
    }
}
