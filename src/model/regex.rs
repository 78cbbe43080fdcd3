//! Go's (RE2) regular expressions on top of the `regex` crate.
//!
//! Rules, relabeling and templates are written for Go. `reader` reads a pattern as Go does, refuses what Go refuses and
//! says so in Go's words; what it read is written down again in a form that the crate cannot read differently.
//! Patterns that are plain text in disguise (`foo`, `foo|bar`, `foo.*`) are matched without any engine.

mod classes;
mod expand;
mod reader;

use std::fmt;
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

pub use reader::RegexError;
use reader::{Look, Node};

/// Most states that a pattern may compile to, by an estimate that is too high rather than too low: some 100,000 characters
/// to be matched without regard to case, or a letter of any script counted 500 times.
const STATES_MAX: u64 = 1_000_000;
/// Largest compiled program, in bytes; `STATES_MAX` is reached first.
const COMPILED_BYTES_MAX: usize = 256 << 20;
/// The crate's own nesting limit; our reader's is the one that counts, and the text we write nests a few times as deep.
const CRATE_NEST_MAX: u32 = 4_000;
/// Bounds of the texts that a pattern is spelled out into.
const SPELLED_TEXTS_MAX: usize = 4_096;
const SPELLED_BYTES_MAX: usize = 1 << 18;

/// A checked regular expression in Go's syntax. A clone costs one counter.
#[derive(Clone)]
pub struct GoRegex(Arc<Inner>);

struct Inner {
    pattern: Box<str>,
    mode: Mode,
    plan: Plan,
    compiled: OnceLock<Option<Compiled>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Mode {
    Search,
    Anchored,
    Relabeling,
}

struct Compiled {
    regex: regex::Regex,
    group_names: Vec<String>,
}

/// What a match found; texts are expanded from it.
pub struct Captures<'t> {
    groups: regex::Captures<'t>,
    regex: &'t Compiled,
}

impl GoRegex {
    /// Reads a pattern that may match anywhere in a text, as Go's `regexp.Compile` does.
    pub fn new(pattern: &str) -> Result<GoRegex, RegexError> {
        GoRegex::with_mode(pattern, Mode::Search)
    }

    /// Reads a pattern that must match a whole text, newlines included (`^(?s:pattern)$`), as label matchers do.
    pub fn anchored(pattern: &str) -> Result<GoRegex, RegexError> {
        GoRegex::with_mode(pattern, Mode::Anchored)
    }

    /// As `anchored`, but reads `^(?s:pattern)$` as one text, which shows in what faults quote, as relabeling does.
    pub fn relabeling(pattern: &str) -> Result<GoRegex, RegexError> {
        GoRegex::with_mode(pattern, Mode::Relabeling)
    }

    fn with_mode(pattern: &str, mode: Mode) -> Result<GoRegex, RegexError> {
        let (node, _) = read(pattern, mode)?;
        let plan = Plan::of(&node);
        if plan == Plan::Engine && states(&node) > STATES_MAX {
            return Err(RegexError::new(reader::TOO_LARGE, pattern));
        }
        Ok(GoRegex(Arc::new(Inner { pattern: Box::from(pattern), mode, plan, compiled: OnceLock::new() })))
    }

    /// The pattern as its author wrote it.
    pub fn as_str(&self) -> &str {
        &self.0.pattern
    }

    pub fn is_match(&self, text: &str) -> bool {
        match &self.0.plan {
            Plan::Exactly(literal) => text == &**literal,
            Plan::OneOf(literals) => literals.binary_search_by(|literal| (**literal).cmp(text)).is_ok(),
            Plan::Around { before, literal, after } => around(text, *before, literal, *after),
            Plan::Contains(literal) => text.contains(&**literal),
            Plan::Engine => self.compiled().is_some_and(|compiled| compiled.regex.is_match(text)),
        }
    }

    /// The texts of which one must be equal to a text for it to match, sorted; `None` if there is no such short list.
    pub fn texts(&self) -> Option<Vec<&str>> {
        match &self.0.plan {
            Plan::Exactly(literal) => Some(vec![literal]),
            Plan::OneOf(literals) => Some(literals.iter().map(|literal| &**literal).collect()),
            _ => None,
        }
    }

    /// The first match.
    pub fn captures<'t>(&'t self, text: &'t str) -> Option<Captures<'t>> {
        let regex = self.compiled()?;
        Some(Captures { groups: regex.regex.captures(text)?, regex })
    }

