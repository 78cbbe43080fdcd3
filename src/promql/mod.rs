//! The expression language.
//!
//! Decides whether a text is an expression that Prometheus would take, and what it says: `parse` gives a tree of our
//! own, checked, bounded in length and height. It never evaluates and never asks anybody. Rules and templates call it.
//!
//! Behind the door, for now, stands the crate `promql-parser`, which knows the grammar; its types do not leave this room.
//! `prepare` reads tokens and literals as Prometheus does and hands the crate a text that it cannot misread, `convert`
//! makes our tree of its answer and checks what it does not check, `printer` prints a tree in Prometheus' canonical form.
//! What is refused although Prometheus takes it: strings that are not UTF-8, an offset in parentheses, and expressions
//! beyond the bounds in `prepare`. The message then says so.

mod convert;
mod functions;
mod lexer;
mod literal;
mod prepare;
mod printer;
mod selectors;
mod tree;

use std::panic;
use std::sync::Arc;

use crate::diagnostic::Span;

pub use functions::{FUNCTIONS, Function, Optional};
pub use selectors::selectors;
pub use tree::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Expr, Group, Grouping, Matching, Modifiers, Subquery, ValueType,
    VectorSelector,
};

/// A checked expression: the author's text, its tree, and its normalised text. A clone costs one counter.
#[derive(Clone, Debug)]
pub struct Expression(Arc<Parsed>);

#[derive(Debug)]
struct Parsed {
    text: Arc<str>,
    normalised: Arc<str>,
    tree: Expr,
}

/// Why a text is no expression; in Prometheus' words where they are known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    pub message: String,
    /// In the text that was parsed; the whole of it where nothing better is known.
    pub span: Span,
}

/// Syntax that Prometheus takes only when it is told to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// `promql-experimental-functions`: functions marked so, `limitk` and `limit_ratio`.
    pub experimental_functions: bool,
    /// `promql-binop-fill-modifiers`: `fill`, `fill_left`, `fill_right`.
    pub fill_modifiers: bool,
}

/// Reads and checks an expression, with Prometheus' default features.
pub fn parse(text: &str) -> Result<Expression, ParseError> {
    parse_with(text, Features::default())
}

pub fn parse_with(text: &str, features: Features) -> Result<Expression, ParseError> {
    let prepared = prepare::prepare(text, features)?;
    let whole = |message: String| ParseError { message, span: Span::new(0, text.len()) };
    // Nothing that is known to make the crate panic gets through `prepare`; this is for what is not known.
    let parsed = panic::catch_unwind(|| promql_parser::parser::parse(&prepared.text))
        .map_err(|_| whole("this expression is not understood yet".to_owned()))?;
    let theirs = parsed.map_err(|message| whole(in_prometheus_words(&message)))?;
    let tree = convert::convert(&theirs, &prepared).map_err(whole)?;
    let normalised = Arc::from(tree.to_string());
    Ok(Expression(Arc::new(Parsed { text: Arc::from(text), normalised, tree })))
}

impl Expression {
    /// The author's text, byte for byte: what a source is asked.
    pub fn text(&self) -> &Arc<str> {
        &self.0.text
    }

    /// Prometheus' canonical print: for display, generator URLs and comparison.
    pub fn normalised(&self) -> &Arc<str> {
        &self.0.normalised
    }

    pub fn tree(&self) -> &Expr {
        &self.0.tree
    }

    pub fn value_type(&self) -> ValueType {
        self.0.tree.value_type()
    }
}

/// Two expressions are equal if they say the same.
impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.0.normalised == other.0.normalised
    }
}

/// The crate's error texts are Prometheus' but for quotes and names of types.
fn in_prometheus_words(message: &str) -> String {
    if message.contains("invalid promql query") {
        return "the parts of this expression do not fit together".to_owned();
    }
    let mut words = message.replace('\'', "\"");
    for (theirs, ours) in [("vector", "instant vector"), ("matrix", "range vector")] {
        for before in ["expected type ", "got ", "got: "] {
            words = words.replace(&format!("{before}{theirs}"), &format!("{before}{ours}"));
        }
    }
    words
}
