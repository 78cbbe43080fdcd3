//! Numbers as Go reads them: `0x1F`, `1_000`, `0b11`, `.5e3`, `0x1p-2`, `Inf`.

use super::ast::Number;
use super::quote::{quote, unquote_char};

/// A character constant, `'a'`.
pub(super) fn char_constant(text: &str) -> Result<Number, String> {
    let code = unquote_char(text)?;
    Ok(Number { text: text.into(), int: Some(i64::from(code)), float: Some(f64::from(code)), complex: None })
}

/// `1+2i`; its lexis has been checked.
pub(super) fn complex_constant(text: &str) -> Result<Number, String> {
    let syntax = || format!("illegal number syntax: {}", quote(text));
    let body = text.strip_suffix('i').ok_or_else(syntax)?;
    // The sign between the parts is the last one that belongs to no exponent.
    let split = body
        .char_indices()
        .filter(|(at, c)| *at > 0 && matches!(c, '+' | '-') && !body[..*at].ends_with(['e', 'E', 'p', 'P']))
        .map(|(at, _)| at)
        .next_back()
        .ok_or_else(syntax)?;
    let real = parse_float(&body[..split]).map_err(|_| syntax())?;
    let imaginary = parse_float(&body[split..]).map_err(|_| syntax())?;
    Ok(complex(text, real, imaginary))
}

fn complex(text: &str, real: f64, imaginary: f64) -> Number {
    let float = (imaginary == 0.0).then_some(real);
    Number { text: text.into(), int: float.and_then(float_to_int), float, complex: Some((real, imaginary)) }
}

/// A plain number.
pub(super) fn constant(text: &str) -> Result<Number, String> {
    if let Some(Ok(imaginary)) = text.strip_suffix('i').map(parse_float) {
        return Ok(complex(text, 0.0, imaginary));
    }
    let mut int = parse_int(text);
    let float = match (int, parse_uint(text)) {
        (Some(int), _) => Some(int as f64),
        (None, Some(uint)) => Some(uint as f64),
        (None, None) => {
            let float = parse_float(text).ok();
            if float.is_some() && !text.contains(['.', 'e', 'E', 'p', 'P']) {
                return Err(format!("integer overflow: {}", quote(text)));
            }
            int = float.and_then(float_to_int);
            float
        }
    };
    if float.is_none() {
        return Err(format!("illegal number syntax: {}", quote(text)));
    }
    Ok(Number { text: text.into(), int, float, complex: None })
}

fn float_to_int(value: f64) -> Option<i64> {
    let whole = value as i64;
    (whole as f64 == value && whole != i64::MAX).then_some(whole)
}

/// `strconv.ParseInt(text, 0, 64)`.
fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let size = parse_uint(digits)?;
    if negative { 0_i64.checked_sub_unsigned(size) } else { i64::try_from(size).ok() }
}

/// `strconv.ParseUint(text, 0, 64)`.
fn parse_uint(text: &str) -> Option<u64> {
    let lower = text.get(..2).map(str::to_ascii_lowercase);
    let (radix, digits) = match lower.as_deref() {
        Some("0x") => (16, &text[2..]),
        Some("0o") => (8, &text[2..]),
        Some("0b") => (2, &text[2..]),
        _ if text.len() > 1 && text.starts_with('0') => (8, &text[1..]),
        _ => (10, text),
    };
    if digits.is_empty() || digits.starts_with('+') || !underscores_fit(text) {
        return None;
    }
    u64::from_str_radix(&digits.replace('_', ""), radix).ok()
}

/// Underscores stand between digits only, or after a base prefix.
fn underscores_fit(text: &str) -> bool {
    if !text.contains('_') {
        return true;
    }
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let prefix = text.get(..2).map(str::to_ascii_lowercase);
    let prefixed = matches!(prefix.as_deref(), Some("0x" | "0o" | "0b"));
    let hex = prefix.as_deref() == Some("0x");
    let mut last = if prefixed { '0' } else { '^' };
    for c in text.chars().skip(if prefixed { 2 } else { 0 }) {
        let digit = c.is_ascii_digit() || (hex && c.is_ascii_hexdigit());
        match c {
            _ if digit => last = '0',
            '_' if last != '0' => return false,
            '_' => last = '_',
            _ if last == '_' => return false,
            _ => last = '!',
        }
    }
    last != '_'
}

/// Why a text is no float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FloatFault {
    Syntax,
    Range,
}

