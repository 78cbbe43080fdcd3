//! Rule files: text to checked groups.
//!
//! Decides what is a valid rule file, and which rules of a group read what others of it make. Reads no file itself
//! (`config::load` does) and evaluates nothing. Source: Prometheus `model/rulefmt`.

pub mod model;

pub use model::{AlertingRule, Group, RecordingRule, Rule, RuleKind};
