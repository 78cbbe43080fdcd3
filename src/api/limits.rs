//! What one client, or all of them together, may ask of the server.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;

/// Largest request body, in bytes. No endpoint reads one yet; a client that sends more is mistaken.
pub const REQUEST_BODY_BYTES_MAX: usize = 64 << 10;
/// Longest request target, in bytes: room for some hundred `match[]` selectors.
pub const URI_BYTES_MAX: usize = 32 << 10;
/// Longest time until an answer begins.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);
/// Requests answered at once. Each may hold a snapshot and two chunks; more would only slow each other down.
pub const REQUESTS_AT_ONCE_MAX: usize = 64;
/// Longest wait for a turn before the client is told to come again.
const TURN_WAIT_MAX: Duration = Duration::from_secs(10);

/// A request's right to be answered; held until its answer is handed over.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    _permit: Arc<OwnedSemaphorePermit>,
}

/// Lets a bounded number of requests in; the rest wait a while, then get 503.
pub(super) async fn take_turn(State(turns): State<Arc<Semaphore>>, mut request: Request, next: Next) -> Response {
    let Ok(Ok(permit)) = tokio::time::timeout(TURN_WAIT_MAX, turns.acquire_owned()).await else {
        return ApiError::Unavailable("too many requests at once, try again later").into_response();
    };
    request.extensions_mut().insert(Turn { _permit: Arc::new(permit) });
    next.run(request).await
}

pub(super) async fn bound_time(State(longest): State<Duration>, request: Request, next: Next) -> Response {
    tokio::time::timeout(longest, next.run(request))
        .await
        .unwrap_or_else(|_| ApiError::Timeout("the request took too long").into_response())
}

pub(super) async fn bound_uri(request: Request, next: Next) -> Response {
    let length = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if length > URI_BYTES_MAX {
        let message = format!("the request target has {length} bytes; at most {URI_BYTES_MAX} are taken");
        return ApiError::UriTooLong(message).into_response();
    }
    next.run(request).await
}

/// What a client sees of a panic: nothing of its words.
pub(super) fn on_panic(panic: Box<dyn Any + Send>) -> Response {
    let words = panic.downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    tracing::error!(panic = words, "answering a request panicked; this is a bug in bellwether");
    ApiError::Internal("internal error; the log says more".to_owned()).into_response()
}
