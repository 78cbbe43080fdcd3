//! Remote write into a real Prometheus, read back by its query API.

use std::time::Duration;

use bellwether::client::ClientOptions;
use bellwether::clock::{Clock, SystemClock};
use bellwether::config::{HttpClientConfig, RemoteWriteConfig, RemoteWriteQueue};
use bellwether::model::{Labels, TimedSample, Timestamp, Value, stale_nan};
use bellwether::store::{Metrics, RemoteWriters, Store};
use tokio::time::Instant;
use url::Url;

use crate::prometheus::Prometheus;

fn config(url: &str) -> RemoteWriteConfig {
    RemoteWriteConfig {
        name: "p".to_owned(),
        url: Url::parse(url).unwrap(),
        timeout: Duration::from_secs(5),
        http: HttpClientConfig::default(),
        write_relabel: Vec::new(),
        queue: RemoteWriteQueue::default(),
    }
}

fn writers(url: &str, external_labels: &Labels) -> RemoteWriters {
    let writers = RemoteWriters::new(SystemClock::shared(), ClientOptions::default(), Metrics::unregistered());
    writers.apply(&[config(url)], external_labels).unwrap();
    writers
}

fn endpoint(prometheus: &Prometheus) -> String {
    format!("{}/api/v1/write", prometheus.url)
}

fn samples(labels: &Labels, samples: impl IntoIterator<Item = (i64, f64)>) -> Vec<TimedSample> {
    let sample = |(at, value)| TimedSample {
        labels: labels.clone(),
        at: Timestamp::from_millis(at),
        value: Value::Float(value),
    };
    samples.into_iter().map(sample).collect()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// The values of an instant query, as the API's JSON has them. Read with a plain client, so that one half does not vouch for the other.
async fn query(prometheus: &Prometheus, expr: &str, millis: i64) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/api/v1/query", prometheus.url);
    let time = format!("{}.{:03}", millis / 1000, millis % 1000);
    let text = client.post(url).form(&[("query", expr), ("time", &time)]).send().await.unwrap().text().await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let elements = json["data"]["result"].as_array().unwrap().clone();
    elements.iter().map(|e| format!("{} {}", e["metric"], e["value"][1])).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn what_is_written_can_be_read_once_it_is_acknowledged() {
    let Some(prometheus) = Prometheus::start("store").await else { return };
    let now = SystemClock.now().as_millis();
    let writers = writers(&endpoint(&prometheus), &Labels::from_pairs([("cluster", "eu"), ("job", "none")]));
    let recorded = Labels::from_pairs([("__name__", "job:up:sum"), ("job", "x \"é\"")]);
    let written = samples(&recorded, [(now - 30_000, 1.5), (now, 2.5)]);
    assert!(writers.append(written).acknowledged(soon()).await);
    let labels = r#"{"__name__":"job:up:sum","cluster":"eu","job":"x \"é\""}"#;
    assert_eq!(query(&prometheus, "job:up:sum", now).await, format!("{labels} \"2.5\""));
    assert_eq!(query(&prometheus, "job:up:sum", now - 1000).await, format!("{labels} \"1.5\""));

    // A staleness marker ends the series at once, lookback or not.
    let ended = samples(&recorded, [(now + 1000, stale_nan())]);
    assert!(writers.append(ended.clone()).acknowledged(soon()).await);
    assert_eq!(query(&prometheus, "job:up:sum", now + 2000).await, "");
    // The same again is taken; something older is refused for good, and told.
    assert!(writers.append(ended).acknowledged(soon()).await);
    let older = samples(&recorded, [(now - 40_000, 1.0)]);
    assert!(!writers.append(older).acknowledged(soon()).await);
    assert!(writers.status()[0].last_error.as_deref().is_some_and(|error| error.starts_with("answered 400")));
}

#[tokio::test]
async fn ten_thousand_series_arrive_whole() {
    let Some(prometheus) = Prometheus::start("store, many").await else { return };
    let now = SystemClock.now().as_millis();
    let writers = writers(&endpoint(&prometheus), &Labels::empty());
    let many = (0..10_000).flat_map(|index| {
        let labels = Labels::from_pairs([("__name__", "many"), ("index", &*index.to_string())]);
        samples(&labels, [(now, f64::from(index))])
    });
    assert!(writers.append(many.collect()).acknowledged(soon()).await);
    assert_eq!(query(&prometheus, "sum(many)", now).await, "{} \"49995000\"");
}

#[tokio::test]
async fn samples_wait_for_a_prometheus_that_comes_later() {
    let Some(prometheus) = Prometheus::start("store, later").await else { return };
    let now = SystemClock.now().as_millis();
    let writers = writers("http://127.0.0.1:1/api/v1/write", &Labels::empty());
    let ticket = writers.append(samples(&Labels::from_pairs([("__name__", "x")]), [(now, 7.0)]));
    tokio::time::sleep(Duration::from_millis(100)).await;
    writers.apply(&[config(&endpoint(&prometheus))], &Labels::empty()).unwrap();
    assert!(ticket.acknowledged(soon()).await);
    assert_eq!(query(&prometheus, "x", now).await, r#"{"__name__":"x"} "7""#);
    assert_eq!(writers.drain(Instant::now()).await.targets[0].left, 0);
}
