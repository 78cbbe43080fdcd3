//! A document as a whole: aliases followed, merge keys expanded, every fault of that found.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::{Document, NodeId, View};
use crate::diagnostic::{Finding, SourceText, Span};

/// Highest tree, aliases followed. Real configurations stay under 20; the bound keeps recursion small.
const HEIGHT_MAX: usize = 100;

/// Most nodes with all aliases followed: ten lines of aliases to aliases could otherwise keep a reader busy for years.
const NODES_MAX: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
    /// Longest way down to a scalar, aliases followed.
    height: usize,
    /// Nodes in it and below it, counted again for every alias.
    weight: usize,
}

#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Scalar { text: String, plain: bool },
    Sequence(Vec<Rc<Node>>),
    Mapping(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Rc<Node>,
}

impl Node {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Where it begins: the first key of a mapping, the first byte of anything else.
    pub(crate) fn head(&self) -> Span {
        let Span { start, end } = self.span;
        match &self.value {
            Value::Mapping(entries)
                if !entries.is_empty() && self.span.range().contains(&entries[0].key_span.start) =>
            {
                entries[0].key_span
            }
            _ => Span::new(start, end.min(start + 1)),
        }
    }

    /// What it is, in words for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}

/// The tree of a document; none if it is empty or cannot be shown as one.
///
/// A key is a single value. A fault of one mapping (duplicate keys, wrong merges) leaves the rest of it there.
pub(crate) fn tree(document: &Document<'_>, source: &Arc<SourceText>, findings: &mut Vec<Finding>) -> Option<Rc<Node>> {
    let mut grower = Grower { document, source, findings, grown: HashMap::new(), nodes: 0 };
    grower.grow(document.root?)
}

struct Grower<'d, 'f> {
    document: &'d Document<'d>,
    source: &'d Arc<SourceText>,
    findings: &'f mut Vec<Finding>,
    /// What aliases may name again, by what they name.
    grown: HashMap<NodeId, Rc<Node>>,
    /// Children hung up so far, merged ones counted at each place.
    nodes: usize,
}

impl Grower<'_, '_> {
    /// None after a fault that makes the whole useless. Recursion is as deep as the text nests, since what an alias names
    /// stands before it.
    fn grow(&mut self, id: NodeId) -> Option<Rc<Node>> {
        let id = self.document.target(id);
        if let Some(node) = self.grown.get(&id) {
            return Some(node.clone());
        }
        let value = match self.document.view(id) {
            View::Null => Value::Null,
            View::Scalar(scalar) => Value::Scalar { text: scalar.text.to_owned(), plain: scalar.plain },
            View::Broken => return None,
            View::Sequence(items) => {
                self.count(items.len(), id)?;
                Value::Sequence(items.iter().map(|item| self.grow(*item)).collect::<Option<_>>()?)
            }
            View::Mapping => Value::Mapping(self.entries(id)?),
        };
        let (mut height, mut weight) = (0, 1_usize);
        for child in value.children() {
            height = height.max(child.height + 1);
            weight = weight.saturating_add(child.weight);
        }
        if height > HEIGHT_MAX {
            return self.refuse(format!("nested deeper than {HEIGHT_MAX} levels"), id);
        }
        if weight > NODES_MAX {
            return self.refuse(format!("aliases make more than {NODES_MAX} values"), id);
        }
        let node = Rc::new(Node { span: self.document.span(id), value, height, weight });
        self.grown.insert(id, node.clone());
        Some(node)
    }

    fn entries(&mut self, id: NodeId) -> Option<Vec<Entry>> {
        let found = self.document.entries(id, self.source, self.findings);
        self.count(found.len(), id)?;
        let mut entries = Vec::with_capacity(found.len());
        for entry in found {
            let key = match self.document.view(entry.key) {
                View::Scalar(scalar) => scalar.text.to_owned(),
                View::Null => String::new(),
                View::Broken => return None,
                View::Sequence(_) | View::Mapping => {
                    let finding = Finding::error("a key must be a single value");
                    self.findings.push(finding.at(self.source, self.document.span(entry.key)));
                    String::new()
                }
            };
            let value = self.grow(entry.value)?;
            entries.push(Entry { key, key_span: self.document.span(entry.key), value });
        }
        Some(entries)
    }

    fn count(&mut self, children: usize, id: NodeId) -> Option<()> {
        self.nodes += children;
        if self.nodes > NODES_MAX {
            return self.refuse(format!("more than {NODES_MAX} values"), id);
        }
        Some(())
    }

