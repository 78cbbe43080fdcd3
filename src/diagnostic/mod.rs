//! What is wrong with a text that people wrote, and where.
//!
//! A `Finding` names file, line, column, cause and way out; `render` shows the guilty bytes with carets under them.

mod nearest;
mod render;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

pub use nearest::nearest;

/// A byte range of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub const fn new(start: usize, end: usize) -> Span {
        Span { start, end }
    }

    pub const fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// A text with the name people know it by: a file's path as it was given, or `standard input`.
#[derive(Debug)]
pub struct SourceText {
    pub name: String,
    pub text: String,
    /// Where each line begins; made at the first question, since most texts have no fault.
    line_starts: OnceLock<Box<[usize]>>,
}

impl SourceText {
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<SourceText> {
        Arc::new(SourceText { name: name.into(), text: text.into(), line_starts: OnceLock::new() })
    }

    /// Line and column, both from 1; columns count characters. Any offset is taken: one inside a character means that
    /// character, one behind the end the end.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let offset = char_boundary(&self.text, offset);
        let line = self.line(offset);
        let before = &self.text[self.line_starts()[line - 1]..offset];
        (line, before.chars().filter(|c| *c != BYTE_ORDER_MARK).count() + 1)
    }

    /// Line of an offset, from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.line_starts().partition_point(|start| *start <= offset).max(1)
    }

    /// Byte range of a line (from 1) without its line break; empty at the end of the text if there is no such line.
    fn line_range(&self, line: usize) -> Range<usize> {
        let starts = self.line_starts();
        let end = starts.get(line).copied().unwrap_or(self.text.len());
        let start = starts.get(line - 1).copied().unwrap_or(end);
        let content = self.text[start..end].trim_end_matches(['\n', '\r']);
        start..start + content.len()
    }

    fn line_starts(&self) -> &[usize] {
        self.line_starts.get_or_init(|| {
            let newlines = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0).chain(newlines.map(|(offset, _)| offset + 1)).collect()
        })
    }
}

impl PartialEq for SourceText {
    fn eq(&self, other: &SourceText) -> bool {
        self.name == other.name && self.text == other.text
    }
}

impl Eq for SourceText {}

/// The offset of the character that holds this byte; the end of the text for offsets behind it.
fn char_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Editors do not show it, so it is no column.
const BYTE_ORDER_MARK: char = '\u{feff}';

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The text is refused.
    Error,
    /// The text is taken, but somebody should look.
    Warning,
    /// Worth a line in the log.
    Info,
}

/// One fault of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// Lower case, no final stop: what is wrong.
    pub message: String,
    /// Where. None where the fault is that something is missing altogether, or concerns no text.
    pub place: Option<Place>,
    /// What to do about it, if more can be said than the message says.
    pub help: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub source: Arc<SourceText>,
    pub span: Span,
    /// What stands under the carets.
    pub label: Option<String>,
}

impl Finding {
    pub fn error(message: impl Into<String>) -> Finding {
        Finding { severity: Severity::Error, message: message.into(), place: None, help: None }
    }

    pub fn warning(message: impl Into<String>) -> Finding {
        Finding { severity: Severity::Warning, ..Finding::error(message) }
    }

    pub fn info(message: impl Into<String>) -> Finding {
        Finding { severity: Severity::Info, ..Finding::error(message) }
    }

    #[must_use]
    pub fn at(mut self, source: &Arc<SourceText>, span: Span) -> Finding {
        self.place = Some(Place { source: source.clone(), span, label: None });
        self
    }

    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Finding {
        if let Some(place) = &mut self.place {
            place.label = Some(label.into());
        }
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Finding {
        self.help = Some(help.into());
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// One line: `file:line:column: message`, for logs and the API.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            let (line, column) = place.source.line_column(place.span.start);
            write!(f, "{}:{line}:{column}: ", place.source.name)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}
