//! The program itself.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, free_port};
use super::{Labels, eventually, http, labels, secs, string_map};

/// What most tests say in a configuration. Alertmanagers are given a second to answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    pub(crate) external_labels: Labels,
    pub(crate) source_url: String,
    /// `host:port` each.
    pub(crate) alertmanagers: Vec<String>,
    pub(crate) remote_write_url: Option<String>,
    pub(crate) second_source_url: Option<String>,
}

impl Config {
    pub(crate) fn new(source_url: String, alertmanagers: &[&str]) -> Config {
        let alertmanagers = alertmanagers.iter().map(|address| (*address).to_owned()).collect();
        Config { source_url, alertmanagers, ..Config::default() }
    }

    pub(crate) fn external_label(mut self, name: &str, value: &str) -> Config {
        self.external_labels.extend(labels([(name, value)]));
        self
    }

    pub(crate) fn remote_write(mut self, url: String) -> Config {
        self.remote_write_url = Some(url);
        self
    }

    /// A second source beside `main`. Each gives its name as the label `cluster`.
    pub(crate) fn second_source(mut self, url: String) -> Config {
        self.second_source_url = Some(url);
        self
    }

    pub(crate) fn to_yaml(&self) -> String {
        let mut text = "global:\n  evaluation_interval: 1s\n  external_labels:\n".to_owned();
        let mut line = |arguments: std::fmt::Arguments<'_>| writeln!(text, "{arguments}").expect("a string takes all");
        for (name, value) in &self.external_labels {
            line(format_args!("    {name}: {value}"));
        }
        line(format_args!("rule_files: [rules/*.yml]"));
        line(format_args!("alerting:\n  alertmanagers:\n    - timeout: 1s\n      static_configs:"));
        line(format_args!("        - targets: {:?}", self.alertmanagers));
        line(format_args!("sources:\n  - name: main\n    type: prometheus\n    url: {}", self.source_url));
        line(format_args!("    timeout: 1s\n    max_answer_bytes: 1MiB"));
        if let Some(url) = &self.second_source_url {
            line(format_args!("    labels: {{cluster: main}}\n  - name: second\n    type: prometheus"));
            line(format_args!("    url: {url}\n    timeout: 1s\n    labels: {{cluster: second}}"));
        }
        if let Some(url) = &self.remote_write_url {
            line(format_args!("remote_write:\n  - url: {url}"));
        }
        text
    }
}

/// A process to be: a directory with `bellwether.yml` and `rules/`, and arguments.
pub(crate) struct Setup {
    directory: TempDir,
    port: u16,
    resend_delay: String,
    arguments: Vec<String>,
}

impl Setup {
    pub(crate) fn file(self, name: &str, text: &str) -> Setup {
        write(self.directory.path(), name, text);
        self
    }

    pub(crate) fn argument(mut self, argument: impl Into<String>) -> Setup {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn resend_delay(mut self, delay: &str) -> Setup {
        self.resend_delay = delay.to_owned();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn start(self) -> Bellwether {
        let mut bellwether = self.spawn();
        bellwether.wait_ready().await;
        bellwether
    }

    pub(crate) fn spawn(self) -> Bellwether {
        let process = spawn(&self);
        Bellwether { setup: self, process }
    }
}

fn spawn(setup: &Setup) -> Process {
    let mut command = command(setup.directory.path());
    command
        .arg("run")
        .arg(format!("--web.listen-address=127.0.0.1:{}", setup.port))
        .arg("--web.enable-lifecycle")
        .arg(format!("--rules.alert.resend-delay={}", setup.resend_delay))
        .args(&setup.arguments);
    Process::start(format!("bellwether :{}", setup.port), &mut command, &setup.path("log"))
}

/// The program, without what the environment may say about proxies and logs.
fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    command.current_dir(directory).env("NO_PROXY", "*").env_remove("RUST_LOG");
    command
}

fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().expect("a file has a directory")).expect("a directory can be made");
    // People's editors and config management replace files; a reload must never see half of one.
    let new = path.with_extension("new");
    fs::write(&new, text).and_then(|()| fs::rename(&new, &path)).expect("a file can be written");
}

