//! What an alerting rule makes of an answer: elements with their templates expanded, then the state machine over them.

use std::collections::{BTreeSet, HashMap, HashSet};

use foldhash::fast::FixedState;

use super::recording_rule::marker;
use super::template_queries::TemplateQueries;
use super::{RuleError, RuleState, Settings};
use crate::alerting::{
    AlertInstance, Instance, LastState, RESOLVED_RETENTION, Seen, Timing, alert_series, for_state_series,
    restored_active_at, step,
};
use crate::model::{
    ALERT_NAME, Alert, AlertState, Evaluated, Labels, LabelsBuilder, METRIC_NAME, Sample, SourceErrorKind, TimedSample,
    Timestamp, Value,
};
use crate::rules::{AlertingRule, Group, Rule};
use crate::template::{Context, Expansion};

/// One element of the answer, as the alert it stands for.
#[derive(Debug)]
pub(crate) struct Element {
    labels: Labels,
    annotations: Labels,
    value: Value,
}

/// Templates expanded so far, for the outcome.
#[derive(Debug, Default)]
pub(crate) struct Expansions {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) error: Option<String>,
}

/// The elements of one timestamp in the making: those whose templates wait for a query come again.
#[derive(Debug)]
pub(crate) struct Elements {
    at: Timestamp,
    samples: std::sync::Arc<[Sample]>,
    done: Vec<Option<Element>>,
    pub(crate) queries: TemplateQueries,
    pub(crate) expansions: Expansions,
}

impl Elements {
    pub(crate) fn new(at: Timestamp, value: &Evaluated) -> Result<Elements, RuleError> {
        let samples = match value {
            Evaluated::Vector(samples) => samples.clone(),
            Evaluated::Scalar(value) => {
                std::sync::Arc::from([Sample { labels: Labels::empty(), value: Value::Float(*value) }])
            }
            Evaluated::Matrix(_) | Evaluated::String(_) => return Err(RuleError::ResultType),
        };
        let done = samples.iter().map(|_| None).collect();
        Ok(Elements { at, samples, done, queries: TemplateQueries::default(), expansions: Expansions::default() })
    }

    pub(crate) fn at(&self) -> Timestamp {
        self.at
    }

    /// Expands what can be expanded; gives the queries that are wanted for the rest, none when all is done.
    pub(crate) fn expand(
        &mut self,
        rule: &Rule,
        alerting: &AlertingRule,
        settings: &Settings,
    ) -> Result<BTreeSet<String>, RuleError> {
        let mut wanted = BTreeSet::new();
        for (sample, done) in self.samples.iter().zip(&mut self.done).filter(|(_, done)| done.is_none()) {
            let context = Context {
                labels: &sample.labels,
                external_labels: &settings.external_labels,
                external_url: &settings.external_url,
                value: &sample.value,
                at: self.at,
            };
            match expand(rule, alerting, &context, &self.queries, &mut self.expansions)? {
                Expanded::Done(element) => *done = Some(element),
                Expanded::Wants(query) => _ = wanted.insert(query),
            }
        }
        Ok(wanted)
    }

    fn finish(self) -> Vec<Element> {
        self.done.into_iter().flatten().collect()
    }
}

enum Expanded {
    Done(Element),
    Wants(String),
}

/// Labels: the element's, less its metric name, then the rule's templates in name order (an empty result removes the
/// label), then `alertname`. Annotations: every template, empty results kept.
fn expand(
    rule: &Rule,
    alerting: &AlertingRule,
    context: &Context<'_>,
    queries: &TemplateQueries,
    expansions: &mut Expansions,
) -> Result<Expanded, RuleError> {
    let mut text_of = |template: &crate::template::Template| match template.expand(context, queries) {
        Expansion::Needs(query) => Err(query),
        Expansion::Done(text) => {
            expansions.done += 1;
            Ok(text)
        }
        Expansion::Failed(error) => {
            expansions.done += 1;
            expansions.failed += 1;
            let text = format!("<error expanding template: {error}>");
            expansions.error = Some(error);
            Ok(text)
        }
    };
    let mut labels = LabelsBuilder::new(context.labels);
    labels.remove(METRIC_NAME);
    queries.take_failed();
    for (name, template) in &alerting.label_templates {
        match text_of(template) {
            Ok(text) => labels.set(&**name, text),
            Err(query) => return Ok(Expanded::Wants(query)),
        }
        // A label decides which alert this is. A source that did not answer must not make another alert of it.
        if let Some((query, error)) = queries.take_failed().filter(|(_, e)| e.kind != SourceErrorKind::Rejected) {
            return Err(RuleError::LabelQuery { label: name.to_string(), query, error });
        }
    }
    labels.set(ALERT_NAME, &*rule.name);
    let mut annotations = LabelsBuilder::default();
    for (name, template) in &alerting.annotation_templates {
        match text_of(template) {
            Ok(text) => annotations.set_even_empty(&**name, text),
            Err(query) => return Ok(Expanded::Wants(query)),
        }
    }
    let (labels, annotations) = (labels.finish(), annotations.finish());
    Ok(Expanded::Done(Element { labels, annotations, value: context.value.clone() }))
}

