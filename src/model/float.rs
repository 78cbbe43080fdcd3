//! Floats as Go prints them; Prometheus' texts and JSON are made of these.

/// Go's `FormatFloat(v, 'f', -1, 64)`: shortest digits that read back, never an exponent.
pub fn format_fixed(value: f64) -> String {
    special(value).map_or_else(|| format!("{value}"), str::to_owned)
}

/// Go's `FormatFloat(v, 'e', -1, 64)`: shortest digits, always an exponent of at least two digits (`1e+00`).
pub fn format_exponent(value: f64) -> String {
    if let Some(text) = special(value) {
        return text.to_owned();
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').expect("`{:e}` always prints an exponent");
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// Go's `FormatFloat(v, 'g', -1, 64)`: shortest digits, an exponent where it is below -4 or at least 6.
pub fn format_shortest(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || !size.is_finite() || (1e-4..1e6).contains(&size) {
        format_fixed(value)
    } else {
        format_exponent(value)
    }
}

fn special(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value == f64::INFINITY {
        Some("+Inf")
    } else if value == f64::NEG_INFINITY {
        Some("-Inf")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_go_prints_them() {
        for (value, shortest, exponent, fixed) in [
            (0.0, "0", "0e+00", "0"),
            (-0.0, "-0", "-0e+00", "-0"),
            (1.0, "1", "1e+00", "1"),
            (7.5, "7.5", "7.5e+00", "7.5"),
            (100_000.0, "100000", "1e+05", "100000"),
            (999_999.5, "999999.5", "9.999995e+05", "999999.5"),
            (1e6, "1e+06", "1e+06", "1000000"),
            (123_456_789.0, "1.23456789e+08", "1.23456789e+08", "123456789"),
            (0.0001, "0.0001", "1e-04", "0.0001"),
            (0.00001, "1e-05", "1e-05", "0.00001"),
            (1e-100, "1e-100", "1e-100", &format!("0.{}1", "0".repeat(99))),
            (f64::NAN, "NaN", "NaN", "NaN"),
            (f64::INFINITY, "+Inf", "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf", "-Inf"),
        ] {
            assert_eq!(format_shortest(value), shortest);
            assert_eq!(format_exponent(value), exponent);
            assert_eq!(format_fixed(value), fixed);
        }
    }
}
