//! Reads Go's regular expression syntax, refuses what Go refuses, in Go's words.
//!
//! Source: Go `regexp/syntax` (flags `Perl`), which is RE2's syntax without `\C`.

use super::classes::{self, CharClass};

/// Deepest nesting of groups and repetitions. Go allows 1000; compiling recurses, and no pattern that people write comes
/// near this.
const DEPTH_MAX: usize = 200;
/// Highest count in `{n,m}`, also of the product of nested counts.
const REPEAT_MAX: i64 = 1000;
/// Longest pattern, in bytes. A thousand host names joined by `|` are a tenth of it.
const PATTERN_BYTES_MAX: usize = 1 << 18;

/// Why Go refuses a pattern; the text is Go's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {fault}: `{fragment}`")]
pub struct RegexError {
    fault: &'static str,
    fragment: String,
}

impl RegexError {
    pub(super) fn new(fault: &'static str, fragment: &str) -> RegexError {
        RegexError { fault, fragment: fragment.to_owned() }
    }
}

pub(super) const TOO_LARGE: &str = "expression too large";
const TOO_DEEP: &str = "expression nests too deeply";
const MISSING_BRACKET: &str = "missing closing ]";
const MISSING_PAREN: &str = "missing closing )";
const UNEXPECTED_PAREN: &str = "unexpected )";
const MISSING_ARGUMENT: &str = "missing argument to repetition operator";
const NESTED_REPEAT: &str = "invalid nested repetition operator";
const REPEAT_COUNT: &str = "invalid repeat count";
const PERL_SYNTAX: &str = "invalid or unsupported Perl syntax";
const NAMED_CAPTURE: &str = "invalid named capture";
const CLASS_RANGE: &str = "invalid character class range";
const ESCAPE: &str = "invalid escape sequence";
const TRAILING_BACKSLASH: &str = "trailing backslash at end of expression";

/// A pattern as read: what it matches, with every flag already applied.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Empty,
    Char {
        value: char,
        fold: bool,
    },
    Class {
        class: CharClass,
        fold: bool,
    },
    /// `.`; `true` if it matches a newline too.
    Dot(bool),
    Look(Look),
    /// A group that captures; its number is its place in the pattern.
    Capture(Box<Node>),
    Concat(Vec<Node>),
    Alternate(Vec<Node>),
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
        greedy: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    TextStart,
    TextEnd,
    LineStart,
    LineEnd,
    Word,
    NotWord,
}

/// What a pattern reads as, and the names of its groups (the first is the whole match).
pub(super) struct Pattern {
    pub(super) node: Node,
    pub(super) group_names: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    fold: bool,
    multi_line: bool,
    dot_newline: bool,
    ungreedy: bool,
}

/// Reads a pattern; `dot_newline` is Go's flag `s`, set from the start.
pub(super) fn read(pattern: &str, dot_newline: bool) -> Result<Pattern, RegexError> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(RegexError::new(TOO_LARGE, &pattern.chars().take(60).collect::<String>()));
    }
    let flags = Flags { dot_newline, ..Flags::default() };
    Reader { whole: pattern, rest: pattern, flags, open: vec![Level::default()], group_names: vec![String::new()] }
        .read()
}

/// One open group: the alternatives that are complete, and the one being read.
#[derive(Default)]
struct Level {
    capturing: bool,
    flags_outside: Flags,
    alternatives: Vec<Node>,
    /// With the height of each: how many groups and repetitions it has inside each other.
    current: Vec<(Node, usize)>,
    height: usize,
}

impl Level {
    fn finish_alternative(&mut self) {
        let nodes = std::mem::take(&mut self.current);
        self.height = nodes.iter().fold(self.height, |height, (_, of_node)| height.max(*of_node));
        let mut nodes: Vec<Node> = nodes.into_iter().map(|(node, _)| node).collect();
        self.alternatives.push(match nodes.len() {
            0 => Node::Empty,
            1 => nodes.remove(0),
            _ => Node::Concat(nodes),
        });
    }

