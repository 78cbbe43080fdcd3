//! Text to tokens, as Prometheus reads them.
//!
//! Source: Prometheus `promql/parser/lex.go`.

use super::ParseError;
use crate::diagnostic::Span;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword, without a colon.
    Identifier,
    /// A name with a colon.
    MetricIdentifier,
    Number,
    Duration,
    /// With its quotes.
    String,
    /// An operator or a punctuation mark, which the token's text names.
    Mark,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
    pub(super) start: usize,
}

impl Token<'_> {
    pub(super) fn span(&self) -> Span {
        Span::new(self.start, self.start + self.text.len())
    }

    pub(super) fn is(&self, mark: &str) -> bool {
        self.kind == Kind::Mark && self.text == mark
    }
}

/// Marks, longer ones first.
const MARKS: &[&str] = &[
    "==", "=~", "!=", "!~", "<=", "</", ">=", ">/", "=", "<", ">", "+", "-", "*", "/", "%", "^", "@", ",", "(", ")",
    "{", "}", "[", "]", ":",
];

/// The tokens of a text, at most `tokens_max`, up to the first fault; and that fault.
pub(super) fn tokens(text: &str, tokens_max: usize) -> (Vec<Token<'_>>, Option<ParseError>) {
    let mut lexer = Lexer { text, at: 0, parens: 0, brace: None, bracket: None };
    let mut tokens: Vec<Token<'_>> = Vec::new();
    loop {
        match lexer.next() {
            Ok(Some(token)) if tokens.len() == tokens_max => {
                let message = format!("expression is too long: more than {tokens_max} tokens");
                return (tokens, Some(ParseError { message, span: token.span() }));
            }
            Ok(Some(token)) => tokens.push(token),
            Ok(None) => return (tokens, None),
            Err(fault) => return (tokens, Some(fault)),
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    parens: usize,
    /// Where the open brace or bracket stands.
    brace: Option<usize>,
    bracket: Option<usize>,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn fault<T>(&self, message: impl Into<String>, start: usize) -> Result<T, ParseError> {
        let end = self.text[start..].chars().next().map_or(start, |c| start + c.len_utf8());
        Err(ParseError { message: message.into(), span: Span::new(start, end.max(self.at)) })
    }

    fn next(&mut self) -> Result<Option<Token<'t>>, ParseError> {
        self.skip_blanks();
        let start = self.at;
        let Some(first) = self.rest().chars().next() else {
            return self.end();
        };
        let kind = match first {
            '0'..='9' | '.' if self.brace.is_none() => self.number(start)?,
            '"' | '\'' | '`' if self.bracket.is_none() => self.string(first)?,
            'a'..='z' | 'A'..='Z' | '_' => self.identifier(),
            ':' if self.brace.is_none() && self.bracket.is_none() => self.identifier(),
            _ => self.mark(first)?,
        };
        Ok(Some(Token { kind, text: &self.text[start..self.at], start }))
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            self.at += blank;
            if !self.rest().starts_with('#') {
                return;
            }
            self.at += self.rest().find(['\n', '\r']).unwrap_or(self.rest().len());
        }
    }

    fn end(&mut self) -> Result<Option<Token<'t>>, ParseError> {
        match (self.brace, self.bracket) {
            (Some(start), _) => self.fault("unexpected end of input inside braces", start),
            (_, Some(start)) => self.fault("unclosed left bracket", start),
            _ if self.parens > 0 => self.fault("unclosed left parenthesis", self.text.len()),
            _ => Ok(None),
        }
    }

    fn mark(&mut self, first: char) -> Result<Kind, ParseError> {
        let start = self.at;
        let Some(mark) = MARKS.iter().find(|mark| self.rest().starts_with(**mark)) else {
            return match first {
                '!' => {
                    let next = self.rest().chars().nth(1);
                    let message = next.map_or("unexpected end of input".to_owned(), |next| {
                        format!("unexpected character after '!': {}", quote_char(next))
                    });
                    self.fault(message, start)
                }
                _ if self.brace.is_some() => {
                    self.fault(format!("unexpected character inside braces: {}", quote_char(first)), start)
                }
                _ if self.bracket.is_some() => {
                    let message = format!("unexpected character in duration expression: {}", quote_char(first));
                    self.fault(message, start)
                }
                _ => self.fault(format!("unexpected character: {}", quote_char(first)), start),
            };
        };
        let inside_braces = self.brace.is_some();
        match *mark {
            "}" if inside_braces => self.brace = None,
            "," | "=" | "=~" | "!=" | "!~" if inside_braces => {}
            "==" if inside_braces => {
                self.at += 1;
                return Ok(Kind::Mark);
            }
            "{" if inside_braces => return self.fault("unexpected left brace '{'", start),
            _ if inside_braces => {
                return self.fault(format!("unexpected character inside braces: {}", quote_char(first)), start);
            }
            "=~" => return self.fault("unexpected character after '=': '~'", start),
            "!~" => return self.fault("unexpected character after '!': '~'", start),
            "}" => return self.fault("unexpected character: '}'", start),
            "{" => self.brace = Some(start),
            "(" => self.parens += 1,
            ")" if self.parens == 0 => return self.fault("unexpected right parenthesis ')'", start),
            ")" => self.parens -= 1,
            "[" if self.bracket.is_some() => return self.fault("unexpected left bracket '['", start),
            "[" => self.bracket = Some(start),
            "]" if self.bracket.is_none() => return self.fault("unexpected right bracket ']'", start),
            "]" => self.bracket = None,
            _ => {}
        }
        self.at += mark.len();
        Ok(Kind::Mark)
    }

    fn identifier(&mut self) -> Kind {
        let colons = self.brace.is_none() && self.bracket.is_none();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
        let rest = self.rest();
        let text = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        self.at += text.len();
        let is_number = ["inf", "nan"].iter().any(|name| text.eq_ignore_ascii_case(name));
        match text {
            _ if is_number && self.brace.is_none() => Kind::Number,
            text if text.contains(':') => Kind::MetricIdentifier,
            _ => Kind::Identifier,
        }
    }

    fn string(&mut self, quote: char) -> Result<Kind, ParseError> {
        let start = self.at;
        let raw = quote == '`';
        let mut escaped = false;
        for (index, c) in self.rest().char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' if !raw => escaped = true,
                '\n' if !raw => break,
                c if c == quote => {
                    self.at += index + 1;
                    return Ok(Kind::String);
                }
                _ => {}
            }
        }
        self.at = self.text.len();
        self.fault(if raw { "unterminated raw string" } else { "unterminated quoted string" }, start)
    }

    /// A number, or a duration where it goes on as one.
    fn number(&mut self, start: usize) -> Result<Kind, ParseError> {
        let rest = self.rest();
        if rest.starts_with('.') && !rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
            return self.fault("unexpected character: '.'", start);
        }
        let length = number_len(rest);
        let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        if !rest[length..].starts_with(goes_on) {
            self.at += length;
            return Ok(Kind::Number);
        }
        let (length, fits) = duration_len(rest, length);
        self.at += length;
        if fits {
            return Ok(Kind::Duration);
        }
        let text = &self.text[start..self.at];
        self.fault(format!("bad number or duration syntax: {}", crate::model::quote(text)), start)
    }
}

