//! The state machine: one instance, one evaluation.

use std::time::Duration;

use super::Instance;
use crate::model::Timestamp;

/// What an evaluation says of one label set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Present,
    Absent,
    /// The question failed: that is no answer.
    Unknown,
}

/// The times of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    pub hold_duration: Duration,
    pub keep_firing_for: Duration,
    pub resolved_retention: Duration,
}

/// The state after an evaluation at `at`; none if nothing is left to remember.
///
/// A firing alert comes back to pending when its rule's `for` has grown past the time it has been active.
pub fn step(was: Option<Instance>, seen: Seen, at: Timestamp, timing: &Timing) -> Option<Instance> {
    use Instance::{Firing, Inactive, Pending};
    let now = was.map(|state| not_after(state, at));
    match (now, seen) {
        (_, Seen::Unknown) => was,
        (None | Some(Inactive { .. }), Seen::Present) => Some(held(Pending { active_at: at }, at, timing)),
        (Some(Pending { active_at }), Seen::Present) => Some(held(Pending { active_at }, at, timing)),
        (Some(Firing { active_at, fired_at, .. }), Seen::Present) => {
            Some(held(Firing { active_at, fired_at, keep_firing_since: None }, at, timing))
        }
        (None | Some(Pending { .. }), Seen::Absent) => None,
        (Some(Firing { active_at, fired_at, keep_firing_since }), Seen::Absent) => {
            let since = keep_firing_since.unwrap_or(at);
            if at.since(since) < timing.keep_firing_for {
                Some(held(Firing { active_at, fired_at, keep_firing_since: Some(since) }, at, timing))
            } else {
                Some(Inactive { fired_at, resolved_at: at })
            }
        }
        (Some(Inactive { resolved_at, .. }), Seen::Absent) => {
            now.filter(|_| at.since(resolved_at) <= timing.resolved_retention)
        }
    }
}

/// A clock that went back leaves times behind that are still to come: nothing waits until it has caught up with them.
fn not_after(state: Instance, at: Timestamp) -> Instance {
    match state {
        Instance::Pending { active_at } => Instance::Pending { active_at: active_at.min(at) },
        Instance::Firing { active_at, fired_at, keep_firing_since } => {
            Instance::Firing { active_at, fired_at, keep_firing_since: keep_firing_since.map(|since| since.min(at)) }
        }
        Instance::Inactive { .. } => state,
    }
}

