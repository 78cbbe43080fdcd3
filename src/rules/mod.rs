//! Rule files: text to checked groups.
//!
//! Decides what is a valid rule file, and which rules of a group read what others of it make. Reads no file itself
//! (`config::load` does) and evaluates nothing. Source: Prometheus `model/rulefmt`.
//!
//! Two stages: `file` reads the shape (YAML with spans, every field known, every value of its type), `validate` the
//! meaning. Both report all faults they can see, each with the place of the guilty bytes.

mod canonical;
mod dependencies;
mod fields;
mod file;
pub mod model;
mod object;
mod validate;

use std::sync::Arc;

pub use dependencies::Dependencies;
pub use fields::{FIELDS, Field, Level, Verdict};
pub use model::{AlertingRule, Group, RecordingRule, Rule, RuleKind};

use crate::diagnostic::{Finding, SourceText, Span};
use crate::model::ValidationScheme;
use crate::promql::Features;
use crate::yaml::{self, Reading, Scope};

/// Whose verdict on a file counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compat {
    /// Ours: besides the format itself, later documents, objects of the Prometheus operator, and the fields of others
    /// that `FIELDS` lists.
    #[default]
    Native,
    /// Promtool's (3.5): the first document only, and no field that Prometheus does not know.
    Promtool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub compat: Compat,
    pub validation: ValidationScheme,
    /// Syntax of expressions that Prometheus takes only when it is told to.
    pub features: Features,
    /// Unknown fields are passed over (promtool's `--ignore-unknown-fields`).
    pub ignore_unknown_fields: bool,
}

/// Most findings of one file; nobody reads more of them.
const FINDINGS_MAX: usize = 1000;

/// Reads a rule file: the groups without faults, and all that is wrong or worth knowing, in the order of the text.
///
/// A file with an error among its findings must not be used in part: its groups are there to be shown, not to run.
pub fn parse(source: &Arc<SourceText>, options: &Options) -> (Vec<Group>, Vec<Finding>) {
    let scope = Scope { first_only: options.compat == Compat::Promtool, secret: false };
    let Reading { documents, mut findings, .. } = yaml::read(source, scope);
    let mut raw_groups = Vec::new();
    for document in &documents {
        file::read(document, source, options, &mut raw_groups, &mut findings);
    }
    let groups = validate::groups(raw_groups, source, options, &mut findings);
    (groups, in_order(source, findings))
}

/// By place, each fault once: what stands behind an alias is met at every use.
fn in_order(source: &Arc<SourceText>, mut findings: Vec<Finding>) -> Vec<Finding> {
    let at = |finding: &Finding| finding.place.as_ref().map_or(Span::default(), |place| place.span);
    findings.sort_by(|left, right| at(left).cmp(&at(right)).then_with(|| left.message.cmp(&right.message)));
    findings.dedup_by(|left, right| at(left) == at(right) && left.message == right.message);
    if findings.len() > FINDINGS_MAX {
        // Errors first: a cut must not turn a bad file into a good one.
        findings.sort_by_key(|finding| finding.severity);
        let left_out = findings.len() - FINDINGS_MAX;
        findings.truncate(FINDINGS_MAX);
        findings.sort_by_key(at);
        let end = Span::new(source.text.len(), source.text.len());
        findings.push(Finding::info(format!("{left_out} more findings are not shown")).at(source, end));
    }
    findings
}

#[cfg(test)]
mod tests;
