//! Text to documents: the parser's events, hung into trees.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_saphyr::granit_parser::{ErrorKind, Event, Marker, Options, Parser, ScanError, Tag};

use super::{CoreTag, DEPTH_MAX, Document, Kind, Node, NodeId};
use crate::diagnostic::{Finding, SourceText, Span};

/// Largest text that is read. A rule takes about 300 bytes, so this is room for 200,000 of them in one file.
const TEXT_BYTES_MAX: usize = 64 << 20;

/// Most documents of one text.
const DOCUMENTS_MAX: usize = 10_000;

/// Most bytes that are read again for the sake of lines that are not indented.
const REPAIR_BYTES_MAX: usize = 256 << 20;

/// What is read of a text, and who will see what is wrong with it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scope {
    /// Only the first document is read.
    pub(crate) first_only: bool,
    /// The text holds secrets: no message repeats any of it.
    pub(crate) secret: bool,
}

#[derive(Default)]
pub(crate) struct Reading<'a> {
    pub(crate) documents: Vec<Document<'a>>,
    pub(crate) findings: Vec<Finding>,
    /// Where a second document begins, if only the first is read.
    pub(crate) next_document: Option<Span>,
}

/// Reads the documents of a text, or only the first. What cannot be read gives findings; the other documents are still
/// read. A document with a syntax error is left out as a whole.
pub(crate) fn read<'a>(source: &'a Arc<SourceText>, scope: Scope) -> Reading<'a> {
    if source.text.len() > TEXT_BYTES_MAX {
        let message = format!("the file has {} bytes, the most that is read is {TEXT_BYTES_MAX}", source.text.len());
        let finding = Finding::error(message).at(source, Span::new(0, 0)).help("split it into several files");
        return Reading { findings: vec![finding], ..Reading::default() };
    }
    let (mut text, mut mark, mut bytes_read) = (Cow::Borrowed(&*source.text), None, 0);
    loop {
        bytes_read += text.len();
        let (reading, unindented) = read_text(&text, mark, source, scope);
        let Some(at) = unindented.filter(|_| bytes_read < REPAIR_BYTES_MAX) else { return reading };
        mark = mark.or_else(|| ('!'..='~').find(|c| !matches!(c, '"' | '\'' | '\\') && !source.text.contains(*c)));
        match mark.and_then(|mark| repaired(&text, mark, at)) {
            Some(repaired) => text = Cow::Owned(repaired),
            None => return reading,
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
    scope: Scope,
) -> (Reading<'a>, Option<usize>) {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.emit_unresolved_aliases = true;
    (options.block_nesting_limit, options.flow_nesting_limit) = (DEPTH_MAX, DEPTH_MAX);
    let mut parser = Parser::new_from_str_with_options(text, options);
    let (mut reading, mut unindented) = (Reading::default(), None);
    let visits = Rc::default();
    let new_builder = || {
        let document = Document { nodes: Vec::new(), root: None, span: Span::default(), visits: Rc::clone(&visits) };
        Builder { text, mark, quotes: !scope.secret, source, document, open: Vec::new(), anchors: HashMap::new() }
    };
    let mut builder = new_builder();
    while let Some(next) = parser.next_event() {
        match next {
            Ok((Event::DocumentStart(..), span)) => {
                builder = new_builder();
                let at = offset(span.start, source);
                builder.document.span = Span::new(at, at);
            }
            Ok((Event::DocumentEnd, span)) => {
                let ended = std::mem::replace(&mut builder, new_builder());
                reading.documents.push(ended.finish(offset(span.end, source)));
                if scope.first_only {
                    let next = parser.next_event().and_then(Result::ok);
                    reading.next_document = next
                        .filter(|(event, _)| matches!(event, Event::DocumentStart(..)))
                        .map(|(_, span)| Span::new(offset(span.start, source), offset(span.end, source)));
                    break;
                }
                if reading.documents.len() == DOCUMENTS_MAX {
                    let message = format!("more than {DOCUMENTS_MAX} documents in one file");
                    reading.findings.push(Finding::error(message).at(source, builder.document.span));
                    break;
                }
            }
            Ok((event, span)) => {
                let span = span.byte_range().map_or(Span::default(), |range| Span::new(range.start, range.end));
                builder.take(event, span, &mut reading.findings);
            }
            Err(error) => {
                if *error.kind() == ErrorKind::InvalidQuotedScalarIndent && unindented.is_none() {
                    unindented = Some(offset(*error.marker(), source));
                }
                reading.findings.push(syntax_error(source, &error));
                builder = new_builder();
                if scope.first_only || !matches!(parser.proceed_next_document(), Ok(true)) {
                    break;
                }
            }
        }
    }
    (reading, unindented)
}

fn syntax_error(source: &Arc<SourceText>, error: &ScanError) -> Finding {
    let start = offset(*error.marker(), source);
    let end = start + source.text[start..].chars().next().map_or(0, char::len_utf8);
    let finding = match error.kind() {
        ErrorKind::RecursionLimitExceeded => Finding::error("yaml: nested too deep")
            .help(format!("the most is {DEPTH_MAX} levels of blocks, and as many of brackets")),
        _ => Finding::error(format!("yaml: {}", error.info())),
    };
    let finding = finding.at(source, Span::new(start, end));
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
fn offset(mark: Marker, source: &SourceText) -> usize {
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
    /// Messages may repeat what they are about.
    quotes: bool,
    source: &'a Arc<SourceText>,
    document: Document<'a>,
    /// Collections that are still open, each with a key that waits for its value.
    open: Vec<(NodeId, Option<NodeId>)>,
    anchors: HashMap<usize, NodeId>,
}

impl<'a, 't> Builder<'a, 't> {
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

    fn quoted(&self, name: &str) -> String {
        if self.quotes { format!(" '{name}'") } else { String::new() }
    }

    /// The text of a `!!binary` scalar.
    fn decoded(&self, text: &str, span: Span, findings: &mut Vec<Finding>) -> String {
        let packed: String = text.split_ascii_whitespace().collect();
        let text = BASE64_STANDARD.decode(packed).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        text.unwrap_or_else(|| {
            findings.push(Finding::error("a !!binary value must be UTF-8 in base64").at(self.source, span));
            String::new()
        })
    }

    fn take(&mut self, event: Event<'t>, span: Span, findings: &mut Vec<Finding>) {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let mut text = self.scalar_text(text);
                if yaml_tag(tag.as_deref()).as_deref() == Some("binary") {
                    text = Cow::Owned(self.decoded(&text, span, findings));
                }
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
                        let message = format!("yaml: anchor{} value contains itself", self.quoted(name));
                        findings.push(Finding::error(message).at(self.source, span));
                        Kind::Broken
                    }
                };
                self.add(kind, span, 0);
            }
            Event::UnresolvedAlias(name) => {
                let finding = Finding::error(format!("yaml: unknown anchor{} referenced", self.quoted(&name)));
                let help = "an anchor must stand before its use; a text that begins with `*` must be quoted";
                findings.push(finding.at(self.source, span).help(help));
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

/// The name of a tag that is YAML's own; empty for others, none for none.
fn yaml_tag(tag: Option<&Tag>) -> Option<Cow<'_, str>> {
    tag.map(|tag| tag.suffix_in_namespace("tag:yaml.org,2002:").unwrap_or_default())
}

fn core_tag(tag: Option<&Tag>) -> CoreTag {
    match yaml_tag(tag).as_deref() {
        None => CoreTag::None,
        Some("null") => CoreTag::Null,
        Some("int" | "float") => CoreTag::Number,
        Some("merge") => CoreTag::Merge,
        Some(_) => CoreTag::Text,
    }
}
