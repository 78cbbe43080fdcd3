//! From the tree to checked values: one accessor per kind of value, every fault noted, every secret remembered.
//!
//! Findings quote the text they point at, so the bytes of secrets are masked in the copy that findings carry.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::Secret;
use super::address::{quoted, user_info_ranges};
use crate::diagnostic::{Finding, SourceText, Span, nearest};
use crate::model::ValidationScheme;
use crate::model::{Labels, parse_duration};
use crate::yaml::tree::{Entry, Node, Value};

/// The fields a section may have, by what becomes of them.
#[derive(Debug)]
pub(super) struct Shape {
    /// Read and checked.
    pub(super) read: &'static [&'static str],
    /// Known and harmless, but nothing here uses them: taken with an info.
    pub(super) unused: &'static [&'static str],
    /// Only for scraping, storage and tracing: passed over, named in one info for the whole file.
    pub(super) passed: &'static [&'static str],
    /// Known, but leaving them out would be wrong: refused by name.
    pub(super) refused: &'static [&'static str],
}

impl Shape {
    pub(super) const NONE: Shape = Shape { read: &[], unused: &[], passed: &[], refused: &[] };

    const fn lists(&self) -> [&'static [&'static str]; 4] {
        [self.read, self.unused, self.passed, self.refused]
    }
}

/// The entries of one mapping, whose names have been checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'n> {
    entries: &'n [Entry],
    /// Where the section is named: what is missing in it is told there.
    pub(super) at: Span,
}

impl<'n> Fields<'n> {
    /// The entry of that name; none if it is absent or null, which mean the same.
    pub(super) fn get(&self, name: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == name && !entry.value.is_null())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether the field is absent, or an empty text.
    pub(super) fn is_blank(&self, name: &str) -> bool {
        let is_empty = |entry: &Entry| matches!(&entry.value.value, Value::Scalar { text, .. } if text.is_empty());
        self.get(name).is_none_or(is_empty)
    }

    /// Where the field is named; the section, if it is absent.
    pub(super) fn key(&self, name: &str) -> Span {
        self.get(name).map_or(self.at, |entry| entry.key_span)
    }

    /// Where the value is; the section, if it is absent.
    pub(super) fn value(&self, name: &str) -> Span {
        self.get(name).map_or(self.at, |entry| entry.value.span)
    }
}

