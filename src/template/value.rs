//! What a template computes with, under the types that Go would give it.

use std::cell::RefCell;
use std::rc::Rc;

use super::Context;
use super::time::Time;
use crate::model::{Histogram, Labels, Sample};

#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// No value at all: dot of a template that was called without one.
    Nil,
    /// A nil that sits in an `interface {}`, as in a key that `args` does not have.
    NilInterface,
    /// A nil `*template.sample`, which `nil` becomes where one is expected.
    NilSample,
    Bool(bool),
    Int(i64, IntType),
    Float(f64),
    Complex(f64, f64),
    Str(Str<'a>),
    /// `template.HTML`, what `safeHtml` gives.
    Html(Str<'a>),
    Labels(&'a Labels),
    Args(Rc<Args<'a>>),
    Root(&'a Context<'a>),
    Results(Results<'a>),
    Sample(&'a Sample),
    Histogram(&'a Histogram),
    Time(Time, Held),
    Duration(i64, Held),
    /// `*time.Location`; there is but one, UTC.
    Location,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IntType {
    Int,
    Int64,
    Uint8,
    Month,
    Weekday,
}

/// Whether Go holds the value itself or a pointer to it; only type names and comparisons tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Directly,
    ByPointer,
}

#[derive(Clone, Debug)]
pub(super) enum Str<'a> {
    Borrowed(&'a str),
    Owned(Rc<str>),
}

impl std::ops::Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Str::Borrowed(text) => text,
            Str::Owned(text) => text,
        }
    }
}

/// `map[string]interface {}`, what `args` gives.
#[derive(Debug)]
pub(super) struct Args<'a> {
    /// Levels of `args` in each other, this one included.
    pub(super) depth: usize,
    /// Sorted by key.
    pub(super) entries: Vec<(String, Value<'a>)>,
}

/// `template.queryResult`: a slice. Slices of it share its elements, and sorting one shows in the others.
#[derive(Clone, Debug)]
pub(super) struct Results<'a> {
    pub(super) all: Rc<RefCell<Vec<&'a Sample>>>,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) capacity_end: usize,
}

impl<'a> Results<'a> {
    pub(super) fn new(samples: &'a [Sample]) -> Results<'a> {
        let all: Vec<&Sample> = samples.iter().collect();
        let end = all.len();
        Results { all: Rc::new(RefCell::new(all)), start: 0, end, capacity_end: end }
    }

    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn get(&self, index: usize) -> Option<&'a Sample> {
        if index < self.len() { self.all.borrow().get(self.start + index).copied() } else { None }
    }

    pub(super) fn sort_by_label(&self, name: &str) {
        self.all.borrow_mut()[self.start..self.end].sort_by(|a, b| a.labels.value(name).cmp(b.labels.value(name)));
    }
}

pub(super) const ROOT_TYPE: &str =
    "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }";

impl<'a> Value<'a> {
    pub(super) fn int(value: usize) -> Value<'a> {
        Value::Int(i64::try_from(value).unwrap_or(i64::MAX), IntType::Int)
    }

    pub(super) fn from_model(value: &'a crate::model::Value) -> Value<'a> {
        match value {
            crate::model::Value::Float(value) => Value::Float(*value),
            crate::model::Value::Histogram(histogram) => Value::Histogram(histogram),
        }
    }

    /// The type as Go's `%T` names it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Value::Nil => "<nil>",
            Value::NilInterface => "interface {}",
            Value::Bool(_) => "bool",
            Value::Int(_, IntType::Int) => "int",
            Value::Int(_, IntType::Int64) => "int64",
            Value::Int(_, IntType::Uint8) => "uint8",
            Value::Int(_, IntType::Month) => "time.Month",
            Value::Int(_, IntType::Weekday) => "time.Weekday",
            Value::Float(_) => "float64",
            Value::Complex(..) => "complex128",
            Value::Str(_) => "string",
            Value::Html(_) => "template.HTML",
            Value::Labels(_) => "map[string]string",
            Value::Args(_) => "map[string]interface {}",
            Value::Root(_) => ROOT_TYPE,
            Value::Results(_) => "template.queryResult",
            Value::Sample(_) | Value::NilSample => "*template.sample",
            Value::Histogram(_) => "*histogram.FloatHistogram",
            Value::Time(_, Held::Directly) => "time.Time",
            Value::Time(_, Held::ByPointer) => "*time.Time",
            Value::Duration(_, Held::Directly) => "time.Duration",
            Value::Duration(_, Held::ByPointer) => "*time.Duration",
            Value::Location => "*time.Location",
        }
    }

    /// What `if`, `with`, `and`, `or` and `not` go by: not the zero of its type. NaN is not zero.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Value::Nil | Value::NilInterface | Value::NilSample => false,
            Value::Bool(truth) => *truth,
            Value::Int(value, _) | Value::Duration(value, Held::Directly) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Complex(real, imaginary) => *real != 0.0 || *imaginary != 0.0,
            Value::Str(text) | Value::Html(text) => !text.is_empty(),
            Value::Labels(labels) => !labels.is_empty(),
            Value::Args(args) => !args.entries.is_empty(),
            Value::Results(results) => results.len() > 0,
            Value::Root(_)
            | Value::Sample(_)
            | Value::Histogram(_)
            | Value::Time(..)
            | Value::Duration(_, Held::ByPointer)
            | Value::Location => true,
        }
    }

    /// The text of a value that has a `String` method.
    pub(super) fn to_text(&self) -> Option<String> {
        match self {
            Value::Int(value, IntType::Month) => Some(super::time::month_name(*value)),
            Value::Int(value, IntType::Weekday) => Some(super::time::weekday_name(*value)),
            Value::Histogram(histogram) => Some(histogram.to_string()),
            Value::Time(time, _) => Some(time.to_string()),
            Value::Duration(nanos, _) => Some(super::time::duration_text(*nanos)),
            Value::Location => Some("UTC".to_owned()),
            _ => None,
        }
    }
}
