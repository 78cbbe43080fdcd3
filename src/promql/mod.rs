//! The expression language.
//!
//! Decides whether a text is an expression that Prometheus would take, and what it says: `parse` gives a tree of our
//! own, checked, bounded in length and height. It never evaluates and never asks anybody. Rules and templates call it.
//!
//! Behind the door, for now, stands the crate `promql-parser`, which knows the grammar; its types do not leave this room.
//! `prepare` reads tokens and literals as Prometheus does and hands the crate a text that it cannot misread, `convert`
//! makes our tree of its answer and checks what it does not check, `printer` prints a tree in Prometheus' canonical form.
//! What is refused although Prometheus takes it: strings that are not UTF-8, an offset in parentheses, and expressions
//! beyond the bounds in `prepare`. The message then says so.

mod convert;
mod functions;
mod lexer;
mod literal;
mod prepare;
mod printer;
mod selectors;
mod tree;

use std::panic;
use std::sync::Arc;

use crate::diagnostic::Span;

pub use functions::{FUNCTIONS, Function, Optional};
pub use selectors::selectors;
pub use tree::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Expr, Group, Grouping, Matching, Modifiers, Subquery, ValueType,
    VectorSelector,
};

/// A checked expression: the author's text, its tree, and its normalised text. A clone costs one counter.
#[derive(Clone, Debug)]
pub struct Expression(Arc<Parsed>);

#[derive(Debug)]
struct Parsed {
    text: Arc<str>,
    normalised: Arc<str>,
    tree: Expr,
}

/// Why a text is no expression; in Prometheus' words where they are known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    pub message: String,
    /// In the text that was parsed; the whole of it where nothing better is known.
    pub span: Span,
}

/// Syntax that Prometheus takes only when it is told to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// `promql-experimental-functions`: functions marked so, `limitk` and `limit_ratio`.
    pub experimental_functions: bool,
    /// `promql-binop-fill-modifiers`: `fill`, `fill_left`, `fill_right`.
    pub fill_modifiers: bool,
}

/// Reads and checks an expression, with Prometheus' default features.
pub fn parse(text: &str) -> Result<Expression, ParseError> {
    parse_with(text, Features::default())
}

pub fn parse_with(text: &str, features: Features) -> Result<Expression, ParseError> {
    let prepared = prepare::prepare(text, features)?;
    let whole = |message: String| ParseError { message, span: Span::new(0, text.len()) };
    // Nothing that is known to make the crate panic gets through `prepare`; this is for what is not known.
    let parsed = panic::catch_unwind(|| promql_parser::parser::parse(&prepared.text))
        .map_err(|_| whole("this expression is not understood yet".to_owned()))?;
    let theirs = parsed.map_err(|message| whole(in_prometheus_words(&message)))?;
    let tree = convert::convert(&theirs, &prepared).map_err(whole)?;
    let normalised = Arc::from(tree.to_string());
    Ok(Expression(Arc::new(Parsed { text: Arc::from(text), normalised, tree })))
}

impl Expression {
    /// The author's text, byte for byte: what a source is asked.
    pub fn text(&self) -> &Arc<str> {
        &self.0.text
    }

    /// Prometheus' canonical print: for display, generator URLs and comparison.
    pub fn normalised(&self) -> &Arc<str> {
        &self.0.normalised
    }

    pub fn tree(&self) -> &Expr {
        &self.0.tree
    }

    pub fn value_type(&self) -> ValueType {
        self.0.tree.value_type()
    }
}

/// Two expressions are equal if they say the same.
impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.0.normalised == other.0.normalised
    }
}