    /// What was read, and its height.
    fn finish(mut self) -> (Node, usize) {
        self.finish_alternative();
        let node = match self.alternatives.len() {
            1 => self.alternatives.remove(0),
            _ => Node::Alternate(self.alternatives),
        };
        (if self.capturing { Node::Capture(Box::new(node)) } else { node }, self.height)
    }
}

struct Reader<'p> {
    whole: &'p str,
    rest: &'p str,
    flags: Flags,
    /// Never empty: the first is the pattern itself.
    open: Vec<Level>,
    group_names: Vec<String>,
}

impl<'p> Reader<'p> {
    fn read(mut self) -> Result<Pattern, RegexError> {
        // Where the last thing read was a repetition operator: the text from that operator on.
        let mut last_repeat = None;
        while let Some(next) = self.peek() {
            let before = self.rest;
            let mut repeat = None;
            match next {
                '(' if self.rest.starts_with("(?") => self.perl_group()?,
                '(' => {
                    self.skip(1);
                    self.open_capture(String::new())?;
                }
                '|' => {
                    self.skip(1);
                    self.level().finish_alternative();
                }
                ')' => self.close()?,
                '^' => self.push_skipping(1, Node::Look(self.start_look())),
                '$' => self.push_skipping(1, Node::Look(self.end_look())),
                '.' => self.push_skipping(1, Node::Dot(self.flags.dot_newline)),
                '[' => self.class()?,
                '*' | '+' | '?' => {
                    self.skip(1);
                    let (min, max) = match next {
                        '*' => (0, None),
                        '+' => (1, None),
                        _ => (0, Some(1)),
                    };
                    self.repeat(min, max, before, last_repeat)?;
                    repeat = Some(before);
                }
                '{' => match self.counts() {
                    None => {
                        self.skip(1);
                        self.push_char('{');
                    }
                    Some((min, max)) => {
                        let in_range = |count: i64| (0..=REPEAT_MAX).contains(&count);
                        let max_fits = max.is_none_or(|max| in_range(max) && min <= max);
                        if !in_range(min) || !max_fits {
                            return Err(self.fault_since(REPEAT_COUNT, before));
                        }
                        self.repeat(min as u32, max.map(|max| max as u32), before, last_repeat)?;
                        repeat = Some(before);
                    }
                },
                '\\' => self.backslash()?,
                other => {
                    self.skip(other.len_utf8());
                    self.push_char(other);
                }
            }
            last_repeat = repeat;
        }
        let whole = self.open.pop().expect("the outermost level is never closed by `)`");
        if !self.open.is_empty() {
            return Err(RegexError::new(MISSING_PAREN, self.whole));
        }
        Ok(Pattern { node: whole.finish().0, group_names: self.group_names })
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn level(&mut self) -> &mut Level {
        self.open.last_mut().expect("the outermost level is never closed")
    }

    fn push(&mut self, node: Node) {
        self.level().current.push((node, 0));
    }

    fn push_higher(&mut self, node: Node, height_inside: usize) -> Result<(), RegexError> {
        if height_inside >= DEPTH_MAX {
            return Err(RegexError::new(TOO_DEEP, self.whole));
        }
        self.level().current.push((node, height_inside + 1));
        Ok(())
    }

    fn push_skipping(&mut self, bytes: usize, node: Node) {
        self.skip(bytes);
        self.push(node);
    }

    fn push_char(&mut self, value: char) {
        let fold = self.flags.fold;
        self.push(Node::Char { value, fold });
    }

    fn start_look(&self) -> Look {
        if self.flags.multi_line { Look::LineStart } else { Look::TextStart }
    }

    fn end_look(&self) -> Look {
        if self.flags.multi_line { Look::LineEnd } else { Look::TextEnd }
    }

    /// The fault whose fragment is what was read since `before` was the rest.
    fn fault_since(&self, fault: &'static str, before: &str) -> RegexError {
        RegexError::new(fault, &before[..before.len() - self.rest.len()])
    }

    fn open_group(&mut self, capturing: bool, flags_outside: Flags) -> Result<(), RegexError> {
        if self.open.len() > DEPTH_MAX {
            return Err(RegexError::new(TOO_DEEP, self.whole));
        }
        self.open.push(Level { capturing, flags_outside, ..Level::default() });
        Ok(())
    }

    fn open_capture(&mut self, name: String) -> Result<(), RegexError> {
        self.group_names.push(name);
        self.open_group(true, self.flags)
    }

    fn close(&mut self) -> Result<(), RegexError> {
        if self.open.len() == 1 {
            return Err(RegexError::new(UNEXPECTED_PAREN, self.whole));
        }
        self.skip(1);
        let level = self.open.pop().expect("more than one level is open");
        self.flags = level.flags_outside;
        let (node, height) = level.finish();
        self.push_higher(node, height)
    }

    /// `(?P<name>`, `(?<name>`, `(?flags)`, `(?flags:`.
    fn perl_group(&mut self) -> Result<(), RegexError> {
        let before = self.rest;
        let name_start = if before.starts_with("(?P<") && before.len() > 4 {
            Some(4)
        } else if before.starts_with("(?<") && before.len() > 3 {
            Some(3)
        } else {
            None
        };
        if let Some(name_start) = name_start {
            let Some(end) = before.find('>') else {
                return Err(RegexError::new(NAMED_CAPTURE, before));
            };
            let name = &before[name_start..end];
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return Err(RegexError::new(NAMED_CAPTURE, &before[..=end]));
            }
            self.skip(end + 1);
            return self.open_capture(name.to_owned());
        }
        self.skip(2);
        self.perl_flags(before)
    }

