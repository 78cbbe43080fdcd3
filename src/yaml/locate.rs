//! From a place in a scalar's value to the bytes of the file that it was written with.

use serde_saphyr::granit_parser::ScalarStyle;

use super::Scalar;
use crate::diagnostic::{SourceText, Span};

impl Scalar<'_> {
    /// The span in the file of a span in the scalar's value: through indentation, folded lines and escapes.
    ///
    /// The whole scalar where the two cannot be matched.
    pub(crate) fn locate(&self, source: &SourceText, inner: Span) -> Span {
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
