//! `--web.config.file`: TLS, users and headers of the server, in Prometheus' own format.
//!
//! `file` checks the text, `tls` makes the server of it, `names` lets clients in by name. `WebConfig` holds what is in
//! force; the server asks it to look again at a steady pace, and a change that cannot be taken leaves the old in force.

mod file;
mod names;
mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use axum::http::{HeaderName, HeaderValue};
use axum_server::tls_rustls::RustlsConfig;
use parking_lot::Mutex;

use crate::config::Secret;
use crate::diagnostic::{Finding, SourceText};

/// How often a running server looks whether the file, or one that it names, has changed.
pub const WEB_CONFIG_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Largest file taken, in bytes: some thousand users.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a web configuration is not taken: every fault that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebConfigError {
    pub findings: Vec<Finding>,
}

impl fmt::Display for WebConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.findings.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for WebConfigError {}

/// A web configuration file in force. A clone is the same one.
#[derive(Clone)]
pub struct WebConfig(Arc<Inner>);

struct Inner {
    path: PathBuf,
    /// None: plain HTTP, for the life of the process.
    tls: Option<RustlsConfig>,
    guards: ArcSwap<Guards>,
    /// What was last looked at, whether it was taken or not.
    seen: Mutex<Seen>,
}

/// Files as they were when last looked at; none: not there.
type Seen = Vec<(PathBuf, Option<Stamp>)>;

/// What every request meets.
#[derive(Debug)]
pub(super) struct Guards {
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Name to bcrypt hash; empty: no questions asked.
    pub(super) users: BTreeMap<String, Secret>,
}

/// Tells whether a file is another than it was; a link that was swapped leads to another inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

struct Loaded {
    tls: Option<rustls::ServerConfig>,
    guards: Guards,
}

impl WebConfig {
    /// Reads the file and all it names. Blocks.
    pub fn load(path: impl Into<PathBuf>) -> Result<WebConfig, WebConfigError> {
        let path = path.into();
        let (loaded, seen) = load(&path);
        let loaded = loaded?;
        let tls = loaded.tls.map(|tls| RustlsConfig::from_config(Arc::new(tls)));
        let guards = ArcSwap::from_pointee(loaded.guards);
        Ok(WebConfig(Arc::new(Inner { path, tls, guards, seen: Mutex::new(seen) })))
    }

    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Whether the server speaks TLS. This never changes: clients would have to know.
    pub fn is_tls(&self) -> bool {
        self.0.tls.is_some()
    }

    /// Reads everything again if a file has changed since it was last looked at, and says whether something new is in
    /// force. Blocks.
    ///
    /// Errors: the old stays in force; the same fault is told once.
    pub fn reload_if_changed(&self) -> Result<bool, WebConfigError> {
        let unchanged = self.0.seen.lock().iter().all(|(path, stamp)| stamp_of(path) == *stamp);
        if unchanged {
            return Ok(false);
        }
        let (loaded, seen) = load(&self.0.path);
        *self.0.seen.lock() = seen;
        let loaded = loaded?;
        match (&self.0.tls, loaded.tls) {
            (Some(running), Some(tls)) => running.reload_from_config(Arc::new(tls)),
            (None, None) => {}
            _ => {
                let finding = Finding::error(format!("{:?} turns TLS on or off", self.0.path));
                return Err(WebConfigError { findings: vec![finding.help("restart for that")] });
            }
        }
        self.0.guards.store(Arc::new(loaded.guards));
        Ok(true)
    }

    pub(super) fn tls(&self) -> Option<RustlsConfig> {
        self.0.tls.clone()
    }

    pub(super) fn guards(&self) -> Arc<Guards> {
        self.0.guards.load_full()
    }
}

/// Stamps are taken before reading, so that a change in between is seen the next time.
fn load(path: &Path) -> (Result<Loaded, WebConfigError>, Seen) {
    let mut seen = vec![(path.to_owned(), stamp_of(path))];
    let fail = |message: String| WebConfigError { findings: vec![Finding::error(message)] };
    let text = match read_bounded(path, FILE_BYTES_MAX).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
    }) {
        Ok(text) => text,
        Err(error) => return (Err(fail(format!("cannot read web configuration {path:?}: {error}"))), seen),
    };
    let settings = match file::read(&SourceText::new(path.to_string_lossy(), text)) {
        Ok(settings) => settings,
        Err(findings) => return (Err(WebConfigError { findings }), seen),
    };
    let files = settings.tls.as_ref().map(tls::files).unwrap_or_default();
    seen.extend(files.into_iter().map(|file| {
        let stamp = stamp_of(&file);
        (file, stamp)
    }));
    let server = settings.tls.as_ref().map(|tls| tls::server(tls, settings.http2)).transpose();
    let loaded = match server {
        Ok(tls) => Ok(Loaded { tls, guards: Guards { headers: settings.headers, users: settings.users } }),
        Err(error) => Err(fail(format!("{}: {error}", path.display()))),
    };
    (loaded, seen)
}

fn stamp_of(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Some(Stamp { modified: metadata.modified().ok(), bytes: metadata.len(), inode })
}

fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::other(format!("it is larger than {bytes_max} bytes")));
    }
    Ok(bytes)
}
