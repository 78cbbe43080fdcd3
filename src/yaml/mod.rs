//! YAML text to documents with spans: every fault of the text is found, nothing is expanded that was not asked for.
//!
//! Two ways to look at a document: node by node (`Document`), for files that are large and of few shapes, and as a whole
//! with everything expanded (`tree`), for files that are small and of many. Built on the event parser that `serde-saphyr` brings: its serde door stops at the first fault and hides how a scalar
//! was spelled, and both matter here. Aliases stay references, so a document of a few bytes cannot grow to gigabytes.
//! Duplicate keys, merge keys and null follow Go's `yaml.v3`, which reads the same files in Prometheus.

mod locate;
mod number;
mod read;
pub(crate) mod tree;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use serde_saphyr::granit_parser::ScalarStyle;

pub(crate) use number::{float, integer};
pub(crate) use read::{Reading, Scope, read};

use crate::diagnostic::{Finding, SourceText, Span};

/// Deepest nesting, of blocks and again of what stands in brackets. Rule files need seven levels, configurations and
/// Kubernetes objects some more.
const DEPTH_MAX: usize = 64;

/// Most children that are visited in one text, those behind aliases counted at each use. A file of 200,000 rules
/// has some four million; what needs more is a riddle, not a rule file.
const VISITS_MAX: usize = 8 << 20;

pub(crate) type NodeId = u32;

/// One YAML document.
pub(crate) struct Document<'a> {
    nodes: Vec<Node<'a>>,
    /// None for an empty document.
    pub(crate) root: Option<NodeId>,
    /// From its first to its last byte.
    pub(crate) span: Span,
    /// Shared by the documents of a text.
    visits: Rc<Cell<usize>>,
}

struct Node<'a> {
    /// Of a collection only its begin until the whole is read.
    span: Span,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Scalar {
        text: Cow<'a, str>,
        style: ScalarStyle,
        tag: CoreTag,
    },
    Sequence(Vec<NodeId>),
    Mapping(Vec<(NodeId, NodeId)>),
    Alias(NodeId),
    /// A fault that was reported already.
    Broken,
}

/// What an explicit tag makes of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CoreTag {
    /// No tag: plain scalars mean what they look like.
    None,
    Null,
    /// `!!int`, `!!float`: a quoted number is a number.
    Number,
    Merge,
    /// `!!str`, and everything that is not YAML's own.
    Text,
}

/// A node as its users see it: aliases already followed.
pub(crate) enum View<'d> {
    Null,
    Scalar(Scalar<'d>),
    Sequence(&'d [NodeId]),
    Mapping,
    Broken,
}

/// A scalar in its literal spelling: `010` is "010", `1e3` is "1e3".
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scalar<'d> {
    pub(crate) text: &'d str,
    pub(crate) span: Span,
    /// Written without quotes, so that it may be a number.
    pub(crate) plain: bool,
    style: ScalarStyle,
}

/// One key with its value, merged ones included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) key: NodeId,
    pub(crate) value: NodeId,
}

