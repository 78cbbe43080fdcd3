//! `GET /api/v1/status/...`: what runs here, and how it was set up.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use crate::api::json::{success, time, time_or_zero};
use crate::api::limits::Turn;
use crate::api::router::Api;
use crate::model::Timestamp;
use crate::telemetry::BuildInfo;

pub(super) async fn build_info(Extension(turn): Extension<Turn>) -> Response {
    let build = BuildInfo::this();
    let data = BuildInfoData {
        version: build.version,
        revision: build.revision,
        branch: build.branch,
        build_user: build.build_user,
        build_date: build.build_date,
        go_version: build.rust_version,
        application: "Bellwether",
    };
    success(data, turn).await
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BuildInfoData {
    version: &'static str,
    revision: &'static str,
    branch: &'static str,
    build_user: &'static str,
    build_date: &'static str,
    /// The compiler, under the name clients look for.
    go_version: &'static str,
    /// Ours; by it a client can tell us from a Prometheus.
    application: &'static str,
}

pub(super) async fn config(State(api): State<Api>, Extension(turn): Extension<Turn>) -> Response {
    success(ConfigData { yaml: api.views.config_yaml() }, turn).await
}

#[derive(Serialize)]
struct ConfigData {
    yaml: String,
}

pub(super) async fn flags(State(api): State<Api>, Extension(turn): Extension<Turn>) -> Response {
    success(api.views.flags(), turn).await
}

pub(super) async fn runtime_info(State(api): State<Api>, Extension(turn): Extension<Turn>) -> Response {
    let view = api.views.runtime();
    let runtime = tokio::runtime::Handle::current().metrics();
    let data = RuntimeInfoData {
        start_time: view.start_time,
        working_directory: view.working_directory,
        hostname: view.hostname,
        server_time: view.server_time,
        reload_config_success: view.reload_config_success,
        last_config_time: view.last_config_time,
        corruption_count: 0,
        goroutine_count: runtime.num_alive_tasks(),
        gomaxprocs: runtime.num_workers(),
        gomemlimit: i64::MAX,
        gogc: "",
        godebug: "",
        storage_retention: "",
        last_reload_error: view.last_reload_error,
        warnings: view.warnings,
    };
    success(data, turn).await
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuntimeInfoData {
    #[serde(serialize_with = "time")]
    start_time: Timestamp,
    #[serde(rename = "CWD")]
    working_directory: String,
    hostname: String,
    #[serde(serialize_with = "time")]
    server_time: Timestamp,
    reload_config_success: bool,
    #[serde(serialize_with = "time_or_zero")]
    last_config_time: Option<Timestamp>,
    /// Nothing is stored that could be corrupt.
    corruption_count: u64,
    /// Tasks of the runtime.
    goroutine_count: usize,
    #[serde(rename = "GOMAXPROCS")]
    gomaxprocs: usize,
    /// Go's own figure for "no limit".
    #[serde(rename = "GOMEMLIMIT")]
    gomemlimit: i64,
    #[serde(rename = "GOGC")]
    gogc: &'static str,
    #[serde(rename = "GODEBUG")]
    godebug: &'static str,
    storage_retention: &'static str,
    /// Ours from here on.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_reload_error: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}
