//! A real Prometheus: found by `BELLWETHER_PEERS` or on PATH, started on a free port, killed at the end.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// A Prometheus with an empty store and the remote-write receiver on.
pub(crate) struct Prometheus {
    /// Without a slash at its end.
    pub(crate) url: String,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// None, with a line that says so, where there is no such program.
    pub(crate) async fn start(test: &str) -> Option<Prometheus> {
        let Some(program) = find("prometheus") else {
            eprintln_skipped(test);
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, "global: {}\n").unwrap();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let process = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={free}"))
            .arg("--web.enable-remote-write-receiver")
            .arg("--enable-feature=native-histograms")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let prometheus = Prometheus { url: format!("http://{free}"), process, _folder: folder };
        prometheus.ready().await;
        Some(prometheus)
    }

    pub(crate) async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    async fn ready(&self) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for _ in 0..600 {
            let answer = client.get(format!("{}/-/ready", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("prometheus did not get ready at {}", self.url);
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("BELLWETHER_PEERS").or_else(|| std::env::var_os("PATH"))?;
    std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests must see what was not tested")]
fn eprintln_skipped(test: &str) {
    eprintln!("skipped: {test}: no prometheus in BELLWETHER_PEERS or on PATH");
}
