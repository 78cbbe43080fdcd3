//! The query API of a real Prometheus.

use std::time::Duration;

use bellwether::client::ClientOptions;
use bellwether::clock::{Clock, SystemClock};
use bellwether::config::{HttpClientConfig, SourceConfig, SourceKind};
use bellwether::model::{Answer, Evaluated, Labels, Need, Timestamp};
use bellwether::sources::{Metrics, QueryApi, Source};
use tokio::time::Instant;
use url::Url;

use crate::prometheus::Prometheus;

fn source(prometheus: &Prometheus) -> QueryApi {
    let config = SourceConfig {
        name: "eu".to_owned(),
        kind: SourceKind::Prometheus,
        url: Url::parse(&prometheus.url).unwrap(),
        external_url: None,
        labels: Labels::empty(),
        http: HttpClientConfig::default(),
        timeout: Duration::from_secs(120),
        max_concurrent_queries: 20,
        max_answer_bytes: 1 << 20,
    };
    QueryApi::new(&config, &ClientOptions::default(), &Metrics::unregistered()).unwrap()
}

async fn ask(source: &QueryApi, expr: &str, millis: &[i64]) -> Answer {
    let times = millis.iter().map(|at| Timestamp::from_millis(*at)).collect();
    source.answer(&Need::Query { expr: expr.into(), times }, Instant::now() + Duration::from_secs(20)).await
}

/// Vectors as `{labels} value`, joined; failures as `kind: message`.
fn show(answer: &Answer) -> String {
    let value = |value: &Evaluated| match value {
        Evaluated::Vector(samples) => {
            let samples = samples.iter().map(|sample| format!("{} {}", sample.labels, sample.value.as_float()));
            samples.collect::<Vec<_>>().join("; ")
        }
        other => format!("{other:?}"),
    };
    match answer {
        Answer::Known(values) => values.iter().map(|(known, _)| value(known)).collect::<Vec<_>>().join(" | "),
        Answer::Unknown(error) => format!("{}: {error}", error.kind.as_str()),
    }
}

#[tokio::test]
async fn a_real_prometheus_is_understood() {
    let Some(prometheus) = Prometheus::start("sources").await else { return };
    let source = source(&prometheus);
    let now = SystemClock.now().as_millis();
    for (expr, said) in [
        ("1 + 1", "Scalar(2.0)".to_owned()),
        ("time()", format!("Scalar({})", now as f64 / 1000.0)),
        ("\"é\\n\\u003c\"", r#"String("é\n<")"#.to_owned()),
        ("vector(-Inf)", "{} -inf".to_owned()),
        ("label_replace(vector(1), \"a\", \"<\\\"é>\\t\", \"\", \"\")", r#"{a="<\"é>\t"} 1"#.to_owned()),
        ("absent(nothing{job=\"x\"})", r#"{job="x"} 1"#.to_owned()),
        ("nothing", String::new()),
        ("nothing[5m]", "Matrix([])".to_owned()),
    ] {
        assert_eq!(show(&ask(&source, expr, &[now]).await), said, "{expr}");
    }
    for (expr, said) in [
        (
            "1 +",
            "rejected: source \"eu\": answered 400 Bad Request: bad_data: invalid parameter \"query\": 1:4: parse error: unexpected end of input",
        ),
        (
            "label_replace(vector(1), \"a\", \"x\", \"b\", \"(\")",
            "rejected: source \"eu\": answered 422 Unprocessable Entity: execution: invalid regular expression in label_replace(): (",
        ),
    ] {
        assert_eq!(show(&ask(&source, expr, &[now]).await), said, "{expr}");
    }
    let Answer::Known(values) = ask(&source, "rate(nothing[5m]) or vector(2)", &[now, now - 60_000]).await else {
        panic!()
    };
    assert_eq!(values.len(), 2);
}

#[tokio::test]
async fn a_prometheus_that_is_killed_in_between_is_unknown_and_not_empty() {
    let Some(prometheus) = Prometheus::start("sources, kill").await else { return };
    let source = source(&prometheus);
    let now = SystemClock.now().as_millis();
    assert!(matches!(ask(&source, "vector(1)", &[now]).await, Answer::Known(_)));
    prometheus.kill().await;
    let mut answer = ask(&source, "vector(1)", &[now]).await;
    // The connection that was kept open may be cut before a new one is refused.
    for _ in 0..50 {
        if show(&answer).starts_with("connect: ") {
            break;
        }
        assert!(matches!(answer, Answer::Unknown(_)));
        tokio::time::sleep(Duration::from_millis(20)).await;
        answer = ask(&source, "vector(1)", &[now]).await;
    }
    assert!(show(&answer).starts_with("connect: source \"eu\": "), "{}", show(&answer));
}

#[tokio::test]
async fn evaluated_values_are_of_the_wanted_types() {
    let Some(prometheus) = Prometheus::start("sources, types").await else { return };
    let source = source(&prometheus);
    let now = SystemClock.now().as_millis();
    let Answer::Known(values) = ask(&source, "vector(1)[1m:20s]", &[now]).await else { panic!() };
    let Evaluated::Matrix(series) = &values[0].0 else { panic!() };
    assert_eq!(series[0].samples.len(), 3);
    assert!(series[0].samples.windows(2).all(|pair| pair[1].0.since(pair[0].0) == Duration::from_secs(20)));
}
