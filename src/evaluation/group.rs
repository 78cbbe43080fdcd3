//! The machine: rules in order, independent ones together, timestamps together where that changes nothing.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::alerting_rule::{self, Elements, Restored};
use super::recording_rule;
use super::template_queries::TEMPLATE_QUERIES_MAX;
use super::{GroupState, Health, RuleError, RuleOutcome, RuleState, Settings};
use crate::alerting::{LastState, keep_visible, last_states, probes, state_query, state_selector};
use crate::model::{
    ALERT_NAME, Annotations, Answer, Evaluated, Labels, LabelsScratch, METRIC_NAME, Need, Sample, SourceError,
    SourceErrorKind, TimedSample, Timestamp,
};
use crate::rules::{AlertingRule, Group, Rule, RuleKind};

/// Something to ask the source on behalf of a rule.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Index in the group.
    pub rule: usize,
    pub need: Need,
    /// Rules of this group whose samples this question reads: they must be visible at the source first.
    pub after: Vec<usize>,
    purpose: Purpose,
}

impl Ask {
    /// Asked to find the state of alerts again, after a start.
    pub fn is_restore(&self) -> bool {
        matches!(self.purpose, Purpose::Restore | Purpose::Visible)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The rule's expression.
    Value,
    /// `ALERTS_FOR_STATE` over the outage tolerance, after a start.
    Restore,
    /// The same at single timestamps: which of it had not ended.
    Visible,
    /// A `query` in one of its templates.
    Template,
}

/// One group, at one timestamp or many; see the room's docs.
#[derive(Debug)]
pub struct GroupEvaluation {
    group: Arc<Group>,
    settings: Arc<Settings>,
    state: GroupState,
    /// Timestamps still to come, in batches that are asked about together.
    batches: VecDeque<Arc<[Timestamp]>>,
    times: Arc<[Timestamp]>,
    progress: Vec<Progress>,
    /// Markers of the batch so far whose series another rule may write: they go out at its end, when that is known.
    ended: Vec<TimedSample>,
    asks: Vec<Ask>,
    outcomes: Vec<RuleOutcome>,
    markers: Vec<TimedSample>,
}

#[derive(Debug)]
enum Progress {
    /// For the rules it reads.
    Waiting,
    Running(Running),
    Done,
}

/// A rule that was asked about and is not done.
#[derive(Debug, Default)]
struct Running {
    value: Option<Answer>,
    /// None: asked, not answered.
    restored: Option<Restored>,
    /// What is to be restored if it had not ended.
    candidates: HashMap<Labels, LastState>,
    /// Of an alerting rule, once the value is there: one for each timestamp.
    elements: Option<Vec<Result<Elements, RuleError>>>,
    templates_asked: usize,
}

impl GroupEvaluation {
    /// `times`: evaluation timestamps, ascending. The live clock passes one.
    pub fn new(group: Arc<Group>, settings: Arc<Settings>, state: GroupState, times: &[Timestamp]) -> GroupEvaluation {
        debug_assert_eq!(state.rules.len(), group.rules.len(), "a state belongs to its group");
        let batches = match times {
            [] => VecDeque::new(),
            [_] => VecDeque::from([Arc::from(times)]),
            _ if batchable(&group) => VecDeque::from([Arc::from(times)]),
            _ => times.iter().map(|at| Arc::from([*at])).collect(),
        };
        let mut evaluation = GroupEvaluation {
            group,
            settings,
            state,
            batches,
            times: Arc::from([]),
            progress: Vec::new(),
            ended: Vec::new(),
            asks: Vec::new(),
            outcomes: Vec::new(),
            markers: Vec::new(),
        };
        evaluation.next_batch();
        evaluation
    }

    /// What is to be asked now, each once. To be called again after every `supply`.
    pub fn take_asks(&mut self) -> Vec<Ask> {
        std::mem::take(&mut self.asks)
    }

    /// Rules that are done since this was last called. Their samples are to be stored and their alerts told before
    /// anything that `take_asks` gives is asked.
    pub fn take_outcomes(&mut self) -> Vec<RuleOutcome> {
        std::mem::take(&mut self.outcomes)
    }

    /// Staleness markers of series that ended, but for those that stand in an outcome.
    pub fn take_markers(&mut self) -> Vec<TimedSample> {
        std::mem::take(&mut self.markers)
    }