pub(crate) struct Bellwether {
    // Before the directory: its log is read when it ends.
    process: Process,
    setup: Setup,
}

impl Bellwether {
    /// With flags alone.
    pub(crate) fn bare() -> Setup {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        Setup { directory, port: free_port(), resend_delay: "1s".to_owned(), arguments: vec![] }
    }

    /// With `bellwether.yml`, and one rule file.
    pub(crate) fn with(config: &Config, rules: &str) -> Setup {
        Bellwether::with_text(&config.to_yaml(), rules)
    }

    pub(crate) fn with_text(config: &str, rules: &str) -> Setup {
        let setup = Bellwether::bare().argument("--config.file=bellwether.yml");
        setup.file("bellwether.yml", config).file("rules/rules.yml", rules)
    }

    async fn wait_ready(&mut self) {
        let url = format!("{}/-/ready", self.url());
        self.process.wait_ready(&url).await;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.setup.port)
    }

    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Replaces a file of its directory.
    pub(crate) fn write(&self, name: &str, text: &str) {
        write(self.setup.directory.path(), name, text);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.setup.path(name)
    }

    pub(crate) fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }

    pub(crate) async fn exit(&mut self, limit: Duration) -> ExitStatus {
        self.process.exit(limit).await
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again after it has ended, with the same directory and port.
    pub(crate) async fn start_again(&mut self) {
        self.process.kill();
        self.process = spawn(&self.setup);
        self.wait_ready().await;
    }

    pub(crate) async fn reload(&self) -> Result<http::Response, String> {
        http::post(&format!("{}/-/reload", self.url()), "text/plain", "").await
    }

    pub(crate) async fn metric(&self, name: &str, parts: &[&str]) -> Result<f64, String> {
        http::metric(&self.url(), name, parts).await
    }

    /// A rule of `/api/v1/rules`, by its name.
    pub(crate) async fn rule(&self, name: &str) -> Result<Value, String> {
        let data = http::api(&self.url(), "rules", &[]).await?;
        let groups = data["groups"].as_array().cloned().unwrap_or_default();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
        rules.into_iter().find(|rule| rule["name"] == name).ok_or_else(|| format!("no rule {name} in {data}"))
    }

    /// The rule, once its health is as wished.
    pub(crate) async fn healthy(&self, name: &str, health: &str) -> Result<Value, String> {
        let rule = self.rule(name).await?;
        if rule["health"] == health { Ok(rule) } else { Err(rule.to_string()) }
    }

    /// The active alert with these labels among its own.
    pub(crate) async fn alert(&self, wanted: &Labels) -> Result<Value, String> {
        let data = http::api(&self.url(), "alerts", &[]).await?;
        let alerts = data["alerts"].as_array().cloned().unwrap_or_default();
        let about = |alert: &&Value| {
            let labels = string_map(&alert["labels"]);
            wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
        };
        alerts.iter().find(about).cloned().ok_or_else(|| format!("{wanted:?} is not active; these are: {alerts:?}"))
    }

    pub(crate) async fn alert_in(&self, wanted: &Labels, state: &str) -> Result<Value, String> {
        let alert = self.alert(wanted).await?;
        if alert["state"] == state { Ok(alert) } else { Err(alert.to_string()) }
    }

    /// Waits until the alert is in this state.
    pub(crate) async fn wait_for(&self, wanted: &Labels, state: &str, limit: Duration) -> Value {
        eventually(&format!("{wanted:?} is {state}"), limit, async || self.alert_in(wanted, state).await).await
    }
}

/// What a call that ends by itself said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

/// Runs the program in `directory` until it ends: stdout and stderr together.
pub(crate) async fn call(directory: &Path, arguments: &[&str]) -> Said {
    let log = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    let name = format!("bellwether {}", arguments.join(" "));
    let mut process = Process::start(name, command(directory).args(arguments), log.path());
    let status = process.exit(secs(15)).await;
    Said { code: status.code(), text: process.log() }
}
