//! A real Prometheus.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, free_port};
use super::{Labels, Peers, http, string_map};

/// It listens on one port for its whole life, through kills and restarts.
pub(crate) struct Prometheus {
    program: PathBuf,
    port: u16,
    // Before the directory: its log is read when it ends.
    process: Process,
    directory: TempDir,
}

/// One series of an answer: timestamps in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    pub(crate) samples: Vec<(i64, f64)>,
}

impl Prometheus {
    /// Starts on `config`, takes remote write, and is ready on return.
    pub(crate) async fn start(peers: &Peers, config: &str) -> Prometheus {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        fs::write(directory.path().join("prometheus.yml"), config).expect("the configuration can be written");
        let (program, port) = (peers.prometheus.clone(), free_port());
        let process = spawn(&program, port, &directory);
        let mut prometheus = Prometheus { program, port, directory, process };
        prometheus.wait_ready().await;
        prometheus
    }

    async fn wait_ready(&mut self) {
        let url = format!("{}/-/ready", self.url());
        self.process.wait_ready(&url).await;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn write_url(&self) -> String {
        format!("{}/api/v1/write", self.url())
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// On the same port and data.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.process = spawn(&self.program, self.port, &self.directory);
        self.wait_ready().await;
    }

    pub(crate) async fn query(&self, expr: &str) -> Result<Vec<Series>, String> {
        let data = http::api(&self.url(), "query", &[("query", expr)]).await?;
        Ok(parse_series(&data))
    }

    /// The one value of an expression, `None` if there is no result.
    pub(crate) async fn value(&self, expr: &str) -> Result<Option<f64>, String> {
        Ok(self.query(expr).await?.first().map(|series| series.samples[0].1))
    }

    /// The samples of a selector over the last minutes as they are stored, staleness markers left out.
    pub(crate) async fn stored(&self, selector: &str) -> Result<Vec<Series>, String> {
        self.query(&format!("{selector}[10m]")).await
    }
}

fn spawn(program: &PathBuf, port: u16, directory: &TempDir) -> Process {
    let path = directory.path();
    let mut command = Command::new(program);
    command
        .current_dir(path)
        .env("GOMAXPROCS", "2")
        .arg("--config.file=prometheus.yml")
        .arg("--storage.tsdb.path=data")
        .arg("--web.enable-remote-write-receiver")
        .arg("--web.enable-lifecycle")
        .args(["--rules.alert.resend-delay=1s", "--log.level=warn"])
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    Process::start(format!("prometheus :{port}"), &mut command, &path.join("log"))
}

fn parse_series(data: &Value) -> Vec<Series> {
    let sample = |pair: &Value| {
        let at = (pair[0].as_f64().expect("a timestamp is a number") * 1000.0).round() as i64;
        (at, pair[1].as_str().expect("a value is a string").parse().expect("a value is a float"))
    };
    let series = |element: &Value| Series {
        labels: string_map(&element["metric"]),
        samples: match &element["values"] {
            Value::Array(pairs) => pairs.iter().map(sample).collect(),
            _ => vec![sample(&element["value"])],
        },
    };
    data["result"].as_array().map(|elements| elements.iter().map(series).collect()).unwrap_or_default()
}
