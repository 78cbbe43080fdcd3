//! The shape of a rule file: nodes to raw groups and rules with spans.

use std::sync::Arc;

use super::fields::{self, Field, Level, Verdict};
use super::{Compat, Options, object};
use crate::diagnostic::{Finding, SourceText, Span, nearest};
use crate::yaml::{Document, Entry, NodeId, Scalar, View};

/// A value that may be missing, or be there and of the wrong type, which is reported already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Slot<'d> {
    #[default]
    Absent,
    Broken,
    Text(Scalar<'d>),
}

#[derive(Default)]
pub(super) struct RawGroup<'d> {
    /// Of the first key.
    pub(super) span: Span,
    pub(super) name: Slot<'d>,
    pub(super) interval: Slot<'d>,
    pub(super) query_offset: Slot<'d>,
    pub(super) limit: Slot<'d>,
    pub(super) labels: Vec<Pair<'d>>,
    pub(super) rules: Vec<RawRule<'d>>,
    /// Something in it could not be read, so that it must not be used.
    pub(super) broken: bool,
}

#[derive(Default)]
pub(super) struct RawRule<'d> {
    pub(super) span: Span,
    pub(super) record: Slot<'d>,
    pub(super) alert: Slot<'d>,
    pub(super) expr: Slot<'d>,
    pub(super) hold_duration: Slot<'d>,
    pub(super) keep_firing_for: Slot<'d>,
    pub(super) labels: Vec<Pair<'d>>,
    pub(super) annotations: Vec<Pair<'d>>,
    /// Of the key `annotations`.
    pub(super) annotations_span: Span,
}

/// A label or annotation as written; a null value is an empty one, at its key's place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'d> {
    pub(super) name: Scalar<'d>,
    pub(super) value: Option<Scalar<'d>>,
}

impl<'d> Pair<'d> {
    pub(super) fn text(&self) -> &'d str {
        self.value.map_or("", |value| value.text)
    }

    pub(super) fn span(&self) -> Span {
        self.value.map_or(self.name.span, |value| value.span)
    }
}

impl<'d> Slot<'d> {
    pub(super) fn text(self) -> &'d str {
        match self {
            Slot::Text(scalar) => scalar.text,
            Slot::Absent | Slot::Broken => "",
        }
    }

    /// Where it stands; `otherwise` if it does not.
    pub(super) fn span_or(self, otherwise: Span) -> Span {
        match self {
            Slot::Text(scalar) => scalar.span,
            Slot::Absent | Slot::Broken => otherwise,
        }
    }
}

/// Reads the groups of one document.
pub(super) fn read<'d>(
    document: &'d Document<'_>,
    source: &'d Arc<SourceText>,
    options: &'d Options,
    groups: &mut Vec<RawGroup<'d>>,
    findings: &mut Vec<Finding>,
) {
    let mut reader = Reader { document, source, options, findings, broken: false };
    let Some(root) = document.root else { return };
    if options.compat == Compat::Native {
        match object::kind_of(&mut reader, root) {
            object::Kind::RuleFile => {}
            object::Kind::Objects(specs) => {
                for spec in specs {
                    reader.file(spec, groups);
                }
                return;
            }
        }
    }
    reader.file(root, groups);
}

/// Walks one document.
pub(super) struct Reader<'d, 'f> {
    pub(super) document: &'d Document<'d>,
    pub(super) source: &'d Arc<SourceText>,
    options: &'d Options,
    findings: &'f mut Vec<Finding>,
    /// An error was found since it was last set to false.
    broken: bool,
}

/// The group and rule that a message is about.
#[derive(Clone, Copy)]
pub(super) struct Context<'d> {
    pub(super) group: &'d str,
    /// Number from 1, and name.
    pub(super) rule: Option<(usize, &'d str)>,
}

impl Context<'_> {
    pub(super) fn say(&self, message: &str) -> String {
        match self.rule {
            Some((number, name)) => format!("group {:?}, rule {number}, {name:?}: {message}", self.group),
            None if self.group.is_empty() => message.to_owned(),
            None => format!("group {:?}: {message}", self.group),
        }
    }
}

const NOWHERE: Context<'_> = Context { group: "", rule: None };

