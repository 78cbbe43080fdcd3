//! One element of a result: a label set and what was measured.

use std::borrow::Cow;
use std::sync::Arc;

use super::cursor::{Cursor, Stop};
use crate::model::{BucketBounds, Histogram, HistogramBucket, Labels, LabelsPacker, Sample, Series, Timestamp, Value};
use crate::sources::stamp::Stamp;

/// The NaN that Go reads from `NaN`, and Prometheus stores: what is written back must be the same bits.
const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

#[derive(Debug)]
pub(super) enum Element {
    Sample(Sample),
    Series(Series),
}

/// Reads elements one after the other, with buffers that are used again.
#[derive(Debug)]
pub(super) struct Elements {
    packer: LabelsPacker,
    stamp: Stamp,
}

/// What an element said besides its labels.
enum Measured {
    Nothing,
    Instant(Value),
    Range(Vec<(Timestamp, Value)>),
}

impl Elements {
    pub(super) fn new(added: Labels) -> Elements {
        Elements { packer: LabelsPacker::default(), stamp: Stamp::new(added) }
    }

    /// Reads `{"metric":{...},"value":[...]}` and its kin: `histogram`, `values`, `histograms`.
    #[inline]
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<Element, Stop> {
        self.packer.clear();
        let (mut metric_seen, mut measured) = (false, Measured::Nothing);
        let packer = &mut self.packer;
        cursor.object(|cursor, key| {
            match &*key {
                "metric" if metric_seen => return Err(Stop::Shape("a second `metric`")),
                "metric" => {
                    metric_seen = true;
                    cursor.object(|cursor, name| {
                        packer.push(&name, &cursor.text()?);
                        Ok(())
                    })?;
                }
                "value" => measured.instant(Value::Float(timed_float(cursor)?.1))?,
                "histogram" => measured.instant(timed_histogram(cursor)?.1)?,
                "values" => measured.range(cursor, |cursor| {
                    let (at, value) = timed_float(cursor)?;
                    Ok((timestamp(at)?, Value::Float(value)))
                })?,
                "histograms" => measured.range(cursor, |cursor| {
                    let (at, value) = timed_histogram(cursor)?;
                    Ok((timestamp(at)?, value))
                })?,
                _ => cursor.skip_value()?,
            }
            Ok(())
        })?;
        if !metric_seen {
            return Err(Stop::Shape("an element without `metric`"));
        }
        match measured {
            Measured::Nothing => Err(Stop::Shape("an element without a value")),
            Measured::Instant(value) => Ok(Element::Sample(Sample { labels: self.labels(), value })),
            Measured::Range(samples) => Ok(Element::Series(Series { labels: self.labels(), samples })),
        }
    }

    #[inline]
    fn labels(&mut self) -> Labels {
        self.stamp.apply(self.packer.finish())
    }
}

impl Measured {
    #[inline]
    fn instant(&mut self, value: Value) -> Result<(), Stop> {
        match self {
            Measured::Nothing => *self = Measured::Instant(value),
            _ => return Err(Stop::Shape("an element with two values")),
        }
        Ok(())
    }

    /// Floats and histograms of one series stand in two lists; here they are one, in time order.
    fn range<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        mut sample: impl FnMut(&mut Cursor<'a>) -> Result<(Timestamp, Value), Stop>,
    ) -> Result<(), Stop> {
        let (mut samples, other_list) = match std::mem::replace(self, Measured::Nothing) {
            Measured::Nothing => (Vec::new(), false),
            Measured::Range(samples) => (samples, true),
            Measured::Instant(_) => return Err(Stop::Shape("an element with two values")),
        };
        cursor.array(|cursor| {
            samples.push(sample(cursor)?);
            Ok(())
        })?;
        if other_list {
            samples.sort_by_key(|(at, _)| *at);
        }
        *self = Measured::Range(samples);
        Ok(())
    }
}

/// `[<seconds>, "<float>"]`
#[inline]
fn timed_float<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a str, f64), Stop> {
    timed(cursor, quoted_float)
}

