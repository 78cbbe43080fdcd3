//! The expression language. (Signatures for now; the parser replaces this file.)

use std::sync::Arc;

use crate::diagnostic::Span;

/// A checked expression: the author's text, its tree, and its normalised text.
#[derive(Clone, Debug)]
pub struct Expression {
    text: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    pub message: String,
    /// In the text that was parsed; the whole of it where nothing better is known.
    pub span: Span,
}

pub fn parse(text: &str) -> Result<Expression, ParseError> {
    Ok(Expression { text: Arc::from(text) })
}

impl Expression {
    /// The author's text, byte for byte: what a source is asked.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Prometheus' canonical print: for display, generator URLs and comparison.
    pub fn normalised(&self) -> &Arc<str> {
        &self.text
    }
}
