//! Numbers as Go's `yaml.v3` reads them.

/// A whole number as Go's `yaml.v3` reads a plain scalar: `5`, `+5`, `1_000`, `0x1F`, `0b1`, `0o17` and `017`.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let plain = text.replace('_', "");
    if !plain.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '-') {
        return None;
    }
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// A float as Go's `yaml.v3` reads a plain scalar.
pub(crate) fn float(text: &str) -> Option<f64> {
    match text {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    let plain = text.replace('_', "");
    let digits = plain.trim_start_matches(['+', '-']);
    let starts_well = digits.starts_with(|c: char| c.is_ascii_digit())
        || (digits.starts_with('.') && digits[1..].starts_with(|c: char| c.is_ascii_digit()));
    if !starts_well || plain.len() - digits.len() > 1 {
        return None;
    }
    plain.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_gos() {
        for (text, whole) in [
            ("5", Some(5)),
            ("-1", Some(-1)),
            ("+1_000", Some(1000)),
            ("0x1f", Some(31)),
            ("010", Some(8)),
            ("0o10", Some(8)),
            ("0b11", Some(3)),
            ("08", None),
            ("1.5", None),
            ("", None),
            ("-", None),
            ("0x", None),
            ("0x+5", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(integer(text), whole, "{text}");
        }
        assert_eq!(float("1.5e3"), Some(1500.0));
        assert_eq!(float("08"), Some(8.0));
        assert_eq!(float("inf"), None);
        assert_eq!(float("1x"), None);
    }
}
