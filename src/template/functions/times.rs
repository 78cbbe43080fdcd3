//! Times and durations from numbers, and back.

use super::humanize::to_float;
use super::{Env, Fault, Outcome, text};
use crate::model;
use crate::template::format::{Sink, push_float, push_value};
use crate::template::time::Time;
use crate::template::value::{Held, Value};

/// The evaluation timestamp in seconds.
pub(super) fn now<'a>(env: &mut Env<'a>, _: &[Value<'a>]) -> Outcome<'a> {
    Ok(Value::Float(env.context.at.as_seconds()))
}

/// A Prometheus duration in seconds; unlike elsewhere it may be negative.
pub(super) fn parse_duration<'a>(_: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let whole = text(args, 0);
    let (sign, size) = whole.strip_prefix('-').map_or((1.0, whole), |size| (-1.0, size));
    let duration = model::parse_duration(size).map_err(|error| Fault::Error(error.to_string()))?;
    Ok(Value::Float(sign * (duration.as_nanos() as f64 / 1e9)))
}

pub(super) fn to_time<'a>(_: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let seconds = to_float(&args[0])?;
    if !seconds.is_finite() {
        return Err("value is NaN or Inf".into());
    }
    Ok(Value::Time(time(seconds)?, Held::ByPointer))
}

pub(super) fn to_duration<'a>(_: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let seconds = to_float(&args[0])?;
    Ok(Value::Duration(to_nanos(seconds), Held::ByPointer))
}

/// What does not fit becomes the smallest integer, as on the machines that Prometheus runs on.
fn to_nanos(seconds: f64) -> i64 {
    let nanos = seconds * 1e9;
    if nanos >= i64::MIN as f64 && nanos < i64::MAX as f64 { nanos as i64 } else { i64::MIN }
}

pub(super) fn humanize_timestamp<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let seconds = to_float(&args[0])?;
    let mut out = String::new();
    if seconds.is_finite() {
        out = time(seconds)?.to_string();
    } else {
        push_float(&mut out, seconds, 'g', 4);
    }
    env.text(&out)
}

/// A time by its seconds since the epoch, cut to milliseconds.
fn time(seconds: f64) -> Result<Time, Fault> {
    let nanos = seconds * 1e9;
    if nanos > i64::MAX as f64 || nanos < i64::MIN as f64 {
        let mut shown = String::new();
        push_value(&mut Sink { out: &mut shown, limit: usize::MAX }, &Value::Float(seconds));
        return Err(format!("{shown} cannot be represented as a nanoseconds timestamp since it overflows int64").into());
    }
    Ok(Time::from_millis(to_nanos(seconds) / 1_000_000))
}