/// The crate's error texts are Prometheus' but for quotes and names of types.
fn in_prometheus_words(message: &str) -> String {
    if message.contains("invalid promql query") {
        return "the parts of this expression do not fit together".to_owned();
    }
    let mut words = message.replace('\'', "\"");
    for (theirs, ours) in [("vector", "instant vector"), ("matrix", "range vector")] {
        for before in ["expected type ", "got ", "got: "] {
            words = words.replace(&format!("{before}{theirs}"), &format!("{before}{ours}"));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn expressions_print_in_canonical_form() {
        for (text, normalised) in [
            ("name {b='2', a =~ \"x\"} # why", r#"name{a=~"x",b="2"}"#),
            (r#"{__name__="a"}"#, r#"{__name__="a"}"#),
            (r#"{"a.b","x.y"="z"}"#, r#"{"x.y"="z",__name__="a.b"}"#),
            ("x{}", "x"),
            ("{a=~`\\d+`}", r#"{a=~"\\d+"}"#),
            (r#"{a=~"[[]|\\Qx.y\\E"}"#, r#"{a=~"[[]|\\Qx.y\\E"}"#),
            ("SUM(x) BY (b, a)", "sum by (b, a) (x)"),
            ("sum by () (x) + sum without () (x)", "sum(x) + sum without () (x)"),
            ("sum by (a:b, \"c d\", on) (x)", "sum by (\"a:b\", \"c d\", on) (x)"),
            ("topk(5,x)", "topk(5, x)"),
            ("a - on(b) group_left(x) c", "a - on (b) group_left (x) c"),
            ("a - ignoring() c * on() d", "a - c * on () d"),
            ("a / on(b) group_right c", "a / on (b) group_right () c"),
            ("up > bool 0", "up > bool 0"),
            ("x[300s]", "x[5m]"),
            ("x[+.5] offset 1w", "x[500ms] offset 1w"),
            ("rate(x[5m])[1h:300]", "rate(x[5m])[1h:5m]"),
            ("x[1h:] offset -7m @ -10", "x[1h:] @ -10.000 offset -7m"),
            ("x @ end() offset 0", "x @ end()"),
            ("1e3 + 0x10 - 1_000 * 017", "1000 + 16 - 1000 * 15"),
            ("-inf + +NaN", "-Inf + NaN"),
            ("- 1h * 2", "-1h * 2"),
            ("-1 ^ 2 + - -3", "-1 ^ 2 + 3"),
            ("+x * +(-y)", "+x * +(-y)"),
            ("x </ 3 > 2", "x </ 3 > 2"),
            ("anchored + smoothed / and", "anchored + smoothed / and"),
            (":x + x:y", ":x + x:y"),
            ("'a\\'\\x41\\u00e9\\n'", "\"a'Aé\\n\""),
            ("1 + on() 2", "1 + 2"),
            ("time() - pi( )", "time() - pi()"),
        ] {
            let parsed = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(&**parsed.normalised(), normalised, "{text}");
            assert_eq!(&**parsed.text(), text);
        }
    }

    #[test]
    fn faults_are_told_with_their_place() {
        for (text, message, guilty) in [
            ("", "no expression found in input", ""),
            ("sum(rate(x[5m])", "unclosed left parenthesis", ""),
            ("x y", "unexpected identifier \"y\"", "y"),
            ("x > ", "unexpected end of input", ""),
            ("raet(x[5m])", "unknown function with name \"raet\"", "raet"),
            ("x{a=\"b\" or c=\"d\"}", "unexpected identifier \"or\" in label matching, expected \",\" or \"}\"", "or"),
            ("x{a=~\"[\"}", "error parsing regexp: missing closing ]: `[`", "\"[\""),
            ("x[0]", "duration must be greater than 0", "0"),
            ("x[1e40]", "duration out of range", "1e40"),
            ("x[300y]", "duration out of range", "300y"),
            ("1e400", "error parsing number: strconv.ParseFloat: parsing \"1e400\": value out of range", "1e400"),
            ("x @ 1e30", "timestamp out of bounds for @ modifier: 1000000000000000019884624838656.000000", "x @ 1e30"),
            ("1 > 2", "comparisons between scalars must use BOOL modifier", "1 > 2"),
            ("x + bool y", "bool modifier can only be used on comparison operators", "bool"),
            ("1 and 2", "set operator \"and\" not allowed in binary scalar expression", "1 and 2"),
            ("ln(-1)", "expected type instant vector in call to function \"ln\", got scalar", "ln(-1)"),
            ("rate(x)", "expected type range vector in call to function \"rate\", got instant vector", "rate(x)"),
            ("sum(x[5m])", "expected type instant vector in aggregation expression, got range vector", "sum(x[5m])"),
            ("{a=\"\"}", "vector selector must contain at least one non-empty matcher", "{a=\"\"}"),
            ("x{__name__=\"y\"}", "metric name must not be set twice: \"x\" or \"y\"", "x{__name__=\"y\"}"),
            ("x + fill(0) y", "fill modifiers are experimental and not enabled", "fill"),
            ("mad_over_time(x[5m])", "function \"mad_over_time\" is not enabled", "mad_over_time"),
            ("x[5m+1m]", "experimental duration expression is not enabled", "+"),
            ("x anchored", "anchored modifier is experimental and not enabled", "anchored"),
            ("1.5h + 1", "unknown unit \".\" in duration \"1.5h\"", "1.5h"),
            ("5mm", "bad number or duration syntax: \"5mm\"", "5mm"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.message, message, "{text}");
            assert_eq!(&text[error.span.range()], guilty, "{text}");
        }
    }

    #[test]
    fn every_selector_is_found_in_order() {
        let text = r#"sum(rate(a{x="1"}[5m])) / topk(scalar(b), max_over_time(c[1h:5m])) > -(d or {__name__=~"e.*"})"#;
        let parsed = parse(text).unwrap();
        let found: Vec<String> = selectors(parsed.tree())
            .iter()
            .map(|found| format!("{:?} {:?}", found.metric_name(), found.matchers))
            .collect();
        assert_eq!(
            found,
            [
                r#"Some("a") [x="1", __name__="a"]"#,
                r#"Some("b") [__name__="b"]"#,
                r#"Some("c") [__name__="c"]"#,
                r#"Some("d") [__name__="d"]"#,
                r#"None [__name__=~"e.*"]"#,
            ]
        );
    }

    fn expression() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec![
            "1",
            "0x1f",
            "1h",
            "+Inf",
            "NaN",
            "up",
            "x{a=\"b\"}",
            "{\"a.b\"}",
            "x @ 5 offset -1m",
            "y:z",
            "time()",
        ]);
        leaf.prop_map(str::to_owned).prop_recursive(5, 24, 3, |inner| {
            let op = prop::sample::select(BinaryOp::ALL.to_vec());
            let modifier = prop::sample::select(vec!["", "bool", "on(a)", "ignoring(a,b)", "on(a) group_left(c)"]);
            prop_oneof![
                (inner.clone(), op, modifier, inner.clone())
                    .prop_map(|(a, op, modifier, b)| format!("{a} {} {modifier} {b}", op.as_str())),
                inner.clone().prop_map(|a| format!("({a})")),
                inner.clone().prop_map(|a| format!("-{a}")),
                inner.clone().prop_map(|a| format!("+ {a}")),
                inner.clone().prop_map(|a| format!("abs({a})")),
                inner.clone().prop_map(|a| format!("sum({a}) by (a)")),
                inner.clone().prop_map(|a| format!("quantile without (a) (0.5, {a})")),
                inner.clone().prop_map(|a| format!("label_replace({a}, 'a', \"$1\", `b`, '(.*)')")),
                inner.prop_map(|a| format!("max_over_time(({a})[1h:])")),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_the_same(text in expression()) {
            if let Ok(first) = parse(&text) {
                let second = parse(first.normalised()).unwrap_or_else(|error| panic!("{}: {error}", first.normalised()));
                prop_assert_eq!(first.normalised(), second.normalised());
                prop_assert_eq!(format!("{:?}", first.tree()), format!("{:?}", second.tree()));
            }
        }

        #[test]
        fn no_text_panics(text in "([a-z_:0-9.]{1,4}|[-+*/^%@,(){}\\[\\]<>=!~\"'`\\\\# \n\u{e9}]|sum|by|on|offset|bool|\\[5m\\]){0,20}") {
            if let Err(error) = parse_with(&text, Features { experimental_functions: true, fill_modifiers: true }) {
                prop_assert!(text.get(error.span.range()).is_some(), "{:?}: {:?}", text, error);
                prop_assert!(error.message != "this expression is not understood yet", "{:?}", text);
            }
        }
    }
}
