//! `GET /api/v1/alerts`: the active alerts of all rules.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use crate::api::json::{success, time};
use crate::api::limits::Turn;
use crate::api::router::Api;
use crate::api::views::{AlertView, AlertViewState, GroupView, RuleViewKind};
use crate::model::{Labels, Timestamp, format_exponent};

pub(super) async fn alerts(State(api): State<Api>, Extension(turn): Extension<Turn>) -> Response {
    success(AlertsData { alerts: AllAlerts(api.views.groups()) }, turn).await
}

#[derive(Serialize)]
struct AlertsData {
    alerts: AllAlerts,
}

/// Serialised rule by rule, without a list in between.
struct AllAlerts(Arc<[GroupView]>);

impl Serialize for AllAlerts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for rule in self.0.iter().flat_map(|group| &group.rules) {
            if let RuleViewKind::Alerting(alerting) = &rule.kind {
                for alert in &alerting.alerts {
                    list.serialize_element(&AlertData::from(alert))?;
                }
            }
        }
        list.end()
    }
}

/// An alert as `/alerts` and `/rules` show it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AlertData<'a> {
    labels: &'a Labels,
    annotations: &'a Labels,
    state: &'static str,
    #[serde(serialize_with = "time")]
    active_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_firing_since: Option<String>,
    value: String,
}

impl<'a> From<&'a AlertView> for AlertData<'a> {
    fn from(alert: &'a AlertView) -> AlertData<'a> {
        AlertData {
            labels: &alert.labels,
            annotations: &alert.annotations,
            state: match alert.state {
                AlertViewState::Pending => "pending",
                AlertViewState::Firing => "firing",
            },
            active_at: alert.active_at,
            keep_firing_since: alert.keep_firing_since.map(Timestamp::to_rfc3339),
            value: format_exponent(alert.value),
        }
    }
}
