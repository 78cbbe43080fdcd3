//! From the crate's tree to ours, with the checks that the crate does not make or makes wrongly.
//!
//! Source of the checks and their texts: Prometheus `promql/parser/parse.go`, `checkAST`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use promql_parser::label::Labels;
use promql_parser::parser::{self as theirs, LabelModifier, VectorMatchCardinality};

use super::functions::{Function, Optional};
use super::literal;
use super::prepare::{Literal, Operator, Prepared};
use super::tree::{
    Aggregate, AggregateOp, At, Binary, Expr, Group, Grouping, Matching, Modifiers, Subquery, ValueType, VectorSelector,
};
use crate::model::{METRIC_NAME, Matcher, quote};

type Converted<T> = Result<T, String>;

/// What is said where the crate's answer does not fit what it was asked, which should not happen.
const MISFIT: &str = "this expression is not understood yet";

/// Our tree of what the crate read of `prepared.text`.
pub(super) fn convert(expr: &theirs::Expr, prepared: &Prepared) -> Converted<Expr> {
    Converter { prepared, operators: prepared.operators.iter() }.expr(expr)
}

struct Converter<'p> {
    prepared: &'p Prepared,
    /// Those whose node is yet to come; nodes are visited in the order of the text.
    operators: std::slice::Iter<'p, Operator>,
}

