//! Everything that can go wrong for a client, as Prometheus' envelope and status.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ApiError {
    #[error("{0}")]
    BadData(String),
    #[error("{0}")]
    Internal(String),
    #[error("{0}")]
    Unavailable(&'static str),
    #[error("{0}")]
    Timeout(&'static str),
    #[error("{0}")]
    UriTooLong(String),
}

impl ApiError {
    pub(super) fn invalid_parameter(name: &str, reason: impl std::fmt::Display) -> ApiError {
        ApiError::BadData(format!("invalid parameter {}: {reason}", crate::model::quote(name)))
    }

    /// Prometheus' `errorType`, and the status that goes with it.
    fn kind(&self) -> (&'static str, StatusCode) {
        match self {
            ApiError::BadData(_) => ("bad_data", StatusCode::BAD_REQUEST),
            ApiError::UriTooLong(_) => ("bad_data", StatusCode::URI_TOO_LONG),
            ApiError::Internal(_) => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
            ApiError::Unavailable(_) => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
            ApiError::Timeout(_) => ("timeout", StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    status: &'a str,
    error_type: &'a str,
    error: &'a str,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (error_type, status) = self.kind();
        let envelope = Envelope { status: "error", error_type, error: &self.to_string() };
        let body = serde_json::to_vec(&envelope).expect("three strings always serialise");
        (status, [(header::CONTENT_TYPE, super::json::CONTENT_TYPE)], body).into_response()
    }
}

/// A plain text answer, as Go's `http.Error` and Prometheus' management endpoints give it.
pub(super) fn plain(status: StatusCode, text: impl Into<String>) -> Response {
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    let sniff = HeaderValue::from_static("nosniff");
    (status, [(header::CONTENT_TYPE, kind), (header::X_CONTENT_TYPE_OPTIONS, sniff)], text.into()).into_response()
}

pub(super) async fn not_found() -> Response {
    plain(StatusCode::NOT_FOUND, "404 page not found\n")
}

pub(super) async fn method_not_allowed() -> Response {
    plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n")
}
