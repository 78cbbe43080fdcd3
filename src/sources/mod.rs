//! Where answers come from.

mod answer;
mod stamp;

pub use answer::{AnswerError, AnswerParser};
