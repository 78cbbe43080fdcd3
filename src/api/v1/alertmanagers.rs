//! `GET /api/v1/alertmanagers`: where alerts go.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use crate::api::json::success;
use crate::api::limits::Turn;
use crate::api::router::Api;

pub(super) async fn alertmanagers(State(api): State<Api>, Extension(turn): Extension<Turn>) -> Response {
    let view = api.views.alertmanagers();
    let targets = |urls: Vec<String>| urls.into_iter().map(|url| Target { url }).collect();
    let data =
        AlertmanagersData { active_alertmanagers: targets(view.active), dropped_alertmanagers: targets(view.dropped) };
    success(data, turn).await
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertmanagersData {
    active_alertmanagers: Vec<Target>,
    dropped_alertmanagers: Vec<Target>,
}

#[derive(Serialize)]
struct Target {
    url: String,
}
