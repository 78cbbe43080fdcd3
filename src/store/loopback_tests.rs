//! Remote write against receivers on this machine that are good, failing, full, and dead.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use super::*;
use crate::client::ClientOptions;
use crate::clock::SystemClock;
use crate::config::{HttpClientConfig, RemoteWriteConfig, RemoteWriteQueue};
use crate::model::{Labels, Timestamp, Value};
use crate::relabel::{RelabelRule, RelabelSpec};
use crate::wire::remote_write::WriteRequest;

fn config(name: &str, url: &str) -> RemoteWriteConfig {
    RemoteWriteConfig {
        name: name.to_owned(),
        url: Url::parse(url).unwrap(),
        timeout: Duration::from_secs(5),
        http: HttpClientConfig::default(),
        write_relabel: Vec::new(),
        queue: RemoteWriteQueue { max_backoff: Duration::from_millis(50), ..RemoteWriteQueue::default() },
    }
}

fn writers(configs: &[RemoteWriteConfig]) -> RemoteWriters {
    let writers = RemoteWriters::new(SystemClock::shared(), ClientOptions::default(), Metrics::unregistered());
    writers.apply(configs, &Labels::empty()).unwrap();
    writers
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn series(name: &str, samples: impl IntoIterator<Item = (i64, f64)>) -> Vec<TimedSample> {
    labelled(&Labels::from_pairs([("__name__", name)]), samples)
}

fn labelled(labels: &Labels, samples: impl IntoIterator<Item = (i64, f64)>) -> Vec<TimedSample> {
    let sample = |(at, value)| TimedSample {
        labels: labels.clone(),
        at: Timestamp::from_millis(at),
        value: Value::Float(value),
    };
    samples.into_iter().map(sample).collect()
}

/// A receiver that answers by its script, then 204; one request per permit.
#[derive(Default)]
struct Receiver {
    script: Mutex<VecDeque<Answer>>,
    /// The largest number of samples it takes at once.
    samples_max: Option<usize>,
    /// Any sample whose `name@time` starts with this makes it refuse the whole request, as Prometheus does.
    refuses: Option<&'static str>,
    gate: Option<Semaphore>,
    requests: Mutex<Vec<Received>>,
}

type Answer = (u16, Option<&'static str>, String);

struct Received {
    headers: BTreeMap<String, String>,
    /// `name@time` each.
    samples: Vec<String>,
    status: u16,
}

impl Receiver {
    fn answering(script: impl IntoIterator<Item = (u16, Option<&'static str>)>) -> Receiver {
        let script = script.into_iter().map(|(status, retry_after)| (status, retry_after, "the reason".to_owned()));
        Receiver { script: Mutex::new(script.collect()), ..Receiver::default() }
    }

    async fn serve(self) -> (Arc<Receiver>, String) {
        let receiver = Arc::new(self);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/v1/write", listener.local_addr().unwrap());
        let router = Router::new().route("/api/v1/write", post(receive)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    /// Samples of accepted requests, in the order in which they came.
    fn accepted(&self) -> String {
        let requests = self.requests.lock();
        let accepted = requests.iter().filter(|request| request.status < 300);
        accepted.flat_map(|request| request.samples.clone()).collect::<Vec<_>>().join(" ")
    }

    fn statuses(&self) -> Vec<u16> {
        self.requests.lock().iter().map(|request| request.status).collect()
    }
}

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(gate) = &receiver.gate {
        gate.acquire().await.unwrap().forget();
    }
    let request = WriteRequest::from_body(&body, 1 << 20).unwrap();
    let sample = |series: &crate::wire::remote_write::TimeSeries| {
        let name = &series.labels.iter().find(|label| label.name == "__name__").unwrap().value;
        format!("{name}@{}", series.samples[0].timestamp)
    };
    let samples: Vec<String> = request.timeseries.iter().map(sample).collect();
    let too_many = receiver.samples_max.is_some_and(|most| samples.len() > most);
    let refused = receiver.refuses.is_some_and(|start| samples.iter().any(|sample| sample.starts_with(start)));
    let answer = match (too_many, refused) {
        (true, _) => Some((413, None, String::new())),
        (false, true) => Some((400, None, "out of order sample".to_owned())),
        (false, false) => receiver.script.lock().pop_front(),
    };
    let (status, retry_after, text) = answer.unwrap_or((204, None, String::new()));
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    receiver.requests.lock().push(Received { headers, samples, status });
    let status = StatusCode::from_u16(status).unwrap();
    match retry_after {
        Some(wait) => (status, [("retry-after", wait)], text).into_response(),
        None => (status, text).into_response(),
    }
}

#[tokio::test]
async fn samples_arrive_in_order_and_the_ticket_says_so() {
    let (receiver, url) = Receiver::default().serve().await;
    let writers = writers(&[config("a", &url)]);
    let ticket = writers.append([series("x", [(1, 1.0), (2, 2.0)]), series("y", [(1, 1.0)])].concat());
    assert!(ticket.acknowledged(soon()).await);
    assert_eq!(receiver.accepted(), "x@1 x@2 y@1");
    let requests = receiver.requests.lock();
    for (name, value) in [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ] {
        assert_eq!(requests[0].headers[name], value);
    }
    assert!(requests[0].headers["user-agent"].starts_with("Bellwether/"));
    assert!(!requests[0].headers.contains_key("retry-attempt"));
    drop(requests);
    let status = &writers.status()[0];
    assert_eq!((status.pending, &status.last_error), (0, &None));
    assert!(status.last_accepted_at.is_some());
}

#[tokio::test]
async fn without_targets_all_is_acknowledged() {
    assert!(writers(&[]).append(series("x", [(1, 1.0)])).acknowledged(Instant::now()).await);
}

#[tokio::test]
async fn what_fails_for_now_is_sent_again_in_order() {
    let script = [(500, None), (429, Some("0")), (503, Some("Sun, 06 Nov 1994 08:49:37 GMT"))];
    let (receiver, url) = Receiver::answering(script).serve().await;
    let writers = writers(&[config("a", &url)]);
    let first = writers.append(series("x", [(1, 1.0)]));
    let second = writers.append(series("x", [(2, 2.0)]));
    assert!(first.acknowledged(soon()).await);
    assert!(second.acknowledged(soon()).await);
    assert!(receiver.accepted().starts_with("x@1"));
    assert!(receiver.accepted().ends_with("x@2"));
    assert_eq!(receiver.statuses()[..4], [500, 429, 503, 204]);
    let requests = receiver.requests.lock();
    let attempts: Vec<Option<&str>> =
        requests.iter().take(4).map(|request| request.headers.get("retry-attempt").map(String::as_str)).collect();
    assert_eq!(attempts, [None, Some("1"), Some("2"), Some("3")]);
}

#[tokio::test]
async fn what_is_refused_for_good_is_lost_and_told_and_the_rest_goes_on() {
    let (receiver, url) = Receiver::answering([(400, None)]).serve().await;
    let writers = writers(&[config("a", &url)]);
    assert!(!writers.append(series("x", [(1, 1.0)])).acknowledged(soon()).await);
    assert_eq!(writers.status()[0].last_error.as_deref(), Some("answered 400 Bad Request: the reason"));
    assert!(writers.append(series("x", [(2, 2.0)])).acknowledged(soon()).await);
    assert_eq!(receiver.accepted(), "x@2");
    assert_eq!(writers.status()[0].last_error, None);
}

#[tokio::test]
async fn a_sample_that_is_refused_takes_no_others_with_it() {
    let receiver = Receiver { refuses: Some("bad"), samples_max: Some(25), ..Receiver::default() };
    let (receiver, url) = receiver.serve().await;
    let writers = writers(&[config("a", &url)]);
    let good = |at: i64| series("x", [(at, 0.0)]);
    let samples = (0..50).flat_map(|at| if at == 7 || at == 33 { series("bad", [(at, 0.0)]) } else { good(at) });
    let ticket = writers.append(samples.collect());
    assert!(!ticket.acknowledged(soon()).await);
    let expected = (0..50).filter(|at| *at != 7 && *at != 33).map(|at| format!("x@{at}")).collect::<Vec<_>>();
    assert_eq!(receiver.accepted(), expected.join(" "));
    let status = &writers.status()[0];
    assert_eq!(status.pending, 0);
    assert_eq!(status.last_error.as_deref(), Some("answered 400 Bad Request: out of order sample"));
}

#[tokio::test]
async fn a_target_that_refuses_everything_is_not_asked_for_every_sample() {
    let (receiver, url) = Receiver { refuses: Some("bad"), ..Receiver::default() }.serve().await;
    let writers = writers(&[config("a", &url)]);
    let ticket = writers.append([series("good", [(1, 0.0)]), series("bad", (0..1999).map(|at| (at, 0.0)))].concat());
    assert!(!ticket.acknowledged(soon()).await);
    assert!(receiver.statuses().len() < 200);
    assert_eq!(receiver.accepted(), "good@1");
}

#[tokio::test]
async fn what_waits_through_a_reload_goes_out_under_the_new_settings() {
    let (receiver, url) = Receiver::answering((0..20).map(|_| (500, None))).serve().await;
    let writers = writers(&[config("a", &url)]);
    let ticket = writers.append(series("x", [(1, 1.0)]));
    while receiver.statuses().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let rename = RelabelSpec {
        target_label: Some("__name__".to_owned()),
        replacement: Some("renamed".to_owned()),
        ..RelabelSpec::default()
    };
    let mut target = config("a", &url);
    target.write_relabel = vec![RelabelRule::new(rename).unwrap()];
    writers.apply(&[target], &Labels::empty()).unwrap();
    assert!(ticket.acknowledged(soon()).await);
    assert_eq!(receiver.accepted(), "renamed@1");
}

#[tokio::test]
async fn a_request_too_large_is_sent_in_parts() {
    let (receiver, url) = Receiver { samples_max: Some(2), ..Receiver::default() }.serve().await;
    let writers = writers(&[config("a", &url)]);
    let ticket = writers.append(series("x", (0..20).map(|at| (at, 0.0))));
    assert!(ticket.acknowledged(soon()).await);
    let expected: Vec<String> = (0..20).map(|at| format!("x@{at}")).collect();
    assert_eq!(receiver.accepted(), expected.join(" "));
}

#[tokio::test]
async fn a_full_queue_loses_its_oldest_and_says_so() {
    let (receiver, url) = Receiver { gate: Some(Semaphore::new(0)), ..Receiver::default() }.serve().await;
    let registry = prometheus::Registry::new();
    let metrics = Metrics::new(&registry).unwrap();
    let writers = RemoteWriters::new(SystemClock::shared(), ClientOptions::default(), metrics);
    let mut small = config("a", &url);
    small.queue.capacity = 3;
    writers.apply(&[small], &Labels::empty()).unwrap();
    let oldest = writers.append(series("x", (0..6).map(|at| (at, 0.0))));
    let newest = writers.append(series("y", [(9, 0.0)]));
    receiver.gate.as_ref().unwrap().add_permits(10);
    assert!(!oldest.acknowledged(soon()).await);
    assert!(newest.acknowledged(soon()).await);
    assert!(receiver.accepted().ends_with("y@9"));
    let value = |name: &str| {
        let family = registry.gather().into_iter().find(|family| family.name() == name).unwrap();
        let metric = &family.get_metric()[0];
        metric.get_counter().get_value().max(metric.get_gauge().get_value())
    };
    assert_eq!(value("bellwether_remote_write_samples_overflowed_total"), 4.0);
    assert_eq!(value("prometheus_remote_storage_samples_dropped_total"), 4.0);
    assert_eq!(value("prometheus_remote_storage_samples_total"), 3.0);
    assert_eq!(value("prometheus_remote_storage_samples_pending"), 0.0);
    assert_eq!(value("bellwether_remote_write_queue_capacity"), 3.0);
}

#[tokio::test]
async fn relabeling_sees_external_labels_and_what_it_drops_is_no_loss() {
    let (receiver, url) = Receiver::default().serve().await;
    let rule = |action: &str, source: &str, regex: &str| {
        let spec = RelabelSpec {
            action: Some(action.to_owned()),
            source_labels: (!source.is_empty()).then(|| vec![source.to_owned()]),
            regex: Some(regex.to_owned()),
            ..RelabelSpec::default()
        };
        RelabelRule::new(spec).unwrap()
    };
    let mut target = config("a", &url);
    target.write_relabel =
        vec![rule("keep", "cluster", "eu"), rule("drop", "__name__", "secret_.*"), rule("labeldrop", "", "cluster")];
    let writers = writers(&[]);
    writers.apply(&[target], &Labels::from_pairs([("cluster", "eu")])).unwrap();
    let ticket = writers.append([series("secret_x", [(1, 1.0)]), series("x", [(1, 1.0)])].concat());
    assert!(ticket.acknowledged(soon()).await);
    assert!(writers.append(series("secret_y", [(2, 1.0)])).acknowledged(soon()).await);
    assert_eq!(receiver.accepted(), "x@1");
    assert_eq!(writers.status()[0].pending, 0);
}

#[tokio::test]
async fn a_dead_target_delays_no_other() {
    let (receiver, url) = Receiver::default().serve().await;
    let writers = writers(&[config("dead", "http://127.0.0.1:1/write"), config("good", &url)]);
    let ticket = writers.append(series("x", [(1, 1.0)]));
    while receiver.accepted().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!ticket.acknowledged(Instant::now() + Duration::from_millis(50)).await);
    let report = writers.drain(Instant::now() + Duration::from_millis(50)).await;
    let left: Vec<(&str, usize)> = report.targets.iter().map(|target| (&*target.name, target.left)).collect();
    assert_eq!(left, [("dead", 1), ("good", 0)]);
}

#[tokio::test]
async fn a_drain_sends_what_is_queued() {
    let (receiver, url) = Receiver::answering([(500, None)]).serve().await;
    let writers = writers(&[config("a", &url)]);
    writers.append(series("x", [(1, 1.0), (2, 2.0)]));
    let report = writers.drain(soon()).await;
    assert_eq!(report.targets, [TargetDrained { name: "a".to_owned(), settled: 2, left: 0 }]);
    assert_eq!(receiver.accepted(), "x@1 x@2");
}

#[tokio::test]
async fn a_reload_keeps_queues_and_a_bad_one_changes_nothing() {
    let (receiver, url) = Receiver::default().serve().await;
    let dead = "http://127.0.0.1:1/write";
    let writers = writers(&[config("a", dead), config("b", dead)]);
    let ticket = writers.append(series("x", [(1, 1.0)]));

    let mut bad = config("c", &url);
    bad.http.http_headers.insert("no header".to_owned(), Vec::new());
    assert!(writers.apply(&[bad], &Labels::empty()).is_err());
    let names = |writers: &RemoteWriters| writers.status().into_iter().map(|s| (s.name, s.pending)).collect::<Vec<_>>();
    assert_eq!(names(&writers), [("a".to_owned(), 1), ("b".to_owned(), 1)]);

    // One keeps its name and gets another address; the other keeps its address and gets another name.
    let external = Labels::from_pairs([("cluster", "eu")]);
    writers.apply(&[config("new name", dead), config("a", &url)], &external).unwrap();
    assert_eq!(names(&writers)[0], ("new name".to_owned(), 1));
    while receiver.accepted().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    writers.apply(&[config("new name", &url), config("a", &url)], &external).unwrap();
    assert!(ticket.acknowledged(soon()).await);
    assert_eq!(receiver.accepted(), "x@1 x@1");
}

#[tokio::test]
async fn a_ticket_of_a_target_that_goes_away_is_answered() {
    let writers = writers(&[config("a", "http://127.0.0.1:1/write")]);
    let ticket = writers.append(series("x", [(1, 1.0)]));
    writers.drain(Instant::now()).await;
    assert!(!ticket.acknowledged(soon()).await);
}