/// What `ALERTS_FOR_STATE` said, for the alerts that came up since the start.
#[derive(Debug)]
pub(crate) enum Restored {
    /// Nothing to restore.
    NotWanted,
    /// The source did not say: ask again, and write nothing over it until then.
    NotKnown,
    Known(HashMap<Labels, LastState>),
}

/// So many evaluations may pass without an answer about `ALERTS_FOR_STATE`; then what is pending counts from now.
const RESTORE_FAILURES_MAX: u8 = 30;

/// What an alerting rule writes and tells.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) samples: Vec<TimedSample>,
    pub(crate) markers: Vec<TimedSample>,
    pub(crate) alerts: Vec<Alert>,
}

/// Brings the state of all alerts of the rule to `elements.at`. On an error nothing changes.
pub(crate) fn apply(
    group: &Group,
    rule: &Rule,
    alerting: &AlertingRule,
    settings: &Settings,
    state: &mut RuleState,
    elements: Elements,
    restored: &Restored,
) -> Result<Applied, RuleError> {
    let at = elements.at;
    let timing = Timing {
        hold_duration: alerting.hold_duration,
        keep_firing_for: alerting.keep_firing_for,
        resolved_retention: settings.resolved_retention.max(RESOLVED_RETENTION),
    };
    let elements = elements.finish();
    check(group, state, &elements, at, &timing)?;

    let shared_url = settings.shared_generator_url(rule);
    let mut applied = Applied::default();
    applied.samples.reserve(elements.len() * 2);
    let mut seen = HashSet::with_capacity_and_hasher(elements.len(), FixedState::default());
    let mut alerts = std::mem::take(&mut state.alerts);
    for element in elements {
        seen.insert(element.labels.clone());
        let was = alerts.get(&element.labels).map(|instance| instance.state);
        let mut now = step(was, Seen::Present, at, &timing).expect("what is present has a state");
        let instance = alerts.entry(element.labels).or_insert_with_key(|labels| AlertInstance {
            state: now,
            labels: labels.clone(),
            annotations: Labels::empty(),
            value: 0.0,
            generator_url: shared_url.clone().unwrap_or_default(),
            written: None,
            unrestored: state.restoring_evaluations > 0,
        });
        if instance.unrestored {
            now = restore(now, instance, restored, settings, at, &timing);
        }
        instance.value = element.value.as_float();
        let mut reworded = instance.annotations != element.annotations;
        if reworded {
            instance.annotations = element.annotations;
        }
        // A reload may have changed the expression, or where the source is.
        if let Some(url) = shared_url.as_ref().filter(|url| **url != instance.generator_url) {
            instance.generator_url = url.clone();
            reworded = true;
        }
        let was_firing = was.is_some_and(Instance::is_firing);
        if shared_url.is_none() && now.is_firing() && (!was_firing || reworded) {
            let labels = &instance.labels;
            instance.generator_url = settings.generator_url_of(group, rule, labels, &element.value, at);
        }
        instance.state = now;
        let told = tell(was_firing, reworded, now, at, settings);
        write(instance, restored, at - settings.query_offset, &mut applied);
        applied.alerts.extend(told.map(|told| state.alert(instance, told)));
    }
    absent(settings, state, &mut alerts, &seen, at, &timing, restored, &mut applied);
    state.alerts = alerts;
    match restored {
        Restored::NotWanted => {}
        Restored::Known(_) => state.restoring_evaluations = state.restoring_evaluations.saturating_sub(1),
        Restored::NotKnown => {
            state.restore_failures += 1;
            if state.restore_failures >= RESTORE_FAILURES_MAX {
                state.restoring_evaluations = 0;
            }
        }
    }
    Ok(applied)
}

