//! What an answer means for the alerts that were sent, and when to try again. Pure.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::client::{Failure, SendError, StatusCode, retry_after};
use crate::model::Timestamp;

/// How a peer that does not take alerts is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The first pause is at most this; each further one at most twice as long.
    pub min: Duration,
    pub max: Duration,
    /// Between tries at a peer that needs a person: not let in, not found, redirected.
    pub slow: Duration,
    /// Most that `Retry-After` can demand. Firing alerts end by themselves four resend delays after they were sent.
    pub retry_after_max: Duration,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff {
            min: Duration::from_millis(250),
            max: Duration::from_secs(30),
            slow: Duration::from_secs(30),
            retry_after_max: Duration::from_secs(60),
        }
    }
}

/// An answer, as far as it matters here.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The value of `Retry-After`.
    pub(super) retry_after: Option<String>,
    /// The beginning of the body.
    pub(super) text: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    Accepted,
    /// At least one alert of the batch is not taken, or all together are too large.
    Refused {
        message: String,
        too_large: bool,
    },
    /// Nothing was taken; it may be next time.
    Failed {
        message: String,
        urgency: Urgency,
        /// The peer may have acted on the request all the same.
        may_have_arrived: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Urgency {
    Backoff,
    /// The peer said when.
    After(Duration),
    /// Until a person has mended something.
    Slow,
}

/// Source: Alertmanager's `api/v2`, and what proxies in front of it answer.
pub(super) fn verdict(sent: Result<Answer, SendError>, at: Timestamp) -> Verdict {
    let answer = match sent {
        Ok(answer) => answer,
        Err(error) => {
            let urgency = if error.failure == Failure::Redirect { Urgency::Slow } else { Urgency::Backoff };
            let may_have_arrived = error.failure.may_have_arrived();
            return Verdict::Failed { message: error.message, urgency, may_have_arrived };
        }
    };
    let message = match answer.text.is_empty() {
        true => format!("bad response status {}", answer.status),
        false => format!("bad response status {}: {}", answer.status, answer.text),
    };
    match answer.status.as_u16() {
        200..=299 => Verdict::Accepted,
        status @ (400 | 413 | 422) => Verdict::Refused { message, too_large: status == 413 },
        408 | 429 | 500..=599 => {
            let after = answer.retry_after.as_deref().and_then(|text| retry_after(text, at));
            let urgency = after.map_or(Urgency::Backoff, Urgency::After);
            Verdict::Failed { message, urgency, may_have_arrived: true }
        }
        _ => Verdict::Failed { message, urgency: Urgency::Slow, may_have_arrived: false },
    }
}

/// When one peer is tried again, and how much it is sent at once.
pub(super) struct Pace {
    backoff: Backoff,
    random: SmallRng,
    failures: u32,
    batch_max: usize,
    batch_size: usize,
    /// Bound of the next batch after failures: one alert may be what makes requests fail.
    trial_size: usize,
    accepted_in_row: u32,
}

/// After so many accepted batches, one that was made smaller because of a 413 may grow again.
const GROW_AFTER: u32 = 64;

impl Pace {
    pub(super) fn new(backoff: Backoff, batch_max: usize, seed: u64) -> Pace {
        let batch_max = batch_max.max(1);
        let random = SmallRng::seed_from_u64(seed);
        let (batch_size, trial_size) = (batch_max, batch_max);
        Pace { backoff, random, failures: 0, batch_max, batch_size, trial_size, accepted_in_row: 0 }
    }

    pub(super) fn batch_size(&self) -> usize {
        self.batch_size.min(self.trial_size)
    }

    pub(super) fn accepted(&mut self) {
        self.failures = 0;
        self.trial_size = self.trial_size.saturating_mul(2).min(self.batch_max);
        self.accepted_in_row += 1;
        if self.accepted_in_row >= GROW_AFTER {
            self.accepted_in_row = 0;
            self.batch_size = (self.batch_size * 2).min(self.batch_max);
        }
    }

    /// Forgets past failures: pauses are short again.
    pub(super) fn start_over(&mut self) {
        self.failures = 0;
    }

    /// A batch of so many failed, for whatever reason: the next one is smaller, until one is accepted.
    pub(super) fn failed(&mut self, items: usize) {
        self.trial_size = (items / 2).clamp(1, self.trial_size);
    }

    pub(super) fn too_large(&mut self, items: usize) {
        self.accepted_in_row = 0;
        self.batch_size = (items / 2).clamp(1, self.batch_size);
    }

    /// How long to leave the peer alone. Exponential with full jitter, so that many senders do not come back at once.
    pub(super) fn pause(&mut self, urgency: Urgency) -> Duration {
        self.accepted_in_row = 0;
        let doubled = self.backoff.min.saturating_mul(1 << self.failures.min(20)).min(self.backoff.max);
        self.failures = self.failures.saturating_add(1);
        match urgency {
            Urgency::Backoff => self.between(Duration::ZERO, doubled),
            Urgency::After(asked) => {
                // Later than asked, with jitter; never sooner than if nothing had been asked.
                asked.min(self.backoff.retry_after_max).max(self.between(Duration::ZERO, doubled))
            }
            Urgency::Slow => self.between(self.backoff.slow, self.backoff.slow * 2),
        }
    }

    fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        // A pause of nothing would make a loop that only burns.
        Duration::from_millis(self.random.random_range(millis(low)..=millis(high).max(millis(low))).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, retry_after: Option<&str>) -> Verdict {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: retry_after.map(str::to_owned),
            text: String::new(),
        };
        verdict(Ok(answer), Timestamp::from_seconds(784_111_770))
    }

    #[test]
    fn every_answer_has_a_meaning() {
        let seconds = Duration::from_secs;
        for (status, retry_after, urgency) in [
            (500, None, Urgency::Backoff),
            (503, Some("7"), Urgency::After(seconds(7))),
            (429, Some("Sun, 06 Nov 1994 08:49:37 GMT"), Urgency::After(seconds(7))),
            (429, Some("soon"), Urgency::Backoff),
            (429, Some("Sun, 06 Nov 1994 08:00:00 GMT"), Urgency::After(seconds(0))),
            (401, None, Urgency::Slow),
            (403, Some("7"), Urgency::Slow),
            (404, None, Urgency::Slow),
            (302, None, Urgency::Slow),
        ] {
            let verdict = answered(status, retry_after);
            assert!(matches!(verdict, Verdict::Failed { urgency: is, .. } if is == urgency), "{status}: {verdict:?}");
        }
        for status in [200, 202, 204] {
            assert_eq!(answered(status, None), Verdict::Accepted);
        }
        for (status, large) in [(400, false), (413, true), (422, false)] {
            assert!(matches!(answered(status, None), Verdict::Refused { too_large, .. } if too_large == large));
        }
    }

    #[test]
    fn pauses_grow_within_their_bounds_and_start_over_after_a_success() {
        let backoff = Backoff::default();
        let mut pace = Pace::new(backoff, 256, 7);
        for failure in 0..40 {
            let most = backoff.min.saturating_mul(1 << failure.min(10)).min(backoff.max);
            assert!(pace.pause(Urgency::Backoff) <= most, "pause {failure}");
        }
        pace.accepted();
        assert!(pace.pause(Urgency::Backoff) <= backoff.min);
        let hour = Urgency::After(Duration::from_secs(3600));
        assert!(pace.pause(hour) <= backoff.retry_after_max + backoff.min);
        assert!(pace.pause(Urgency::Slow) >= backoff.slow);
    }

    #[test]
    fn batches_shrink_when_they_are_too_large_and_grow_again() {
        let mut pace = Pace::new(Backoff::default(), 256, 7);
        pace.too_large(200);
        assert_eq!(pace.batch_size(), 100);
        pace.too_large(1);
        assert_eq!(pace.batch_size(), 1);
        (0..GROW_AFTER * 20).for_each(|_| pace.accepted());
        assert_eq!(pace.batch_size(), 256);
        for size in [128, 64, 32, 16, 8, 4, 2, 1, 1] {
            pace.failed(pace.batch_size());
            assert_eq!(pace.batch_size(), size);
        }
        (0..8).for_each(|_| pace.accepted());
        assert_eq!(pace.batch_size(), 256);
    }
}
