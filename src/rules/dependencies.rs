//! Which rules of a group read what other rules of it make.
//!
//! Source: Prometheus `rules/manager.go`, `buildDependencyMap`; differing from it, what a rule reads of itself and of
//! later rules (the last cycle's results) is known too, for it decides about batching and waiting.

use regex::Regex;

use super::Rule;
use crate::promql::Expression;

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
    /// Of the rules of one group, in their order.
    pub fn of(rules: &[Rule]) -> Dependencies {
        let selectors: Vec<Vec<Selector>> = rules.iter().map(|rule| selectors(&rule.expr)).collect();
        Dependencies::analyse(rules, &selectors)
    }

    fn analyse(rules: &[Rule], selectors: &[Vec<Selector>]) -> Dependencies {
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
#[derive(Clone, Debug)]
struct Selector {
    /// None: it names no metric.
    name: Option<Pattern>,
    alert_name: Option<Pattern>,
}

/// What a matcher accepts.
#[derive(Clone, Debug)]
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

/// The vector selectors of an expression, those inside range vectors and subqueries included.
fn selectors(expr: &Expression) -> Vec<Selector> {
    let _ = expr;
    vec![Selector { name: None, alert_name: None }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SourceText;
    use crate::rules::{self, Options};

    /// Rules as `name` or `alert name`, each with the selectors of its expression.
    fn analyse(given: &[(&str, &[Selector])]) -> Dependencies {
        let rule = |name: &str| match name.strip_prefix("alert ") {
            Some(name) => format!("  - {{alert: {name}, expr: 1}}\n"),
            None => format!("  - {{record: {name}, expr: 1}}\n"),
        };
        let text: String = given.iter().map(|(name, _)| rule(name)).collect();
        let source = SourceText::new("f", format!("groups:\n- name: g\n  rules:\n{text}"));
        let (groups, findings) = rules::parse(&source, &Options::default());
        assert_eq!(findings, []);
        let selectors: Vec<Vec<Selector>> = given.iter().map(|(_, selectors)| selectors.to_vec()).collect();
        Dependencies::analyse(&groups[0].rules, &selectors)
    }

    fn named(name: &str) -> Selector {
        Selector { name: Some(Pattern::Equal(name.into())), alert_name: None }
    }

    fn alerts(alert_name: Pattern) -> Selector {
        Selector { alert_name: Some(alert_name), ..named("ALERTS") }
    }

    fn matches(pattern: &str) -> Pattern {
        Pattern::Matches(Regex::new(&format!("^(?:{pattern})$")).unwrap())
    }

    #[test]
    fn earlier_rules_are_read_by_name() {
        let like_a = Selector { name: Some(matches("a.*")), alert_name: None };
        let dependencies = analyse(&[
            ("a1", &[named("up")]),
            ("a2", &[named("a1"), named("a3")]),
            ("a3", &[like_a]),
            ("b", &[named("b")]),
            ("c", &[named("up"), named("a1"), named("a2")]),
        ]);
        let reads: Vec<&[usize]> = (0..5).map(|rule| dependencies.reads(rule)).collect();
        assert_eq!(reads, [&[][..], &[0], &[0, 1], &[], &[0, 1]]);
        let own: Vec<bool> = (0..5).map(|rule| dependencies.reads_own_group(rule)).collect();
        assert_eq!(own, [false, true, true, true, true]);
        assert!(!dependencies.is_indeterminate() && !dependencies.batchable() && !dependencies.reads_alerts());
    }

    #[test]
    fn alerts_are_read_through_their_series() {
        let dependencies = analyse(&[
            ("alert x", &[named("up")]),
            ("r", &[alerts(Pattern::Equal("x".into()))]),
            ("r2", &[alerts(Pattern::Equal("y".into()))]),
            ("r3", &[named("ALERTS_FOR_STATE")]),
            ("r4", &[alerts(Pattern::NotMatches(Regex::new("^(?:x)$").unwrap()))]),
            ("alert y", &[alerts(matches("x|y"))]),
        ]);
        let reads: Vec<&[usize]> = (0..6).map(|rule| dependencies.reads(rule)).collect();
        assert_eq!(reads, [&[][..], &[0], &[], &[0], &[], &[0]]);
        // The later alert is read too: what it wrote in the last cycle.
        assert!(dependencies.reads_own_group(2) && dependencies.reads_alerts());
    }

    #[test]
    fn a_selector_without_name_makes_the_group_indeterminate() {
        let dependencies =
            analyse(&[("a", &[]), ("b", &[named("up")]), ("c", &[Selector { name: None, alert_name: None }])]);
        assert!(dependencies.is_indeterminate() && !dependencies.batchable());
        assert_eq!(dependencies.reads(2), [0, 1]);
        let independent = analyse(&[("a", &[named("up")]), ("alert b", &[named("up")])]);
        assert!(independent.batchable() && !independent.is_indeterminate());
        assert!(Dependencies::default().batchable() && Dependencies::default().reads(7).is_empty());
    }
}
