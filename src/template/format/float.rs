//! Floats by verb and precision, as Go's `strconv.FormatFloat` writes them.

use std::fmt::{self, Write};

/// Digits beyond which every f64 is exact: the rest are zeros.
const EXACT_DIGITS: usize = 1100;

/// Writes a float; `verb` is one of `b e E f g G x X`. Without precision: the fewest digits that read back.
///
/// The sign is written for negative numbers and for infinities.
pub(super) fn push_float(out: &mut String, value: f64, verb: char, precision: Option<usize>) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    }
    match verb {
        'f' | 'F' => push_fixed(out, value, precision),
        'e' | 'E' => push_exponent(out, value, verb, precision),
        'g' | 'G' => push_general(out, value, verb, precision),
        'x' | 'X' => push_hex(out, value, verb, precision),
        _ => push_binary(out, value),
    }
}

fn push_fixed(out: &mut String, value: f64, precision: Option<usize>) {
    let result = match precision {
        None => write!(out, "{value}"),
        Some(precision) => write!(out, "{value:.*}", precision.min(EXACT_DIGITS)),
    };
    result.expect("writing to a string cannot fail");
    push_zeros(out, precision);
}

fn push_zeros(out: &mut String, precision: Option<usize>) {
    let zeros = precision.map_or(0, |precision| precision.saturating_sub(EXACT_DIGITS));
    out.extend(std::iter::repeat_n('0', zeros));
}

fn push_exponent(out: &mut String, value: f64, verb: char, precision: Option<usize>) {
    let scientific = Scientific::new(value, precision.map(|precision| precision.min(EXACT_DIGITS)));
    let (mantissa, exponent) = scientific.parts();
    out.push_str(mantissa);
    push_zeros(out, precision);
    push_power(out, verb, exponent, 2);
}

fn push_power(out: &mut String, mark: char, power: i32, digits: usize) {
    let sign = if power < 0 { '-' } else { '+' };
    write!(out, "{mark}{sign}{:0digits$}", power.unsigned_abs()).expect("writing to a string cannot fail");
}

/// The exponent form where the exponent is below -4 or not below the precision (6 for the shortest form).
fn push_general(out: &mut String, value: f64, verb: char, precision: Option<usize>) {
    let mark = if verb == 'g' { 'e' } else { 'E' };
    let precision = precision.map(|precision| precision.clamp(1, EXACT_DIGITS));
    let size = value.abs();
    if precision.is_none() && (size == 0.0 || (1e-4..1e6).contains(&size)) {
        return push_fixed(out, value, None);
    }
    let scientific = Scientific::new(value, precision.map(|precision| precision - 1));
    let (mantissa, exponent) = scientific.parts();
    let mantissa = match mantissa.contains('.') {
        true => mantissa.trim_end_matches('0').trim_end_matches('.'),
        false => mantissa,
    };
    let bound = precision.map_or(6, |precision| precision as i32);
    if value != 0.0 && (exponent < -4 || exponent >= bound) {
        out.push_str(mantissa);
        return push_power(out, mark, exponent, 2);
    }
    if mantissa.starts_with('-') {
        out.push('-');
    }
    let digits = || mantissa.chars().filter(char::is_ascii_digit);
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', exponent.unsigned_abs() as usize - 1));
        return out.extend(digits());
    }
    let whole = exponent as usize + 1;
    out.extend(digits().chain(std::iter::repeat('0')).take(whole));
    if digits().count() > whole {
        out.push('.');
        out.extend(digits().skip(whole));
    }
}

/// A float in the standard library's exponent form, on the stack where it is short.
struct Scientific(smallvec::SmallVec<[u8; 32]>);

impl Scientific {
    fn new(value: f64, precision: Option<usize>) -> Scientific {
        let mut text = Scientific(smallvec::SmallVec::new());
        let result = match precision {
            None => write!(text, "{value:e}"),
            Some(precision) => write!(text, "{value:.precision$e}"),
        };
        result.expect("writing to a vector cannot fail");
        text
    }

    fn parts(&self) -> (&str, i32) {
        let text = std::str::from_utf8(&self.0).expect("only digits and signs were written");
        let (mantissa, exponent) = text.split_once('e').expect("`{:e}` always prints an exponent");
        (mantissa, exponent.parse().expect("an exponent is a small number"))
    }
}

