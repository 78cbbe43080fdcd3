//! Configuration: text to one checked `Config`.
//!
//! A superset of the parts of `prometheus.yml` that a ruler reads: a whole `prometheus.yml` loads as it is, what only
//! scraping and storage need is passed over. `parse` finds all faults of a text at once, each with its place; `load`
//! alone opens files; `Config::with_flags` lets the command line win; `Config::to_yaml` shows what counts. A secret never
//! appears in a message, in a quoted line, in `Debug` or in YAML. Source: Prometheus `config/config.go`.

mod address;
mod alerting;
mod client;
mod expand;
mod file;
mod flags;
mod global;
pub mod http;
pub mod load;
pub mod model;
mod pattern;
mod print;
mod read;
mod relabeling;
mod remote_write;
mod sources;

#[cfg(test)]
mod tests;

pub use address::{parse_http_url, redacted};
pub use file::{ParseOptions, parse};
pub use flags::{Flags, SOURCE_LABEL, parse_label};
pub use http::{Authorization, BasicAuth, HttpClientConfig, OAuth2, Proxy, Secret, SecretText, TlsConfig, TlsVersion};
pub use load::{LoadError, LoadOptions, Loaded, current_digest, digest, load, load_rules};
pub use model::{
    Alerting, AlertmanagerConfig, Config, Global, RemoteWriteConfig, RemoteWriteQueue, SourceConfig, SourceKind,
    TargetGroup,
};
