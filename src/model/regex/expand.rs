//! Go's replacement templates: `$1`, `${1}`, `${name}`, `$$`.

use super::{Captures, Compiled};

impl Captures<'_> {
    /// The template with groups put in: `$1` and `$name` (the longest name possible, so `$1x` is group `1x`), `${1}` and
    /// `${name}`, `$$` for a dollar. Groups that are not there or did not take part are empty; a `$` before anything
    /// else stays.
    ///
    /// Source: Go `regexp`, `Regexp.Expand`.
    pub fn expand(&self, template: &str) -> String {
        let mut out = String::with_capacity(template.len());
        self.expand_into(template, &mut out);
        out
    }

    pub(super) fn expand_into(&self, template: &str, out: &mut String) {
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some((name, after)) = reference(rest) {
                out.push_str(self.group(name).unwrap_or_default());
                rest = after;
            } else {
                out.push('$');
            }
        }
        out.push_str(rest);
    }

    fn group(&self, name: &str) -> Option<&str> {
        let group = |index: usize| self.groups.get(index).map(|group| group.as_str());
        match number(name) {
            Some(index) => group(index),
            None => self.regex.named(name).find_map(group),
        }
    }
}

impl Compiled {
    fn named(&self, name: &str) -> impl Iterator<Item = usize> {
        self.group_names.iter().enumerate().filter(move |(_, found)| *found == name).map(|(index, _)| index)
    }
}

/// The name behind a `$`, and what follows it; `None` if that is no name.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (inside, braced) = text.strip_prefix('{').map_or((text, false), |inside| (inside, true));
    let end = inside.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inside.len());
    let (name, rest) = inside.split_at(end);
    if name.is_empty() {
        return None;
    }
    Some((name, if braced { rest.strip_prefix('}')? } else { rest }))
}

/// A name that is a group's number: digits without a leading zero.
fn number(name: &str) -> Option<usize> {
    let leading_zero = name.len() > 1 && name.starts_with('0');
    let digits = name.bytes().all(|byte| byte.is_ascii_digit());
    if leading_zero || !digits { None } else { name.parse().ok().filter(|number| *number <= 100_000_000) }
}
