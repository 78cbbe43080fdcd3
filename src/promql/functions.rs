//! The functions of PromQL: one row each.

use super::tree::ValueType;
use ValueType::{RangeVector as R, Scalar as S, String as T, Vector as V};

/// What a function takes and gives.
///
/// Source: Prometheus `promql/parser/functions.go`.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: &'static str,
    /// Types of the arguments; the last stands for all that follow where more are allowed.
    pub args: &'static [ValueType],
    /// Whether fewer or more arguments than `args` are allowed.
    pub optional: Optional,
    pub returns: ValueType,
    /// Refused unless experimental functions are switched on.
    pub experimental: bool,
}

/// Arguments that may be left out or repeated, counted from the last one of `Function::args`, which they include.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Optional {
    None,
    UpTo(usize),
    Any,
}

impl Function {
    pub(super) fn named(name: &str) -> Option<&'static Function> {
        FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok().map(|index| &FUNCTIONS[index])
    }

    /// The type that the argument of this index must have.
    pub(super) fn arg(&self, index: usize) -> Option<ValueType> {
        self.args.get(index).or(self.args.last()).copied()
    }
}

const fn stable(name: &'static str, args: &'static [ValueType], optional: Optional, returns: ValueType) -> Function {
    Function { name, args, optional, returns, experimental: false }
}

const fn experimental(
    name: &'static str,
    args: &'static [ValueType],
    optional: Optional,
    returns: ValueType,
) -> Function {
    Function { name, args, optional, returns, experimental: true }
}

/// By name.
#[rustfmt::skip]
pub const FUNCTIONS: &[Function] = &[
    stable("abs", &[V], Optional::None, V),
    stable("absent", &[V], Optional::None, V),
    stable("absent_over_time", &[R], Optional::None, V),
    stable("acos", &[V], Optional::None, V),
    stable("acosh", &[V], Optional::None, V),
    stable("asin", &[V], Optional::None, V),
    stable("asinh", &[V], Optional::None, V),
    stable("atan", &[V], Optional::None, V),
    stable("atanh", &[V], Optional::None, V),
    stable("avg_over_time", &[R], Optional::None, V),
    stable("ceil", &[V], Optional::None, V),
    stable("changes", &[R], Optional::None, V),
    stable("clamp", &[V, S, S], Optional::None, V),
    stable("clamp_max", &[V, S], Optional::None, V),
    stable("clamp_min", &[V, S], Optional::None, V),
    stable("cos", &[V], Optional::None, V),
    stable("cosh", &[V], Optional::None, V),
    stable("count_over_time", &[R], Optional::None, V),
    stable("day_of_month", &[V], Optional::UpTo(1), V),
    stable("day_of_week", &[V], Optional::UpTo(1), V),
    stable("day_of_year", &[V], Optional::UpTo(1), V),
    stable("days_in_month", &[V], Optional::UpTo(1), V),
    stable("deg", &[V], Optional::None, V),
    stable("delta", &[R], Optional::None, V),
    stable("deriv", &[R], Optional::None, V),
    experimental("double_exponential_smoothing", &[R, S, S], Optional::None, V),
    experimental("end", &[], Optional::None, S),
    stable("exp", &[V], Optional::None, V),
    stable("first_over_time", &[R], Optional::None, V),
    stable("floor", &[V], Optional::None, V),
    stable("histogram_avg", &[V], Optional::None, V),
    stable("histogram_count", &[V], Optional::None, V),
    stable("histogram_fraction", &[S, S, V], Optional::None, V),
    stable("histogram_quantile", &[S, V], Optional::None, V),
    experimental("histogram_quantiles", &[V, T, S, S], Optional::UpTo(9), V),
    stable("histogram_stddev", &[V], Optional::None, V),
    stable("histogram_stdvar", &[V], Optional::None, V),
    stable("histogram_sum", &[V], Optional::None, V),
    stable("hour", &[V], Optional::UpTo(1), V),
    stable("idelta", &[R], Optional::None, V),
    stable("increase", &[R], Optional::None, V),
    experimental("info", &[V, V], Optional::UpTo(1), V),
    experimental("integral", &[R, S], Optional::UpTo(1), V),
    stable("irate", &[R], Optional::None, V),
    stable("label_join", &[V, T, T, T], Optional::Any, V),
    stable("label_replace", &[V, T, T, T, T], Optional::None, V),
    stable("last_over_time", &[R], Optional::None, V),
    stable("ln", &[V], Optional::None, V),
    stable("log10", &[V], Optional::None, V),
    stable("log2", &[V], Optional::None, V),
    experimental("mad_over_time", &[R], Optional::None, V),
    experimental("max_of", &[S, S], Optional::None, S),
    stable("max_over_time", &[R], Optional::None, V),
    experimental("min_of", &[S, S], Optional::None, S),
    stable("min_over_time", &[R], Optional::None, V),
    stable("minute", &[V], Optional::UpTo(1), V),
    stable("month", &[V], Optional::UpTo(1), V),
    stable("pi", &[], Optional::None, S),
    stable("predict_linear", &[R, S], Optional::None, V),
    stable("present_over_time", &[R], Optional::None, V),
    stable("quantile_over_time", &[S, R], Optional::None, V),
    stable("rad", &[V], Optional::None, V),
    experimental("range", &[], Optional::None, S),
    stable("rate", &[R], Optional::None, V),
    stable("resets", &[R], Optional::None, V),
    stable("round", &[V, S], Optional::UpTo(1), V),
    stable("scalar", &[V], Optional::None, S),
    stable("sgn", &[V], Optional::None, V),
    stable("sin", &[V], Optional::None, V),
    stable("sinh", &[V], Optional::None, V),
    stable("sort", &[V], Optional::None, V),
    experimental("sort_by_label", &[V, T], Optional::Any, V),
    experimental("sort_by_label_desc", &[V, T], Optional::Any, V),
    stable("sort_desc", &[V], Optional::None, V),
    stable("sqrt", &[V], Optional::None, V),
    experimental("start", &[], Optional::None, S),
    experimental("start_timestamp", &[V], Optional::None, V),
    stable("stddev_over_time", &[R], Optional::None, V),
    stable("stdvar_over_time", &[R], Optional::None, V),
    experimental("step", &[], Optional::None, S),
    stable("sum_over_time", &[R], Optional::None, V),
    stable("tan", &[V], Optional::None, V),
    stable("tanh", &[V], Optional::None, V),
    stable("time", &[], Optional::None, S),
    stable("timestamp", &[V], Optional::None, V),
    experimental("ts_of_first_over_time", &[R], Optional::None, V),
    experimental("ts_of_last_over_time", &[R], Optional::None, V),
    experimental("ts_of_max_over_time", &[R], Optional::None, V),
    experimental("ts_of_min_over_time", &[R], Optional::None, V),
    stable("vector", &[S], Optional::None, V),
    stable("year", &[V], Optional::UpTo(1), V),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
        assert!(Function::named("rate").is_some());
        assert!(Function::named("Rate").is_none());
    }
}
