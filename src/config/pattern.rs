//! Patterns of rule files: `*`, `?`, `[...]` within a name, `**` for any directories.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// A pattern as the steps from one directory to the next.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// The directory where wildcards begin; the whole path, if there are none.
    pub(super) root: PathBuf,
    /// The names below `root`; empty if there are no wildcards.
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Name(String),
    Match {
        matcher: GlobMatcher,
        /// The pattern itself begins with two dots.
        dots: bool,
    },
    /// `**`: any number of directories, none included.
    AnyDirectories,
}

impl Step {
    /// Whether an entry of a directory is meant.
    ///
    /// No wildcard finds names that begin with two dots: that is how Kubernetes keeps the versions of a mounted
    /// ConfigMap, and every file in it would be found again under a name that changes.
    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Step::Name(expected) => expected == name,
            Step::Match { matcher, dots } => (*dots || !name.starts_with("..")) && matcher.is_match(name),
            Step::AnyDirectories => !name.starts_with(".."),
        }
    }
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

impl Pattern {
    /// A pattern as it stands in a file, joined to the directory of that file.
    pub(super) fn join(directory: &Path, pattern: &str) -> String {
        if Path::new(pattern).is_absolute() || directory.as_os_str().is_empty() {
            return pattern.to_owned();
        }
        let directory = directory.to_string_lossy();
        // The directory is a name, not a pattern.
        let mut joined: String = directory.chars().flat_map(escaped).collect();
        if !joined.ends_with('/') {
            joined.push('/');
        }
        joined + pattern
    }

    pub(super) fn parse(text: &str) -> Result<Pattern, String> {
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        let mut pattern = Pattern { root: PathBuf::new(), steps: Vec::new() };
        for component in Path::new(text).components() {
            match component {
                Component::Normal(name) => {
                    let name = name.to_str().ok_or("it is not UTF-8")?;
                    pattern.push(name)?;
                }
                Component::ParentDir if !pattern.steps.is_empty() => {
                    return Err("`..` cannot follow a wildcard".to_owned());
                }
                other => pattern.root.push(other),
            }
        }
        Ok(pattern)
    }

    fn push(&mut self, name: &str) -> Result<(), String> {
        if name == "**" {
            if !matches!(self.steps.last(), Some(Step::AnyDirectories)) {
                self.steps.push(Step::AnyDirectories);
            }
        } else if name.contains("**") {
            return Err("`**` must stand alone between slashes".to_owned());
        } else if has_wildcard(name) {
            // Braces mean nothing in Prometheus' patterns.
            let glob = name.replace('{', "[{]").replace('}', "[}]");
            let built = GlobBuilder::new(&glob).literal_separator(true).backslash_escape(true).build();
            let matcher = built.map_err(|error| error.kind().to_string())?.compile_matcher();
            self.steps.push(match unescaped(name) {
                Some(literal) => Step::Name(literal),
                None => Step::Match { matcher, dots: name.starts_with("..") },
            });
            if let [Step::Name(literal)] = self.steps.as_slice() {
                self.root.push(literal);
                self.steps.clear();
            }
        } else if self.steps.is_empty() {
            self.root.push(name);
        } else {
            self.steps.push(Step::Name(name.to_owned()));
        }
        Ok(())
    }
}

/// One character of a name as a pattern that matches only it.
fn escaped(c: char) -> Vec<char> {
    if matches!(c, '*' | '?' | '[') { vec!['[', c, ']'] } else { vec![c] }
}

/// The name that a pattern made by `escaped` stands for; none if it is a real pattern.
fn unescaped(pattern: &str) -> Option<String> {
    let literal = pattern.replace("[*]", "\0s").replace("[?]", "\0q").replace("[[]", "\0b");
    if has_wildcard(&literal) {
        return None;
    }
    Some(literal.replace("\0s", "*").replace("\0q", "?").replace("\0b", "["))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_joined_to_the_directory_of_their_file() {
        for (directory, pattern, expected) in [
            ("/etc/prometheus", "rules/*.yml", "/etc/prometheus/rules/*.yml"),
            ("/etc/prometheus", "/abs/*.yml", "/abs/*.yml"),
            ("", "rules/*.yml", "rules/*.yml"),
            ("a[1]/b*", "x.yml", "a[[]1]/b[*]/x.yml"),
        ] {
            assert_eq!(Pattern::join(Path::new(directory), pattern), expected);
        }
    }

    #[test]
    fn wildcards_begin_where_names_end() {
        for (text, root, steps) in [
            ("/etc/rules.yml", "/etc/rules.yml", 0),
            ("/etc/*/x.yml", "/etc", 2),
            ("rules/**/*.yml", "rules", 2),
            ("a[[]1]/b[*]/x.yml", "a[1]/b*/x.yml", 0),
        ] {
            let pattern = Pattern::parse(text).unwrap();
            assert_eq!((pattern.root.to_str().unwrap(), pattern.steps.len()), (root, steps), "{text}");
        }
        for (text, error) in [
            ("", "it is empty"),
            ("a/**b/c", "`**` must stand alone between slashes"),
            ("a/[b", "unclosed character class; missing ']'"),
            ("*/../x", "`..` cannot follow a wildcard"),
        ] {
            assert_eq!(Pattern::parse(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn steps_match_names() {
        for (pattern, name, expected) in [
            ("*.yml", "a.yml", true),
            ("*.yml", ".hidden.yml", true),
            ("*", "..data", false),
            ("..*", "..data", true),
            ("?.yml", "ab.yml", false),
            ("[a-c].yml", "b.yml", true),
            ("[^a-c].yml", "b.yml", false),
            ("{a,b}*", "a", false),
            ("{a,b}*", "{a,b}c", true),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!(parsed.steps[0].matches(name), expected, "{pattern} {name}");
        }
    }
}
