//! What a recording rule makes of an answer.

use std::collections::HashSet;

use foldhash::fast::FixedState;

use super::{RuleError, RuleState};
use crate::model::{Evaluated, Labels, LabelsBuilder, METRIC_NAME, Sample, TimedSample, Timestamp, Value, stale_nan};
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
    let samples: Vec<TimedSample> = match value {
        Evaluated::Vector(vector) => {
            vector.iter().map(|sample| recorded(rule, sample, written_at)).collect::<Result<_, _>>()?
        }
        Evaluated::Scalar(value) => {
            let sample = Sample { labels: Labels::empty(), value: Value::Float(*value) };
            vec![recorded(rule, &sample, written_at)?]
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

fn recorded(rule: &Rule, sample: &Sample, at: Timestamp) -> Result<TimedSample, RuleError> {
    if matches!(sample.value, Value::Histogram(_)) {
        return Err(RuleError::HistogramOverApi);
    }
    let mut labels = LabelsBuilder::new(&sample.labels);
    labels.set(METRIC_NAME, &*rule.name);
    for (name, value) in &rule.labels {
        labels.set(name, value);
    }
    Ok(TimedSample { labels: labels.finish(), at, value: sample.value.clone() })
}
