//! Prometheus durations: `1h30m`, `5m`, `0`.

use std::time::Duration;

/// Why a text is no duration. The texts are Prometheus' own.
///
/// Source: prometheus/common `model/time.go`, `ParseDuration`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("empty duration string")]
    Empty,
    #[error("not a valid duration string: {0:?}")]
    Malformed(String),
    #[error("unknown unit {unit:?} in duration {text:?}")]
    UnknownUnit { unit: String, text: String },
    #[error("duration out of range")]
    OutOfRange,
}

/// Units in the only order in which they may follow each other, with their milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Durations are kept in nanoseconds by the reference, in an i64.
const MILLIS_MAX: u64 = i64::MAX as u64 / 1_000_000;

/// Reads `<digits><unit>` pairs with strictly descending units `y w d h m s ms`; `0` alone is legal.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    match text {
        "" => return Err(DurationError::Empty),
        "0" => return Ok(Duration::ZERO),
        _ => {}
    }
    let malformed = || DurationError::Malformed(text.to_owned());
    let (mut rest, mut millis, mut next_unit) = (text, 0_u64, 0);
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits == 0 {
            return Err(malformed());
        }
        let (number, after) = rest.split_at(digits);
        let unit_len = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        if unit.is_empty() {
            return Err(malformed());
        }
        let position = UNITS
            .iter()
            .position(|(name, _)| *name == unit)
            .ok_or_else(|| DurationError::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() })?;
        if position < next_unit {
            return Err(malformed());
        }
        let number: u64 = number.parse().map_err(|_| DurationError::OutOfRange)?;
        millis = number
            .checked_mul(UNITS[position].1)
            .and_then(|more| millis.checked_add(more))
            .filter(|sum| *sum <= MILLIS_MAX)
            .ok_or(DurationError::OutOfRange)?;
        (rest, next_unit) = (after, position + 1);
    }
    Ok(Duration::from_millis(millis))
}

/// Prometheus' own spelling: `y` and `w` only where they divide what is left exactly; `0s` for zero.
pub fn format_duration(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, unit_millis) in UNITS {
        let exact_only = matches!(unit, "y" | "w");
        if millis < unit_millis || (exact_only && millis % unit_millis != 0) {
            continue;
        }
        text.push_str(&format!("{}{unit}", millis / unit_millis));
        millis %= unit_millis;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print_as_prometheus_does() {
        for (text, millis, printed) in [
            ("0", 0, "0s"),
            ("5m", 300_000, "5m"),
            ("90d", 90 * 86_400_000, "90d"),
            ("14d", 14 * 86_400_000, "2w"),
            ("1h0m0s", 3_600_000, "1h"),
            ("75m", 75 * 60_000, "1h15m"),
            ("1d2h3ms", 86_400_000 + 7_200_000 + 3, "1d2h3ms"),
            ("365d", 365 * 86_400_000, "1y"),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(format_duration(Duration::from_millis(millis)), printed);
        }
    }

    #[test]
    fn faults_have_prometheus_words() {
        for (text, message) in [
            ("", "empty duration string"),
            ("60", "not a valid duration string: \"60\""),
            ("-5m", "not a valid duration string: \"-5m\""),
            ("1s1m", "not a valid duration string: \"1s1m\""),
            ("1m1m", "not a valid duration string: \"1m1m\""),
            ("1x", "unknown unit \"x\" in duration \"1x\""),
            ("1.5h", "unknown unit \".\" in duration \"1.5h\""),
            ("300y", "duration out of range"),
            ("99999999999999999999m", "duration out of range"),
        ] {
            assert_eq!(parse_duration(text).unwrap_err().to_string(), message, "{text}");
        }
    }
}
