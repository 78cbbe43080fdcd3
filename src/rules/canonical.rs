//! The canonical text of a rule, by which a reload knows what has changed: spelling, comments and order do not count.
//!
//! Source: Prometheus `rules/alerting.go` and `rules/recording.go`, `String`; `rules/group.go`, `Equals`.

use serde::Serialize;

use super::{Group, Rule, RuleKind};
use crate::model::{Labels, format_duration};

/// Field order and omissions are Prometheus' own.
#[derive(Serialize)]
struct Canonical<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<&'r str>,
    expr: &'r str,
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    hold_duration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_firing_for: Option<String>,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    labels: &'r Labels,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'r Labels>,
}

impl Rule {
    /// The rule as YAML: normalised expression, durations and merged labels.
    pub fn canonical(&self) -> String {
        let mut canonical = Canonical {
            record: None,
            alert: None,
            expr: self.expr.normalised(),
            hold_duration: None,
            keep_firing_for: None,
            labels: &self.labels,
            annotations: None,
        };
        match &self.kind {
            RuleKind::Recording(_) => canonical.record = Some(&self.name),
            RuleKind::Alerting(alerting) => {
                let duration = |duration: std::time::Duration| Some(duration).filter(|d| !d.is_zero());
                canonical.alert = Some(&self.name);
                canonical.hold_duration = duration(alerting.hold_duration).map(format_duration);
                canonical.keep_firing_for = duration(alerting.keep_firing_for).map(format_duration);
                canonical.annotations = Some(&alerting.annotations).filter(|annotations| !annotations.is_empty());
            }
        }
        serde_yaml::to_string(&canonical).expect("texts and maps of texts can be written as YAML")
    }

    /// Whether the canonical texts are equal; without writing them.
    pub fn same_as(&self, other: &Rule) -> bool {
        let kinds_equal = match (&self.kind, &other.kind) {
            (RuleKind::Recording(_), RuleKind::Recording(_)) => true,
            (RuleKind::Alerting(left), RuleKind::Alerting(right)) => {
                left.hold_duration == right.hold_duration
                    && left.keep_firing_for == right.keep_firing_for
                    && left.annotations == right.annotations
            }
            _ => false,
        };
        kinds_equal
            && self.name == other.name
            && self.labels == other.labels
            && self.expr.normalised() == other.expr.normalised()
    }
}

impl Group {
    /// Whether a reload may leave this group running where `other` stands in the new files.
    pub fn same_as(&self, other: &Group) -> bool {
        self.name == other.name
            && self.file == other.file
            && self.interval == other.interval
            && self.query_offset == other.query_offset
            && self.limit == other.limit
            && self.rules.len() == other.rules.len()
            && self.rules.iter().zip(&other.rules).all(|(left, right)| left.same_as(right))
    }
}