    /// The template with the groups of the first match put in (see `Captures::expand`); `None` without a match.
    pub fn captures_expand(&self, text: &str, template: &str) -> Option<String> {
        Some(self.captures(text)?.expand(template))
    }

    /// Go's `ReplaceAllString`: every match replaced by the expanded template.
    pub fn replace_all(&self, text: &str, template: &str) -> String {
        let Some(regex) = self.compiled() else {
            return text.to_owned();
        };
        let mut out = String::with_capacity(text.len());
        let mut end = 0;
        for groups in regex.regex.captures_iter(text) {
            let whole = groups.get_match();
            out.push_str(&text[end..whole.start()]);
            end = whole.end();
            Captures { groups, regex }.expand_into(template, &mut out);
        }
        out.push_str(&text[end..]);
        out
    }

    fn compiled(&self) -> Option<&Compiled> {
        // `with_mode` has checked syntax and size, so there is always something here; if the crate refused what we wrote
        // all the same, matching nothing is better than ending the process.
        let build = || {
            let (node, group_names) = read(&self.0.pattern, self.0.mode).ok()?;
            let regex = compile(&node)?;
            Some(Compiled { regex, group_names })
        };
        self.0.compiled.get_or_init(build).as_ref()
    }
}

impl PartialEq for GoRegex {
    fn eq(&self, other: &GoRegex) -> bool {
        self.0.mode == other.0.mode && self.0.pattern == other.0.pattern
    }
}

impl Eq for GoRegex {}

impl Hash for GoRegex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.pattern.hash(state);
    }
}

impl fmt::Debug for GoRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GoRegex({:?})", self.0.pattern)
    }
}

fn read(pattern: &str, mode: Mode) -> Result<(Node, Vec<String>), RegexError> {
    let read = match mode {
        Mode::Search => reader::read(pattern, false)?,
        Mode::Anchored => reader::read(pattern, true)?,
        Mode::Relabeling => reader::read(&format!("^(?s:{pattern})$"), false)?,
    };
    let node = match mode {
        Mode::Anchored => Node::Concat(vec![Node::Look(Look::TextStart), read.node, Node::Look(Look::TextEnd)]),
        _ => read.node,
    };
    Ok((node, read.group_names))
}

fn compile(node: &Node) -> Option<regex::Regex> {
    let mut text = String::new();
    write_node(node, &mut text);
    regex::RegexBuilder::new(&text).size_limit(COMPILED_BYTES_MAX).nest_limit(CRATE_NEST_MAX).build().ok()
}

/// An upper estimate of the states a pattern compiles to.
fn states(node: &Node) -> u64 {
    match node {
        Node::Empty | Node::Look(_) => 1,
        Node::Char { fold, .. } => {
            if *fold {
                8
            } else {
                4
            }
        }
        Node::Dot(_) => 12,
        Node::Class { class, fold } => class.states(*fold),
        Node::Capture(node) => 2 + states(node),
        Node::Concat(nodes) | Node::Alternate(nodes) => {
            nodes.iter().fold(nodes.len() as u64, |sum, node| sum.saturating_add(states(node)))
        }
        Node::Repeat { node, min, max, .. } => {
            states(node).saturating_add(1).saturating_mul(u64::from(max.unwrap_or(*min).max(*min + 1)))
        }
    }
}

/// Writes a pattern so that the crate reads it as Go would have.
fn write_node(node: &Node, out: &mut String) {
    match node {
        Node::Empty => out.push_str("(?:)"),
        Node::Char { value, fold } => write_char(*value, *fold, out),
        Node::Class { class, fold } => {
            out.push_str(if *fold { "(?i:" } else { "" });
            class.write_to(out);
            out.push_str(if *fold { ")" } else { "" });
        }
        Node::Dot(true) => out.push_str("(?s:.)"),
        Node::Dot(false) => out.push_str("[^\\n]"),
        Node::Look(look) => out.push_str(match look {
            Look::TextStart => "\\A",
            Look::TextEnd => "\\z",
            Look::LineStart => "(?m:^)",
            Look::LineEnd => "(?m:$)",
            Look::Word => "(?-u:\\b)",
            Look::NotWord => "(?-u:\\B)",
        }),
        Node::Capture(node) => {
            out.push('(');
            write_node(node, out);
            out.push(')');
        }
        Node::Concat(nodes) => nodes.iter().for_each(|node| match node {
            Node::Alternate(_) => write_grouped(node, out),
            _ => write_node(node, out),
        }),
        Node::Alternate(nodes) => {
            for (index, node) in nodes.iter().enumerate() {
                out.push_str(if index > 0 { "|" } else { "" });
                write_node(node, out);
            }
        }
        Node::Repeat { node, min, max, greedy } => {
            match **node {
                Node::Char { .. } | Node::Class { .. } | Node::Dot(_) | Node::Capture(_) => write_node(node, out),
                _ => write_grouped(node, out),
            }
            match (min, max) {
                (0, None) => out.push('*'),
                (1, None) => out.push('+'),
                (0, Some(1)) => out.push('?'),
                (min, None) => _ = write!(out, "{{{min},}}"),
                (min, Some(max)) => _ = write!(out, "{{{min},{max}}}"),
            }
            out.push_str(if *greedy { "" } else { "?" });
        }
    }
}

