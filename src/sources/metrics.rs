//! What sources count.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::model::SourceErrorKind;

/// Upper bounds of query durations, in seconds: from a quick answer to the default timeout.
const DURATION_BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 120.0];

/// The room's series. A source's own are born when it starts and leave when it ends.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Families>);

#[derive(Debug)]
struct Families {
    queries: IntCounterVec,
    failures: IntCounterVec,
    shared: IntCounterVec,
    duration: HistogramVec,
    in_flight: IntGaugeVec,
    answer_bytes: IntCounterVec,
    /// How many live sources have this name: at a reload the new one starts before the old one ends.
    users: Mutex<BTreeMap<String, usize>>,
}

impl Metrics {
    /// Registers the room's series; once per registry.
    pub fn new(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let metrics = Metrics::unregistered();
        let families = &metrics.0;
        for counter in [&families.queries, &families.failures, &families.shared, &families.answer_bytes] {
            registry.register(Box::new(counter.clone()))?;
        }
        registry.register(Box::new(families.duration.clone()))?;
        registry.register(Box::new(families.in_flight.clone()))?;
        Ok(metrics)
    }

    /// Series that nobody reads, for tools and tests.
    pub fn unregistered() -> Metrics {
        const NAMED: &str = "names and labels below are valid";
        let counter = |name, help, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels).expect(NAMED);
        let duration = HistogramOpts::new(
            "bellwether_source_query_duration_seconds",
            "Time from sending a query to its parsed answer or its failure.",
        );
        let in_flight = Opts::new("bellwether_source_queries_in_flight", "Queries sent and not yet answered.");
        Metrics(Arc::new(Families {
            queries: counter("bellwether_source_queries_total", "Queries asked, failed ones included.", &["source"]),
            failures: counter(
                "bellwether_source_query_failures_total",
                "Queries without an answer, by the way they failed.",
                &["source", "kind"],
            ),
            shared: counter(
                "bellwether_source_queries_shared_total",
                "Needs that got the answer of an equal one of the same tick.",
                &["source"],
            ),
            duration: HistogramVec::new(duration.buckets(DURATION_BUCKETS.to_vec()), &["source"]).expect(NAMED),
            in_flight: IntGaugeVec::new(in_flight, &["source"]).expect(NAMED),
            answer_bytes: counter("bellwether_source_answer_bytes_total", "Decompressed bytes read.", &["source"]),
            users: Mutex::default(),
        }))
    }

    /// The series of one source, for as long as the value lives.
    pub(super) fn of(&self, source: &str) -> SourceMetrics {
        let families = &self.0;
        *families.users.lock().entry(source.to_owned()).or_default() += 1;
        for kind in SourceErrorKind::ALL {
            families.failures.with_label_values(&[source, kind.as_str()]);
        }
        SourceMetrics {
            queries: families.queries.with_label_values(&[source]),
            shared: families.shared.with_label_values(&[source]),
            duration: families.duration.with_label_values(&[source]),
            in_flight: families.in_flight.with_label_values(&[source]),
            answer_bytes: families.answer_bytes.with_label_values(&[source]),
            families: families.clone(),
            source: source.to_owned(),
        }
    }
}

#[derive(Debug)]
pub(super) struct SourceMetrics {
    pub(super) queries: IntCounter,
    pub(super) shared: IntCounter,
    pub(super) duration: Histogram,
    pub(super) in_flight: IntGauge,
    pub(super) answer_bytes: IntCounter,
    families: Arc<Families>,
    source: String,
}

impl SourceMetrics {
    pub(super) fn failed(&self, kind: SourceErrorKind) {
        self.families.failures.with_label_values(&[self.source.as_str(), kind.as_str()]).inc();
    }
}

impl Drop for SourceMetrics {
    fn drop(&mut self) {
        let mut users = self.families.users.lock();
        let left = users.get(&self.source).map_or(0, |count| count - 1);
        if left > 0 {
            users.insert(self.source.clone(), left);
            return;
        }
        users.remove(&self.source);
        // A series that is not there cannot be removed, and need not be.
        let source = [self.source.as_str()];
        let _ = self.families.queries.remove_label_values(&source);
        let _ = self.families.shared.remove_label_values(&source);
        let _ = self.families.duration.remove_label_values(&source);
        let _ = self.families.in_flight.remove_label_values(&source);
        let _ = self.families.answer_bytes.remove_label_values(&source);
        for kind in SourceErrorKind::ALL {
            let _ = self.families.failures.remove_label_values(&[self.source.as_str(), kind.as_str()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_live_as_long_as_any_source_of_the_name() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        assert_eq!(registry.gather().len(), 0);
        let (old, new) = (metrics.of("eu"), metrics.of("eu"));
        assert_eq!(registry.gather().len(), 6);
        drop(old);
        assert_eq!(registry.gather().len(), 6);
        drop(new);
        assert_eq!(registry.gather().len(), 0);
    }
}
