//! Strings as Go quotes them; PromQL prints label values and string literals so.

use std::fmt::{self, Write};

/// Go's `strconv.Quote`: double quotes, Go's escapes, everything printable as it is.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_quoted(&mut out, text).expect("writing to a string does not fail");
    out
}

/// As `quote`, into what is being written.
pub fn write_quoted(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    let plain = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
    let mut rest = text;
    while !rest.is_empty() {
        let plain_bytes = rest.find(|c| !plain(c)).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(plain_bytes);
        out.write_str(head)?;
        let mut chars = tail.chars();
        if let Some(next) = chars.next() {
            write_escaped(out, next)?;
        }
        rest = chars.as_str();
    }
    out.write_char('"')
}

fn write_escaped(out: &mut impl Write, c: char) -> fmt::Result {
    match c {
        '"' => out.write_str("\\\""),
        '\\' => out.write_str("\\\\"),
        '\x07' => out.write_str("\\a"),
        '\x08' => out.write_str("\\b"),
        '\x0c' => out.write_str("\\f"),
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        '\x0b' => out.write_str("\\v"),
        c if u32::from(c) < 0x20 || c == '\x7f' => write!(out, "\\x{:02x}", u32::from(c)),
        c if is_printable(c) => out.write_char(c),
        c if u32::from(c) < 0x1_0000 => write!(out, "\\u{:04x}", u32::from(c)),
        c => write!(out, "\\U{:08x}", u32::from(c)),
    }
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII blank.
pub fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    // The standard library has the same table behind `escape_debug`; marks pass only when they follow something.
    let mut buffer = [b'a'; 5];
    let bytes = 1 + c.encode_utf8(&mut buffer[1..]).len();
    str::from_utf8(&buffer[..bytes]).is_ok_and(|text| text.escape_debug().nth(1) == Some(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_go_quotes_them() {
        for (text, quoted) in [
            ("", r#""""#),
            ("a b", r#""a b""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\x07\x08\x0c\n\r\t\x0b\x00\x1f\x7f", r#""\a\b\f\n\r\t\v\x00\x1f\x7f""#),
            ("日本é\u{301}\u{fffd}", "\"日本é\u{301}\u{fffd}\""),
            ("\u{80}\u{a0}\u{200b}\u{e000}", r#""\u0080\u00a0\u200b\ue000""#),
            ("\u{e0001}", r#""\U000e0001""#),
            ("\u{301}", "\"\u{301}\""),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }
}
