//! The whole way: scraped samples, rules, alerts at two Alertmanagers, notifications, and back.

use serde_json::Value;

use crate::harness::*;

const RULES: &str = r#"
groups:
  - name: disk
    labels: {team: storage}
    rules:
      - record: device:disk_free_bytes:avg5s
        expr: avg_over_time(disk_free_bytes[5s])
      - alert: DiskAlmostFull
        expr: device:disk_free_bytes:avg5s < 100e6
        for: 2s
        keep_firing_for: 2s
        labels:
          severity: '{{ if lt $value 1e8 }}page{{ else }}ticket{{ end }}'
        annotations:
          summary: '{{ $labels.device }}: {{ $value | humanize1024 }}B of {{ with query "sum(disk_size_bytes)" }}{{ . | first | value | humanize }}{{ end }} free in {{ $externalLabels.cluster }}'
      - alert: DiskWillFill
        expr: predict_linear(disk_free_bytes[10s], 60) < 0
        annotations:
          summary: '{{ $labels.device }} fills up'
"#;

/// What the Prometheus beside it runs on, and most of what Bellwether is given.
fn prometheus_yml(exporter: &Exporter) -> String {
    format!(
        "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n  external_labels: {{cluster: eu, replica: r1}}\n\
         scrape_configs:\n  - job_name: node\n    static_configs: [{{targets: ['{}']}}]\n",
        exporter.address
    )
}

