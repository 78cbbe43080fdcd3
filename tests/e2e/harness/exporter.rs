//! Something for a Prometheus to scrape.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) struct Exporter {
    pub(crate) address: String,
    values: Arc<Mutex<BTreeMap<String, f64>>>,
    server: JoinHandle<()>,
}

impl Exporter {
    pub(crate) async fn start() -> Exporter {
        let values = Arc::new(Mutex::new(BTreeMap::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address").to_string();
        let shown = values.clone();
        let router = Router::new().route("/metrics", get(async move || exposition(&shown.lock())));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving does not end") });
        Exporter { address, values, server }
    }

    /// `series` as in the exposition format: `name{label="value"}`.
    pub(crate) fn set(&self, series: &str, value: f64) {
        self.values.lock().insert(series.to_owned(), value);
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn exposition(values: &BTreeMap<String, f64>) -> String {
    values.iter().fold(String::new(), |mut text, (series, value)| {
        writeln!(text, "{series} {value}").expect("a string can be written to");
        text
    })
}