    fn perl_flags(&mut self, before: &str) -> Result<(), RegexError> {
        let outside = self.flags;
        let (mut flags, mut value, mut saw_flag) = (outside, true, false);
        while let Some(next) = self.peek() {
            self.skip(next.len_utf8());
            match next {
                'i' => flags.fold = value,
                'm' => flags.multi_line = value,
                's' => flags.dot_newline = value,
                'U' => flags.ungreedy = value,
                '-' if value => {
                    (value, saw_flag) = (false, false);
                    continue;
                }
                ':' | ')' if value || saw_flag => {
                    if next == ':' {
                        self.open_group(false, outside)?;
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => break,
            }
            saw_flag = true;
        }
        Err(self.fault_since(PERL_SYNTAX, before))
    }

    /// `{n}`, `{n,}`, `{n,m}` as (n, m); what does not look like that is no count and nothing is consumed.
    /// A count too large for Go is negative.
    fn counts(&mut self) -> Option<(i64, Option<i64>)> {
        let (min, rest) = read_int(self.rest.strip_prefix('{')?)?;
        let (min, max, rest) = match rest.strip_prefix(',') {
            None => (min, Some(min), rest),
            Some(rest) if rest.starts_with('}') => (min, None, rest),
            Some(rest) => {
                let (max, rest) = read_int(rest)?;
                (min, Some(max), rest)
            }
        };
        self.rest = rest.strip_prefix('}')?;
        Some((min, max))
    }

    fn repeat(
        &mut self,
        min: u32,
        max: Option<u32>,
        before: &str,
        last_repeat: Option<&'p str>,
    ) -> Result<(), RegexError> {
        let mut greedy = !self.flags.ungreedy;
        if self.rest.starts_with('?') {
            self.skip(1);
            greedy = !greedy;
        }
        if let Some(last) = last_repeat {
            return Err(self.fault_since(NESTED_REPEAT, last));
        }
        let Some((node, height)) = self.level().current.pop() else {
            return Err(self.fault_since(MISSING_ARGUMENT, before));
        };
        let node = Node::Repeat { node: Box::new(node), min, max, greedy };
        if (min >= 2 || max.is_some_and(|max| max >= 2)) && !repeats_fit(&node, REPEAT_MAX as u32) {
            return Err(self.fault_since(REPEAT_COUNT, before));
        }
        self.push_higher(node, height)
    }

    fn backslash(&mut self) -> Result<(), RegexError> {
        match self.rest.as_bytes().get(1) {
            Some(b'A') => self.push_skipping(2, Node::Look(Look::TextStart)),
            Some(b'z') => self.push_skipping(2, Node::Look(Look::TextEnd)),
            Some(b'b') => self.push_skipping(2, Node::Look(Look::Word)),
            Some(b'B') => self.push_skipping(2, Node::Look(Look::NotWord)),
            Some(b'Q') => {
                let quoted = &self.rest[2..];
                let (literal, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
                literal.chars().for_each(|value| self.push_char(value));
                self.rest = rest;
            }
            _ => {
                let mut class = CharClass::default();
                if self.class_escape(&mut class)? {
                    let fold = self.flags.fold;
                    self.push(Node::Class { class, fold });
                } else if let Some(value) = self.escape()? {
                    self.push_char(value);
                } else {
                    self.push(Node::Class { class: CharClass::default(), fold: false });
                }
            }
        }
        Ok(())
    }

    fn class(&mut self) -> Result<(), RegexError> {
        let whole_class = self.rest;
        self.skip(1);
        let mut class = CharClass::default();
        class.negated = self.rest.starts_with('^');
        self.skip(usize::from(class.negated));
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            if self.posix_class(&mut class)? || self.class_escape(&mut class)? {
                continue;
            }
            let range = self.rest;
            let low = self.class_char(whole_class)?;
            let mut high = low;
            if self.rest.len() >= 2 && self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.skip(1);
                high = self.class_char(whole_class)?;
                if high < low {
                    return Err(self.fault_since(CLASS_RANGE, range));
                }
            }
            class.add_range(low, high);
        }
        self.skip(1);
        let fold = self.flags.fold;
        self.push(Node::Class { class, fold });
        Ok(())
    }

    /// One character of a class, as a code point: Go takes lone surrogates too, which match nothing.
    fn class_char(&mut self, whole_class: &str) -> Result<u32, RegexError> {
        match self.peek() {
            None => Err(RegexError::new(MISSING_BRACKET, whole_class)),
            Some('\\') => self.escape_code(),
            Some(value) => {
                self.skip(value.len_utf8());
                Ok(value.into())
            }
        }
    }

    /// `[:alpha:]`; false and nothing consumed if there is none.
    fn posix_class(&mut self, class: &mut CharClass) -> Result<bool, RegexError> {
        if self.rest.len() <= 2 || !self.rest.starts_with("[:") {
            return Ok(false);
        }
        let Some(end) = self.rest[2..].find(":]") else {
            return Ok(false);
        };
        let (written, rest) = self.rest.split_at(end + 4);
        let name = &written[2..end + 2];
        let (negated, name) = name.strip_prefix('^').map_or((false, name), |name| (true, name));
        let set = classes::posix(name).ok_or_else(|| RegexError::new(CLASS_RANGE, written))?;
        class.add_set(set, negated);
        self.rest = rest;
        Ok(true)
    }

    /// `\d`, `\pL`, `\P{Greek}`; false and nothing consumed if there is none.
    fn class_escape(&mut self, class: &mut CharClass) -> Result<bool, RegexError> {
        let mut chars = self.rest.chars();
        if chars.next() != Some('\\') {
            return Ok(false);
        }
        match chars.next() {
            Some(letter @ ('p' | 'P')) => {
                self.unicode_class(class, letter == 'P')?;
                Ok(true)
            }
            Some(letter) => match classes::perl(letter.to_ascii_lowercase()) {
                Some(set) => {
                    class.add_set(set, letter.is_ascii_uppercase());
                    self.skip(2);
                    Ok(true)
                }
                None => Ok(false),
            },
            None => Ok(false),
        }
    }

    fn unicode_class(&mut self, class: &mut CharClass, mut negated: bool) -> Result<(), RegexError> {
        let whole = self.rest;
        let (written_bytes, mut name) = match whole[2..].chars().next() {
            Some('{') => {
                let end = whole.find('}').ok_or_else(|| RegexError::new(CLASS_RANGE, whole))?;
                (end + 1, &whole[3..end])
            }
            Some(letter) => (2 + letter.len_utf8(), &whole[2..2 + letter.len_utf8()]),
            None => (2, ""),
        };
        if let Some(rest) = name.strip_prefix('^') {
            (negated, name) = (!negated, rest);
        }
        let set = classes::unicode(name).ok_or_else(|| RegexError::new(CLASS_RANGE, &whole[..written_bytes]))?;
        class.add_unicode(&set, negated);
        self.skip(written_bytes);
        Ok(())
    }

    /// The character an escape stands for; none for a surrogate, which no text holds.
    fn escape(&mut self) -> Result<Option<char>, RegexError> {
        self.escape_code().map(char::from_u32)
    }

    fn escape_code(&mut self) -> Result<u32, RegexError> {
        let before = self.rest;
        self.skip(1);
        let Some(letter) = self.peek() else {
            return Err(RegexError::new(TRAILING_BACKSLASH, ""));
        };
        self.skip(letter.len_utf8());
        let value = match letter {
            '0'..='7' => self.octal(letter),
            'x' => self.hexadecimal(),
            'a' => Some(7),
            'f' => Some(12),
            'n' => Some(10),
            'r' => Some(13),
            't' => Some(9),
            'v' => Some(11),
            other if other.is_ascii() && !other.is_ascii_alphanumeric() => Some(other.into()),
            _ => None,
        };
        value.ok_or_else(|| self.fault_since(ESCAPE, before))
    }

    /// Up to three digits; a single one other than 0 would be a back reference, which there is not.
    fn octal(&mut self, first: char) -> Option<u32> {
        let digit = |text: &str| text.chars().next().and_then(|next| next.to_digit(8));
        if first != '0' && digit(self.rest).is_none() {
            return None;
        }
        let mut value = first.to_digit(8)?;
        for _ in 0..2 {
            let Some(next) = digit(self.rest) else { break };
            value = value * 8 + next;
            self.skip(1);
        }
        Some(value)
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        let first = self.take()?;
        if first != '{' {
            let second = self.take();
            return Some(first.to_digit(16)? * 16 + second?.to_digit(16)?);
        }
        let (mut value, mut digits) = (0, 0);
        loop {
            match self.take()? {
                '}' => return (digits > 0).then_some(value),
                next => value = value * 16 + next.to_digit(16)?,
            }
            digits += 1;
            if value > u32::from(char::MAX) {
                return None;
            }
        }
    }

    fn take(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.skip(next.len_utf8());
        Some(next)
    }
}

/// Digits without a leading zero, and what follows them; -1 where Go gives up counting.
fn read_int(text: &str) -> Option<(i64, &str)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = text.split_at(digits);
    if number.is_empty() || (digits > 1 && number.starts_with('0')) {
        return None;
    }
    Some((if digits > 9 { -1 } else { number.parse().unwrap_or(-1) }, rest))
}

/// Whether nested counts multiply to no more than `most`.
fn repeats_fit(node: &Node, most: u32) -> bool {
    match node {
        Node::Repeat { node, min, max, .. } => {
            let count = max.unwrap_or(*min);
            if *max == Some(0) {
                return true;
            }
            count <= most && repeats_fit(node, if count > 0 && counted(*min, *max) { most / count } else { most })
        }
        Node::Capture(node) => repeats_fit(node, most),
        Node::Concat(nodes) | Node::Alternate(nodes) => nodes.iter().all(|node| repeats_fit(node, most)),
        _ => true,
    }
}

/// Whether this is `{n,m}` to Go and not `*`, `+` or `?`, which multiply nothing.
fn counted(min: u32, max: Option<u32>) -> bool {
    !matches!((min, max), (0 | 1, None) | (0, Some(1)))
}
