//! What the API is shown: snapshots of the running parts, in its own words.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::Shared;
use super::options::host_name;
use crate::alerting::{AlertInstance, Instance};
use crate::api::views::{
    AlertView, AlertViewState, AlertingView, AlertmanagersView, GroupView, Health as HealthView, Readiness,
    RuleState as RuleStateView, RuleView, RuleViewKind, RuntimeView, Views,
};
use crate::config::Config;
use crate::evaluation::Health;
use crate::ruler::{GroupStatus, RuleStatus};
use crate::rules::{AlertingRule, Rule, RuleKind};

/// The same group on each source, by file and name.
type Gathered = BTreeMap<(Arc<str>, Arc<str>), Vec<Arc<GroupStatus>>>;

/// What the API reads.
pub(super) struct Snapshots(pub(super) Arc<Shared>);

impl Views for Snapshots {
    fn groups(&self) -> Arc<[GroupView]> {
        let mut gathered = Gathered::new();
        for status in self.0.ruler.statuses() {
            let key = (status.plan.group.file.clone(), status.plan.group.name.clone());
            gathered.entry(key).or_default().push(status);
        }
        gathered.into_values().map(|statuses| group_view(&statuses)).collect()
    }

    fn alertmanagers(&self) -> AlertmanagersView {
        let status = self.0.notifier.status();
        AlertmanagersView { active: status.active.into_iter().map(|one| one.url).collect(), dropped: status.dropped }
    }

    fn config_yaml(&self) -> String {
        self.0.current.load().config.as_ref().map(Config::to_yaml).unwrap_or_default()
    }

    fn flags(&self) -> Arc<BTreeMap<String, String>> {
        self.0.options.shown_flags.clone()
    }

    fn runtime(&self) -> RuntimeView {
        let (current, error) = (self.0.current.load(), self.0.last_reload.lock().error.clone());
        RuntimeView {
            start_time: self.0.started_at,
            server_time: self.0.clock.now(),
            working_directory: std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default(),
            hostname: host_name(),
            reload_config_success: error.is_none(),
            last_config_time: current.loaded_at,
            last_reload_error: error,
            warnings: current.warnings.clone(),
        }
    }

    fn readiness(&self) -> Readiness {
        if self.0.stop.is_cancelled() {
            Readiness::Stopping
        } else if self.0.current.load().loaded_at.is_none() {
            Readiness::Starting
        } else {
            Readiness::Ready
        }
    }

    fn metrics_text(&self) -> String {
        self.0.telemetry.encode()
    }

    fn source_url_for_graph(&self) -> Option<String> {
        let current = self.0.current.load();
        current.sources.values().next().map(|(_, source)| source.external_url().to_owned())
    }

    fn reload(&self) -> BoxFuture<'static, Result<(), String>> {
        let shared = self.0.clone();
        Box::pin(async move { shared.reload("request").await })
    }

    fn quit(&self) {
        self.0.stop.cancel();
    }
}

/// One group over all its sources: the gravest health, the longest time, the alerts of all.
fn group_view(statuses: &[Arc<GroupStatus>]) -> GroupView {
    let first = &statuses[0];
    let group = &first.plan.group;
    let several = statuses.len() > 1;
    let rules = group.rules.iter().enumerate().map(|(index, rule)| {
        let each: Vec<(&str, &RuleStatus)> =
            statuses.iter().map(|status| (status.plan.source.name(), &status.rules[index])).collect();
        rule_view(rule, &each, several)
    });
    GroupView {
        name: group.name.clone(),
        file: group.file.clone(),
        interval: first.plan.settings.interval,
        limit: group.limit.unwrap_or(0),
        query_offset: group.query_offset,
        evaluation_time: statuses.iter().map(|status| status.evaluation_time).max().unwrap_or_default(),
        last_evaluation: statuses.iter().filter_map(|status| status.last_evaluation).max(),
        rules: rules.collect(),
    }
}

fn rule_view(rule: &Rule, each: &[(&str, &RuleStatus)], several: bool) -> RuleView {
    let failing = each.iter().find_map(|(source, status)| match &status.health {
        Health::Failing { error } if several => Some(Arc::from(format!("source {source:?}: {error}"))),
        Health::Failing { error } => Some(Arc::from(error.as_str())),
        Health::Unknown | Health::Ok => None,
    });
    let unknown = each.iter().any(|(_, status)| status.health == Health::Unknown);
    RuleView {
        name: rule.name.clone(),
        query: rule.expr.normalised().clone(),
        labels: rule.labels.clone(),
        health: match &failing {
            Some(_) => HealthView::Err,
            None if unknown => HealthView::Unknown,
            None => HealthView::Ok,
        },
        last_error: failing,
        evaluation_time: each.iter().map(|(_, status)| status.evaluation_time).max().unwrap_or_default(),
        last_evaluation: each.iter().filter_map(|(_, status)| status.last_evaluation).max(),
        kind: match &rule.kind {
            RuleKind::Recording(_) => RuleViewKind::Recording,
            RuleKind::Alerting(alerting) => RuleViewKind::Alerting(alerting_view(alerting, each)),
        },
    }
}

fn alerting_view(alerting: &AlertingRule, each: &[(&str, &RuleStatus)]) -> AlertingView {
    let mut alerts: Vec<AlertView> =
        each.iter().flat_map(|(_, status)| status.alerts.iter()).filter_map(alert_view).collect();
    alerts.sort_by(|one, other| one.labels.cmp(&other.labels));
    let evaluated = each.iter().any(|(_, status)| status.health != Health::Unknown);
    let firing = alerts.iter().any(|alert| alert.state == AlertViewState::Firing);
    AlertingView {
        state: match () {
            () if !evaluated => RuleStateView::Unknown,
            () if firing => RuleStateView::Firing,
            () if !alerts.is_empty() => RuleStateView::Pending,
            () => RuleStateView::Inactive,
        },
        hold_duration: alerting.hold_duration,
        keep_firing_for: alerting.keep_firing_for,
        annotations: alerting.annotations.clone(),
        alerts,
    }
}

fn alert_view(instance: &AlertInstance) -> Option<AlertView> {
    let (state, active_at, keep_firing_since) = match instance.state {
        Instance::Pending { active_at } => (AlertViewState::Pending, active_at, None),
        Instance::Firing { active_at, keep_firing_since, .. } => (AlertViewState::Firing, active_at, keep_firing_since),
        Instance::Inactive { .. } => return None,
    };
    Some(AlertView {
        labels: instance.labels.clone(),
        annotations: instance.annotations.clone(),
        state,
        active_at,
        keep_firing_since,
        value: instance.value,
    })
}
