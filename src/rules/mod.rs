//! Rule files: text to checked groups.
//!
//! Decides what is a valid rule file, and which rules of a group read what others of it make. Reads no file itself
//! (`config::load` does) and evaluates nothing. Source: Prometheus `model/rulefmt`.

pub mod model;

pub use model::{AlertingRule, Group, RecordingRule, Rule, RuleKind};

/// Placeholder.
#[derive(Clone, Debug, Default)]
pub struct Dependencies(pub Vec<Vec<usize>>);
impl Dependencies {
    pub fn of(_rules: &[Rule]) -> Dependencies {
        Dependencies::default()
    }
    pub fn reads(&self, rule: usize) -> &[usize] {
        self.0.get(rule).map_or(&[], |r| r)
    }
    pub fn batchable(&self) -> bool {
        self.0.iter().all(Vec::is_empty)
    }
}
