//! `GET /api/v1/rules`: groups, their rules and alerts, filtered and page by page.
//!
//! Source: Prometheus `web/api/v1/api.go`, `rules`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::alerts::AlertData;
use super::selector::Selector;
use crate::api::error::ApiError;
use crate::api::form::{Form, parse_bool, parse_int};
use crate::api::json::{seconds, success, time_or_zero};
use crate::api::limits::Turn;
use crate::api::router::Api;
use crate::api::views::{AlertView, GroupView, Health, RuleState, RuleView, RuleViewKind};
use crate::model::{Labels, Timestamp, quote};

pub(super) async fn rules(
    State(api): State<Api>,
    Extension(turn): Extension<Turn>,
    query: RawQuery,
) -> Result<Response, ApiError> {
    let filter = Filter::read(&super::form(query)?)?;
    Ok(success(Page::of(api.views.groups(), &filter)?, turn).await)
}

/// What a request wants to see.
struct Filter {
    names: HashSet<String>,
    groups: HashSet<String>,
    files: HashSet<String>,
    /// A rule must match one of them, if there are any.
    selectors: Vec<Selector>,
    kind: Option<WantedKind>,
    exclude_alerts: bool,
    group_limit: Option<usize>,
    /// Of the first group of the page.
    token: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WantedKind {
    Alert,
    Record,
}

impl Filter {
    /// Faults are found in Prometheus' order.
    fn read(form: &Form) -> Result<Filter, ApiError> {
        let set = |name| form.all(name).map(str::to_owned).collect();
        Ok(Filter {
            names: set("rule_name[]"),
            groups: set("rule_group[]"),
            files: set("file[]"),
            selectors: form.all("match[]").map(Selector::parse).collect::<Result<_, _>>().map_err(ApiError::BadData)?,
            kind: kind(form)?,
            exclude_alerts: exclude_alerts(form)?,
            group_limit: group_limit(form)?,
            token: group_token(form)?,
        })
    }

    fn takes_group(&self, group: &GroupView) -> bool {
        let takes = |set: &HashSet<String>, text: &str| set.is_empty() || set.contains(text);
        takes(&self.groups, &group.name) && takes(&self.files, &group.file)
    }

    fn takes_rule(&self, rule: &RuleView) -> bool {
        let kind = match rule.kind {
            RuleViewKind::Alerting(_) => WantedKind::Alert,
            RuleViewKind::Recording => WantedKind::Record,
        };
        self.kind.is_none_or(|wanted| wanted == kind)
            && (self.names.is_empty() || self.names.contains(&*rule.name))
            && (self.selectors.is_empty() || self.selectors.iter().any(|selector| selector.matches(&rule.labels)))
    }
}

fn kind(form: &Form) -> Result<Option<WantedKind>, ApiError> {
    match form.first("type").to_lowercase().as_str() {
        "" => Ok(None),
        "alert" => Ok(Some(WantedKind::Alert)),
        "record" => Ok(Some(WantedKind::Record)),
        other => Err(ApiError::invalid_parameter("type", format!("not supported value {}", quote(other)))),
    }
}

fn exclude_alerts(form: &Form) -> Result<bool, ApiError> {
    match form.first("exclude_alerts") {
        "" => Ok(false),
        text => parse_bool(text).map_err(|error| {
            ApiError::invalid_parameter("exclude_alerts", format!("error converting exclude_alerts: {error}"))
        }),
    }
}

fn group_limit(form: &Form) -> Result<Option<usize>, ApiError> {
    let fault = |reason: &str| Err(ApiError::invalid_parameter("group_limit", reason));
    match form.first("group_limit") {
        "" => Ok(None),
        text => match parse_int(text).map(usize::try_from) {
            Ok(Ok(limit)) if limit > 0 => Ok(Some(limit)),
            Ok(_) => fault("group_limit needs to be greater than 0"),
            Err(error) => fault(&format!("group_limit needs to be a valid number: {error}")),
        },
    }
}

/// Of the group that comes first on the page; means something together with a limit only.
fn group_token(form: &Form) -> Result<Option<String>, ApiError> {
    match (form.first("group_limit"), form.first("group_next_token")) {
        (_, "") => Ok(None),
        ("", _) => {
            let reason = "group_limit needs to be present in order to paginate over the groups";
            Err(ApiError::invalid_parameter("group_next_token", reason))
        }
        (_, token) => Ok(Some(token.to_owned())),
    }
}

/// What of the groups is shown: for each group its index, and those of its rules.
struct Page {
    groups: Arc<[GroupView]>,
    shown: Vec<(usize, Vec<usize>)>,
    exclude_alerts: bool,
    next_token: Option<String>,
}

impl Page {
    fn of(groups: Arc<[GroupView]>, filter: &Filter) -> Result<Page, ApiError> {
        let first = match &filter.token {
            None => 0,
            Some(token) => groups.iter().position(|group| token_of(group) == *token).ok_or_else(|| {
                let reason = format!("invalid group_next_token '{token}'. were rule groups changed?");
                ApiError::invalid_parameter("group_next_token", reason)
            })?,
        };
        let mut shown = Vec::new();
        let mut next_token = None;
        for (index, group) in groups.iter().enumerate().skip(first).filter(|(_, group)| filter.takes_group(group)) {
            let rules: Vec<usize> =
                (0..group.rules.len()).filter(|rule| filter.takes_rule(&group.rules[*rule])).collect();
            if rules.is_empty() {
                continue;
            }
            if filter.group_limit.is_some_and(|limit| shown.len() >= limit) {
                next_token = Some(token_of(group));
                break;
            }
            shown.push((index, rules));
        }
        Ok(Page { shown, exclude_alerts: filter.exclude_alerts, next_token, groups })
    }
}

/// Opaque to clients; the same for a group as long as its file and name are.
fn token_of(group: &GroupView) -> String {
    let digest = Sha256::new().chain_update(&*group.file).chain_update(";").chain_update(&*group.name).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Serialize for Page {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PageData { groups: ShownGroups(self), group_next_token: self.next_token.as_deref() }.serialize(serializer)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PageData<'a> {
    groups: ShownGroups<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_next_token: Option<&'a str>,
}

struct ShownGroups<'a>(&'a Page);

impl Serialize for ShownGroups<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.shown.iter().map(|(index, rules)| {
            let group = &self.0.groups[*index];
            GroupData {
                name: &group.name,
                file: &group.file,
                rules: ShownRules { group, rules, exclude_alerts: self.0.exclude_alerts },
                interval: group.interval,
                limit: group.limit,
                evaluation_time: group.evaluation_time,
                last_evaluation: group.last_evaluation,
            }
        }))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupData<'a> {
    name: &'a str,
    file: &'a str,
    rules: ShownRules<'a>,
    #[serde(serialize_with = "seconds")]
    interval: Duration,
    limit: usize,
    #[serde(serialize_with = "seconds")]
    evaluation_time: Duration,
    #[serde(serialize_with = "time_or_zero")]
    last_evaluation: Option<Timestamp>,
}

