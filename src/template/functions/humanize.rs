//! Numbers as people read them.

use super::{Env, Fault, Outcome};
use crate::template::format::push_float;
use crate::template::number::{FloatFault, parse_float};
use crate::template::quote::quote;
use crate::template::value::{Held, IntType, Value};

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

/// Significant digits of every humanized number.
const DIGITS: usize = 4;

/// What counts as a number: floats, ints, texts that read as floats, and durations in seconds.
pub(super) fn to_float(value: &Value<'_>) -> Result<f64, Fault> {
    match value {
        Value::Float(value) => Ok(*value),
        Value::Int(value, IntType::Int | IntType::Int64) => Ok(*value as f64),
        Value::Duration(nanos, Held::Directly) => Ok(seconds(*nanos)),
        Value::Str(text) => parse_float(text).map_err(|fault| {
            let reason = match fault {
                FloatFault::Syntax => "invalid syntax",
                FloatFault::Range => "value out of range",
            };
            format!("strconv.ParseFloat: parsing {}: {reason}", quote(text)).into()
        }),
        Value::Nil | Value::NilInterface => Err("can't convert <nil> to float".into()),
        other => Err(format!("can't convert {} to float", other.type_name()).into()),
    }
}

/// Seconds of a duration, whole and fraction apart as Go computes them.
pub(super) fn seconds(nanos: i64) -> f64 {
    (nanos / 1_000_000_000) as f64 + (nanos % 1_000_000_000) as f64 / 1e9
}

pub(super) fn humanize<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let value = to_float(&args[0])?;
    let (value, prefix) = match value {
        _ if value == 0.0 || !value.is_finite() => (value, ""),
        _ if value.abs() >= 1.0 => scale_down(value, 1000.0, &LARGE),
        _ => scale_up(value),
    };
    number(env, value, prefix, "")
}

pub(super) fn humanize1024<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let value = to_float(&args[0])?;
    let (value, prefix) = match value {
        _ if value.abs() <= 1.0 || !value.is_finite() => (value, ""),
        _ => scale_down(value, 1024.0, &BINARY),
    };
    number(env, value, prefix, "")
}

pub(super) fn humanize_percentage<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let value = to_float(&args[0])?;
    number(env, value * 100.0, "%", "")
}

pub(super) fn humanize_duration<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let value = to_float(&args[0])?;
    if !value.is_finite() {
        return number(env, value, "", "");
    }
    if value == 0.0 {
        return number(env, value, "s", "");
    }
    if value.abs() < 1.0 {
        let (value, prefix) = scale_up(value);
        return number(env, value, prefix, "s");
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = value.abs() as i64;
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    let text = match (days, hours, minutes) {
        (0, 0, 0) => return number(env, value, "s", ""),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    };
    env.text(&text)
}

fn scale_down(mut value: f64, step: f64, prefixes: &[&'static str; 8]) -> (f64, &'static str) {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < step {
            break;
        }
        prefix = next;
        value /= step;
    }
    (value, prefix)
}

fn scale_up(mut value: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    (value, prefix)
}

fn number<'a>(env: &mut Env<'a>, value: f64, prefix: &str, unit: &str) -> Outcome<'a> {
    let mut out = String::with_capacity(16);
    push_float(&mut out, value, 'g', DIGITS);
    out.push_str(prefix);
    out.push_str(unit);
    env.text(&out)
}