    /// The answer to an ask.
    pub fn supply(&mut self, ask: Ask, answer: Answer) {
        let Need::Query { expr, times } = &ask.need;
        let Progress::Running(running) = &mut self.progress[ask.rule] else { return };
        match ask.purpose {
            Purpose::Value => running.value = Some(whole(answer, times.len())),
            Purpose::Restore => return self.look_for_ended(ask.rule, &answer),
            Purpose::Visible => {
                let candidates = std::mem::take(&mut running.candidates);
                running.restored = Some(visible(candidates, &answer, times, self.times[0], &self.settings));
            }
            Purpose::Template => {
                running.templates_asked -= 1;
                for elements in running.elements.iter_mut().flatten().flatten() {
                    if times.contains(&elements.at()) {
                        elements.queries.insert(expr.clone(), &answer);
                    }
                }
            }
        }
        self.go_on(ask.rule);
    }

    /// The answer to `ALERTS_FOR_STATE`: if it holds anything, the second question is which of that had not ended.
    fn look_for_ended(&mut self, index: usize, answer: &Answer) {
        let Progress::Running(running) = &mut self.progress[index] else { return };
        let rule = &self.group.rules[index];
        let at = self.times[0];
        let Answer::Known(values) = answer else {
            running.restored = Some(not_restored(answer));
            return self.go_on(index);
        };
        let state = &mut self.state.rules[index];
        let before = *state.restoring_since.get_or_insert(at - self.settings.query_offset);
        let added = [&self.settings.external_labels, &self.settings.source_labels];
        let series = match values.first() {
            Some((Evaluated::Matrix(series), _)) => &**series,
            _ => &[],
        };
        let mut candidates = last_states(series, before, &added);
        let times = probes(&mut candidates, at, self.settings.interval);
        if times.is_empty() {
            running.restored = Some(Restored::Known(HashMap::new()));
            return self.go_on(index);
        }
        running.candidates = candidates;
        let expr = Arc::from(state_selector(&rule.name, &rule.labels));
        let need = Need::Query { expr, times: times.into() };
        self.asks.push(Ask { rule: index, need, after: Vec::new(), purpose: Purpose::Visible });
    }

    fn go_on(&mut self, rule: usize) {
        self.advance(rule);
        self.start_ready();
    }

    /// What is remembered. To be called when nothing is asked any more; called earlier, the rules that are not done
    /// stay as they were.
    pub fn finish(self) -> GroupState {
        self.state
    }

    fn next_batch(&mut self) {
        while let Some(times) = self.batches.pop_front() {
            self.times = times;
            self.progress = self.group.rules.iter().map(|_| Progress::Waiting).collect();
            self.start_ready();
            if !self.group.rules.is_empty() {
                return;
            }
        }
    }

    /// Asks about every rule whose predecessors are done; ends the batch when all are.
    fn start_ready(&mut self) {
        if self.progress.iter().all(|progress| matches!(progress, Progress::Done)) {
            if !self.times.is_empty() {
                self.end_batch();
                self.next_batch();
            }
            return;
        }
        for rule in 0..self.progress.len() {
            let read = self.group.dependencies.reads(rule);
            let ready = read.iter().all(|earlier| matches!(self.progress[*earlier], Progress::Done));
            if ready && matches!(self.progress[rule], Progress::Waiting) {
                self.ask_about(rule);
            }
        }
    }

    fn ask_about(&mut self, index: usize) {
        let rule = &self.group.rules[index];
        let after = self.group.dependencies.reads(index).to_vec();
        let times = self.times.iter().map(|at| *at - self.settings.query_offset).collect();
        let need = Need::Query { expr: rule.expr.text().clone(), times };
        self.asks.push(Ask { rule: index, need, after: after.clone(), purpose: Purpose::Value });
        let mut running = Running::default();
        if rule.alerting().is_some() && self.state.rules[index].restoring_evaluations > 0 {
            let query = state_query(&rule.name, &rule.labels, self.settings.outage_tolerance);
            let need = Need::Query { expr: Arc::from(query), times: self.times[..1].into() };
            self.asks.push(Ask { rule: index, need, after, purpose: Purpose::Restore });
        } else {
            running.restored = Some(Restored::NotWanted);
        }
        self.progress[index] = Progress::Running(running);
    }

    /// Takes a rule as far as its answers allow.
    fn advance(&mut self, index: usize) {
        let Progress::Running(running) = &mut self.progress[index] else { return };
        if running.value.is_none() || running.restored.is_none() || running.templates_asked > 0 {
            return;
        }
        let group = self.group.clone();
        let rule = &group.rules[index];
        match &rule.kind {
            RuleKind::Recording(_) => self.finish_recording(index, rule),
            RuleKind::Alerting(alerting) => {
                let wanted = self.expand_templates(index, rule, alerting);
                if wanted.is_empty() {
                    self.finish_alerting(index, rule, alerting);
                } else {
                    self.ask_templates(index, wanted);
                }
            }
        }
    }

