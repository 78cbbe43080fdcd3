//! `match` and `reReplaceAll`.

use super::{Env, Fault, Outcome, text};
use crate::template::quote::quote_pattern;
use crate::template::value::Value;

/// What compiling a pattern that stands nowhere literally costs of the work bound, in bytes.
const COMPILE_COST: usize = 4096;

/// A pattern and what became of compiling it.
#[derive(Debug)]
pub(in crate::template) struct Pattern {
    pub(in crate::template) text: Box<str>,
    /// Or Go's error text.
    compiled: Result<::regex::Regex, String>,
}

impl Pattern {
    pub(in crate::template) fn new(text: &str) -> Pattern {
        Pattern { text: text.into(), compiled: compile(text) }
    }
}

fn compile(pattern: &str) -> Result<::regex::Regex, String> {
    ::regex::Regex::new(pattern).map_err(|error| {
        let reason = unclosed_class(pattern).unwrap_or_else(|| error.to_string());
        format!("error parsing regexp: {reason}")
    })
}

/// Go's words for a character class that never ends.
fn unclosed_class(pattern: &str) -> Option<String> {
    let mut chars = pattern.char_indices();
    let mut open = None;
    while let Some((at, c)) = chars.next() {
        match (c, open) {
            ('\\', _) => _ = chars.next(),
            ('[', None) => open = Some(at),
            (']', Some(start)) if at > start + 1 && &pattern[start..at] != "[^" => open = None,
            _ => {}
        }
    }
    open.map(|start| format!("missing closing ]: `{}`", &pattern[start..]))
}

/// Runs `use_it` with the compiled pattern.
fn with_pattern<T>(
    env: &mut Env<'_>,
    pattern: &str,
    use_it: impl FnOnce(&::regex::Regex) -> T,
) -> Result<Result<T, String>, Fault> {
    if let Some(known) = env.patterns.iter().find(|known| *known.text == *pattern) {
        return Ok(known.compiled.as_ref().map(use_it).map_err(String::clone));
    }
    env.spend(COMPILE_COST)?;
    Ok(compile(pattern).map(|regex| use_it(&regex)))
}

pub(super) fn is_match<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let found = with_pattern(env, text(args, 0), |regex| regex.is_match(text(args, 1)))?;
    Ok(Value::Bool(found?))
}

pub(super) fn replace_all<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let pattern = text(args, 0);
    let replaced = with_pattern(env, pattern, |regex| regex.replace_all(text(args, 2), text(args, 1)).into_owned())?;
    match replaced {
        Ok(replaced) => env.text(&replaced),
        Err(reason) => Err(format!("regexp: Compile({}): {reason}", quote_pattern(pattern)).into()),
    }
}