impl Document<'_> {
    /// The node behind an id, aliases followed.
    pub(crate) fn view(&self, id: NodeId) -> View<'_> {
        let node = &self.nodes[self.target(id) as usize];
        match &node.kind {
            Kind::Scalar { text, style, tag } => {
                let plain = *style == ScalarStyle::Plain && *tag == CoreTag::None;
                if *tag == CoreTag::Null || (plain && matches!(&**text, "" | "~" | "null" | "Null" | "NULL")) {
                    return View::Null;
                }
                let plain = plain || *tag == CoreTag::Number;
                View::Scalar(Scalar { text, span: node.span, plain, style: *style })
            }
            Kind::Sequence(children) => View::Sequence(children),
            Kind::Mapping(_) => View::Mapping,
            Kind::Alias(_) | Kind::Broken => View::Broken,
        }
    }

    /// Where a node stands: for an alias, where what it means stands.
    pub(crate) fn span(&self, id: NodeId) -> Span {
        self.nodes[self.target(id) as usize].span
    }

    /// YAML's name for the type of a node, as Go's messages have it.
    pub(crate) fn type_name(&self, id: NodeId) -> String {
        match self.view(id) {
            View::Null => "!!null".to_owned(),
            View::Sequence(_) => "!!seq".to_owned(),
            View::Mapping => "!!map".to_owned(),
            View::Broken => "a broken value".to_owned(),
            View::Scalar(scalar) => {
                let (mut shown, short) = (scalar.text, 10);
                if let Some((cut, _)) = scalar.text.char_indices().nth(short) {
                    shown = &scalar.text[..cut];
                }
                let dots = if shown.len() < scalar.text.len() { "..." } else { "" };
                let tag = match scalar.text {
                    "true" | "false" if scalar.plain => "!!bool",
                    text if scalar.plain && integer(text).is_some() => "!!int",
                    text if scalar.plain && float(text).is_some() => "!!float",
                    _ => "!!str",
                };
                format!("{tag} `{shown}{dots}`")
            }
        }
    }

    /// The entries of a mapping with its merge keys expanded: a key of its own wins over a merged one, and of merged
    /// mappings the first. Duplicate keys and wrong merges become findings. Empty for everything else.
    pub(crate) fn entries(&self, id: NodeId, source: &Arc<SourceText>, findings: &mut Vec<Finding>) -> Vec<Entry> {
        let mut found = Found::default();
        self.collect(id, source, &mut found, findings, 0);
        found.entries
    }

    /// Takes one visit off the bound; false, and a finding once, when none is left.
    pub(crate) fn may_visit(&self, count: usize, source: &Arc<SourceText>, findings: &mut Vec<Finding>) -> bool {
        let before = self.visits.get();
        if before > VISITS_MAX {
            return false;
        }
        self.visits.set(before + count);
        if before + count > VISITS_MAX {
            let message = "yaml: document contains excessive aliasing";
            findings.push(Finding::error(message).at(source, Span::new(self.span.start, self.span.start)));
            return false;
        }
        true
    }

    fn collect<'d>(
        &'d self,
        id: NodeId,
        source: &Arc<SourceText>,
        found: &mut Found<'d>,
        findings: &mut Vec<Finding>,
        depth: usize,
    ) {
        let Kind::Mapping(own) = &self.nodes[self.target(id) as usize].kind else { return };
        if !self.may_visit(own.len(), source, findings) {
            return;
        }
        self.report_duplicates(own, source, findings);
        let mut merges = Vec::new();
        for (key, value) in own {
            if self.is_merge(*key) {
                merges.push(*value);
            } else if found.is_new(self, *key) {
                found.entries.push(Entry { key: *key, value: *value });
            }
        }
        for merge in merges {
            let parts = match &self.nodes[self.target(merge) as usize].kind {
                Kind::Sequence(parts) => parts.as_slice(),
                _ => std::slice::from_ref(&merge),
            };
            if !self.may_visit(parts.len(), source, findings) {
                return;
            }
            for part in parts {
                match self.nodes[self.target(*part) as usize].kind {
                    Kind::Mapping(_) if depth < DEPTH_MAX => self.collect(*part, source, found, findings, depth + 1),
                    Kind::Mapping(_) => {
                        let message = format!("yaml: merge keys are nested more than {DEPTH_MAX} levels deep");
                        findings.push(Finding::error(message).at(source, self.span(*part)));
                    }
                    Kind::Broken => {}
                    _ => {
                        let message = "yaml: map merge requires map or sequence of maps as the value";
                        findings.push(Finding::error(message).at(source, self.span(*part)));
                    }
                }
            }
        }
    }

    fn report_duplicates(&self, own: &[(NodeId, NodeId)], source: &Arc<SourceText>, findings: &mut Vec<Finding>) {
        let mut report = |first: NodeId, second: NodeId, text: &str| {
            let line = source.line(self.nodes[first as usize].span.start);
            let finding = Finding::error(format!("mapping key {text:?} already defined at line {line}"));
            findings.push(finding.at(source, self.nodes[second as usize].span).label("the second of two equal keys"));
        };
        if own.len() <= KEYS_COMPARED_MAX {
            for (index, (key, _)) in own.iter().enumerate() {
                let Some(text) = self.literal(*key) else { continue };
                if let Some((first, _)) = own[..index].iter().find(|(other, _)| self.literal(*other) == Some(text)) {
                    report(*first, *key, text);
                }
            }
            return;
        }
        let mut seen: HashMap<&str, NodeId> = HashMap::with_capacity(own.len());
        for (key, _) in own {
            let Some(text) = self.literal(*key) else { continue };
            if let Some(first) = seen.get(text) {
                report(*first, *key, text);
            } else {
                seen.insert(text, *key);
            }
        }
    }

    fn literal(&self, id: NodeId) -> Option<&str> {
        match &self.nodes[id as usize].kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    fn is_merge(&self, key: NodeId) -> bool {
        match &self.nodes[key as usize].kind {
            Kind::Scalar { text, style, tag } => {
                text == "<<" && (*tag == CoreTag::Merge || (*tag == CoreTag::None && *style == ScalarStyle::Plain))
            }
            _ => false,
        }
    }

    fn target(&self, id: NodeId) -> NodeId {
        // An alias names a node that is not one: the parser resolves names to the nodes that carry them.
        match self.nodes[id as usize].kind {
            Kind::Alias(target) => target,
            _ => id,
        }
    }
}

