//! The API beside that of a real Prometheus with the same rules.

use serde_json::Value;

use crate::harness::*;

const RULES: &str = r#"
groups:
  - name: levels
    interval: 1s
    limit: 10
    labels: {team: water}
    rules:
      - record: site:level:max
        expr: max(level)by(site)
        labels: {kind: recorded}
      - alert: High
        expr: level{site=~"a|b"}>10
        for: 1s
        keep_firing_for: 1h
        labels: {severity: '{{ if gt $value 50.0 }}page{{ else }}ticket{{ end }}'}
        annotations: {summary: '{{ $labels.site }} at {{ $value | humanize }}'}
      - alert: Waits
        expr: rate(level[1m])>=0 unless on() absent(level)
        for: 1h30m
      - alert: Quiet
        expr: level > 1e3
      - alert: Failing
        expr: level * on() level
  - name: quiet
    interval: 1s
    rules:
      - record: sum:level
        expr: sum(level)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn rules_and_alerts_are_listed_as_prometheus_lists_them() {
    let Some(peers) = Peers::find() else { return };
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let rules = directory.path().join("rules.yml");
    std::fs::write(&rules, RULES).expect("rules can be written");
    let prometheus = Prometheus::start(&peers, &format!("rule_files: ['{}']\n", rules.display())).await;
    let story = Timeline::new(now_ms() / 1000 * 1000)
        .series("level", [("site", "a")], -60..60, |_| Some(20.0))
        .series("level", [("site", "b")], -60..60, |_| Some(80.0))
        .series("level", [("site", "c")], -60..60, |_| Some(5.0));
    story.push(&prometheus.write_url()).await;
    let config = Config::new(prometheus.url(), &[]).to_yaml().replace("rules/*.yml", &rules.display().to_string());
    let bellwether = Bellwether::with_text(&config, RULES).start().await;
    for url in [prometheus.url(), bellwether.url()] {
        eventually("all is as it will stay", secs(20), async || {
            let text = http::api(&url, "rules", &[]).await?.to_string();
            let settled = text.matches("\"firing\"").count() >= 3 && !text.contains("\"unknown\"");
            if settled { Ok(()) } else { Err(text) }
        })
        .await;
    }
    for (path, parameters) in [
        ("alerts", &[][..]),
        ("rules", &[]),
        ("rules", &[("type", "alert")]),
        ("rules", &[("type", "record")]),
        ("rules", &[("rule_name[]", "High"), ("rule_name[]", "Quiet")]),
        ("rules", &[("rule_group[]", "quiet")]),
        ("rules", &[("file[]", "nowhere")]),
        ("rules", &[("exclude_alerts", "true")]),
        ("rules", &[("match[]", "{team=\"water\",kind=\"recorded\"}")]),
        ("rules", &[("group_limit", "1")]),
    ] {
        let (our_url, their_url) = (bellwether.url(), prometheus.url());
        let (ours, theirs) =
            tokio::join!(http::api(&our_url, path, parameters), http::api(&their_url, path, parameters));
        let (ours, theirs) = (ours.expect("an answer"), theirs.expect("an answer"));
        let (ours, theirs) = (comparable(ours), comparable(theirs));
        let pretty = |value: &Value| serde_json::to_string_pretty(value).expect("JSON is JSON");
        assert!(ours == theirs, "{path} {parameters:?}: ours {}\n theirs {}", pretty(&ours), pretty(&theirs));
    }
}

/// Without times and durations, in one order, and with what Prometheus 3.5 leaves out and later ones write.
fn comparable(mut value: Value) -> Value {
    match &mut value {
        Value::Object(object) => {
            for timed in ["activeAt", "keepFiringSince", "evaluationTime", "lastEvaluation"] {
                if let Some(value) = object.get_mut(timed) {
                    *value = Value::String("some time".into());
                }
            }
            // Ours may say more: which source, and how it failed.
            if let Some(Value::String(error)) = object.get_mut("lastError") {
                const THEIRS: &str = "found duplicate series for the match group";
                assert!(error.contains(THEIRS), "{error}");
                *error = THEIRS.to_owned();
            }
            // Opaque, and another hash in every version.
            object.remove("groupNextToken");
            if object.get("type").is_some_and(|kind| kind == "recording") {
                object.entry("labels").or_insert_with(|| serde_json::json!({}));
            }
            object.values_mut().for_each(|value| *value = comparable(value.take()));
        }
        Value::Array(values) => {
            values.iter_mut().for_each(|value| *value = comparable(value.take()));
            if values.iter().all(|value| value.get("activeAt").is_some()) {
                values.sort_by_key(|alert| alert["labels"].to_string());
            }
        }
        _ => {}
    }
    value
}
