//! The words everything else is said in: label sets, samples, times, questions and answers.
//!
//! Plain data and the arithmetic that belongs to it. No I/O, no clock, no async. Every room may use this one; this one
//! uses none.

mod alert;
mod annotations;
mod ask;
mod duration;
mod float;
mod labels;
mod matcher;
mod names;
mod quote;
mod regex;
mod sample;
mod time;

pub use alert::{Alert, AlertKey, AlertState};
pub use annotations::Annotations;
pub use ask::{Answer, Evaluated, Need, SourceError, SourceErrorKind};
pub use duration::{DurationError, format_duration, parse_duration};
pub use float::{format_exponent, format_fixed, format_shortest};
pub use labels::{Fingerprint, Labels, LabelsBuilder, LabelsPacker, LabelsRef, LabelsScratch};
pub use matcher::{MatchOp, Matcher};
pub use names::{ValidationScheme, is_legacy_label_name};
pub use quote::{is_printable, quote, write_quoted};
pub use regex::{Captures, GoRegex, RegexError};
pub use sample::{
    BucketBounds, Histogram, HistogramBucket, STALE_NAN_BITS, Sample, Series, TimedSample, Value, is_stale, stale_nan,
};
pub use time::{Timestamp, civil_from_days};

/// The label that holds a series' metric name.
pub const METRIC_NAME: &str = "__name__";
/// The label that holds an alert's name.
pub const ALERT_NAME: &str = "alertname";