/// Above this many keys a table of them is cheaper than comparing each with each.
const KEYS_COMPARED_MAX: usize = 16;

/// The entries of a mapping, found so far.
#[derive(Default)]
struct Found<'d> {
    entries: Vec<Entry>,
    /// The keys of them all, once there are many.
    keys: HashSet<&'d str>,
}

impl<'d> Found<'d> {
    fn is_new(&mut self, document: &'d Document<'_>, key: NodeId) -> bool {
        let literal = |key: NodeId| document.literal(document.target(key));
        let Some(text) = literal(key) else { return true };
        if self.entries.len() < KEYS_COMPARED_MAX {
            return !self.entries.iter().any(|known| literal(known.key) == Some(text));
        }
        if self.keys.is_empty() {
            self.keys.extend(self.entries.iter().filter_map(|known| literal(known.key)));
        }
        self.keys.insert(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalars(text: &str) -> (Arc<SourceText>, Vec<(String, String)>) {
        let source = SourceText::new("f", text);
        let Reading { documents, findings, .. } = read(&source, Scope::default());
        assert_eq!(findings, [], "{text}");
        let mut found = Vec::new();
        for document in &documents {
            let entries = document.entries(document.root.unwrap(), &source, &mut Vec::new());
            for entry in entries {
                let View::Scalar(scalar) = document.view(entry.value) else { continue };
                for word in ["foo", "bar", "it's", "\"", "é"] {
                    if let Some(at) = scalar.text.find(word) {
                        let span = scalar.locate(&source, Span::new(at, at + word.len()));
                        found.push((word.to_owned(), source.text[span.range()].to_owned()));
                    }
                }
            }
        }
        (source, found)
    }

    #[test]
    fn inner_spans_are_found_in_every_style() {
        for text in [
            "k: foo and bar\n",
            "k: foo\n  and\n  bar é\n",
            "k: |\n  foo\n\n    bar\n",
            "k: |2-\n\n    foo\n  bar",
            "k: >-\n  x foo\n  and\n\n\n    bar\n  é\n",
            "k: \"foo \\u00e9 \\\n   bar é\"\n",
            "k: \"\\tfoo\\n bar\"\r\n",
            "a: &a |\n  x foo\nk: *a\n",
        ] {
            let (_, found) = scalars(text);
            assert!(!found.is_empty());
            for (word, located) in found {
                assert!(
                    located == word || (word == "é" && located.starts_with('\\')),
                    "{text:?}: {word} is not {located}"
                );
            }
        }
        assert_eq!(scalars("k: 'x it''s'\n").1[0].1, "it''s");
        assert_eq!(scalars("k: \"a \\\"foo\"\n").1, [("foo".into(), "foo".into()), ("\"".into(), "\\".into())]);
    }

    #[test]
    fn lines_of_quoted_scalars_need_no_indentation() {
        for (text, value) in [
            ("k:\n  j: \"a  \n b\n\n\n c \n\"\n", "a b\n\nc "),
            ("k:\n  j: 'a\nb'\n", "a b"),
            ("k:\n  j: \"a\nb\"\n  l: 'c\r\nd'\n", "a b"),
        ] {
            let source = SourceText::new("f", text);
            let Reading { documents, findings, .. } = read(&source, Scope::default());
            assert_eq!(findings, [], "{text}");
            let inner = documents[0].entries(documents[0].root.unwrap(), &source, &mut Vec::new())[0].value;
            let inner = documents[0].entries(inner, &source, &mut Vec::new())[0].value;
            let View::Scalar(scalar) = documents[0].view(inner) else { panic!("a scalar") };
            assert_eq!(scalar.text, value);
            let b = scalar.text.find('b').unwrap();
            assert_eq!(&source.text[scalar.locate(&source, Span::new(b, b + 1)).range()], "b");
        }
    }
}
