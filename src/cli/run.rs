//! `bellwether run`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use url::Url;

use crate::model::parse_duration;

/// Flags are spelled as Prometheus spells them where it has them.
#[derive(Clone, Debug, Args)]
pub(super) struct Run {
    /// Configuration: a whole prometheus.yml will do. Flags win over it
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,

    /// A Prometheus (or anything with its query API) to evaluate rules at; may be given more than once
    #[arg(long = "source.url", value_name = "URL", value_parser = http_url)]
    source_urls: Vec<Url>,

    /// An Alertmanager to deliver to; may be given more than once
    #[arg(long = "alertmanager.url", value_name = "URL", value_parser = http_url)]
    alertmanager_urls: Vec<Url>,

    /// A rule file, or a pattern with `*`, `?`, `[a-z]` or `**`; may be given more than once
    #[arg(long = "rule-file", value_name = "PATTERN")]
    rule_files: Vec<String>,

    /// A label added to every alert and recorded series that lacks it; may be given more than once
    #[arg(long = "external-label", value_name = "NAME=VALUE", value_parser = label)]
    external_labels: Vec<(String, String)>,

    /// Where recorded series, ALERTS and ALERTS_FOR_STATE go by remote write; may be given more than once
    #[arg(long = "remote-write.url", value_name = "URL", value_parser = http_url)]
    remote_write_urls: Vec<Url>,

    /// Interval of groups that name none [default: 1m]
    #[arg(long = "evaluation-interval", value_name = "DURATION", value_parser = positive_duration)]
    evaluation_interval: Option<Duration>,

    /// Check configuration and rules, say what is wrong with them, and end
    #[arg(long = "dry-run")]
    dry_run: bool,

    /// Whose verdict on rule files counts: `promtool` refuses what only Bellwether takes
    #[arg(long = "compat", value_name = "WHOSE", value_enum, default_value_t = CompatFlag::Bellwether)]
    compat: CompatFlag,

    /// Load configuration and rules again when their content changes, mounted ConfigMaps included
    #[arg(long = "config.auto-reload")]
    auto_reload: bool,

    /// How often to look for changes with --config.auto-reload
    #[arg(
        long = "config.auto-reload-interval",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = positive_duration
    )]
    auto_reload_interval: Duration,

    /// Where alerts lead people: a template that sees the alert's labels and `__expr__`, `__group__`, `__file__` and
    /// `__source__` as labels, as in `https://dash/explore?q={{ $labels.__expr__ | urlQueryEscape }}` [default: /graph at
    /// the source's external URL]
    #[arg(long = "alert.source-url", value_name = "TEMPLATE")]
    alert_source_url: Option<String>,

    /// How far back ALERTS_FOR_STATE is believed after a restart
    #[arg(
        long = "rules.alert.for-outage-tolerance",
        value_name = "DURATION",
        default_value = "1h",
        value_parser = duration
    )]
    for_outage_tolerance: Duration,

    /// Least time between a restart and the firing of an alert that was pending; never more than its `for`
    #[arg(
        long = "rules.alert.for-grace-period",
        value_name = "DURATION",
        default_value = "10m",
        value_parser = duration
    )]
    for_grace_period: Duration,

    /// Least time before an Alertmanager that accepted an alert is sent it again
    #[arg(
        long = "rules.alert.resend-delay",
        value_name = "DURATION",
        default_value = "1m",
        value_parser = positive_duration
    )]
    resend_delay: Duration,

    /// Queries that may be in flight beyond one for each group
    #[arg(long = "rules.max-concurrent-evals", value_name = "N", default_value_t = 4)]
    max_concurrent_evals: usize,

    /// Longest time a query may take
    #[arg(long = "query.timeout", value_name = "DURATION", default_value = "2m", value_parser = positive_duration)]
    query_timeout: Duration,

    /// Alerts in one request to an Alertmanager
    #[arg(long = "alertmanager.notification-batch-size", value_name = "N", default_value_t = 256)]
    notification_batch_size: usize,

    /// Longest time a stop waits for running evaluations, and again for what is undelivered
    #[arg(long = "shutdown.timeout", value_name = "DURATION", default_value = "15s", value_parser = duration)]
    shutdown_timeout: Duration,

    /// Address to listen on; may be given more than once [default: :9595]
    #[arg(long = "web.listen-address", value_name = "ADDRESS")]
    listen_addresses: Vec<String>,

    /// TLS and basic auth of the API, in Prometheus' web configuration format
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config_file: Option<PathBuf>,

    /// The URL under which people reach this ruler: `$externalURL` in templates
    #[arg(long = "web.external-url", value_name = "URL")]
    external_url: Option<String>,

    /// Path prefix of all pages [default: the path of --web.external-url]
    #[arg(long = "web.route-prefix", value_name = "PATH")]
    route_prefix: Option<String>,

    /// Allow reload and stop by POST to /-/reload and /-/quit
    #[arg(long = "web.enable-lifecycle")]
    enable_lifecycle: bool,

    /// Origins allowed to read the API from a browser: an anchored regular expression
    #[arg(long = "web.cors.origin", value_name = "REGEX", default_value = ".*")]
    cors_origin: String,

    /// Least important messages to log
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info")]
    log_level: String,

    /// How log lines look
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt")]
    log_format: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CompatFlag {
    Bellwether,
    Promtool,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be longer than 0s".to_owned()),
        duration => Ok(duration),
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE".to_owned()),
    }
}

fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err("must be http://host:port or https://host:port".to_owned()),
    }
}