/// What a reading found out besides its values.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    source: &'a Arc<SourceText>,
    pub(super) directory: &'a Path,
    pub(super) scheme: ValidationScheme,
    findings: Vec<(Finding, Span)>,
    secrets: Vec<Span>,
    /// Files that the configuration names, as they will be opened, and where it names them.
    pub(super) files: Vec<(PathBuf, Span)>,
    passed: Vec<(String, Span)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a Arc<SourceText>, directory: &'a Path) -> Reader<'a> {
        Reader {
            source,
            directory,
            scheme: ValidationScheme::default(),
            findings: Vec::new(),
            secrets: Vec::new(),
            files: Vec::new(),
            passed: Vec::new(),
        }
    }

    pub(super) fn error(&mut self, message: impl Into<String>, at: Span) {
        self.findings.push((Finding::error(message), at));
    }

    pub(super) fn error_help(&mut self, message: impl Into<String>, help: impl Into<String>, at: Span) {
        self.findings.push((Finding::error(message).help(help), at));
    }

    /// A finding that has its place already.
    pub(super) fn add(&mut self, finding: Finding) {
        let at = finding.place.as_ref().map_or(Span::default(), |place| place.span);
        self.findings.push((finding, at));
    }

    pub(super) fn warning(&mut self, message: impl Into<String>, at: Span) {
        self.findings.push((Finding::warning(message), at));
    }

    pub(super) fn info(&mut self, message: impl Into<String>, at: Span) {
        self.findings.push((Finding::info(message), at));
    }

    pub(super) fn error_count(&self) -> usize {
        self.findings.iter().filter(|(finding, _)| finding.is_error()).count()
    }

    /// Never show these bytes.
    pub(super) fn hide(&mut self, span: Span) {
        self.secrets.push(span);
    }

    /// All findings in the order of the text, and the text they quote, where every secret is masked.
    pub(super) fn finish(mut self) -> (Vec<Finding>, Arc<SourceText>) {
        if let Some((_, first)) = self.passed.first() {
            let names: Vec<&str> = self.passed.iter().map(|(name, _)| name.as_str()).collect();
            let message = format!("passed over, since a ruler does not need it: {}", names.join(", "));
            self.findings.push((Finding::info(message), *first));
        }
        self.findings.sort_by_key(|(finding, span)| (span.start, finding.severity));
        // A field that is looked at twice is wrong once.
        let mut told = HashSet::new();
        self.findings.retain(|(finding, span)| told.insert((finding.message.clone(), *span)));
        let shown = masked(self.source, &self.secrets);
        let findings = self.findings.into_iter().map(|(finding, span)| finding.at(&shown, span)).collect();
        (findings, shown)
    }

    /// The fields of a mapping; every name that no shape knows is an error.
    pub(super) fn section<'n>(&mut self, title: &str, node: &'n Node, at: Span, shapes: &[&Shape]) -> Fields<'n> {
        let entries: &[Entry] = match &node.value {
            Value::Mapping(entries) => entries,
            Value::Null => &[],
            Value::Scalar { .. } | Value::Sequence(_) => {
                // Whatever stands here instead may be the secret itself.
                self.hide(node.span);
                self.error(format!("{title} must be a mapping, not {}", node.kind()), at);
                &[]
            }
        };
        for entry in entries {
            self.judge_name(title, entry, shapes);
        }
        Fields { entries, at }
    }

    fn judge_name(&mut self, title: &str, entry: &Entry, shapes: &[&Shape]) {
        let name = entry.key.as_str();
        let listed =
            |list: fn(&Shape) -> &'static [&'static str]| shapes.iter().any(|shape| list(shape).contains(&name));
        if listed(|shape| shape.read) {
            return;
        }
        if listed(|shape| shape.unused) {
            self.info(format!("{name} is taken, but nothing here uses it"), entry.key_span);
        } else if listed(|shape| shape.passed) {
            let path = if title == TOP { name.to_owned() } else { format!("{title}.{name}") };
            self.passed.push((path, entry.key_span));
        } else if listed(|shape| shape.refused) {
            self.hide(entry.value.span);
            self.error(format!("{name} is not offered yet"), entry.key_span);
        } else {
            // A misspelt `password` holds a password too.
            self.hide(entry.value.span);
            let known: Vec<&str> = shapes.iter().flat_map(|shape| shape.lists()).flatten().copied().collect();
            let message = format!("unknown field {name:?} in {title}");
            match nearest(name, &known) {
                Some(near) => self.error_help(message, format!("did you mean {near:?}?"), entry.key_span),
                None => self.error(message, entry.key_span),
            }
        }
    }

    /// The section of that name, if the fields have one.
    pub(super) fn subsection<'n>(&mut self, fields: &Fields<'n>, name: &str, shape: &Shape) -> Option<Fields<'n>> {
        let entry = fields.get(name)?;
        Some(self.section(name, &entry.value, entry.key_span, &[shape]))
    }

    /// A mapping with names of the author's choice.
    pub(super) fn entries<'n>(&mut self, fields: &Fields<'n>, name: &str) -> &'n [Entry] {
        let Some(entry) = fields.get(name) else { return &[] };
        match &entry.value.value {
            Value::Mapping(entries) => entries,
            _ => {
                self.hide(entry.value.span);
                self.error(format!("{name} must be a mapping, not {}", entry.value.kind()), entry.key_span);
                &[]
            }
        }
    }

    pub(super) fn list<'n>(&mut self, fields: &Fields<'n>, name: &str) -> &'n [Rc<Node>] {
        fields.get(name).map_or(&[], |entry| self.items(name, entry))
    }

    pub(super) fn items<'n>(&mut self, name: &str, entry: &'n Entry) -> &'n [Rc<Node>] {
        match &entry.value.value {
            Value::Null => &[],
            Value::Sequence(items) => items,
            _ => {
                self.error(format!("{name} must be a list, not {}", entry.value.kind()), entry.key_span);
                &[]
            }
        }
    }

    /// A list of texts, each with its place.
    pub(super) fn texts(&mut self, fields: &Fields<'_>, name: &str) -> Vec<(String, Span)> {
        let items = self.list(fields, name);
        items.iter().filter_map(|item| Some((self.plain_text(name, item, item.span)?, item.span))).collect()
    }

    /// A list of texts that must not be shown.
    pub(super) fn secrets(&mut self, name: &str, entry: &Entry) -> Vec<Secret> {
        self.hide(entry.value.span);
        let items = self.items(name, entry);
        items.iter().filter_map(|item| self.plain_text(name, item, entry.key_span)).map(Secret::new).collect()
    }

    /// A mapping of texts, each with the place of its name; null is the empty text.
    pub(super) fn text_map(&mut self, fields: &Fields<'_>, name: &str) -> Vec<(String, String, Span)> {
        let entries = self.entries(fields, name);
        entries
            .iter()
            .filter_map(|entry| {
                let text = self.plain_text(&entry.key, &entry.value, entry.key_span)?;
                Some((entry.key.clone(), text, entry.key_span))
            })
            .collect()
    }

    /// The text of a single value; empty for null.
    pub(super) fn plain_text(&mut self, name: &str, node: &Node, at: Span) -> Option<String> {
        match &node.value {
            Value::Null => Some(String::new()),
            Value::Scalar { text, .. } => Some(text.clone()),
            Value::Sequence(_) | Value::Mapping(_) => {
                self.error(format!("{name} must be a text, not {}", node.kind()), at);
                None
            }
        }
    }

    pub(super) fn text(&mut self, fields: &Fields<'_>, name: &str) -> Option<String> {
        let entry = fields.get(name)?;
        self.plain_text(name, &entry.value, entry.key_span)
    }

    /// A text, where the empty one means absent.
    pub(super) fn filled_text(&mut self, fields: &Fields<'_>, name: &str) -> Option<String> {
        self.text(fields, name).filter(|text| !text.is_empty())
    }

    /// A text that must not be shown; the empty one means absent.
    pub(super) fn secret(&mut self, fields: &Fields<'_>, name: &str) -> Option<Secret> {
        let entry = fields.get(name)?;
        self.hide(entry.value.span);
        self.filled_text(fields, name).map(Secret::new)
    }

    /// A file's name, joined to the directory of the configuration; the empty one means absent.
    pub(super) fn file(&mut self, fields: &Fields<'_>, name: &str) -> Option<PathBuf> {
        let path = self.filled_text(fields, name)?;
        Some(self.named_file(&path, fields.value(name)))
    }

    pub(super) fn named_file(&mut self, path: &str, at: Span) -> PathBuf {
        let path = self.directory.join(path);
        self.files.push((path.clone(), at));
        path
    }

    pub(super) fn flag(&mut self, fields: &Fields<'_>, name: &str, default: bool) -> bool {
        let Some(entry) = fields.get(name) else { return default };
        let word = match &entry.value.value {
            Value::Scalar { text, plain: true } => boolean(text),
            _ => None,
        };
        word.unwrap_or_else(|| {
            self.error(format!("{name} must be true or false"), entry.value.span);
            default
        })
    }

    pub(super) fn duration(&mut self, fields: &Fields<'_>, name: &str) -> Option<Duration> {
        let entry = fields.get(name)?;
        let text = self.plain_text(name, &entry.value, entry.key_span)?;
        match parse_duration(&text) {
            Ok(duration) => Some(duration),
            Err(error) => {
                self.error(format!("{name}: {error}"), entry.value.span);
                None
            }
        }
    }

    /// A duration that must not be zero.
    pub(super) fn positive_duration(&mut self, fields: &Fields<'_>, name: &str, default: Duration) -> Duration {
        match self.duration(fields, name) {
            Some(Duration::ZERO) => {
                self.error(format!("{name} must be greater than 0"), fields.value(name));
                default
            }
            Some(duration) => duration,
            None => default,
        }
    }

    pub(super) fn unsigned(&mut self, fields: &Fields<'_>, name: &str) -> Option<u64> {
        let entry = fields.get(name)?;
        let text = self.plain_text(name, &entry.value, entry.key_span)?;
        let number = text.parse().ok();
        if number.is_none() {
            self.error(format!("{name} must be a whole number, not {text:?}"), entry.value.span);
        }
        number
    }

    /// A URL that passes `check`; its user information never shows.
    pub(super) fn url(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        check: fn(&str) -> Result<Url, String>,
    ) -> Option<Url> {
        let text = self.filled_text(fields, name)?;
        match check(&text) {
            Ok(url) => Some(url),
            Err(error) => {
                self.error(format!("{name}: {error}"), fields.value(name));
                None
            }
        }
    }

    /// A label name that the scheme allows.
    pub(super) fn check_label_name(&mut self, name: &str, at: Span) {
        if !self.scheme.is_valid_label_name(name) {
            self.error(format!("{} is not a valid label name", quoted(name)), at);
        }
    }

    /// `labels`: names that the scheme allows; an empty value is none.
    pub(super) fn label_set(&mut self, fields: &Fields<'_>) -> Labels {
        let labels = self.text_map(fields, "labels");
        for (name, _, at) in &labels {
            self.check_label_name(name, *at);
        }
        Labels::from_pairs(
            labels.iter().filter(|(_, value, _)| !value.is_empty()).map(|(name, value, _)| (name, value)),
        )
    }
}

