//! The meaning of a rule file: raw groups to checked ones.
//!
//! Source: Prometheus `model/rulefmt/rulefmt.go`, `Validate`; the order of its checks does not show here, since findings
//! are sorted by place.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::file::{Context, Pair, RawGroup, RawRule, Slot};
use super::{AlertingRule, Compat, Dependencies, Group, Options, RecordingRule, Rule, RuleKind};
use crate::diagnostic::{Finding, SourceText, Span};
use crate::model::{Labels, METRIC_NAME, parse_duration};
use crate::promql::{self, Expression};
use crate::template::Template;
use crate::yaml::{self, Scalar};

/// Checks the groups of one file; gives those without faults.
pub(super) fn groups(
    raw_groups: Vec<RawGroup<'_>>,
    source: &Arc<SourceText>,
    options: &Options,
    findings: &mut Vec<Finding>,
) -> Vec<Group> {
    let mut validator = Validator { source, options, findings, file: Arc::from(&*source.name), errors: 0 };
    let mut seen: HashMap<&str, Span> = HashMap::new();
    let mut groups = Vec::new();
    for raw in &raw_groups {
        let mut sound = !raw.broken;
        if let Slot::Text(name) = raw.name
            && !name.text.is_empty()
        {
            if let Some(first) = seen.get(name.text) {
                let line = source.line(first.start);
                let message = format!("groupname: {:?} is repeated in the same file", name.text);
                validator
                    .push(Finding::error(message).at(source, name.span).label(format!("first used at line {line}")));
                sound = false;
            } else {
                seen.insert(name.text, name.span);
            }
        }
        let errors_before = validator.errors;
        let group = validator.group(raw);
        if sound && validator.errors == errors_before {
            groups.extend(group);
        }
    }
    groups
}

struct Validator<'s, 'f> {
    source: &'s Arc<SourceText>,
    options: &'s Options,
    findings: &'f mut Vec<Finding>,
    file: Arc<str>,
    errors: usize,
}

impl Validator<'_, '_> {
    fn push(&mut self, finding: Finding) {
        self.errors += usize::from(finding.is_error());
        self.findings.push(finding);
    }

    fn error(&mut self, context: Context<'_>, message: &str, span: Span) {
        self.push(Finding::error(context.say(message)).at(self.source, span));
    }

    fn group(&mut self, raw: &RawGroup<'_>) -> Option<Group> {
        let name = raw.name.text();
        if name.is_empty() && !matches!(raw.name, Slot::Broken) {
            self.push(Finding::error("Groupname must not be empty").at(self.source, raw.name.span_or(raw.span)));
        }
        let context = Context { group: name, rule: None };
        let interval = self.duration(context, "interval", raw.interval);
        let query_offset = self.duration(context, "query_offset", raw.query_offset);
        let limit = self.limit(context, raw.limit);
        self.label_names(context, &raw.labels, "label");
        let mut group_templates_told = Vec::new();
        let rules: Vec<Option<Rule>> = raw
            .rules
            .iter()
            .enumerate()
            .map(|(index, rule)| self.rule(name, index + 1, rule, &raw.labels, &mut group_templates_told))
            .collect();
        let rules = rules.into_iter().collect::<Option<Vec<Rule>>>()?;
        Some(Group {
            file: self.file.clone(),
            name: Arc::from(name),
            interval: interval?.filter(|interval| !interval.is_zero()),
            query_offset: query_offset?,
            limit: limit?,
            dependencies: Dependencies::of(&rules),
            rules,
        })
    }

    /// `None` for a fault, which is reported; `Some(None)` for an absent field.
    fn duration(&mut self, context: Context<'_>, field: &str, slot: Slot<'_>) -> Option<Option<Duration>> {
        let Slot::Text(scalar) = slot else { return matches!(slot, Slot::Absent).then_some(None) };
        match parse_duration(scalar.text) {
            Ok(duration) => Some(Some(duration)),
            Err(error) => {
                let finding = Finding::error(context.say(&format!("field '{field}': {error}")));
                let finding = finding.at(self.source, scalar.span);
                let number = !scalar.text.is_empty() && scalar.text.bytes().all(|byte| byte.is_ascii_digit());
                self.push(match number {
                    true => finding.help(format!("durations have units: `{}s`, `{}m`", scalar.text, scalar.text)),
                    false => finding,
                });
                None
            }
        }
    }

