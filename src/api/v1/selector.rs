//! `match[]`: selectors over a rule's configured labels.

use crate::diagnostic::SourceText;
use crate::model::{Labels, Matcher};
use crate::promql::{self, Expr, Modifiers};

/// Of a selector that every rule would pass; also what the parser's own complaint about one ends in.
const NON_EMPTY: &str = "must contain at least one non-empty matcher";

/// All of its matchers must match.
#[derive(Clone, Debug)]
pub(super) struct Selector(Vec<Matcher>);

impl Selector {
    /// Reads a selector like `{severity="page", team=~"a|b"}`.
    ///
    /// Errors: Prometheus' texts, which name no parameter.
    pub(super) fn parse(text: &str) -> Result<Selector, String> {
        match matchers(text) {
            Ok(matchers) if !matchers.iter().all(|matcher| matcher.matches("")) => Ok(Selector(matchers)),
            Err(fault) if !fault.ends_with(NON_EMPTY) => Err(fault),
            _ => Err(format!("match[] {NON_EMPTY}")),
        }
    }

    pub(super) fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches_labels(labels))
    }
}

/// The matchers of a plain vector selector, that of its metric name included.
fn matchers(text: &str) -> Result<Vec<Matcher>, String> {
    // Prometheus knows no position in nothing.
    if text.is_empty() {
        return Err("unknown position: parse error: unexpected end of input".to_owned());
    }
    let fault = |at: usize, cause: &str| {
        let (line, column) = SourceText::new("", text).line_column(at);
        format!("{line}:{column}: parse error: {cause}")
    };
    let parsed = promql::parse(text).map_err(|error| fault(error.span.start, &error.message))?;
    match parsed.tree() {
        Expr::Selector(selector) if selector.modifiers == Modifiers::default() => Ok(selector.matchers.clone()),
        Expr::Selector(_) => Err(fault(0, "`match[]` takes no modifiers")),
        _ => Err(fault(0, "`match[]` takes a vector selector")),
    }
}
