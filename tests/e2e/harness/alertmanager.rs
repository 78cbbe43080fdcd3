//! A real Alertmanager.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, free_port};
use super::{Labels, Peers, http, string_map};

/// It listens on one port for its whole life, through kills and restarts.
pub(crate) struct Alertmanager {
    program: PathBuf,
    port: u16,
    // Before the directory: its log is read when it ends.
    process: Process,
    directory: TempDir,
}

impl Alertmanager {
    /// Starts with one receiver, which is told of every alert by itself, at once, and of its end. Ready on return.
    pub(crate) async fn start(peers: &Peers, webhook_url: &str) -> Alertmanager {
        let config = format!(
            "route:\n  receiver: webhook\n  group_by: ['...']\n  group_wait: 100ms\n  group_interval: 1s\n  \
             repeat_interval: 1h\nreceivers:\n  - name: webhook\n    webhook_configs:\n      - url: {webhook_url}\n"
        );
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        fs::write(directory.path().join("alertmanager.yml"), config).expect("the configuration can be written");
        let (program, port) = (peers.alertmanager.clone(), free_port());
        let process = spawn(&program, port, &directory);
        let mut alertmanager = Alertmanager { program, port, directory, process };
        alertmanager.wait_ready().await;
        alertmanager
    }

    async fn wait_ready(&mut self) {
        let url = format!("{}/-/ready", self.url());
        self.process.wait_ready(&url).await;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// On the same port and data; Alertmanager keeps no alerts on disk.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.process = spawn(&self.program, self.port, &self.directory);
        self.wait_ready().await;
    }

    /// Stops all its threads: it accepts connections and answers nothing, and forgets nothing.
    pub(crate) fn freeze(&self) {
        self.process.signal("STOP");
    }

    pub(crate) fn thaw(&self) {
        self.process.signal("CONT");
    }

    /// The alerts that fire here now, as the API gives them.
    pub(crate) async fn alerts(&self) -> Result<Vec<Value>, String> {
        match http::get_json(&format!("{}/api/v2/alerts", self.url()), &[]).await? {
            Value::Array(alerts) => Ok(alerts),
            other => Err(format!("not a list: {other}")),
        }
    }

    /// The alert that fires here now and has these labels among its own.
    pub(crate) async fn firing(&self, wanted: &Labels) -> Result<Value, String> {
        let alerts = self.alerts().await?;
        let found = alerts.iter().find(|alert| {
            let labels = string_map(&alert["labels"]);
            wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
        });
        found.cloned().ok_or_else(|| format!("{wanted:?} does not fire at {}; these do: {alerts:?}", self.url()))
    }

    pub(crate) async fn not_firing(&self, wanted: &Labels) -> Result<(), String> {
        // An Alertmanager that does not answer has not said that the alert is over.
        self.alerts().await?;
        match self.firing(wanted).await {
            Ok(alert) => Err(format!("still fires at {}: {alert}", self.url())),
            Err(_) => Ok(()),
        }
    }
}

fn spawn(program: &PathBuf, port: u16, directory: &TempDir) -> Process {
    let path = directory.path();
    let mut command = Command::new(program);
    command
        .current_dir(path)
        .env("GOMAXPROCS", "2")
        .args(["--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address="])
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    Process::start(format!("alertmanager :{port}"), &mut command, &path.join("log"))
}
