//! `$VAR` and `${VAR}` in external labels.

/// Replaces `$name`, `${name}` and `$$` by what `lookup` gives; whatever it does not know becomes empty.
///
/// Unfinished forms are treated as the reference treats them: `$` alone stays, `${}` and an unclosed `${` vanish.
/// Source: Go `os.Expand`.
pub(super) fn expand(text: &str, mut lookup: impl FnMut(&str) -> String) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        let (name, width) = variable(after);
        match (name, width) {
            (None, 0) => out.push('$'),
            (None, _) => {}
            (Some("$"), _) => out.push('$'),
            (Some(name), _) => out.push_str(&lookup(name)),
        }
        rest = &after[width..];
    }
    out.push_str(rest);
    out
}

/// The name at the start of what follows a `$`, and how many bytes belong to it.
fn variable(after: &str) -> (Option<&str>, usize) {
    let is_special = |c: char| c.is_ascii_digit() || matches!(c, '*' | '#' | '$' | '@' | '!' | '?' | '-');
    if let Some(inner) = after.strip_prefix('{') {
        return match inner.find('}') {
            None => (None, 1),
            Some(0) => (None, 2),
            Some(length) => (Some(&inner[..length]), length + 2),
        };
    }
    if after.starts_with(is_special) {
        return (Some(&after[..1]), 1);
    }
    let length = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
    if length == 0 { (None, 0) } else { (Some(&after[..length]), length) }
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[test]
    fn variables_expand_as_go_does() {
        for (text, expected) in [
            ("plain", "plain"),
            ("$A", "<A>"),
            ("x${A}y$B_1-", "x<A>y<B_1>-"),
            ("$$A", "$A"),
            ("${$}", "$"),
            ("$1x", "<1>x"),
            ("a$", "a$"),
            ("$é", "$é"),
            ("${}x", "x"),
            ("${A", "A"),
            ("$-$", "<->$"),
        ] {
            assert_eq!(expand(text, |name| format!("<{name}>")), expected, "{text}");
        }
    }
}
