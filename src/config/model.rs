//! The checked configuration. Built by this room alone; every room above trusts it.

use std::time::Duration;

use url::Url;

use super::HttpClientConfig;
use crate::model::Labels;
use crate::relabel::RelabelRule;

#[derive(Clone, Debug, PartialEq)]
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValidationScheme {
    #[default]
    Utf8,
    Legacy,
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

#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetGroup {
    /// `host:port` each.
    pub targets: Vec<String>,
    pub labels: Labels,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RemoteWriteConfig {
    /// The block's `name`, or a short stable hash of it.
    pub name: String,
    pub url: Url,
    /// Of one request; 30s by default.
    pub timeout: Duration,
    pub http: HttpClientConfig,
    pub write_relabel: Vec<RelabelRule>,
    pub queue: RemoteWriteQueue,
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
#[derive(Clone, Debug, PartialEq)]
pub struct SourceConfig {
    /// Unique.
    pub name: String,
    pub kind: SourceKind,
    pub url: Url,
    /// Where people look at this source: generator URLs lead there. The `url` by default.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// Evaluates at a Prometheus query API.
    Prometheus,
}
