//! What the API shows, in its own words: snapshots that somebody else fills.
//!
//! The seam between `api` and the rest: `app` implements `Views`; `api` reads nothing else. A snapshot is taken once per
//! request and never changes under the reader.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::model::{Labels, Timestamp};

/// Everything the API can say and do. Every method but `metrics_text` returns at once; `metrics_text` may take as long as
/// gathering takes, and is called off the runtime.
pub trait Views: Send + Sync + 'static {
    /// All rule groups, ordered by file, then name.
    fn groups(&self) -> Arc<[GroupView]>;

    fn alertmanagers(&self) -> AlertmanagersView;

    /// The configuration in force, as YAML, secrets shown as `<secret>`.
    fn config_yaml(&self) -> String;

    /// Every flag and its value in force, without `--`; secrets (the password of a URL) shown as `<secret>`.
    fn flags(&self) -> Arc<BTreeMap<String, String>>;

    fn runtime(&self) -> RuntimeView;

    fn readiness(&self) -> Readiness;

    /// All metrics in the text exposition format 0.0.4.
    fn metrics_text(&self) -> String;

    /// Where people find `/graph` of the source that generator URLs lead to, without `/graph`; none if there is no source.
    fn source_url_for_graph(&self) -> Option<String>;

    /// Loads configuration and rules again. The error is shown to the caller. Runs to its end whether or not the caller
    /// stays to hear it.
    fn reload(&self) -> BoxFuture<'static, Result<(), String>>;

    /// Starts the graceful stop.
    fn quit(&self);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// No configuration is applied yet.
    Starting,
    Ready,
    Stopping,
}

#[derive(Clone, Debug, PartialEq)]
pub struct GroupView {
    pub name: Arc<str>,
    pub file: Arc<str>,
    pub interval: Duration,
    /// 0: unlimited.
    pub limit: usize,
    /// None: not set for the group.
    pub query_offset: Option<Duration>,
    /// What the last evaluation took; zero before the first.
    pub evaluation_time: Duration,
    /// None: never yet.
    pub last_evaluation: Option<Timestamp>,
    /// In the order of the file.
    pub rules: Vec<RuleView>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RuleView {
    pub name: Arc<str>,
    /// The normalised expression.
    pub query: Arc<str>,
    /// As configured, those of the group merged in, templates not expanded.
    pub labels: Labels,
    pub health: Health,
    pub last_error: Option<Arc<str>>,
    pub evaluation_time: Duration,
    pub last_evaluation: Option<Timestamp>,
    pub kind: RuleViewKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Unknown,
    Ok,
    Err,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RuleViewKind {
    Alerting(AlertingView),
    Recording,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AlertingView {
    pub state: RuleState,
    pub hold_duration: Duration,
    pub keep_firing_for: Duration,
    /// As configured, not expanded.
    pub annotations: Labels,
    /// Pending and firing ones; those that are resolved are not shown.
    pub alerts: Vec<AlertView>,
}

/// The gravest state of a rule's alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleState {
    /// Not evaluated yet.
    Unknown,
    Inactive,
    Pending,
    Firing,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AlertView {
    pub labels: Labels,
    pub annotations: Labels,
    pub state: AlertViewState,
    pub active_at: Timestamp,
    pub keep_firing_since: Option<Timestamp>,
    pub value: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertViewState {
    Pending,
    Firing,
}

/// Push URLs (`http://host:9093/api/v2/alerts`), without credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertmanagersView {
    pub active: Vec<String>,
    /// Dropped by relabeling.
    pub dropped: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RuntimeView {
    pub start_time: Timestamp,
    /// Now.
    pub server_time: Timestamp,
    pub working_directory: String,
    pub hostname: String,
    pub reload_config_success: bool,
    /// When the configuration in force was loaded; none before the first.
    pub last_config_time: Option<Timestamp>,
    /// Why the last reload was refused; none if it was not.
    pub last_reload_error: Option<String>,
    /// What somebody should look at, one sentence each.
    pub warnings: Vec<String>,
}
