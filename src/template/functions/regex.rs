//! `match` and `reReplaceAll`.

use super::{Env, Fault, Outcome, text};
use crate::model::GoRegex;
use crate::template::quote::quote_pattern;
use crate::template::value::Value;

/// What compiling a pattern that stands nowhere literally costs of the work bound, in bytes.
const COMPILE_COST: usize = 4096;

/// What one `reReplaceAll` may make at worst, in bytes: a page of text with a line put in everywhere.
const REPLACED_BYTES_MAX: usize = 16 << 20;

/// A pattern and what became of compiling it.
#[derive(Debug)]
pub(in crate::template) struct Pattern {
    pub(in crate::template) text: Box<str>,
    /// Or Go's error text.
    compiled: Result<GoRegex, String>,
}

impl Pattern {
    pub(in crate::template) fn new(text: &str) -> Pattern {
        Pattern { text: text.into(), compiled: GoRegex::new(text).map_err(|error| error.to_string()) }
    }
}

/// Runs `use_it` with the compiled pattern, or says what Go says of it.
fn with_pattern<T>(
    env: &mut Env<'_>,
    pattern: &str,
    use_it: impl FnOnce(&GoRegex) -> T,
) -> Result<Result<T, String>, Fault> {
    if let Some(known) = env.patterns.iter().find(|known| *known.text == *pattern) {
        return Ok(known.compiled.as_ref().map(use_it).map_err(String::clone));
    }
    env.spend(COMPILE_COST)?;
    Ok(Pattern::new(pattern).compiled.map(|regex| use_it(&regex)))
}

pub(super) fn is_match<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    env.spend(text(args, 1).len())?;
    let found = with_pattern(env, text(args, 0), |regex| regex.is_match(text(args, 1)))?;
    Ok(Value::Bool(found?))
}

pub(super) fn replace_all<'a>(env: &mut Env<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let (pattern, replacement, subject) = (text(args, 0), text(args, 1), text(args, 2));
    // There may be a match before every byte and at the end, and each puts the whole replacement in; beyond that the
    // groups of all matches together hold the subject once for each of the replacement's references.
    let most = replacement.len().saturating_mul(subject.len() + subject.len() / 2 + 1);
    if most > REPLACED_BYTES_MAX {
        return Err(format!("replacing could make more than {REPLACED_BYTES_MAX} bytes").into());
    }
    env.spend(subject.len())?;
    let replaced = with_pattern(env, pattern, |regex| regex.replace_all(subject, replacement))?;
    match replaced {
        Ok(replaced) => env.text(&replaced),
        // Go panics here, and the panic becomes the error.
        Err(reason) => Err(format!("regexp: Compile({}): {reason}", quote_pattern(pattern)).into()),
    }
}