struct ShownRules<'a> {
    group: &'a GroupView,
    rules: &'a [usize],
    exclude_alerts: bool,
}

impl Serialize for ShownRules<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.rules.len()))?;
        for rule in self.rules.iter().map(|index| &self.group.rules[*index]) {
            match &rule.kind {
                RuleViewKind::Alerting(alerting) => list.serialize_element(&AlertingData {
                    state: state_name(alerting.state),
                    name: &rule.name,
                    query: &rule.query,
                    duration: alerting.hold_duration,
                    keep_firing_for: alerting.keep_firing_for,
                    labels: &rule.labels,
                    annotations: &alerting.annotations,
                    alerts: (!self.exclude_alerts).then_some(Alerts(&alerting.alerts)),
                    health: health_name(rule.health),
                    last_error: last_error(rule),
                    evaluation_time: rule.evaluation_time,
                    last_evaluation: rule.last_evaluation,
                    r#type: "alerting",
                })?,
                RuleViewKind::Recording => list.serialize_element(&RecordingData {
                    name: &rule.name,
                    query: &rule.query,
                    labels: &rule.labels,
                    health: health_name(rule.health),
                    last_error: last_error(rule),
                    evaluation_time: rule.evaluation_time,
                    last_evaluation: rule.last_evaluation,
                    r#type: "recording",
                })?,
            }
        }
        list.end()
    }
}

struct Alerts<'a>(&'a [AlertView]);

impl Serialize for Alerts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(AlertData::from))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertingData<'a> {
    state: &'static str,
    name: &'a str,
    query: &'a str,
    #[serde(serialize_with = "seconds")]
    duration: Duration,
    #[serde(serialize_with = "seconds")]
    keep_firing_for: Duration,
    labels: &'a Labels,
    annotations: &'a Labels,
    /// `null` where the client does not want them.
    alerts: Option<Alerts<'a>>,
    health: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    last_error: &'a str,
    #[serde(serialize_with = "seconds")]
    evaluation_time: Duration,
    #[serde(serialize_with = "time_or_zero")]
    last_evaluation: Option<Timestamp>,
    r#type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordingData<'a> {
    name: &'a str,
    query: &'a str,
    labels: &'a Labels,
    health: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    last_error: &'a str,
    #[serde(serialize_with = "seconds")]
    evaluation_time: Duration,
    #[serde(serialize_with = "time_or_zero")]
    last_evaluation: Option<Timestamp>,
    r#type: &'static str,
}

fn last_error(rule: &RuleView) -> &str {
    rule.last_error.as_deref().unwrap_or_default()
}

fn state_name(state: RuleState) -> &'static str {
    match state {
        RuleState::Unknown => "unknown",
        RuleState::Inactive => "inactive",
        RuleState::Pending => "pending",
        RuleState::Firing => "firing",
    }
}

fn health_name(health: Health) -> &'static str {
    match health {
        Health::Unknown => "unknown",
        Health::Ok => "ok",
        Health::Err => "err",
    }
}