fn ruler_sections(prometheus: &Prometheus, alertmanagers: &[&Alertmanager]) -> String {
    let targets: Vec<String> = alertmanagers.iter().map(|alertmanager| alertmanager.address()).collect();
    format!(
        "rule_files: [rules/*.yml]\n\
         alerting:\n  alert_relabel_configs:\n    - {{action: labeldrop, regex: replica}}\n    \
         - {{source_labels: [severity], regex: pa(.*), target_label: pager, replacement: 'p$1'}}\n  \
         alertmanagers:\n    - static_configs: [{{targets: {targets:?}}}]\n\
         remote_write:\n  - url: {}\n\
         sources:\n  - {{name: main, type: prometheus, url: '{}', external_url: 'http://graphs.example/prom'}}\n",
        prometheus.write_url(),
        prometheus.url()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_goes_from_a_scraped_sample_to_the_webhook_and_so_does_its_end() {
    let Some(peers) = Peers::find() else { return };
    let (webhook, exporter) = (Webhook::start().await, Exporter::start().await);
    exporter.set("disk_size_bytes{device=\"sda\"}", 2e9);
    exporter.set("disk_free_bytes{device=\"sda\"}", 1e9);
    let first = Alertmanager::start(&peers, &webhook.url("first")).await;
    let second = Alertmanager::start(&peers, &webhook.url("second")).await;
    let base = prometheus_yml(&exporter);
    let prometheus = Prometheus::start(&peers, &base).await;
    let config = base + &ruler_sections(&prometheus, &[&first, &second]);
    let bellwether = Bellwether::with_text(&config, RULES).start().await;
    eventually("a quiet evaluation", secs(20), async || {
        let rule = bellwether.healthy("DiskAlmostFull", "ok").await?;
        match prometheus.value("device:disk_free_bytes:avg5s").await? {
            Some(1e9) if rule["state"] == "inactive" => Ok(()),
            other => Err(format!("recorded {other:?}, {rule}")),
        }
    })
    .await;
    assert!(webhook.notified().is_empty(), "{:?}", webhook.notified());

    exporter.set("disk_free_bytes{device=\"sda\"}", 50e6);
    let full = labels([("alertname", "DiskAlmostFull"), ("device", "sda")]);
    let fills = labels([("alertname", "DiskWillFill"), ("device", "sda")]);
    let pending = bellwether.wait_for(&full, "pending", secs(20)).await;
    for alertmanager in [&first, &second] {
        alertmanager.not_firing(&full).await.expect("a pending alert is nobody's business");
    }
    let firing = bellwether.wait_for(&full, "firing", secs(10)).await;
    assert_eq!(pending["activeAt"], firing["activeAt"]);
    for (name, alertmanager) in [("first", &first), ("second", &second)] {
        check_firing(alertmanager, &full).await;
        eventually("the webhook knows", secs(10), async || webhook.last_told(name, &full, false)).await;
        assert_eq!(
            webhook.told(name, &fills).first(),
            Some(&false),
            "falling that fast, it fires before the other one"
        );
    }
    check_series(&prometheus).await;

    exporter.set("disk_free_bytes{device=\"sda\"}", 1e9);
    eventually("the alert is kept firing", secs(10), async || {
        let alert = bellwether.alert_in(&full, "firing").await?;
        if alert["keepFiringSince"].is_string() { Ok(()) } else { Err(alert.to_string()) }
    })
    .await;
    for (name, alertmanager) in [("first", &first), ("second", &second)] {
        eventually("it is over", secs(15), async || alertmanager.not_firing(&full).await).await;
        eventually("the webhook knows the end", secs(15), async || webhook.last_told(name, &full, true)).await;
        eventually("nothing fills up", secs(20), async || webhook.last_told(name, &fills, true)).await;
        assert_eq!(webhook.told(name, &full), [false, true], "one beginning, one end");
    }
    assert!(bellwether.alert(&full).await.is_err(), "it is not active any more");
    let about_full = webhook.notified().into_iter().filter(|told| told.labels["alertname"] == "DiskAlmostFull");
    for told in about_full.filter(|told| told.resolved) {
        let (starts_ms, ends_ms) = (parse_ms(&told.alert["startsAt"]), parse_ms(&told.alert["endsAt"]));
        assert!(starts_ms < ends_ms && ends_ms < told.at_ms, "{told:?}");
    }
}

async fn check_firing(alertmanager: &Alertmanager, full: &Labels) {
    // The average settles when the window holds nothing of before.
    let summary = "sda: 47.68MiB of 2G free in eu";
    let alert = eventually("the Alertmanager has the settled alert", secs(15), async || {
        let alert = alertmanager.firing(full).await?;
        if alert["annotations"]["summary"] == summary { Ok(alert) } else { Err(alert.to_string()) }
    })
    .await;
    let got = string_map(&alert["labels"]);
    let expect = [("alertname", "DiskAlmostFull"), ("cluster", "eu"), ("device", "sda"), ("job", "node")];
    let expect = expect.into_iter().chain([("pager", "pge"), ("severity", "page"), ("team", "storage")]);
    for (name, value) in expect {
        assert_eq!(got.get(name).map(String::as_str), Some(value), "{name} of {got:?}");
    }
    assert!(!got.contains_key("replica") && !got.contains_key("__name__"), "{got:?}");
    let link = alert["generatorURL"].as_str().expect("a string");
    let expect = "http://graphs.example/prom/graph?g0.expr=device%3Adisk_free_bytes%3Aavg5s+%3C+";
    assert!(link.starts_with(expect), "{link}");
    assert!(parse_ms(&alert["endsAt"]) > now_ms(), "{alert}");
}

/// `ALERTS` as anybody who looks at the source sees it.
async fn check_series(prometheus: &Prometheus) {
    let expr = "count_over_time(ALERTS{alertname=\"DiskAlmostFull\",cluster=\"eu\",team=\"storage\"}[1m])";
    let states = eventually("both states are stored", secs(10), async || {
        let series = prometheus.query(expr).await?;
        let states: Vec<String> = series.iter().map(|series| series.labels["alertstate"].clone()).collect();
        if states.len() == 2 { Ok(states) } else { Err(format!("{series:?}")) }
    })
    .await;
    assert!(states.contains(&"pending".to_owned()) && states.contains(&"firing".to_owned()), "{states:?}");
    let active_at = prometheus.value("ALERTS_FOR_STATE{alertname=\"DiskAlmostFull\"}").await.expect("a query");
    let age = now_ms() as f64 / 1000.0 - active_at.expect("a firing alert has one");
    assert!((2.0..60.0).contains(&age), "{age}");
}

#[tokio::test(flavor = "multi_thread")]
async fn amtool_sees_what_bellwether_sent_and_silences_it() {
    let Some(peers) = Peers::find() else { return };
    let (webhook, source) = (Webhook::start().await, PrometheusStub::start().await);
    let alertmanager = Alertmanager::start(&peers, &webhook.url("am")).await;
    source.set("up == 0", [("__name__", "up"), ("instance", "a:1")], 0.0);
    let config = Config::new(source.url(), &[&alertmanager.address()]);
    let rules = "groups: [{name: g, rules: [{alert: Down, expr: up == 0, labels: {severity: page}}]}]";
    let _bellwether = Bellwether::with(&config, rules).start().await;
    let down = labels([("alertname", "Down"), ("instance", "a:1"), ("severity", "page")]);
    eventually("it fires", secs(10), async || alertmanager.firing(&down).await).await;
    let amtool = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&peers.amtool);
        let output = command.arg(format!("--alertmanager.url={}", alertmanager.url())).args(arguments).output();
        let output = output.expect("amtool runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text
    };
    let seen: Value = serde_json::from_str(&amtool(&["alert", "query", "severity=page", "-o", "json"])).expect("JSON");
    assert_eq!(string_map(&seen[0]["labels"]), down, "{seen}");
    amtool(&["silence", "add", "alertname=Down", "--comment=known", "--duration=1h", "--author=somebody"]);
    assert!(amtool(&["alert", "query", "-o", "simple", "--silenced"]).contains("Down"));
}
