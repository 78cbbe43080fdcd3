//! Kubernetes objects among rule files: `PrometheusRule` of the Prometheus operator, and lists of them.

use super::file::{Context, Reader};
use crate::diagnostic::Finding;
use crate::yaml::{NodeId, View};

/// The operator's API group; its version is not looked at, since there has been only one.
const API_GROUP: &str = "monitoring.coreos.com/";

/// Deepest nesting of lists in lists. `kubectl` makes one level.
const LIST_DEPTH_MAX: usize = 4;

pub(super) enum Kind {
    /// No object: a rule file.
    RuleFile,
    /// An object, with the `spec` of each `PrometheusRule` in it.
    Objects(Vec<NodeId>),
}

/// What a document is. Objects of other kinds are passed over with an info.
pub(super) fn kind_of(reader: &mut Reader<'_, '_>, root: NodeId) -> Kind {
    let mut specs = Vec::new();
    match collect(reader, root, &mut specs, 0) {
        true => Kind::Objects(specs),
        false => Kind::RuleFile,
    }
}

/// Adds the specs of an object; false if it is none.
fn collect(reader: &mut Reader<'_, '_>, id: NodeId, specs: &mut Vec<NodeId>, depth: usize) -> bool {
    if !matches!(reader.document.view(id), View::Mapping) {
        return false;
    }
    // Duplicate keys and wrong merges are reported when the document turns out to be ours.
    let entries = reader.document.entries(id, reader.source, &mut Vec::new());
    let text = |name: &str| reader.peek(&entries, name).and_then(|value| reader.text(value));
    let (Some(kind), Some(version)) = (text("kind"), text("apiVersion")) else { return false };
    if kind == "PrometheusRule" && version.starts_with(API_GROUP) {
        specs.extend(reader.peek(&entries, "spec"));
        reader.entries(id);
        return true;
    }
    if kind == "List" || (kind == "PrometheusRuleList" && version.starts_with(API_GROUP)) {
        let Some(items) = reader.peek(&entries, "items") else { return true };
        if depth == LIST_DEPTH_MAX {
            let message = format!("lists of objects are nested more than {LIST_DEPTH_MAX} levels deep");
            reader.push(Finding::error(message).at(reader.source, reader.document.span(items)));
            return true;
        }
        for item in reader.list(Context { group: "", rule: None }, items, "a list of objects") {
            if !collect(reader, item, specs, depth + 1) {
                let message = "an item of the list is no object: it needs `apiVersion` and `kind`";
                reader.push(Finding::error(message).at(reader.source, reader.document.span(item)));
            }
        }
        return true;
    }
    let span =
        reader.peek(&entries, "kind").map_or_else(|| reader.document.span(id), |kind| reader.document.span(kind));
    reader.push(
        Finding::info(format!("object of kind {kind} is passed over: it holds no rules")).at(reader.source, span),
    );
    true
}
