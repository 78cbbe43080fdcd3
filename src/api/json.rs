//! Answers in Prometheus' JSON, streamed: an answer of 100,000 alerts is never in memory as a whole.

use std::io::{self, Write};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde::{Serialize, Serializer};
use tokio::sync::mpsc;

use super::error::ApiError;
use super::limits::Turn;
use crate::model::Timestamp;

pub(super) const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/json");

/// Bytes handed to the connection at once.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks that wait for the client; with it, what one answer holds in memory.
const CHUNKS_WAITING_MAX: usize = 2;
/// Longest time in which a client may take a whole answer. It bounds how long a slow reader keeps its turn.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(120);

#[derive(Serialize)]
struct Success<T> {
    status: &'static str,
    data: T,
}

/// `{"status":"success","data":...}`. Serialising happens off the runtime, a chunk ahead of the client; the turn is kept
/// until the last chunk is handed over.
pub(super) async fn success<T: Serialize + Send + 'static>(data: T, turn: Turn) -> Response {
    let (sender, mut receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
    let runtime = tokio::runtime::Handle::current();
    let deadline = tokio::time::Instant::now() + ANSWER_TIME_MAX;
    tokio::task::spawn_blocking(move || {
        let mut chunks = Chunks { buffer: Vec::new(), sender, runtime, deadline };
        let whole = serde_json::to_writer(&mut chunks, &Success { status: "success", data });
        // A client that went away is not worth a word; values that fail to serialise do not exist in this room.
        if whole.is_ok() {
            let _ = chunks.hand_over(true);
        }
        drop(turn);
    });
    let body = match receiver.recv().await {
        Some(Chunk { bytes, last: true }) => Body::from(bytes),
        Some(first) => Body::from_stream(stream::unfold((Some(first), receiver), next_chunk).fuse()),
        None => return ApiError::Internal("the answer could not be made".to_owned()).into_response(),
    };
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response()
}

type Pending = (Option<Chunk>, mpsc::Receiver<Chunk>);

/// The next bytes for the client. A stream that ends before its last chunk ends in an error, so that the client sees a
/// broken connection and not a short answer.
async fn next_chunk((first, mut receiver): Pending) -> Option<(io::Result<Bytes>, Pending)> {
    match first {
        Some(Chunk { bytes, last: false }) => {
            let next = receiver.recv().await;
            let bytes = if next.is_some() { Ok(bytes) } else { Err(io::Error::other("the answer was cut off")) };
            Some((bytes, (next, receiver)))
        }
        Some(Chunk { bytes, last: true }) => Some((Ok(bytes), (None, receiver))),
        None => None,
    }
}

struct Chunk {
    bytes: Bytes,
    last: bool,
}

/// Gathers what serde writes, and waits for the client when enough is gathered. Lives on a blocking thread.
struct Chunks {
    buffer: Vec<u8>,
    sender: mpsc::Sender<Chunk>,
    runtime: tokio::runtime::Handle,
    deadline: tokio::time::Instant,
}

impl Chunks {
    fn hand_over(&mut self, last: bool) -> io::Result<()> {
        let chunk = Chunk { bytes: std::mem::take(&mut self.buffer).into(), last };
        let sent = self.runtime.block_on(tokio::time::timeout_at(self.deadline, self.sender.send(chunk)));
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK_BYTES {
            self.hand_over(false)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A duration in seconds, without a fraction where there is none.
pub(super) fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    match duration.subsec_nanos() {
        0 => serializer.serialize_u64(duration.as_secs()),
        _ => serializer.serialize_f64(duration.as_secs_f64()),
    }
}

pub(super) fn time<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// Go's zero time where there is none yet.
pub(super) fn time_or_zero<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_str("0001-01-01T00:00:00Z"),
    }
}
