//! What a group remembers from one evaluation to the next.

use std::collections::HashSet;

use foldhash::fast::FixedState;

use super::Settings;
use crate::alerting::{AlertInstance, AlertInstances, Instance, alert_series, for_state_series};
use crate::model::{Alert, AlertKey, AlertState, Labels, LabelsScratch, METRIC_NAME, Timestamp};
use crate::rules::{Group, Rule};

/// Of evaluations after a start, in so many the alerts that come up are looked for in `ALERTS_FOR_STATE`: the first may
/// come before the source has its data together again.
const RESTORING_EVALUATIONS: u8 = 2;

/// The memory of one group on one source.
#[derive(Clone, Debug, Default)]
pub struct GroupState {
    /// One for each rule of the group, in its order.
    pub rules: Vec<RuleState>,
    /// Series of rules that are gone: they get a staleness marker at the end of the next evaluation.
    pub orphans: Vec<Labels>,
}

/// The memory of one rule.
#[derive(Clone, Debug, Default)]
pub struct RuleState {
    /// Identity over evaluations and reloads; part of every alert's key.
    pub id: u64,
    pub health: Health,
    /// Of an alerting rule, by label set.
    pub alerts: AlertInstances,
    /// Of a recording rule: the series its last successful evaluation gave.
    pub returned: HashSet<Labels, FixedState>,
    pub(crate) restoring_evaluations: u8,
    /// The first evaluation since the start: what is restored was written before it.
    pub(crate) restoring_since: Option<Timestamp>,
    /// Evaluations in which the source did not say what is to be restored.
    pub(crate) restore_failures: u8,
}

/// How the last evaluation of a rule went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not evaluated yet.
    #[default]
    Unknown,
    Ok,
    Failing {
        error: String,
    },
}

impl GroupState {
    /// The state of a group that was never evaluated. `restore`: whether its alerts are looked for in what an earlier
    /// process wrote.
    pub fn new(group: &Group, settings: &Settings, restore: bool) -> GroupState {
        let rules = group
            .rules
            .iter()
            .enumerate()
            .map(|(index, rule)| {
                let twin = group.rules[..index].iter().filter(|earlier| is_twin(earlier, rule)).count();
                let wants_restore =
                    restore && rule.alerting().is_some_and(|alerting| !alerting.hold_duration.is_zero());
                RuleState {
                    id: settings.rule_id(group, rule, twin),
                    restoring_evaluations: if wants_restore { RESTORING_EVALUATIONS } else { 0 },
                    ..RuleState::default()
                }
            })
            .collect();
        GroupState { rules, orphans: Vec::new() }
    }

    /// The state of `group`, which takes the place of `old_group`: rules of equal name and labels keep their alerts and
    /// series, the first such with the first, the second with the second.
    ///
    /// Second: what is to be told of the firing alerts of rules that are gone or whose labels have changed: resolved.
    pub fn carried_over(
        group: &Group,
        settings: &Settings,
        old_group: &Group,
        old: GroupState,
        at: Timestamp,
    ) -> (GroupState, Vec<Alert>) {
        let mut state = GroupState::new(group, settings, true);
        state.orphans = old.orphans;
        let mut leftovers: Vec<Option<(&Rule, RuleState)>> = old_group.rules.iter().zip(old.rules).map(Some).collect();
        for (rule, rule_state) in group.rules.iter().zip(&mut state.rules) {
            let kept = leftovers.iter_mut().find(|left| left.as_ref().is_some_and(|(old, _)| is_twin(old, rule)));
            if let Some((_, old_state)) = kept.and_then(Option::take) {
                *rule_state = RuleState { health: Health::Unknown, ..old_state };
            }
        }
        let mut resolved = Vec::new();
        for (_, gone) in leftovers.into_iter().flatten() {
            resolved.extend(gone.resolve_all(at));
            state.orphans.extend(gone.series());
        }
        (state, resolved)
    }

    /// What is to be told when the whole group is gone: its firing alerts are resolved.
    pub fn resolve_all(&self, at: Timestamp) -> Vec<Alert> {
        self.rules.iter().flat_map(|rule| rule.resolve_all(at)).collect()
    }

    /// The series that the last evaluations of these rules wrote and that still live.
    pub fn series_of(&self, rules: impl Fn(usize) -> bool) -> impl Iterator<Item = Labels> {
        let chosen = self.rules.iter().enumerate().filter(move |(index, _)| rules(*index));
        chosen.flat_map(|(_, rule)| rule.series())
    }
}

/// Equal kind, name and labels: state passes from one to the other on a reload.
fn is_twin(one: &Rule, other: &Rule) -> bool {
    one.name == other.name && one.labels == other.labels && one.alerting().is_some() == other.alerting().is_some()
}

impl RuleState {
    /// The alerts that are pending or firing.
    pub fn active(&self) -> impl Iterator<Item = &AlertInstance> {
        self.alerts.iter().filter(|instance| instance.state.is_active())
    }

    /// Whether a series is among those that the rule now writes.
    pub(crate) fn writes(&self, series: &Labels, scratch: &mut LabelsScratch) -> bool {
        if self.returned.contains(series) {
            return true;
        }
        let added = [(METRIC_NAME, ""), ("alertstate", "")];
        let (added, alertstate) = match series.value(METRIC_NAME) {
            "ALERTS" => (&added[..], Some(series.value("alertstate"))),
            "ALERTS_FOR_STATE" => (&added[..1], None),
            _ => return false,
        };
        let alert = self.alerts.position(scratch.changed(series, added.iter().copied()), usize::MAX);
        let written = alert.and_then(|position| self.alerts.at(position).written);
        written.is_some_and(|written| alertstate.is_none_or(|alertstate| alertstate == written))
    }

    fn series(&self) -> Vec<Labels> {
        self.returned.iter().cloned().chain(self.alerts.iter().flat_map(written)).collect()
    }

    fn resolve_all(&self, at: Timestamp) -> Vec<Alert> {
        let firing = self.alerts.iter().filter(|instance| instance.state.is_firing());
        firing.map(|instance| self.alert(instance, AlertState::Resolved { resolved_at: at })).collect()
    }

    /// An instance as it is told to Alertmanagers.
    pub(crate) fn alert(&self, instance: &AlertInstance, state: AlertState) -> Alert {
        let starts_at = match instance.state {
            Instance::Firing { fired_at, .. } | Instance::Inactive { fired_at, .. } => fired_at,
            Instance::Pending { active_at } => active_at,
        };
        Alert {
            key: AlertKey { rule: self.id, fingerprint: instance.fingerprint },
            labels: instance.labels.clone(),
            annotations: instance.annotations.clone(),
            starts_at,
            state,
            generator_url: instance.generator_url.clone(),
        }
    }
}

/// The series of `ALERTS` and `ALERTS_FOR_STATE` that an instance last wrote.
fn written(instance: &AlertInstance) -> impl Iterator<Item = Labels> {
    let scratch = &mut LabelsScratch::default();
    let alert = instance.written.map(|alertstate| alert_series(&instance.labels, alertstate, scratch));
    let for_state = instance.written.map(|_| for_state_series(&instance.labels, scratch));
    alert.into_iter().chain(for_state)
}
