//! Remote write 1.0: the protobuf messages that carry series to a store.
//!
//! Source: Prometheus `prompb/remote.proto` and `prompb/types.proto`. Written by hand, so that no protoc is needed.

use prost::Message;

use super::snappy::{self, SnappyError};

/// The headers that go with a request, besides its body.
pub const CONTENT_TYPE: &str = "application/x-protobuf";
pub const CONTENT_ENCODING: &str = "snappy";
pub const VERSION_HEADER: &str = "x-prometheus-remote-write-version";
pub const VERSION: &str = "0.1.0";

#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
}

/// Labels sorted by name, unique, none empty; samples in time order.
#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    pub histograms: Vec<Histogram>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Label {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct Sample {
    #[prost(double, tag = "1")]
    pub value: f64,
    /// Milliseconds since the epoch.
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}

/// A native histogram. Integer histograms use `count_int`, `zero_count_int` and deltas; float ones the others.
#[derive(Clone, PartialEq, Message)]
pub struct Histogram {
    #[prost(oneof = "histogram::Count", tags = "1, 2")]
    pub count: Option<histogram::Count>,
    #[prost(double, tag = "3")]
    pub sum: f64,
    #[prost(sint32, tag = "4")]
    pub schema: i32,
    #[prost(double, tag = "5")]
    pub zero_threshold: f64,
    #[prost(oneof = "histogram::ZeroCount", tags = "6, 7")]
    pub zero_count: Option<histogram::ZeroCount>,
    #[prost(message, repeated, tag = "8")]
    pub negative_spans: Vec<BucketSpan>,
    /// Of integer histograms: each count as the difference to the one before.
    #[prost(sint64, repeated, tag = "9")]
    pub negative_deltas: Vec<i64>,
    /// Of float histograms: absolute counts.
    #[prost(double, repeated, tag = "10")]
    pub negative_counts: Vec<f64>,
    #[prost(message, repeated, tag = "11")]
    pub positive_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "12")]
    pub positive_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "13")]
    pub positive_counts: Vec<f64>,
    #[prost(enumeration = "histogram::ResetHint", tag = "14")]
    pub reset_hint: i32,
    /// Milliseconds since the epoch.
    #[prost(int64, tag = "15")]
    pub timestamp: i64,
    /// Of schema -53: the upper bounds of the buckets.
    #[prost(double, repeated, tag = "16")]
    pub custom_values: Vec<f64>,
}

pub mod histogram {
    //! The alternatives within a histogram.

    #[derive(Clone, Copy, PartialEq, prost::Oneof)]
    pub enum Count {
        #[prost(uint64, tag = "1")]
        Int(u64),
        #[prost(double, tag = "2")]
        Float(f64),
    }

    #[derive(Clone, Copy, PartialEq, prost::Oneof)]
    pub enum ZeroCount {
        #[prost(uint64, tag = "6")]
        Int(u64),
        #[prost(double, tag = "7")]
        Float(f64),
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
    #[repr(i32)]
    pub enum ResetHint {
        Unknown = 0,
        Yes = 1,
        No = 2,
        Gauge = 3,
    }
}

/// Consecutive buckets: a gap in front of them (an index in front of the first), and how many there are.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct BucketSpan {
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    #[prost(uint32, tag = "2")]
    pub length: u32,
}

/// Why a body is no write request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error(transparent)]
    Snappy(#[from] SnappyError),
    #[error("not a remote write request: {0}")]
    Protobuf(String),
}

impl WriteRequest {
    /// The body of a request.
    pub fn to_body(&self) -> Result<Vec<u8>, BodyError> {
        Ok(snappy::compress(&self.encode_to_vec())?)
    }

    /// The request of a body whose message has at most this many bytes.
    pub fn from_body(body: &[u8], bytes_max: usize) -> Result<WriteRequest, BodyError> {
        let message = snappy::decompress(body, bytes_max)?;
        WriteRequest::decode(&*message).map_err(|error| BodyError::Protobuf(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{STALE_NAN_BITS, stale_nan};
    use proptest::prelude::*;

    fn label(name: &str, value: &str) -> Label {
        Label { name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn messages_have_the_reference_bytes() {
        let series = TimeSeries {
            labels: vec![label("__name__", "up")],
            samples: vec![Sample { value: 1.0, timestamp: 1000 }, Sample { value: stale_nan(), timestamp: 2000 }],
            histograms: Vec::new(),
        };
        let golden: &[u8] = &[
            0x0a, 0x2c, // timeseries, 44 bytes
            0x0a, 0x0e, 0x0a, 8, b'_', b'_', b'n', b'a', b'm', b'e', b'_', b'_', 0x12, 2, b'u', b'p', // label
            0x12, 0x0c, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 0xe8, 0x07, // 1 at 1000
            0x12, 0x0c, 0x09, 2, 0, 0, 0, 0, 0, 0xf0, 0x7f, 0x10, 0xd0, 0x0f, // the staleness marker at 2000
        ];
        let request = WriteRequest { timeseries: vec![series] };
        assert_eq!(request.encode_to_vec(), golden);
        let read = WriteRequest::from_body(&request.to_body().unwrap(), golden.len()).unwrap();
        assert_eq!(read.timeseries[0].samples[1].value.to_bits(), STALE_NAN_BITS);
        assert!(matches!(
            WriteRequest::from_body(&request.to_body().unwrap(), golden.len() - 1),
            Err(BodyError::Snappy(SnappyError::TooLarge { .. }))
        ));
    }

    #[test]
    fn histograms_have_the_reference_bytes() {
        let histogram = Histogram {
            count: Some(histogram::Count::Int(3)),
            sum: 1.0,
            schema: -1,
            zero_threshold: 0.0,
            zero_count: Some(histogram::ZeroCount::Int(0)),
            positive_spans: vec![BucketSpan { offset: -2, length: 2 }],
            positive_deltas: vec![1, 1],
            reset_hint: histogram::ResetHint::Gauge.into(),
            timestamp: 5,
            ..Histogram::default()
        };
        let golden: &[u8] = &[
            0x08, 3, // count
            0x19, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, // sum
            0x20, 1, // schema -1
            0x30, 0, // zero count, written although it is zero
            0x5a, 4, 0x08, 3, 0x10, 2, // span at -2 of 2
            0x62, 2, 2, 2, // deltas, packed
            0x70, 3, // gauge
            0x78, 5, // timestamp
        ];
        assert_eq!(histogram.encode_to_vec(), golden);
        assert_eq!(Histogram::decode(golden).unwrap(), histogram);
    }

    proptest! {
        #[test]
        fn any_body_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = WriteRequest::from_body(&bytes, 1000);
            let _ = WriteRequest::decode(&*bytes);
        }
    }
}