impl Converter<'_> {
    fn expr(&mut self, expr: &theirs::Expr) -> Converted<Expr> {
        match expr {
            theirs::Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            theirs::Expr::Unary(unary) => {
                let Some(Operator::Sign { minus }) = self.operators.next().copied() else {
                    return Err(MISFIT.to_owned());
                };
                signed(minus, self.expr(&unary.expr)?)
            }
            theirs::Expr::Binary(binary) => self.binary(binary),
            theirs::Expr::Paren(paren) => Ok(Expr::Paren(Box::new(self.expr(&paren.expr)?))),
            theirs::Expr::Subquery(subquery) => self.subquery(subquery),
            theirs::Expr::NumberLiteral(number) => self.number(number.val),
            theirs::Expr::StringLiteral(string) => Ok(Expr::Str(self.text(&string.val)?)),
            theirs::Expr::VectorSelector(selector) => Ok(Expr::Selector(self.selector(selector, false)?)),
            theirs::Expr::MatrixSelector(range) => {
                let selector = self.selector(&range.vs, false)?;
                Ok(Expr::Range { selector, range_ms: self.millis(range.range)? })
            }
            theirs::Expr::Call(call) => self.call(call),
            theirs::Expr::Extension(_) => Err(MISFIT.to_owned()),
        }
    }

    fn literal(&self, number: f64) -> Converted<&Literal> {
        self.prepared.literal(number as usize).ok_or_else(|| MISFIT.to_owned())
    }

    /// The number literal that a number of the crate stands for, with its sign.
    fn value(&self, number: f64) -> Converted<(f64, bool)> {
        match self.literal(number.abs())? {
            Literal::Number { value, as_duration } => Ok((if number < 0.0 { -value } else { *value }, *as_duration)),
            _ => Err(MISFIT.to_owned()),
        }
    }

    fn number(&self, number: f64) -> Converted<Expr> {
        let (value, as_duration) = self.value(number)?;
        Ok(Expr::Number { value, as_duration })
    }

    fn text(&self, number: &str) -> Converted<Arc<str>> {
        match self.literal(number.parse().map_err(|_| MISFIT.to_owned())?)? {
            Literal::Text(text) => Ok(text.clone()),
            _ => Err(MISFIT.to_owned()),
        }
    }

    fn labels(&self, labels: &Labels) -> Converted<Vec<Arc<str>>> {
        labels.labels.iter().map(|number| self.text(number)).collect()
    }

    fn millis(&self, duration: Duration) -> Converted<i64> {
        literal::seconds_to_millis(self.value(duration.as_secs_f64())?.0)
    }

    fn selector(&self, selector: &theirs::VectorSelector, may_be_empty: bool) -> Converted<VectorSelector> {
        let name = match selector.name.as_deref() {
            Some(name) if name.starts_with(':') => Some(self.text(&name[1..])?),
            name => name.map(Arc::from),
        };
        if !selector.matchers.or_matchers.is_empty() {
            return Err(MISFIT.to_owned());
        }
        let mut matchers = Vec::with_capacity(selector.matchers.matchers.len() + usize::from(name.is_some()));
        for matcher in &selector.matchers.matchers {
            match self.literal(matcher.value.parse().map_err(|_| MISFIT.to_owned())?)? {
                Literal::Matcher(matcher) => matchers.push(matcher.clone()),
                _ => return Err(MISFIT.to_owned()),
            }
        }
        check_names(name.as_deref(), &matchers)?;
        if let Some(name) = &name {
            matchers.push(Matcher::equal(METRIC_NAME, name.clone()));
        } else if !may_be_empty && matchers.iter().all(|matcher| matcher.matches("")) {
            return Err("vector selector must contain at least one non-empty matcher".to_owned());
        }
        let modifiers = self.modifiers(selector.offset.as_ref(), selector.at.as_ref())?;
        Ok(VectorSelector { name, matchers, modifiers })
    }

    fn modifiers(&self, offset: Option<&theirs::Offset>, at: Option<&theirs::AtModifier>) -> Converted<Modifiers> {
        let offset_ms = match offset {
            None => 0,
            Some(theirs::Offset::Pos(offset)) => self.millis(*offset)?,
            Some(theirs::Offset::Neg(offset)) => -self.millis(*offset)?,
        };
        let at = match at {
            None => None,
            Some(theirs::AtModifier::Start) => Some(At::Start),
            Some(theirs::AtModifier::End) => Some(At::End),
            Some(theirs::AtModifier::At(time)) => Some(At::Timestamp(self.timestamp(*time)?)),
        };
        Ok(Modifiers { at, offset_ms })
    }

    fn timestamp(&self, time: SystemTime) -> Converted<i64> {
        let number = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => after.as_secs_f64(),
            Err(before) => -before.duration().as_secs_f64(),
        };
        let seconds = self.value(number)?.0;
        if seconds.is_nan() || seconds.abs() >= i64::MAX as f64 {
            let shown = if seconds.is_finite() { format!("{seconds:.6}") } else { crate::model::format_fixed(seconds) };
            return Err(format!("timestamp out of bounds for @ modifier: {shown}"));
        }
        Ok((seconds * 1000.0).round() as i64)
    }

    fn subquery(&mut self, subquery: &theirs::SubqueryExpr) -> Converted<Expr> {
        let expr = self.expr(&subquery.expr)?;
        if expr.value_type() != ValueType::Vector {
            let got = expr.value_type();
            return Err(format!("subquery is only allowed on instant vector, got {got} instead"));
        }
        let range_ms = self.millis(subquery.range)?;
        let step_ms = subquery.step.map(|step| self.millis(step)).transpose()?;
        let modifiers = self.modifiers(subquery.offset.as_ref(), subquery.at.as_ref())?;
        Ok(Expr::Subquery(Box::new(Subquery { expr, range_ms, step_ms, modifiers })))
    }

    fn aggregate(&mut self, aggregate: &theirs::AggregateExpr) -> Converted<Expr> {
        let op = AggregateOp::named(&aggregate.op.to_string()).ok_or_else(|| MISFIT.to_owned())?;
        let param = aggregate.param.as_deref().map(|param| self.expr(param)).transpose()?;
        let expr = self.expr(&aggregate.expr)?;
        expect_type(&expr, ValueType::Vector, || "aggregation expression".to_owned())?;
        match (&param, op.param()) {
            (Some(param), Some(expected)) => expect_type(param, expected, || "aggregation parameter".to_owned())?,
            (None, None) => {}
            _ => return Err(MISFIT.to_owned()),
        }
        let grouping = match &aggregate.modifier {
            None => Grouping::All,
            Some(LabelModifier::Include(labels)) if labels.is_empty() => Grouping::All,
            Some(LabelModifier::Include(labels)) => Grouping::By(self.labels(labels)?),
            Some(LabelModifier::Exclude(labels)) => Grouping::Without(self.labels(labels)?),
        };
        Ok(Expr::Aggregate(Box::new(Aggregate { op, param, expr, grouping })))
    }

    fn call(&mut self, call: &theirs::Call) -> Converted<Expr> {
        let function = Function::named(call.func.name).ok_or_else(|| MISFIT.to_owned())?;
        let mut args = Vec::with_capacity(call.args.args.len());
        for (index, arg) in call.args.args.iter().enumerate() {
            args.push(match &**arg {
                theirs::Expr::VectorSelector(selector) if function.name == "info" && index == 1 => {
                    Expr::Selector(self.selector(selector, true)?)
                }
                arg => self.expr(arg)?,
            });
        }
        check_call(function, &args)?;
        Ok(Expr::Call { function, args })
    }

    fn binary(&mut self, binary: &theirs::BinaryExpr) -> Converted<Expr> {
        let lhs = self.expr(&binary.lhs)?;
        let Some(Operator::Binary(op)) = self.operators.next().copied() else {
            return Err(MISFIT.to_owned());
        };
        let rhs = self.expr(&binary.rhs)?;
        let (return_bool, matching) = match &binary.modifier {
            None => (false, no_matching()),
            Some(modifier) => (modifier.return_bool && op.is_comparison(), self.matching(modifier)?),
        };
        let mut binary = Binary { op, lhs, rhs, return_bool, matching: Some(matching) };
        check_binary(&binary)?;
        let is_vector = |expr: &Expr| expr.value_type() == ValueType::Vector;
        if !(is_vector(&binary.lhs) && is_vector(&binary.rhs)) {
            binary.matching = None;
        }
        Ok(Expr::Binary(Box::new(binary)))
    }

    fn matching(&self, modifier: &theirs::BinModifier) -> Converted<Matching> {
        let (on, labels) = match &modifier.matching {
            None => (false, Vec::new()),
            Some(LabelModifier::Include(labels)) => (true, self.labels(labels)?),
            Some(LabelModifier::Exclude(labels)) => (false, self.labels(labels)?),
        };
        let group = match &modifier.card {
            VectorMatchCardinality::ManyToOne(labels) => Group::Left(self.labels(labels)?),
            VectorMatchCardinality::OneToMany(labels) => Group::Right(self.labels(labels)?),
            VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => Group::None,
        };
        let fill = |number: Option<f64>| number.map(|number| self.value(number)).transpose();
        let fill_left = fill(modifier.fill_values.lhs)?.map(|(value, _)| value);
        let fill_right = fill(modifier.fill_values.rhs)?.map(|(value, _)| value);
        Ok(Matching { on, labels, group, fill_left, fill_right })
    }
}

