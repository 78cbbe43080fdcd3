//! Functions of Go's own: containers, truth, `args`.

use std::rc::Rc;

use super::{Env, Fault, Outcome};
use crate::template::limits::ARGS_DEPTH_MAX;
use crate::template::value::{Args, Held, IntType, Results, Str, Value};

/// The body of functions that the executor runs itself.
pub(super) fn unreachable<'a>(_: &mut Env<'a>, _: &[Value<'a>]) -> Outcome<'a> {
    Err("this function is run by the executor".into())
}

pub(super) fn not<'a>(_: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    Ok(Value::Bool(!args[0].is_true()))
}

/// `arg0`, `arg1`, ... for a template that takes several values.
pub(super) fn args<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let inner = args.iter().map(|value| if let Value::Args(args) = value { args.depth } else { 0 }).max();
    let depth = inner.unwrap_or(0) + 1;
    if depth > ARGS_DEPTH_MAX {
        return Err(format!("args inside args inside args: more than {ARGS_DEPTH_MAX} levels").into());
    }
    env.spend(size_of_val(args))?;
    let value = |value: &Value<'a>| if let Value::Nil = value { Value::NilInterface } else { value.clone() };
    let mut entries: Vec<_> = args.iter().enumerate().map(|(i, arg)| (format!("arg{i}"), value(arg))).collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Value::Args(Rc::new(Args { depth, entries })))
}

pub(super) fn len<'a>(_: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    Ok(Value::int(match &args[0] {
        Value::Str(text) | Value::Html(text) => text.len(),
        Value::Labels(labels) => labels.len(),
        Value::Args(args) => args.entries.len(),
        Value::Results(results) => results.len(),
        Value::Nil => return Err("reflect: call of reflect.Value.Type on zero Value".into()),
        Value::NilInterface | Value::NilSample => return Err("len of nil pointer".into()),
        other => return Err(format!("len of type {}", pointee_type(other)).into()),
    }))
}

/// The type name of what a pointer points to.
fn pointee_type(value: &Value<'_>) -> &'static str {
    value.type_name().trim_start_matches('*')
}

pub(super) fn index<'a>(_: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let mut item = match &args[0] {
        Value::Nil | Value::NilInterface => return Err("index of untyped nil".into()),
        item => item.clone(),
    };
    for index in &args[1..] {
        item = match &item {
            Value::NilInterface | Value::NilSample => return Err("index of nil pointer".into()),
            Value::Str(text) | Value::Html(text) => {
                let at = position(index, text.len())?;
                let byte = text.as_bytes().get(at).ok_or("reflect: string index out of range")?;
                Value::Int(i64::from(*byte), IntType::Uint8)
            }
            Value::Results(results) => {
                let at = position(index, results.len())?;
                Value::Sample(results.get(at).ok_or("reflect: slice index out of range")?)
            }
            Value::Labels(labels) => Value::Str(Str::Borrowed(labels.value(key(index)?))),
            Value::Args(args) => {
                let key = key(index)?;
                let found = args.entries.iter().find(|(name, _)| name == key);
                found.map_or(Value::NilInterface, |(_, value)| value.clone())
            }
            other => return Err(format!("can't index item of type {}", pointee_type(other)).into()),
        };
    }
    Ok(item)
}

fn key<'v>(index: &'v Value<'_>) -> Result<&'v str, Fault> {
    match index {
        Value::Str(text) => Ok(text),
        Value::Nil | Value::NilInterface => Err("value is nil; should be of type string".into()),
        other => Err(format!("value has type {}; should be string", other.type_name()).into()),
    }
}

/// An index from 0 up to and including `end`, as Go checks it.
fn position(index: &Value<'_>, end: usize) -> Result<usize, Fault> {
    let number = match index {
        Value::Int(number, _) | Value::Duration(number, Held::Directly) => *number,
        Value::Nil | Value::NilInterface => return Err("cannot index slice/array with nil".into()),
        other => return Err(format!("cannot index slice/array with type {}", other.type_name()).into()),
    };
    let position = usize::try_from(number).ok().filter(|position| *position <= end);
    position.ok_or_else(|| format!("index out of range: {number}").into())
}

pub(super) fn slice<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let (item, indexes) = (&args[0], &args[1..]);
    if let Value::Nil | Value::NilInterface = item {
        return Err("slice of untyped nil".into());
    }
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()).into());
    }
    match item {
        Value::Str(text) | Value::Html(text) => {
            if indexes.len() == 3 {
                return Err("cannot 3-index slice a string".into());
            }
            let (start, end, _) = bounds(indexes, text.len(), text.len())?;
            // A cut through a character leaves U+FFFD where Go leaves bytes that are no text.
            let cut = String::from_utf8_lossy(&text.as_bytes()[start..end]).into_owned();
            let is_html = matches!(item, Value::Html(_));
            match env.text(&cut)? {
                Value::Str(text) if is_html => Ok(Value::Html(text)),
                text => Ok(text),
            }
        }
        Value::Results(results) => {
            let capacity = results.capacity_end - results.start;
            let (start, end, capacity) = bounds(indexes, results.len(), capacity)?;
            let from = results.start;
            Ok(Value::Results(Results {
                all: Rc::clone(&results.all),
                start: from + start,
                end: from + end,
                capacity_end: from + capacity,
            }))
        }
        other => Err(format!("can't slice item of type {}", other.type_name()).into()),
    }
}

/// Start, end and capacity of `item[i:j:k]`.
fn bounds(indexes: &[Value<'_>], length: usize, capacity: usize) -> Result<(usize, usize, usize), Fault> {
    let mut found = [0, length, capacity];
    for (slot, index) in found.iter_mut().zip(indexes) {
        *slot = position(index, capacity)?;
    }
    let [start, end, capacity] = found;
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}").into());
    }
    if end > capacity {
        return Err(format!("invalid slice index: {end} > {capacity}").into());
    }
    Ok((start, end, capacity))
}
