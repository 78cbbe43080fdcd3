//! The query API against servers on this machine that are good, slow, wrong, and half there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Form, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tower_http::compression::CompressionLayer;
use url::Url;

use super::*;
use crate::client::ClientOptions;
use crate::config::{HttpClientConfig, SourceConfig, SourceKind};
use crate::model::{Evaluated, SourceErrorKind, Timestamp};

type Fields = BTreeMap<String, String>;

fn config(url: &str) -> SourceConfig {
    SourceConfig {
        name: "eu".to_owned(),
        kind: SourceKind::Prometheus,
        url: Url::parse(url).unwrap(),
        external_url: None,
        labels: Labels::empty(),
        http: HttpClientConfig::default(),
        timeout: Duration::from_secs(120),
        max_concurrent_queries: 20,
        max_answer_bytes: 1 << 20,
    }
}

fn source(config: &SourceConfig) -> QueryApi {
    QueryApi::new(config, &ClientOptions::default(), &Metrics::unregistered()).unwrap()
}

async fn ask(source: &dyn Source, expr: &str, millis: &[i64]) -> Answer {
    ask_within(source, expr, millis, Duration::from_secs(20)).await
}

async fn ask_within(source: &dyn Source, expr: &str, millis: &[i64], within: Duration) -> Answer {
    let times = millis.iter().map(|at| Timestamp::from_millis(*at)).collect();
    source.answer(&Need::Query { expr: expr.into(), times }, Instant::now() + within).await
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

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// Accepts connections, reads what comes first, and answers with these bytes; then closes, or (if `held`) says nothing more.
async fn serve_bytes(answer: String, held: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = [0; 16 << 10];
            let _ = connection.read(&mut request).await;
            let _ = connection.write_all(answer.as_bytes()).await;
            if held {
                open.push(connection);
            }
        }
    });
    url
}

fn vector(elements: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{elements}]}}}}"#)
}

fn head(length: usize) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n")
}

