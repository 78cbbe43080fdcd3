//! `/api/v1/rules` and `/api/v1/alerts` with 100,000 alerts: from the snapshot to the last byte of the body.
//!
//! Run with `cargo bench --bench api`; the throughput is that of the JSON.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use bellwether::api::views::{
    AlertView, AlertViewState, AlertingView, AlertmanagersView, GroupView, Health, Readiness, RuleState, RuleView,
    RuleViewKind, RuntimeView, Views,
};
use bellwether::api::{ApiOptions, HttpMetrics, router};
use bellwether::model::{Labels, Timestamp};
use common::samples;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::BoxFuture;
use prometheus::Registry;
use tower::ServiceExt;

mod common;

const ALERTS: usize = 100_000;

struct Snapshot(Arc<[GroupView]>);

impl Views for Snapshot {
    fn groups(&self) -> Arc<[GroupView]> {
        self.0.clone()
    }

    fn alertmanagers(&self) -> AlertmanagersView {
        AlertmanagersView::default()
    }

    fn config_yaml(&self) -> String {
        String::new()
    }

    fn flags(&self) -> Arc<BTreeMap<String, String>> {
        Arc::default()
    }

    fn runtime(&self) -> RuntimeView {
        RuntimeView {
            start_time: Timestamp::default(),
            server_time: Timestamp::default(),
            working_directory: String::new(),
            hostname: String::new(),
            reload_config_success: true,
            last_config_time: None,
            last_reload_error: None,
            warnings: Vec::new(),
        }
    }

    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    fn metrics_text(&self) -> String {
        String::new()
    }

    fn source_url_for_graph(&self) -> Option<String> {
        None
    }

    fn reload(&self) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn quit(&self) {}
}

fn groups() -> Arc<[GroupView]> {
    let at = Timestamp::from_seconds(1_700_000_000);
    let alerts = samples(ALERTS, 0.0).into_iter().map(|sample| AlertView {
        annotations: Labels::from_pairs([("summary", format!("{} is high", sample.labels.value("instance")))]),
        labels: sample.labels,
        state: AlertViewState::Firing,
        active_at: at,
        keep_firing_since: None,
        value: sample.value.as_float(),
    });
    let rule = RuleView {
        name: Arc::from("A"),
        query: Arc::from("up == 0"),
        labels: Labels::empty(),
        health: Health::Ok,
        last_error: None,
        evaluation_time: Duration::from_millis(80),
        last_evaluation: Some(at),
        kind: RuleViewKind::Alerting(AlertingView {
            state: RuleState::Firing,
            hold_duration: Duration::ZERO,
            keep_firing_for: Duration::ZERO,
            annotations: Labels::from_pairs([("summary", "{{ $labels.instance }} is high")]),
            alerts: alerts.collect(),
        }),
    };
    Arc::new([GroupView {
        name: Arc::from("bench"),
        file: Arc::from("bench.yml"),
        interval: Duration::from_secs(60),
        limit: 0,
        query_offset: None,
        evaluation_time: Duration::from_millis(80),
        last_evaluation: Some(at),
        rules: vec![rule],
    }])
}

fn answers(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let metrics = HttpMetrics::new(&Registry::new());
    let api = router(Arc::new(Snapshot(groups())), &ApiOptions::default(), metrics);
    let get = |path: &'static str| {
        let api = api.clone();
        runtime.block_on(async move {
            let request = Request::get(path).body(Body::empty()).expect("a request");
            let answer = api.oneshot(request).await.expect("it never fails");
            assert!(answer.status().is_success());
            to_bytes(answer.into_body(), usize::MAX).await.expect("a whole body").len()
        })
    };
    let mut benches = criterion.benchmark_group(format!("api/{ALERTS}"));
    benches.sample_size(10).measurement_time(Duration::from_secs(3));
    for path in ["/api/v1/rules", "/api/v1/alerts", "/api/v1/rules?exclude_alerts=true"] {
        benches.throughput(Throughput::Bytes(get(path) as u64));
        benches.bench_function(path.replace('/', " ").trim(), |bencher| bencher.iter(|| get(path)));
    }
    benches.finish();
}

criterion_group!(benches, answers);
criterion_main!(benches);
