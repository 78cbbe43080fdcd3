//! A YAML text as a tree with positions, read to all its faults.
//!
//! Stands on the event parser under serde-saphyr. A typed reader stops at its first fault; this tree lets the readers
//! above it find all of them, point at keys as well as values, and see which scalars were plain.

use std::collections::HashMap;
use std::rc::Rc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError};

use crate::diagnostic::Span;

/// Deepest nesting taken, aliases included. Real configurations stay under 20; the bound keeps recursion small.
pub(super) const DEPTH_MAX: usize = 100;

/// Most entries that merge keys may add altogether: a few lines of aliases could otherwise ask for any amount of memory.
const MERGED_ENTRIES_MAX: usize = 1_000_000;

/// Most nodes with all aliases followed: ten lines of aliases to aliases could otherwise keep a reader busy for years.
const NODES_MAX: usize = 10_000_000;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
    /// Longest way down to a scalar, aliases followed.
    height: usize,
    /// Nodes in it and below it, counted again for every alias.
    weight: usize,
}

#[derive(Debug)]
pub(super) enum Value {
    Null,
    Scalar { text: String, plain: bool },
    Sequence(Vec<Rc<Node>>),
    Mapping(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) value: Rc<Node>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) span: Span,
}

/// The first document of a text.
#[derive(Debug)]
pub(super) struct Document {
    /// None: the text is empty or only comments, or its YAML is broken.
    pub(super) root: Option<Rc<Node>>,
    /// Where a second document begins, which nobody reads.
    pub(super) next_document: Option<Span>,
    pub(super) faults: Vec<Fault>,
}

impl Node {
    pub(super) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Where it begins: the first key of a mapping, the first byte of anything else.
    pub(super) fn head(&self) -> Span {
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
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}

/// Reads the first document of `text`.
pub(super) fn read(text: &str) -> Document {
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    let mut next_document = None;
    while let Some(next) = parser.next_event() {
        match next {
            Err(error) => {
                builder.fault(error.info(), scan_span(&error, text));
                builder.broken = true;
            }
            Ok((Event::DocumentStart(..), span)) if builder.done => {
                next_document = Some(byte_span(span));
                break;
            }
            Ok((event, span)) => builder.take(event, byte_span(span)),
        }
        if builder.broken {
            break;
        }
    }
    let root = if builder.broken { None } else { builder.root };
    Document { root, next_document, faults: builder.faults }
}

fn byte_span(span: serde_saphyr::granit_parser::Span) -> Span {
    span.byte_range().map_or(Span::default(), |range| Span::new(range.start, range.end))
}

fn scan_span(error: &ScanError, text: &str) -> Span {
    let start = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    let width = text.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    Span::new(start, start + width)
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    merged: usize,
    root: Option<Rc<Node>>,
    /// The first document has ended.
    done: bool,
    /// What follows could not be understood.
    broken: bool,
    faults: Vec<Fault>,
}

enum Open {
    Sequence {
        items: Vec<Rc<Node>>,
        start: Span,
        anchor: usize,
    },
    Mapping {
        entries: Vec<Entry>,
        index: HashMap<String, usize>,
        merges: Vec<Merge>,
        key: Option<Key>,
        start: Span,
        anchor: usize,
    },
}

struct Key {
    text: String,
    span: Span,
    merge: bool,
}

struct Merge {
    span: Span,
    value: Rc<Node>,
}

impl Builder {
    fn fault(&mut self, message: impl Into<String>, span: Span) {
        self.faults.push(Fault { message: message.into(), span });
    }

