//! `match[]`: selectors over a rule's configured labels.

use crate::model::Labels;

/// All of its matchers must match.
#[derive(Clone, Debug)]
pub(super) struct Selector {}

impl Selector {
    /// Reads a selector like `{severity="page", team=~"a|b"}`.
    ///
    /// Errors: Prometheus' texts, which carry no parameter name.
    pub(super) fn parse(text: &str) -> Result<Selector, String> {
        Err(text.to_owned())
    }

    pub(super) fn matches(&self, labels: &Labels) -> bool {
        labels.is_empty()
    }
}
