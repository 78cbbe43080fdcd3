//! Where answers come from: one implementation of `Source` per kind of peer.
//!
//! Decides how a `Need` is asked, and tells every way in which no answer comes apart. Never decides what an answer means
//! for a rule, never keeps state beyond a tick, and never resolves or fires anything: what could not be asked is
//! `Answer::Unknown`. Called by whoever drives an evaluation. Specified in the issue "Asking a Prometheus".

mod answer;
mod metrics;
mod query_api;
mod shared;
mod stamp;

#[cfg(test)]
mod loopback_tests;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

pub use answer::{AnswerError, AnswerParser};
pub use metrics::Metrics;
pub use query_api::QueryApi;
pub use shared::Shared;

use crate::model::{Answer, Labels, Need};

/// Something that answers needs.
pub trait Source: Send + Sync {
    /// As configured; unique among all sources.
    fn name(&self) -> &str;

    /// What it adds to every label set it answers with.
    fn labels(&self) -> &Labels;

    /// Where people look at this source; no secrets in it, and no slash at its end.
    fn external_url(&self) -> &str;

    /// Asks, and gives up at the deadline. Time spent waiting for a free place counts.
    fn answer<'a>(&'a self, need: &'a Need, deadline: Instant) -> BoxFuture<'a, Answer>;

    /// Series were written that lead back here, so that equal needs may have other answers from now on.
    ///
    /// Whoever waited for a write to be acknowledged says so before it asks what depends on it.
    fn written(&self) {}
}

/// The beginning of a text, of at most so many bytes.
fn beginning(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