fn write_grouped(node: &Node, out: &mut String) {
    out.push_str("(?:");
    write_node(node, out);
    out.push(')');
}

fn write_char(value: char, fold: bool, out: &mut String) {
    let fold = fold && (value.is_ascii_alphabetic() || !value.is_ascii());
    out.push_str(if fold { "(?i:" } else { "" });
    if value.is_ascii_alphanumeric() {
        out.push(value);
    } else {
        _ = write!(out, "\\x{{{:X}}}", u32::from(value));
    }
    out.push_str(if fold { ")" } else { "" });
}

/// How a text is matched. The engine can do it all; the others are faster.
#[derive(Clone, Debug, PartialEq)]
enum Plan {
    Exactly(Box<str>),
    /// Sorted, unique.
    OneOf(Box<[Box<str>]>),
    Around {
        before: Edge,
        literal: Box<str>,
        after: Edge,
    },
    Contains(Box<str>),
    Engine,
}

/// What may stand between the end of a text and a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    Nothing,
    /// `.*`
    Anything,
    /// `.+`
    Something,
}

impl Plan {
    fn of(node: &Node) -> Plan {
        let mut nodes = Vec::new();
        flatten(node, &mut nodes);
        let starts = nodes.iter().take_while(|node| matches!(node, Node::Look(Look::TextStart))).count();
        let ends = nodes.iter().rev().take_while(|node| matches!(node, Node::Look(Look::TextEnd))).count();
        let anchored = starts > 0 && ends > 0;
        let inside = if anchored { &nodes[starts..nodes.len() - ends] } else { &nodes[..] };
        if !anchored {
            return literal_of(inside).map_or(Plan::Engine, |literal| Plan::Contains(literal.into()));
        }
        if let Some(mut texts) = spell_out_all(inside) {
            texts.sort_unstable();
            texts.dedup();
            return match &mut texts[..] {
                [only] => Plan::Exactly(std::mem::take(only).into()),
                _ => Plan::OneOf(texts.into_iter().map(Box::from).collect()),
            };
        }
        let (before, inside) = match inside {
            [first, rest @ ..] if edge_of(first).is_some() => (edge_of(first), rest),
            _ => (None, inside),
        };
        let (after, inside) = match inside {
            [rest @ .., last] if edge_of(last).is_some() => (edge_of(last), rest),
            _ => (None, inside),
        };
        let edge = |edge: Option<Edge>| edge.unwrap_or(Edge::Nothing);
        literal_of(inside).map_or(Plan::Engine, |literal| Plan::Around {
            before: edge(before),
            literal: literal.into(),
            after: edge(after),
        })
    }
}

/// The nodes that follow each other, groups opened: what they capture makes no difference to whether there is a match.
fn flatten<'n>(node: &'n Node, out: &mut Vec<&'n Node>) {
    match node {
        Node::Concat(nodes) => nodes.iter().for_each(|node| flatten(node, out)),
        Node::Capture(node) => flatten(node, out),
        Node::Empty => {}
        other => out.push(other),
    }
}

fn literal_of(nodes: &[&Node]) -> Option<String> {
    nodes.iter().map(|node| if let Node::Char { value, fold: false } = node { Some(*value) } else { None }).collect()
}

fn edge_of(node: &Node) -> Option<Edge> {
    match node {
        Node::Repeat { node, min, max: None, .. } if **node == Node::Dot(true) => match min {
            0 => Some(Edge::Anything),
            1 => Some(Edge::Something),
            _ => None,
        },
        _ => None,
    }
}

