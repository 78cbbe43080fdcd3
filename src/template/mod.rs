//! Go's template language with Prometheus' functions, as labels and annotations of alerts use it.
//!
//! Decides what a template text becomes for one alert, byte for byte as Prometheus does, error texts included. Parsed
//! once, when the rule is loaded; expanded per alert. Runs no query: expansion stops where an answer is missing. Called
//! by `rules` (parse) and `evaluation` (expand). Every cost a text could cause is bounded, see `limits`.
//!
//! Source: documentation of Go's `text/template`, Prometheus' template reference.

mod ast;
mod exec;
mod format;
mod functions;
mod lexer;
mod limits;
mod number;
mod parser;
mod quote;
mod time;
mod value;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::model::{Labels, Sample, Timestamp, Value};

/// A parsed template: parsed once, when the rule is loaded. A clone costs one counter.
#[derive(Clone, Debug)]
pub struct Template(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `__alert_<alert>`.
    name: String,
    text: String,
    parsed: ast::Parsed,
}

/// Everything a template can see, for one alert.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Labels of the result element, `__name__` included.
    pub labels: &'a Labels,
    pub external_labels: &'a Labels,
    /// Without trailing slash.
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

/// Prometheus puts the text `{{$labels := .Labels}}...` in front of every template, which shifts the positions in error
/// texts by its length.
const PREAMBLE_BYTES: usize = 112;

/// The variables that are there from the start: the root, and those that the preamble declares.
const CONVENIENCE_VARIABLES: [&str; 5] = ["$", "$labels", "$externalLabels", "$externalURL", "$value"];

impl Template {
    /// `alert` is the rule's name: Go's error texts call the template `__alert_<alert>`.
    pub fn parse(alert: &str, text: &str) -> Result<Template, ParseError> {
        let name = format!("__alert_{alert}");
        let parsed = parser::parse(&name, text)?;
        Ok(Template(Arc::new(Inner { name, text: text.to_owned(), parsed })))
    }

    /// The author's text.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The text for one alert. Nothing is remembered between calls.
    pub fn expand(&self, context: &Context<'_>, queries: &dyn Queries) -> Expansion {
        let Inner { name, text, parsed } = &*self.0;
        match exec::run(exec::Program { name, text, parsed }, context, queries) {
            Expansion::Failed(reason) => Expansion::Failed(format!("error executing template {name}: {reason}")),
            expansion => expansion,
        }
    }
}
