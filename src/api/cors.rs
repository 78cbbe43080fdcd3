//! Pages of other origins that may read the API. Source: Prometheus `util/httputil/cors.go`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use regex::Regex;

/// Origins that may read, as `--web.cors.origin` gives them.
#[derive(Clone, Debug)]
pub struct CorsOrigin(Arc<Regex>);

impl CorsOrigin {
    /// A regular expression that must match the whole origin.
    pub fn new(pattern: &str) -> Result<CorsOrigin, regex::Error> {
        Regex::new(&format!("^(?:{pattern})$")).map(|regex| CorsOrigin(Arc::new(regex)))
    }
}

impl Default for CorsOrigin {
    /// Every origin.
    fn default() -> CorsOrigin {
        CorsOrigin::new(".*").expect("a constant that is a regular expression")
    }
}

/// Adds the headers, and answers every `OPTIONS` with 204.
pub(super) async fn cors(State(allowed): State<CorsOrigin>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = match *request.method() {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin.filter(|origin| !origin.is_empty()) {
        allow(headers, origin, &allowed);
    }
    response
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue, allowed: &CorsOrigin) {
    let fixed = |text| HeaderValue::from_static(text);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, fixed("Accept, Authorization, Content-Type, Origin"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, fixed("GET, POST, OPTIONS"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, fixed("Date"));
    if origin.to_str().is_ok_and(|text| allowed.0.is_match(text)) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
}