    fn limit(&mut self, context: Context<'_>, slot: Slot<'_>) -> Option<Option<usize>> {
        let Slot::Text(scalar) = slot else { return matches!(slot, Slot::Absent).then_some(None) };
        let positive = |limit: i64| usize::try_from(limit).ok().filter(|limit| *limit > 0);
        if scalar.plain {
            if let Some(limit) = yaml::integer(scalar.text) {
                return Some(positive(limit));
            }
            if let Some(limit) = yaml::float(scalar.text).filter(|limit| *limit < i64::MAX as f64) {
                if self.options.compat == Compat::Promtool || limit.fract() == 0.0 {
                    // Go's decoder cuts the fraction off.
                    return Some(positive(limit as i64));
                }
                self.error(context, "field 'limit': a whole number is wanted", scalar.span);
                return None;
            }
        }
        let type_name = if scalar.plain && yaml::float(scalar.text).is_some() { "!!float" } else { "!!str" };
        let message = format!("field 'limit': cannot unmarshal {type_name} `{}` into int", scalar.text);
        self.error(context, &message, scalar.span);
        None
    }

    fn label_names(&mut self, context: Context<'_>, pairs: &[Pair<'_>], what: &str) {
        for pair in pairs {
            let reserved = what == "label" && pair.name.text == METRIC_NAME;
            if reserved || !self.options.validation.is_valid_label_name(pair.name.text) {
                let message = format!("invalid {what} name: {}", pair.name.text);
                self.error(context, &message, pair.name.span);
            }
        }
    }

    fn rule(
        &mut self,
        group: &str,
        number: usize,
        raw: &RawRule<'_>,
        group_labels: &[Pair<'_>],
        group_templates_told: &mut Vec<Span>,
    ) -> Option<Rule> {
        let (record, alert) = (raw.record.text(), raw.alert.text());
        let name = if alert.is_empty() { record } else { alert };
        let context = Context { group, rule: Some((number, name)) };
        if !record.is_empty() && !alert.is_empty() {
            let span = raw.record.span_or(raw.span).max(raw.alert.span_or(raw.span));
            self.error(context, "only one of 'record' and 'alert' must be set", span);
        }
        let names_broken = matches!(raw.record, Slot::Broken) || matches!(raw.alert, Slot::Broken);
        if name.is_empty() && !names_broken {
            let span = raw.alert.span_or(raw.record.span_or(raw.span));
            self.error(context, "one of 'record' or 'alert' must be set", span);
        }
        let expr = self.expression(context, raw);
        let hold_duration = self.duration(context, "for", raw.hold_duration);
        let keep_firing_for = self.duration(context, "keep_firing_for", raw.keep_firing_for);
        if !record.is_empty() {
            self.recording(context, raw, hold_duration.flatten(), keep_firing_for.flatten());
        }
        self.label_names(context, &raw.labels, "label");
        self.label_names(context, &raw.annotations, "annotation");
        let merged = merge(group_labels, &raw.labels);
        let labels = Labels::from_pairs(merged.iter().map(|pair| (pair.name.text, pair.text())));
        let kind = if alert.is_empty() {
            RuleKind::Recording(RecordingRule)
        } else {
            let own = |pair: &Pair<'_>| raw.labels.iter().any(|label| label.name.span == pair.name.span);
            let label_templates = merged
                .iter()
                .filter_map(|pair| match own(pair) {
                    true => self.template(context, alert, "label", pair),
                    false => self.group_template(context, alert, pair, group_templates_told),
                })
                .collect();
            let annotation_templates =
                raw.annotations.iter().filter_map(|pair| self.template(context, alert, "annotation", pair)).collect();
            RuleKind::Alerting(AlertingRule {
                hold_duration: hold_duration?.unwrap_or_default(),
                keep_firing_for: keep_firing_for?.unwrap_or_default(),
                label_templates: sorted(label_templates),
                annotation_templates: sorted(annotation_templates),
                annotations: Labels::from_pairs(raw.annotations.iter().map(|pair| (pair.name.text, pair.text()))),
            })
        };
        Some(Rule { name: Arc::from(name), expr: expr?, labels, kind, line: self.source.line(raw.span.start) })
    }

    fn expression(&mut self, context: Context<'_>, raw: &RawRule<'_>) -> Option<Expression> {
        if matches!(raw.expr, Slot::Broken) {
            return None;
        }
        let scalar = match raw.expr {
            Slot::Text(scalar) if !scalar.text.is_empty() => scalar,
            slot => {
                self.error(context, "field 'expr' must be set in rule", slot.span_or(raw.span));
                return None;
            }
        };
        match promql::parse_with(scalar.text, self.options.features) {
            Ok(expression) => Some(expression),
            Err(error) => {
                let whole = error.span.start == 0 && error.span.end >= scalar.text.len();
                let span = if whole { scalar.span } else { scalar.locate(self.source, error.span) };
                self.error(context, &format!("could not parse expression: {}", error.message), span);
                None
            }
        }
    }

    fn recording(&mut self, context: Context<'_>, raw: &RawRule<'_>, hold: Option<Duration>, keep: Option<Duration>) {
        let name = raw.record.text();
        let span = raw.record.span_or(raw.span);
        if !raw.annotations.is_empty() {
            self.error(context, "invalid field 'annotations' in recording rule", raw.annotations_span);
        }
        if hold.is_some_and(|hold| !hold.is_zero()) {
            self.error(context, "invalid field 'for' in recording rule", raw.hold_duration.span_or(span));
        }
        if keep.is_some_and(|keep| !keep.is_zero()) {
            let span = raw.keep_firing_for.span_or(span);
            self.error(context, "invalid field 'keep_firing_for' in recording rule", span);
        }
        if !self.options.validation.is_valid_metric_name(name) {
            self.error(context, &format!("invalid recording rule name: {name}"), span);
        }
        if name.contains(['{', '}']) {
            let message = format!("braces present in the recording rule name; should it be in expr?: {name}");
            self.error(context, &message, span);
        }
    }

    fn template(
        &mut self,
        context: Context<'_>,
        alert: &str,
        what: &str,
        pair: &Pair<'_>,
    ) -> Option<(Arc<str>, Template)> {
        match Template::parse(alert, pair.text()) {
            Ok(template) => Some((Arc::from(pair.name.text), template)),
            Err(error) => {
                let message = context.say(&format!("{what} {:?}: {}", pair.name.text, error.message));
                let span = self.template_span(pair, error.offset);
                self.push(Finding::error(message).at(self.source, span));
                None
            }
        }
    }

    /// A label of the group. Prometheus does not check these templates at load, and writes each failure into the label
    /// at every evaluation; so promtool's verdict is only a warning here, once for all rules.
    fn group_template(
        &mut self,
        context: Context<'_>,
        alert: &str,
        pair: &Pair<'_>,
        told: &mut Vec<Span>,
    ) -> Option<(Arc<str>, Template)> {
        match Template::parse(alert, pair.text()) {
            Ok(template) => Some((Arc::from(pair.name.text), template)),
            Err(_) if told.contains(&pair.name.span) => None,
            Err(error) => {
                told.push(pair.name.span);
                let message = context.say(&format!("label {:?} of the group: {}", pair.name.text, error.message));
                let finding = match self.options.compat {
                    Compat::Native => Finding::error(message),
                    Compat::Promtool => Finding::warning(message),
                };
                let span = self.template_span(pair, error.offset);
                self.push(finding.at(self.source, span));
                None
            }
        }
    }

    fn template_span(&self, pair: &Pair<'_>, offset: usize) -> Span {
        let one_character = |value: Scalar<'_>| {
            let end =
                value.text.get(offset..).and_then(|rest| rest.chars().next()).map_or(offset, |c| offset + c.len_utf8());
            value.locate(self.source, Span::new(offset, end))
        };
        match pair.value {
            Some(value) if offset <= value.text.len() && value.text.is_char_boundary(offset) => one_character(value),
            _ => pair.span(),
        }
    }
}

/// The group's labels under the rule's own.
fn merge<'d>(group: &[Pair<'d>], own: &[Pair<'d>]) -> Vec<Pair<'d>> {
    let mut merged: Vec<Pair<'d>> = own.to_vec();
    merged.extend(group.iter().filter(|label| !own.iter().any(|other| other.name.text == label.name.text)));
    merged
}

fn sorted(mut templates: Vec<(Arc<str>, Template)>) -> Vec<(Arc<str>, Template)> {
    templates.sort_by(|left, right| left.0.cmp(&right.0));
    templates
}
