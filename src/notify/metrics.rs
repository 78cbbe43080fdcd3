//! What delivery counts, under Prometheus' names where it has the name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::telemetry::{Summary, SummaryVec, summary_vec};

const LABEL: &[&str] = &["alertmanager"];
const LATENCY_BUCKETS_SECONDS: [f64; 4] = [0.01, 0.1, 1.0, 10.0];
const LATENCY_QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];
const LATENCY_HELP: &str = "Time of requests that were accepted.";

#[derive(Clone)]
pub(super) struct Metrics {
    sent: IntCounterVec,
    errors: IntCounterVec,
    dropped: IntCounterVec,
    rejected: IntCounterVec,
    latency: HistogramVec,
    latency_quantiles: SummaryVec,
    queue_length: IntGaugeVec,
    undelivered: IntGaugeVec,
    pub(super) discovered: IntGauge,
    /// How many loops use a label value: two blocks may name one URL.
    users: Arc<Mutex<BTreeMap<String, usize>>>,
}

/// The series of one Alertmanager. They are born at zero with it, and leave with the last one of that URL.
pub(super) struct Series {
    of: Metrics,
    label: String,
    pub(super) sent: IntCounter,
    pub(super) errors: IntCounter,
    pub(super) dropped: IntCounter,
    pub(super) rejected: IntCounter,
    latency: Histogram,
    latency_quantiles: Summary,
    queue_length: IntGauge,
    undelivered: IntGauge,
    shown: Mutex<i64>,
    left: AtomicBool,
}

impl Metrics {
    pub(super) fn new(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let counter = |name: &str, help: &str| IntCounterVec::new(Opts::new(name, help), LABEL);
        let gauge = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), LABEL);
        let latency = HistogramOpts::new("prometheus_notifications_latency_histogram_seconds", LATENCY_HELP);
        let capacity = Gauge::new(
            "prometheus_notifications_queue_capacity",
            "No bound but the number of alerts: only the newest state of each is held.",
        )?;
        capacity.set(f64::INFINITY);
        let metrics = Metrics {
            sent: counter("prometheus_notifications_sent_total", "Alerts in accepted requests.")?,
            errors: counter("prometheus_notifications_errors_total", "Alerts in failed requests.")?,
            dropped: counter(
                "prometheus_notifications_dropped_total",
                "Alerts undelivered when their Alertmanager was removed or the process stopped.",
            )?,
            rejected: counter(
                "bellwether_notifications_rejected_total",
                "Alerts that the Alertmanager refused as they are (400, 413, 422).",
            )?,
            latency: HistogramVec::new(latency.buckets(LATENCY_BUCKETS_SECONDS.to_vec()), LABEL)?,
            latency_quantiles: summary_vec(
                registry,
                "prometheus_notifications_latency_seconds",
                LATENCY_HELP,
                &LATENCY_QUANTILES,
                LABEL,
            ),
            queue_length: gauge("prometheus_notifications_queue_length", "Alerts waiting to be accepted.")?,
            undelivered: gauge(
                "bellwether_notifications_undelivered",
                "Alerts whose newest state the Alertmanager has not accepted.",
            )?,
            discovered: IntGauge::new(
                "prometheus_notifications_alertmanagers_discovered",
                "Alertmanagers that alerts are sent to.",
            )?,
            users: Arc::default(),
        };
        let collectors: [Box<dyn Collector>; 9] = [
            Box::new(metrics.sent.clone()),
            Box::new(metrics.errors.clone()),
            Box::new(metrics.dropped.clone()),
            Box::new(metrics.rejected.clone()),
            Box::new(metrics.latency.clone()),
            Box::new(metrics.queue_length.clone()),
            Box::new(metrics.undelivered.clone()),
            Box::new(metrics.discovered.clone()),
            Box::new(capacity),
        ];
        collectors.into_iter().try_for_each(|collector| registry.register(collector))?;
        Ok(metrics)
    }

    pub(super) fn series(&self, label: &str) -> Series {
        let mut users = self.users.lock();
        *users.entry(label.to_owned()).or_default() += 1;
        let values = &[label];
        Series {
            sent: self.sent.with_label_values(values),
            errors: self.errors.with_label_values(values),
            dropped: self.dropped.with_label_values(values),
            rejected: self.rejected.with_label_values(values),
            latency: self.latency.with_label_values(values),
            latency_quantiles: self.latency_quantiles.with_label_values(values),
            queue_length: self.queue_length.with_label_values(values),
            undelivered: self.undelivered.with_label_values(values),
            shown: Mutex::new(0),
            left: AtomicBool::new(false),
            of: self.clone(),
            label: label.to_owned(),
        }
    }
}

impl Series {
    /// A request was accepted after this time.
    pub(super) fn took(&self, time: Duration) {
        self.latency.observe(time.as_secs_f64());
        self.latency_quantiles.observe(time.as_secs_f64());
    }

    pub(super) fn undelivered(&self, owed: usize) {
        let owed = i64::try_from(owed).unwrap_or(i64::MAX);
        let mut shown = self.shown.lock();
        // By difference: the gauge may be shared by two blocks that name one URL.
        let change = owed - std::mem::replace(&mut *shown, owed);
        self.queue_length.add(change);
        self.undelivered.add(change);
    }

    /// Takes the series away. Whatever is counted afterwards shows nowhere.
    pub(super) fn leave(&self) {
        if self.left.swap(true, Ordering::Relaxed) {
            return;
        }
        self.undelivered(0);
        let mut users = self.of.users.lock();
        let left = users.get_mut(&self.label).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left > 0 {
            return;
        }
        users.remove(&self.label);
        let values = &[self.label.as_str()];
        // Removing fails only where the series is gone already.
        for counter in [&self.of.sent, &self.of.errors, &self.of.dropped, &self.of.rejected] {
            let _ = counter.remove_label_values(values);
        }
        for gauge in [&self.of.queue_length, &self.of.undelivered] {
            let _ = gauge.remove_label_values(values);
        }
        let _ = self.of.latency.remove_label_values(values);
        self.of.latency_quantiles.remove_label_values(values);
    }
}

impl Drop for Series {
    fn drop(&mut self) {
        self.leave();
    }
}
