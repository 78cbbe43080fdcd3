//! A metric of type summary, which the `prometheus` crate does not have: quantiles over the last ten minutes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::Opts;
use prometheus::core::{Collector, Desc};
use prometheus::proto;
use tokio::time::Instant;

/// What Prometheus' own summaries look back.
const WINDOW: Duration = Duration::from_secs(600);
/// Observations kept at most; the oldest go first. 10,000 rules a minute fill it in seconds, which is still a fair sample.
const KEPT_MAX: usize = 4096;

/// Quantiles, sum and count of what is observed. Quantiles without an observation in the window are NaN.
#[derive(Clone, Debug)]
pub struct Summary {
    desc: Desc,
    quantiles: Arc<[f64]>,
    observed: Arc<Mutex<Observed>>,
}

#[derive(Debug, Default)]
struct Observed {
    recent: VecDeque<(Instant, f64)>,
    sum: f64,
    count: u64,
}

impl Summary {
    /// # Errors
    /// If the name or help is not one that a metric can have.
    pub fn new(options: Opts, quantiles: &[f64]) -> prometheus::Result<Summary> {
        use prometheus::core::Describer;
        Ok(Summary { desc: options.describe()?, quantiles: quantiles.into(), observed: Arc::default() })
    }

    pub fn observe(&self, value: f64) {
        let mut observed = self.observed.lock();
        observed.sum += value;
        observed.count += 1;
        if observed.recent.len() == KEPT_MAX {
            observed.recent.pop_front();
        }
        observed.recent.push_back((Instant::now(), value));
    }
}

impl Collector for Summary {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let mut summary = proto::Summary::default();
        let mut observed = self.observed.lock();
        observed.recent.retain(|(at, _)| at.elapsed() <= WINDOW);
        let mut values: Vec<f64> = observed.recent.iter().map(|(_, value)| *value).collect();
        values.sort_by(f64::total_cmp);
        summary.set_sample_count(observed.count);
        summary.set_sample_sum(observed.sum);
        drop(observed);
        let quantiles = self.quantiles.iter().map(|wanted| {
            let mut quantile = proto::Quantile::default();
            quantile.set_quantile(*wanted);
            // The nearest rank: the smallest value that at least `wanted` of all do not exceed.
            let rank = (wanted * values.len() as f64).ceil() as usize;
            quantile.set_value(values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN));
            quantile
        });
        summary.set_quantile(quantiles.collect());
        let mut metric = proto::Metric::default();
        metric.set_summary(summary);
        let mut family = proto::MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(proto::MetricType::SUMMARY);
        family.set_metric(vec![metric]);
        vec![family]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{Registry, TextEncoder};

    #[test]
    fn it_prints_as_a_summary() {
        let summary = Summary::new(Opts::new("took_seconds", "How long it took."), &[0.5, 0.99]).unwrap();
        let registry = Registry::new();
        registry.register(Box::new(summary.clone())).unwrap();
        for value in 1..=100 {
            summary.observe(f64::from(value));
        }
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert_eq!(
            text,
            "# HELP took_seconds How long it took.\n\
             # TYPE took_seconds summary\n\
             took_seconds{quantile=\"0.5\"} 50\n\
             took_seconds{quantile=\"0.99\"} 99\n\
             took_seconds_sum 5050\n\
             took_seconds_count 100\n"
        );
    }
}
