//! Hosts, ports and links.

use std::net::IpAddr;

use super::{Env, Outcome, text};
use crate::template::value::{Str, Value};

pub(super) fn external_url<'a>(env: &mut Env<'a>, _: &[Value<'a>]) -> Outcome<'a> {
    Ok(Value::Str(Str::Borrowed(env.context.external_url)))
}

/// The path of the external URL, decoded.
pub(super) fn path_prefix<'a>(env: &mut Env<'a>, _: &[Value<'a>]) -> Outcome<'a> {
    let url = env.context.external_url;
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let rest = &url[after_scheme..];
    let path = rest.find(['/', '?', '#']).map_or("", |at| &rest[at..]);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if path.contains('%') { env.text(&percent_decoded(path)) } else { Ok(Value::Str(Str::Borrowed(path))) }
}

fn percent_decoded(path: &str) -> String {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => (out, rest) = (with(out, byte), &after[2..]),
            None => (out, rest) = (with(out, *first), after),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn with(mut bytes: Vec<u8>, byte: u8) -> Vec<u8> {
    bytes.push(byte);
    bytes
}

pub(super) fn graph_link<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    link(env, text(args, 0), "0")
}

pub(super) fn table_link<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    link(env, text(args, 0), "1")
}

fn link<'a>(env: &mut Env<'a>, expr: &str, tab: &str) -> Outcome<'a> {
    let mut out = "/graph?g0.expr=".to_owned();
    push_query_escaped(&mut out, expr);
    out.push_str("&g0.tab=");
    out.push_str(tab);
    env.text(&out)
}

pub(super) fn url_query_escape<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let mut out = String::new();
    push_query_escaped(&mut out, text(args, 0));
    env.text(&out)
}

/// A text as a query component: spaces become `+`, all but letters, digits and `-_.~` becomes `%XX`.
pub(super) fn push_query_escaped(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

/// Host and port of `host:port`, `[host]:port` or `:port`; none if the text is something else.
///
/// Source: Go's `net.SplitHostPort`.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let colon = text.rfind(':')?;
    let port = &text[colon + 1..];
    if let Some(rest) = text.strip_prefix('[') {
        let close = rest.find(']')? + 1;
        let host = &text[1..close];
        let brackets = |part: &str| part.contains(['[', ']']);
        return (close + 1 == colon && !brackets(host) && !brackets(port)).then_some((host, port));
    }
    let host = &text[..colon];
    (!host.contains(':') && !text.contains(['[', ']'])).then_some((host, port))
}

pub(super) fn strip_port<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let whole = text(args, 0);
    match split_host_port(whole) {
        Some((host, _)) => env.text(host),
        None => Ok(args[0].clone()),
    }
}

pub(super) fn strip_domain<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let whole = text(args, 0);
    let (host, port) = split_host_port(whole).unwrap_or((whole, ""));
    if host.parse::<IpAddr>().is_ok() {
        return Ok(args[0].clone());
    }
    let host = host.split('.').next().unwrap_or_default();
    let mut out = String::with_capacity(whole.len());
    if host.contains(':') && !port.is_empty() {
        out.extend(["[", host, "]"]);
    } else {
        out.push_str(host);
    }
    if !port.is_empty() {
        out.extend([":", port]);
    }
    env.text(&out)
}
