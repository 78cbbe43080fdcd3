//! Configuration: text to one checked `Config`.
//!
//! A superset of the parts of `prometheus.yml` that a ruler reads. `load` alone opens files.

pub mod http;
pub mod model;

pub use http::{Authorization, BasicAuth, HttpClientConfig, OAuth2, Proxy, Secret, SecretText, TlsConfig, TlsVersion};
pub use model::{
    Alerting, AlertmanagerConfig, Config, Global, RemoteWriteConfig, RemoteWriteQueue, SourceConfig, SourceKind,
    TargetGroup, ValidationScheme,
};
