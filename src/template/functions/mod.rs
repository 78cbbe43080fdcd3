//! The functions of a template: one table that parser and executor read.
//!
//! To add one: write it in the file of its kind, add its row here, and a line to that file's table of tests.

mod builtin;
mod compare;
mod escape;
mod humanize;
mod methods;
mod network;
mod query;
pub(super) mod regex;
mod text;
mod times;

use std::rc::Rc;

use self::regex::Pattern;
use super::limits::{OUTPUT_BYTES_MAX, WORK_BYTES_MAX};
use super::value::{Str, Value};
use super::{Context, Queries};
pub(super) use methods::{Method, Signature, find_method};

/// A function as templates call it.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) params: &'static [Param],
    /// What every further argument must be, if there may be any.
    pub(super) rest: Option<Param>,
    pub(super) role: Role,
    pub(super) call: Body,
}

/// Gets as many arguments as its row allows, each of the type that its row names.
pub(super) type Body = for<'a> fn(&mut Env<'a>, &[Value<'a>]) -> Outcome<'a>;

pub(super) type Outcome<'a> = Result<Value<'a>, Fault>;

/// What the executor must know about a function besides its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Plain,
    /// Evaluates its arguments one after the other, and stops early.
    And,
    Or,
    /// Names its first argument in its errors.
    Call,
    /// Takes a regular expression first.
    Pattern,
}

/// Why a function gave no value.
#[derive(Debug)]
pub(super) enum Fault {
    Error(String),
    /// A query without an answer yet.
    Needs(String),
}

impl From<String> for Fault {
    fn from(message: String) -> Fault {
        Fault::Error(message)
    }
}

impl From<&str> for Fault {
    fn from(message: &str) -> Fault {
        Fault::Error(message.to_owned())
    }
}

/// Types of parameters. A parameter accepts what Go could assign to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Param {
    /// `interface {}`
    Any,
    /// `reflect.Value`: anything as well, but an untyped nil stays one.
    Reflect,
    String,
    Results,
    Sample,
    Int,
    Time,
    Duration,
    Location,
}

impl Param {
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Param::Any => "interface {}",
            Param::Reflect => "reflect.Value",
            Param::String => "string",
            Param::Results => "template.queryResult",
            Param::Sample => "*template.sample",
            Param::Int => "int",
            Param::Time => "time.Time",
            Param::Duration => "time.Duration",
            Param::Location => "*time.Location",
        }
    }
}

/// What functions may see and use up.
pub(super) struct Env<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) queries: &'a dyn Queries,
    pub(super) patterns: &'a [Pattern],
    /// Bytes made so far.
    pub(super) work: usize,
}

impl<'a> Env<'a> {
    /// Counts bytes (or as much other work) against the bound.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), Fault> {
        self.work = self.work.saturating_add(bytes);
        if self.work > WORK_BYTES_MAX {
            return Err(format!("template makes more than {WORK_BYTES_MAX} bytes").into());
        }
        Ok(())
    }

    /// A new text as a value.
    pub(super) fn text(&mut self, text: &str) -> Outcome<'a> {
        self.spend(text.len())?;
        Ok(Value::Str(Str::Owned(Rc::from(text))))
    }

    /// What `write` writes, which is told where to stop.
    pub(super) fn print(&mut self, write: impl FnOnce(&mut super::format::Sink<'_>)) -> Outcome<'a> {
        let mut out = String::new();
        write(&mut super::format::Sink { out: &mut out, limit: OUTPUT_BYTES_MAX });
        if out.len() > OUTPUT_BYTES_MAX {
            return Err(format!("text is longer than {OUTPUT_BYTES_MAX} bytes").into());
        }
        self.text(&out)
    }
}

/// The text of an argument whose parameter is `String`.
fn text<'v>(args: &'v [Value<'_>], index: usize) -> &'v str {
    match &args[index] {
        Value::Str(text) => text,
        _ => unreachable!("the row says `Param::String`"),
    }
}

/// What Go says when a nil pointer is followed.
const NIL_POINTER: &str = "runtime error: invalid memory address or nil pointer dereference";

const fn row(name: &'static str, params: &'static [Param], call: Body) -> Function {
    Function { name, params, rest: None, role: Role::Plain, call }
}

const fn variadic(name: &'static str, params: &'static [Param], rest: Param, call: Body) -> Function {
    Function { name, params, rest: Some(rest), role: Role::Plain, call }
}

const fn special(role: Role, function: Function) -> Function {
    Function { role, ..function }
}

use Param::{Any, Reflect, Results, Sample, String as Text};

/// Every function, by name.
static FUNCTIONS: &[Function] = &[
    special(Role::And, variadic("and", &[Reflect], Reflect, builtin::unreachable)),
    variadic("args", &[], Any, builtin::args),
    special(Role::Call, variadic("call", &[Reflect], Reflect, builtin::unreachable)),
    variadic("eq", &[Reflect], Reflect, compare::eq),
    row("externalURL", &[], network::external_url),
    row("first", &[Results], query::first),
    row("ge", &[Reflect, Reflect], compare::ge),
    row("graphLink", &[Text], network::graph_link),
    row("gt", &[Reflect, Reflect], compare::gt),
    variadic("html", &[], Any, escape::html),
    row("humanize", &[Any], humanize::humanize),
    row("humanize1024", &[Any], humanize::humanize1024),
    row("humanizeDuration", &[Any], humanize::humanize_duration),
    row("humanizePercentage", &[Any], humanize::humanize_percentage),
    row("humanizeTimestamp", &[Any], times::humanize_timestamp),
    variadic("index", &[Reflect], Reflect, builtin::index),
    variadic("js", &[], Any, escape::js),
    row("label", &[Text, Sample], query::label),
    row("le", &[Reflect, Reflect], compare::le),
    row("len", &[Reflect], builtin::len),
    row("lt", &[Reflect, Reflect], compare::lt),
    special(Role::Pattern, row("match", &[Text, Text], regex::is_match)),
    row("ne", &[Reflect, Reflect], compare::ne),
    row("not", &[Reflect], builtin::not),
    row("now", &[], times::now),
    special(Role::Or, variadic("or", &[Reflect], Reflect, builtin::unreachable)),
    row("parseDuration", &[Text], times::parse_duration),
    row("pathPrefix", &[], network::path_prefix),
    variadic("print", &[], Any, text::print),
    variadic("printf", &[Text], Any, text::printf),
    variadic("println", &[], Any, text::println),
    row("query", &[Text], query::query),
    special(Role::Pattern, row("reReplaceAll", &[Text, Text, Text], regex::replace_all)),
    row("safeHtml", &[Text], text::safe_html),
    variadic("slice", &[Reflect], Reflect, builtin::slice),
    row("sortByLabel", &[Text, Results], query::sort_by_label),
    row("stripDomain", &[Text], network::strip_domain),
    row("stripPort", &[Text], network::strip_port),
    row("strvalue", &[Sample], query::strvalue),
    row("tableLink", &[Text], network::table_link),
    row("title", &[Text], text::title),
    row("toDuration", &[Any], times::to_duration),
    row("toLower", &[Text], text::to_lower),
    row("toTime", &[Any], times::to_time),
    row("toUpper", &[Text], text::to_upper),
    row("urlQueryEscape", &[Text], network::url_query_escape),
    variadic("urlquery", &[], Any, escape::url_query),
    row("value", &[Sample], query::value),
];

pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_complete() {
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert_eq!(FUNCTIONS.len(), 18 + 30);
    }
}
