//! Checked rule groups: what the rest of the house trusts.

use std::sync::Arc;
use std::time::Duration;

use super::Dependencies;
use crate::model::Labels;
use crate::promql::Expression;
use crate::template::Template;

/// A checked rule group.
#[derive(Clone, Debug)]
pub struct Group {
    /// The file it came from, as the configuration's glob gave it.
    pub file: Arc<str>,
    pub name: Arc<str>,
    /// None: the global evaluation interval.
    pub interval: Option<Duration>,
    /// None: the global rule query offset. `0s` overrides a global one.
    pub query_offset: Option<Duration>,
    /// Most alerts or series a rule of the group may give; none: unlimited.
    pub limit: Option<usize>,
    pub rules: Vec<Rule>,
    /// Which rules read what others of the group make.
    pub dependencies: Dependencies,
}

/// A checked rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Alert or record name.
    pub name: Arc<str>,
    pub expr: Expression,
    /// Group labels merged under the rule's own; not expanded.
    pub labels: Labels,
    pub kind: RuleKind,
    /// Line of the rule in its file, from 1.
    pub line: usize,
}

#[derive(Clone, Debug)]
pub enum RuleKind {
    Alerting(AlertingRule),
    Recording(RecordingRule),
}

#[derive(Clone, Debug, Default)]
pub struct AlertingRule {
    pub hold_duration: Duration,
    pub keep_firing_for: Duration,
    /// `Rule::labels`, parsed, by name.
    pub label_templates: Vec<(Arc<str>, Template)>,
    /// By name.
    pub annotation_templates: Vec<(Arc<str>, Template)>,
    /// As written, not expanded.
    pub annotations: Labels,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct RecordingRule;

impl Rule {
    pub fn alerting(&self) -> Option<&AlertingRule> {
        match &self.kind {
            RuleKind::Alerting(alerting) => Some(alerting),
            RuleKind::Recording(_) => None,
        }
    }
}
