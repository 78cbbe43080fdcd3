//! YAML text to trees with spans: every fault of the text is found, nothing is expanded that was not asked for.
//!
//! Built on the event parser that `serde-saphyr` brings: its serde door stops at the first fault and hides how a scalar
//! was spelled, and both matter here. Aliases stay references, so a document of a few bytes cannot grow to gigabytes.
//! Duplicate keys, merge keys and null follow Go's `yaml.v3`, which reads the same files in Prometheus.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use serde_saphyr::granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Tag};

use crate::diagnostic::{Finding, SourceText, Span};

/// Largest text that is read. A rule takes about 300 bytes, so this is room for 200,000 of them in one file.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// Deepest nesting. Rule files need seven levels, Kubernetes objects some more.
const DEPTH_MAX: usize = 64;

/// Most documents of one text.
const DOCUMENTS_MAX: usize = 10_000;

/// Most children that are visited in one document, those behind aliases counted at each use. A file of 200,000 rules
/// has some four million; what needs more is a riddle, not a rule file.
const VISITS_MAX: usize = 8 << 20;

pub(super) type NodeId = u32;

/// One YAML document.
pub(super) struct Document<'a> {
    nodes: Vec<Node<'a>>,
    /// None for an empty document.
    pub(super) root: Option<NodeId>,
    /// From its first to its last byte.
    pub(super) span: Span,
    visits: Cell<usize>,
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
pub(super) enum View<'d> {
    Null,
    Scalar(Scalar<'d>),
    Sequence(&'d [NodeId]),
    Mapping,
    Broken,
}

/// A scalar in its literal spelling: `010` is "010", `1e3` is "1e3".
#[derive(Clone, Copy, Debug)]
pub(super) struct Scalar<'d> {
    pub(super) text: &'d str,
    pub(super) span: Span,
    /// Written without quotes, so that it may be a number.
    pub(super) plain: bool,
    style: ScalarStyle,
}

/// One key with its value, merged ones included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) key: NodeId,
    pub(super) value: NodeId,
}

/// Most bytes that are read again for the sake of lines that are not indented.
const REPAIR_BYTES_MAX: usize = 256 << 20;

/// Reads the documents of a text, or only the first. What cannot be read gives findings; the other documents are still
/// read. A document with a syntax error is left out as a whole.
pub(super) fn read<'a>(source: &'a Arc<SourceText>, first_only: bool) -> (Vec<Document<'a>>, Vec<Finding>) {
    if source.text.len() > TEXT_BYTES_MAX {
        let message = format!("the file has {} bytes, the most that is read is {TEXT_BYTES_MAX}", source.text.len());
        let finding = Finding::error(message).at(source, Span::new(0, 0)).help("split it into several files");
        return (Vec::new(), vec![finding]);
    }
    let (mut text, mut mark, mut bytes_read) = (Cow::Borrowed(&*source.text), None, 0);
    loop {
        bytes_read += text.len();
        let (documents, findings, unindented) = read_text(&text, mark, source, first_only);
        let Some(at) = unindented.filter(|_| bytes_read < REPAIR_BYTES_MAX) else { return (documents, findings) };
        mark = mark.or_else(|| ('!'..='~').find(|c| !matches!(c, '"' | '\'' | '\\') && !source.text.contains(*c)));
        match mark.and_then(|mark| repaired(&text, mark, at)) {
            Some(repaired) => text = Cow::Owned(repaired),
            None => return (documents, findings),
        }
    }
}

/// The text with the line break before `at` replaced by a mark, an ASCII character that the text does not have.
///
/// YAML 1.2 wants the later lines of a quoted scalar indented, and the parser insists; YAML 1.1, which Go reads, does not
/// care, and people write such files. With a mark instead of the break there is no second line, and `unmarked` folds it.
fn repaired(text: &str, mark: char, at: usize) -> Option<String> {
    let newline = text.get(..at)?.trim_end_matches([' ', '\t']).len().checked_sub(1)?;
    if !text[newline..].starts_with('\n') {
        return None;
    }
    let mut repaired = text.to_owned();
    if text[..newline].ends_with('\r') {
        repaired.replace_range(newline - 1..newline, " ");
    }
    repaired.replace_range(newline..=newline, mark.encode_utf8(&mut [0]));
    Some(repaired)
}

