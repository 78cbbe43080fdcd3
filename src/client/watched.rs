//! A text that is given in place, or in a file that is read again when it changes.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

use super::error::SetupError;
use super::metrics::Metrics;
use crate::config::SecretText;

/// A file is looked at no more often than this.
const RECHECK: Duration = Duration::from_secs(1);
/// Credentials and certificate bundles are small; a larger file is a mistake.
const FILE_BYTES_MAX: u64 = 4 << 20;

pub(super) enum Watched {
    Inline(Arc<str>),
    File(Box<File>),
}

pub(super) struct File {
    path: PathBuf,
    recheck: Duration,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last good text, without white space around it.
    text: Option<Arc<str>>,
    stamp: Option<Stamp>,
    checked_at: Option<Instant>,
    error: Option<SetupError>,
}

/// Times alone do not tell: a file may be replaced by one that has kept its time.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
    /// Seconds and nanoseconds.
    changed: (i64, i64),
}

impl Watched {
    pub(super) fn new(text: &SecretText, metrics: &Metrics) -> Watched {
        match text {
            SecretText::Inline(secret) => Watched::Inline(Arc::from(secret.expose())),
            SecretText::File(path) => Watched::file(path, RECHECK, metrics),
        }
    }

    fn file(path: &Path, recheck: Duration, metrics: &Metrics) -> Watched {
        let (path, metrics, state) = (path.to_owned(), metrics.clone(), Mutex::default());
        Watched::File(Box::new(File { path, recheck, metrics, state }))
    }

    pub(super) fn inline(&self) -> Option<&Arc<str>> {
        match self {
            Watched::Inline(text) => Some(text),
            Watched::File(_) => None,
        }
    }

    /// The text as it is now. The same `Arc` is returned until the text changes.
    pub(super) async fn read(&self) -> Result<Arc<str>, SetupError> {
        match self {
            Watched::Inline(text) => Ok(text.clone()),
            Watched::File(file) => file.state.lock().await.read(&file.path, file.recheck, &file.metrics).await,
        }
    }
}

impl State {
    async fn read(&mut self, path: &Path, recheck: Duration, metrics: &Metrics) -> Result<Arc<str>, SetupError> {
        let fresh = self.checked_at.is_some_and(|at| at.elapsed() < recheck);
        if !fresh {
            self.checked_at = Some(Instant::now());
            self.refresh(path, metrics).await;
        }
        match (&self.text, &self.error) {
            (Some(text), _) => Ok(text.clone()),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Err(SetupError::File { path: path.to_owned(), message: "it was never read".to_owned() }),
        }
    }

    async fn refresh(&mut self, path: &Path, metrics: &Metrics) {
        match load(path, self.stamp.filter(|_| self.error.is_none())).await {
            Ok(None) => {}
            Ok(Some((stamp, text))) => {
                let changed = self.text.as_deref() != Some(text.as_str());
                if self.error.take().is_some() || (changed && self.text.is_some()) {
                    info!(file = %path.display(), changed, "file read again");
                }
                if changed {
                    self.text = Some(Arc::from(text));
                }
                self.stamp = Some(stamp);
            }
            Err(message) => {
                metrics.file_failures.inc();
                let error = SetupError::File { path: path.to_owned(), message };
                if self.error.as_ref() != Some(&error) {
                    warn!(%error, last_value_kept = self.text.is_some(), "file cannot be read, will try again");
                }
                self.error = Some(error);
            }
        }
    }
}

/// The file's text unless its stamp is still the one known. The stamp is taken first, so that a file which is written
/// meanwhile is read once more.
async fn load(path: &Path, known: Option<Stamp>) -> Result<Option<(Stamp, String)>, String> {
    let metadata = tokio::fs::metadata(path).await.map_err(|error| error.to_string())?;
    let stamp = Stamp {
        modified: metadata.modified().ok(),
        bytes: metadata.len(),
        inode: metadata.ino(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    };
    if known == Some(stamp) {
        return Ok(None);
    }
    let file = tokio::fs::File::open(path).await.map_err(|error| error.to_string())?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).await.map_err(|error| error.to_string())?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
    }
    Ok(Some((stamp, text.trim().to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Archives and reproducible builds give every file one time, and passwords one length.
    #[tokio::test]
    async fn a_file_that_is_replaced_by_one_of_equal_time_and_size_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, next) = (folder.path().join("password"), folder.path().join("next"));
        let watched = Watched::file(&path, Duration::ZERO, &Metrics::unregistered());
        for (path, text) in [(&path, "first"), (&next, "other")] {
            std::fs::write(path, text).unwrap();
            std::fs::File::options().write(true).open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        assert_eq!(&*watched.read().await.unwrap(), "first");
        std::fs::rename(&next, &path).unwrap();
        assert_eq!(&*watched.read().await.unwrap(), "other");
    }

    #[tokio::test]
    async fn a_file_is_read_again_when_it_changes_and_its_last_good_text_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let metrics = Metrics::unregistered();
        let watched = Watched::file(&path, Duration::ZERO, &metrics);

        let missing = watched.read().await.unwrap_err().to_string();
        assert!(missing.contains("password"), "{missing}");
        std::fs::write(&path, " first\n").unwrap();
        let first = watched.read().await.unwrap();
        assert_eq!(&*first, "first");
        assert!(Arc::ptr_eq(&first, &watched.read().await.unwrap()));
        std::fs::write(&path, "the second\n").unwrap();
        assert_eq!(&*watched.read().await.unwrap(), "the second");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(&*watched.read().await.unwrap(), "the second");
        assert_eq!(metrics.file_failures.get(), 2);
    }
}
