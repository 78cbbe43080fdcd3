//! Text to tokens.
//!
//! Delimiters `{{ }}`, trim markers, comments, and inside actions the small lexis of Go's templates. Positions are byte
//! offsets in the author's text.

use super::quote::{describe_char, is_letter_or_digit, quote, truncate_chars};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The token's text is the message.
    Error,
    Bool,
    /// Any printable ASCII character that means nothing else; the comma is one.
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    // Keywords from here on: error texts show them in angle brackets.
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

impl Kind {
    fn is_keyword(self) -> bool {
        self as u8 >= Kind::Block as u8
    }
}

const KEYWORDS: [(&str, Kind); 11] = [
    ("block", Kind::Block),
    ("break", Kind::Break),
    ("continue", Kind::Continue),
    ("define", Kind::Define),
    ("else", Kind::Else),
    ("end", Kind::End),
    ("if", Kind::If),
    ("nil", Kind::Nil),
    ("range", Kind::Range),
    ("template", Kind::Template),
    ("with", Kind::With),
];

#[derive(Clone, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) at: usize,
    /// 1 plus the newlines before the token.
    pub(super) line: usize,
    pub(super) text: &'t str,
    /// Set for `Kind::Error` only.
    pub(super) message: String,
}

impl Token<'_> {
    /// The token as error texts show it.
    pub(super) fn describe(&self) -> String {
        match self.kind {
            Kind::Eof => "EOF".to_owned(),
            Kind::Error => self.message.clone(),
            kind if kind.is_keyword() => format!("<{}>", self.text),
            _ if self.text.len() > 10 => format!("{}...", quote(truncate_chars(self.text, 10))),
            _ => quote(self.text),
        }
    }
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";

/// All tokens of a text. The last one is `Eof` or `Error`.
pub(super) fn lex(text: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { text, at: 0, start: 0, line: 1, line_from: 0, parens: 0, tokens: Vec::new() };
    if let Err(message) = lexer.run() {
        lexer.push(Kind::Error, message);
    }
    lexer.tokens
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    start: usize,
    /// Line of the byte `line_from`.
    line: usize,
    line_from: usize,
    parens: usize,
    tokens: Vec<Token<'t>>,
}

type Step = Result<(), String>;

impl<'t> Lexer<'t> {
    fn run(&mut self) -> Step {
        while self.text_until_action()? {
            while self.inside_action()? {}
        }
        self.emit(Kind::Eof);
        Ok(())
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn accept(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        let found = self.peek().is_some_and(wanted);
        if found {
            self.next();
        }
        found
    }

    fn accept_all(&mut self, wanted: impl Fn(char) -> bool) {
        while self.accept(&wanted) {}
    }

    fn emit(&mut self, kind: Kind) {
        self.push(kind, String::new());
    }

    fn push(&mut self, kind: Kind, message: String) {
        self.line += self.text[self.line_from..self.start].bytes().filter(|byte| *byte == b'\n').count();
        self.line_from = self.start;
        let text = &self.text[self.start..self.at];
        self.tokens.push(Token { kind, at: self.start, line: self.line, text, message });
        self.start = self.at;
    }

    fn ignore(&mut self) {
        self.start = self.at;
    }

    /// Emits the text before the next action and the action's opening. False: there is none.
    fn text_until_action(&mut self) -> Result<bool, String> {
        loop {
            let Some(length) = self.rest().find(LEFT) else {
                self.at = self.text.len();
                if self.at > self.start {
                    self.emit(Kind::Text);
                }
                return Ok(false);
            };
            let delim = self.at + length;
            let trims = has_left_trim_marker(&self.text[delim + LEFT.len()..]);
            let before = &self.text[self.start..delim];
            let kept = if trims { before.trim_end_matches(is_space) } else { before };
            self.at = self.start + kept.len();
            if !kept.is_empty() {
                self.emit(Kind::Text);
            }
            self.at = delim;
            self.ignore();
            self.at += LEFT.len();
            let after_marker = self.at + if trims { 2 } else { 0 };
            if self.text[after_marker..].starts_with("/*") {
                self.at = after_marker;
                self.comment()?;
                continue;
            }
            self.emit(Kind::LeftDelim);
            self.at = after_marker;
            self.ignore();
            self.parens = 0;
            return Ok(true);
        }
    }

    fn comment(&mut self) -> Step {
        self.ignore();
        let Some(length) = self.rest()[2..].find("*/") else {
            return Err("unclosed comment".to_owned());
        };
        self.at += 2 + length + 2;
        let Some(trims) = self.right_delim() else {
            return Err("comment ends before closing delimiter".to_owned());
        };
        self.skip_right_delim(trims);
        self.ignore();
        Ok(())
    }

    /// Whether a closing delimiter is next, and whether it trims what follows.
    fn right_delim(&self) -> Option<bool> {
        let rest = self.rest();
        if has_right_trim_marker(rest) && rest[2..].starts_with(RIGHT) {
            Some(true)
        } else {
            rest.starts_with(RIGHT).then_some(false)
        }
    }

    fn skip_right_delim(&mut self, trims: bool) {
        self.at += if trims { 2 + RIGHT.len() } else { RIGHT.len() };
        if trims {
            self.at = self.text.len() - self.rest().trim_start_matches(is_space).len();
        }
    }

    /// Emits one token of an action. False: the action is over.
    fn inside_action(&mut self) -> Result<bool, String> {
        if let Some(trims) = self.right_delim() {
            if self.parens > 0 {
                return Err("unclosed left paren".to_owned());
            }
            if trims {
                self.at += 2;
                self.ignore();
            }
            self.at += RIGHT.len();
            self.emit(Kind::RightDelim);
            if trims {
                self.at = self.text.len() - self.rest().trim_start_matches(is_space).len();
                self.ignore();
            }
            return Ok(false);
        }
        let Some(next) = self.next() else {
            return Err("unclosed action".to_owned());
        };
        match next {
            c if is_space(c) => self.spaces(),
            '=' => self.emit(Kind::Assign),
            ':' => match self.next() {
                Some('=') => self.emit(Kind::Declare),
                _ => return Err("expected :=".to_owned()),
            },
            '|' => self.emit(Kind::Pipe),
            '"' => self.quoted('"', Kind::String, "unterminated quoted string")?,
            '\'' => self.quoted('\'', Kind::CharConstant, "unterminated character constant")?,
            '`' => {
                let length = self.rest().find('`').ok_or("unterminated raw quoted string")?;
                self.at += length + 1;
                self.emit(Kind::RawString);
            }
            '$' => self.name(Kind::Variable, Kind::Variable)?,
            '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) && self.peek().is_some() => {
                self.name(Kind::Field, Kind::Dot)?;
            }
            '.' | '+' | '-' | '0'..='9' => self.number()?,
            c if is_alphanumeric(c) => self.identifier()?,
            '(' => {
                self.parens += 1;
                self.emit(Kind::LeftParen);
            }
            ')' => {
                self.parens = self.parens.checked_sub(1).ok_or("unexpected right paren")?;
                self.emit(Kind::RightParen);
            }
            c if c.is_ascii_graphic() => self.emit(Kind::Char),
            c => return Err(format!("unrecognized character in action: {}", describe_char(c))),
        }
        Ok(true)
    }