/// Folds marked line breaks as YAML folds lines: one is a space, of several all but the first stay.
fn unmarked(text: &str, mark: char) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut lines = text.split(mark).peekable();
    folded.push_str(lines.next().unwrap_or_default().trim_end_matches([' ', '\t', '\r']));
    let mut breaks = 0;
    while let Some(line) = lines.next() {
        breaks += 1;
        let mut line = line.trim_start_matches([' ', '\t']);
        if lines.peek().is_some() {
            line = line.trim_end_matches([' ', '\t', '\r']);
        }
        if line.is_empty() && lines.peek().is_some() {
            continue;
        }
        match breaks {
            1 => folded.push(' '),
            _ => folded.extend(std::iter::repeat_n('\n', breaks - 1)),
        }
        folded.push_str(line);
        breaks = 0;
    }
    folded
}

/// `text` is the source's, or that with some line breaks marked. The offset is that of the first line which is not
/// indented as it should be.
fn read_text<'a>(
    text: &str,
    mark: Option<char>,
    source: &'a Arc<SourceText>,
    first_only: bool,
) -> (Vec<Document<'a>>, Vec<Finding>, Option<usize>) {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.emit_unresolved_aliases = true;
    (options.block_nesting_limit, options.flow_nesting_limit) = (DEPTH_MAX, DEPTH_MAX);
    let mut parser = Parser::new_from_str_with_options(text, options);
    let (mut documents, mut findings, mut unindented) = (Vec::new(), Vec::new(), None);
    let mut builder = Builder::new(text, mark, source);
    while let Some(next) = parser.next_event() {
        match next {
            Ok((Event::DocumentStart(..), span)) => {
                builder = Builder::new(text, mark, source);
                let at = offset(span.start, source);
                builder.document.span = Span::new(at, at);
            }
            Ok((Event::DocumentEnd, span)) => {
                let ended = std::mem::replace(&mut builder, Builder::new(text, mark, source));
                documents.push(ended.finish(offset(span.end, source)));
                if first_only {
                    break;
                }
                if documents.len() == DOCUMENTS_MAX {
                    let message = format!("more than {DOCUMENTS_MAX} documents in one file");
                    findings.push(Finding::error(message).at(source, builder.document.span));
                    break;
                }
            }
            Ok((event, span)) => {
                let span = span.byte_range().map_or(Span::default(), |range| Span::new(range.start, range.end));
                builder.take(event, span, &mut findings);
            }
            Err(error) => {
                if *error.kind() == ErrorKind::InvalidQuotedScalarIndent && unindented.is_none() {
                    unindented = Some(offset(*error.marker(), source));
                }
                findings.push(syntax_error(source, &error));
                builder = Builder::new(text, mark, source);
                if first_only || !matches!(parser.proceed_next_document(), Ok(true)) {
                    break;
                }
            }
        }
    }
    (documents, findings, unindented)
}

fn syntax_error(source: &Arc<SourceText>, error: &ScanError) -> Finding {
    let start = offset(*error.marker(), source);
    let end = start + source.text[start..].chars().next().map_or(0, char::len_utf8);
    let finding = Finding::error(format!("yaml: {}", error.info())).at(source, Span::new(start, end));
    let starts = |c: char| source.text[start..].starts_with(c);
    if starts('\t') {
        finding.help("YAML does not indent with tabs; use spaces")
    } else if starts('@') || starts('`') || starts('%') {
        finding.help("a value that begins with this character must be quoted")
    } else {
        finding
    }
}

