//! Quantiles over the last minutes, for the metrics that Prometheus shows as summaries. The metrics crate has no such type.
//!
//! Values are counted in buckets that grow by two percent each, so a quantile is right to within one percent; old ones
//! leave with the age they came in. Source of the window: client_golang's defaults.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary as SummaryProto};

/// Quantiles tell about this much of the past, an age more or less.
const WINDOW: Duration = Duration::from_secs(600);
/// Parts in which the window forgets.
const AGES: usize = 5;
/// Growth of the buckets.
const GAMMA: f64 = 1.02;
/// Buckets from 2.5e-9 to 4e8: indexes beyond fall in the outermost, which bounds the memory of a window.
const INDEX_MAX: i16 = 1000;

/// Summaries with one name, by label values. A clone is the same one.
#[derive(Clone, Debug)]
pub struct SummaryVec(Arc<Family>);

#[derive(Debug)]
struct Family {
    desc: Desc,
    labels: Vec<String>,
    quantiles: Vec<f64>,
    summaries: Mutex<BTreeMap<Vec<String>, Summary>>,
}

/// One summary. A clone is the same one.
#[derive(Clone, Debug)]
pub struct Summary(Arc<Mutex<Window>>);

impl SummaryVec {
    /// Errors: a name or label that breaks the rules for them.
    pub(super) fn new(name: &str, help: &str, quantiles: &[f64], labels: &[&str]) -> prometheus::Result<SummaryVec> {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let desc = Desc::new(name.to_owned(), help.to_owned(), labels.clone(), HashMap::new())?;
        let family = Family { desc, labels, quantiles: quantiles.to_vec(), summaries: Mutex::default() };
        Ok(SummaryVec(Arc::new(family)))
    }

    /// The summary of these values, one for each label in their order; born here if it is new.
    ///
    /// Panics if there are more or fewer values than labels.
    pub fn with_label_values(&self, values: &[&str]) -> Summary {
        assert_eq!(values.len(), self.0.labels.len(), "one value for each label of {}", self.0.desc.fq_name);
        let key = values.iter().map(|value| (*value).to_owned()).collect();
        let born = || Summary(Arc::new(Mutex::new(Window::new(Instant::now()))));
        self.0.summaries.lock().entry(key).or_insert_with(born).clone()
    }

    /// Takes a summary out of what is shown.
    pub fn remove_label_values(&self, values: &[&str]) {
        self.0.summaries.lock().retain(|found, _| !found.iter().map(String::as_str).eq(values.iter().copied()));
    }
}

impl Summary {
    pub fn observe(&self, value: f64) {
        self.0.lock().observe(value, Instant::now());
    }
}

impl Collector for SummaryVec {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = Instant::now();
        let mut family = MetricFamily::default();
        family.set_name(self.0.desc.fq_name.clone());
        family.set_help(self.0.desc.help.clone());
        family.set_field_type(MetricType::SUMMARY);
        let metric = |(values, summary): (&Vec<String>, &Summary)| {
            let pairs = self.0.labels.iter().zip(values).map(|(name, value)| {
                let mut pair = LabelPair::default();
                pair.set_name(name.clone());
                pair.set_value(value.clone());
                pair
            });
            let mut metric = Metric::from_label(pairs.collect());
            metric.set_summary(summary.0.lock().show(&self.0.quantiles, now));
            metric
        };
        family.set_metric(self.0.summaries.lock().iter().map(metric).collect());
        vec![family]
    }
}

/// Everything ever observed as count and sum, and the newest of it as buckets.
#[derive(Debug)]
struct Window {
    count: u64,
    sum: f64,
    /// Newest last.
    ages: [BTreeMap<i16, u64>; AGES],
    age_began: Instant,
}

impl Window {
    fn new(now: Instant) -> Window {
        Window { count: 0, sum: 0.0, ages: Default::default(), age_began: now }
    }