    fn ask_templates(&mut self, index: usize, wanted: BTreeMap<String, Vec<Timestamp>>) {
        let Progress::Running(running) = &mut self.progress[index] else { return };
        running.templates_asked = wanted.len();
        for (expr, times) in wanted {
            let need = Need::Query { expr: Arc::from(expr), times: times.into() };
            self.asks.push(Ask { rule: index, need, after: Vec::new(), purpose: Purpose::Template });
        }
    }

    /// Expands what can be expanded; gives the queries wanted for the rest, with the timestamps they are wanted at.
    fn expand_templates(
        &mut self,
        index: usize,
        rule: &Rule,
        alerting: &AlertingRule,
    ) -> BTreeMap<String, Vec<Timestamp>> {
        let Progress::Running(running) = &mut self.progress[index] else { return BTreeMap::new() };
        let value = running.value.as_ref().expect("advance saw the value");
        let all = running.elements.get_or_insert_with(|| elements_of(value, &self.times));
        let known = &self.state.rules[index].alerts;
        let mut wanted: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
        for slot in all {
            let Ok(elements) = slot else { continue };
            let result = elements.expand(rule, alerting, &self.settings, known).and_then(|queries| {
                if elements.queries.len() + queries.len() > TEMPLATE_QUERIES_MAX {
                    return Err(RuleError::TooManyTemplateQueries(TEMPLATE_QUERIES_MAX));
                }
                Ok(queries)
            });
            match result {
                Ok(queries) => {
                    for query in queries {
                        wanted.entry(query).or_default().push(elements.at());
                    }
                }
                Err(error) => *slot = Err(error),
            }
        }
        wanted
    }

    fn finish_recording(&mut self, index: usize, rule: &Rule) {
        let Progress::Running(running) = std::mem::replace(&mut self.progress[index], Progress::Done) else { return };
        let answer = running.value.expect("advance saw the value");
        for (position, at) in self.times.clone().iter().enumerate() {
            let mut outcome = RuleOutcome::new(index, *at);
            let applied = match &answer {
                Answer::Unknown(error) => Err(RuleError::Source(error.clone())),
                Answer::Known(values) => {
                    let (value, annotations) = &values[position];
                    outcome.annotations = annotations.clone();
                    let written_at = *at - self.settings.query_offset;
                    recording_rule::apply(rule, self.group.limit, &mut self.state.rules[index], value, written_at)
                }
            };
            match applied {
                Ok((samples, markers)) => {
                    outcome.samples = samples;
                    self.end_series(&mut outcome, markers);
                }
                Err(error) => outcome.error = Some(error),
            }
            self.done(index, outcome);
        }
    }

    fn finish_alerting(&mut self, index: usize, rule: &Rule, alerting: &AlertingRule) {
        let Progress::Running(running) = std::mem::replace(&mut self.progress[index], Progress::Done) else { return };
        let annotations = annotations_of(&running.value);
        let restored = running.restored.expect("advance saw it");
        let all = running.elements.expect("expand_templates made them");
        for ((elements, at), annotations) in all.into_iter().zip(self.times.clone().iter()).zip(annotations) {
            let mut outcome = RuleOutcome::new(index, *at);
            outcome.annotations = annotations;
            let applied = elements.and_then(|mut elements| {
                let expansions = std::mem::take(&mut elements.expansions);
                outcome.expansions = expansions.done;
                outcome.expansion_failures = expansions.failed;
                outcome.expansion_error = expansions.error;
                let state = &mut self.state.rules[index];
                alerting_rule::apply(&self.group, rule, alerting, &self.settings, state, elements, &restored)
            });
            match applied {
                Ok(applied) => {
                    outcome.samples = applied.samples;
                    outcome.alerts = applied.alerts;
                    self.end_series(&mut outcome, applied.markers);
                }
                Err(error) => outcome.error = Some(error),
            }
            self.done(index, outcome);
        }
    }

    /// A later rule must see at this very timestamp that a series has ended. So its marker waits for the end of the batch
    /// only where another rule may write the same series.
    fn end_series(&mut self, outcome: &mut RuleOutcome, markers: Vec<TimedSample>) {
        let rules = &self.group.rules;
        let name = &rules[outcome.rule].name;
        let shares_name = || rules.iter().filter(|rule| rule.name == *name).nth(1).is_some();
        if !markers.is_empty() && shares_name() {
            self.ended.extend(markers);
        } else {
            outcome.markers = markers;
        }
    }

