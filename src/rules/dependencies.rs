//! Which rules of a group read what other rules of it make.
//!
//! Source: Prometheus `rules/manager.go`, `buildDependencyMap`; differing from it, what a rule reads of itself and of
//! later rules (the last cycle's results) is known too, for it decides about batching and waiting.

use std::collections::HashMap;

use super::Rule;
use crate::model::{MatchOp, Matcher};
use crate::promql::Expression;

/// The series that the state of alerts is written to.
const ALERT_SERIES: [&str; 2] = ["ALERTS", "ALERTS_FOR_STATE"];

/// Most dependencies of a group, on average per rule. Where every rule reads every other there is nothing to gain, and a
/// group of 10,000 rules would need gigabytes to say so.
const READS_PER_RULE_MAX: usize = 32;

/// What the rules of a group read of each other. The default: nothing at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    rules: Vec<RuleDependencies>,
    /// All indices in order, where the rules have to run one after the other; otherwise empty.
    sequence: Vec<usize>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct RuleDependencies {
    /// Indices of the earlier rules whose results it reads, `ALERTS` and `ALERTS_FOR_STATE` of alerting rules included;
    /// ascending.
    reads: Vec<usize>,
    /// It reads a series that some rule of its group makes, be it earlier, later or itself.
    reads_own_group: bool,
    /// It reads `ALERTS` or `ALERTS_FOR_STATE`, of whatever group.
    reads_alerts: bool,
}

impl Dependencies {
    /// Of the rules of one group, in their order.
    pub fn of(rules: &[Rule]) -> Dependencies {
        let selectors: Vec<Vec<Selector>> = rules.iter().map(|rule| selectors(&rule.expr)).collect();
        Dependencies::analyse(rules, &selectors)
    }

    fn analyse(rules: &[Rule], selectors: &[Vec<Selector>]) -> Dependencies {
        let names = Names::of(rules);
        // A selector without a name may read anything: then nobody knows, and the rules run in their order.
        let nameless = selectors.iter().flatten().any(|selector| selector.name.is_none());
        let mut dependencies = Dependencies { rules: Vec::with_capacity(rules.len()), sequence: Vec::new() };
        let mut budget = if nameless { 0 } else { rules.len() * READS_PER_RULE_MAX };
        for (index, selectors) in selectors.iter().enumerate() {
            let mut rule = names.of_rule(index, selectors);
            match budget.checked_sub(rule.reads.len()).filter(|_| !nameless) {
                Some(left) => budget = left,
                None => {
                    dependencies.sequence = (0..rules.len()).collect();
                    (rule.reads, rule.reads_own_group) = (Vec::new(), true);
                }
            }
            dependencies.rules.push(rule);
        }
        dependencies
    }

    /// Indices of the earlier rules that must be done before this one is asked about; ascending. All earlier ones where
    /// a selector of the group names no metric.
    pub fn reads(&self, rule: usize) -> &[usize] {
        match self.sequence.get(..rule) {
            Some(earlier) if self.is_indeterminate() => earlier,
            _ => self.rules.get(rule).map_or(&[], |dependencies| &dependencies.reads),
        }
    }

    /// The rules have to run one after the other: a selector of the group names no metric, or nearly everything reads
    /// nearly everything.
    pub fn is_indeterminate(&self) -> bool {
        !self.sequence.is_empty()
    }

    /// Many timestamps may be asked about at once: no rule reads what the group itself makes, nor `ALERTS`.
    pub fn batchable(&self) -> bool {
        !self.is_indeterminate() && self.rules.iter().all(|rule| !rule.reads_own_group && !rule.reads_alerts)
    }

    /// The rule has to wait until what the group has written can be seen at the source.
    pub fn reads_own_group(&self, rule: usize) -> bool {
        self.is_indeterminate() || self.rules.get(rule).is_some_and(|dependencies| dependencies.reads_own_group)
    }

    /// Some rule of the group reads `ALERTS` or `ALERTS_FOR_STATE`.
    pub fn reads_alerts(&self) -> bool {
        self.rules.iter().any(|rule| rule.reads_alerts)
    }
}

/// The part of a vector selector that tells whose results it reads.
#[derive(Clone, Debug)]
struct Selector {
    /// The metric's name, or the first matcher on it. None: any metric.
    name: Option<Matcher>,
    alert_name: Option<Matcher>,
}

impl Selector {
    fn reads_alerts(&self) -> bool {
        let accepts = |name: &Matcher| ALERT_SERIES.iter().any(|series| name.matches(series));
        self.name.as_ref().is_none_or(accepts)
    }
}

/// The rules of a group by their names: groups may hold thousands of rules, so that comparing each with each is too slow.
struct Names<'r> {
    rules: &'r [Rule],
    by_name: HashMap<&'r str, Vec<usize>>,
}

impl<'r> Names<'r> {
    fn of(rules: &'r [Rule]) -> Names<'r> {
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::with_capacity(rules.len());
        for (index, rule) in rules.iter().enumerate() {
            by_name.entry(&rule.name).or_default().push(index);
        }
        Names { rules, by_name }
    }

    fn of_rule(&self, index: usize, selectors: &[Selector]) -> RuleDependencies {
        let reads_alerts = selectors.iter().any(Selector::reads_alerts);
        let mut makers: Vec<usize> = selectors.iter().flat_map(|selector| self.makers(selector)).collect();
        makers.sort_unstable();
        makers.dedup();
        let reads_own_group = !makers.is_empty();
        makers.retain(|maker| *maker < index);
        RuleDependencies { reads: makers, reads_own_group, reads_alerts }
    }

    /// Indices of the rules whose results a selector reads. An alert's own name counts, as in the reference, though no
    /// series has it.
    fn makers(&self, selector: &Selector) -> Vec<usize> {
        let Some(name) = &selector.name else { return Vec::new() };
        let all = || self.rules.iter().enumerate();
        let mut makers = match name.op() {
            MatchOp::Equal => self.by_name.get(name.value()).cloned().unwrap_or_default(),
            _ => all().filter(|(_, rule)| name.matches(&rule.name)).map(|(index, _)| index).collect(),
        };
        if selector.reads_alerts() {
            let meant = |rule: &Rule| selector.alert_name.as_ref().is_none_or(|name| name.matches(&rule.name));
            let alerts = all().filter(|(_, rule)| rule.alerting().is_some() && meant(rule));
            makers.extend(alerts.map(|(index, _)| index));
        }
        makers
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
    use crate::model::{ALERT_NAME, METRIC_NAME};
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
        Selector { name: Some(Matcher::equal(METRIC_NAME, name)), alert_name: None }
    }

    fn alerts(op: MatchOp, alert_name: &str) -> Selector {
        Selector { alert_name: Some(Matcher::new(op, ALERT_NAME, alert_name).unwrap()), ..named("ALERTS") }
    }

    #[test]
    fn earlier_rules_are_read_by_name() {
        let like_a = Selector { name: Matcher::new(MatchOp::Regex, METRIC_NAME, "a.*").ok(), alert_name: None };
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
            ("r", &[alerts(MatchOp::Equal, "x")]),
            ("r2", &[alerts(MatchOp::Equal, "y")]),
            ("r3", &[named("ALERTS_FOR_STATE")]),
            ("r4", &[alerts(MatchOp::NotRegex, "x")]),
            ("alert y", &[alerts(MatchOp::Regex, "x|y")]),
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