fn no_matching() -> Matching {
    Matching { on: false, labels: Vec::new(), group: Group::None, fill_left: None, fill_right: None }
}

/// A sign belongs to a number, and is an operation on anything else.
fn signed(minus: bool, expr: Expr) -> Converted<Expr> {
    let found = expr.value_type();
    if !matches!(found, ValueType::Scalar | ValueType::Vector) {
        let found = quote(found.documented());
        return Err(format!(
            "unary expression only allowed on expressions of type scalar or instant vector, got {found}"
        ));
    }
    Ok(match expr {
        Expr::Number { value, as_duration } => Expr::Number { value: if minus { -value } else { value }, as_duration },
        expr => Expr::Unary { minus, expr: Box::new(expr) },
    })
}

fn check_names(name: Option<&str>, matchers: &[Matcher]) -> Converted<()> {
    let twice = matchers.iter().find(|matcher| matcher.name() == METRIC_NAME);
    match (name, twice) {
        (Some(first), Some(second)) => {
            let (first, second) = (quote(first), quote(second.value()));
            Err(format!("metric name must not be set twice: {first} or {second}"))
        }
        _ => Ok(()),
    }
}

fn expect_type(expr: &Expr, expected: ValueType, context: impl Fn() -> String) -> Converted<()> {
    let found = expr.value_type();
    if found == expected {
        return Ok(());
    }
    let (expected, found) = (expected.documented(), found.documented());
    Err(format!("expected type {expected} in {}, got {found}", context()))
}

