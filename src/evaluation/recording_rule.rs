//! What a recording rule makes of an answer.

use std::collections::HashSet;

use foldhash::fast::FixedState;

use super::{RuleError, RuleState};
use crate::model::{Evaluated, Labels, LabelsScratch, METRIC_NAME, Sample, TimedSample, Timestamp, Value, stale_nan};
use crate::rules::Rule;

/// The samples to write at `written_at` (evaluation timestamp less query offset), and markers for the series that are no
/// longer given. On an error the state stays as it was.
///
/// Labels of the rule are literal; an empty value deletes the label. Source: Prometheus `rules/recording.go`.
pub(crate) fn apply(
    rule: &Rule,
    limit: Option<usize>,
    state: &mut RuleState,
    value: &Evaluated,
    written_at: Timestamp,
) -> Result<(Vec<TimedSample>, Vec<TimedSample>), RuleError> {
    let mut recorder = Recorder::new(rule, written_at);
    let samples: Vec<TimedSample> = match value {
        Evaluated::Vector(vector) => vector.iter().map(|sample| recorder.recorded(sample)).collect::<Result<_, _>>()?,
        Evaluated::Scalar(value) => {
            vec![recorder.recorded(&Sample { labels: Labels::empty(), value: Value::Float(*value) })?]
        }
        Evaluated::Matrix(_) | Evaluated::String(_) => return Err(RuleError::ResultType),
    };
    let mut returned = HashSet::with_capacity_and_hasher(samples.len(), FixedState::default());
    for sample in &samples {
        if !returned.insert(sample.labels.clone()) {
            return Err(RuleError::DuplicateSeries(sample.labels.clone()));
        }
    }
    if let Some(limit) = limit.filter(|limit| samples.len() > *limit) {
        return Err(RuleError::SeriesLimit { limit, count: samples.len() });
    }
    let mut ended: Vec<&Labels> = state.returned.iter().filter(|series| !returned.contains(*series)).collect();
    ended.sort();
    let markers = ended.into_iter().map(|series| marker(series.clone(), written_at)).collect();
    state.returned = returned;
    Ok((samples, markers))
}

/// The sample that ends a series.
pub(crate) fn marker(labels: Labels, at: Timestamp) -> TimedSample {
    TimedSample { labels, at, value: Value::Float(stale_nan()) }
}

struct Recorder<'a> {
    /// The metric name and the labels of the rule, by name.
    changes: Vec<(&'a str, &'a str)>,
    at: Timestamp,
    scratch: LabelsScratch,
}

impl<'a> Recorder<'a> {
    fn new(rule: &'a Rule, at: Timestamp) -> Recorder<'a> {
        let mut changes: Vec<(&str, &str)> = rule.labels.iter().filter(|(name, _)| *name != METRIC_NAME).collect();
        let place = changes.partition_point(|(name, _)| *name < METRIC_NAME);
        changes.insert(place, (METRIC_NAME, &*rule.name));
        Recorder { changes, at, scratch: LabelsScratch::default() }
    }

    fn recorded(&mut self, sample: &Sample) -> Result<TimedSample, RuleError> {
        if matches!(sample.value, Value::Histogram(_)) {
            return Err(RuleError::HistogramOverApi);
        }
        let labels = self.scratch.changed(&sample.labels, self.changes.iter().copied()).to_labels();
        Ok(TimedSample { labels, at: self.at, value: sample.value.clone() })
    }
}
