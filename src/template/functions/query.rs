//! `query` and what takes its results apart.

use super::{Env, Fault, NIL_POINTER, Outcome, text};
use crate::template::value::{Results, Str, Value};

/// The label that `strvalue` shows: a text that a query carries beside its number.
const STRING_VALUE: &str = "__value__";

/// Runs nothing: takes the answer, or says that it is needed.
pub(super) fn query<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let expr = text(args, 0);
    match env.queries.answer(expr) {
        None => Err(Fault::Needs(expr.to_owned())),
        Some(Err(reason)) => Err(reason.into()),
        Some(Ok(samples)) => {
            env.spend(size_of_val(samples))?;
            Ok(Value::Results(Results::new(samples)))
        }
    }
}

pub(super) fn first<'a>(_: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    const EMPTY: &str = "first() called on vector with no elements";
    match &args[0] {
        Value::Results(results) => Ok(Value::Sample(results.get(0).ok_or(EMPTY)?)),
        _ => Err(EMPTY.into()),
    }
}

pub(super) fn label<'a>(_: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    label_value(&args[1], text(args, 0))
}

pub(super) fn strvalue<'a>(_: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    label_value(&args[0], STRING_VALUE)
}

fn label_value<'a>(sample: &Value<'a>, name: &str) -> Outcome<'a> {
    match sample {
        Value::Sample(sample) => Ok(Value::Str(Str::Borrowed(sample.labels.value(name)))),
        _ => Err(NIL_POINTER.into()),
    }
}

pub(super) fn value<'a>(_: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    match &args[0] {
        Value::Sample(sample) => Ok(Value::from_model(&sample.value)),
        _ => Err(NIL_POINTER.into()),
    }
}

/// Sorts in place, keeping the order of equals: a variable that holds the results sees it too.
pub(super) fn sort_by_label<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    if let Value::Results(results) = &args[1] {
        env.spend(results.len() * size_of::<usize>())?;
        results.sort_by_label(text(args, 0));
    }
    Ok(args[1].clone())
}
