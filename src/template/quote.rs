//! Go's string and character literals: read, written, and the few Unicode questions they raise.

use std::fmt::Write;

pub(super) use crate::model::{is_printable as is_print, quote};

/// A quoted string or character; `ascii` escapes everything beyond ASCII.
pub(super) fn quote_with(text: &str, mark: char, ascii: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(mark);
    for c in text.chars() {
        push_escaped(&mut out, c, mark, ascii);
    }
    out.push(mark);
    out
}

fn push_escaped(out: &mut String, c: char, mark: char, ascii: bool) {
    match c {
        '\\' => out.push_str("\\\\"),
        c if c == mark => out.extend(['\\', c]),
        c if is_print(c) && (!ascii || c.is_ascii()) => out.push(c),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c => {
            let code = u32::from(c);
            let result = match code {
                0..0x80 => write!(out, "\\x{code:02x}"),
                0x80..0x10000 => write!(out, "\\u{code:04x}"),
                _ => write!(out, "\\U{code:08x}"),
            };
            result.expect("writing to a string cannot fail");
        }
    }
}

/// `strconv.CanBackquote`.
pub(super) fn can_backquote(text: &str) -> bool {
    text.chars().all(|c| c != '\u{feff}' && c != '`' && c != '\x7f' && (c >= ' ' || c == '\t'))
}

/// A text as Go's `regexp` package quotes patterns in its panics.
pub(super) fn quote_pattern(text: &str) -> String {
    if can_backquote(text) { format!("`{text}`") } else { quote(text) }
}

/// A character as `%#U` shows it: `U+0041 'A'`.
pub(super) fn describe_char(c: char) -> String {
    let code = u32::from(c);
    if is_print(c) { format!("U+{code:04X} '{c}'") } else { format!("U+{code:04X}") }
}

/// The first `count` characters.
pub(super) fn truncate_chars(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(end, _)| &text[..end])
}

/// Go's `unicode.IsLetter || unicode.IsDigit`, as near as the standard library can tell.
pub(super) fn is_letter_or_digit(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() } else { c.is_alphanumeric() }
}

/// The fault of a literal; Go's text is always the same.
pub(super) const INVALID_SYNTAX: &str = "invalid syntax";

/// `strconv.Unquote` of a literal with its quotes. Bytes that are no UTF-8 (`"\xff"`) become U+FFFD.
pub(super) fn unquote(literal: &str) -> Result<String, &'static str> {
    if let Some(inner) = literal.strip_prefix('`') {
        let inner = inner.strip_suffix('`').ok_or(INVALID_SYNTAX)?;
        return Ok(inner.replace('\r', ""));
    }
    let inner = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(INVALID_SYNTAX)?;
    if !inner.contains('\\') {
        return Ok(inner.to_owned());
    }
    let mut out: Vec<u8> = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while !rest.is_empty() {
        let (unit, after) = unquote_unit(rest, '"')?;
        match unit {
            Unit::Byte(byte) => out.push(byte),
            Unit::Char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        rest = after;
    }
    Ok(String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// The value of a character constant with its quotes.
pub(super) fn unquote_char(literal: &str) -> Result<u32, String> {
    let inner = literal.strip_prefix('\'').ok_or(INVALID_SYNTAX)?;
    let (unit, rest) = unquote_unit(inner, '\'')?;
    if rest != "'" {
        return Err(format!("malformed character constant: {literal}"));
    }
    Ok(match unit {
        Unit::Byte(byte) => u32::from(byte),
        Unit::Char(c) => u32::from(c),
    })
}

enum Unit {
    Byte(u8),
    Char(char),
}

fn unquote_unit(text: &str, mark: char) -> Result<(Unit, &str), &'static str> {
    let mut chars = text.chars();
    let first = chars.next().ok_or(INVALID_SYNTAX)?;
    if first == mark || first == '\n' {
        return Err(INVALID_SYNTAX);
    }
    if first != '\\' {
        return Ok((Unit::Char(first), chars.as_str()));
    }
    let escape = chars.next().ok_or(INVALID_SYNTAX)?;
    let rest = chars.as_str();
    let plain = |c| Ok((Unit::Char(c), rest));
    match escape {
        'a' => plain('\x07'),
        'b' => plain('\x08'),
        'f' => plain('\x0c'),
        'n' => plain('\n'),
        'r' => plain('\r'),
        't' => plain('\t'),
        'v' => plain('\x0b'),
        '\\' => plain('\\'),
        '\'' | '"' if escape == mark => plain(escape),
        'x' => number(rest, 2, 16).map(|(code, rest)| (Unit::Byte(code as u8), rest)),
        'u' => number(rest, 4, 16).and_then(scalar),
        'U' => number(rest, 8, 16).and_then(scalar),
        '0'..='7' => {
            let (code, rest) = number(&text[1..], 3, 8)?;
            let byte = u8::try_from(code).map_err(|_| INVALID_SYNTAX)?;
            Ok((Unit::Byte(byte), rest))
        }
        _ => Err(INVALID_SYNTAX),
    }
}

fn number(text: &str, digits: usize, radix: u32) -> Result<(u32, &str), &'static str> {
    let (number, rest) = text.split_at_checked(digits).ok_or(INVALID_SYNTAX)?;
    if !number.chars().all(|c| c.is_digit(radix)) {
        return Err(INVALID_SYNTAX);
    }
    Ok((u32::from_str_radix(number, radix).map_err(|_| INVALID_SYNTAX)?, rest))
}

fn scalar((code, rest): (u32, &str)) -> Result<(Unit, &str), &'static str> {
    Ok((Unit::Char(char::from_u32(code).ok_or(INVALID_SYNTAX)?), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_as_go_reads_them() {
        for (literal, expect) in [
            (r#""x\té""#, Ok("x\té")),
            (r"`a\n`", Ok("a\\n")),
            (r#""\u00e9\x41\101\U0001F600""#, Ok("éAA😀")),
            (r#""\xc3\xa9""#, Ok("é")),
            (r#""\xff""#, Ok("\u{fffd}")),
            (r#""\q""#, Err(INVALID_SYNTAX)),
            (r#""\'""#, Err(INVALID_SYNTAX)),
            (r#""\ud800""#, Err(INVALID_SYNTAX)),
            (r#""\400""#, Err(INVALID_SYNTAX)),
        ] {
            assert_eq!(unquote(literal).as_deref().map_err(|error| *error), expect, "{literal}");
        }
        assert_eq!(unquote_char("'a'"), Ok(97));
        assert_eq!(unquote_char("'\\n'"), Ok(10));
        assert_eq!(unquote_char("'ab'"), Err("malformed character constant: 'ab'".to_owned()));
    }

    #[test]
    fn quotes_are_written_as_go_writes_them() {
        for (text, expect) in [
            ("plain", r#""plain""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\u{7}\u{8}\u{c}\n\r\t\u{b}\u{0}\u{7f}", r#""\a\b\f\n\r\t\v\x00\x7f""#),
            ("é\u{a0}\u{200b}日e\u{301}", "\"é\\u00a0\\u200b日e\u{301}\""),
            ("\u{e0001}", r#""\U000e0001""#),
        ] {
            assert_eq!(quote(text), expect);
        }
        assert_eq!(describe_char('"'), "U+0022 '\"'");
        assert_eq!(describe_char('\u{a0}'), "U+00A0");
    }
}
