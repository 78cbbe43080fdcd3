//! Remote write into a real Prometheus, read back by the query API; skipped without one.

use std::time::Duration;

use tokio::time::Instant;

use super::loopback_tests::{config, labelled, series, soon, writers};
use super::*;
use crate::clock::{Clock, SystemClock};
use crate::model::{Labels, stale_nan};
use crate::test_peers::Prometheus;

/// The values of an instant query, as the API's JSON has them. Read by hand: this room knows no source.
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
    let target = config("p", &format!("{}/api/v1/write", prometheus.url));
    let writers = writers(&[]);
    writers.apply(&[target], &Labels::from_pairs([("cluster", "eu"), ("job", "none")])).unwrap();
    let recorded = Labels::from_pairs([("__name__", "job:up:sum"), ("job", "x \"é\"")]);
    let written = labelled(&recorded, [(now - 30_000, 1.5), (now, 2.5)]);
    assert!(writers.append(written).acknowledged(soon()).await);
    let labels = r#"{"__name__":"job:up:sum","cluster":"eu","job":"x \"é\""}"#;
    assert_eq!(query(&prometheus, "job:up:sum", now).await, format!("{labels} \"2.5\""));
    assert_eq!(query(&prometheus, "job:up:sum", now - 1000).await, format!("{labels} \"1.5\""));

    // A staleness marker ends the series at once, lookback or not.
    let ended = labelled(&recorded, [(now + 1000, stale_nan())]);
    assert!(writers.append(ended.clone()).acknowledged(soon()).await);
    assert_eq!(query(&prometheus, "job:up:sum", now + 2000).await, "");
    // The same again is taken; something older is refused for good, and told.
    assert!(writers.append(ended).acknowledged(soon()).await);
    let older = labelled(&recorded, [(now - 40_000, 1.0)]);
    assert!(!writers.append(older).acknowledged(soon()).await);
    assert!(writers.status()[0].last_error.as_deref().is_some_and(|error| error.starts_with("answered 400")));
}

#[tokio::test]
async fn ten_thousand_series_arrive_whole() {
    let Some(prometheus) = Prometheus::start("store, many").await else { return };
    let now = SystemClock.now().as_millis();
    let writers = writers(&[config("p", &format!("{}/api/v1/write", prometheus.url))]);
    let many = (0..10_000).flat_map(|index| {
        let labels = Labels::from_pairs([("__name__", "many"), ("index", &*index.to_string())]);
        labelled(&labels, [(now, f64::from(index))])
    });
    assert!(writers.append(many.collect()).acknowledged(soon()).await);
    assert_eq!(query(&prometheus, "sum(many)", now).await, "{} \"49995000\"");
}

#[tokio::test]
async fn samples_wait_for_a_prometheus_that_comes_later() {
    let Some(prometheus) = Prometheus::start("store, later").await else { return };
    let now = SystemClock.now().as_millis();
    let writers = writers(&[config("p", "http://127.0.0.1:1/api/v1/write")]);
    let ticket = writers.append(series("x", [(now, 7.0)]));
    tokio::time::sleep(Duration::from_millis(100)).await;
    writers.apply(&[config("p", &format!("{}/api/v1/write", prometheus.url))], &Labels::empty()).unwrap();
    assert!(ticket.acknowledged(soon()).await);
    assert_eq!(query(&prometheus, "x", now).await, r#"{"__name__":"x"} "7""#);
    assert_eq!(writers.drain(Instant::now()).await.targets[0].left, 0);
}