/// No two elements with one label set, and no more alerts than the group's limit.
fn check(
    group: &Group,
    state: &RuleState,
    elements: &[Element],
    at: Timestamp,
    timing: &Timing,
) -> Result<(), RuleError> {
    let mut seen: HashSet<&Labels, FixedState> =
        HashSet::with_capacity_and_hasher(elements.len(), FixedState::default());
    if let Some(twice) = elements.iter().find(|element| !seen.insert(&element.labels)) {
        return Err(RuleError::DuplicateAlert(twice.labels.clone()));
    }
    let Some(limit) = group.limit else { return Ok(()) };
    let absent = state.alerts.values().filter(|instance| !seen.contains(&instance.labels));
    let stays = |instance: &AlertInstance| step(Some(instance.state), Seen::Absent, at, timing);
    let kept = absent.filter(|instance| stays(instance).is_some_and(Instance::is_active)).count();
    let count = elements.len() + kept;
    if count > limit { Err(RuleError::AlertLimit { limit, count }) } else { Ok(()) }
}

/// The state of an alert that is pending for the first time since the start, given what is remembered of it.
fn restore(
    now: Instance,
    instance: &mut AlertInstance,
    restored: &Restored,
    settings: &Settings,
    at: Timestamp,
    timing: &Timing,
) -> Instance {
    let Restored::Known(states) = restored else { return now };
    instance.unrestored = false;
    let added = [&settings.external_labels, &settings.source_labels];
    let key = crate::alerting::bare(&instance.labels, &added);
    let (Some(last), Instance::Pending { .. }) = (states.get(&key), now) else { return now };
    let active_at = restored_active_at(*last, at, timing.hold_duration, settings.grace_period);
    step(Some(Instance::Pending { active_at }), Seen::Present, at, timing).unwrap_or(now)
}

/// What Alertmanagers are to be told of an alert that is present; none if they know it already.
fn tell(was_firing: bool, reworded: bool, now: Instance, at: Timestamp, settings: &Settings) -> Option<AlertState> {
    match (was_firing, now.is_firing()) {
        (false, true) => Some(AlertState::Firing { valid_for: settings.valid_for() }),
        (true, true) if reworded => Some(AlertState::Firing { valid_for: settings.valid_for() }),
        (true, false) => Some(AlertState::Resolved { resolved_at: at }),
        _ => None,
    }
}

/// The alerts that the answer no longer holds.
#[expect(clippy::too_many_arguments, reason = "one step of `apply`, split off for its length")]
fn absent(
    settings: &Settings,
    state: &RuleState,
    alerts: &mut HashMap<Labels, AlertInstance, FixedState>,
    seen: &HashSet<Labels, FixedState>,
    at: Timestamp,
    timing: &Timing,
    restored: &Restored,
    applied: &mut Applied,
) {
    let written_at = at - settings.query_offset;
    alerts.retain(|labels, instance| {
        if seen.contains(labels) {
            return true;
        }
        let was_firing = instance.state.is_firing();
        let Some(now) = step(Some(instance.state), Seen::Absent, at, timing) else {
            end(instance, written_at, applied);
            return false;
        };
        instance.state = now;
        if was_firing && !now.is_firing() {
            applied.alerts.push(state.alert(instance, AlertState::Resolved { resolved_at: at }));
        }
        write(instance, restored, written_at, applied);
        true
    });
}

/// The samples of an instance, and markers for those of the state it has left.
fn write(instance: &mut AlertInstance, restored: &Restored, at: Timestamp, applied: &mut Applied) {
    let (Some(alertstate), Some(active_at)) = (instance.state.alertstate(), instance.state.active_at()) else {
        end(instance, at, applied);
        return;
    };
    // What is not restored yet must not write over what it is to be restored from.
    if matches!(restored, Restored::NotKnown) && instance.unrestored {
        return;
    }
    if let Some(before) = instance.written.filter(|before| *before != alertstate) {
        applied.markers.push(marker(alert_series(&instance.labels, before), at));
    }
    let sample = |labels, value| TimedSample { labels, at, value: Value::Float(value) };
    applied.samples.push(sample(alert_series(&instance.labels, alertstate), 1.0));
    applied.samples.push(sample(for_state_series(&instance.labels), active_at.as_whole_seconds() as f64));
    instance.written = Some(alertstate);
}

/// Markers for the samples of an instance that is no longer active.
fn end(instance: &mut AlertInstance, at: Timestamp, applied: &mut Applied) {
    if let Some(alertstate) = instance.written.take() {
        applied.markers.push(marker(alert_series(&instance.labels, alertstate), at));
        applied.markers.push(marker(for_state_series(&instance.labels), at));
    }
}