/// Every text that a pattern matches, if they are few.
fn spell_out(node: &Node) -> Option<Vec<String>> {
    match node {
        Node::Empty => Some(vec![String::new()]),
        Node::Char { value, fold: false } => Some(vec![value.to_string()]),
        Node::Capture(node) => spell_out(node),
        Node::Concat(nodes) => spell_out_all(&nodes.iter().collect::<Vec<_>>()),
        Node::Alternate(nodes) => {
            let mut texts = Vec::new();
            for node in nodes {
                texts.append(&mut spell_out(node)?);
                if texts.len() > SPELLED_TEXTS_MAX {
                    return None;
                }
            }
            Some(texts)
        }
        Node::Repeat { node, min: 0, max: Some(1), .. } => {
            let mut texts = spell_out(node)?;
            texts.push(String::new());
            Some(texts)
        }
        _ => None,
    }
}

fn spell_out_all(nodes: &[&Node]) -> Option<Vec<String>> {
    let mut texts = vec![String::new()];
    for node in nodes {
        if let Node::Char { value, fold: false } = node {
            texts.iter_mut().for_each(|text| text.push(*value));
        } else {
            let tails = spell_out(node)?;
            if texts.len() * tails.len() > SPELLED_TEXTS_MAX {
                return None;
            }
            texts = texts.iter().flat_map(|text| tails.iter().map(move |tail| format!("{text}{tail}"))).collect();
        }
        // One text is no longer than its pattern, so only several can get out of hand.
        if texts.len() > 1 && texts.iter().map(String::len).sum::<usize>() > SPELLED_BYTES_MAX {
            return None;
        }
    }
    Some(texts)
}

