//! When a group is evaluated. Pure.

use std::time::Duration;

use xxhash_rust::xxh64::xxh64;

use crate::model::Timestamp;

/// Where in its interval a group's slots lie: a hash of file and name spreads the groups.
///
/// Source: Prometheus `rules/group.go`, `EvalTimestamp`, with the hash of its default build, so that slots agree with a
/// Prometheus beside us to the millisecond (ours are whole milliseconds).
pub(super) fn group_offset(file: &str, name: &str, interval: Duration) -> Duration {
    let mut key = Vec::with_capacity(file.len() + name.len() + 20);
    for part in ["file", file, "name", name] {
        push_counted(&mut key, part);
    }
    let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(xxh64(&key, 0) % interval_ns / 1_000_000)
}

fn push_counted(key: &mut Vec<u8>, part: &str) {
    match u8::try_from(part.len()) {
        Ok(length) if length < 255 => key.push(length),
        _ => {
            key.push(255);
            key.extend_from_slice(&part.len().to_le_bytes()[..3]);
        }
    }
    key.extend_from_slice(part.as_bytes());
}

/// The first slot after `after`. Slots lie at `offset + k * interval`.
pub(super) fn next_slot(after: Timestamp, interval: Duration, offset: Duration) -> Timestamp {
    let interval = interval_millis(interval);
    let offset = offset.as_millis() as i64;
    let previous = after.as_millis() - (after.as_millis() - offset).rem_euclid(interval);
    Timestamp::from_millis(previous + interval)
}

/// The slot to evaluate after `slot`, and how many were missed in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) slot: Timestamp,
    pub(super) missed: u64,
}

/// What follows `slot` when its evaluation is over at `now`: the next one, or, if that is over too, the newest begun one;
/// those before it are skipped. A clock that went back by more than an interval starts the count anew.
///
/// Source: Prometheus `rules/group.go`, `run`.
pub(super) fn following(slot: Timestamp, now: Timestamp, interval: Duration, offset: Duration) -> Next {
    let millis = interval_millis(interval);
    let elapsed = now.as_millis() - slot.as_millis();
    if elapsed < -millis {
        return Next { slot: next_slot(now, interval, offset), missed: 0 };
    }
    let missed = (elapsed / millis - 1).max(0);
    Next { slot: Timestamp::from_millis(slot.as_millis() + (missed + 1) * millis), missed: missed as u64 }
}

/// Intervals are never zero; what comes in below a millisecond counts as one.
fn interval_millis(interval: Duration) -> i64 {
    i64::try_from(interval.as_millis()).unwrap_or(i64::MAX / 4).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn slots_are_those_of_prometheus() {
        let offset = group_offset("/etc/prometheus/rules.yml", "example", MINUTE);
        assert_eq!(offset, Duration::from_millis(29_682));
        let started = Timestamp::from_seconds(1_700_000_000);
        assert_eq!(next_slot(started, MINUTE, offset), Timestamp::from_millis(1_700_000_009_682));
        assert_eq!(group_offset("rules.yml", "alerts", MINUTE), Duration::from_millis(15_618));
        assert_eq!(group_offset("", "", MINUTE), Duration::from_millis(49_739));
    }

    #[test]
    fn a_slow_evaluation_skips_slots_and_counts_them() {
        let at = |seconds| Timestamp::from_seconds(seconds);
        for (name, now, slot, missed) in [
            ("in time", 30, 60, 0),
            ("late, but the next slot is still the newest", 110, 60, 0),
            ("two and a half intervals", 150, 120, 1),
            ("ten intervals", 600, 600, 9),
            ("the clock went back a little", -30, 60, 0),
            ("the clock went back an hour", -3600, -3540, 0),
        ] {
            let next = following(at(0), at(now), MINUTE, Duration::ZERO);
            assert_eq!(next, Next { slot: at(slot), missed }, "{name}");
        }
    }

    proptest! {
        #[test]
        fn the_next_slot_is_after_and_within_one_interval(
            after in -1_000_000_000_i64..2_000_000_000_000,
            interval in 1_u64..100_000_000,
            offset in 0_u64..100_000_000,
        ) {
            let (interval, offset) = (Duration::from_millis(interval), Duration::from_millis(offset % interval));
            let after = Timestamp::from_millis(after);
            let slot = next_slot(after, interval, offset);
            prop_assert!(slot > after && slot <= after + interval);
            prop_assert_eq!((slot.as_millis() - offset.as_millis() as i64).rem_euclid(interval.as_millis() as i64), 0);
        }
    }
}
