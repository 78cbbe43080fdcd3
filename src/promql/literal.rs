//! What literals stand for: numbers, durations, strings.

use std::time::Duration;

use crate::model::{parse_duration, quote};

/// Longest duration, which the reference counts in nanoseconds in an i64.
const DURATION_SECONDS_MAX: f64 = i64::MAX as f64 / 1e9;

/// A number as Go reads it: decimal, hexadecimal, octal with a leading 0, `_` between digits, `Inf`, `NaN`.
pub(super) fn number(text: &str) -> Result<f64, String> {
    if text.eq_ignore_ascii_case("inf") {
        return Ok(f64::INFINITY);
    }
    if text.eq_ignore_ascii_case("nan") {
        return Ok(f64::NAN);
    }
    let fault = |why: &str| format!("error parsing number: strconv.ParseFloat: parsing {}: {why}", quote(text));
    if !underscores_fit(text) {
        return Err(fault("invalid syntax"));
    }
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let integer = if let Some(digits) = digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        let value = u64::from_str_radix(digits, 16).ok().filter(|value| i64::try_from(*value).is_ok());
        return value.map(|value| value as f64).ok_or_else(|| fault("invalid syntax"));
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(&digits, 8).ok()
    } else {
        digits.parse().ok()
    };
    if let Some(integer) = integer {
        return Ok(integer as f64);
    }
    match digits.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(fault("value out of range")),
        Err(_) => Err(fault("invalid syntax")),
    }
}

/// `_` only between digits, or behind `0x`.
fn underscores_fit(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_hex = text.starts_with("0x") || text.starts_with("0X");
    let is_digit =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_digit() || (is_hex && byte.is_ascii_hexdigit()));
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'_').all(|(index, _)| {
        let before = index.checked_sub(1).and_then(|index| bytes.get(index));
        (is_digit(before) || (is_hex && index == 2)) && is_digit(bytes.get(index + 1))
    })
}

/// A duration literal.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

/// Seconds, as written where a duration belongs, in milliseconds.
pub(super) fn seconds_to_millis(seconds: f64) -> Result<i64, String> {
    if seconds.is_nan() || seconds.abs() > DURATION_SECONDS_MAX {
        return Err("duration out of range".to_owned());
    }
    Ok((seconds * 1000.0).round() as i64)
}

/// What a quoted string holds, escapes undone.
pub(super) fn unquote(text: &str) -> Result<String, String> {
    let quote = text.chars().next().unwrap_or('"');
    let inside = &text[1..text.len() - 1];
    if quote == '`' {
        return Ok(inside.to_owned());
    }
    if !inside.contains('\\') {
        return Ok(inside.to_owned());
    }
    let mut bytes = Vec::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = chars.next().ok_or("escape sequence not terminated")?;
        let simple = match escape {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' => b'\\',
            c if c == quote => c as u8,
            '0'..='7' => {
                let rest: String = escape.to_string() + &take(&mut chars, 2);
                coded(&rest, 8, 3)?.try_into().map_err(|_| "escape sequence is an invalid byte value".to_owned())?
            }
            'x' => coded(&take(&mut chars, 2), 16, 2)? as u8,
            'u' | 'U' => {
                let digits = if escape == 'u' { 4 } else { 8 };
                let code = coded(&take(&mut chars, digits), 16, digits)?;
                let c = char::from_u32(code).ok_or("escape sequence is an invalid Unicode code point")?;
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            other => return Err(format!("unknown escape sequence {}", super::lexer::quote_char(other))),
        };
        bytes.push(simple);
    }
    String::from_utf8(bytes).map_err(|_| "strings that are not UTF-8 are not understood yet".to_owned())
}

fn take(chars: &mut std::str::Chars<'_>, count: usize) -> String {
    chars.by_ref().take(count).collect()
}

fn coded(digits: &str, radix: u32, count: usize) -> Result<u32, String> {
    if let Some(bad) = digits.chars().find(|c| !c.is_digit(radix)) {
        let code = u32::from(bad);
        return Err(format!("illegal character U+{code:04X} {} in escape sequence", super::lexer::quote_char(bad)));
    }
    if digits.len() < count {
        return Err("escape sequence not terminated".to_owned());
    }
    u32::from_str_radix(digits, radix).map_err(|_| "escape sequence is an invalid Unicode code point".to_owned())
}
