//! The ruler's figures, under Prometheus' names where it has them.

use std::time::Duration;

use prometheus::{Gauge, GaugeVec, Histogram, IntCounter, IntCounterVec, IntGaugeVec, Registry};

use crate::telemetry::{
    DURATION_BUCKETS, Summary, gauge_vec, histogram, int_counter, int_counter_vec, int_gauge_vec, summary,
};

/// One for the process.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) evaluation_duration: Histogram,
    pub(crate) evaluation_summary: Summary,
    pub(crate) group_duration: Histogram,
    pub(crate) group_summary: Summary,
    pub(crate) iterations: IntCounterVec,
    pub(crate) iterations_missed: IntCounterVec,
    pub(crate) evaluations: IntCounterVec,
    pub(crate) failures: IntCounterVec,
    pub(crate) interval: GaugeVec,
    pub(crate) last_evaluation: GaugeVec,
    pub(crate) last_duration: GaugeVec,
    pub(crate) last_rule_duration_sum: GaugeVec,
    pub(crate) last_restore_duration: GaugeVec,
    pub(crate) rules: IntGaugeVec,
    pub(crate) last_samples: IntGaugeVec,
    pub(crate) expansions: IntCounter,
    pub(crate) expansion_failures: IntCounter,
    pub(crate) clock_jumps: IntCounter,
    pub(crate) visibility_timeouts: IntCounter,
    pub(crate) group_restarts: IntCounter,
}

impl Metrics {
    /// Registers everything.
    pub fn new(registry: &Registry) -> Metrics {
        let by_group = &["rule_group"];
        let counter = |name: &str, help: &str| int_counter(registry, name, help);
        let counters = |name: &str, help: &str| int_counter_vec(registry, name, help, by_group);
        let gauges = |name: &str, help: &str| gauge_vec(registry, name, help, by_group);
        let integers = |name: &str, help: &str| int_gauge_vec(registry, name, help, by_group);
        let durations = |name: &str, help: &str| histogram(registry, name, help, &DURATION_BUCKETS);
        Metrics {
            evaluation_duration: durations(
                "prometheus_rule_evaluation_duration_histogram_seconds",
                "Duration of a rule's evaluation.",
            ),
            evaluation_summary: summary(
                registry,
                "prometheus_rule_evaluation_duration_seconds",
                "Duration of a rule's evaluation.",
                &[0.5, 0.9, 0.99],
            ),
            group_duration: durations(
                "prometheus_rule_group_duration_histogram_seconds",
                "Duration of a rule group's evaluation.",
            ),
            group_summary: summary(
                registry,
                "prometheus_rule_group_duration_seconds",
                "Duration of a rule group's evaluation.",
                &[0.01, 0.05, 0.5, 0.9, 0.99],
            ),
            iterations: counters(
                "prometheus_rule_group_iterations_total",
                "Scheduled evaluations of a rule group, executed or missed.",
            ),
            iterations_missed: counters(
                "prometheus_rule_group_iterations_missed_total",
                "Evaluations of a rule group missed because the one before was too slow.",
            ),
            evaluations: counters("prometheus_rule_evaluations_total", "Rule evaluations."),
            failures: counters("prometheus_rule_evaluation_failures_total", "Rule evaluations that failed."),
            interval: gauges("prometheus_rule_group_interval_seconds", "Interval of a rule group."),
            last_evaluation: gauges(
                "prometheus_rule_group_last_evaluation_timestamp_seconds",
                "When the last evaluation of a rule group began.",
            ),
            last_duration: gauges(
                "prometheus_rule_group_last_duration_seconds",
                "Duration of the last evaluation of a rule group.",
            ),
            last_rule_duration_sum: gauges(
                "prometheus_rule_group_last_rule_duration_sum_seconds",
                "Sum of the durations of all rules in the last evaluation of a rule group.",
            ),
            last_restore_duration: gauges(
                "prometheus_rule_group_last_restore_duration_seconds",
                "How long the source took to say what a rule group's alerts were before the start.",
            ),
            rules: integers("prometheus_rule_group_rules", "Number of rules in a rule group."),
            last_samples: integers(
                "prometheus_rule_group_last_evaluation_samples",
                "Samples that the last evaluation of a rule group gave.",
            ),
            expansions: counter("prometheus_template_text_expansions_total", "Templates expanded."),
            expansion_failures: counter(
                "prometheus_template_text_expansion_failures_total",
                "Templates whose expansion failed.",
            ),
            clock_jumps: counter("bellwether_clock_jumps_total", "Times the wall clock was seen to jump."),
            visibility_timeouts: counter(
                "bellwether_rule_visibility_timeouts_total",
                "Times a rule was evaluated before the storage had acknowledged what it reads of its own group.",
            ),
            group_restarts: counter(
                "bellwether_rule_group_restarts_total",
                "Times a rule group's task ended by a fault of ours and was started again.",
            ),
        }
    }
}

/// The series of one group: born at zero with it, gone with it.
#[derive(Debug)]
pub(crate) struct GroupMetrics {
    pub(crate) all: Metrics,
    label: String,
}

impl GroupMetrics {
    pub(crate) fn new(all: &Metrics, file: &str, name: &str, interval: Duration, rules: usize) -> GroupMetrics {
        let metrics = GroupMetrics { all: all.clone(), label: format!("{file};{name}") };
        let label = &[metrics.label()];
        for counters in [&all.iterations, &all.iterations_missed, &all.evaluations, &all.failures] {
            counters.with_label_values(label);
        }
        for gauges in [&all.last_evaluation, &all.last_duration, &all.last_rule_duration_sum] {
            gauges.with_label_values(label);
        }
        all.last_samples.with_label_values(label);
        all.interval.with_label_values(label).set(interval.as_secs_f64());
        all.rules.with_label_values(label).set(i64::try_from(rules).unwrap_or(i64::MAX));
        metrics
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn count(&self, counters: &IntCounterVec, by: u64) {
        counters.with_label_values(&[self.label()]).inc_by(by);
    }

    pub(crate) fn set(&self, gauges: &GaugeVec, value: f64) {
        gauges.with_label_values(&[self.label()]).set(value);
    }

    /// The group is gone for good.
    pub(crate) fn remove(&self) {
        let (all, label) = (&self.all, &[self.label()]);
        for counters in [&all.iterations, &all.iterations_missed, &all.evaluations, &all.failures] {
            let _ = counters.remove_label_values(label);
        }
        let _ = all.last_restore_duration.remove_label_values(label);
        for gauges in [&all.interval, &all.last_evaluation, &all.last_duration, &all.last_rule_duration_sum] {
            let _ = gauges.remove_label_values(label);
        }
        for integers in [&all.rules, &all.last_samples] {
            let _ = integers.remove_label_values(label);
        }
    }

    pub(crate) fn age_gauge(&self) -> Gauge {
        self.all.last_evaluation.with_label_values(&[self.label()])
    }
}
