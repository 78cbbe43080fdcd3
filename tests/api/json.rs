//! Prometheus' JSON, field by field. The shapes were compared with Prometheus 3.5.3 on a like rule file.

use axum::body::Body;
use axum::http::Request;
use bellwether::api::ApiOptions;
use bellwether::api::views::{AlertViewState, Health, RuleState};

use crate::fake::{Answer, FakeViews, alert, alerting, ask, at, get, group, recording, routes};

async fn check(views: FakeViews, target: &str, expected: &str) {
    let answer = get(&routes(views, &ApiOptions::default()), target).await;
    assert_eq!((answer.body.as_str(), answer.status.as_u16()), (expected, 200), "{target}");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("vary"), "Origin");
}

#[tokio::test]
async fn rules_and_alerts() {
    let mut kept = alert(&[("alertname", "A"), ("i", "2")], AlertViewState::Firing, f64::INFINITY);
    kept.keep_firing_since = Some(at(60_500));
    let fresh = alert(&[("alertname", "A"), ("i", "1")], AlertViewState::Pending, 7.5);
    let mut failing = recording("r", &[]);
    failing.health = Health::Err;
    failing.last_error = Some("no \"luck\"".into());
    let mut young = alerting("B", &[], RuleState::Unknown, Vec::new());
    young.health = Health::Unknown;
    young.last_evaluation = None;
    young.evaluation_time = std::time::Duration::ZERO;
    let groups = || {
        let firing = alerting("A", &[("severity", "page")], RuleState::Firing, vec![fresh.clone(), kept.clone()]);
        vec![group("empty", "/a.yml", vec![]), group("g", "/r.yml", vec![firing, young.clone(), failing.clone()])]
    };
    let alerts = concat!(
        r#"[{"labels":{"alertname":"A","i":"1"},"annotations":{"empty":""},"state":"pending","#,
        r#""activeAt":"2026-11-21T02:40:00Z","value":"7.5e+00"},"#,
        r#"{"labels":{"alertname":"A","i":"2"},"annotations":{"empty":""},"state":"firing","#,
        r#""activeAt":"2026-11-21T02:40:00Z","keepFiringSince":"2026-11-21T02:41:00.5Z","value":"+Inf"}]"#,
    );
    let rules = |alerts: &str, no_alerts: &str| {
        format!(
            concat!(
                r#"{{"status":"success","data":{{"groups":[{{"name":"g","file":"/r.yml","rules":["#,
                r#"{{"state":"firing","name":"A","query":"up > 0","duration":300,"keepFiringFor":1.5,"#,
                r#""labels":{{"severity":"page"}},"annotations":{{"summary":"<b>{{{{ $value }}}}</b>"}},"alerts":{alerts},"#,
                r#""health":"ok","evaluationTime":0.00025,"lastEvaluation":"2026-11-21T02:40:00.683Z","type":"alerting"}},"#,
                r#"{{"state":"unknown","name":"B","query":"up > 0","duration":300,"keepFiringFor":1.5,"#,
                r#""labels":{{}},"annotations":{{"summary":"<b>{{{{ $value }}}}</b>"}},"alerts":{no_alerts},"#,
                r#""health":"unknown","evaluationTime":0,"lastEvaluation":"0001-01-01T00:00:00Z","type":"alerting"}},"#,
                r#"{{"name":"r","query":"sum(up)","labels":{{}},"health":"err","lastError":"no \"luck\"","#,
                r#""evaluationTime":0.00025,"lastEvaluation":"2026-11-21T02:40:00.683Z","type":"recording"}}],"#,
                r#""interval":60,"limit":0,"evaluationTime":0.0007,"lastEvaluation":"2026-11-21T02:40:00.682Z"}}]}}}}"#,
            ),
            alerts = alerts,
            no_alerts = no_alerts,
        )
    };
    check(FakeViews::showing(groups()), "/api/v1/rules", &rules(alerts, "[]")).await;
    check(FakeViews::showing(groups()), "/api/v1/rules?exclude_alerts=T", &rules("null", "null")).await;
    let all = format!(r#"{{"status":"success","data":{{"alerts":{alerts}}}}}"#);
    check(FakeViews::showing(groups()), "/api/v1/alerts", &all).await;
}

#[tokio::test]
async fn empty_lists_and_status() {
    for (target, data) in [
        ("/api/v1/rules", r#"{"groups":[]}"#),
        ("/api/v1/alerts", r#"{"alerts":[]}"#),
        (
            "/api/v1/alertmanagers",
            r#"{"activeAlertmanagers":[{"url":"http://127.0.0.1:9/api/v2/alerts"}],"droppedAlertmanagers":[]}"#,
        ),
        ("/api/v1/status/config", r#"{"yaml":"global:\n  evaluation_interval: 2s\n"}"#),
        ("/api/v1/status/flags", r#"{"config.file":"prometheus.yml","log.level":"info"}"#),
        (
            "/api/v1/status/buildinfo",
            concat!(
                r#"{"version":""#,
                env!("CARGO_PKG_VERSION"),
                r#"","revision":"","branch":"","buildUser":"","buildDate":"","goVersion":"","application":"Bellwether"}"#
            ),
        ),
    ] {
        let expected = format!(r#"{{"status":"success","data":{data}}}"#);
        check(FakeViews::showing(Vec::new()), target, &expected).await;
    }
    let answer =
        get(&routes(FakeViews::showing(Vec::new()), &ApiOptions::default()), "/api/v1/status/runtimeinfo").await;
    let (before, after) = answer.body.split_once(r#""goroutineCount":"#).expect("the field is there");
    assert_eq!(
        before,
        concat!(
            r#"{"status":"success","data":{"startTime":"2026-11-21T02:40:00.123Z","CWD":"/var/lib","hostname":"vm","#,
            r#""serverTime":"2026-11-21T02:41:00Z","reloadConfigSuccess":true,"lastConfigTime":"0001-01-01T00:00:00Z","#,
            r#""corruptionCount":0,"#,
        )
    );
    let rest = r#","GOMEMLIMIT":9223372036854775807,"GOGC":"","GODEBUG":"","storageRetention":""}}"#;
    assert!(after.ends_with(rest), "{after}");
}

/// More than a chunk: streamed, whole, and not cut.
#[tokio::test]
async fn many_alerts() {
    const ALERTS: usize = 5000;
    let alerts: Vec<_> = (0..ALERTS)
        .map(|index| alert(&[("alertname", "A"), ("i", &index.to_string())], AlertViewState::Firing, 1.0))
        .collect();
    let views = FakeViews::showing(vec![group("g", "f", vec![alerting("A", &[], RuleState::Firing, alerts)])]);
    let router = routes(views, &ApiOptions::default());
    let answer: Answer = get(&router, "/api/v1/alerts").await;
    assert_eq!(answer.header("content-length"), "");
    let read: serde_json::Value = serde_json::from_str(&answer.body).expect("whole JSON");
    let read = read["data"]["alerts"].as_array().expect("a list");
    assert_eq!(read.len(), ALERTS);
    assert_eq!(read[ALERTS - 1]["labels"]["i"], (ALERTS - 1).to_string());

    let request = Request::get("/api/v1/alerts").header("accept-encoding", "gzip").body(Body::empty()).unwrap();
    let packed = ask(&router, request).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.body.len() < answer.body.len() / 5);
}