impl fmt::Write for Scientific {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

const MANTISSA_BITS: u32 = 52;

/// Mantissa with its leading bit, and the power of two that goes with it.
fn decompose(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let exponent = (bits >> MANTISSA_BITS & 0x7ff) as i32;
    let mantissa = bits & ((1 << MANTISSA_BITS) - 1);
    match exponent {
        0 => (mantissa, 1 - 1023 - MANTISSA_BITS as i32),
        _ => (mantissa | 1 << MANTISSA_BITS, exponent - 1023 - MANTISSA_BITS as i32),
    }
}

fn push_binary(out: &mut String, value: f64) {
    let (mantissa, power) = decompose(value);
    let sign = if value.is_sign_negative() { "-" } else { "" };
    write!(out, "{sign}{mantissa}p{power:+}").expect("writing to a string cannot fail");
}

fn push_hex(out: &mut String, value: f64, verb: char, precision: Option<usize>) {
    let (mut mantissa, mut power) = decompose(value);
    if mantissa == 0 {
        power = 0;
    } else {
        // One leading bit, then the fraction in the upper 60 bits.
        let shift = mantissa.leading_zeros() - 3;
        mantissa <<= shift;
        power += 60 - shift as i32;
        if let Some(precision) = precision.filter(|precision| *precision < 15) {
            let dropped = 60 - 4 * precision as u32;
            let (rest, half) = (mantissa & ((1 << dropped) - 1), 1_u64 << (dropped - 1));
            mantissa >>= dropped;
            if rest > half || (rest == half && mantissa & 1 == 1) {
                mantissa += 1;
            }
            mantissa <<= dropped;
            if mantissa >> 61 != 0 {
                mantissa >>= 1;
                power += 1;
            }
        }
    }
    let fraction = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let fraction = match precision {
        None => fraction.trim_end_matches('0').to_owned(),
        Some(precision) => fraction.chars().chain(std::iter::repeat('0')).take(precision).collect(),
    };
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    let text = format!("{sign}0x{}{point}{fraction}", mantissa >> 60);
    out.push_str(&if verb == 'X' { text.to_ascii_uppercase() } else { text });
    push_power(out, if verb == 'X' { 'P' } else { 'p' }, power, 2);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_strconv_prints_them() {
        for (value, verb, precision, expect) in [
            (1_234_567.0, 'g', None, "1.234567e+06"),
            (100_000.0, 'g', None, "100000"),
            (0.0001, 'g', None, "0.0001"),
            (0.00001, 'g', None, "1e-05"),
            (1e21, 'g', None, "1e+21"),
            (-0.0, 'g', None, "-0"),
            (0.0, 'g', Some(4), "0"),
            (999.95, 'g', Some(4), "1000"),
            (999_999.0, 'g', Some(4), "1e+06"),
            (1.23456, 'g', Some(4), "1.235"),
            (0.00012345, 'g', Some(4), "0.0001234"),
            (0.000012345, 'g', Some(4), "1.234e-05"),
            (100.0, 'g', Some(3), "100"),
            (1_234_567.0, 'g', Some(3), "1.23e+06"),
            (-120.0, 'g', Some(4), "-120"),
            (5.0, 'g', Some(0), "5"),
            (12345.678, 'e', Some(6), "1.234568e+04"),
            (12345.678, 'E', None, "1.2345678E+04"),
            (2.5, 'f', Some(0), "2"),
            (3.5, 'f', Some(0), "4"),
            (1e21, 'f', None, "1000000000000000000000"),
            (1.0, 'b', None, "4503599627370496p-52"),
            (1.0, 'x', None, "0x1p+00"),
            (-3.25, 'x', None, "-0x1.ap+01"),
            (1.9999, 'X', Some(2), "0X1.00P+01"),
            (f64::NAN, 'g', None, "NaN"),
            (f64::INFINITY, 'f', Some(2), "+Inf"),
        ] {
            let mut out = String::new();
            push_float(&mut out, value, verb, precision);
            assert_eq!(out, expect, "{value} %{verb} {precision:?}");
        }
        let mut long = String::new();
        push_float(&mut long, 0.1, 'f', Some(5000));
        assert_eq!(long.len(), 5002);
    }
}
