//! What comes of an evaluation.

use crate::model::{Alert, Annotations, Labels, SourceError, TimedSample, Timestamp};

/// What one rule came to, at one timestamp.
#[derive(Clone, Debug)]
pub struct RuleOutcome {
    /// Index in the group.
    pub rule: usize,
    /// The evaluation timestamp.
    pub at: Timestamp,
    /// To be written.
    pub samples: Vec<TimedSample>,
    /// To be written with them: staleness markers of series that ended and that no other rule of the group can write.
    pub markers: Vec<TimedSample>,
    /// To be told: only what changed.
    pub alerts: Vec<Alert>,
    /// Why it failed. Then nothing is written and nothing told, and what was known stays as it was.
    pub error: Option<RuleError>,
    /// What the source said beside its answer.
    pub annotations: Annotations,
    /// Templates expanded, and how many of them failed.
    pub expansions: u64,
    pub expansion_failures: u64,
    /// One of the failures, for the log.
    pub expansion_error: Option<String>,
}

impl RuleOutcome {
    pub(crate) fn new(rule: usize, at: Timestamp) -> RuleOutcome {
        RuleOutcome {
            rule,
            at,
            samples: Vec::new(),
            markers: Vec::new(),
            alerts: Vec::new(),
            error: None,
            annotations: Annotations::default(),
            expansions: 0,
            expansion_failures: 0,
            expansion_error: None,
        }
    }
}

/// Why a rule's evaluation failed. The texts are Prometheus' own where it has the case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("rule result is not a vector or scalar")]
    ResultType,
    #[error("vector contains metrics with the same labelset after applying alert labels: {0}")]
    DuplicateAlert(Labels),
    #[error("vector contains metrics with the same labelset after applying rule labels: {0}")]
    DuplicateSeries(Labels),
    #[error("exceeded limit of {limit} with {count} alerts; alerts stay as they were")]
    AlertLimit { limit: usize, count: usize },
    #[error("exceeded limit of {limit} with {count} series")]
    SeriesLimit { limit: usize, count: usize },
    #[error("result holds native histograms, which a query API shows without their schema, so they cannot be recorded")]
    HistogramOverApi,
    #[error("query {query:?} in the template of label {label:?} failed: {error}; alerts stay as they were")]
    LabelQuery { label: String, query: String, error: SourceError },
    #[error("templates asked more than {0} different queries in one evaluation")]
    TooManyTemplateQueries(usize),
}