    fn observe(&mut self, value: f64, now: Instant) {
        self.forget(now);
        self.count += 1;
        self.sum += value;
        let bound = f64::from(INDEX_MAX);
        // Zero and what is below it, and NaN, fall in the lowest bucket: these are durations.
        let index = if value > 0.0 { (value.ln() / GAMMA.ln()).ceil().clamp(-bound, bound) } else { -bound };
        *self.ages[AGES - 1].entry(index as i16).or_default() += 1;
    }

    fn forget(&mut self, now: Instant) {
        let age = WINDOW / AGES as u32;
        let passed = now.saturating_duration_since(self.age_began).as_nanos() / age.as_nanos();
        for _ in 0..passed.min(AGES as u128) {
            self.ages.rotate_left(1);
            self.ages[AGES - 1].clear();
        }
        if passed >= AGES as u128 {
            self.age_began = now;
        } else {
            self.age_began += age * passed as u32;
        }
    }

    fn show(&mut self, quantiles: &[f64], now: Instant) -> SummaryProto {
        self.forget(now);
        let mut buckets: BTreeMap<i16, u64> = BTreeMap::new();
        for (index, count) in self.ages.iter().flatten() {
            *buckets.entry(*index).or_default() += count;
        }
        let shown = quantiles.iter().map(|quantile| {
            let mut shown = Quantile::default();
            shown.set_quantile(*quantile);
            shown.set_value(value_at(&buckets, *quantile));
            shown
        });
        let mut summary = SummaryProto::default();
        summary.set_quantile(shown.collect());
        summary.set_sample_count(self.count);
        summary.set_sample_sum(self.sum);
        summary
    }
}

/// NaN if nothing was counted, as client_golang has it.
fn value_at(buckets: &BTreeMap<i16, u64>, quantile: f64) -> f64 {
    let total: u64 = buckets.values().sum();
    let mut rank = ((total as f64 * quantile).ceil() as u64).clamp(1, total.max(1));
    for (index, count) in buckets {
        if rank <= *count {
            // The middle of the bucket, relatively.
            return if *index <= -INDEX_MAX { 0.0 } else { GAMMA.powi(i32::from(*index)) * 2.0 / (1.0 + GAMMA) };
        }
        rank -= count;
    }
    f64::NAN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantiles(window: &mut Window, at: Instant) -> Vec<f64> {
        window.show(&[0.5, 0.9, 0.99], at).get_quantile().iter().map(Quantile::value).collect()
    }

    #[test]
    fn quantiles_are_right_to_a_percent_and_forget() {
        let start = Instant::now();
        let mut window = Window::new(start);
        assert!(quantiles(&mut window, start).iter().all(|value| value.is_nan()));
        for milliseconds in 1..=1000 {
            window.observe(f64::from(milliseconds) / 1000.0, start);
        }
        for (found, right) in quantiles(&mut window, start).iter().zip([0.5, 0.9, 0.99]) {
            assert!((found / right - 1.0).abs() < 0.0101, "{found} is not {right}");
        }
        window.observe(0.0, start + WINDOW - Duration::from_secs(1));
        assert!(quantiles(&mut window, start + WINDOW - Duration::from_secs(1))[0] > 0.4);
        assert_eq!(quantiles(&mut window, start + WINDOW), [0.0, 0.0, 0.0]);
        assert!(quantiles(&mut window, start + WINDOW * 3)[0].is_nan());
        assert_eq!((window.count, window.sum.round()), (1001, 501.0));
    }

    #[test]
    fn summaries_are_shown_as_prometheus_shows_them() {
        let summaries = SummaryVec::new("x_seconds", "Help.", &[0.5], &["a"]).expect("a good name");
        summaries.with_label_values(&["1"]).observe(0.0);
        summaries.with_label_values(&["2"]);
        summaries.remove_label_values(&["2"]);
        let text = prometheus::TextEncoder::new().encode_to_string(&summaries.collect()).expect("it encodes");
        let lines = "x_seconds{a=\"1\",quantile=\"0.5\"} 0\nx_seconds_sum{a=\"1\"} 0\nx_seconds_count{a=\"1\"} 1\n";
        assert_eq!(text, format!("# HELP x_seconds Help.\n# TYPE x_seconds summary\n{lines}"));
    }
}
