//! What an alerting rule makes of an answer: elements with their templates expanded, then the state machine over them.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use foldhash::fast::FixedState;
use smallvec::SmallVec;

use super::recording_rule::marker;
use super::template_queries::TemplateQueries;
use super::{RuleError, RuleState, Settings};
use crate::alerting::{
    AlertInstance, AlertInstances, Instance, LabelsHash, LastState, RESOLVED_RETENTION, Seen, Timing, alert_series,
    for_state_series, hash, restored_active_at, step,
};
use crate::model::{
    ALERT_NAME, Alert, AlertState, Evaluated, Labels, LabelsScratch, METRIC_NAME, Sample, SourceErrorKind, TimedSample,
    Timestamp, Value,
};
use crate::rules::{AlertingRule, Group, Rule};
use crate::template::{Context, Expansion, Template};

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
    ///
    /// `known`: the rule's alerts so far. What is one of them already shares its label set and its annotations.
    pub(crate) fn expand(
        &mut self,
        rule: &Rule,
        alerting: &AlertingRule,
        settings: &Settings,
        known: &AlertInstances,
    ) -> Result<BTreeSet<String>, RuleError> {
        let (queries, expansions) = (&self.queries, &mut self.expansions);
        let mut expander =
            Expander { rule, alerting, queries, expansions, known, expected: 0, scratch: LabelsScratch::default() };
        let mut wanted = BTreeSet::new();
        for (sample, done) in self.samples.iter().zip(&mut self.done).filter(|(_, done)| done.is_none()) {
            let context = Context {
                labels: &sample.labels,
                external_labels: &settings.external_labels,
                external_url: &settings.external_url,
                value: &sample.value,
                at: self.at,
            };
            match expander.element(&context)? {
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

/// Makes elements of samples, one after the other.
struct Expander<'a> {
    rule: &'a Rule,
    alerting: &'a AlertingRule,
    queries: &'a TemplateQueries,
    expansions: &'a mut Expansions,
    known: &'a AlertInstances,
    /// Where the next element is expected among the known alerts.
    expected: usize,
    scratch: LabelsScratch,
}

impl<'a> Expander<'a> {
    /// Labels: the element's, less its metric name, then the rule's templates in name order (an empty result removes the
    /// label), then `alertname`. Annotations: every template, empty results kept.
    fn element(&mut self, context: &Context<'_>) -> Result<Expanded, RuleError> {
        let mut changes: Changes<'a> = SmallVec::new();
        changes.push((METRIC_NAME, Cow::Borrowed("")));
        self.queries.take_failed();
        for (name, template) in &self.alerting.label_templates {
            match self.text_of(template, context) {
                Ok(text) => set(&mut changes, name, Cow::Owned(text)),
                Err(query) => return Ok(Expanded::Wants(query)),
            }
            // A label decides which alert this is. A source that did not answer must not make another alert of it.
            if let Some((query, error)) =
                self.queries.take_failed().filter(|(_, e)| e.kind != SourceErrorKind::Rejected)
            {
                return Err(RuleError::LabelQuery { label: name.to_string(), query, error });
            }
        }
        set(&mut changes, ALERT_NAME, Cow::Borrowed(&*self.rule.name));
        let mut annotations: Changes<'a> = SmallVec::new();
        for (name, template) in &self.alerting.annotation_templates {
            match self.text_of(template, context) {
                Ok(text) => annotations.push((name, Cow::Owned(text))),
                Err(query) => return Ok(Expanded::Wants(query)),
            }
        }
        let labels = self.scratch.changed(context.labels, changes.iter().map(|(name, text)| (*name, &**text)));
        let position = self.known.position(labels, self.expected);
        let known = position.map(|position| self.known.at(position));
        let labels = known.map_or_else(|| labels.to_labels(), |known| known.labels.clone());
        let texts = self.scratch.packed(annotations.iter().map(|(name, text)| (*name, &**text)));
        let same = known.filter(|known| texts == known.annotations);
        let annotations = same.map_or_else(|| texts.to_labels(), |known| known.annotations.clone());
        self.expected = position.map_or(self.expected, |position| position + 1);
        Ok(Expanded::Done(Element { labels, annotations, value: context.value.clone() }))
    }

    /// The text of a template, its fault in its place; or else the query that it waits for.
    fn text_of(&mut self, template: &Template, context: &Context<'_>) -> Result<String, String> {
        match template.expand(context, self.queries) {
            Expansion::Needs(query) => Err(query),
            Expansion::Done(text) => {
                self.expansions.done += 1;
                Ok(text)
            }
            Expansion::Failed(error) => {
                self.expansions.done += 1;
                self.expansions.failed += 1;
                let text = format!("<error expanding template: {error}>");
                self.expansions.error = Some(error);
                Ok(text)
            }
        }
    }
}

/// Labels with their new values, sorted by name; an empty value removes a label.
type Changes<'a> = SmallVec<[(&'a str, Cow<'a, str>); 8]>;

fn set<'a>(changes: &mut Changes<'a>, name: &'a str, value: Cow<'a, str>) {
    match changes.binary_search_by(|(found, _)| (*found).cmp(name)) {
        Ok(index) => changes[index].1 = value,
        Err(index) => changes.insert(index, (name, value)),
    }
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
    let places = Places::of(group, state, &elements, at, &timing)?;

    let shared_url = settings.shared_generator_url(rule);
    let mut writer = Writer::new(restored, at - settings.query_offset, elements.len());
    let mut alerts = std::mem::take(&mut state.alerts);
    for (element, place) in elements.into_iter().zip(places.each) {
        let was = match place {
            Place::Known(position) => Some(alerts.at(position).state),
            Place::New(_) => None,
        };
        let mut now = step(was, Seen::Present, at, &timing).expect("what is present has a state");
        let position = match place {
            Place::Known(position) => position,
            Place::New(hash) => alerts.push(
                hash,
                AlertInstance {
                    state: now,
                    fingerprint: element.labels.fingerprint(),
                    labels: element.labels,
                    annotations: Labels::empty(),
                    value: 0.0,
                    generator_url: shared_url.clone().unwrap_or_default(),
                    written: None,
                    unrestored: state.restoring_evaluations > 0,
                },
            ),
        };
        let instance = alerts.at_mut(position);
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
        writer.write(instance);
        writer.applied.alerts.extend(told.map(|told| state.alert(instance, told)));
    }
    absent(state, &mut alerts, &places.present, at, &timing, &mut writer);
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
    Ok(writer.applied)
}

/// Where the elements of an answer stand among the alerts of the rule.
struct Places {
    /// One for each element.
    each: Vec<Place>,
    /// One for each known alert: whether it is among the elements.
    present: Vec<bool>,
}

#[derive(Clone, Copy)]
enum Place {
    Known(usize),
    New(LabelsHash),
}

impl Places {
    /// No two elements have one label set, and there are no more alerts than the group's limit.
    fn of(
        group: &Group,
        state: &RuleState,
        elements: &[Element],
        at: Timestamp,
        timing: &Timing,
    ) -> Result<Places, RuleError> {
        let mut places = Places { each: Vec::with_capacity(elements.len()), present: vec![false; state.alerts.len()] };
        let mut new: HashSet<&Labels, FixedState> = HashSet::default();
        let mut expected = 0;
        for Element { labels, .. } in elements {
            let (place, twice) = match state.alerts.position(labels.view(), expected) {
                Some(position) => {
                    expected = position + 1;
                    (Place::Known(position), std::mem::replace(&mut places.present[position], true))
                }
                None => (Place::New(hash(labels.view())), !new.insert(labels)),
            };
            if twice {
                return Err(RuleError::DuplicateAlert(labels.clone()));
            }
            places.each.push(place);
        }
        let Some(limit) = group.limit else { return Ok(places) };
        let stays = |instance: &AlertInstance| step(Some(instance.state), Seen::Absent, at, timing);
        let absent = state.alerts.iter().zip(&places.present).filter(|(_, present)| !**present);
        let kept = absent.filter(|(instance, _)| stays(instance).is_some_and(Instance::is_active)).count();
        let count = elements.len() + kept;
        if count > limit { Err(RuleError::AlertLimit { limit, count }) } else { Ok(places) }
    }
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

/// The alerts that the answer no longer holds. `present`: one for each that was known before it.
fn absent(
    state: &RuleState,
    alerts: &mut AlertInstances,
    present: &[bool],
    at: Timestamp,
    timing: &Timing,
    writer: &mut Writer<'_>,
) {
    let mut over = Vec::new();
    for (position, _) in present.iter().enumerate().filter(|(_, present)| !**present) {
        let instance = alerts.at_mut(position);
        let was_firing = instance.state.is_firing();
        let Some(now) = step(Some(instance.state), Seen::Absent, at, timing) else {
            writer.end(instance);
            over.push(position);
            continue;
        };
        instance.state = now;
        if was_firing && !now.is_firing() {
            writer.applied.alerts.push(state.alert(instance, AlertState::Resolved { resolved_at: at }));
        }
        writer.write(instance);
    }
    alerts.remove(&over);
}

/// Writes what instances stand for.
struct Writer<'a> {
    restored: &'a Restored,
    /// The evaluation timestamp, less the query offset.
    at: Timestamp,
    applied: Applied,
    scratch: LabelsScratch,
}

impl Writer<'_> {
    fn new(restored: &Restored, at: Timestamp, elements: usize) -> Writer<'_> {
        let mut applied = Applied::default();
        applied.samples.reserve(elements * 2);
        Writer { restored, at, applied, scratch: LabelsScratch::default() }
    }

    /// The samples of an instance, and markers for those of the state it has left.
    fn write(&mut self, instance: &mut AlertInstance) {
        let (Some(alertstate), Some(active_at)) = (instance.state.alertstate(), instance.state.active_at()) else {
            self.end(instance);
            return;
        };
        // What is not restored yet must not write over what it is to be restored from.
        if matches!(self.restored, Restored::NotKnown) && instance.unrestored {
            return;
        }
        let (at, scratch) = (self.at, &mut self.scratch);
        if let Some(before) = instance.written.filter(|before| *before != alertstate) {
            self.applied.markers.push(marker(alert_series(&instance.labels, before, scratch), at));
        }
        let sample = |labels, value| TimedSample { labels, at, value: Value::Float(value) };
        self.applied.samples.push(sample(alert_series(&instance.labels, alertstate, scratch), 1.0));
        let active_at = active_at.as_whole_seconds() as f64;
        self.applied.samples.push(sample(for_state_series(&instance.labels, scratch), active_at));
        instance.written = Some(alertstate);
    }

    /// Markers for the samples of an instance that is no longer active.
    fn end(&mut self, instance: &mut AlertInstance) {
        if let Some(alertstate) = instance.written.take() {
            let markers = &mut self.applied.markers;
            markers.push(marker(alert_series(&instance.labels, alertstate, &mut self.scratch), self.at));
            markers.push(marker(for_state_series(&instance.labels, &mut self.scratch), self.at));
        }
    }
}
