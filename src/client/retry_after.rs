//! When a peer asks to be left alone for a while.

use std::time::Duration;

use crate::model::Timestamp;

/// The pause that a `Retry-After` header asks for at `now`: seconds, or an HTTP date; none if it is neither. A date in the
/// past is no pause at all. Source: RFC 9110, 10.2.3.
pub fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(header).ok()?;
    Some(Timestamp::from_millis(at.timestamp().as_millisecond()).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::from_seconds(784_111_777 - 30);
        for (header, wait) in [
            ("120", Some(120)),
            ("0", Some(0)),
            (" Sun, 06 Nov 1994 08:49:37 GMT ", Some(30)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("soon", None),
            ("-5", None),
            ("", None),
        ] {
            assert_eq!(retry_after(header, now), wait.map(Duration::from_secs), "{header}");
        }
    }
}