/// `[<seconds>, {...}]`
fn timed_histogram<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a str, Value), Stop> {
    timed(cursor, |cursor| Ok(Value::Histogram(Arc::new(histogram(cursor)?))))
}

/// The rest of `[<seconds>, "<text>"]`, behind its bracket: a scalar or a string.
pub(super) fn timed_text<'a>(cursor: &mut Cursor<'a>) -> Result<Cow<'a, str>, Stop> {
    cursor.number()?;
    cursor.expect(b',', "no `,` behind a time")?;
    let text = cursor.text()?;
    cursor.expect(b']', "no `]` behind a value")?;
    Ok(text)
}

#[inline]
fn timed<'a, T>(
    cursor: &mut Cursor<'a>,
    value: impl FnOnce(&mut Cursor<'a>) -> Result<T, Stop>,
) -> Result<(&'a str, T), Stop> {
    if cursor.peek()? != b'[' {
        return cursor.wrong_value("something where a time and a value were expected");
    }
    cursor.next()?;
    let at = cursor.number()?;
    cursor.expect(b',', "no `,` behind a time")?;
    let value = value(cursor)?;
    cursor.expect(b']', "no `]` behind a value")?;
    Ok((at, value))
}

/// `{"count":"3","sum":"10","buckets":[[<bounds>,"<lower>","<upper>","<count>"], ...]}`; no key `buckets` if there are none.
fn histogram(cursor: &mut Cursor<'_>) -> Result<Histogram, Stop> {
    let (mut count, mut sum, mut buckets) = (None, None, Vec::new());
    cursor.object(|cursor, key| {
        match &*key {
            "count" => count = Some(quoted_float(cursor)?),
            "sum" => sum = Some(quoted_float(cursor)?),
            "buckets" if cursor.peek()? == b'[' => cursor.array(|cursor| {
                buckets.push(bucket(cursor)?);
                Ok(())
            })?,
            _ => cursor.skip_value()?,
        }
        Ok(())
    })?;
    match (count, sum) {
        (Some(count), Some(sum)) => Ok(Histogram { count, sum, buckets }),
        _ => Err(Stop::Shape("a histogram without `count` or `sum`")),
    }
}

fn bucket(cursor: &mut Cursor<'_>) -> Result<HistogramBucket, Stop> {
    if cursor.peek()? != b'[' {
        return cursor.wrong_value("a bucket that is no array");
    }
    cursor.next()?;
    let bounds = match cursor.number()? {
        "0" => BucketBounds::OpenLeft,
        "1" => BucketBounds::OpenRight,
        "2" => BucketBounds::OpenBoth,
        "3" => BucketBounds::Closed,
        _ => return Err(Stop::Shape("a bucket with unknown bounds")),
    };
    let mut next = || {
        cursor.expect(b',', "no `,` within a bucket")?;
        quoted_float(cursor)
    };
    let (lower, upper, count) = (next()?, next()?, next()?);
    cursor.expect(b']', "no `]` behind a bucket")?;
    Ok(HistogramBucket { lower, upper, count, bounds })
}

#[inline]
fn quoted_float(cursor: &mut Cursor<'_>) -> Result<f64, Stop> {
    let text = cursor.text()?;
    float(&text).ok_or(Stop::Shape("a value that is no number"))
}

/// A float as Go writes it: decimal, with or without exponent, `NaN`, `+Inf`, `-Inf`.
#[inline]
pub(super) fn float(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::from_bits(NORMAL_NAN_BITS)),
        _ => text.parse().ok(),
    }
}

/// Decimal seconds, rounded to milliseconds.
fn timestamp(seconds: &str) -> Result<Timestamp, Stop> {
    /// Beyond this (the year 287396) a float of milliseconds is no longer exact.
    const MILLIS_MAX: f64 = 9_007_199_254_740_992.0;
    let millis = seconds.parse::<f64>().map_or(f64::NAN, |seconds| (seconds * 1000.0).round());
    if millis.abs() <= MILLIS_MAX {
        Ok(Timestamp::from_millis(millis as i64))
    } else {
        Err(Stop::Shape("a time out of range"))
    }
}
