//! What remote write counts: Prometheus' names where it has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

const LABELS: [&str; 2] = ["remote_name", "url"];

/// Upper bounds of send durations, in seconds: from a quick answer to the default timeout.
const DURATION_BUCKETS: [f64; 9] = [0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];

/// The room's series. A target's own are born when it starts and leave when it ends.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Families>);

#[derive(Debug)]
struct Families {
    sent: IntCounterVec,
    failed: IntCounterVec,
    retried: IntCounterVec,
    dropped: IntCounterVec,
    overflowed: IntCounterVec,
    bytes: IntCounterVec,
    pending: IntGaugeVec,
    capacity: IntGaugeVec,
    highest_sent: GaugeVec,
    duration: HistogramVec,
    /// How many live targets have these labels: one that was removed may still be draining when it comes back.
    users: Mutex<BTreeMap<[String; 2], usize>>,
}

impl Metrics {
    /// Registers the room's series; once per registry.
    pub fn new(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let metrics = Metrics::unregistered();
        let f = &metrics.0;
        let collectors: [Box<dyn Collector>; 10] = [
            Box::new(f.sent.clone()),
            Box::new(f.failed.clone()),
            Box::new(f.retried.clone()),
            Box::new(f.dropped.clone()),
            Box::new(f.overflowed.clone()),
            Box::new(f.bytes.clone()),
            Box::new(f.pending.clone()),
            Box::new(f.capacity.clone()),
            Box::new(f.highest_sent.clone()),
            Box::new(f.duration.clone()),
        ];
        collectors.into_iter().try_for_each(|collector| registry.register(collector))?;
        Ok(metrics)
    }

    /// Series that nobody reads, for tools and tests.
    pub fn unregistered() -> Metrics {
        const NAMED: &str = "names and labels below are valid";
        let counter = |name, help| IntCounterVec::new(Opts::new(name, help), &LABELS).expect(NAMED);
        let gauge = |name, help| IntGaugeVec::new(Opts::new(name, help), &LABELS).expect(NAMED);
        let highest_sent = Opts::new(
            "prometheus_remote_storage_queue_highest_sent_timestamp_seconds",
            "Timestamp of the newest sample that was acknowledged.",
        );
        let duration = HistogramOpts::new(
            "prometheus_remote_storage_sent_batch_duration_seconds",
            "Duration of requests to the remote storage, failed ones included.",
        );
        Metrics(Arc::new(Families {
            sent: counter("prometheus_remote_storage_samples_total", "Samples acknowledged by the remote storage."),
            failed: counter("prometheus_remote_storage_samples_failed_total", "Samples given up on: refused for good."),
            retried: counter("prometheus_remote_storage_samples_retried_total", "Samples sent again after a failure."),
            dropped: counter(
                "prometheus_remote_storage_samples_dropped_total",
                "Samples not sent: dropped by write relabeling, or for room in the queue.",
            ),
            overflowed: counter(
                "bellwether_remote_write_samples_overflowed_total",
                "Samples lost because the queue was full; the oldest ones go.",
            ),
            bytes: counter("prometheus_remote_storage_bytes_total", "Compressed bytes of acknowledged requests."),
            pending: gauge("prometheus_remote_storage_samples_pending", "Samples in the queue or being sent."),
            capacity: gauge("bellwether_remote_write_queue_capacity", "Most samples the queue holds."),
            highest_sent: GaugeVec::new(highest_sent, &LABELS).expect(NAMED),
            duration: HistogramVec::new(duration.buckets(DURATION_BUCKETS.to_vec()), &LABELS).expect(NAMED),
            users: Mutex::default(),
        }))
    }

    /// The series of one target, for as long as the value lives.
    pub(super) fn of(&self, name: &str, url: &str) -> TargetMetrics {
        let (f, values) = (&self.0, [name, url]);
        *f.users.lock().entry(values.map(str::to_owned)).or_default() += 1;
        TargetMetrics {
            sent: f.sent.with_label_values(&values),
            failed: f.failed.with_label_values(&values),
            retried: f.retried.with_label_values(&values),
            dropped: f.dropped.with_label_values(&values),
            overflowed: f.overflowed.with_label_values(&values),
            bytes: f.bytes.with_label_values(&values),
            pending: f.pending.with_label_values(&values),
            capacity: f.capacity.with_label_values(&values),
            highest_sent: f.highest_sent.with_label_values(&values),
            duration: f.duration.with_label_values(&values),
            labels: values.map(str::to_owned),
            families: f.clone(),
        }
    }
}

#[derive(Debug)]
pub(super) struct TargetMetrics {
    pub(super) sent: IntCounter,
    pub(super) failed: IntCounter,
    pub(super) retried: IntCounter,
    pub(super) dropped: IntCounter,
    pub(super) overflowed: IntCounter,
    pub(super) bytes: IntCounter,
    pub(super) pending: IntGauge,
    pub(super) capacity: IntGauge,
    pub(super) highest_sent: Gauge,
    pub(super) duration: Histogram,
    labels: [String; 2],
    families: Arc<Families>,
}

impl Drop for TargetMetrics {
    fn drop(&mut self) {
        let f = &self.families;
        let mut users = f.users.lock();
        let left = users.get(&self.labels).map_or(0, |count| count - 1);
        if left > 0 {
            users.insert(self.labels.clone(), left);
            return;
        }
        users.remove(&self.labels);
        let values = [self.labels[0].as_str(), self.labels[1].as_str()];
        // A series that is not there cannot be removed, and need not be.
        for counter in [&f.sent, &f.failed, &f.retried, &f.dropped, &f.overflowed, &f.bytes] {
            let _ = counter.remove_label_values(&values);
        }
        for gauge in [&f.pending, &f.capacity] {
            let _ = gauge.remove_label_values(&values);
        }
        let _ = f.highest_sent.remove_label_values(&values);
        let _ = f.duration.remove_label_values(&values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_live_as_long_as_any_target_of_the_name() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let (old, new) = (metrics.of("a", "http://x"), metrics.of("a", "http://x"));
        drop(old);
        assert_eq!(registry.gather().len(), 10);
        drop(new);
        assert_eq!(registry.gather().len(), 0);
    }
}
