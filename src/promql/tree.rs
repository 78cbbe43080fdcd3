//! The tree of an expression.

use std::fmt;
use std::sync::Arc;

use super::functions::Function;
use crate::model::Matcher;

/// What an expression yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    Scalar,
    Vector,
    RangeVector,
    String,
}

impl ValueType {
    /// As the query API says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::Vector => "vector",
            ValueType::RangeVector => "matrix",
            ValueType::String => "string",
        }
    }

    /// As Prometheus' error texts say it.
    pub(super) const fn documented(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::Vector => "instant vector",
            ValueType::RangeVector => "range vector",
            ValueType::String => "string",
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One node. Parentheses are kept as they were written.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Number {
        value: f64,
        /// Whether it was written as a duration (`5m`, in seconds), which is how it is printed.
        as_duration: bool,
    },
    Str(Arc<str>),
    Selector(VectorSelector),
    Range {
        selector: VectorSelector,
        range_ms: i64,
    },
    Subquery(Box<Subquery>),
    Aggregate(Box<Aggregate>),
    Call {
        function: &'static Function,
        args: Vec<Expr>,
    },
    Binary(Box<Binary>),
    Unary {
        minus: bool,
        expr: Box<Expr>,
    },
    Paren(Box<Expr>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// The metric name written before the braces, if there is one; `matchers` then ends with the matcher for it.
    pub name: Option<Arc<str>>,
    pub matchers: Vec<Matcher>,
    pub modifiers: Modifiers,
}

/// `@` and `offset`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Modifiers {
    pub at: Option<At>,
    pub offset_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    Start,
    End,
    /// Milliseconds since the epoch.
    Timestamp(i64),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    pub expr: Expr,
    pub range_ms: i64,
    /// `None`: the default evaluation interval.
    pub step_ms: Option<i64>,
    pub modifiers: Modifiers,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    pub op: AggregateOp,
    pub param: Option<Expr>,
    pub expr: Expr,
    pub grouping: Grouping,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateOp {
    Avg,
    BottomK,
    Count,
    CountValues,
    Group,
    LimitK,
    LimitRatio,
    Max,
    Min,
    Quantile,
    StdDev,
    StdVar,
    Sum,
    TopK,
}

impl AggregateOp {
    pub(super) const ALL: &[AggregateOp] = &[
        AggregateOp::Avg,
        AggregateOp::BottomK,
        AggregateOp::Count,
        AggregateOp::CountValues,
        AggregateOp::Group,
        AggregateOp::LimitK,
        AggregateOp::LimitRatio,
        AggregateOp::Max,
        AggregateOp::Min,
        AggregateOp::Quantile,
        AggregateOp::StdDev,
        AggregateOp::StdVar,
        AggregateOp::Sum,
        AggregateOp::TopK,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            AggregateOp::Avg => "avg",
            AggregateOp::BottomK => "bottomk",
            AggregateOp::Count => "count",
            AggregateOp::CountValues => "count_values",
            AggregateOp::Group => "group",
            AggregateOp::LimitK => "limitk",
            AggregateOp::LimitRatio => "limit_ratio",
            AggregateOp::Max => "max",
            AggregateOp::Min => "min",
            AggregateOp::Quantile => "quantile",
            AggregateOp::StdDev => "stddev",
            AggregateOp::StdVar => "stdvar",
            AggregateOp::Sum => "sum",
            AggregateOp::TopK => "topk",
        }
    }

    pub(super) fn named(name: &str) -> Option<AggregateOp> {
        AggregateOp::ALL.iter().copied().find(|op| op.as_str() == name)
    }

    /// The type of the parameter, for those that take one.
    pub const fn param(self) -> Option<ValueType> {
        match self {
            AggregateOp::CountValues => Some(ValueType::String),
            AggregateOp::BottomK
            | AggregateOp::LimitK
            | AggregateOp::LimitRatio
            | AggregateOp::Quantile
            | AggregateOp::TopK => Some(ValueType::Scalar),
            _ => None,
        }
    }

    pub const fn is_experimental(self) -> bool {
        matches!(self, AggregateOp::LimitK | AggregateOp::LimitRatio)
    }
}

/// Which labels an aggregation keeps.
#[derive(Clone, Debug, PartialEq)]
pub enum Grouping {
    /// None: `by ()`, or nothing written.
    All,
    By(Vec<Arc<str>>),
    Without(Vec<Arc<str>>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    pub op: BinaryOp,
    pub lhs: Expr,
    pub rhs: Expr,
    pub return_bool: bool,
    /// Present where both sides are vectors.
    pub matching: Option<Matching>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// `</`: what a native histogram holds below a bound.
    TrimUpper,
    /// `>/`: what a native histogram holds above a bound.
    TrimLower,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    pub(super) const ALL: &[BinaryOp] = &[
        BinaryOp::Add,
        BinaryOp::Sub,
        BinaryOp::Mul,
        BinaryOp::Div,
        BinaryOp::Mod,
        BinaryOp::Pow,
        BinaryOp::Atan2,
        BinaryOp::Equal,
        BinaryOp::NotEqual,
        BinaryOp::Less,
        BinaryOp::LessOrEqual,
        BinaryOp::Greater,
        BinaryOp::GreaterOrEqual,
        BinaryOp::TrimUpper,
        BinaryOp::TrimLower,
        BinaryOp::And,
        BinaryOp::Or,
        BinaryOp::Unless,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
            BinaryOp::Pow => "^",
            BinaryOp::Atan2 => "atan2",
            BinaryOp::Equal => "==",
            BinaryOp::NotEqual => "!=",
            BinaryOp::Less => "<",
            BinaryOp::LessOrEqual => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterOrEqual => ">=",
            BinaryOp::TrimUpper => "</",
            BinaryOp::TrimLower => ">/",
            BinaryOp::And => "and",
            BinaryOp::Or => "or",
            BinaryOp::Unless => "unless",
        }
    }

    pub(super) fn named(name: &str) -> Option<BinaryOp> {
        BinaryOp::ALL.iter().copied().find(|op| op.as_str() == name)
    }

    pub const fn is_comparison(self) -> bool {
        use BinaryOp::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        matches!(self, Equal | NotEqual | Less | LessOrEqual | Greater | GreaterOrEqual)
    }

    pub const fn is_set(self) -> bool {
        matches!(self, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless)
    }
}

/// How series of two vectors find each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Matching {
    /// `on` (true) or `ignoring` these labels; nothing written is `ignoring` none.
    pub on: bool,
    pub labels: Vec<Arc<str>>,
    pub group: Group,
    pub fill_left: Option<f64>,
    pub fill_right: Option<f64>,
}

/// `group_left` and `group_right`, with the labels taken over from the "one" side.
#[derive(Clone, Debug, PartialEq)]
pub enum Group {
    None,
    Left(Vec<Arc<str>>),
    Right(Vec<Arc<str>>),
}

impl Expr {
    pub fn value_type(&self) -> ValueType {
        match self {
            Expr::Number { .. } => ValueType::Scalar,
            Expr::Str(_) => ValueType::String,
            Expr::Selector(_) | Expr::Aggregate(_) => ValueType::Vector,
            Expr::Range { .. } | Expr::Subquery(_) => ValueType::RangeVector,
            Expr::Call { function, .. } => function.returns,
            Expr::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
            Expr::Unary { expr, .. } | Expr::Paren(expr) => expr.value_type(),
        }
    }
}