/// The name of the whole file in messages.
pub(super) const TOP: &str = "the configuration";

/// YAML 1.1's words, which Prometheus' reader takes too.
fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Some(true),
        "false" | "no" | "off" | "n" => Some(false),
        _ => None,
    }
}

/// Names whose values are secrets, wherever they stand and however they are misspelt.
pub(super) fn is_secret_name(name: &str) -> bool {
    const ENDS: [&str; 8] = ["password", "secret", "secrets", "token", "credentials", "key", "assertion", "passphrase"];
    const NAMES: [&str; 8] = [
        "password",
        "secrets",
        "credentials",
        "bearer_token",
        "client_secret",
        "secret_key",
        "client_certificate_key",
        "proxy_connect_header",
    ];
    let name = name.to_ascii_lowercase();
    ENDS.iter().any(|end| name.ends_with(end)) || nearest(&name, &NAMES).is_some()
}

/// Every value in the tree that is a secret by its name.
pub(super) fn hide_secrets(reader: &mut Reader<'_>, node: &Node) {
    match &node.value {
        Value::Mapping(entries) => {
            for entry in entries {
                if is_secret_name(&entry.key) {
                    reader.hide(entry.value.span);
                } else {
                    hide_secrets(reader, &entry.value);
                }
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| hide_secrets(reader, item)),
        Value::Null | Value::Scalar { .. } => {}
    }
}

/// The text with stars for secrets, byte for byte, so that places stay where they are.
fn masked(source: &Arc<SourceText>, secrets: &[Span]) -> Arc<SourceText> {
    let urls = user_info_ranges(&source.text);
    let ranges = secrets.iter().map(|span| span.range()).chain(urls);
    let mut bytes = source.text.clone().into_bytes();
    for range in ranges {
        for byte in bytes.get_mut(range).into_iter().flatten() {
            if !matches!(*byte, b'\n' | b'\r') {
                *byte = b'*';
            }
        }
    }
    let text =
        String::from_utf8(bytes).unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned());
    SourceText::new(source.name.clone(), text)
}
