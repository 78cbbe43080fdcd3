//! Relabeling rules on label sets. (Signatures for now.)

use crate::model::Labels;

/// One checked relabeling rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RelabelRule {}

/// The label set after all rules; `None` if a rule drops it.
pub fn relabel(_rules: &[RelabelRule], labels: &Labels) -> Option<Labels> {
    Some(labels.clone())
}
