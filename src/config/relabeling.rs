//! Relabeling rules as people write them.

use std::rc::Rc;

use super::read::{Fields, Reader, Shape};
use crate::diagnostic::Span;
use crate::model::ValidationScheme;
use crate::relabel::{RelabelError, RelabelRule, RelabelSpec};
use crate::yaml::tree::Node;

const RELABEL: Shape = Shape {
    read: &["source_labels", "separator", "regex", "modulus", "target_label", "replacement", "action"],
    ..Shape::NONE
};

/// The rules of one list; `null_message` is what a null item is called.
pub(super) fn rules(reader: &mut Reader<'_>, fields: &Fields<'_>, name: &str, null_message: &str) -> Vec<RelabelRule> {
    let mut rules = Vec::new();
    for node in reader.list(fields, name) {
        if node.is_null() {
            reader.error(null_message, node.span);
        } else if let Some(rule) = rule(reader, name, node) {
            rules.push(rule);
        }
    }
    rules
}

fn rule(reader: &mut Reader<'_>, list: &str, node: &Rc<Node>) -> Option<RelabelRule> {
    let errors_before = reader.error_count();
    let fields = reader.section(list, node, node.head(), &[&RELABEL]);
    let labels: Vec<String> = reader.texts(&fields, "source_labels").into_iter().map(|(label, _)| label).collect();
    let spec = RelabelSpec {
        source_labels: fields.has("source_labels").then_some(labels),
        separator: reader.text(&fields, "separator"),
        regex: reader.text(&fields, "regex"),
        modulus: reader.unsigned(&fields, "modulus"),
        target_label: reader.text(&fields, "target_label"),
        replacement: reader.text(&fields, "replacement"),
        action: reader.text(&fields, "action"),
        legacy_names: reader.scheme == ValidationScheme::Legacy,
    };
    if reader.error_count() > errors_before {
        // What is missing now may be what was misspelt.
        return None;
    }
    match RelabelRule::new(spec) {
        Ok(rule) => Some(rule),
        Err(error) => {
            reader.error(error.to_string(), place(&fields, &error));
            None
        }
    }
}

/// The field that is at fault; where one is missing or they do not fit together, the rule.
fn place(fields: &Fields<'_>, error: &RelabelError) -> Span {
    match error {
        RelabelError::UnknownAction(_) => fields.value("action"),
        RelabelError::Regex(_) => fields.value("regex"),
        RelabelError::SourceLabel(_) => fields.value("source_labels"),
        RelabelError::TargetLabel { .. } => fields.value("target_label"),
        RelabelError::Replacement { .. } => fields.value("replacement"),
        RelabelError::ReplacementSet(_) => fields.key("replacement"),
        RelabelError::NoModulus => fields.key("modulus"),
        RelabelError::NoTargetLabel(_) | RelabelError::OnlySourceAndTarget(_) | RelabelError::OnlyRegex(_) => {
            fields.key("action")
        }
    }
}
