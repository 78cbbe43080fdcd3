//! Health, lifecycle, redirects, CORS, prefixes and the server's own figures.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use bellwether::api::views::Readiness;
use bellwether::api::{ApiOptions, HttpMetrics, REQUEST_BODY_BYTES_MAX, URI_BYTES_MAX, router};

use crate::fake::{Answer, FakeViews, ask, get, routes};

async fn send(router: &Router, method: &str, target: &str) -> Answer {
    let method: Method = method.parse().unwrap();
    ask(router, Request::builder().method(method).uri(target).body(Body::empty()).unwrap()).await
}

fn nothing() -> FakeViews {
    FakeViews::showing(Vec::new())
}

#[tokio::test]
async fn endpoints_answer_as_prometheus_does() {
    let router = routes(nothing(), &ApiOptions::default());
    for (method, target, status, body) in [
        ("GET", "/-/healthy", 200, "Bellwether is Healthy.\n"),
        ("HEAD", "/-/healthy", 200, ""),
        ("GET", "/-/ready", 200, "Bellwether is Ready.\n"),
        ("HEAD", "/-/ready", 200, ""),
        ("POST", "/-/ready", 405, "Method Not Allowed\n"),
        ("GET", "/-/reload", 405, "Only POST or PUT requests allowed"),
        ("POST", "/-/reload", 403, "Lifecycle API is not enabled."),
        ("PUT", "/-/quit", 403, "Lifecycle API is not enabled."),
        ("POST", "/api/v1/rules", 405, "Method Not Allowed\n"),
        ("OPTIONS", "/api/v1/rules", 204, ""),
        ("OPTIONS", "/api/v1/nowhere", 204, ""),
        ("GET", "/api/v1/nowhere", 404, "404 page not found\n"),
        ("GET", "/api/v1/", 404, "404 page not found\n"),
        ("GET", "/nowhere", 404, "404 page not found\n"),
        ("GET", "/graph?g0.expr=up%7B%7D&g0.tab=1", 302, ""),
    ] {
        let answer = send(&router, method, target).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (status, body), "{method} {target}");
    }
    let graph = get(&router, "/graph?g0.expr=up%7B%7D&g0.tab=1").await;
    assert_eq!(graph.header("location"), "http://prometheus:9090/base/graph?g0.expr=up%7B%7D&g0.tab=1");
    assert!(get(&router, "/").await.body.contains("<a href=\"api/v1/alerts\">"));
    let mut without = nothing();
    without.source_url = None;
    assert_eq!(get(&routes(without, &ApiOptions::default()), "/graph").await.status, 404);
}

#[tokio::test]
async fn lifecycle_where_it_is_enabled() {
    let enabled = ApiOptions { lifecycle_enabled: true, ..ApiOptions::default() };
    let views = Arc::new(nothing());
    let metrics = HttpMetrics::new(&views.registry);
    let working = router(views.clone(), &enabled, metrics);
    for method in ["POST", "PUT"] {
        let answer = send(&working, method, "/-/reload").await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
    }
    assert_eq!(send(&working, "POST", "/-/quit").await.body, "Requesting termination... Goodbye!");
    assert!(views.quit.load(std::sync::atomic::Ordering::SeqCst));

    let mut broken = nothing();
    broken.reload = Err("prometheus.yml:1:1: unknown field \"golbal\"".to_owned());
    let answer = send(&routes(broken, &enabled), "POST", "/-/reload").await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.body, "failed to reload config: prometheus.yml:1:1: unknown field \"golbal\"\n");
}

#[tokio::test]
async fn not_ready_is_503_for_all_but_health_and_metrics() {
    for (readiness, stopping) in [(Readiness::Starting, "false"), (Readiness::Stopping, "true")] {
        let views = nothing();
        *views.readiness.lock().unwrap() = readiness;
        let router = routes(views, &ApiOptions::default());
        for target in ["/-/ready", "/api/v1/rules", "/api/v1/status/config"] {
            let answer = get(&router, target).await;
            assert_eq!((answer.status.as_u16(), answer.body.as_str()), (503, "Service Unavailable"), "{target}");
            assert_eq!(answer.header("x-prometheus-stopping"), stopping);
        }
        assert_eq!(get(&router, "/-/healthy").await.status, 200);
        assert_eq!(get(&router, "/metrics").await.status, 200);
    }
}

