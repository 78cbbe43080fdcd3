//! Questions to a source, and its answers: the seam between evaluation and the world.
//!
//! Evaluation says what it needs as `Need`s; whoever drives it asks a source and tells it the `Answer`s. A new kind of
//! source brings a new kind of need; evaluation only carries them.

use std::sync::Arc;

use super::{Annotations, Sample, Series, Timestamp};

/// One thing to ask a source. Equal needs of one tick are one question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// An instant query that the source itself evaluates, at each of these timestamps (ascending).
    ///
    /// `expr` is the author's text, byte for byte.
    Query { expr: Arc<str>, times: Arc<[Timestamp]> },
}

/// What came back. Unknown is not empty: an empty `Known` is an answer, an `Unknown` is none.
#[derive(Clone, Debug)]
pub enum Answer {
    /// One for each timestamp of the need, in its order.
    Known(Vec<(Evaluated, Annotations)>),
    Unknown(SourceError),
}

/// The value of an expression at one timestamp.
#[derive(Clone, Debug, PartialEq)]
pub enum Evaluated {
    Vector(Arc<[Sample]>),
    Scalar(f64),
    /// A range vector: for expressions like `x[1h]`.
    Matrix(Arc<[Series]>),
    String(Arc<str>),
}

/// Why a source gave no answer. Shown as the rule's last error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    pub kind: SourceErrorKind,
    pub message: String,
}

/// The ways to fail that people tell apart, and metrics count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceErrorKind {
    /// No connection: refused, unreachable, unknown host, failed TLS handshake.
    Connect,
    /// No whole answer in time.
    Timeout,
    /// The source refused the query (4xx): its own error type is in the message.
    Rejected,
    /// Not let in (401, 403).
    Unauthorized,
    /// The source failed (5xx).
    Failed,
    /// The answer is not JSON.
    Malformed,
    /// JSON, but not the answer to an instant query.
    Shape,
    /// The answer ended in the middle.
    Cut,
    /// The answer is over the bound.
    TooLarge,
}

impl SourceErrorKind {
    pub const ALL: [SourceErrorKind; 9] = [
        SourceErrorKind::Connect,
        SourceErrorKind::Timeout,
        SourceErrorKind::Rejected,
        SourceErrorKind::Unauthorized,
        SourceErrorKind::Failed,
        SourceErrorKind::Malformed,
        SourceErrorKind::Shape,
        SourceErrorKind::Cut,
        SourceErrorKind::TooLarge,
    ];

    /// The word for it in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            SourceErrorKind::Connect => "connect",
            SourceErrorKind::Timeout => "timeout",
            SourceErrorKind::Rejected => "rejected",
            SourceErrorKind::Unauthorized => "unauthorized",
            SourceErrorKind::Failed => "failed",
            SourceErrorKind::Malformed => "malformed",
            SourceErrorKind::Shape => "shape",
            SourceErrorKind::Cut => "cut",
            SourceErrorKind::TooLarge => "too_large",
        }
    }
}
