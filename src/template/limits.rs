//! What a template may cost. Text that people write must not be able to take the evaluator down.

/// Levels of parentheses and blocks in each other. People stop at five; generated text at twenty. It bounds every
/// recursion over a parsed template, its destruction included.
pub(super) const NESTING_DEPTH_MAX: usize = 100;

/// Levels of blocks, parentheses and template calls in each other while a template runs: a recursion that ends by
/// itself walks the elements of one query result, not more, and a thread's stack of 2 MiB is never reached.
pub(super) const RUN_DEPTH_MAX: usize = 300;

/// Turns of all `range` loops of one expansion together. More is a text nobody can read.
pub(super) const ITERATIONS_MAX: usize = 100_000;

/// Bytes of one expanded text. Alertmanager's receivers take a few KiB.
pub(super) const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// Bytes that functions may make for one expansion, all intermediate texts together.
pub(super) const WORK_BYTES_MAX: usize = 16 << 20;

/// Values of `args` inside values of `args`.
pub(super) const ARGS_DEPTH_MAX: usize = 32;

/// Go refuses widths and precisions above this; so do we.
pub(super) const PRINTF_NUMBER_MAX: i64 = 1_000_000;