fn number_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let run = |mut at: usize, is_part: fn(&u8) -> bool| {
        while bytes.get(at).is_some_and(|byte| is_part(byte) || *byte == b'_') {
            at += 1;
        }
        at
    };
    if let [b'0', b'x' | b'X', ..] = bytes {
        return run(2, u8::is_ascii_hexdigit);
    }
    let mut at = run(0, u8::is_ascii_digit);
    if bytes.get(at) == Some(&b'.') {
        at = run(at + 1, u8::is_ascii_digit);
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let digits = at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = run(digits, u8::is_ascii_digit);
    }
    at
}

/// How far a duration goes whose first number ends at `at`, and whether it ends well. Loose, as Prometheus reads it: what
/// is no duration after all is refused when its value is wanted.
fn duration_len(text: &str, mut at: usize) -> (usize, bool) {
    let bytes = text.as_bytes();
    let is_unit = |at: usize, units: &[u8]| bytes.get(at).is_some_and(|byte| units.contains(byte));
    let mut units: &[u8] = b"smhdwy";
    loop {
        if !is_unit(at, units) {
            return (at, false);
        }
        at += 1;
        at += usize::from(is_unit(at, b"s"));
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            break;
        }
        at += digits;
        units = b"smhdw";
    }
    let goes_on = bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    (at + usize::from(goes_on), !goes_on)
}

/// A character as Go's `%q` shows it.
pub(super) fn quote_char(c: char) -> String {
    match c {
        '\'' => r"'\''".to_owned(),
        '"' => "'\"'".to_owned(),
        c => {
            let quoted = crate::model::quote(c.encode_utf8(&mut [0; 4]));
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
    }
}
