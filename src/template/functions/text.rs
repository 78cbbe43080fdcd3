//! Printing and the case of letters.

use std::rc::Rc;

use unicode_segmentation::UnicodeSegmentation;

use super::{Env, Outcome, text};
use crate::template::format;
use crate::template::value::{Str, Value};

pub(super) fn print<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    env.print(|sink| format::sprint(sink, args))
}

pub(super) fn printf<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    env.print(|sink| format::sprintf(sink, text(args, 0), &args[1..]))
}

pub(super) fn println<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    env.print(|sink| format::sprintln(sink, args))
}

/// Marks a text as HTML; in labels and annotations nothing comes of it.
pub(super) fn safe_html<'a>(_: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    Ok(Value::Html(Str::Owned(Rc::from(text(args, 0)))))
}

/// The first letter of every word in title case, all else as it was.
pub(super) fn title<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let whole = text(args, 0);
    let mut out = String::with_capacity(whole.len());
    for word in whole.split_word_bounds() {
        let cased = |c: char| c.is_lowercase() || c.is_uppercase() || is_title(c);
        match word.char_indices().find(|(_, c)| cased(*c)) {
            Some((at, c)) => {
                out.push_str(&word[..at]);
                push_title(&mut out, c);
                out.push_str(&word[at + c.len_utf8()..]);
            }
            None => out.push_str(word),
        }
    }
    env.text(&out)
}

/// The letters that are title case and nothing else.
fn is_title(c: char) -> bool {
    matches!(c, 'ǅ' | 'ǈ' | 'ǋ' | 'ǲ' | '\u{1f88}'..='\u{1f8f}' | '\u{1f98}'..='\u{1f9f}' | '\u{1fa8}'..='\u{1faf}'
        | '\u{1fbc}' | '\u{1fcc}' | '\u{1ffc}')
}

fn push_title(out: &mut String, c: char) {
    match c {
        'Ǆ' | 'ǆ' => out.push('ǅ'),
        'Ǉ' | 'ǉ' => out.push('ǈ'),
        'Ǌ' | 'ǌ' => out.push('ǋ'),
        'Ǳ' | 'ǳ' => out.push('ǲ'),
        // Georgian letters have capitals for whole texts only.
        '\u{10d0}'..='\u{10ff}' => out.push(c),
        _ if is_title(c) => out.push(c),
        _ => match (simple_upper(c), c.to_uppercase().count()) {
            (upper, 1) => out.push(upper),
            (upper, _) if upper != c => out.push(upper),
            // `ß` and ligatures: a capital, then small letters.
            _ => {
                let mut letters = c.to_uppercase();
                out.extend(letters.next());
                let rest: String = letters.collect();
                if c == 'ŉ' { out.push_str(&rest) } else { out.push_str(&rest.to_lowercase()) }
            }
        },
    }
}

/// Upper case of one character as one character, as Go maps: what has none stays.
fn simple_upper(c: char) -> char {
    match c {
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
            char::from_u32(u32::from(c) + 8).unwrap_or(c)
        }
        '\u{1fb3}' => '\u{1fbc}',
        '\u{1fc3}' => '\u{1fcc}',
        '\u{1ff3}' => '\u{1ffc}',
        _ if is_title(c) && c >= '\u{1f00}' => c,
        _ => {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(upper), None) => upper,
                _ => c,
            }
        }
    }
}

fn simple_lower(c: char) -> char {
    // The capital dotted I becomes two characters elsewhere; Go drops the dot.
    c.to_lowercase().next().unwrap_or(c)
}

pub(super) fn to_upper<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let upper: String = text(args, 0).chars().map(simple_upper).collect();
    env.text(&upper)
}

pub(super) fn to_lower<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let lower: String = text(args, 0).chars().map(simple_lower).collect();
    env.text(&lower)
}
