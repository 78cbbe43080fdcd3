//! `eq ne lt le gt ge`: values of one basic kind only. An int and a float do not compare, as in Go.

use std::cmp::Ordering;

use super::{Env, Fault, Outcome};
use crate::template::format::{Sink, sprint};
use crate::template::limits::OUTPUT_BYTES_MAX;
use crate::template::value::{Held, Value};

/// The kinds whose values compare.
enum Basic<'v> {
    Bool(bool),
    /// Signed, or unsigned; the two compare with each other.
    Int(i64),
    Float(f64),
    Complex(f64, f64),
    Str(&'v str),
    None,
}

fn basic<'v>(value: &'v Value<'_>) -> Basic<'v> {
    match value {
        Value::Bool(truth) => Basic::Bool(*truth),
        Value::Int(number, _) | Value::Duration(number, Held::Directly) => Basic::Int(*number),
        Value::Float(number) => Basic::Float(*number),
        Value::Complex(real, imaginary) => Basic::Complex(*real, *imaginary),
        Value::Str(text) | Value::Html(text) => Basic::Str(text),
        _ => Basic::None,
    }
}

fn incompatible(one: &Value<'_>, other: &Value<'_>) -> Fault {
    format!("incompatible types for comparison: {} and {}", one.type_name(), other.type_name()).into()
}

fn is_nil(value: &Value<'_>) -> bool {
    matches!(value, Value::Nil | Value::NilInterface | Value::NilSample)
}

fn equal(one: &Value<'_>, other: &Value<'_>) -> Result<bool, Fault> {
    Ok(match (basic(one), basic(other)) {
        (Basic::Bool(a), Basic::Bool(b)) => a == b,
        (Basic::Int(a), Basic::Int(b)) => a == b,
        (Basic::Float(a), Basic::Float(b)) => a == b,
        (Basic::Complex(a, b), Basic::Complex(c, d)) => a == c && b == d,
        (Basic::Str(a), Basic::Str(b)) => a == b,
        (Basic::None, Basic::None) => return equal_references(one, other),
        // A nil differs from everything.
        _ if matches!(one, Value::Nil | Value::NilInterface) => false,
        _ if matches!(other, Value::Nil | Value::NilInterface) => false,
        _ => return Err(incompatible(one, other)),
    })
}

/// Which of Go's kinds a value without basic kind is.
fn kind(value: &Value<'_>) -> &'static str {
    match value {
        Value::Nil | Value::NilInterface => "invalid",
        Value::Labels(_) | Value::Args(_) => "map",
        Value::Results(_) => "slice",
        Value::Root(_) | Value::Time(_, Held::Directly) => "struct",
        _ => "pointer",
    }
}

fn equal_references(one: &Value<'_>, other: &Value<'_>) -> Result<bool, Fault> {
    let kinds = (kind(one), kind(other));
    if kinds.0 != kinds.1 && kinds.0 != "invalid" && kinds.1 != "invalid" {
        let (one_text, other_text) = (shown(one), shown(other));
        let (one, other) = (one.type_name(), other.type_name());
        return Err(format!("non-comparable types {one_text}: {one}, {other}: {other_text}").into());
    }
    if is_nil(one) || is_nil(other) {
        return Ok(is_nil(one) == is_nil(other));
    }
    if matches!(kinds.1, "map" | "slice") || matches!(other, Value::Root(_)) {
        return Err(format!("non-comparable type {}: {}", shown(other), other.type_name()).into());
    }
    Ok(match (one, other) {
        (Value::Sample(a), Value::Sample(b)) => std::ptr::eq(*a, *b),
        (Value::Histogram(a), Value::Histogram(b)) => std::ptr::eq(*a, *b),
        (Value::Time(a, Held::Directly), Value::Time(b, Held::Directly)) => a == b,
        (Value::Location, Value::Location) => true,
        // Pointers to two things.
        _ => false,
    })
}

fn shown(value: &Value<'_>) -> String {
    let mut out = String::new();
    sprint(&mut Sink { out: &mut out, limit: OUTPUT_BYTES_MAX }, std::slice::from_ref(value));
    out
}

fn less(one: &Value<'_>, other: &Value<'_>) -> Result<bool, Fault> {
    const NO_ORDER: &str = "invalid type for comparison";
    Ok(match (basic(one), basic(other)) {
        (Basic::None, _) | (_, Basic::None) => return Err(NO_ORDER.into()),
        (Basic::Bool(_), Basic::Bool(_)) | (Basic::Complex(..), Basic::Complex(..)) => return Err(NO_ORDER.into()),
        (Basic::Int(a), Basic::Int(b)) => a < b,
        (Basic::Float(a), Basic::Float(b)) => a < b,
        (Basic::Str(a), Basic::Str(b)) => a.cmp(b) == Ordering::Less,
        _ => return Err(incompatible(one, other)),
    })
}

fn less_or_equal(one: &Value<'_>, other: &Value<'_>) -> Result<bool, Fault> {
    Ok(less(one, other)? || equal(one, other)?)
}

/// Whether the first equals one of the others.
pub(super) fn eq<'a>(_: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    if args.len() < 2 {
        return Err("missing argument for comparison".into());
    }
    for other in &args[1..] {
        if equal(&args[0], other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

pub(super) fn ne<'a>(_: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    Ok(Value::Bool(!equal(&args[0], &args[1])?))
}

pub(super) fn lt<'a>(_: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    Ok(Value::Bool(less(&args[0], &args[1])?))
}

pub(super) fn le<'a>(_: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    Ok(Value::Bool(less_or_equal(&args[0], &args[1])?))
}

/// The inverse of `le`, also where one is NaN.
pub(super) fn gt<'a>(_: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    Ok(Value::Bool(!less_or_equal(&args[0], &args[1])?))
}

/// The inverse of `lt`, also where one is NaN.
pub(super) fn ge<'a>(_: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    Ok(Value::Bool(!less(&args[0], &args[1])?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::value::IntType;

    #[test]
    fn unsigned_and_signed_numbers_compare() {
        let (byte, int) = (Value::Int(98, IntType::Uint8), Value::Int(98, IntType::Int));
        assert!(equal(&byte, &int).is_ok_and(|equal| equal));
        assert!(less(&byte, &Value::Int(-1, IntType::Int)).is_ok_and(|less| !less));
    }
}
