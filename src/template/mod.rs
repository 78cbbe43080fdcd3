//! Go's template language with Prometheus' functions. (Signatures for now; the engine replaces this file.)

use crate::model::{Labels, Sample, Timestamp, Value};

/// A parsed template: parsed once, when the rule is loaded.
#[derive(Clone, Debug)]
pub struct Template {
    text: String,
}

/// Everything a template can see, for one alert.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Labels of the result element, `__name__` included.
    pub labels: &'a Labels,
    pub external_labels: &'a Labels,
    /// Without trailing slash; none in unit tests' `externalURL` function.
    pub external_url: &'a str,
    pub value: &'a Value,
    /// The evaluation timestamp.
    pub at: Timestamp,
}

/// Answers to `query` calls.
pub trait Queries {
    /// `None`: not asked yet. `Err`: it failed, with the reason.
    fn answer(&self, expr: &str) -> Option<Result<&[Sample], &str>>;
}

/// What became of an expansion.
#[derive(Clone, Debug, PartialEq)]
pub enum Expansion {
    Done(String),
    /// The error text, without `<error expanding template: ` around it.
    Failed(String),
    /// It stopped at this query, which has no answer yet: ask, and expand again.
    Needs(String),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// Go's text, as in `template: __alert_X:1: unexpected "}" in operand`.
    pub message: String,
    /// Byte offset in the author's text.
    pub offset: usize,
}

impl Template {
    /// `alert` is the rule's name: Go's error texts call the template `__alert_<alert>`.
    pub fn parse(_alert: &str, text: &str) -> Result<Template, ParseError> {
        Ok(Template { text: text.to_owned() })
    }

    /// The author's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn expand(&self, _context: &Context<'_>, _queries: &dyn Queries) -> Expansion {
        Expansion::Done(self.text.clone())
    }
}
