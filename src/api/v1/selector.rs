//! `match[]`: selectors over a rule's configured labels.

use promql_parser::label::MatchOp as ParsedOp;
use promql_parser::parser::Expr;

use crate::model::{Labels, MatchOp, Matcher};

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
    let fault = |cause: &str| format!("unknown position: parse error: {cause}");
    let parsed = promql_parser::parser::parse(text).map_err(|error| fault(&error))?;
    let Expr::VectorSelector(selector) = parsed else {
        return Err(fault("not a vector selector"));
    };
    if selector.offset.is_some() || selector.at.is_some() || !selector.matchers.or_matchers.is_empty() {
        return Err(fault("a selector of labels takes neither modifiers nor `or`"));
    }
    let named = selector.name.iter().map(|name| Ok(Matcher::equal(crate::model::METRIC_NAME, name.as_str())));
    let rest = selector.matchers.matchers.iter().map(|matcher| {
        let op = match matcher.op {
            ParsedOp::Equal => MatchOp::Equal,
            ParsedOp::NotEqual => MatchOp::NotEqual,
            ParsedOp::Re(_) => MatchOp::Regex,
            ParsedOp::NotRe(_) => MatchOp::NotRegex,
        };
        Matcher::new(op, matcher.name.as_str(), matcher.value.as_str()).map_err(|error| fault(&error.to_string()))
    });
    named.chain(rest).collect()
}
