//! `bellwether run`.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use url::Url;

use crate::api::{CorsOrigin, DEFAULT_LISTEN_ADDRESS, RoutePrefix};
use crate::app::{App, AppOptions, BuildError, ExternalUrl, check};
use crate::clock::{Clock, SystemClock};
use crate::config::{Flags, parse_http_url, parse_label};
use crate::diagnostic::{Finding, Severity};
use crate::model::parse_duration;
use crate::rules::Compat;
use crate::telemetry::{LogFormat, LogLevel, log_to_stderr};
use crate::template::Template;

/// Flags are spelled as Prometheus spells them where it has them.
#[derive(Clone, Debug, Args)]
pub(super) struct Run {
    /// Configuration: a whole prometheus.yml will do. Flags win over it
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,

    /// A Prometheus (or anything with its query API) to evaluate rules at; may be given more than once
    #[arg(long = "source.url", value_name = "URL", value_parser = parse_http_url)]
    source_urls: Vec<Url>,

    /// An Alertmanager to deliver to; may be given more than once
    #[arg(long = "alertmanager.url", value_name = "URL", value_parser = parse_http_url)]
    alertmanager_urls: Vec<Url>,

    /// A rule file, or a pattern with `*`, `?`, `[a-z]` or `**`; may be given more than once
    #[arg(long = "rule-file", value_name = "PATTERN")]
    rule_files: Vec<String>,

    /// A label added to every alert and recorded series that lacks it; may be given more than once
    #[arg(long = "external-label", value_name = "NAME=VALUE", value_parser = parse_label)]
    external_labels: Vec<(String, String)>,

    /// Where recorded series, ALERTS and ALERTS_FOR_STATE go by remote write; may be given more than once
    #[arg(long = "remote-write.url", value_name = "URL", value_parser = parse_http_url)]
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

    /// Bound of queries in flight: one for each group, and this many less one over all of them
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
    #[arg(long = "log.level", value_name = "LEVEL", value_enum, default_value_t = LevelFlag::Info)]
    log_level: LevelFlag,

