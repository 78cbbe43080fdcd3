//! `for` over a restart: what `ALERTS_FOR_STATE` remembers.
//!
//! Source: Prometheus `rules/group.go`, `RestoreForState`. Two differences, both meant: the grace period is never longer
//! than the rule's `for` (Prometheus forgets shorter ones), and labels that storage adds (external ones and the
//! source's) do not stand in the way of finding an alert again.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::{
    ALERT_NAME, Labels, METRIC_NAME, Series, Timestamp, ValidationScheme, Value, format_duration, is_stale, quote,
};

/// The last sample of an alert's `ALERTS_FOR_STATE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastState {
    /// When it was written: the ruler was alive then.
    pub written_at: Timestamp,
    pub active_at: Timestamp,
}

/// The query that finds an alerting rule's `ALERTS_FOR_STATE` over the outage tolerance: a range vector.
///
/// Labels whose configured value is a template cannot be matched and are left out.
pub fn state_query(alert: &str, labels: &Labels, outage_tolerance: Duration) -> String {
    let matchable = |name: &str, value: &str| name != ALERT_NAME && !value.is_empty() && !value.contains("{{");
    let matchers: String = labels
        .iter()
        .filter(|(name, value)| matchable(name, value))
        .map(|(name, value)| {
            let name = if ValidationScheme::Legacy.is_valid_label_name(name) { name.to_owned() } else { quote(name) };
            format!(",{name}={}", quote(value))
        })
        .collect();
    format!("ALERTS_FOR_STATE{{{ALERT_NAME}={}{matchers}}}[{}]", quote(alert), format_duration(outage_tolerance))
}

/// The last states by the label set they are found again under; see `bare`. An alert that had ended (its last sample is
/// a staleness marker) is not among them.
pub fn last_states(series: &[Series], added: &[&Labels]) -> HashMap<Labels, LastState> {
    let mut states = HashMap::new();
    for series in series {
        let Some((written_at, Value::Float(value))) = series.samples.last() else { continue };
        if is_stale(*value) || !value.is_finite() {
            continue;
        }
        let written_at = Timestamp::from_seconds(written_at.as_whole_seconds());
        let state = LastState { written_at, active_at: Timestamp::from_seconds(*value as i64) };
        let newest = states.entry(bare(&series.labels, added)).or_insert(state);
        if newest.written_at < written_at {
            *newest = state;
        }
    }
    states
}

/// A label set without its metric name and without the labels in `added`.
pub fn bare(labels: &Labels, added: &[&Labels]) -> Labels {
    let is_added = |name: &str, value: &str| added.iter().any(|set| set.get(name) == Some(value));
    Labels::from_sorted(labels.iter().filter(|(name, value)| *name != METRIC_NAME && !is_added(name, value)))
}

/// When an alert that is pending again at `at` counts as active, given what was last written about it.
///
/// - was firing: since it became active, so that it fires again at once;
/// - less than the grace period was left: so that it fires one grace period from now;
/// - otherwise the time it was already pending counts, the down time does not.
pub fn restored_active_at(last: LastState, at: Timestamp, hold_duration: Duration, grace: Duration) -> Timestamp {
    let grace = grace.min(hold_duration);
    let pending_so_far = last.written_at.since(last.active_at);
    match hold_duration.checked_sub(pending_so_far) {
        None | Some(Duration::ZERO) => last.active_at,
        Some(remaining) if remaining < grace => at + grace - hold_duration,
        Some(_) => last.active_at + at.since(last.written_at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::stale_nan;

    const MINUTE: i64 = 60;

    /// `hold` 25m; the rows are those of Prometheus' own documentation of the algorithm.
    #[test]
    fn restored_times_are_the_references() {
        let (hold, grace) = (Duration::from_secs(25 * 60), Duration::from_secs(10 * 60));
        let restart = Timestamp::from_seconds(40 * MINUTE);
        for (written, expected_fire) in [(5, 40 + 20), (20, 40 + 10), (30, 25)] {
            let last = LastState {
                written_at: Timestamp::from_seconds(written * MINUTE),
                active_at: Timestamp::from_seconds(0),
            };
            let fires = restored_active_at(last, restart, hold, grace) + hold;
            assert_eq!(fires, Timestamp::from_seconds(expected_fire * MINUTE), "last written at {written}m");
        }
    }

    #[test]
    fn a_for_below_the_grace_period_is_restored_too() {
        let hold = Duration::from_secs(2 * 60);
        let last = LastState { written_at: Timestamp::from_seconds(600), active_at: Timestamp::from_seconds(0) };
        let restored = restored_active_at(last, Timestamp::from_seconds(660), hold, Duration::from_secs(600));
        assert_eq!(restored, Timestamp::from_seconds(0), "it was firing, so it fires again at once");
    }

    #[test]
    fn the_query_matches_what_is_certain() {
        let labels = Labels::from_pairs([("severity", "page"), ("team", "{{ $labels.team }}"), ("a.b", "q\"")]);
        let query = state_query("High latency", &labels, Duration::from_secs(3600));
        assert_eq!(query, r#"ALERTS_FOR_STATE{alertname="High latency","a.b"="q\"",severity="page"}[1h]"#);
    }

    #[test]
    fn the_last_sample_counts_and_an_ended_alert_is_not_found() {
        let series = |instance: &str, samples: &[(i64, f64)]| Series {
            labels: Labels::from_pairs([
                (METRIC_NAME, "ALERTS_FOR_STATE"),
                (ALERT_NAME, "A"),
                ("cluster", "eu"),
                ("instance", instance),
            ]),
            samples: samples.iter().map(|(at, v)| (Timestamp::from_seconds(*at), Value::Float(*v))).collect(),
        };
        let external = Labels::from_pairs([("cluster", "eu"), ("region", "x")]);
        let found = last_states(
            &[series("alive", &[(60, 1.0), (120, 7.0)]), series("ended", &[(60, 1.0), (120, stale_nan())])],
            &[&external],
        );
        let key = Labels::from_pairs([(ALERT_NAME, "A"), ("instance", "alive")]);
        let expected = LastState { written_at: Timestamp::from_seconds(120), active_at: Timestamp::from_seconds(7) };
        assert_eq!(found, HashMap::from([(key, expected)]));
    }
}
