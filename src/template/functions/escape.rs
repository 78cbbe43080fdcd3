//! `html`, `js`, `urlquery`: the printed arguments, escaped.

use std::fmt::Write;

use super::network::push_query_escaped;
use super::{Env, Outcome};
use crate::template::format::{Sink, sprint_pointees};
use crate::template::limits::OUTPUT_BYTES_MAX;
use crate::template::quote::is_print;
use crate::template::value::Value;

fn printed(args: &[Value<'_>]) -> String {
    let mut out = String::new();
    sprint_pointees(&mut Sink { out: &mut out, limit: OUTPUT_BYTES_MAX }, args);
    out
}

pub(super) fn html<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let mut out = String::new();
    for c in printed(args).chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    env.text(&out)
}

pub(super) fn js<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let mut out = String::new();
    for c in printed(args).chars() {
        match c {
            '\\' | '\'' | '"' => out.extend(['\\', c]),
            // Backslash-u forms stand in scripts and in markup alike.
            '<' | '>' | '&' | '=' => write!(out, "\\u{:04X}", u32::from(c)).expect("writing to a string cannot fail"),
            ' '..='\x7f' => out.push(c),
            c if is_print(c) => out.push(c),
            c => write!(out, "\\u{:04X}", u32::from(c)).expect("writing to a string cannot fail"),
        }
    }
    env.text(&out)
}

pub(super) fn url_query<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let mut out = String::new();
    push_query_escaped(&mut out, &printed(args));
    env.text(&out)
}