/// `strconv.ParseFloat(text, 64)`.
pub(super) fn parse_float(text: &str) -> Result<f64, FloatFault> {
    let (negative, body) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let sign = if negative { -1.0 } else { 1.0 };
    if body.eq_ignore_ascii_case("inf") || body.eq_ignore_ascii_case("infinity") {
        return Ok(sign * f64::INFINITY);
    }
    if text.eq_ignore_ascii_case("nan") {
        return Ok(f64::NAN);
    }
    if !underscores_fit(text) {
        return Err(FloatFault::Syntax);
    }
    let body = body.replace('_', "");
    let value = match body.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => parse_hex_float(&body[2..]).ok_or(FloatFault::Syntax)?,
        _ if !body.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-')) => {
            return Err(FloatFault::Syntax);
        }
        _ if body.starts_with(['+', '-']) => return Err(FloatFault::Syntax),
        _ => body.parse::<f64>().map_err(|_| FloatFault::Syntax)?,
    };
    if value.is_infinite() { Err(FloatFault::Range) } else { Ok(sign * value) }
}

/// `1.8p-3` in base sixteen; the exponent is required and decimal.
fn parse_hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let exponent_digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if exponent_digits.is_empty() || !exponent_digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // Beyond 60 bits only "something is left" matters for rounding.
    let (mut bits, mut shift, mut sticky) = (0_u64, 0_i64, false);
    for (index, digit) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u64::from(digit.to_digit(16)?);
        let in_fraction = index >= whole.len();
        if bits >> 58 == 0 {
            bits = bits << 4 | digit;
            shift -= if in_fraction { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            shift += if in_fraction { 0 } else { 4 };
        }
    }
    let exponent: i64 = exponent.parse().unwrap_or(if exponent.starts_with('-') { -100_000 } else { 100_000 });
    let power = exponent.saturating_add(shift).clamp(-3000, 3000) as i32;
    let value = (bits | u64::from(sticky)) as f64;
    // In two steps, so that neither power leaves the range of an f64 before its time.
    Some(value * 2_f64.powi(power / 2) * 2_f64.powi(power - power / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_have_every_type_that_can_hold_them() {
        for (text, int, float) in [
            ("1_000", Some(1000), Some(1000.0)),
            ("0b11", Some(3), Some(3.0)),
            ("0o17", Some(15), Some(15.0)),
            ("017", Some(15), Some(15.0)),
            ("0x1F", Some(31), Some(31.0)),
            ("-5", Some(-5), Some(-5.0)),
            ("-0", Some(0), Some(0.0)),
            ("+7", Some(7), Some(7.0)),
            ("-9223372036854775808", Some(i64::MIN), Some(-9_223_372_036_854_775_808.0)),
            (".5", None, Some(0.5)),
            ("1e3", Some(1000), Some(1000.0)),
            ("0x1p-2", None, Some(0.25)),
            ("18446744073709551615", None, Some(18_446_744_073_709_551_615.0)),
        ] {
            let number = constant(text).expect(text);
            assert_eq!((number.int, number.float), (int, float), "{text}");
        }
        for (text, fault) in [
            ("18446744073709551616", "integer overflow: \"18446744073709551616\""),
            ("089", "integer overflow: \"089\""),
            ("1__0", "illegal number syntax: \"1__0\""),
            ("0x", "illegal number syntax: \"0x\""),
            ("+", "illegal number syntax: \"+\""),
            ("1e", "illegal number syntax: \"1e\""),
        ] {
            assert_eq!(constant(text).map(|_| ()), Err(fault.to_owned()), "{text}");
        }
        assert_eq!(complex_constant("1e+2-3i").map(|number| number.complex), Ok(Some((100.0, -3.0))));
    }

    #[test]
    fn floats_are_read_as_go_reads_them() {
        for (text, expect) in [
            ("1.5", Ok(1.5)),
            ("+.5e-3", Ok(0.0005)),
            ("-Inf", Ok(f64::NEG_INFINITY)),
            ("infinity", Ok(f64::INFINITY)),
            ("0x1.8p1", Ok(3.0)),
            ("1_0", Ok(10.0)),
            ("1e400", Err(FloatFault::Range)),
            ("", Err(FloatFault::Syntax)),
            ("1 ", Err(FloatFault::Syntax)),
            ("+-1", Err(FloatFault::Syntax)),
            ("0x1", Err(FloatFault::Syntax)),
            ("one", Err(FloatFault::Syntax)),
            (".", Err(FloatFault::Syntax)),
        ] {
            assert_eq!(parse_float(text), expect, "{text}");
        }
        assert!(parse_float("NaN").is_ok_and(f64::is_nan));
    }
}
