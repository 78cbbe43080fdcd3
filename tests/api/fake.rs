//! Views that show what a test wants, and a way to ask a router.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use bellwether::api::views::{
    AlertView, AlertViewState, AlertingView, AlertmanagersView, GroupView, Health, Readiness, RuleState, RuleView,
    RuleViewKind, RuntimeView, Views,
};
use bellwether::api::{ApiOptions, HttpMetrics, router};
use bellwether::model::{Labels, Timestamp};
use futures_util::future::BoxFuture;
use prometheus::Registry;
use tower::ServiceExt;

pub(crate) struct FakeViews {
    pub(crate) groups: Arc<[GroupView]>,
    pub(crate) readiness: Mutex<Readiness>,
    pub(crate) reload: Result<(), String>,
    pub(crate) source_url: Option<String>,
    pub(crate) quit: AtomicBool,
    /// Reading groups panics.
    pub(crate) panics: bool,
    /// Gathering metrics waits for a word, once.
    pub(crate) metrics_wait_for: Mutex<Option<mpsc::Receiver<()>>>,
    pub(crate) registry: Registry,
}

impl FakeViews {
    pub(crate) fn showing(groups: Vec<GroupView>) -> FakeViews {
        FakeViews {
            groups: groups.into(),
            readiness: Mutex::new(Readiness::Ready),
            reload: Ok(()),
            source_url: Some("http://prometheus:9090/base/".to_owned()),
            quit: AtomicBool::new(false),
            panics: false,
            metrics_wait_for: Mutex::new(None),
            registry: Registry::new(),
        }
    }
}

impl FakeViews {
    /// Whether somebody waits to gather metrics, or has done so.
    pub(crate) fn is_gathering(&self) -> bool {
        self.metrics_wait_for.lock().unwrap().is_none()
    }
}

impl Views for FakeViews {
    fn groups(&self) -> Arc<[GroupView]> {
        assert!(!self.panics, "a test wants this");
        self.groups.clone()
    }

    fn alertmanagers(&self) -> AlertmanagersView {
        AlertmanagersView { active: vec!["http://127.0.0.1:9/api/v2/alerts".to_owned()], dropped: Vec::new() }
    }

    fn config_yaml(&self) -> String {
        "global:\n  evaluation_interval: 2s\n".to_owned()
    }

    fn flags(&self) -> Arc<BTreeMap<String, String>> {
        Arc::new(BTreeMap::from(
            [("log.level", "info"), ("config.file", "prometheus.yml")]
                .map(|(flag, value)| (flag.to_owned(), value.to_owned())),
        ))
    }

    fn runtime(&self) -> RuntimeView {
        RuntimeView {
            start_time: Timestamp::from_millis(1_795_228_800_123),
            server_time: Timestamp::from_millis(1_795_228_860_000),
            working_directory: "/var/lib".to_owned(),
            hostname: "vm".to_owned(),
            reload_config_success: true,
            last_config_time: None,
            last_reload_error: None,
            warnings: Vec::new(),
        }
    }

    fn readiness(&self) -> Readiness {
        *self.readiness.lock().unwrap()
    }

    fn metrics_text(&self) -> String {
        let word = self.metrics_wait_for.lock().unwrap().take();
        if let Some(word) = word {
            let _ = word.recv();
        }
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }

    fn source_url_for_graph(&self) -> Option<String> {
        self.source_url.clone()
    }

    fn reload(&self) -> BoxFuture<'static, Result<(), String>> {
        let result = self.reload.clone();
        Box::pin(async move { result })
    }

    fn quit(&self) {
        self.quit.store(true, Ordering::SeqCst);
    }
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_795_228_800_000 + millis)
}

pub(crate) fn recording(name: &str, pairs: &[(&str, &str)]) -> RuleView {
    RuleView {
        name: name.into(),
        query: "sum(up)".into(),
        labels: labels(pairs),
        health: Health::Ok,
        last_error: None,
        evaluation_time: Duration::from_micros(250),
        last_evaluation: Some(at(683)),
        kind: RuleViewKind::Recording,
    }
}

pub(crate) fn alerting(name: &str, pairs: &[(&str, &str)], state: RuleState, alerts: Vec<AlertView>) -> RuleView {
    let kind = RuleViewKind::Alerting(AlertingView {
        state,
        hold_duration: Duration::from_secs(300),
        keep_firing_for: Duration::from_millis(1500),
        annotations: labels(&[("summary", "<b>{{ $value }}</b>")]),
        alerts,
    });
    RuleView { kind, query: "up > 0".into(), ..recording(name, pairs) }
}

pub(crate) fn alert(pairs: &[(&str, &str)], state: AlertViewState, value: f64) -> AlertView {
    AlertView {
        labels: labels(pairs),
        annotations: labels(&[("empty", "")]),
        state,
        active_at: at(0),
        keep_firing_since: None,
        value,
    }
}

pub(crate) fn group(name: &str, file: &str, rules: Vec<RuleView>) -> GroupView {
    GroupView {
        name: name.into(),
        file: file.into(),
        interval: Duration::from_secs(60),
        limit: 0,
        query_offset: None,
        evaluation_time: Duration::from_micros(700),
        last_evaluation: Some(at(682)),
        rules,
    }
}

pub(crate) fn routes(views: FakeViews, options: &ApiOptions) -> Router {
    let metrics = HttpMetrics::new(&views.registry);
    router(Arc::new(views), options, metrics)
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() }
}

pub(crate) async fn get(router: &Router, target: &str) -> Answer {
    ask(router, Request::get(target).body(Body::empty()).unwrap()).await
}
