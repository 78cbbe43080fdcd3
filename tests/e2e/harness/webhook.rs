//! The receiver at the end: what people would be told.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Labels, now_ms, string_map};

/// One alert of one notification.
#[derive(Clone, Debug)]
pub(crate) struct Notified {
    pub(crate) at_ms: i64,
    /// The last path element of the URL it was sent to: says which Alertmanager it was.
    pub(crate) from: String,
    pub(crate) resolved: bool,
    pub(crate) labels: Labels,
    pub(crate) alert: Value,
}

pub(crate) struct Webhook {
    port: u16,
    notified: Arc<Mutex<Vec<Notified>>>,
    server: JoinHandle<()>,
}

impl Webhook {
    pub(crate) async fn start() -> Webhook {
        let notified = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let router = Router::new().route("/{from}", post(receive)).with_state(notified.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving does not end") });
        Webhook { port, notified, server }
    }

    /// The URL for one Alertmanager.
    pub(crate) fn url(&self, from: &str) -> String {
        format!("http://127.0.0.1:{}/{from}", self.port)
    }

    pub(crate) fn notified(&self) -> Vec<Notified> {
        self.notified.lock().clone()
    }

    /// What `from` said of alerts with these labels among their own: `true` for each "resolved".
    pub(crate) fn told(&self, from: &str, wanted: &Labels) -> Vec<bool> {
        let about = |labels: &Labels| wanted.iter().all(|(name, value)| labels.get(name) == Some(value));
        let told = self.notified.lock();
        told.iter().filter(|told| told.from == from && about(&told.labels)).map(|told| told.resolved).collect()
    }

    /// Succeeds if the last word of `from` is that the alert fires (or has ended).
    pub(crate) fn last_told(&self, from: &str, wanted: &Labels, resolved: bool) -> Result<(), String> {
        let told = self.told(from, wanted);
        let wish = if resolved { "resolved" } else { "firing" };
        if told.last() == Some(&resolved) {
            Ok(())
        } else {
            Err(format!("{from} should say {wish}; resolved: {told:?}"))
        }
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(notified): State<Arc<Mutex<Vec<Notified>>>>, Path(from): Path<String>, body: String) {
    let at_ms = now_ms();
    let body: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{body}: {error}"));
    let alerts = body["alerts"].as_array().cloned().unwrap_or_default();
    notified.lock().extend(alerts.into_iter().map(|alert| Notified {
        at_ms,
        from: from.clone(),
        resolved: alert["status"] == "resolved",
        labels: string_map(&alert["labels"]),
        alert,
    }));
}
