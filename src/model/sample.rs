//! Samples, series and the values that expressions yield.

use std::fmt;
use std::sync::Arc;

use super::{Labels, Timestamp, format_shortest};

/// The NaN that ends a series. A signalling NaN: compare and carry it by its bits.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// What a sample holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl Value {
    /// The float; 0 for a histogram, as alerts show it.
    pub fn as_float(&self) -> f64 {
        match self {
            Value::Float(value) => *value,
            Value::Histogram(_) => 0.0,
        }
    }
}

/// One element of an instant vector: labels and a value. The time is that of the evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub labels: Labels,
    pub value: Value,
}

/// A label set and its samples, in time order.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub labels: Labels,
    pub samples: Vec<(Timestamp, Value)>,
}

/// One sample of one series: what is written.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedSample {
    pub labels: Labels,
    pub at: Timestamp,
    pub value: Value,
}

/// A native histogram as the query API shows it: counts between bounds, without the schema behind them.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    pub count: f64,
    pub sum: f64,
    /// Non-empty buckets, ascending.
    pub buckets: Vec<HistogramBucket>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HistogramBucket {
    pub lower: f64,
    pub upper: f64,
    pub count: f64,
    pub bounds: BucketBounds,
}

/// Which ends belong to a bucket. The numbers are those of the query API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketBounds {
    /// `(lower, upper]`, 0
    OpenLeft,
    /// `[lower, upper)`, 1
    OpenRight,
    /// `(lower, upper)`, 2
    OpenBoth,
    /// `[lower, upper]`, 3
    Closed,
}

/// `{count:3, sum:10, [-4,-2):1, [-0.001,0.001]:2, (0.5,1]:1}`: what a template prints.
impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", format_shortest(self.count), format_shortest(self.sum))?;
        for bucket in &self.buckets {
            let (open, close) = match bucket.bounds {
                BucketBounds::OpenLeft => ('(', ']'),
                BucketBounds::OpenRight => ('[', ')'),
                BucketBounds::OpenBoth => ('(', ')'),
                BucketBounds::Closed => ('[', ']'),
            };
            let (lower, upper) = (format_shortest(bucket.lower), format_shortest(bucket.upper));
            write!(f, ", {open}{lower},{upper}{close}:{}", format_shortest(bucket.count))?;
        }
        f.write_str("}")
    }
}