    fn refuse<T>(&mut self, message: String, id: NodeId) -> Option<T> {
        self.findings.push(Finding::error(message).at(self.source, self.document.span(id)));
        None
    }
}

impl Value {
    fn children(&self) -> impl Iterator<Item = &Rc<Node>> {
        let (items, entries): (&[Rc<Node>], &[Entry]) = match self {
            Value::Null | Value::Scalar { .. } => (&[], &[]),
            Value::Sequence(items) => (items, &[]),
            Value::Mapping(entries) => (&[], entries),
        };
        items.iter().chain(entries.iter().map(|entry| &entry.value))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Reading, Scope, read};
    use super::*;

    /// A compact form: `{a: 1, b: [x, null]}` with every scalar as its text.
    fn show(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".to_owned(),
            Value::Scalar { text, plain: true } => text.clone(),
            Value::Scalar { text, plain: false } => format!("{text:?}"),
            Value::Sequence(items) => {
                format!("[{}]", items.iter().map(|item| show(item)).collect::<Vec<_>>().join(", "))
            }
            Value::Mapping(entries) => {
                let entries: Vec<_> = entries.iter().map(|e| format!("{}: {}", e.key, show(&e.value))).collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }

    fn grown(text: &str) -> (Option<Rc<Node>>, Vec<(String, String)>) {
        let source = SourceText::new("f", text);
        let Reading { documents, mut findings, .. } = read(&source, Scope { first_only: true, secret: true });
        let root = documents.first().and_then(|document| tree(document, &source, &mut findings));
        let told = |finding: &Finding| {
            let place = finding.place.as_ref().map_or(Span::default(), |place| place.span);
            (finding.message.clone(), text[place.range()].to_owned())
        };
        (root, findings.iter().map(told).collect())
    }

    #[test]
    fn documents_become_trees() {
        for (text, expected) in [
            ("", "-"),
            ("# only a comment\n", "-"),
            ("a: 1\nb: [x, ~, 'y']\n", "{a: 1, b: [x, null, \"y\"]}"),
            ("base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\n", "{base: {x: 1, y: 2}, use: {y: 3, x: 1}}"),
            ("p: &p {x: 1}\nq: &q {x: 2, z: 3}\nr: {<<: [*p, *q]}", "{p: {x: 1}, q: {x: 2, z: 3}, r: {x: 1, z: 3}}"),
            ("a: !!binary aGk=", "{a: \"hi\"}"),
            ("p: &p {x: 1}\nq: {!!merge <<: *p}\nr: {'<<': y}", "{p: {x: 1}, q: {x: 1}, r: {<<: y}}"),
            ("a: |\n  two\n  lines\n", "{a: \"two\\nlines\\n\"}"),
        ] {
            let (root, faults) = grown(text);
            assert_eq!(faults, [], "{text}");
            assert_eq!(root.map_or("-".to_owned(), |root| show(&root)), expected, "{text}");
        }
    }

    #[test]
    fn all_duplicates_are_told_at_their_keys() {
        let text = "a: 1\nb: {c: 1, c: 2}\na: 3\n";
        let expected =
            |key: &str, line: u32| (format!("mapping key {key:?} already defined at line {line}"), key.to_owned());
        assert_eq!(grown(text).1, [expected("a", 1), expected("c", 2)]);
    }

    #[test]
    fn bombs_and_depth_are_refused() {
        let deep = "[".repeat(HEIGHT_MAX) + &"]".repeat(HEIGHT_MAX);
        let chain: String = (0..300).map(|i| format!("k{}: &k{} [*k{i}]\n", i + 1, i + 1)).collect();
        let nine = |i: usize| format!("*k{i}, ").repeat(9);
        let laughs: String = (0..12).map(|i| format!("k{}: &k{} [{}]\n", i + 1, i + 1, nine(i))).collect();
        for (text, message) in [
            (deep, "yaml: nested too deep"),
            (format!("k0: &k0 [x]\n{chain}"), "nested deeper than 100 levels"),
            (format!("k0: &k0 [x]\n{laughs}"), "aliases make more than 1048576 values"),
            ("a: !!binary /w==".to_owned(), "a !!binary value must be UTF-8 in base64"),
            ("a: &a [*a]".to_owned(), "yaml: anchor value contains itself"),
        ] {
            let (root, faults) = grown(&text);
            assert!(root.is_none() || message.contains("base64"));
            assert_eq!(faults[0].0, message);
        }
    }
}