/// The byte offset of a mark, moved to a character's begin.
fn offset(mark: serde_saphyr::granit_parser::Marker, source: &SourceText) -> usize {
    let mut offset = mark.byte_offset().unwrap_or(0).min(source.text.len());
    while !source.text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Builds one document from events.
struct Builder<'a, 't> {
    /// What is parsed.
    text: &'t str,
    mark: Option<char>,
    source: &'a Arc<SourceText>,
    document: Document<'a>,
    /// Collections that are still open, each with a key that waits for its value.
    open: Vec<(NodeId, Option<NodeId>)>,
    anchors: HashMap<usize, NodeId>,
}

impl<'a, 't> Builder<'a, 't> {
    fn new(text: &'t str, mark: Option<char>, source: &'a Arc<SourceText>) -> Builder<'a, 't> {
        let document = Document { nodes: Vec::new(), root: None, span: Span::default(), visits: Cell::new(0) };
        Builder { text, mark, source, document, open: Vec::new(), anchors: HashMap::new() }
    }

    fn finish(mut self, end: usize) -> Document<'a> {
        self.document.span.end = end.max(self.document.span.start);
        self.document
    }

    /// A scalar's text, of the source itself where it stands there as it is.
    fn scalar_text(&self, text: Cow<'t, str>) -> Cow<'a, str> {
        if let Some(mark) = self.mark.filter(|mark| text.contains(*mark)) {
            return Cow::Owned(unmarked(&text, mark));
        }
        let text = match text {
            Cow::Owned(text) => return Cow::Owned(text),
            Cow::Borrowed(text) => text,
        };
        let start = (text.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize);
        let same = start.and_then(|start| self.source.text.get(start..start + text.len()));
        match same.filter(|same| *same == text) {
            Some(same) => Cow::Borrowed(same),
            None => Cow::Owned(text.to_owned()),
        }
    }

    fn take(&mut self, event: Event<'t>, span: Span, findings: &mut Vec<Finding>) {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let text = self.scalar_text(text);
                let tag = core_tag(tag.as_deref());
                self.add(Kind::Scalar { text, style, tag }, span, anchor);
            }
            Event::SequenceStart(_, anchor, _) => {
                let id = self.add(Kind::Sequence(Vec::new()), span, anchor);
                self.open.push((id, None));
            }
            Event::MappingStart(_, anchor, _) => {
                let id = self.add(Kind::Mapping(Vec::new()), span, anchor);
                self.open.push((id, None));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((id, _)) = self.open.pop() {
                    let node = &mut self.document.nodes[id as usize];
                    node.span.end = node.span.end.max(span.end);
                }
            }
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).copied();
                let inside_itself = |target: &NodeId| self.open.iter().any(|(id, _)| id == target);
                let kind = match target {
                    Some(target) if !inside_itself(&target) => Kind::Alias(target),
                    _ => {
                        let name = self.source.text.get(span.range()).unwrap_or_default().trim_start_matches('*');
                        let message = format!("yaml: anchor '{name}' value contains itself");
                        findings.push(Finding::error(message).at(self.source, span));
                        Kind::Broken
                    }
                };
                self.add(kind, span, 0);
            }
            Event::UnresolvedAlias(name) => {
                let finding = Finding::error(format!("yaml: unknown anchor '{name}' referenced"));
                findings.push(finding.at(self.source, span).help(format!("an anchor `&{name}` must stand before it")));
                self.add(Kind::Broken, span, 0);
            }
            _ => {}
        }
    }

    /// Adds a node and hangs it where the document is open.
    fn add(&mut self, kind: Kind<'a>, span: Span, anchor: usize) -> NodeId {
        // Texts are bounded by `TEXT_BYTES_MAX`, and each node takes at least a byte or two.
        let id = NodeId::try_from(self.document.nodes.len()).expect("fewer nodes than bytes");
        self.document.nodes.push(Node { span, kind });
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        let Some((parent, key)) = self.open.last_mut() else {
            self.document.root = Some(id);
            return id;
        };
        let parent = &mut self.document.nodes[*parent as usize];
        match &mut parent.kind {
            Kind::Sequence(children) => children.push(id),
            Kind::Mapping(entries) => match key.take() {
                None => *key = Some(id),
                Some(key) => entries.push((key, id)),
            },
            _ => {}
        }
        id
    }
}

