//! Endpoints beside the API: health, lifecycle, metrics, and the way to the source's pages.
//!
//! Source: Prometheus `docs/management_api.md`, `web/web.go`.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::error::plain;
use super::limits::Turn;
use super::router::Api;

const LIFECYCLE_OFF: &str = "Lifecycle API is not enabled.";

pub(super) async fn healthy() -> Response {
    text("Bellwether is Healthy.\n")
}

/// Reached only when ready.
pub(super) async fn ready() -> Response {
    text("Bellwether is Ready.\n")
}

pub(super) async fn reload(State(api): State<Api>) -> Response {
    if !api.lifecycle_enabled {
        return status(StatusCode::FORBIDDEN, LIFECYCLE_OFF);
    }
    // A task of its own: a client that goes away must not stop a reload in the middle.
    let failure = match tokio::spawn(api.views.reload()).await {
        Ok(Ok(())) => return text(""),
        Ok(Err(error)) => error,
        Err(_) => "the reload panicked; the log says more".to_owned(),
    };
    plain(StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {failure}\n"))
}

pub(super) async fn quit(State(api): State<Api>) -> Response {
    if !api.lifecycle_enabled {
        return status(StatusCode::FORBIDDEN, LIFECYCLE_OFF);
    }
    api.views.quit();
    text("Requesting termination... Goodbye!")
}

pub(super) async fn only_post_or_put() -> Response {
    let mut response = status(StatusCode::METHOD_NOT_ALLOWED, "Only POST or PUT requests allowed");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST,PUT"));
    response
}

pub(super) async fn metrics(State(api): State<Api>, Extension(turn): Extension<Turn>) -> Response {
    // The turn goes along: gathering goes on when the client has long been told that it took too long.
    let gathering = tokio::task::spawn_blocking(move || (api.views.metrics_text(), turn).0);
    match gathering.await {
        Ok(text) => {
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "gathering metrics panicked; the log says more\n"),
    }
}

/// Where generator URLs that name us lead: to the same expression at the source.
pub(super) async fn graph(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let Some(base) = api.views.source_url_for_graph() else {
        return plain(StatusCode::NOT_FOUND, "no source has a graph page; set `external_url` of the source\n");
    };
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    redirect(format!("{}/graph{query}", base.trim_end_matches('/'))).await
}

pub(super) async fn redirect(to: String) -> Response {
    match HeaderValue::try_from(to) {
        Ok(location) => (StatusCode::FOUND, [(header::LOCATION, location)]).into_response(),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the URL to go to is not printable ASCII\n"),
    }
}

/// A list of the endpoints; links are relative, so that they hold behind any proxy.
pub(super) async fn index() -> Html<&'static str> {
    Html(INDEX)
}

const INDEX: &str = r#"<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Bellwether</title></head>
<body>
<h1>Bellwether</h1>
<ul>
<li><a href="api/v1/rules">rules</a></li>
<li><a href="api/v1/alerts">alerts</a></li>
<li><a href="api/v1/alertmanagers">Alertmanagers</a></li>
<li><a href="api/v1/status/runtimeinfo">runtime information</a></li>
<li><a href="api/v1/status/buildinfo">build information</a></li>
<li><a href="api/v1/status/config">configuration</a></li>
<li><a href="api/v1/status/flags">flags</a></li>
<li><a href="metrics">metrics</a></li>
<li><a href="-/healthy">healthy?</a></li>
<li><a href="-/ready">ready?</a></li>
</ul>
</body>
</html>
"#;

fn text(body: &'static str) -> Response {
    status(StatusCode::OK, body)
}

fn status(status: StatusCode, body: &'static str) -> Response {
    (status, body).into_response()
}