    /// The first space has been read. A space before a trimming delimiter belongs to the delimiter.
    fn spaces(&mut self) {
        self.accept_all(is_space);
        let last = self.at - 1;
        let tail = &self.text[last..];
        if has_right_trim_marker(tail) && tail[2..].starts_with(RIGHT) {
            self.at = last;
        }
        if self.at > self.start {
            self.emit(Kind::Space);
        }
    }

    fn quoted(&mut self, end: char, kind: Kind, unterminated: &str) -> Step {
        loop {
            match self.next() {
                Some('\\') if self.peek().is_some_and(|c| c != '\n') => {
                    self.next();
                }
                None | Some('\n' | '\\') => return Err(unterminated.to_owned()),
                Some(c) if c == end => break,
                Some(_) => {}
            }
        }
        self.emit(kind);
        Ok(())
    }

    /// A field or a variable; its `.` or `$` has been read.
    fn name(&mut self, kind: Kind, bare: Kind) -> Step {
        if self.at_terminator() {
            self.emit(bare);
            return Ok(());
        }
        self.accept_all(is_alphanumeric);
        self.expect_terminator()?;
        self.emit(kind);
        Ok(())
    }

    fn identifier(&mut self) -> Step {
        self.accept_all(is_alphanumeric);
        self.expect_terminator()?;
        let word = &self.text[self.start..self.at];
        let kind = KEYWORDS.iter().find(|(name, _)| *name == word).map_or_else(
            || if matches!(word, "true" | "false") { Kind::Bool } else { Kind::Identifier },
            |(_, kind)| *kind,
        );
        self.emit(kind);
        Ok(())
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) => is_space(c) || self.rest().starts_with(RIGHT),
        }
    }

    fn expect_terminator(&self) -> Step {
        match self.peek() {
            Some(c) if !self.at_terminator() => Err(format!("bad character {}", describe_char(c))),
            _ => Ok(()),
        }
    }

    /// A number's first character has been read. Finer faults are the parser's to find.
    fn number(&mut self) -> Step {
        self.at = self.start;
        if !self.scan_number() {
            return Err(self.bad_number());
        }
        if matches!(self.peek(), Some('+' | '-')) {
            // A complex constant: `1+2i`.
            if !self.scan_number() || !self.text[..self.at].ends_with('i') {
                return Err(self.bad_number());
            }
            self.emit(Kind::Complex);
        } else {
            self.emit(Kind::Number);
        }
        Ok(())
    }

    fn bad_number(&self) -> String {
        format!("bad number syntax: {}", quote(&self.text[self.start..self.at]))
    }

    fn scan_number(&mut self) -> bool {
        let sign = |c| matches!(c, '+' | '-');
        self.accept(sign);
        let mut radix = 10;
        if self.accept(|c| c == '0') {
            if self.accept(|c| matches!(c, 'x' | 'X')) {
                radix = 16;
            } else if self.accept(|c| matches!(c, 'o' | 'O')) {
                radix = 8;
            } else if self.accept(|c| matches!(c, 'b' | 'B')) {
                radix = 2;
            }
        }
        let digit = |c: char| c == '_' || c.is_digit(radix);
        self.accept_all(digit);
        if self.accept(|c| c == '.') {
            self.accept_all(digit);
        }
        let exponent = match radix {
            10 => self.accept(|c| matches!(c, 'e' | 'E')),
            16 => self.accept(|c| matches!(c, 'p' | 'P')),
            _ => false,
        };
        if exponent {
            self.accept(sign);
            self.accept_all(|c| c == '_' || c.is_ascii_digit());
        }
        self.accept(|c| c == 'i');
        !self.accept(is_alphanumeric)
    }
}

pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || is_letter_or_digit(c)
}

fn has_left_trim_marker(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next() == Some('-') && chars.next().is_some_and(is_space)
}

fn has_right_trim_marker(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(is_space) && chars.next() == Some('-')
}