    fn done(&mut self, index: usize, outcome: RuleOutcome) {
        self.state.rules[index].health = match &outcome.error {
            None => Health::Ok,
            Some(error) => Health::Failing { error: error.to_string() },
        };
        self.outcomes.push(outcome);
    }

    /// A marker for every series that ended, but for those that another rule of the group writes now.
    fn end_batch(&mut self) {
        let ended = std::mem::take(&mut self.ended);
        let orphans = std::mem::take(&mut self.state.orphans);
        if ended.is_empty() && orphans.is_empty() {
            self.times = Arc::from([]);
            return;
        }
        let mut living = Living::new(&self.group, &self.state.rules);
        // In a longer batch a series may end and come again; but then no two rules write the same one.
        let single = self.times.len() == 1;
        self.markers.extend(ended.into_iter().filter(|marker| !single || !living.has(&marker.labels)));
        if let Some(last) = self.times.last() {
            let at = *last - self.settings.query_offset;
            let orphans = orphans.into_iter().filter(|series| !living.has(series));
            self.markers.extend(orphans.map(|series| recording_rule::marker(series, at)));
        }
        self.times = Arc::from([]);
    }
}

/// The series that the rules of a group now write.
struct Living<'a> {
    rules: &'a [RuleState],
    /// Indices of rules: the metric of a recorded series, and the `alertname` of an alert's.
    by_name: HashMap<&'a str, Vec<usize>>,
    scratch: LabelsScratch,
}

impl<'a> Living<'a> {
    fn new(group: &'a Group, rules: &'a [RuleState]) -> Living<'a> {
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, rule) in group.rules.iter().enumerate() {
            by_name.entry(&rule.name).or_default().push(index);
        }
        Living { rules, by_name, scratch: LabelsScratch::default() }
    }

    fn has(&mut self, series: &Labels) -> bool {
        let names = [METRIC_NAME, ALERT_NAME].into_iter().filter_map(|label| series.get(label));
        let mut rules = names.filter_map(|name| self.by_name.get(name)).flatten();
        rules.any(|rule| self.rules[*rule].writes(series, &mut self.scratch))
    }
}

/// Whether many timestamps may be asked about at once: no rule reads what the group itself makes, and no two rules write
/// one series, so that what ends and comes again in between is each rule's own business.
fn batchable(group: &Group) -> bool {
    let mut names = HashSet::new();
    group.dependencies.batchable() && group.rules.iter().all(|rule| names.insert(&*rule.name))
}

/// An answer with as many values as there were timestamps, or none.
fn whole(answer: Answer, expected: usize) -> Answer {
    match answer {
        Answer::Known(values) if values.len() != expected => Answer::Unknown(SourceError {
            kind: SourceErrorKind::Shape,
            message: format!("the source answered for {} timestamps, asked for {expected}", values.len()),
        }),
        answer => answer,
    }
}

/// What had not ended among `candidates`, by the answer to the selector at `times`.
fn visible(
    mut candidates: HashMap<Labels, LastState>,
    answer: &Answer,
    times: &[Timestamp],
    at: Timestamp,
    settings: &Settings,
) -> Restored {
    let Answer::Known(values) = answer else { return not_restored(answer) };
    let added = [&settings.external_labels, &settings.source_labels];
    let seen = times.iter().zip(values).flat_map(|(asked, (value, _))| {
        let samples: &[Sample] = match value {
            Evaluated::Vector(samples) => samples,
            _ => &[],
        };
        samples.iter().map(|sample| (*asked, &sample.labels))
    });
    keep_visible(&mut candidates, seen, at, &added);
    Restored::Known(candidates)
}

fn not_restored(answer: &Answer) -> Restored {
    match answer {
        // A source that refuses the question has no memory to restore from.
        Answer::Unknown(error) if error.kind == SourceErrorKind::Rejected => Restored::Known(HashMap::new()),
        _ => Restored::NotKnown,
    }
}

fn elements_of(value: &Answer, times: &[Timestamp]) -> Vec<Result<Elements, RuleError>> {
    match value {
        Answer::Unknown(error) => times.iter().map(|_| Err(RuleError::Source(error.clone()))).collect(),
        Answer::Known(values) => values.iter().zip(times).map(|((value, _), at)| Elements::new(*at, value)).collect(),
    }
}

fn annotations_of(value: &Option<Answer>) -> Box<dyn Iterator<Item = Annotations> + '_> {
    match value {
        Some(Answer::Known(values)) => Box::new(values.iter().map(|(_, annotations)| annotations.clone())),
        _ => Box::new(std::iter::repeat(Annotations::default())),
    }
}