fn around(text: &str, before: Edge, literal: &str, after: Edge) -> bool {
    let without_first = |text: &str| text.chars().next().map_or(0, char::len_utf8);
    let without_last = |text: &str| text.chars().next_back().map_or(0, char::len_utf8);
    let start = if before == Edge::Something { without_first(text) } else { 0 };
    if before == Edge::Something && start == 0 {
        return false;
    }
    let text = &text[start..];
    let end = if after == Edge::Something { without_last(text) } else { 0 };
    if after == Edge::Something && end == 0 {
        return false;
    }
    let text = &text[..text.len() - end];
    match (before, after) {
        (Edge::Nothing, Edge::Nothing) => text == literal,
        (Edge::Nothing, _) => text.starts_with(literal),
        (_, Edge::Nothing) => text.ends_with(literal),
        _ => text.contains(literal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    fn matchers_agree_with_prometheus() {
        let Ok(corpus) = std::env::var("BELLWETHER_CORPUS") else {
            eprintln!("skipped: BELLWETHER_CORPUS is not set");
            return;
        };
        let golden = std::fs::read_to_string(format!("{corpus}/golden/regex.jsonl")).unwrap();
        for line in golden.lines() {
            let case: Value = serde_json::from_str(line).unwrap();
            let pattern = case["pattern"].as_str().unwrap();
            match GoRegex::anchored(pattern) {
                Err(error) => assert_eq!(Value::from(error.to_string()), case["error"], "{pattern:?}"),
                Ok(regex) => {
                    assert!(case["ok"].as_bool().unwrap(), "{pattern:?} should be refused: {}", case["error"]);
                    let subjects = case["subjects"].as_array().unwrap();
                    for (subject, matches) in subjects.iter().zip(case["match"].as_array().unwrap()) {
                        let text = subject.as_str().unwrap();
                        assert_eq!(Value::from(regex.is_match(text)), *matches, "{pattern:?} on {text:?}");
                        let by_engine = regex.compiled().unwrap().regex.is_match(text);
                        assert_eq!(Value::from(by_engine), *matches, "engine, {pattern:?} on {text:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn faults_have_gos_words() {
        for (pattern, fault) in [
            ("a(?i)*b**", "invalid nested repetition operator: `**`"),
            ("a*?+", "invalid nested repetition operator: `*?+`"),
            ("a|*", "missing argument to repetition operator: `*`"),
            ("(?i)+?", "missing argument to repetition operator: `+?`"),
            ("(a{30}){40}", "invalid repeat count: `{40}`"),
            ("a{99999999999}", "invalid repeat count: `{99999999999}`"),
            ("(?", "invalid or unsupported Perl syntax: `(?`"),
            ("(?-)", "invalid or unsupported Perl syntax: `(?-)`"),
            ("(?i-i-i)", "invalid or unsupported Perl syntax: `(?i-i-`"),
            ("(?P<n", "invalid named capture: `(?P<n`"),
            ("(?P<n-1>a)", "invalid named capture: `(?P<n-1>`"),
            ("(?<>a)", "invalid named capture: `(?<>`"),
            ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
            ("\\p", "invalid character class range: `\\p`"),
            ("\\p{Greek", "invalid character class range: `\\p{Greek`"),
            ("\\x{110000}", "invalid escape sequence: `\\x{110000`"),
            ("(()", "missing closing ): `(()`"),
            ("[", "missing closing ]: `[`"),
        ] {
            let error = GoRegex::new(pattern).unwrap_err();
            assert_eq!(error.to_string(), format!("error parsing regexp: {fault}"), "{pattern}");
        }
        let wrapped = GoRegex::relabeling("[a").unwrap_err();
        assert_eq!(wrapped.to_string(), "error parsing regexp: missing closing ]: `[a)$`");
    }

    #[test]
    fn hostile_patterns_are_refused_or_bounded() {
        for pattern in [
            "(".repeat(100_000),
            "(?:".repeat(300) + &")".repeat(300),
            "a".to_owned() + &"(?i)*".repeat(300),
            "a|".repeat(1 << 18),
            r"(?i)(\pL{30}){30}(\pL{30}){30}(\pL{30}){30}(\pL{30}){30}".to_owned(),
        ] {
            assert!(GoRegex::new(&pattern).is_err(), "{}", &pattern[..20]);
        }
        let deep = "(?:a|".repeat(199) + "b*" + &")*".repeat(0) + &")".repeat(199);
        assert!(GoRegex::new(&deep).unwrap().is_match("b"));
        assert!(GoRegex::anchored(&deep).unwrap().compiled().is_some());
        let stacked = "(".repeat(99) + "a" + &"b)*".repeat(99);
        assert!(GoRegex::anchored(&stacked).unwrap().compiled().is_some());
        let large = GoRegex::anchored(r"(?i)\pL{100}[^/]{255}").unwrap();
        assert!(large.compiled().is_some() && !large.is_match("a"));
        assert!(GoRegex::anchored("(a|b)".repeat(50).as_str()).unwrap().is_match(&"ab".repeat(25)));
    }

    #[test]
    fn texts_are_replaced_as_go_replaces_them() {
        for (pattern, template, text, expected) in [
            ("a", "x", "banana", "bxnxnx"),
            ("a*", "x", "baac", "xbxcx"),
            ("(a)b", "x$1", "ab", "xa"),
            ("(a)b", "$1x", "ab", ""),
            ("(a)b", "${1}x", "ab", "ax"),
            ("(?P<letter>a)b", "${letter}$letter-$$1$", "ab", "aa-$1$"),
            ("(a)|(b)", "[$2$9$01]", "ab", "[][b]"),
            ("(?P<n>a)|(?P<n>b)", "<$n>", "ab", "<a><b>"),
            ("a", "${1", "a", "${1"),
            ("a", "${}$-", "a", "${}$-"),
            ("(a){0}b", "-$1-", "ab", "a--"),
            ("^.", "_", "日本", "_本"),
            (r"\B", "-", "aé", "aé-"),
        ] {
            let regex = GoRegex::new(pattern).unwrap();
            assert_eq!(regex.replace_all(text, template), expected, "{pattern} {template}");
        }
        let regex = GoRegex::anchored("(.*):(\\d+)").unwrap();
        assert_eq!(regex.captures_expand("host:80", "${1}-$2").as_deref(), Some("host-80"));
        assert_eq!(regex.captures_expand("host", "$1"), None);
        assert_eq!(regex.as_str(), "(.*):(\\d+)");
    }

    #[test]
    fn plain_patterns_need_no_engine() {
        for (pattern, engine) in [
            ("foo", false),
            ("^foo$", false),
            ("foo|bar|", false),
            ("(foo|bar)baz?", false),
            ("api-.*", false),
            (".*-api", false),
            (".+-api.*", false),
            (".*", false),
            ("(.+)", false),
            ("foo.bar", true),
            ("(?i)foo", true),
            ("a.*b", true),
            ("(?-s)a.*", true),
        ] {
            assert_eq!(GoRegex::anchored(pattern).unwrap().0.plan == Plan::Engine, engine, "{pattern}");
        }
    }

    /// A tiny language whose meaning is plain to see.
    #[derive(Clone, Debug)]
    enum Tiny {
        Char(char),
        Dot,
        Both(Box<Tiny>, Box<Tiny>),
        Either(Box<Tiny>, Box<Tiny>),
        Times(Box<Tiny>, usize, Option<usize>),
    }

    impl Tiny {
        fn text(&self) -> String {
            match self {
                Tiny::Char(c) if c.is_alphanumeric() => c.to_string(),
                Tiny::Char(c) => format!("\\{c}"),
                Tiny::Dot => ".".to_owned(),
                Tiny::Both(a, b) => format!("{}{}", a.text(), b.text()),
                Tiny::Either(a, b) => format!("({}|{})", a.text(), b.text()),
                Tiny::Times(a, 0, None) => format!("(?:{})*", a.text()),
                Tiny::Times(a, 1, None) => format!("({})+", a.text()),
                Tiny::Times(a, 0, Some(1)) => format!("(?:{})?", a.text()),
                Tiny::Times(a, min, None) => format!("(?:{}){{{min},}}", a.text()),
                Tiny::Times(a, min, Some(max)) => format!("(?:{}){{{min},{max}}}", a.text()),
            }
        }

        /// Where matches that start at `from` may end.
        fn ends(&self, text: &[char], from: usize) -> std::collections::BTreeSet<usize> {
            match self {
                Tiny::Char(c) => (text.get(from) == Some(c)).then_some(from + 1).into_iter().collect(),
                Tiny::Dot => (from < text.len()).then_some(from + 1).into_iter().collect(),
                Tiny::Both(a, b) => a.ends(text, from).into_iter().flat_map(|middle| b.ends(text, middle)).collect(),
                Tiny::Either(a, b) => a.ends(text, from).into_iter().chain(b.ends(text, from)).collect(),
                Tiny::Times(a, min, max) => {
                    let mut all = std::collections::BTreeSet::new();
                    let mut now = std::collections::BTreeSet::from([from]);
                    for count in 0..=max.unwrap_or(text.len() + min) {
                        if count >= *min {
                            all.extend(now.iter().copied());
                        }
                        now = now.into_iter().flat_map(|at| a.ends(text, at)).collect();
                    }
                    all
                }
            }
        }
    }

    fn tiny() -> impl Strategy<Value = Tiny> {
        let leaf = prop_oneof![
            4 => prop::sample::select(vec!['a', 'b', '&', '-', '[', '{', '\n', ' ']).prop_map(Tiny::Char),
            1 => Just(Tiny::Dot),
        ];
        leaf.prop_recursive(4, 16, 2, |inner| {
            let counts = prop::sample::select(vec![(0, None), (1, None), (0, Some(1)), (2, Some(3)), (2, None)]);
            prop_oneof![
                3 => (inner.clone(), inner.clone()).prop_map(|(a, b)| Tiny::Both(Box::new(a), Box::new(b))),
                2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| Tiny::Either(Box::new(a), Box::new(b))),
                2 => (inner, counts).prop_map(|(a, (min, max))| Tiny::Times(Box::new(a), min, max)),
            ]
        })
    }

    proptest! {
        #[test]
        fn matching_is_what_the_pattern_says(tiny in tiny(), texts in prop::collection::vec("[ab&\\-\\[{\n ]{0,6}", 12)) {
            let regex = GoRegex::anchored(&tiny.text()).unwrap();
            for text in texts {
                let chars: Vec<char> = text.chars().collect();
                let expected = tiny.ends(&chars, 0).contains(&chars.len());
                prop_assert_eq!(regex.is_match(&text), expected, "{} on {:?}", tiny.text(), text);
            }
        }

        #[test]
        fn no_pattern_panics(pattern in r"([ab|*+?(){}\[\]^$.\\0-9a-zQEpPx:<>,-]|\(\?|\[:)*", text in ".{0,20}") {
            if let Ok(regex) = GoRegex::new(&pattern) {
                regex.is_match(&text);
                prop_assert!(regex.compiled().is_some(), "the crate refuses what we wrote for {:?}", pattern);
                regex.replace_all(&text, &pattern);
            }
        }
    }
}