/// Answers one series whose labels are what was asked.
fn mirrored(fields: &Fields) -> Response {
    let labels = fields.iter().filter(|(name, _)| *name != "timeout").collect::<BTreeMap<_, _>>();
    let labels = serde_json::to_string(&labels).unwrap();
    vector(&format!(r#"{{"metric":{labels},"value":[1,"1"]}}"#)).into_response()
}

#[tokio::test]
async fn the_question_is_the_authors_text_at_each_of_its_times() {
    let mirror = |Form(fields): Form<Fields>| async move {
        assert!(fields["timeout"].ends_with("ms"));
        mirrored(&fields)
    };
    let url = serve(Router::new().route("/prefix/api/v1/query", post(mirror))).await;
    let source = source(&config(&format!("{url}/prefix/")));
    assert_eq!(
        show(&ask(&source, "up{ a=~\"x+&%\"}  # é", &[1500, 60_000]).await),
        r#"{query="up{ a=~\"x+&%\"}  # é", time="1.500"} 1 | {query="up{ a=~\"x+&%\"}  # é", time="60.000"} 1"#
    );
    assert_eq!(source.metrics().queries.get(), 2);
    assert_eq!(source.metrics().in_flight.get(), 0);
    assert!(source.metrics().answer_bytes.get() > 100);
    assert_eq!(source.metrics().duration.get_sample_count(), 2);
}

#[tokio::test]
async fn a_peer_without_post_is_asked_by_get_and_that_is_remembered() {
    let posts = Arc::new(AtomicUsize::new(0));
    let counted = posts.clone();
    let refuse = move || async move {
        counted.fetch_add(1, Ordering::SeqCst);
        StatusCode::METHOD_NOT_ALLOWED
    };
    let mirror = |Query(fields): Query<Fields>| async move { mirrored(&fields) };
    let url = serve(Router::new().route("/api/v1/query", get(mirror).post(refuse))).await;
    let source = source(&config(&url));
    for _ in 0..2 {
        assert_eq!(show(&ask(&source, "a + b", &[0]).await), r#"{query="a + b", time="0.000"} 1"#);
    }
    assert_eq!(posts.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn labels_of_the_source_are_on_every_sample() {
    let answer =
        || async { vector(r#"{"metric":{"a":"1","cluster":"us"},"value":[1,"1"]},{"metric":{},"value":[1,"2"]}"#) };
    let url = serve(Router::new().route("/api/v1/query", post(answer))).await;
    let source = source(&SourceConfig { labels: Labels::from_pairs([("cluster", "eu")]), ..config(&url) });
    assert_eq!(
        show(&ask(&source, "x", &[0]).await),
        r#"{a="1", cluster="eu", exported_cluster="us"} 1; {cluster="eu"} 2"#
    );
}

#[tokio::test]
async fn compressed_answers_are_read_and_their_bound_is_that_of_the_json() {
    let answer = || async {
        let elements = vec![r#"{"metric":{},"value":[1,"1"]}"#; 20_000].join(",");
        ([("content-type", "application/json")], vector(&elements))
    };
    let router = Router::new().route("/api/v1/query", post(answer)).layer(CompressionLayer::new());
    let url = serve(router).await;
    let Answer::Known(values) = ask(&source(&config(&url)), "x", &[0]).await else { panic!() };
    assert!(matches!(&values[0].0, Evaluated::Vector(samples) if samples.len() == 20_000));
    let source = source(&SourceConfig { max_answer_bytes: 100_000, ..config(&url) });
    assert_eq!(
        show(&ask(&source, "x", &[0]).await),
        r#"too_large: source "eu": the answer is larger than 100000 bytes"#
    );
}

#[tokio::test]
async fn every_refusal_says_what_the_peer_said() {
    fn envelope(status: u16, kind: &str, message: &str) -> Response {
        let body = serde_json::json!({"status": "error", "errorType": kind, "error": message}).to_string();
        (StatusCode::from_u16(status).unwrap(), body).into_response()
    }
    let answer = |Form(fields): Form<Fields>| async move {
        let plain = |status: u16, body: &str| (StatusCode::from_u16(status).unwrap(), body.to_owned()).into_response();
        match &*fields["query"] {
            "parse" => envelope(400, "bad_data", "invalid parameter \"query\": 1:3: parse error: no"),
            "queued" => envelope(400, "bad_data", "invalid parameter \"query\": context deadline exceeded"),
            "many" => envelope(422, "execution", "many-to-many matching not allowed"),
            "late" => envelope(503, "timeout", "query timed out in expression evaluation"),
            "internal" => envelope(500, "internal", "disk on fire"),
            "ok but not" => envelope(200, "execution", "of a proxy"),
            "401" => plain(401, "Unauthorized\n"),
            "403" => plain(403, ""),
            "404" => plain(404, "404 page\tnot\nfound"),
            "502" => plain(502, &format!("<html>{}", "x".repeat(100_000))),
            "302" => (StatusCode::FOUND, [("location", "http://user:secret@login/?token=secret")]).into_response(),
            "html" => ([("content-type", "text/html")], "<html>login</html>").into_response(),
            "labels" => plain(200, r#"{"status":"success","data":["a"]}"#),
            "204" => plain(204, ""),
            "206" => plain(206, ""),
            _ => unreachable!(),
        }
    };
    let url = serve(Router::new().route("/api/v1/query", post(answer))).await;
    let mut config = config(&url);
    config.http.follow_redirects = false;
    let source = source(&config);
    let excerpt = format!("<html>{}", "x".repeat(194));
    for (query, said) in [
        ("parse", "rejected: answered 400 Bad Request: bad_data: invalid parameter \"query\": 1:3: parse error: no"),
        (
            "queued",
            "timeout: answered 400 Bad Request: bad_data: invalid parameter \"query\": context deadline exceeded",
        ),
        ("many", "rejected: answered 422 Unprocessable Entity: execution: many-to-many matching not allowed"),
        ("late", "timeout: answered 503 Service Unavailable: timeout: query timed out in expression evaluation"),
        ("internal", "failed: answered 500 Internal Server Error: internal: disk on fire"),
        ("ok but not", "rejected: execution: of a proxy"),
        ("401", "unauthorized: answered 401 Unauthorized: Unauthorized"),
        ("403", "unauthorized: answered 403 Forbidden"),
        ("404", "rejected: answered 404 Not Found: 404 page not found"),
        ("502", "failed: answered 502 Bad Gateway"),
        ("302", "rejected: answered 302 Found, which leads to http://login/ (follow_redirects is off)"),
        (
            "html",
            "malformed: the answer is not JSON: no value where one was expected at byte 0 (content type \"text/html\")",
        ),
        ("labels", "shape: the answer is JSON, but not that of the query API: no `result` at byte 33"),
        ("204", "rejected: answered 204 No Content"),
        ("206", "rejected: answered 206 Partial Content"),
    ] {
        let (kind, message) = said.split_once(": ").unwrap();
        let found = show(&ask(&source, query, &[0]).await).replace(&excerpt, "");
        assert_eq!(found, format!("{kind}: source \"eu\": {message}"), "{query}");
    }
    assert_eq!(source.metrics().queries.get(), 15);
}

#[tokio::test]
async fn half_an_answer_is_none() {
    let whole = vector(r#"{"metric":{"a":"1"},"value":[1,"1"]}"#);
    let half = &whole[..whole.len() / 2];
    for (bytes, held, kind) in [
        (head(whole.len()) + half, false, SourceErrorKind::Cut),
        (head(half.len()) + half, false, SourceErrorKind::Cut),
        (format!("HTTP/1.1 200 OK\r\n\r\n{half}"), false, SourceErrorKind::Cut),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"sta\r\n".to_owned(),
            false,
            SourceErrorKind::Cut,
        ),
        ("".to_owned(), false, SourceErrorKind::Cut),
        (head(10) + "0123456789", false, SourceErrorKind::Malformed),
        (head(5 << 20), false, SourceErrorKind::TooLarge),
        (head(whole.len()) + half, true, SourceErrorKind::Timeout),
        ("".to_owned(), true, SourceErrorKind::Timeout),
    ] {
        let source = source(&config(&serve_bytes(bytes.clone(), held).await));
        let within = if held { Duration::from_millis(200) } else { Duration::from_secs(20) };
        let Answer::Unknown(error) = ask_within(&source, "x", &[0], within).await else { panic!("{bytes:?}") };
        assert_eq!(error.kind, kind, "{bytes:?} {held}: {error}");
        assert!(error.message.starts_with("source \"eu\": "), "{error}");
    }
}

#[tokio::test]
async fn nobody_there_is_told_without_secrets() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let plain = serve_bytes("not tls".to_owned(), false).await;
    for url in [format!("http://user:secret@{closed}/?token=secret"), plain.replace("http:", "https:")] {
        let source = source(&config(&url));
        let Answer::Unknown(error) = ask(&source, "secret_query", &[0]).await else { panic!() };
        assert_eq!(error.kind, SourceErrorKind::Connect, "{error}");
        assert!(!error.message.contains("secret"), "{error}");
        assert!(!source.external_url().contains("secret"));
    }
}

#[tokio::test]
async fn queries_in_flight_are_limited_and_waiting_counts() {
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, seen) = (inside.clone(), most.clone());
    let answer = move || async move {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
        now.fetch_sub(1, Ordering::SeqCst);
        vector("")
    };
    let url = serve(Router::new().route("/api/v1/query", post(answer))).await;
    let limited = source(&SourceConfig { max_concurrent_queries: 3, ..config(&url) });
    let times: Vec<i64> = (0..12).collect();
    let (one, two) = tokio::join!(ask(&limited, "x", &times), ask(&limited, "y", &times));
    assert!(matches!((one, two), (Answer::Known(one), Answer::Known(two)) if one.len() + two.len() == 24));
    assert_eq!(most.load(Ordering::SeqCst), 3);

    let silent = serve_bytes(String::new(), true).await;
    let one_place = source(&SourceConfig { max_concurrent_queries: 1, ..config(&silent) });
    let first = ask_within(&one_place, "x", &[0], Duration::from_secs(2));
    let second = ask_within(&one_place, "y", &[0], Duration::from_millis(300));
    let (_, second) = tokio::join!(first, second);
    assert_eq!(show(&second), r#"timeout: source "eu": no place among 1 queries in flight was free in time"#);
}

#[tokio::test]
async fn a_query_has_no_longer_than_its_source_allows() {
    let silent = serve_bytes(String::new(), true).await;
    let source = source(&SourceConfig { timeout: Duration::from_millis(100), ..config(&silent) });
    let Answer::Unknown(error) = ask(&source, "x", &[0]).await else { panic!() };
    assert_eq!(error.kind, SourceErrorKind::Timeout);
}

#[tokio::test]
async fn warnings_and_infos_come_along() {
    let answer = || async {
        r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]},"warnings":["w"],"infos":["i"]}"#
    };
    let url = serve(Router::new().route("/api/v1/query", post(answer))).await;
    let Answer::Known(values) = ask(&source(&config(&url)), "x", &[0]).await else { panic!() };
    assert_eq!(values[0].0, Evaluated::Scalar(2.0));
    assert_eq!((&*values[0].1.warnings, &*values[0].1.infos), (&["w".to_owned()][..], &["i".to_owned()][..]));
}
