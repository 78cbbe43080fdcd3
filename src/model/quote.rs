//! Strings in double quotes, as Go and PromQL write them.

use std::fmt::Write as _;

/// Go's `strconv.Quote`: printable characters as they are, the others escaped so that Go and PromQL read them back.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            ' '..='~' => quoted.push(c),
            '\0'..='\u{7f}' => write!(quoted, "\\x{:02x}", u32::from(c)).expect("writing to a string cannot fail"),
            _ if is_printable(c) => quoted.push(c),
            '\u{80}'..='\u{ffff}' => {
                write!(quoted, "\\u{:04x}", u32::from(c)).expect("writing to a string cannot fail");
            }
            _ => write!(quoted, "\\U{:08x}", u32::from(c)).expect("writing to a string cannot fail"),
        }
    }
    quoted.push('"');
    quoted
}

/// Rust's own table, except that combining marks print as themselves in Go.
fn is_printable(c: char) -> bool {
    let mut buffer = [0; 5];
    buffer[0] = b'x';
    let length = 1 + c.encode_utf8(&mut buffer[1..]).len();
    // After another character a combining mark is not escaped, what cannot be printed still is.
    let pair = std::str::from_utf8(&buffer[..length]).expect("two characters");
    pair.escape_debug().count() == 2
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn quoted_as_go_does() {
        for (text, quoted) in [
            ("", r#""""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("tab\tnew\nbell\u{7}", r#""tab\tnew\nbell\a""#),
            ("é日本 e\u{301}", "\"é日本 e\u{301}\""),
            ("\u{a0}\u{7f}\u{1}", r#""\u00a0\x7f\x01""#),
            ("\u{e0001}", r#""\U000e0001""#),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }
}