    fn take(&mut self, event: Event<'_>, span: Span) {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let value = if plain && is_null(&text) {
                    Value::Null
                } else if tag.is_some_and(|tag| tag.suffix() == "binary") {
                    Value::Scalar { text: self.decoded(&text, span), plain }
                } else {
                    Value::Scalar { text: text.into_owned(), plain }
                };
                self.finish(span, value, anchor);
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(Open::Sequence { items: Vec::new(), start: span, anchor }, span);
            }
            Event::MappingStart(_, anchor, _) => {
                let mapping = Open::Mapping {
                    entries: Vec::new(),
                    index: HashMap::new(),
                    merges: Vec::new(),
                    key: None,
                    start: span,
                    anchor,
                };
                self.open(mapping, span);
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(node) => self.place(node.clone(), span),
                None => {
                    self.fault("an alias inside its own anchor would never end", span);
                    self.broken = true;
                }
            },
            Event::DocumentEnd => self.done = true,
            _ => {}
        }
    }

    fn open(&mut self, open: Open, span: Span) {
        if self.open.len() >= DEPTH_MAX {
            self.fault(format!("nested deeper than {DEPTH_MAX} levels"), span);
            self.broken = true;
            return;
        }
        self.open.push(open);
    }

    fn close(&mut self, end: Span) {
        match self.open.pop() {
            Some(Open::Sequence { items, start, anchor }) => {
                self.finish(cover(start, end), Value::Sequence(items), anchor);
            }
            Some(Open::Mapping { mut entries, mut index, merges, start, anchor, .. }) => {
                for merge in merges {
                    self.merge(&merge, &mut entries, &mut index);
                }
                self.finish(cover(start, end), Value::Mapping(entries), anchor);
            }
            None => {}
        }
    }

    fn finish(&mut self, span: Span, value: Value, anchor: usize) {
        let below =
            |sum: (usize, usize), node: &Rc<Node>| (sum.0.max(node.height + 1), sum.1.saturating_add(node.weight));
        let (height, weight) = match &value {
            Value::Null | Value::Scalar { .. } => (0, 1),
            Value::Sequence(items) => items.iter().fold((1, 1), below),
            Value::Mapping(entries) => entries.iter().map(|entry| &entry.value).fold((1, 1), below),
        };
        if weight > NODES_MAX {
            self.fault(format!("aliases make more than {NODES_MAX} values"), span);
            self.broken = true;
            return;
        }
        let node = Rc::new(Node { span, value, height, weight });
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.place(node, span);
    }

    /// The text of a `!!binary` value.
    fn decoded(&mut self, text: &str, span: Span) -> String {
        let packed: String = text.split_ascii_whitespace().collect();
        let text = BASE64_STANDARD.decode(packed).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        text.unwrap_or_else(|| {
            self.fault("a !!binary value must be UTF-8 in base64", span);
            String::new()
        })
    }

    /// Puts a whole node where it belongs: a key, a value, an item, or the root. `span` is where it was written.
    fn place(&mut self, node: Rc<Node>, span: Span) {
        if node.height + self.open.len() > DEPTH_MAX {
            self.fault(format!("nested deeper than {DEPTH_MAX} levels"), span);
            self.broken = true;
            return;
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Sequence { items, .. }) => items.push(node),
            Some(Open::Mapping { key: key @ None, .. }) => {
                let text = match &node.value {
                    Value::Scalar { text, .. } => text.clone(),
                    Value::Null => String::new(),
                    Value::Sequence(_) | Value::Mapping(_) => {
                        self.faults.push(Fault { message: "a key must be a single value".to_owned(), span });
                        String::new()
                    }
                };
                let merge = matches!(&node.value, Value::Scalar { text, plain: true } if text == "<<");
                *key = Some(Key { text, span, merge });
            }
            Some(Open::Mapping { key, entries, index, merges, .. }) => {
                let key = key.take().expect("the arm above takes mappings without a key");
                if key.merge {
                    merges.push(Merge { span: key.span, value: node });
                } else if index.contains_key(&key.text) {
                    let message = format!("duplicate key {:?}", key.text);
                    self.faults.push(Fault { message, span: key.span });
                } else {
                    index.insert(key.text.clone(), entries.len());
                    entries.push(Entry { key: key.text, key_span: key.span, value: node });
                }
            }
        }
    }

    /// Entries of merged mappings, where the mapping has none of its own; of several, the first that has the key.
    fn merge(&mut self, merge: &Merge, entries: &mut Vec<Entry>, index: &mut HashMap<String, usize>) {
        let sources: Vec<&Rc<Node>> = match &merge.value.value {
            Value::Sequence(items) => items.iter().collect(),
            _ => vec![&merge.value],
        };
        for source in sources {
            let Value::Mapping(more) = &source.value else {
                self.fault("a merge key (<<) needs a mapping or a list of mappings", merge.span);
                continue;
            };
            for entry in more {
                if index.contains_key(&entry.key) {
                    continue;
                }
                if self.merged >= MERGED_ENTRIES_MAX {
                    self.fault(format!("merge keys add more than {MERGED_ENTRIES_MAX} entries"), merge.span);
                    self.broken = true;
                    return;
                }
                self.merged += 1;
                index.insert(entry.key.clone(), entries.len());
                entries.push(entry.clone());
            }
        }
    }
}

fn cover(start: Span, end: Span) -> Span {
    Span::new(start.start, end.end.max(start.end))
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn documents_become_trees() {
        for (text, expected) in [
            ("", "-"),
            ("# only a comment\n", "-"),
            ("a: 1\nb: [x, ~, 'y']\n", "{a: 1, b: [x, null, \"y\"]}"),
            ("base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\n", "{base: {x: 1, y: 2}, use: {y: 3, x: 1}}"),
            ("p: &p {x: 1}\nq: &q {x: 2, z: 3}\nr: {<<: [*p, *q]}", "{p: {x: 1}, q: {x: 2, z: 3}, r: {x: 1, z: 3}}"),
            ("a: !!binary aGk=", "{a: \"hi\"}"),
            ("a: |\n  two\n  lines\n", "{a: \"two\\nlines\\n\"}"),
        ] {
            let document = read(text);
            assert_eq!(document.faults, [], "{text}");
            assert_eq!(document.root.map_or("-".to_owned(), |root| show(&root)), expected, "{text}");
        }
    }

    #[test]
    fn all_duplicates_are_told_at_their_keys() {
        let text = "a: 1\nb: {c: 1, c: 2}\na: 3\n";
        let faults: Vec<_> =
            read(text).faults.into_iter().map(|f| (f.message, text[f.span.range()].to_owned(), f.span.start)).collect();
        assert_eq!(
            faults,
            [
                ("duplicate key \"c\"".to_owned(), "c".to_owned(), 15),
                ("duplicate key \"a\"".to_owned(), "a".to_owned(), 21),
            ]
        );
    }

    #[test]
    fn bombs_and_depth_are_refused() {
        let deep = "[".repeat(DEPTH_MAX + 1) + &"]".repeat(DEPTH_MAX + 1);
        let chain: String = (0..300).map(|i| format!("k{}: &k{} [*k{i}]\n", i + 1, i + 1)).collect();
        let nine = |i: usize| format!("*k{i}, ").repeat(9);
        let laughs: String = (0..12).map(|i| format!("k{}: &k{} [{}]\n", i + 1, i + 1, nine(i))).collect();
        for (text, message) in [
            (deep, "nested deeper than 100 levels"),
            (format!("k0: &k0 [x]\n{chain}"), "nested deeper than 100 levels"),
            (format!("k0: &k0 [x]\n{laughs}"), "aliases make more than 10000000 values"),
            ("a: !!binary /w==".to_owned(), "a !!binary value must be UTF-8 in base64"),
            ("a: &a [*a]".to_owned(), "an alias inside its own anchor would never end"),
        ] {
            let document = read(&text);
            assert_eq!(document.faults[0].message, message);
        }
    }
}
