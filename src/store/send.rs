//! One request to one target: what goes into it, and what its answer means.

use std::time::Duration;

use rand::RngExt;

use super::queue::Item;
use crate::client::StatusCode;
use crate::config::RemoteWriteQueue;
use crate::model::{Labels, LabelsBuilder};
use crate::relabel::{RelabelRule, relabel};
use crate::wire::remote_write::{Label, Sample, TimeSeries, WriteRequest};

/// Longest wait that a target may ask for by `Retry-After`. One that wants more is asked again, and may say so again.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// The message of a batch, one series per sample as Prometheus sends them, so that their order is kept. Samples that
/// relabeling drops are not in it.
pub(super) fn request(batch: &[Item], external_labels: &Labels, rules: &[RelabelRule]) -> WriteRequest {
    let series = |item: &Item| {
        let labels = with_external_labels(&item.labels, external_labels);
        let labels = if rules.is_empty() { labels } else { relabel(rules, &labels)? };
        let label = |(name, value): (&str, &str)| Label { name: name.to_owned(), value: value.to_owned() };
        // An empty value is no label to a receiver, and refused by some.
        let labels: Vec<Label> = labels.iter().filter(|(_, value)| !value.is_empty()).map(label).collect();
        let samples = vec![Sample { value: item.value, timestamp: item.at.as_millis() }];
        (!labels.is_empty()).then_some(TimeSeries { labels, samples, histograms: Vec::new() })
    };
    WriteRequest { timeseries: batch.iter().filter_map(series).collect() }
}

/// External labels are added where the series has none of the name.
fn with_external_labels(labels: &Labels, external: &Labels) -> Labels {
    if external.is_empty() {
        return labels.clone();
    }
    let mut builder = LabelsBuilder::new(labels);
    for (name, value) in external {
        if labels.get(name).is_none() {
            builder.set(name, value);
        }
    }
    builder.finish()
}

/// What a status means for the samples of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    /// The target may take them later.
    Retry,
    /// The request is too large: it may take them in smaller ones.
    Split,
    /// The target will never take one of them, and took none because of it: it may take the others.
    ///
    /// Prometheus keeps nothing of a request that holds one sample out of order; Thanos says 409 for that.
    Sift,
    /// The target will never take them.
    GiveUp,
}

pub(super) fn verdict(status: StatusCode, samples: usize, queue: &RemoteWriteQueue) -> Verdict {
    match status {
        status if status.is_success() => Verdict::Accepted,
        status if status.is_server_error() => Verdict::Retry,
        StatusCode::TOO_MANY_REQUESTS if queue.retry_on_http_429 => Verdict::Retry,
        StatusCode::PAYLOAD_TOO_LARGE if samples > 1 => Verdict::Split,
        StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY if samples > 1 => {
            Verdict::Sift
        }
        _ => Verdict::GiveUp,
    }
}

/// How long to wait before attempt `attempt` (from 1) is sent: what the target asked for, or else doubling from the
/// least to the most, of which a random part of up to a half is left out, so that targets are not asked in step.
pub(super) fn backoff(attempt: u32, asked_for: Option<Duration>, queue: &RemoteWriteQueue) -> Duration {
    // No time at all says nothing about when to come again, and would make a storm.
    if let Some(asked_for) = asked_for.filter(|asked_for| !asked_for.is_zero()) {
        return asked_for.clamp(queue.min_backoff.min(RETRY_AFTER_MAX), RETRY_AFTER_MAX);
    }
    let factor = 2_u32.saturating_pow(attempt.saturating_sub(1));
    let whole = queue.min_backoff.saturating_mul(factor).min(queue.max_backoff.max(queue.min_backoff));
    whole.mul_f64(rand::rng().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{STALE_NAN_BITS, Timestamp, stale_nan};

    fn queue() -> RemoteWriteQueue {
        RemoteWriteQueue::default()
    }

    #[test]
    fn samples_become_series_in_their_order() {
        let item = |name: &str, millis, value| Item {
            labels: Labels::from_pairs([("__name__", name), ("region", "own")]),
            at: Timestamp::from_millis(millis),
            value,
        };
        let batch = [item("a", 1, 1.0), item("a", 2, stale_nan()), item("b", 1, 3.0)];
        let external = Labels::from_pairs([("region", "eu"), ("a", "x")]);
        let request = request(&batch, &external, &[]);
        let shown: Vec<String> = request
            .timeseries
            .iter()
            .map(|series| {
                let labels: Vec<String> = series.labels.iter().map(|l| format!("{}={}", l.name, l.value)).collect();
                format!("{} @{}", labels.join(","), series.samples[0].timestamp)
            })
            .collect();
        assert_eq!(
            shown,
            ["__name__=a,a=x,region=own @1", "__name__=a,a=x,region=own @2", "__name__=b,a=x,region=own @1"]
        );
        assert_eq!(request.timeseries[1].samples[0].value.to_bits(), STALE_NAN_BITS);
    }

    #[test]
    fn a_status_decides_over_samples() {
        for (status, verdict_of_two) in [
            (200, Verdict::Accepted),
            (204, Verdict::Accepted),
            (302, Verdict::GiveUp),
            (400, Verdict::Sift),
            (404, Verdict::GiveUp),
            (409, Verdict::Sift),
            (413, Verdict::Split),
            (429, Verdict::Retry),
            (500, Verdict::Retry),
            (503, Verdict::Retry),
        ] {
            assert_eq!(verdict(StatusCode::from_u16(status).unwrap(), 2, &queue()), verdict_of_two, "{status}");
        }
        for status in [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::BAD_REQUEST] {
            assert_eq!(verdict(status, 1, &queue()), Verdict::GiveUp);
        }
        let impatient = RemoteWriteQueue { retry_on_http_429: false, ..queue() };
        assert_eq!(verdict(StatusCode::TOO_MANY_REQUESTS, 2, &impatient), Verdict::GiveUp);
    }

    #[test]
    fn waits_double_within_their_bounds_unless_the_target_asks() {
        for (attempt, most_ms) in [(1, 30), (2, 60), (3, 120), (8, 3840), (9, 5000), (100, 5000)] {
            let wait = backoff(attempt, None, &queue());
            let most = Duration::from_millis(most_ms);
            assert!(wait <= most && wait >= most / 2, "{attempt}: {wait:?}");
        }
        assert_eq!(backoff(1, Some(Duration::from_secs(7)), &queue()), Duration::from_secs(7));
        // "At once" is no word on how long to wait, and must not become a storm.
        assert!(backoff(3, Some(Duration::ZERO), &queue()) >= Duration::from_millis(60));
        assert_eq!(backoff(1, Some(Duration::from_secs(86_400)), &queue()), RETRY_AFTER_MAX);
    }
}
