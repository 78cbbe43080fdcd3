//! Every field of a rule file that somebody knows, ours or not, and what becomes of it: one table.

use super::Compat;

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    File,
    Group,
    Rule,
}

/// What becomes of a field that Prometheus does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Part of Prometheus' format.
    Read,
    /// Honoured: the same as the named field of Prometheus.
    Means(&'static str),
    /// Taken with this value, which says what we do anyway; refused with any other.
    Only(&'static str),
    /// Taken and passed over with an info: it changes nothing in what is evaluated and sent.
    PassedOver,
    /// Refused: to ignore it would change what the rule means.
    Refused,
}

/// A field with its verdict.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub level: Level,
    pub name: &'static str,
    pub verdict: Verdict,
    /// Whose field it is.
    pub origin: &'static str,
    /// Why; shown to people.
    pub reason: &'static str,
}

const fn read(level: Level, name: &'static str) -> Field {
    Field { level, name, verdict: Verdict::Read, origin: "Prometheus", reason: "part of the format" }
}

const fn foreign(name: &'static str, verdict: Verdict, origin: &'static str, reason: &'static str) -> Field {
    Field { level: Level::Group, name, verdict, origin, reason }
}

const fn of_rule(name: &'static str, verdict: Verdict, origin: &'static str, reason: &'static str) -> Field {
    Field { level: Level::Rule, name, verdict, origin, reason }
}

pub const FIELDS: &[Field] = &[
    read(Level::File, "groups"),
    Field {
        level: Level::File,
        name: "namespace",
        verdict: Verdict::PassedOver,
        origin: "Mimir, Cortex",
        reason: "it names the file in their storage",
    },
    read(Level::Group, "name"),
    read(Level::Group, "interval"),
    read(Level::Group, "query_offset"),
    read(Level::Group, "limit"),
    read(Level::Group, "labels"),
    read(Level::Group, "rules"),
    foreign(
        "partial_response_strategy",
        Verdict::Only("abort"),
        "Thanos",
        "a partial answer is no answer here, which is what `abort` says; `warn` would resolve alerts whose data is missing",
    ),
    foreign("eval_delay", Verdict::Means("query_offset"), "vmalert", "the same as `query_offset`"),
    foreign("evaluation_delay", Verdict::Means("query_offset"), "Mimir, Cortex", "the older name of `query_offset`"),
    foreign(
        "eval_offset",
        Verdict::Refused,
        "vmalert",
        "groups are spread over the interval by a hash of their name, and cannot be bound to a time within it",
    ),
    foreign(
        "eval_alignment",
        Verdict::Only("true"),
        "vmalert",
        "evaluation timestamps always lie on the group's slots, one interval apart",
    ),
    foreign(
        "align_evaluation_time_on_interval",
        Verdict::Only("false"),
        "Mimir, Cortex",
        "slots lie one interval apart, but are not whole multiples of it",
    ),
    foreign(
        "concurrency",
        Verdict::PassedOver,
        "vmalert",
        "rules that do not depend on each other run concurrently anyway",
    ),
    foreign(
        "type",
        Verdict::Only("prometheus"),
        "vmalert",
        "expressions are PromQL; Graphite and LogsQL rules cannot be evaluated here",
    ),
    foreign("debug", Verdict::PassedOver, "vmalert", "it only asks for more log lines"),
    foreign("params", Verdict::Refused, "vmalert", "query parameters belong to a source in the configuration"),
    foreign("headers", Verdict::Refused, "vmalert", "request headers belong to a source in the configuration"),
    foreign(
        "notifier_headers",
        Verdict::Refused,
        "vmalert",
        "request headers belong to an Alertmanager in the configuration",
    ),
    foreign("tenant", Verdict::Refused, "vmalert", "the tenant belongs to a source in the configuration"),
    foreign(
        "source_tenants",
        Verdict::Refused,
        "Mimir",
        "which data a rule reads is said by a source in the configuration",
    ),
    foreign(
        "remote_write",
        Verdict::Refused,
        "Loki, Mimir",
        "where results go is said by `remote_write` in the configuration",
    ),
    read(Level::Rule, "record"),
    read(Level::Rule, "alert"),
    read(Level::Rule, "expr"),
    read(Level::Rule, "for"),
    read(Level::Rule, "keep_firing_for"),
    read(Level::Rule, "labels"),
    read(Level::Rule, "annotations"),
    of_rule("debug", Verdict::PassedOver, "vmalert", "it only asks for more log lines"),
    of_rule("update_entries_limit", Verdict::PassedOver, "vmalert", "it only sizes a page of vmalert's"),
];

/// The row of a field; none if nobody knows it, or if promtool would not.
pub(super) fn find(level: Level, name: &str, compat: Compat) -> Option<&'static Field> {
    let row = FIELDS.iter().find(|field| field.level == level && field.name == name)?;
    (row.verdict == Verdict::Read || compat == Compat::Native).then_some(row)
}

/// The names that belong to the format.
pub(super) fn names(level: Level) -> Vec<&'static str> {
    let rows = FIELDS.iter().filter(|field| field.level == level && field.verdict == Verdict::Read);
    rows.map(|field| field.name).collect()
}

impl Level {
    /// The type that Prometheus' messages name.
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Level::File => "rulefmt.RuleGroups",
            Level::Group => "rulefmt.RuleGroup",
            Level::Rule => "rulefmt.Rule",
        }
    }

    /// The word for it in docs and help.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::File => "file",
            Level::Group => "group",
            Level::Rule => "rule",
        }
    }
}