impl<'d> Reader<'d, '_> {
    pub(super) fn push(&mut self, finding: Finding) {
        self.broken |= finding.is_error();
        self.findings.push(finding);
    }

    pub(super) fn entries(&mut self, id: NodeId) -> Vec<Entry> {
        let before = self.findings.len();
        let entries = self.document.entries(id, self.source, self.findings);
        self.broken |= self.findings.len() > before;
        entries
    }

    /// The value of a mapping's text key; for looking ahead, nothing is reported.
    pub(super) fn peek(&self, entries: &[Entry], name: &str) -> Option<NodeId> {
        entries.iter().find(|entry| self.text(entry.key) == Some(name)).map(|entry| entry.value)
    }

    pub(super) fn text(&self, id: NodeId) -> Option<&'d str> {
        match self.document.view(id) {
            View::Scalar(scalar) => Some(scalar.text),
            _ => None,
        }
    }

    fn wrong_type(&mut self, context: Context<'_>, id: NodeId, wanted: &str) {
        if matches!(self.document.view(id), View::Broken) {
            self.broken = true;
            return;
        }
        let message = format!("cannot unmarshal {} into {wanted}", self.document.type_name(id));
        let finding = Finding::error(context.say(&message)).at(self.source, self.document.span(id));
        self.push(finding);
    }

    /// A file, or what is one within an object: a mapping with `groups`.
    fn file(&mut self, root: NodeId, groups: &mut Vec<RawGroup<'d>>) {
        match self.document.view(root) {
            View::Null => return,
            View::Mapping => {}
            _ => return self.wrong_type(NOWHERE, root, Level::File.type_name()),
        }
        for entry in self.entries(root) {
            match self.field(NOWHERE, Level::File, entry) {
                Some("groups") => {
                    for group in self.list(NOWHERE, entry.value, "[]rulefmt.RuleGroup") {
                        match self.document.view(group) {
                            View::Null => {}
                            View::Mapping => {
                                let group = self.group(group);
                                groups.push(group);
                            }
                            _ => self.wrong_type(NOWHERE, group, Level::Group.type_name()),
                        }
                    }
                }
                _ => continue,
            }
        }
    }

    fn group(&mut self, id: NodeId) -> RawGroup<'d> {
        let before = std::mem::take(&mut self.broken);
        let entries = self.entries(id);
        let mut group = RawGroup { span: self.first_key(&entries, id), ..RawGroup::default() };
        let name = self.peek(&entries, "name").and_then(|name| self.text(name)).unwrap_or_default();
        let context = Context { group: name, rule: None };
        for entry in entries {
            match self.field(context, Level::Group, entry) {
                Some("name") => group.name = self.scalar(context, entry.value, "string"),
                Some("interval") => group.interval = self.scalar(context, entry.value, "string"),
                Some("query_offset") => {
                    let offset = self.scalar(context, entry.value, "string");
                    if let (Slot::Text(first), Slot::Text(second)) = (group.query_offset, offset) {
                        let message = context.say("the query offset is given twice, under two names");
                        let finding = Finding::error(message).at(self.source, first.span.max(second.span));
                        self.push(finding);
                    }
                    group.query_offset = offset;
                }
                Some("limit") => group.limit = self.scalar(context, entry.value, "int"),
                Some("labels") => group.labels = self.pairs(context, entry.value),
                Some("rules") => group.rules.extend(self.rules(name, entry.value)),
                _ => {}
            }
        }
        group.broken = std::mem::replace(&mut self.broken, before);
        self.broken |= group.broken;
        group
    }

    fn rules(&mut self, group: &'d str, id: NodeId) -> Vec<RawRule<'d>> {
        let mut rules = Vec::new();
        for rule in self.list(Context { group, rule: None }, id, "[]rulefmt.Rule") {
            match self.document.view(rule) {
                View::Null => {}
                View::Mapping => {
                    let rule = self.rule(group, rules.len() + 1, rule);
                    rules.push(rule);
                }
                _ => self.wrong_type(Context { group, rule: None }, rule, Level::Rule.type_name()),
            }
        }
        rules
    }

    fn rule(&mut self, group: &'d str, number: usize, id: NodeId) -> RawRule<'d> {
        let entries = self.entries(id);
        let mut rule = RawRule { span: self.first_key(&entries, id), ..RawRule::default() };
        let named = self.peek(&entries, "alert").or_else(|| self.peek(&entries, "record"));
        let name = named.and_then(|name| self.text(name)).unwrap_or_default();
        let context = Context { group, rule: Some((number, name)) };
        for entry in entries {
            match self.field(context, Level::Rule, entry) {
                Some("record") => rule.record = self.scalar(context, entry.value, "string"),
                Some("alert") => rule.alert = self.scalar(context, entry.value, "string"),
                Some("expr") => rule.expr = self.scalar(context, entry.value, "string"),
                Some("for") => rule.hold_duration = self.scalar(context, entry.value, "string"),
                Some("keep_firing_for") => rule.keep_firing_for = self.scalar(context, entry.value, "string"),
                Some("labels") => rule.labels = self.pairs(context, entry.value),
                Some("annotations") => {
                    rule.annotations = self.pairs(context, entry.value);
                    rule.annotations_span = self.document.span(entry.key);
                }
                _ => {}
            }
        }
        rule
    }

    fn first_key(&self, entries: &[Entry], id: NodeId) -> Span {
        // Merged entries come last, but with nothing else there their place is where the bytes are.
        entries.first().map_or_else(|| self.document.span(id), |entry| self.document.span(entry.key))
    }

    /// The name of Prometheus' field that an entry sets; everything else is reported here.
    fn field(&mut self, context: Context<'d>, level: Level, entry: Entry) -> Option<&'static str> {
        let View::Scalar(key) = self.document.view(entry.key) else {
            if !matches!(self.document.view(entry.key), View::Null) {
                self.wrong_type(context, entry.key, "string");
            }
            return None;
        };
        let Some(row) = fields::find(level, key.text, self.options.compat) else {
            if !self.options.ignore_unknown_fields {
                let finding = self.unknown_field(context, level, key);
                self.push(finding);
            }
            return None;
        };
        match row.verdict {
            Verdict::Read => return Some(row.name),
            Verdict::Means(name) => return Some(name),
            Verdict::Only(value) => self.only(context, row, value, entry),
            Verdict::PassedOver => {
                let message = format!("field `{}` of {} is passed over: {}", row.name, row.origin, row.reason);
                self.push(Finding::info(context.say(&message)).at(self.source, key.span));
            }
            Verdict::Refused => {
                let message = format!("field `{}` of {} is not supported: {}", row.name, row.origin, row.reason);
                self.push(Finding::error(context.say(&message)).at(self.source, key.span));
            }
        }
        None
    }

    fn only(&mut self, context: Context<'d>, row: &Field, value: &str, entry: Entry) {
        let found = match self.document.view(entry.value) {
            View::Scalar(scalar) => scalar.text,
            // Not set at all, as in a template's empty value.
            View::Null => return,
            _ => "",
        };
        // Thanos reads the strategy in any case, and the others' values are words of YAML.
        if !found.eq_ignore_ascii_case(value) {
            let message = format!("field `{}` of {} can only be `{value}`: {}", row.name, row.origin, row.reason);
            let span = self.document.span(entry.value);
            self.push(Finding::error(context.say(&message)).at(self.source, span));
        }
    }

    fn unknown_field(&self, context: Context<'_>, level: Level, key: Scalar<'_>) -> Finding {
        let message = format!("field {} not found in type {}", key.text, level.type_name());
        let finding = Finding::error(context.say(&message)).at(self.source, key.span);
        let names = fields::names(level);
        let elsewhere = [Level::File, Level::Group, Level::Rule]
            .into_iter()
            .find(|other| *other != level && fields::find(*other, key.text, self.options.compat).is_some());
        match (nearest(key.text, &names), elsewhere) {
            (Some(name), _) => finding.help(format!("did you mean `{name}`?")),
            (None, Some(other)) => {
                finding.help(format!("it belongs to a {}, not to a {}", other.as_str(), level.as_str()))
            }
            (None, None) => finding.help(format!("a {} has the fields {}", level.as_str(), names.join(", "))),
        }
    }

    pub(super) fn list(&mut self, context: Context<'_>, id: NodeId, wanted: &str) -> Vec<NodeId> {
        match self.document.view(id) {
            View::Null => Vec::new(),
            View::Sequence(children) => {
                let may = self.document.may_visit(children.len(), self.source, self.findings);
                self.broken |= !may;
                if may { children.to_vec() } else { Vec::new() }
            }
            _ => {
                self.wrong_type(context, id, wanted);
                Vec::new()
            }
        }
    }

    fn scalar(&mut self, context: Context<'_>, id: NodeId, wanted: &str) -> Slot<'d> {
        match self.document.view(id) {
            View::Null => Slot::Absent,
            View::Scalar(scalar) => Slot::Text(scalar),
            _ => {
                self.wrong_type(context, id, wanted);
                Slot::Broken
            }
        }
    }

    fn pairs(&mut self, context: Context<'_>, id: NodeId) -> Vec<Pair<'d>> {
        match self.document.view(id) {
            View::Null => return Vec::new(),
            View::Mapping => {}
            _ => {
                self.wrong_type(context, id, "map[string]string");
                return Vec::new();
            }
        }
        let mut pairs = Vec::new();
        for entry in self.entries(id) {
            let name = match self.document.view(entry.key) {
                View::Scalar(name) => name,
                View::Null => {
                    // Go's decoder drops it without a word.
                    let message = context.say("an entry without a name is passed over");
                    self.push(Finding::warning(message).at(self.source, self.document.span(entry.key)));
                    continue;
                }
                _ => {
                    self.wrong_type(context, entry.key, "string");
                    continue;
                }
            };
            match self.document.view(entry.value) {
                View::Scalar(value) => pairs.push(Pair { name, value: Some(value) }),
                View::Null => pairs.push(Pair { name, value: None }),
                _ => self.wrong_type(context, entry.value, "string"),
            }
        }
        pairs
    }
}
