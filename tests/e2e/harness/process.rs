//! One child process: its log in a file, its end with the value.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use super::{eventually, http, secs};

/// A Prometheus on a busy machine.
const READY_WITHIN: Duration = secs(40);

/// Lines of a log that are worth reading when a test failed.
const LOG_LINES_SHOWN: usize = 150;

pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with stdout and stderr appended to `log`.
    pub(crate) fn start(name: impl Into<String>, command: &mut Command, log: &Path) -> Process {
        let name = name.into();
        let open = || File::options().create(true).append(true).open(log).expect("the log can be opened");
        let spawned = command.stdin(Stdio::null()).stdout(open()).stderr(open()).spawn();
        let child = spawned.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Process { name, child, log: log.to_owned() }
    }

    /// Sends a signal by its name: `TERM`, `HUP`, `STOP`, `CONT`.
    pub(crate) fn signal(&self, signal: &str) {
        let script = format!("kill -{signal} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &script]).status().expect("sh runs");
        assert!(status.success(), "{script}: {status}");
    }

    /// SIGKILL, and the process is gone on return.
    pub(crate) fn kill(&mut self) {
        // An error means that it ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn try_exit(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits until `url` answers 200.
    pub(crate) async fn wait_ready(&mut self, url: &str) {
        let what = format!("{} is ready", self.name);
        eventually(&what, READY_WITHIN, async || {
            if let Some(status) = self.try_exit() {
                panic!("{} ended before it was ready: {status}", self.name);
            }
            match http::get(url).await {
                Ok(response) if response.status == 200 => Ok(()),
                Ok(response) => Err(response.text),
                Err(error) => Err(error),
            }
        })
        .await;
    }

    /// Waits for the process to end by itself.
    pub(crate) async fn exit(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        eventually(&what, limit, async || self.try_exit().ok_or("it still runs")).await
    }

    pub(crate) fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
            println!("--- log of {} (last {} of {} lines)", self.name, shown.len(), lines.len());
            println!("{}\n---", shown.join("\n"));
        }
    }
}

/// A port that nobody listens on. It stays good for a process that is killed and started again: it lies below the range
/// from which systems take the ports of outgoing connections, and no other test of this process gets it.
pub(crate) fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 18_000;
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    // Two runs at once begin at different places.
    let begin = (std::process::id() % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let port = FIRST + (begin + TAKEN.fetch_add(1, Ordering::Relaxed)) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}
