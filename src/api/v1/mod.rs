//! `/api/v1`: Prometheus' JSON to the field. One file per endpoint.

mod alertmanagers;
mod alerts;
mod rules;
mod selector;
mod status;

use axum::Router;
use axum::extract::RawQuery;
use axum::routing::get;

use super::error::{ApiError, method_not_allowed, not_found};
use super::form::Form;
use super::router::Api;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/rules", get(rules::rules))
        .route("/alerts", get(alerts::alerts))
        .route("/alertmanagers", get(alertmanagers::alertmanagers))
        .route("/status/buildinfo", get(status::build_info))
        .route("/status/config", get(status::config))
        .route("/status/flags", get(status::flags))
        .route("/status/runtimeinfo", get(status::runtime_info))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
}

/// The parameters of a request.
fn form(RawQuery(query): RawQuery) -> Result<Form, ApiError> {
    Form::parse(&query.unwrap_or_default())
        .map_err(|error| ApiError::BadData(format!("error parsing form values: {error}")))
}
