//! Which rules of a group read what other rules of it make.
//!
//! Source: Prometheus `rules/manager.go`, `buildDependencyMap`; differing from it, what a rule reads of itself and of
//! later rules (the last cycle's results) is known too, for it decides about batching and waiting.

use std::collections::HashMap;

use super::Rule;
use crate::model::{ALERT_NAME, METRIC_NAME, MatchOp, Matcher};
use crate::promql::{self, Expression};

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
    let selectors = promql::selectors(expr.tree()).into_iter().map(|selector| {
        let written = selector.name.as_ref().map(|name| Matcher::equal(METRIC_NAME, name.clone()));
        let first = |label: &str| selector.matchers.iter().find(|matcher| matcher.name() == label).cloned();
        Selector { name: written.or_else(|| first(METRIC_NAME)), alert_name: first(ALERT_NAME) }
    });
    selectors.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SourceText;
    use crate::rules::{self, Options};

    /// Rules as `name` or `alert name`, each with its expression.
    fn analyse(given: &[(&str, &str)]) -> Dependencies {
        let rule = |(name, expr): &(&str, &str)| match name.strip_prefix("alert ") {
            Some(name) => format!("  - {{alert: {name}, expr: '{expr}'}}\n"),
            None => format!("  - {{record: {name}, expr: '{expr}'}}\n"),
        };
        let text: String = given.iter().map(rule).collect();
        let source = SourceText::new("f", format!("groups:\n- name: g\n  rules:\n{text}"));
        let (mut groups, findings) = rules::parse(&source, &Options::default());
        assert_eq!(findings, []);
        groups.remove(0).dependencies
    }

    #[test]
    fn earlier_rules_are_read_by_name() {
        let dependencies = analyse(&[
            ("a1", "up"),
            ("a2", "sum(a1) / rate(a3[5m])"),
            ("a3", "{__name__=~\"a.*\", job=\"x\"}"),
            ("b", "b offset 5m"),
            ("c", "up + max_over_time(a1[1h:1m]) > on() {__name__=\"a2\"}"),
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
            ("alert x", "up"),
            ("r", "ALERTS{alertname=\"x\"}"),
            ("r2", "ALERTS{alertname=\"y\"}"),
            ("r3", "time() - ALERTS_FOR_STATE"),
            ("r4", "ALERTS{alertname!~\"x\"}"),
            ("alert y", "ALERTS{alertname=~\"x|y\"}"),
        ]);
        let reads: Vec<&[usize]> = (0..6).map(|rule| dependencies.reads(rule)).collect();
        assert_eq!(reads, [&[][..], &[0], &[], &[0], &[], &[0]]);
        // The later alert is read too: what it wrote in the last cycle.
        assert!(dependencies.reads_own_group(2) && dependencies.reads_alerts());
    }

    #[test]
    fn a_selector_without_name_makes_the_group_indeterminate() {
        let dependencies = analyse(&[("a", "1"), ("b", "up"), ("c", "{job=\"x\"}"), ("d", "up")]);
        assert!(dependencies.is_indeterminate() && !dependencies.batchable() && dependencies.reads_own_group(3));
        assert_eq!((dependencies.reads(2), dependencies.reads(3)), (&[0, 1][..], &[0, 1, 2][..]));
        let independent = analyse(&[("a", "up"), ("alert b", "up == 0")]);
        assert!(independent.batchable() && !independent.is_indeterminate());
        assert!(Dependencies::default().batchable() && Dependencies::default().reads(7).is_empty());
    }

    #[test]
    fn groups_that_read_everything_stay_small() {
        let rules: Vec<(String, &str)> = (0..200).map(|index| (format!("r{index}"), "{__name__=~\"r.*\"}")).collect();
        let rules: Vec<(&str, &str)> = rules.iter().map(|(name, expr)| (&**name, *expr)).collect();
        let dependencies = analyse(&rules);
        assert!(dependencies.is_indeterminate());
        assert_eq!(dependencies.reads(150).len(), 150);
    }
}
