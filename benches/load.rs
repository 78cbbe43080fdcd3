//! Loading 10,000 rules: 100 files of 10 groups of 10 rules, six alerting and four recording.
//!
//! Run with `cargo bench --bench load`. `check from disk` is what a start or a reload waits for, on all cores; the others
//! are the parts of it, on one: all texts to groups, and of that the expressions, the templates, and the YAML's events.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether::api::{CorsOrigin, RoutePrefix};
use bellwether::app::{AppOptions, ExternalUrl, check};
use bellwether::config::Flags;
use bellwether::diagnostic::SourceText;
use bellwether::rules::{self, Compat, Group, Options, Rule};
use bellwether::{promql, template::Template};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_saphyr::granit_parser::Parser;

const FILES: usize = 100;
const GROUPS: usize = 10;
const RULES: usize = FILES * GROUPS * 10;

const ALERTS: [(&str, &str, &str); 6] = [
    (
        "HighErrorRate",
        r#"sum by (job, namespace) (rate(http_requests_total{job="J",code=~"5.."}[5m])) / sum by (job, namespace) (rate(http_requests_total{job="J"}[5m])) > 0.05"#,
        "{{ $labels.job }} in {{ $labels.namespace }} answers {{ $value | humanizePercentage }} of its requests with errors.",
    ),
    (
        "HighLatency",
        r#"histogram_quantile(0.99, sum by (le, job) (rate(http_request_duration_seconds_bucket{job="J"}[5m]))) > 0.5"#,
        "99 of 100 requests to {{ $labels.job }} take up to {{ $value | humanizeDuration }}.",
    ),
    (
        "DiskFillsUp",
        r#"predict_linear(node_filesystem_avail_bytes{job="J",fstype!~"tmpfs|overlay",mountpoint!=""}[6h], 4 * 3600) < 0 and node_filesystem_readonly{job="J"} == 0"#,
        "{{ $labels.mountpoint }} on {{ $labels.instance }} is full within four hours.",
    ),
    (
        "PodRestarts",
        r#"increase(kube_pod_container_status_restarts_total{namespace="J"}[15m]) > 3 unless on (namespace) kube_namespace_annotations{quiet="true"}"#,
        "{{ $labels.namespace }}/{{ $labels.pod }} ({{ $labels.container }}) restarted {{ printf \"%.0f\" $value }} times.",
    ),
    ("TargetDown", r#"up{job="J"} == 0"#, "{{ $labels.instance }} of {{ $labels.job }} cannot be scraped."),
    (
        "QueueGrows",
        r#"max without (instance, pod) (queue_depth{job="J"}) > 10 * avg_over_time(queue_depth:max{job="J"}[1d])"#,
        "{{ with $labels.queue }}{{ . }}{{ else }}A queue{{ end }} holds {{ $value | humanize }} messages.",
    ),
];

const RECORDS: [(&str, &str); 4] = [
    ("job:http_requests:rate5m", r#"sum by (job) (rate(http_requests_total{job="J"}[5m]))"#),
    ("job:http_errors:ratio5m", r#"job:http_errors:rate5m{job="J"} / job:http_requests:rate5m{job="J"}"#),
    ("instance:cpu:ratio", r#"1 - avg by (instance) (rate(node_cpu_seconds_total{job="J",mode="idle"}[5m]))"#),
    ("queue_depth:max", r#"max by (queue) (queue_depth{job="J"})"#),
];

fn texts() -> Vec<Arc<SourceText>> {
    (0..FILES).map(|file| SourceText::new(format!("rules-{file}.yml"), text(file))).collect()
}

fn text(file: usize) -> String {
    let mut text = "groups:\n".to_owned();
    for group in 0..GROUPS {
        let job = format!("service-{file}-{group}");
        let _ = write!(text, "  - name: {job}\n    interval: 30s\n    rules:\n");
        for (record, expr) in RECORDS {
            let expr = expr.replace('J', &job);
            let _ = write!(
                text,
                "      - record: {record}\n        expr: {expr}\n        labels:\n          team: t{file}\n"
            );
        }
        for (alert, expr, summary) in ALERTS {
            let expr = expr.replace('J', &job);
            let _ = write!(
                text,
                "      - alert: {alert}\n        expr: |\n          {expr}\n        for: 10m\n        labels:\n          \
                 severity: page\n          team: t{file}\n        annotations:\n          summary: '{summary}'\n          \
                 description: >-\n            {alert} of {{{{ $labels.job }}}}, now at {{{{ $value }}}}.\n            \
                 See the dashboard before you do anything.\n          runbook_url: https://runbooks.example.com/{alert}\n",
            );
        }
    }
    text
}

fn parse_all(texts: &[Arc<SourceText>]) -> Vec<Group> {
    let parsed = texts.iter().map(|text| rules::parse(text, &Options::default()));
    parsed.flat_map(|(groups, findings)| groups.into_iter().inspect(move |_| assert!(findings.is_empty()))).collect()
}

fn load(criterion: &mut Criterion) {
    let texts = texts();
    let groups = parse_all(&texts);
    let rules: Vec<&Rule> = groups.iter().flat_map(|group| &group.rules).collect();
    assert_eq!(rules.len(), RULES);
    let mut benches = criterion.benchmark_group(format!("load/{RULES}"));
    benches.sample_size(10).measurement_time(Duration::from_secs(3)).throughput(Throughput::Elements(RULES as u64));

    let directory = tempfile::tempdir().expect("a directory");
    for text in &texts {
        fs::write(directory.path().join(&text.name), &text.text).expect("room for rules");
    }
    let config = directory.path().join("prometheus.yml");
    fs::write(&config, "rule_files: ['rules-*.yml']\n").expect("room for a configuration");
    let options = options(config);
    benches.bench_function("check from disk", |bencher| {
        bencher.iter_with_large_drop(|| check(&options).expect("all is good"));
    });
    benches.bench_function("texts to groups", |bencher| bencher.iter_with_large_drop(|| parse_all(black_box(&texts))));
    benches.bench_function("of it expressions", |bencher| {
        bencher.iter_with_large_drop(|| {
            rules.iter().map(|rule| promql::parse(rule.expr.text()).expect("it is good")).collect::<Vec<_>>()
        });
    });
    let templates: Vec<&str> = rules
        .iter()
        .filter_map(|rule| Some((rule, rule.alerting()?)))
        .flat_map(|(rule, alerting)| rule.labels.iter().chain(&alerting.annotations).map(|(_, text)| text))
        .collect();
    benches.bench_function("of it templates", |bencher| {
        bencher.iter_with_large_drop(|| {
            templates.iter().map(|text| Template::parse("A", text).expect("it is good")).collect::<Vec<_>>()
        });
    });
    benches.bench_function("of it YAML events", |bencher| {
        bencher.iter(|| texts.iter().map(|text| Parser::new_from_str(&text.text).count()).sum::<usize>());
    });
    benches.finish();

    // One group of all rules: nothing may grow with the square of it.
    let rules_of = |text: &SourceText| text.text.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>();
    let without_heads = |text: String| -> String {
        let head = |line: &str| line.starts_with("  - name:") || line.starts_with("    ") && !line.starts_with("     ");
        text.lines().filter(|line| !head(line)).map(|line| format!("{line}\n")).collect()
    };
    let all: String = texts.iter().map(|text| without_heads(rules_of(text))).collect();
    let one = SourceText::new("one.yml", format!("groups:\n  - name: one\n    rules:\n{all}"));
    let mut benches = criterion.benchmark_group(format!("load/{RULES}"));
    benches.sample_size(10).measurement_time(Duration::from_secs(3)).throughput(Throughput::Elements(RULES as u64));
    benches.bench_function("texts to groups, all in one", |bencher| {
        assert_eq!(parse_all(std::slice::from_ref(&one))[0].rules.len(), RULES);
        bencher.iter_with_large_drop(|| parse_all(std::slice::from_ref(&one)));
    });
    benches.finish();
}

fn options(config: PathBuf) -> AppOptions {
    let flags = Flags { source_urls: vec!["http://127.0.0.1:9090".parse().expect("a URL")], ..Flags::default() };
    let minute = Duration::from_secs(60);
    AppOptions {
        config_file: Some(config),
        flags,
        compat: Compat::Native,
        auto_reload: None,
        alert_source_url: None,
        for_outage_tolerance: 60 * minute,
        for_grace_period: 10 * minute,
        resend_delay: minute,
        max_concurrent_evals: 4,
        query_timeout: 2 * minute,
        notification_batch_size: 256,
        shutdown_timeout: minute,
        listen_addresses: Vec::new(),
        web_config_file: None,
        external_url: ExternalUrl::parse("http://127.0.0.1:9595").expect("a URL"),
        route_prefix: RoutePrefix::default(),
        enable_lifecycle: false,
        cors_origin: CorsOrigin::default(),
        shown_flags: Arc::new(BTreeMap::new()),
    }
}

criterion_group!(benches, load);
criterion_main!(benches);