fn check_call(function: &Function, args: &[Expr]) -> Converted<()> {
    let (name, needed, given) = (quote(function.name), function.args.len(), args.len());
    let least = if function.optional == Optional::None { needed } else { needed.saturating_sub(1) };
    match function.optional {
        Optional::None if given != needed => {
            return Err(format!("expected {needed} argument(s) in call to {name}, got {given}"));
        }
        Optional::UpTo(_) | Optional::Any if given < least => {
            return Err(format!("expected at least {least} argument(s) in call to {name}, got {given}"));
        }
        Optional::UpTo(more) if given > least + more => {
            return Err(format!("expected at most {} argument(s) in call to {name}, got {given}", least + more));
        }
        _ => {}
    }
    if function.name == "info" {
        match args.get(1) {
            Some(Expr::Selector(selector)) if selector.name.is_none() => {}
            Some(Expr::Selector(_)) => return Err("expected label selectors only".to_owned()),
            Some(other) => {
                let found = other.value_type().documented();
                return Err(format!(
                    "expected label selectors as the second argument to \"info\" function, got {found}"
                ));
            }
            None => {}
        }
    }
    for (index, arg) in args.iter().enumerate() {
        if let Some(expected) = function.arg(index) {
            expect_type(arg, expected, || format!("call to function {name}"))?;
        }
    }
    Ok(())
}

fn check_binary(binary: &Binary) -> Converted<()> {
    let Binary { op, return_bool, .. } = *binary;
    let (lhs, rhs) = (binary.lhs.value_type(), binary.rhs.value_type());
    let matching = binary.matching.as_ref();
    let grouped = matching.is_some_and(|matching| matching.group != Group::None);
    let filled = matching.is_some_and(|matching| matching.fill_left.or(matching.fill_right).is_some());
    if op.is_comparison() && !return_bool && (lhs, rhs) == (ValueType::Scalar, ValueType::Scalar) {
        return Err("comparisons between scalars must use BOOL modifier".to_owned());
    }
    if op.is_set() && (lhs == ValueType::Scalar || rhs == ValueType::Scalar) {
        return Err(format!("set operator {} not allowed in binary scalar expression", quote(op.as_str())));
    }
    if let Some(Matching { on: true, labels, group: Group::Left(group) | Group::Right(group), .. }) = matching
        && let Some(both) = labels.iter().find(|label| group.contains(label))
    {
        return Err(format!("label {} must not occur in ON and GROUP clause at once", quote(both)));
    }
    let is_operand = |found| matches!(found, ValueType::Scalar | ValueType::Vector);
    if !is_operand(lhs) || !is_operand(rhs) {
        return Err("binary expression must contain only scalar and instant vector types".to_owned());
    }
    let vectors = (lhs, rhs) == (ValueType::Vector, ValueType::Vector);
    let labelled = matching.is_some_and(|matching| !matching.labels.is_empty());
    if !vectors && (labelled || grouped) {
        return Err("vector matching only allowed between vectors".to_owned());
    }
    if !vectors && filled {
        return Err("filling in missing series only allowed between vectors".to_owned());
    }
    if op.is_set() && grouped {
        return Err(format!("no grouping allowed for {} operation", quote(op.as_str())));
    }
    if op.is_set() && filled {
        return Err(format!("filling in missing series not allowed for set operators, got {}", quote(op.as_str())));
    }
    Ok(())
}
