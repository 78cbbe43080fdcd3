//! The vector selectors of a tree: what an expression reads.

use super::tree::{Expr, VectorSelector};
use crate::model::{METRIC_NAME, MatchOp, Matcher};

/// All vector selectors, also those inside of ranges and subqueries, from left to right.
pub fn selectors(expr: &Expr) -> Vec<&VectorSelector> {
    let mut found = Vec::new();
    // The pending nodes, the leftmost last.
    let mut pending = vec![expr];
    while let Some(expr) = pending.pop() {
        match expr {
            Expr::Number { .. } | Expr::Str(_) => {}
            Expr::Selector(selector) | Expr::Range { selector, .. } => found.push(selector),
            Expr::Subquery(subquery) => pending.push(&subquery.expr),
            Expr::Aggregate(aggregate) => {
                pending.push(&aggregate.expr);
                pending.extend(&aggregate.param);
            }
            Expr::Call { args, .. } => pending.extend(args.iter().rev()),
            Expr::Binary(binary) => pending.extend([&binary.rhs, &binary.lhs]),
            Expr::Unary { expr, .. } | Expr::Paren(expr) => pending.push(expr),
        }
    }
    found
}

impl VectorSelector {
    /// The matchers on the metric name; none where every name passes.
    pub fn name_matchers(&self) -> impl Iterator<Item = &Matcher> {
        self.matchers.iter().filter(|matcher| matcher.name() == METRIC_NAME)
    }

    /// The one metric name that can pass, if that is plain to see.
    pub fn metric_name(&self) -> Option<&str> {
        self.name_matchers().find(|matcher| matcher.op() == MatchOp::Equal).map(Matcher::value)
    }
}
