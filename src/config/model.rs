//! The checked configuration. Built by this room alone; every room above trusts it.

use std::fmt;
use std::time::Duration;

use url::Url;

use super::address::redacted;
use super::{HttpClientConfig, print};
use crate::model::{Labels, ValidationScheme};
use crate::relabel::RelabelRule;

/// Of one request to an Alertmanager.
pub const ALERTMANAGER_TIMEOUT: Duration = Duration::from_secs(10);
/// Of one remote-write request.
pub const REMOTE_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Of one query.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(120);
/// Queries in flight at one source.
pub const CONCURRENT_QUERIES_DEFAULT: usize = 20;
/// Largest answer of a source, in bytes. 100k series by instant query are about 20 MiB; ten times that is a mistake.
pub const ANSWER_BYTES_MAX: u64 = 256 << 20;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    pub global: Global,
    /// Patterns, already joined to the directory of the file that names them.
    pub rule_files: Vec<String>,
    pub alerting: Alerting,
    pub remote_write: Vec<RemoteWriteConfig>,
    pub sources: Vec<SourceConfig>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Global {
    /// 1m unless said otherwise; never zero.
    pub evaluation_interval: Duration,
    pub rule_query_offset: Duration,
    /// `$VAR` and `${VAR}` already replaced from the environment.
    pub external_labels: Labels,
    pub validation_scheme: ValidationScheme,
}

impl Default for Global {
    fn default() -> Global {
        Global {
            evaluation_interval: Duration::from_secs(60),
            rule_query_offset: Duration::ZERO,
            external_labels: Labels::empty(),
            validation_scheme: ValidationScheme::default(),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerting {
    /// `alert_relabel_configs`, applied once, before those of each Alertmanager.
    pub relabel: Vec<RelabelRule>,
    pub alertmanagers: Vec<AlertmanagerConfig>,
}

/// One block of `alerting.alertmanagers`: any number of Alertmanagers that share options.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertmanagerConfig {
    /// `http` or `https`.
    pub scheme: String,
    pub path_prefix: String,
    /// Of one request; 10s by default.
    pub timeout: Duration,
    pub http: HttpClientConfig,
    pub static_configs: Vec<TargetGroup>,
    /// On targets.
    pub relabel: Vec<RelabelRule>,
    /// On alerts, after the global ones.
    pub alert_relabel: Vec<RelabelRule>,
}

impl Default for AlertmanagerConfig {
    fn default() -> AlertmanagerConfig {
        AlertmanagerConfig {
            scheme: "http".to_owned(),
            path_prefix: String::new(),
            timeout: ALERTMANAGER_TIMEOUT,
            http: HttpClientConfig::default(),
            static_configs: Vec::new(),
            relabel: Vec::new(),
            alert_relabel: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetGroup {
    /// `host:port` each.
    pub targets: Vec<String>,
    pub labels: Labels,
}

#[derive(Clone, PartialEq)]
pub struct RemoteWriteConfig {
    /// The block's `name`, or a short stable hash of it. Unique.
    pub name: String,
    /// Without user information, which is in `http`.
    pub url: Url,
    /// Of one request; 30s by default.
    pub timeout: Duration,
    pub http: HttpClientConfig,
    pub write_relabel: Vec<RelabelRule>,
    pub queue: RemoteWriteQueue,
}

impl RemoteWriteConfig {
    /// Writing to `url` with all defaults; the name is still empty.
    pub(super) fn to(url: Url) -> RemoteWriteConfig {
        RemoteWriteConfig {
            name: String::new(),
            url,
            timeout: REMOTE_WRITE_TIMEOUT,
            http: HttpClientConfig { enable_http2: false, ..HttpClientConfig::default() },
            write_relabel: Vec::new(),
            queue: RemoteWriteQueue::default(),
        }
    }

    /// Six hexadecimal digits that stay while the block says the same, numbered if they are `taken`.
    pub(super) fn default_name(&self, taken: impl Fn(&str) -> bool) -> String {
        let text = print::remote_write_text(&RemoteWriteConfig { name: String::new(), ..self.clone() });
        let hash = xxhash_rust::xxh64::xxh64(text.as_bytes(), 0);
        let name = format!("{:06x}", hash & 0xff_ffff);
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        std::iter::once(name.clone()).chain(numbered).find(|name| !taken(name)).expect("the numbers do not end")
    }
}

impl fmt::Debug for RemoteWriteConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteWriteConfig")
            .field("name", &self.name)
            .field("url", &redacted(&self.url))
            .field("timeout", &self.timeout)
            .field("http", &self.http)
            .field("write_relabel", &self.write_relabel)
            .field("queue", &self.queue)
            .finish()
    }
}

/// `queue_config`, with Prometheus' names and defaults where they mean something here.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteWriteQueue {
    /// Samples held per target; 10,000 x `max_shards` of Prometheus come to 500,000, which is our default.
    pub capacity: usize,
    /// 2000
    pub max_samples_per_send: usize,
    /// 30ms
    pub min_backoff: Duration,
    /// 5s
    pub max_backoff: Duration,
    /// Prometheus' default is false; ours is true: nothing is lost.
    pub retry_on_http_429: bool,
}

impl RemoteWriteQueue {
    /// Samples held per target at most, whatever the file says: ten million are about a gigabyte.
    pub const CAPACITY_MAX: usize = 10_000_000;
}

impl Default for RemoteWriteQueue {
    fn default() -> RemoteWriteQueue {
        RemoteWriteQueue {
            capacity: 500_000,
            max_samples_per_send: 2000,
            min_backoff: Duration::from_millis(30),
            max_backoff: Duration::from_secs(5),
            retry_on_http_429: true,
        }
    }
}

/// One entry of `sources`: where rules are evaluated.
#[derive(Clone, PartialEq)]
pub struct SourceConfig {
    /// Unique.
    pub name: String,
    pub kind: SourceKind,
    /// Without user information, which is in `http`.
    pub url: Url,
    /// Where people look at this source: generator URLs lead there. The `url` by default. No user information.
    pub external_url: Option<Url>,
    /// Added to every result of this source; they win over the series' own.
    pub labels: Labels,
    pub http: HttpClientConfig,
    /// Of one query; 2m by default, and never longer than the group's interval allows.
    pub timeout: Duration,
    /// Queries in flight at most; 20 by default.
    pub max_concurrent_queries: usize,
    /// Largest answer taken, in bytes of (decompressed) JSON; 256 MiB by default.
    pub max_answer_bytes: u64,
}

impl SourceConfig {
    /// The name of a source that is the only one and was given none.
    pub const DEFAULT_NAME: &str = "default";

    /// A Prometheus at `url`, with all defaults.
    pub(super) fn prometheus(name: String, url: Url) -> SourceConfig {
        SourceConfig {
            name,
            kind: SourceKind::Prometheus,
            url,
            external_url: None,
            labels: Labels::empty(),
            http: HttpClientConfig::default(),
            timeout: QUERY_TIMEOUT,
            max_concurrent_queries: CONCURRENT_QUERIES_DEFAULT,
            max_answer_bytes: ANSWER_BYTES_MAX,
        }
    }
}

impl fmt::Debug for SourceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceConfig")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("url", &redacted(&self.url))
            .field("external_url", &self.external_url.as_ref().map(redacted))
            .field("labels", &self.labels)
            .field("http", &self.http)
            .field("timeout", &self.timeout)
            .field("max_concurrent_queries", &self.max_concurrent_queries)
            .field("max_answer_bytes", &self.max_answer_bytes)
            .finish()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// Evaluates at a Prometheus query API.
    Prometheus,
}