#[tokio::test]
async fn origins_are_allowed_by_the_whole_pattern() {
    let cors_origin = bellwether::api::CorsOrigin::new(r"https?://(a|b)\.example").unwrap();
    let router = routes(nothing(), &ApiOptions { cors_origin, ..ApiOptions::default() });
    for (origin, allowed) in [
        ("http://a.example", "http://a.example"),
        ("https://b.example", "https://b.example"),
        ("https://b.example.evil", ""),
    ] {
        let request = Request::get("/api/v1/alerts").header("origin", origin).body(Body::empty()).unwrap();
        let answer = ask(&router, request).await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
        assert_eq!(answer.header("access-control-allow-methods"), "GET, POST, OPTIONS");
        assert_eq!(answer.header("access-control-allow-headers"), "Accept, Authorization, Content-Type, Origin");
        assert_eq!(answer.header("access-control-expose-headers"), "Date");
    }
}

#[tokio::test]
async fn a_route_prefix_moves_everything_and_requests_are_counted() {
    let route_prefix = "/deep/down/".parse().unwrap();
    let router = routes(nothing(), &ApiOptions { route_prefix, ..ApiOptions::default() });
    for (target, status, location) in [
        ("/", 302, "/deep/down/"),
        ("/deep/down", 302, "/deep/down/"),
        ("/deep/down/", 200, ""),
        ("/deep/down/-/healthy", 200, ""),
        ("/deep/down/api/v1/rules", 200, ""),
        ("/deep/down/api/v1/rules?type=x", 400, ""),
        ("/api/v1/rules", 404, ""),
        ("/deep/down/api/v1/nowhere", 404, ""),
    ] {
        let answer = get(&router, target).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (status, location), "{target}");
    }
    let metrics = get(&router, "/deep/down/metrics").await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let counted: Vec<&str> =
        metrics.body.lines().filter(|line| line.starts_with("prometheus_http_requests_total{")).collect();
    assert_eq!(
        counted,
        [
            "prometheus_http_requests_total{code=\"200\",handler=\"/\"} 1",
            "prometheus_http_requests_total{code=\"200\",handler=\"/-/healthy\"} 1",
            "prometheus_http_requests_total{code=\"200\",handler=\"/api/v1/rules\"} 1",
            "prometheus_http_requests_total{code=\"302\",handler=\"/\"} 2",
            "prometheus_http_requests_total{code=\"400\",handler=\"/api/v1/rules\"} 1",
        ]
    );
    assert!(metrics.body.contains("prometheus_http_request_duration_seconds_count{handler=\"/api/v1/rules\"} 2"));
    assert!(metrics.body.contains("prometheus_http_response_size_bytes_count{handler=\"/-/healthy\"} 1"));
}

#[tokio::test]
async fn a_panic_is_a_500_that_tells_nothing() {
    let mut views = nothing();
    views.panics = true;
    let router = routes(views, &ApiOptions::default());
    let answer = get(&router, "/api/v1/alerts").await;
    let expected = r#"{"status":"error","errorType":"internal","error":"internal error; the log says more"}"#;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (500, expected));
    let metrics = get(&router, "/metrics").await.body;
    assert!(metrics.contains("prometheus_http_requests_total{code=\"500\",handler=\"/api/v1/alerts\"} 1"), "{metrics}");
}

/// A request that never ends keeps its turn; the next one is told to come again, and both end in time.
#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_and_their_time_are_bounded() {
    let (release, hold) = mpsc::channel();
    let mut views = nothing();
    views.metrics_wait_for = Mutex::new(Some(hold));
    let request_time_max = Duration::from_millis(300);
    let router = routes(views, &ApiOptions { requests_at_once_max: 1, request_time_max, ..ApiOptions::default() });
    let (first, second) = tokio::join!(get(&router, "/metrics"), get(&router, "/api/v1/alerts"));
    let expected = r#"{"status":"error","errorType":"timeout","error":"the request took too long"}"#;
    assert_eq!((first.status.as_u16(), first.body.as_str()), (503, expected));
    assert_eq!(second.status.as_u16(), 503);
    release.send(()).expect("somebody waits");
}

#[tokio::test]
async fn large_requests_are_refused() {
    let router = routes(nothing(), &ApiOptions { lifecycle_enabled: true, ..ApiOptions::default() });
    let long = format!("/api/v1/rules?rule_name[]={}", "x".repeat(URI_BYTES_MAX));
    assert_eq!(get(&router, &long).await.status, 414);
    let body = Body::from(vec![0; REQUEST_BODY_BYTES_MAX + 1]);
    let request = Request::post("/-/reload").header("content-length", REQUEST_BODY_BYTES_MAX + 1).body(body).unwrap();
    assert_eq!(ask(&router, request).await.status, 413);
}
