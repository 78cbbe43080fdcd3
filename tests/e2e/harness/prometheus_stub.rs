//! A Prometheus' query API with answers from a table, and every way to answer badly.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Labels, millis, now_ms};

#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// HTML, as a proxy's error page with status 200.
    NotJson,
    /// Well-formed HTTP; the JSON in it ends in the middle.
    HalfJson,
    /// The connection ends in the middle of the answer.
    CutOff,
    /// JSON in Prometheus' envelope, but not the answer to an instant query.
    WrongShape,
    /// Prometheus' error envelope.
    Error(u16, &'static str, &'static str),
    /// No envelope.
    Status(u16),
    Redirect(String),
    /// The right answer, late.
    Slow(Duration),
    /// More than anybody can want, without end.
    Huge,
}

const CUT_OFF_AFTER: Duration = millis(50);

/// A query as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) at_ms: i64,
    pub(crate) query: String,
}

#[derive(Default)]
struct Shared {
    answers: BTreeMap<String, BTreeMap<Labels, f64>>,
    fault: Option<Fault>,
    asked: Vec<Asked>,
}

pub(crate) struct PrometheusStub {
    address: String,
    shared: Arc<Mutex<Shared>>,
    server: JoinHandle<()>,
}

impl PrometheusStub {
    pub(crate) async fn start() -> PrometheusStub {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address").to_string();
        let router = Router::new().route("/api/v1/query", post(query)).with_state(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving does not end") });
        PrometheusStub { address, shared, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on the answer to `expr`, as it is written in the rule, holds this element.
    pub(crate) fn set<const N: usize>(&self, expr: &str, labels: [(&str, &str); N], value: f64) {
        let labels = super::labels(labels);
        self.shared.lock().answers.entry(expr.to_owned()).or_default().insert(labels, value);
    }

    pub(crate) fn remove<const N: usize>(&self, expr: &str, labels: [(&str, &str); N]) {
        let mut shared = self.shared.lock();
        shared.answers.get_mut(expr).and_then(|elements| elements.remove(&super::labels(labels)));
    }

    pub(crate) fn fail(&self, fault: Option<Fault>) {
        self.shared.lock().fault = fault;
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.lock().asked.clone()
    }
}

impl Drop for PrometheusStub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn query(State(shared): State<Arc<Mutex<Shared>>>, body: Bytes) -> Response {
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(&body).into_owned().collect();
    let text = form.get("query").cloned().unwrap_or_default();
    let time: f64 = form.get("time").and_then(|time| time.parse().ok()).unwrap_or(now_ms() as f64 / 1000.0);
    let (fault, elements) = {
        let mut shared = shared.lock();
        shared.asked.push(Asked { at_ms: now_ms(), query: text.clone() });
        (shared.fault.clone(), shared.answers.get(&text).cloned().unwrap_or_default())
    };
    let right = right_answer(&text, time, &elements);
    match fault {
        None => json_response(StatusCode::OK, right),
        Some(fault) => bad_response(fault, right).await,
    }
}

fn right_answer(query: &str, time: f64, elements: &BTreeMap<Labels, f64>) -> String {
    let element = |(labels, value): (&Labels, &f64)| json!({"metric": labels, "value": [time, value.to_string()]});
    let elements: Vec<Value> = elements.iter().map(element).collect();
    let result_type = if query.ends_with(']') { "matrix" } else { "vector" };
    json!({"status": "success", "data": {"resultType": result_type, "result": elements}}).to_string()
}

async fn bad_response(fault: Fault, right: String) -> Response {
    let half = || right[..right.len() / 2].to_owned();
    match fault {
        Fault::NotJson => (StatusCode::OK, "<html><body>It works!</body></html>").into_response(),
        Fault::HalfJson => json_response(StatusCode::OK, half()),
        Fault::CutOff => {
            let parts = [Ok(Bytes::from(half())), Err(io::Error::other("cut off by the test"))];
            // The first part is on its way before the second is seen.
            let parts = stream::iter(parts).then(async |part| {
                tokio::time::sleep(CUT_OFF_AFTER).await;
                part
            });
            Response::new(Body::from_stream(parts))
        }
        Fault::WrongShape => {
            json_response(StatusCode::OK, r#"{"status":"success","data":{"resultType":"vector","result":{}}}"#.into())
        }
        Fault::Error(status, kind, message) => {
            let status = StatusCode::from_u16(status).expect("a status");
            json_response(status, json!({"status": "error", "errorType": kind, "error": message}).to_string())
        }
        Fault::Status(status) => {
            (StatusCode::from_u16(status).expect("a status"), "upstream connect error").into_response()
        }
        Fault::Redirect(url) => (StatusCode::FOUND, [(header::LOCATION, url)]).into_response(),
        Fault::Slow(pause) => {
            tokio::time::sleep(pause).await;
            json_response(StatusCode::OK, right)
        }
        Fault::Huge => {
            let long = "x".repeat(100_000);
            let elements = (0_u64..).map(move |number| match number {
                0 => r#"{"status":"success","data":{"resultType":"vector","result":["#.to_owned(),
                _ => format!(r#"{{"metric":{{"number":"{number}","long":"{long}"}},"value":[1,"1"]}},"#),
            });
            let elements = stream::iter(elements.map(|text| Ok::<_, Infallible>(Bytes::from(text))));
            Response::new(Body::from_stream(elements))
        }
    }
}

fn json_response(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}
