//! Label matchers: `job="x"`, `job!="x"`, `job=~"x.*"`, `job!~"x.*"`.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::quote::write_quoted;
use super::regex::{GoRegex, RegexError};
use super::{Labels, is_legacy_label_name};

/// A condition on one label. The regular expression is checked when the matcher is made, and compiled when first used.
/// A clone costs counters.
#[derive(Clone)]
pub struct Matcher {
    op: MatchOp,
    name: Arc<str>,
    value: Arc<str>,
    /// Present exactly for the two regular expression operators.
    regex: Option<GoRegex>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatchOp {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

impl MatchOp {
    pub const fn as_str(self) -> &'static str {
        match self {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        }
    }
}

impl Matcher {
    pub fn new(op: MatchOp, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Result<Matcher, RegexError> {
        let value = value.into();
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(GoRegex::anchored(&value)?),
        };
        Ok(Matcher { op, name: name.into(), value, regex })
    }

    /// `name="value"`, which cannot be wrong.
    pub fn equal(name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Matcher {
        Matcher { op: MatchOp::Equal, name: name.into(), value: value.into(), regex: None }
    }

    pub fn op(&self) -> MatchOp {
        self.op
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label of this value passes; a label that is not there has the value "".
    pub fn matches(&self, value: &str) -> bool {
        match (&self.regex, self.op) {
            (Some(regex), MatchOp::NotRegex) => !regex.is_match(value),
            (Some(regex), _) => regex.is_match(value),
            (None, MatchOp::NotEqual) => value != &*self.value,
            (None, _) => value == &*self.value,
        }
    }

    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.value(&self.name))
    }

    /// The only values that pass, where they are a short list (`a="x"`, `a=~"x|y"`).
    pub fn texts(&self) -> Option<Vec<&str>> {
        match self.op {
            MatchOp::Equal => Some(vec![&self.value]),
            MatchOp::Regex => self.regex.as_ref()?.texts(),
            MatchOp::NotEqual | MatchOp::NotRegex => None,
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        (self.op, &self.name, &self.value) == (other.op, &other.name, &other.value)
    }
}

impl Eq for Matcher {}

impl Hash for Matcher {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.op, &self.name, &self.value).hash(state);
    }
}

/// As PromQL writes it; a name that is no plain identifier is quoted.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_legacy_label_name(&self.name) {
            f.write_str(&self.name)?;
        } else {
            write_quoted(f, &self.name)?;
        }
        f.write_str(self.op.as_str())?;
        write_quoted(f, &self.value)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_match_as_prometheus_matches() {
        let labels = Labels::from_pairs([("job", "api"), ("text", "a\nb")]);
        for (op, name, value, matches, printed) in [
            (MatchOp::Equal, "job", "api", true, r#"job="api""#),
            (MatchOp::Equal, "none", "", true, r#"none="""#),
            (MatchOp::NotEqual, "job", "", true, r#"job!="""#),
            (MatchOp::NotEqual, "none", "x", true, r#"none!="x""#),
            (MatchOp::Regex, "job", "ap", false, r#"job=~"ap""#),
            (MatchOp::Regex, "job", "ap.", true, r#"job=~"ap.""#),
            (MatchOp::Regex, "text", "a.b", true, r#"text=~"a.b""#),
            (MatchOp::Regex, "none", ".+", false, r#"none=~".+""#),
            (MatchOp::NotRegex, "job", "web|api", false, r#"job!~"web|api""#),
            (MatchOp::NotRegex, "a.b", "\"\\d", true, r#""a.b"!~"\"\\d""#),
        ] {
            let matcher = Matcher::new(op, name, value).unwrap();
            assert_eq!(matcher.matches_labels(&labels), matches, "{matcher}");
            assert_eq!(matcher.to_string(), printed);
        }
        assert!(Matcher::new(MatchOp::Regex, "a", "(").is_err());
        let one_of = Matcher::new(MatchOp::Regex, "a", "y|(x|z)1?").unwrap();
        assert_eq!(one_of.texts(), Some(vec!["x", "x1", "y", "z", "z1"]));
    }
}
