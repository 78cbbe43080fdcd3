//! An Alertmanager that does as it is told, and remembers every alert it was posted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Labels, now_ms, parse_ms, string_map};

#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    Accept,
    AcceptAfter(Duration),
    /// This status, and nothing is taken.
    Answer(u16),
    /// 429, to come back after so many seconds.
    RetryAfter(u64),
    /// 400 for a request that holds alerts with this label; as at a real Alertmanager, the others are taken.
    Refuse(&'static str, &'static str),
    /// 413 for more alerts than this.
    AtMost(usize),
    Redirect(String),
    /// The connection stays open, and nothing is said.
    Never,
    /// Nothing is said, but the alerts are taken: a proxy may lose an answer.
    TakeSilently,
}

#[derive(Clone, Debug)]
pub(crate) struct Posted {
    pub(crate) at_ms: i64,
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    pub(crate) starts_ms: i64,
    pub(crate) ends_ms: i64,
    pub(crate) raw: Value,
}

impl Posted {
    /// A firing alert ends later than it is sent.
    pub(crate) fn is_resolve(&self) -> bool {
        self.ends_ms <= self.at_ms
    }
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) at_ms: i64,
    pub(crate) alerts: Vec<Posted>,
    /// Not there while nothing was answered.
    pub(crate) status: Option<u16>,
}

#[derive(Default)]
struct Shared {
    behaviour: Option<Behaviour>,
    requests: Vec<Request>,
    accepted: Vec<Posted>,
}

pub(crate) struct AlertmanagerStub {
    pub(crate) address: String,
    shared: Arc<Mutex<Shared>>,
    server: JoinHandle<()>,
}

impl AlertmanagerStub {
    pub(crate) async fn start(behaviour: Behaviour) -> AlertmanagerStub {
        let shared = Arc::new(Mutex::new(Shared { behaviour: Some(behaviour), ..Shared::default() }));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address").to_string();
        let router = Router::new().route("/api/v2/alerts", post(receive)).with_state(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving does not end") });
        AlertmanagerStub { address, shared, server }
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.shared.lock().behaviour = Some(behaviour);
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// Every accepted post of an alert with these labels among its own, oldest first.
    pub(crate) fn accepted(&self, wanted: &Labels) -> Vec<Posted> {
        let about = |posted: &&Posted| wanted.iter().all(|(name, value)| posted.labels.get(name) == Some(value));
        self.shared.lock().accepted.iter().filter(about).cloned().collect()
    }

    /// The newest accepted state of each label set.
    pub(crate) fn known(&self) -> BTreeMap<Labels, Posted> {
        self.shared.lock().accepted.iter().map(|posted| (posted.labels.clone(), posted.clone())).collect()
    }

    /// What a real Alertmanager that was told the same would call firing now.
    pub(crate) fn firing(&self, wanted: &Labels) -> Result<Posted, String> {
        let posted = self.accepted(wanted);
        match posted.last() {
            Some(last) if last.ends_ms > now_ms() => Ok(last.clone()),
            Some(last) if last.is_resolve() => Err(format!("{wanted:?} was resolved: {last:?}")),
            Some(last) => Err(format!("{wanted:?} ran out {} ms ago: {last:?}", now_ms() - last.ends_ms)),
            None => Err(format!("{wanted:?} was never accepted, of {} requests", self.shared.lock().requests.len())),
        }
    }

    /// Succeeds if the last word is an outspoken end, not a silent one.
    pub(crate) fn resolved(&self, wanted: &Labels) -> Result<Posted, String> {
        match self.accepted(wanted).last() {
            Some(last) if last.is_resolve() => Ok(last.clone()),
            other => Err(format!("{wanted:?} was not resolved: {other:?}")),
        }
    }
}

impl Drop for AlertmanagerStub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(shared): State<Arc<Mutex<Shared>>>, body: String) -> Response {
    let alerts = parse(&body, now_ms());
    let (behaviour, number) = {
        let mut shared = shared.lock();
        shared.requests.push(Request { at_ms: now_ms(), alerts: alerts.clone(), status: None });
        (shared.behaviour.clone().expect("set at the start"), shared.requests.len() - 1)
    };
    if let Behaviour::AcceptAfter(pause) = &behaviour {
        tokio::time::sleep(*pause).await;
    }
    if matches!(behaviour, Behaviour::TakeSilently) {
        shared.lock().accepted.extend(alerts.clone());
    }
    if matches!(behaviour, Behaviour::Never | Behaviour::TakeSilently) {
        std::future::pending::<()>().await;
    }
    let (status, header, text, taken) = answer(&behaviour, alerts);
    let mut shared = shared.lock();
    shared.requests[number].status = Some(status.as_u16());
    shared.accepted.extend(taken);
    match header {
        Some(header) => (status, [header], text).into_response(),
        None => (status, text).into_response(),
    }
}

fn answer(
    behaviour: &Behaviour,
    alerts: Vec<Posted>,
) -> (StatusCode, Option<(HeaderName, String)>, &'static str, Vec<Posted>) {
    match behaviour {
        Behaviour::Accept | Behaviour::AcceptAfter(_) => (StatusCode::OK, None, "", alerts),
        Behaviour::Never | Behaviour::TakeSilently => unreachable!("these do not answer"),
        Behaviour::Answer(status) => {
            (StatusCode::from_u16(*status).expect("a status"), None, "\"as the test wants it\"", vec![])
        }
        Behaviour::RetryAfter(seconds) => {
            (StatusCode::TOO_MANY_REQUESTS, Some((header::RETRY_AFTER, seconds.to_string())), "\"not now\"", vec![])
        }
        Behaviour::Refuse(name, value) => {
            let (bad, good): (Vec<_>, Vec<_>) =
                alerts.into_iter().partition(|alert| alert.labels.get(*name).is_some_and(|label| label == value));
            let status = if bad.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
            (status, None, "\"invalid label set\"", good)
        }
        Behaviour::AtMost(most) if alerts.len() > *most => {
            (StatusCode::PAYLOAD_TOO_LARGE, None, "\"too large\"", vec![])
        }
        Behaviour::AtMost(_) => (StatusCode::OK, None, "", alerts),
        Behaviour::Redirect(url) => (StatusCode::FOUND, Some((header::LOCATION, url.clone())), "", vec![]),
    }
}

fn parse(body: &str, at_ms: i64) -> Vec<Posted> {
    let alerts: Vec<Value> = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    let posted = |raw: Value| Posted {
        at_ms,
        labels: string_map(&raw["labels"]),
        annotations: string_map(&raw["annotations"]),
        starts_ms: parse_ms(&raw["startsAt"]),
        ends_ms: parse_ms(&raw["endsAt"]),
        raw,
    };
    alerts.into_iter().map(posted).collect()
}
