//! Relabeling rules as people write them, and back.

use std::rc::Rc;

use super::ValidationScheme;
use super::read::{Fields, Reader, Shape};
use super::yaml::Node;
use crate::relabel::RelabelRule;

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
    let fields = reader.section(list, node, node.span, &[&RELABEL]);
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
    match build(spec) {
        Ok(rule) => Some(rule),
        Err(error) => {
            reader.error(error, node.span);
            None
        }
    }
}

#[allow(dead_code)]
struct RelabelSpec {
    source_labels: Option<Vec<String>>,
    separator: Option<String>,
    regex: Option<String>,
    modulus: Option<u64>,
    target_label: Option<String>,
    replacement: Option<String>,
    action: Option<String>,
    legacy_names: bool,
}

fn build(_spec: RelabelSpec) -> Result<RelabelRule, String> {
    Ok(RelabelRule {})
}
