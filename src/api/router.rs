//! Which path leads where, and through which checks.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;

use super::error::{method_not_allowed, not_found, plain};
use super::metrics::{Counted, HttpMetrics, count};
use super::views::{Readiness, Views};
use super::{CorsOrigin, REQUEST_BODY_BYTES_MAX, REQUEST_TIME_MAX, REQUESTS_AT_ONCE_MAX};
use super::{cors, limits, management, v1};

/// How the API is set up. `Default` is what runs without any flag.
#[derive(Clone, Debug)]
pub struct ApiOptions {
    /// `--web.route-prefix`; by default the path of `--web.external-url`.
    pub route_prefix: RoutePrefix,
    /// `--web.enable-lifecycle`: whether `/-/reload` and `/-/quit` do anything.
    pub lifecycle_enabled: bool,
    /// `--web.cors.origin`
    pub cors_origin: CorsOrigin,
    /// Until an answer begins; a reload may take longer.
    pub request_time_max: Duration,
    pub requests_at_once_max: usize,
}

impl Default for ApiOptions {
    fn default() -> ApiOptions {
        ApiOptions {
            route_prefix: RoutePrefix::default(),
            lifecycle_enabled: false,
            cors_origin: CorsOrigin::default(),
            request_time_max: REQUEST_TIME_MAX,
            requests_at_once_max: REQUESTS_AT_ONCE_MAX,
        }
    }
}

/// A path that comes before all others: empty, or `/a/b` without a slash at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutePrefix(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("route prefix {prefix:?} holds {guilty:?}; use letters, digits and -._~/ only")]
pub struct RoutePrefixError {
    prefix: String,
    guilty: char,
}

impl RoutePrefix {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Slashes at both ends may be there or not.
impl FromStr for RoutePrefix {
    type Err = RoutePrefixError;

    fn from_str(text: &str) -> Result<RoutePrefix, RoutePrefixError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
        match text.chars().find(|c| !plain(*c)) {
            Some(guilty) => Err(RoutePrefixError { prefix: text.to_owned(), guilty }),
            None => {
                let parts = text.split('/').filter(|part| !part.is_empty());
                Ok(RoutePrefix(parts.map(|part| format!("/{part}")).collect()))
            }
        }
    }
}

/// What handlers see.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) views: Arc<dyn Views>,
    pub(super) lifecycle_enabled: bool,
}

/// All endpoints. `metrics` is made once per registry.
pub fn router(views: Arc<dyn Views>, options: &ApiOptions, metrics: HttpMetrics) -> Router {
    let api = Api { views, lifecycle_enabled: options.lifecycle_enabled };
    let turns = Arc::new(Semaphore::new(options.requests_at_once_max.max(1)));
    let prefix = options.route_prefix.as_str();
    let at = |path: &str| format!("{prefix}{path}");

    let v1 = v1::routes()
        .layer(from_fn_with_state(turns.clone(), limits::take_turn))
        .layer(from_fn_with_state(api.clone(), when_ready))
        .layer(from_fn_with_state(options.cors_origin.clone(), cors::cors));
    let mut bounded = Router::new()
        .nest(&at("/api/v1"), v1)
        .merge(
            Router::new()
                .route(&at("/metrics"), get(management::metrics))
                .layer(from_fn_with_state(turns, limits::take_turn)),
        )
        .route(&at("/"), get(management::index))
        .route(&at("/graph"), get(management::graph))
        .route(&at("/-/healthy"), get(management::healthy))
        .route(&at("/-/ready"), get(management::ready).layer(from_fn_with_state(api.clone(), when_ready)));
    if !prefix.is_empty() {
        let home = at("/");
        let to_home = || get(move || management::redirect(home));
        bounded = bounded.route("/", to_home.clone()()).route(prefix, to_home());
    }
    bounded
        .layer(from_fn_with_state(options.request_time_max, limits::bound_time))
        .route(&at("/-/reload"), post(management::reload).put(management::reload).get(management::only_post_or_put))
        .route(&at("/-/quit"), post(management::quit).put(management::quit).get(management::only_post_or_put))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(limits::on_panic))
        .layer(RequestBodyLimitLayer::new(REQUEST_BODY_BYTES_MAX))
        .layer(from_fn(limits::bound_uri))
        .layer(from_fn_with_state(Counted { metrics, route_prefix: prefix.to_owned() }, count))
        .layer(CompressionLayer::new())
        .with_state(api)
}

/// Before the first configuration is applied, and while stopping, there is nothing true to show.
async fn when_ready(State(api): State<Api>, request: Request, next: Next) -> Response {
    let stopping = match api.views.readiness() {
        Readiness::Ready => return next.run(request).await,
        Readiness::Starting => "false",
        Readiness::Stopping => "true",
    };
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
    let name = HeaderName::from_static("x-prometheus-stopping");
    response.headers_mut().insert(name, HeaderValue::from_static(stopping));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn route_prefixes_are_made_plain() {
        for (text, prefix) in [("", ""), ("/", ""), ("a", "/a"), ("/a/b/", "/a/b"), ("//a//", "/a")] {
            assert_eq!(text.parse::<RoutePrefix>().map(|prefix| prefix.0), Ok(prefix.to_owned()));
        }
        let error = "/a{b}".parse::<RoutePrefix>().expect_err("braces mean something to the router");
        assert_eq!(error.to_string(), "route prefix \"/a{b}\" holds '{'; use letters, digits and -._~/ only");
    }
}
