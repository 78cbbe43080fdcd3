//! `for` over a restart: what `ALERTS_FOR_STATE` remembers.
//!
//! Source: Prometheus `rules/group.go`, `RestoreForState`. Two differences, both meant: the grace period is never longer
//! than the rule's `for` (Prometheus forgets shorter ones), and labels that storage adds (external ones and the
//! source's) do not stand in the way of finding an alert again.
//!
//! A query API does not show staleness markers in a range, so that a range alone cannot tell an alert that had ended from
//! one that the restart cut off. An instant query can: a series that ended is not in its answer. So a second question is
//! asked, at times when a series without a marker must still be visible (`probes`).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::model::{
    ALERT_NAME, Labels, METRIC_NAME, Series, Timestamp, ValidationScheme, Value, format_duration, is_stale, quote,
};

/// How long after its last sample a series without a marker is surely visible: Prometheus' lookback delta, less a second.
const SURELY_VISIBLE: Duration = Duration::from_secs(299);
/// An alert of a rule that was evaluated when the ruler went down was written at most so many intervals before the newest
/// one; the slack is for two rules that share name and labels.
const NEWEST_INTERVALS: u32 = 2;
/// Times at which it is asked what was visible. Alerts of one rule are written at one time; the rest is slack.
const PROBES_MAX: usize = 16;

/// The last sample of an alert's `ALERTS_FOR_STATE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastState {
    /// When it was written: the ruler was alive then.
    pub written_at: Timestamp,
    pub active_at: Timestamp,
}

/// The query that finds an alerting rule's `ALERTS_FOR_STATE` over the outage tolerance: a range vector.
pub fn state_query(alert: &str, labels: &Labels, outage_tolerance: Duration) -> String {
    format!("{}[{}]", state_selector(alert, labels), format_duration(outage_tolerance))
}

/// The selector of an alerting rule's `ALERTS_FOR_STATE`.
///
/// Labels whose configured value is a template cannot be matched and are left out.
pub fn state_selector(alert: &str, labels: &Labels) -> String {
    let matchable = |name: &str, value: &str| name != ALERT_NAME && !value.is_empty() && !value.contains("{{");
    let matchers: String = labels
        .iter()
        .filter(|(name, value)| matchable(name, value))
        .map(|(name, value)| {
            let name = if ValidationScheme::Legacy.is_valid_label_name(name) { name.to_owned() } else { quote(name) };
            format!(",{name}={}", quote(value))
        })
        .collect();
    format!("ALERTS_FOR_STATE{{{ALERT_NAME}={}{matchers}}}", quote(alert))
}

/// The last states written before `before` (this process' first evaluation), by the label set they are found again under;
/// see `bare`. An alert whose last sample is a staleness marker is not among them.
pub fn last_states(series: &[Series], before: Timestamp, added: &[&Labels]) -> HashMap<Labels, LastState> {
    let mut states = HashMap::new();
    for series in series {
        let earlier = series.samples.partition_point(|(at, _)| *at < before);
        let Some((written_at, Value::Float(value))) = series.samples[..earlier].last() else { continue };
        if is_stale(*value) || !value.is_finite() {
            continue;
        }
        let state = LastState { written_at: *written_at, active_at: Timestamp::from_seconds(*value as i64) };
        let newest = states.entry(bare(&series.labels, added)).or_insert(state);
        if newest.written_at < *written_at {
            *newest = state;
        }
    }
    states
}

/// When a state is to be looked for once more, at `at` or earlier: it is then visible unless a marker ended it.
fn probe(last: &LastState, at: Timestamp) -> Timestamp {
    at.min(last.written_at + SURELY_VISIBLE)
}

/// The times at which to ask for the selector, ascending. States too old to have lived until the ruler went down are taken
/// out.
pub fn probes(states: &mut HashMap<Labels, LastState>, at: Timestamp, interval: Duration) -> Vec<Timestamp> {
    let Some(newest) = states.values().map(|last| last.written_at).max() else { return Vec::new() };
    states.retain(|_, last| newest.since(last.written_at) <= interval * NEWEST_INTERVALS);
    let mut times: Vec<Timestamp> = states.values().map(|last| probe(last, at)).collect();
    times.sort();
    times.dedup();
    times.split_off(times.len().saturating_sub(PROBES_MAX))
}

/// Keeps the states of alerts that had not ended: those that were visible when they were looked for. `visible`: label sets
/// as the source gave them, by the time they were asked for.
pub fn keep_visible<'a>(
    states: &mut HashMap<Labels, LastState>,
    visible: impl IntoIterator<Item = (Timestamp, &'a Labels)>,
    at: Timestamp,
    added: &[&Labels],
) {
    let visible: HashSet<(Timestamp, Labels)> =
        visible.into_iter().map(|(asked, labels)| (asked, bare(labels, added))).collect();
    states.retain(|labels, last| visible.contains(&(probe(last, at), labels.clone())));
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
    let written_at = Timestamp::from_seconds(last.written_at.as_whole_seconds());
    let pending_so_far = written_at.since(last.active_at);
    match hold_duration.checked_sub(pending_so_far) {
        None | Some(Duration::ZERO) => last.active_at,
        Some(remaining) if remaining < grace => at + grace - hold_duration,
        Some(_) => last.active_at + at.since(written_at),
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

    /// One-minute interval, the ruler went down after 600 s.
    #[test]
    fn what_had_ended_is_told_from_what_the_restart_cut_off() {
        let at = Timestamp::from_seconds;
        let key = |name: &str| Labels::from_pairs([(ALERT_NAME, "A"), ("instance", name)]);
        let interval = Duration::from_secs(60);
        for (now, asked) in [(660, 660), (3000, 899)] {
            let state = |written| LastState { written_at: at(written), active_at: at(0) };
            let mut states =
                HashMap::from([(key("alive"), state(600)), (key("ended"), state(600)), (key("long ago"), state(300))]);
            assert_eq!(probes(&mut states, at(now), interval), [at(asked)], "long ago needs no look");
            let visible = [(at(asked), &key("alive")), (at(asked), &key("long ago"))];
            keep_visible(&mut states, visible, at(now), &[]);
            assert_eq!(states, HashMap::from([(key("alive"), state(600))]));
        }
        assert_eq!(probes(&mut HashMap::new(), at(0), interval), []);
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
            &[series("alive", &[(60, 1.0), (120, 7.0), (180, 8.0)]), series("ended", &[(60, 1.0), (120, stale_nan())])],
            Timestamp::from_seconds(180),
            &[&external],
        );
        let key = Labels::from_pairs([(ALERT_NAME, "A"), ("instance", "alive")]);
        let expected = LastState { written_at: Timestamp::from_seconds(120), active_at: Timestamp::from_seconds(7) };
        assert_eq!(found, HashMap::from([(key, expected)]));
    }
}
