//! Prints a tree in Prometheus' canonical form.
//!
//! Source: Prometheus `promql/parser/printer.go`.

use std::fmt::{self, Display, Formatter, Write};
use std::sync::Arc;
use std::time::Duration;

use super::tree::{Aggregate, At, Binary, Expr, Group, Grouping, Matching, Modifiers, Subquery, VectorSelector};
use crate::model::{METRIC_NAME, MatchOp, format_duration, format_fixed, is_legacy_label_name, write_quoted};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            // Cut off where the reference cuts it off, from nanoseconds.
            Expr::Number { value, as_duration: true } => {
                f.write_str(&signed_duration((value * 1e9) as i64 / 1_000_000))
            }
            Expr::Number { value, .. } => f.write_str(&format_fixed(*value)),
            Expr::Str(text) => write_quoted(f, text),
            Expr::Selector(selector) => {
                write_selector(f, selector)?;
                write_modifiers(f, selector.modifiers)
            }
            Expr::Range { selector, range_ms } => {
                write_selector(f, selector)?;
                write!(f, "[{}]", signed_duration(*range_ms))?;
                write_modifiers(f, selector.modifiers)
            }
            Expr::Subquery(subquery) => write_subquery(f, subquery),
            Expr::Aggregate(aggregate) => write_aggregate(f, aggregate),
            Expr::Call { function, args } => {
                f.write_str(function.name)?;
                f.write_char('(')?;
                for (index, arg) in args.iter().enumerate() {
                    f.write_str(if index > 0 { ", " } else { "" })?;
                    arg.fmt(f)?;
                }
                f.write_char(')')
            }
            Expr::Binary(binary) => write_binary(f, binary),
            Expr::Unary { minus, expr } => write!(f, "{}{expr}", if *minus { '-' } else { '+' }),
            Expr::Paren(expr) => write!(f, "({expr})"),
        }
    }
}

fn signed_duration(millis: i64) -> String {
    let text = format_duration(Duration::from_millis(millis.unsigned_abs()));
    if millis < 0 { format!("-{text}") } else { text }
}

fn write_selector(f: &mut Formatter<'_>, selector: &VectorSelector) -> fmt::Result {
    let name = selector.name.as_deref();
    f.write_str(name.unwrap_or_default())?;
    let mut matchers: Vec<String> = selector
        .matchers
        .iter()
        .filter(|matcher| {
            let is_name = matcher.op() == MatchOp::Equal && matcher.name() == METRIC_NAME;
            !(is_name && Some(matcher.value()) == name)
        })
        .map(ToString::to_string)
        .collect();
    matchers.sort_unstable();
    if matchers.is_empty() { Ok(()) } else { write!(f, "{{{}}}", matchers.join(",")) }
}

fn write_modifiers(f: &mut Formatter<'_>, modifiers: Modifiers) -> fmt::Result {
    match modifiers.at {
        None => {}
        Some(At::Start) => f.write_str(" @ start()")?,
        Some(At::End) => f.write_str(" @ end()")?,
        Some(At::Timestamp(millis)) => {
            let (sign, size) = (if millis < 0 { "-" } else { "" }, millis.unsigned_abs());
            write!(f, " @ {sign}{}.{:03}", size / 1000, size % 1000)?;
        }
    }
    if modifiers.offset_ms == 0 { Ok(()) } else { write!(f, " offset {}", signed_duration(modifiers.offset_ms)) }
}

fn write_subquery(f: &mut Formatter<'_>, subquery: &Subquery) -> fmt::Result {
    let step = subquery.step_ms.map(signed_duration).unwrap_or_default();
    write!(f, "{}[{}:{step}]", subquery.expr, signed_duration(subquery.range_ms))?;
    write_modifiers(f, subquery.modifiers)
}

fn write_aggregate(f: &mut Formatter<'_>, aggregate: &Aggregate) -> fmt::Result {
    f.write_str(aggregate.op.as_str())?;
    match &aggregate.grouping {
        Grouping::All => {}
        Grouping::By(labels) => write!(f, " by ({}) ", Names(labels))?,
        Grouping::Without(labels) => write!(f, " without ({}) ", Names(labels))?,
    }
    f.write_char('(')?;
    if let Some(param) = &aggregate.param {
        write!(f, "{param}, ")?;
    }
    write!(f, "{})", aggregate.expr)
}

fn write_binary(f: &mut Formatter<'_>, binary: &Binary) -> fmt::Result {
    write!(f, "{} {}", binary.lhs, binary.op.as_str())?;
    f.write_str(if binary.return_bool { " bool" } else { "" })?;
    if let Some(matching) = &binary.matching {
        write_matching(f, matching)?;
    }
    write!(f, " {}", binary.rhs)
}

fn write_matching(f: &mut Formatter<'_>, matching: &Matching) -> fmt::Result {
    let grouped = matching.group != Group::None;
    if matching.on || !matching.labels.is_empty() || grouped {
        write!(f, " {} ({})", if matching.on { "on" } else { "ignoring" }, Names(&matching.labels))?;
    }
    match &matching.group {
        Group::None => {}
        Group::Left(labels) => write!(f, " group_left ({})", Names(labels))?,
        Group::Right(labels) => write!(f, " group_right ({})", Names(labels))?,
    }
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left == right => write!(f, " fill ({})", format_fixed(left)),
        (left, right) => {
            if let Some(left) = left {
                write!(f, " fill_left ({})", format_fixed(left))?;
            }
            right.map_or(Ok(()), |right| write!(f, " fill_right ({})", format_fixed(right)))
        }
    }
}

/// Label names, quoted where they must be.
struct Names<'a>(&'a [Arc<str>]);

impl Display for Names<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { ", " } else { "" })?;
            if is_legacy_label_name(name) { f.write_str(name)? } else { write_quoted(f, name)? }
        }
        Ok(())
    }
}