/// Pending or firing, by how long it has been active.
fn held(state: Instance, at: Timestamp, timing: &Timing) -> Instance {
    match state {
        Instance::Pending { active_at } if at.since(active_at) >= timing.hold_duration => {
            Instance::Firing { active_at, fired_at: at, keep_firing_since: None }
        }
        // It had been active for long enough when it fired, unless `for` has grown: a clock that goes back resolves nothing.
        Instance::Firing { active_at, fired_at, .. } if at.max(fired_at).since(active_at) < timing.hold_duration => {
            Instance::Pending { active_at: active_at.min(at) }
        }
        _ => state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn timing(text: &str) -> Timing {
        let mut timing = Timing {
            hold_duration: Duration::ZERO,
            keep_firing_for: Duration::ZERO,
            resolved_retention: super::super::RESOLVED_RETENTION,
        };
        let mut words = text.split_whitespace();
        while let (Some(what), Some(value)) = (words.next(), words.next()) {
            let duration = crate::model::parse_duration(value).unwrap();
            match what {
                "for" => timing.hold_duration = duration,
                "keep" => timing.keep_firing_for = duration,
                _ => panic!("no such timing: {what}"),
            }
        }
        timing
    }

    /// One evaluation a minute. `x` present, `_` absent, `?` unknown; `for=5m` changes the rule in between.
    fn trace(rule: &str, seen: &str) -> String {
        let (mut timing, mut state, mut at) = (timing(rule), None, Timestamp::from_seconds(0));
        let mut states = Vec::new();
        for word in seen.split_whitespace() {
            let seen = match word {
                "x" => Seen::Present,
                "_" => Seen::Absent,
                jump if jump.starts_with('@') => {
                    at = Timestamp::from_seconds(60 * jump[1..].parse::<i64>().unwrap());
                    continue;
                }
                "?" => Seen::Unknown,
                change => {
                    timing.hold_duration = crate::model::parse_duration(change.strip_prefix("for=").unwrap()).unwrap();
                    continue;
                }
            };
            state = step(state, seen, at, &timing);
            states.push(match state {
                None => "-",
                Some(Instance::Pending { .. }) => "pending",
                Some(Instance::Firing { keep_firing_since: None, .. }) => "firing",
                Some(Instance::Firing { keep_firing_since: Some(_), .. }) => "kept",
                Some(Instance::Inactive { .. }) => "inactive",
            });
            at = at + MINUTE;
        }
        states.join(" ")
    }

    #[test]
    fn the_table() {
        for (name, rule, seen, expected) in [
            ("without for it fires at once", "", "x _ x", "firing inactive firing"),
            ("for counts from the first sight", "for 2m", "x x x x _", "pending pending firing firing inactive"),
            ("a gap in pending starts over", "for 2m", "x x _ x x x", "pending pending - pending pending firing"),
            ("flapping never fires", "for 2m", "x _ x _ x _", "pending - pending - pending -"),
            ("for shorter than the interval fires one later", "for 10s", "x x", "pending firing"),
            ("unknown changes nothing while pending", "for 2m", "x ? x", "pending pending firing"),
            (
                "unknown changes nothing while firing",
                "",
                "x ? ? x _ ?",
                "firing firing firing firing inactive inactive",
            ),
            ("unknown does not make alerts", "", "? ? x", "- - firing"),
            ("kept firing, then inactive", "keep 2m", "x _ _ _ _", "firing kept kept inactive inactive"),
            ("a return within keep_firing_for", "keep 2m", "x _ x _ _ _", "firing kept firing kept kept inactive"),
            (
                "a return after it is a new alert",
                "for 1m keep 1m",
                "x x _ _ x x",
                "pending firing kept inactive pending firing",
            ),
            ("keep_firing_for does not keep what is pending", "for 2m keep 5m", "x _", "pending -"),
            (
                "for raised: back to pending",
                "for 1m",
                "x x for=5m x x x x x",
                "pending firing pending pending pending firing firing",
            ),
            (
                "the clock goes back: what fires still fires",
                "for 5m",
                "@100 x x x x x x @60 x x",
                "pending pending pending pending pending firing firing firing",
            ),
            (
                "the clock goes back: what is pending does not wait until it has caught up",
                "for 2m",
                "@1000 x x @10 x x x",
                "pending pending pending pending firing",
            ),
            (
                "the clock goes back: what is held up is not held up until it has caught up",
                "keep 2m",
                "@1000 x _ @10 _ _ _",
                "firing kept kept kept inactive",
            ),
            (
                "the clock goes back: what for takes back to pending counts from then",
                "for 1m",
                "@1000 x x for=2m @10 x x x",
                "pending firing pending pending firing",
            ),
            ("for lowered: fires earlier", "for 10m", "x x for=1m x", "pending pending firing"),
        ] {
            assert_eq!(trace(rule, seen), expected, "{name}");
        }
    }

    #[test]
    fn what_is_resolved_is_kept_for_fifteen_minutes_and_no_longer() {
        let states = trace("", &format!("x {}", "_ ".repeat(20)));
        let kept = states.split(' ').filter(|state| *state == "inactive").count();
        assert_eq!(kept, 16, "from the evaluation that resolves it to the one 15m later, both included");
    }

    #[test]
    fn the_times_are_those_of_the_evaluations() {
        let at = Timestamp::from_seconds;
        let timing = timing("for 1m keep 1m");
        let mut state = None;
        for (seconds, seen, expected) in [
            (0, Seen::Present, Instance::Pending { active_at: at(0) }),
            (60, Seen::Present, Instance::Firing { active_at: at(0), fired_at: at(60), keep_firing_since: None }),
            (
                120,
                Seen::Absent,
                Instance::Firing { active_at: at(0), fired_at: at(60), keep_firing_since: Some(at(120)) },
            ),
            (180, Seen::Absent, Instance::Inactive { fired_at: at(60), resolved_at: at(180) }),
            (240, Seen::Present, Instance::Pending { active_at: at(240) }),
        ] {
            state = step(state, seen, at(seconds), &timing);
            assert_eq!(state, Some(expected));
        }
    }

    fn any_seen() -> impl Strategy<Value = Vec<Seen>> {
        let one = prop_oneof![4 => Just(Seen::Present), 2 => Just(Seen::Absent), 1 => Just(Seen::Unknown)];
        proptest::collection::vec(one, 0..60)
    }

    fn any_timing() -> impl Strategy<Value = Timing> {
        (0..10_u64, 0..5_u64).prop_map(|(hold, keep)| Timing {
            hold_duration: Duration::from_secs(hold * 30),
            keep_firing_for: Duration::from_secs(keep * 30),
            resolved_retention: super::super::RESOLVED_RETENTION,
        })
    }

    fn states(seen: &[Seen], timing: &Timing) -> Vec<Option<Instance>> {
        let mut state = None;
        seen.iter()
            .enumerate()
            .map(|(minute, seen)| {
                state = step(state, *seen, Timestamp::from_seconds(60 * minute as i64), timing);
                state
            })
            .collect()
    }

    proptest! {
        #[test]
        fn never_fires_before_for(seen in any_seen(), timing in any_timing()) {
            for state in states(&seen, &timing).into_iter().flatten() {
                if let Instance::Firing { active_at, fired_at, .. } = state {
                    prop_assert!(fired_at.since(active_at) >= timing.hold_duration);
                }
            }
        }

        #[test]
        fn unknown_changes_nothing(seen in any_seen(), timing in any_timing()) {
            let states = states(&seen, &timing);
            for minute in 1..seen.len() {
                if seen[minute] == Seen::Unknown {
                    prop_assert_eq!(states[minute], states[minute - 1]);
                }
            }
        }

        #[test]
        fn what_fired_ends_inactive_and_never_just_vanishes(seen in any_seen(), timing in any_timing()) {
            for pair in states(&seen, &timing).windows(2) {
                if pair[0].is_some_and(Instance::is_firing) {
                    let lives_on = matches!(pair[1], Some(Instance::Firing { .. } | Instance::Inactive { .. }));
                    prop_assert!(lives_on);
                }
            }
        }

        #[test]
        fn only_what_was_seen_since_active_at_without_a_gap_is_pending(seen in any_seen(), timing in any_timing()) {
            for (minute, state) in states(&seen, &timing).into_iter().enumerate() {
                if let Some(Instance::Pending { active_at }) = state {
                    let from = (active_at.as_millis() / 60_000) as usize;
                    prop_assert!(seen[from..=minute].iter().all(|seen| *seen != Seen::Absent));
                }
            }
        }
    }
}