    /// How log lines look
    #[arg(long = "log.format", value_name = "FORMAT", value_enum, default_value_t = FormatFlag::Logfmt)]
    log_format: FormatFlag,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CompatFlag {
    Bellwether,
    Promtool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LevelFlag {
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatFlag {
    Logfmt,
    Json,
}

/// Flags, configuration or rules that cannot be run with.
const EXIT_REFUSED: u8 = 2;
/// Anything else that went wrong.
const EXIT_FAILED: u8 = 1;

impl Run {
    /// `shown_flags`: every flag with its value, for the API.
    pub(super) fn run(self, shown_flags: BTreeMap<String, String>) -> ExitCode {
        let dry_run = self.dry_run;
        let (level, format) = (self.log_level, self.log_format);
        let options = match self.options(shown_flags) {
            Ok(options) => options,
            Err(error) => return refuse(&error),
        };
        if dry_run {
            return dry(&options);
        }
        if let Err(error) = log_to_stderr(level.into(), format.into(), || SystemClock.now()) {
            return refuse(&error.to_string());
        }
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                eprintln!("error: cannot start: {error}");
                return ExitCode::from(EXIT_FAILED);
            }
        };
        let code = runtime.block_on(async {
            match App::build(options, SystemClock::shared()).await {
                Ok(app) => {
                    app.run().await;
                    ExitCode::SUCCESS
                }
                Err(BuildError::Faulty(findings)) => {
                    show(&findings);
                    refuse(&BuildError::Faulty(findings).to_string())
                }
                Err(error @ BuildError::NoSource) => refuse(&error.to_string()),
                Err(BuildError::Other(error)) => {
                    eprintln!("error: {error}");
                    ExitCode::from(EXIT_FAILED)
                }
            }
        });
        // What still runs on a blocking thread (a file system that hangs, say) must not hold up the end.
        runtime.shutdown_background();
        code
    }

    fn options(self, shown_flags: BTreeMap<String, String>) -> Result<AppOptions, String> {
        let of = |flag: &'static str| move |error: &dyn std::fmt::Display| format!("{flag}: {error}");
        let listen_addresses = match self.listen_addresses.is_empty() {
            true => vec![DEFAULT_LISTEN_ADDRESS.to_owned()],
            false => self.listen_addresses,
        };
        let external_url = match &self.external_url {
            Some(text) => ExternalUrl::parse(text).map_err(|error| of("--web.external-url")(&error))?,
            None => ExternalUrl::of_machine(&listen_addresses[0]),
        };
        let prefix = self.route_prefix.as_deref().unwrap_or(external_url.path());
        let route_prefix: RoutePrefix = prefix.parse().map_err(|error| of("--web.route-prefix")(&error))?;
        let alert_source_url = self.alert_source_url.as_deref().map(|text| Template::parse("alert.source-url", text));
        Ok(AppOptions {
            config_file: self.config_file,
            flags: Flags {
                source_urls: self.source_urls,
                alertmanager_urls: self.alertmanager_urls,
                rule_files: self.rule_files,
                external_labels: self.external_labels,
                remote_write_urls: self.remote_write_urls,
                evaluation_interval: self.evaluation_interval,
            },
            compat: match self.compat {
                CompatFlag::Bellwether => Compat::Native,
                CompatFlag::Promtool => Compat::Promtool,
            },
            auto_reload: self.auto_reload.then_some(self.auto_reload_interval),
            alert_source_url: alert_source_url.transpose().map_err(|error| of("--alert.source-url")(&error))?,
            for_outage_tolerance: self.for_outage_tolerance,
            for_grace_period: self.for_grace_period,
            resend_delay: self.resend_delay,
            max_concurrent_evals: self.max_concurrent_evals,
            query_timeout: self.query_timeout,
            notification_batch_size: self.notification_batch_size,
            shutdown_timeout: self.shutdown_timeout,
            listen_addresses,
            web_config_file: self.web_config_file,
            external_url,
            route_prefix,
            enable_lifecycle: self.enable_lifecycle,
            cors_origin: CorsOrigin::new(&self.cors_origin).map_err(|error| of("--web.cors.origin")(&error))?,
            shown_flags: Arc::new(shown_flags),
        })
    }
}

fn refuse(error: &str) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(EXIT_REFUSED)
}

/// Everything that is wrong, with the lines it is about.
fn show(findings: &[Finding]) {
    let color = std::io::stderr().is_terminal();
    for finding in findings.iter().filter(|finding| finding.severity != Severity::Info) {
        eprintln!("{}\n", finding.render(color));
    }
}

fn dry(options: &AppOptions) -> ExitCode {
    match check(options) {
        Ok(checked) => {
            show(&checked.findings);
            let rules: usize = checked.groups.iter().map(|group| group.rules.len()).sum();
            let (files, groups) = (checked.rule_files, checked.groups.len());
            println!("configuration and rules are valid: {files} rule files, {groups} groups, {rules} rules");
            ExitCode::SUCCESS
        }
        Err(findings) => {
            show(&findings);
            refuse(&BuildError::Faulty(findings).to_string())
        }
    }
}

impl From<LevelFlag> for LogLevel {
    fn from(level: LevelFlag) -> LogLevel {
        match level {
            LevelFlag::Debug => LogLevel::Debug,
            LevelFlag::Info => LogLevel::Info,
            LevelFlag::Warn => LogLevel::Warn,
            LevelFlag::Error => LogLevel::Error,
        }
    }
}

impl From<FormatFlag> for LogFormat {
    fn from(format: FormatFlag) -> LogFormat {
        match format {
            FormatFlag::Logfmt => LogFormat::Logfmt,
            FormatFlag::Json => LogFormat::Json,
        }
    }
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
