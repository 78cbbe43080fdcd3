//! Samples by remote write, without a scrape in between: the same ones, to the millisecond, for every Prometheus.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::{Labels, http, millis, now_ms};

/// Of the live feeder: four samples in a rule interval of a second.
const FEED_EVERY: Duration = millis(250);

const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

// Prometheus remote write 1.0, as far as it is needed here.

#[derive(Clone, prost::Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, prost::Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, prost::Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, prost::Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

async fn push(write_url: &str, timeseries: Vec<TimeSeries>) -> Result<(), String> {
    let message = prost::Message::encode_to_vec(&WriteRequest { timeseries });
    let body = snap::raw::Encoder::new().compress_vec(&message).map_err(|error| error.to_string())?;
    let response = http::post(write_url, "application/x-protobuf", body).await?;
    if response.status / 100 == 2 { Ok(()) } else { Err(format!("{}: {}", response.status, response.text)) }
}

/// `name{a="b"}` is too much to parse here: the metric name, and the other labels.
fn series_labels(name: &str, labels: &Labels) -> Vec<Label> {
    let mut all = labels.clone();
    all.insert("__name__".to_owned(), name.to_owned());
    all.into_iter().map(|(name, value)| Label { name, value }).collect()
}

/// A whole run of series, written before it happens: what a rule sees depends on its evaluation timestamp and on nothing
/// else, however loaded the machine is. A Prometheus takes samples up to ten minutes ahead.
pub(crate) struct Timeline {
    pub(crate) begin_ms: i64,
    timeseries: Vec<TimeSeries>,
}

impl Timeline {
    /// Second 0 of the timeline is `begin_ms`.
    pub(crate) fn new(begin_ms: i64) -> Timeline {
        Timeline { begin_ms, timeseries: Vec::new() }
    }

    /// A sample every second over `seconds`; where `value` gives none after one, the series is marked stale.
    pub(crate) fn series<const N: usize>(
        mut self,
        name: &str,
        labels: [(&str, &str); N],
        seconds: std::ops::Range<i64>,
        value: impl Fn(i64) -> Option<f64>,
    ) -> Timeline {
        let mut samples = Vec::new();
        let mut was_there = false;
        for second in seconds {
            let value = value(second);
            if value.is_some() || was_there {
                let timestamp = self.begin_ms + second * 1000;
                samples.push(Sample { value: value.unwrap_or(f64::from_bits(STALE_NAN)), timestamp });
            }
            was_there = value.is_some();
        }
        self.timeseries.push(TimeSeries { labels: series_labels(name, &super::labels(labels)), samples });
        self
    }

    pub(crate) async fn push(&self, write_url: &str) {
        push(write_url, self.timeseries.clone()).await.unwrap_or_else(|error| panic!("{write_url}: {error}"));
    }
}

type Current = BTreeMap<(String, Labels), f64>;

/// Writes the current values again and again; a Prometheus that is away misses them.
pub(crate) struct Feeder {
    current: Arc<Mutex<Current>>,
    task: JoinHandle<()>,
}

impl Feeder {
    pub(crate) fn start(write_urls: &[String]) -> Feeder {
        let current = Arc::new(Mutex::new(Current::new()));
        let task = tokio::spawn(feed(write_urls.to_vec(), current.clone()));
        Feeder { current, task }
    }

    pub(crate) fn set<const N: usize>(&self, name: &str, labels: [(&str, &str); N], value: f64) {
        self.current.lock().insert((name.to_owned(), super::labels(labels)), value);
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn feed(write_urls: Vec<String>, current: Arc<Mutex<Current>>) {
    let mut ticks = tokio::time::interval(FEED_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let timestamp = now_ms();
        let series = |((name, labels), value): (&(String, Labels), &f64)| TimeSeries {
            labels: series_labels(name, labels),
            samples: vec![Sample { value: *value, timestamp }],
        };
        let timeseries: Vec<TimeSeries> = current.lock().iter().map(series).collect();
        for url in write_urls.iter().filter(|_| !timeseries.is_empty()) {
            // A Prometheus that was killed takes nothing, and is meant to.
            let _ = push(url, timeseries.clone()).await;
        }
    }
}
