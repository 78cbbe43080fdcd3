//! The configuration file: text to `Config`, or to everything that is wrong with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::global::{self, Environment};
use super::read::{Fields, Reader, Shape, TOP, hide_secrets, is_secret_name};
use super::{Config, alerting, remote_write, sources};
use crate::diagnostic::{Finding, SourceText, Span};
use crate::yaml::{self, Reading, Scope, tree};

/// Every top-level key of Prometheus 3.14 and of ours.
const FILE: Shape = Shape {
    read: &["global", "rule_files", "alerting", "remote_write", "sources"],
    passed: &[
        "runtime",
        "scrape_config_files",
        "scrape_configs",
        "storage",
        "tracing",
        "remote_read",
        "otlp",
        // Of the 2.x and 3.0 releases, where it stood at the top.
        "tsdb",
    ],
    ..Shape::NONE
};

/// What `parse` must know besides the text.
#[derive(Clone, Copy)]
pub struct ParseOptions<'a> {
    /// The value of an environment variable, for external labels.
    pub environment: &'a Environment<'a>,
    /// Where relative names of files begin: the directory of the configuration file.
    pub directory: &'a Path,
    /// The Alertmanagers are given by flags, so those of the file that need discovery are not refused.
    pub ignore_discovery: bool,
}

/// A configuration with what is needed to load the files it names.
#[derive(Debug)]
pub(super) struct Parsed {
    /// None: there is at least one error.
    pub(super) config: Option<Config>,
    pub(super) findings: Vec<Finding>,
    /// The text that findings quote: secrets are masked in it.
    pub(super) shown: Arc<SourceText>,
    /// Where each of the rule file patterns stands.
    pub(super) pattern_spans: Vec<Span>,
    /// Other files the configuration names, as they will be opened.
    pub(super) files: Vec<(PathBuf, Span)>,
}

/// Reads a configuration file; all its faults at once, in the order of the text.
///
/// - The configuration is there unless one of the findings is an error.
/// - Opens nothing: `load` does.
/// - Findings quote a copy of the text in which every secret is masked.
/// - Source: Prometheus `config/config.go`, `Load`.
pub fn parse(source: &Arc<SourceText>, options: &ParseOptions<'_>) -> (Option<Config>, Vec<Finding>) {
    let parsed = parse_parts(source, options);
    (parsed.config, parsed.findings)
}

pub(super) fn parse_parts(source: &Arc<SourceText>, options: &ParseOptions<'_>) -> Parsed {
    let mut reader = Reader::new(source, options.directory);
    let scope = Scope { first_only: true, secret: true };
    let Reading { documents, findings: mut faults, next_document } = yaml::read(source, scope);
    // What could not be read leaves a tree that cannot say what is secret.
    let document = documents.first().filter(|_| faults.is_empty());
    let root = document.and_then(|document| tree::tree(document, source, &mut faults));
    let broken = !faults.is_empty();
    for fault in faults {
        reader.add(fault);
    }
    if let Some(span) = next_document {
        reader.warning("only the first document of the file is read", span);
    }
    let mut config = Config::default();
    let mut pattern_spans = Vec::new();
    if let Some(root) = root {
        hide_secrets(&mut reader, &root);
        let top = reader.section(TOP, &root, Span::default(), &[&FILE]);
        (config, pattern_spans) = whole(&mut reader, &top, options);
    }
    // The tree lacks what is written twice or could not be read.
    if broken {
        hide_by_lines(&mut reader, &source.text);
    }
    let config = (reader.error_count() == 0).then_some(config);
    let files = std::mem::take(&mut reader.files);
    let (findings, shown) = reader.finish();
    Parsed { config, findings, shown, pattern_spans, files }
}

fn whole(reader: &mut Reader<'_>, top: &Fields<'_>, options: &ParseOptions<'_>) -> (Config, Vec<Span>) {
    let mut config = Config::default();
    if let Some(entry) = top.get("global") {
        let fields = global::fields(reader, entry);
        reader.scheme = global::validation_scheme(reader, &fields);
        config.global = global::global(reader, &fields, options.environment);
    }
    let rule_files = global::rule_files(reader, top);
    let (patterns, spans) = rule_files.into_iter().unzip();
    config.rule_files = patterns;
    config.alerting = alerting::alerting(reader, top, options.ignore_discovery);
    config.remote_write = remote_write::remote_write(reader, top);
    config.sources = sources::sources(reader, top);
    (config, spans)
}

/// Masks secrets in a text that is no YAML: what follows a secret's name on its line, and the deeper lines below it;
/// where a quote or bracket stays open on the line, everything up to the end, since nobody knows where the value ends.
fn hide_by_lines(reader: &mut Reader<'_>, text: &str) {
    let mut start = 0;
    let mut hidden_below: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches([' ', '-']).len();
        if hidden_below.is_some_and(|depth| indent > depth || line.trim().is_empty()) {
            reader.hide(Span::new(start, start + line.len()));
        } else {
            hidden_below = None;
            if let Some(value) = secret_value(line) {
                let end = if stays_open(&line[value..]) { text.len() } else { start + line.len() };
                reader.hide(Span::new(start + value, end));
                hidden_below = Some(indent);
            }
        }
        start += line.len();
    }
}

/// Where the value of the first secret on a line begins.
fn secret_value(line: &str) -> Option<usize> {
    const SECTIONS: [&str; 5] = ["basic_auth", "authorization", "oauth2", "headers", "http_headers"];
    line.match_indices(':').map(|(colon, _)| colon).find_map(|colon| {
        let before = line[..colon].trim_end().trim_end_matches(['"', '\'']);
        let name = before.rsplit(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'))).next().unwrap_or_default();
        (is_secret_name(name) || SECTIONS.contains(&name)).then_some(colon + 1)
    })
}

/// Whether a value begins with a quote or bracket that does not close at the end of the line.
fn stays_open(value: &str) -> bool {
    let value = value.trim();
    let closer = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => quote,
        Some('{') => '}',
        Some('[') => ']',
        _ => return false,
    };
    value.len() < 2 || !value.ends_with(closer)
}