fn core_tag(tag: Option<&Tag>) -> CoreTag {
    match tag.map(Tag::core_suffix) {
        None => CoreTag::None,
        Some(Some("null")) => CoreTag::Null,
        Some(Some("int" | "float")) => CoreTag::Number,
        Some(Some("merge")) => CoreTag::Merge,
        Some(_) => CoreTag::Text,
    }
}

impl Document<'_> {
    /// The node behind an id, aliases followed.
    pub(super) fn view(&self, id: NodeId) -> View<'_> {
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
    pub(super) fn span(&self, id: NodeId) -> Span {
        self.nodes[self.target(id) as usize].span
    }

    /// YAML's name for the type of a node, as Go's messages have it.
    pub(super) fn type_name(&self, id: NodeId) -> String {
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
    pub(super) fn entries(&self, id: NodeId, source: &Arc<SourceText>, findings: &mut Vec<Finding>) -> Vec<Entry> {
        let mut entries = Vec::new();
        self.collect(id, source, &mut entries, findings, 0);
        entries
    }

    /// Takes one visit off the bound; false, and a finding once, when none is left.
    pub(super) fn may_visit(&self, count: usize, source: &Arc<SourceText>, findings: &mut Vec<Finding>) -> bool {
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

    fn collect(
        &self,
        id: NodeId,
        source: &Arc<SourceText>,
        entries: &mut Vec<Entry>,
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
            } else if !entries.iter().any(|known| self.same_key(known.key, *key)) {
                entries.push(Entry { key: *key, value: *value });
            }
        }
        for merge in merges {
            match (&self.nodes[self.target(merge) as usize].kind, depth < DEPTH_MAX) {
                (Kind::Mapping(_), true) => self.collect(merge, source, entries, findings, depth + 1),
                (Kind::Sequence(parts), true) => {
                    for part in parts {
                        match self.nodes[self.target(*part) as usize].kind {
                            Kind::Mapping(_) => self.collect(*part, source, entries, findings, depth + 1),
                            Kind::Broken => {}
                            _ => findings.push(merge_error(source, self.span(*part))),
                        }
                    }
                }
                (Kind::Broken, _) => {}
                _ => findings.push(merge_error(source, self.span(merge))),
            }
        }
    }

    fn report_duplicates(&self, own: &[(NodeId, NodeId)], source: &Arc<SourceText>, findings: &mut Vec<Finding>) {
        /// Above this many keys a table of them is cheaper than comparing each with each.
        const KEYS_COMPARED_MAX: usize = 16;
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

    fn same_key(&self, left: NodeId, right: NodeId) -> bool {
        self.literal(self.target(left)).is_some_and(|left| Some(left) == self.literal(self.target(right)))
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

fn merge_error(source: &Arc<SourceText>, span: Span) -> Finding {
    Finding::error("yaml: map merge requires map or sequence of maps as the value").at(source, span)
}

/// A whole number as Go's `yaml.v3` reads a plain scalar: `5`, `+5`, `1_000`, `0x1F`, `0b1`, `0o17` and `017`.
pub(super) fn integer(text: &str) -> Option<i64> {
    let plain = text.replace('_', "");
    if !plain.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '-') {
        return None;
    }
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// A float as Go's `yaml.v3` reads a plain scalar.
pub(super) fn float(text: &str) -> Option<f64> {
    match text {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    let plain = text.replace('_', "");
    let digits = plain.trim_start_matches(['+', '-']);
    let starts_well = digits.starts_with(|c: char| c.is_ascii_digit())
        || (digits.starts_with('.') && digits[1..].starts_with(|c: char| c.is_ascii_digit()));
    if !starts_well || plain.len() - digits.len() > 1 {
        return None;
    }
    plain.parse().ok()
}

impl Scalar<'_> {
    /// The span in the file of a span in the scalar's value: through indentation, folded lines and escapes.
    ///
    /// The whole scalar where the two cannot be matched.
    pub(super) fn locate(&self, source: &SourceText, inner: Span) -> Span {
        let (Some(start), true) = (self.locate_offset(source, inner.start), inner.start <= inner.end) else {
            return self.span;
        };
        if inner.end == inner.start {
            return Span::new(start, start);
        }
        // The last byte's place and one behind it, so that a span does not reach over a folded line's indentation.
        let last = (inner.start..inner.end.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at));
        let end = last.and_then(|last| {
            let found = self.locate_offset(source, last)?;
            Some(found + source.text[found..].chars().next().map_or(0, char::len_utf8))
        });
        end.map_or(self.span, |end| Span::new(start, end.max(start)))
    }

    fn locate_offset(&self, source: &SourceText, target: usize) -> Option<usize> {
        let mut from = self.span.start;
        let raw = source.text.get(self.span.range())?;
        let mut raw_chars = raw.char_indices().peekable();
        if matches!(self.style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) {
            raw_chars.next();
        }
        if target == self.text.len() {
            let quote = usize::from(self.style == ScalarStyle::SingleQuoted || self.style == ScalarStyle::DoubleQuoted);
            return Some(from + raw.trim_end().len() - quote);
        }
        // White space is what indentation, folding and chomping change, so only the other characters are matched.
        for (at, wanted) in self.text.char_indices().filter(|(_, c)| !c.is_whitespace()) {
            from = loop {
                let (raw_at, c) = raw_chars.next()?;
                let meant = match (self.style, c) {
                    (ScalarStyle::DoubleQuoted, '\\') => skip_escape(&mut raw_chars),
                    (ScalarStyle::SingleQuoted, '\'') => {
                        raw_chars.next();
                        Some('\'')
                    }
                    _ => Some(c),
                };
                match meant {
                    Some(c) if c.is_whitespace() => {}
                    Some(c) if c == wanted => break self.span.start + raw_at,
                    Some(_) => return None,
                    // An escape: it stands for the wanted character, or for white space before it.
                    None if raw[raw_at + 1..]
                        .starts_with(['n', 't', 'r', ' ', '\n', '\t', '\r', 'N', '_', 'L', 'P']) => {}
                    None => break self.span.start + raw_at,
                }
            };
            if at >= target || at + wanted.len_utf8() > target {
                return Some(from);
            }
        }
        // The target lies in trailing white space.
        Some(self.span.start + raw.trim_end().len())
    }
}

/// Passes over what follows a backslash in double quotes; the character if it stands for itself.
fn skip_escape(raw: &mut std::iter::Peekable<std::str::CharIndices<'_>>) -> Option<char> {
    let (_, c) = raw.next()?;
    let digits = match c {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        '"' | '\\' | '/' => return Some(c),
        _ => 0,
    };
    for _ in 0..digits {
        raw.next();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalars(text: &str) -> (Arc<SourceText>, Vec<(String, String)>) {
        let source = SourceText::new("f", text);
        let (documents, findings) = read(&source, false);
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
            let (documents, findings) = read(&source, false);
            assert_eq!(findings, [], "{text}");
            let inner = documents[0].entries(documents[0].root.unwrap(), &source, &mut Vec::new())[0].value;
            let inner = documents[0].entries(inner, &source, &mut Vec::new())[0].value;
            let View::Scalar(scalar) = documents[0].view(inner) else { panic!("a scalar") };
            assert_eq!(scalar.text, value);
            let b = scalar.text.find('b').unwrap();
            assert_eq!(&source.text[scalar.locate(&source, Span::new(b, b + 1)).range()], "b");
        }
    }

    #[test]
    fn numbers_are_gos() {
        for (text, whole) in [
            ("5", Some(5)),
            ("-1", Some(-1)),
            ("+1_000", Some(1000)),
            ("0x1f", Some(31)),
            ("010", Some(8)),
            ("0o10", Some(8)),
            ("0b11", Some(3)),
            ("08", None),
            ("1.5", None),
            ("", None),
            ("-", None),
            ("0x", None),
            ("0x+5", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(integer(text), whole, "{text}");
        }
        assert_eq!(float("1.5e3"), Some(1500.0));
        assert_eq!(float("08"), Some(8.0));
        assert_eq!(float("inf"), None);
        assert_eq!(float("1x"), None);
    }
}
