//! Queries that templates make: each asked once per rule and timestamp.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Answer, Evaluated, Labels, Sample, SourceError, Value};
use crate::template::Queries;

/// Distinct queries that the templates of one rule may make at one timestamp. One per alert of a large rule is the most
/// that makes sense; more is a template that builds queries in a loop.
pub(crate) const TEMPLATE_QUERIES_MAX: usize = 10_000;

/// Samples, or why there are none: as an error and as its text.
type QueryAnswer = Result<Arc<[Sample]>, (SourceError, String)>;

/// The answers there are, by expression, for one timestamp.
#[derive(Debug, Default)]
pub(crate) struct TemplateQueries {
    answers: BTreeMap<Arc<str>, QueryAnswer>,
    /// Expressions whose answer failed and that a template asked for since the last `take_failed`.
    failed: RefCell<Option<(String, SourceError)>>,
}

impl TemplateQueries {
    pub(crate) fn insert(&mut self, expr: Arc<str>, answer: &Answer) {
        let samples = match answer {
            Answer::Unknown(error) => Err((error.clone(), error.to_string())),
            Answer::Known(values) => match values.first().map(|(value, _)| value) {
                Some(Evaluated::Vector(samples)) => Ok(samples.clone()),
                Some(Evaluated::Scalar(value)) => {
                    Ok(Arc::from([Sample { labels: Labels::empty(), value: Value::Float(*value) }]))
                }
                _ => {
                    let error = SourceError {
                        kind: crate::model::SourceErrorKind::Rejected,
                        message: "query result is not a vector or scalar".to_owned(),
                    };
                    let text = error.to_string();
                    Err((error, text))
                }
            },
        };
        self.answers.insert(expr, samples);
    }

    pub(crate) fn len(&self) -> usize {
        self.answers.len()
    }

    /// The last failed query that an expansion ran into since this was asked, with its error.
    pub(crate) fn take_failed(&self) -> Option<(String, SourceError)> {
        self.failed.borrow_mut().take()
    }
}

impl Queries for TemplateQueries {
    fn answer(&self, expr: &str) -> Option<Result<&[Sample], &str>> {
        Some(match self.answers.get(expr)? {
            Ok(samples) => Ok(samples),
            Err((error, text)) => {
                *self.failed.borrow_mut() = Some((expr.to_owned(), error.clone()));
                Err(text)
            }
        })
    }
}
