//! The one file of this room that opens files: the configuration, the rule files it names, and nothing else.
//!
//! Files that hold secrets or certificates are read by whoever uses them; here it is only checked that they can be.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use super::file::{ParseOptions, Parsed, parse_parts};
use super::global::Environment;
use super::pattern::{Pattern, Step};
use super::{Config, Flags};
use crate::diagnostic::{Finding, SourceText, Span};

/// Largest configuration or rule file, in bytes. The largest rule file seen in the wild has 4 MiB.
pub const FILE_BYTES_MAX: u64 = 64 << 20;

/// Most rule files that all patterns together may give; more is a pattern gone wrong.
pub const RULE_FILES_MAX: usize = 100_000;

/// Most bytes of all rule files together: they are held while they are loaded.
pub const RULE_BYTES_MAX: usize = 1 << 30;

/// How many directories deep `**` looks.
const DIRECTORY_DEPTH_MAX: usize = 32;

/// What loading must know besides the path.
pub struct LoadOptions<'a> {
    /// The value of an environment variable, for external labels.
    pub environment: &'a Environment<'a>,
    pub flags: Flags,
}

/// A configuration with everything it names.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Flags already merged in.
    pub config: Config,
    /// Warnings and infos; none of them is an error.
    pub findings: Vec<Finding>,
    /// The rule files, by name, each once.
    pub rule_sources: Vec<Arc<SourceText>>,
    /// Files, and directories where files may appear, whose change may change what is loaded: the configuration, the
    /// rule files, and the directories of both, some of which may not exist yet. A hint when to compare digests, which
    /// alone tell.
    pub watched: Vec<PathBuf>,
    /// Of all that was read; equal to `current_digest` while nothing changes.
    pub digest: [u8; 32],
}

/// Why a configuration was not loaded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read {}: {error}", path.display())]
    Read { path: PathBuf, error: Arc<io::Error> },
    /// The findings are in the order of the text; the errors among them are the reason.
    #[error("{} of {name}", errors(findings))]
    Faulty { name: String, findings: Vec<Finding> },
}

fn errors(findings: &[Finding]) -> String {
    match findings.iter().filter(|finding| finding.is_error()).count() {
        1 => "1 error in the configuration".to_owned(),
        count => format!("{count} errors in the configuration"),
    }
}

/// Loads a configuration file, if there is one, merges flags into it, and reads the rule files that come of it.
///
/// - All faults of the configuration are told at once; if it has none, all faults of the reading of rule files. What is
///   wrong inside a rule file is for `rules` to say.
/// - Rule files given by flags replace those of the file.
pub fn load(path: Option<&Path>, options: &LoadOptions<'_>) -> Result<Loaded, LoadError> {
    let parsed = path.map(|path| read_config(path, options)).transpose()?;
    let name = path.map_or("the command line".to_owned(), |path| path.display().to_string());
    let mut findings = Vec::new();
    let mut config = Some(Config::default());
    let mut places = None;
    let mut texts = Vec::new();
    let mut watched = Watched::default();
    if let (Some(parsed), Some(path)) = (parsed, path) {
        watched.file(path);
        texts.push(parsed.source);
        findings = parsed.parsed.findings;
        findings.extend(unreadable(&parsed.parsed.files, &parsed.parsed.shown));
        if options.flags.rule_files.is_empty() {
            places = Some((parsed.parsed.shown, parsed.parsed.pattern_spans));
        }
        config = parsed.parsed.config;
    }
    let Some(config) = config else { return Err(LoadError::Faulty { name, findings }) };
    let config = config.with_flags(options.flags.clone());
    let place = |index: usize| {
        let (shown, spans) = places.as_ref()?;
        Some((shown.clone(), *spans.get(index)?))
    };
    let rules = RuleFiles::read(&config.rule_files, &place);
    let digest = digest_of(texts, &rules);
    findings.extend(rules.findings);
    if findings.iter().any(Finding::is_error) {
        return Err(LoadError::Faulty { name, findings });
    }
    watched.add(rules.watched);
    Ok(Loaded { config, findings, rule_sources: rules.sources, watched: watched.finish(), digest })
}

/// Reads the rule files of these patterns, which are relative to the working directory.
pub fn load_rules(patterns: &[String]) -> (Vec<Arc<SourceText>>, Vec<Finding>) {
    let rules = RuleFiles::read(patterns, &|_| None);
    (rules.sources, rules.findings)
}

/// What a digest of the files would be now, whether or not they are any good.
///
/// Compare it with `Loaded::digest`, or after a failed attempt with what it was then: unlike the events of a file system, it notices the swap of a
/// mounted ConfigMap's `..data` link, and does not notice a file that was written again with the same content.
pub fn current_digest(path: Option<&Path>, options: &LoadOptions<'_>) -> [u8; 32] {
    let mut texts = Vec::new();
    let mut patterns = options.flags.rule_files.clone();
    if let Some(path) = path {
        match read_config(path, options) {
            Ok(read) => {
                texts.push(read.source);
                if patterns.is_empty() {
                    patterns = read.parsed.config.map(|config| config.rule_files).unwrap_or_default();
                }
            }
            Err(error) => texts.push(SourceText::new(path.display().to_string(), format!("\0{error}"))),
        }
    }
    digest_of(texts, &RuleFiles::read(&patterns, &|_| None))
}

/// What was read, and what could not be.
fn digest_of(mut texts: Vec<Arc<SourceText>>, rules: &RuleFiles) -> [u8; 32] {
    texts.extend(rules.sources.iter().cloned());
    let unread: Vec<&str> = rules.findings.iter().map(|finding| finding.message.as_str()).collect();
    texts.push(SourceText::new("", unread.join("\n")));
    digest(&texts)
}

/// SHA-256 over the names and contents of texts.
pub fn digest(texts: &[Arc<SourceText>]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in texts {
        for part in [&text.name, &text.text] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
    }
    hash.finalize().into()
}

struct ReadConfig {
    source: Arc<SourceText>,
    parsed: Parsed,
}

fn read_config(path: &Path, options: &LoadOptions<'_>) -> Result<ReadConfig, LoadError> {
    let name = path.display().to_string();
    let text = read_text(path).map_err(|fault| match fault {
        ReadFault::Io(error) => LoadError::Read { path: path.to_owned(), error: Arc::new(error) },
        ReadFault::Content(finding) => LoadError::Faulty { name: name.clone(), findings: vec![*finding] },
    })?;
    let source = SourceText::new(name, text);
    let parsed = parse_parts(
        &source,
        &ParseOptions {
            environment: options.environment,
            directory: path.parent().unwrap_or(Path::new("")),
            ignore_discovery: !options.flags.alertmanager_urls.is_empty(),
        },
    );
    Ok(ReadConfig { source, parsed })
}

/// A warning for every file that the configuration names and that cannot be read now; it may yet appear.
fn unreadable(files: &[(PathBuf, Span)], shown: &Arc<SourceText>) -> Vec<Finding> {
    // Only what is a plain file is opened: opening a pipe would wait for its other end.
    let check = |path: &Path| match std::fs::metadata(path)? {
        metadata if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        metadata if metadata.is_file() => File::open(path).map(drop),
        _ => Ok(()),
    };
    let unreadable = files.iter().filter_map(|(path, span)| Some((path, span, check(path).err()?)));
    unreadable
        .map(|(path, span, error)| {
            Finding::warning(format!("cannot read {}: {error}", path.display())).at(shown, *span)
        })
        .collect()
}

enum ReadFault {
    Io(io::Error),
    Content(Box<Finding>),
}

/// A file as text: bounded, UTF-8, without a byte order mark.
fn read_text(path: &Path) -> Result<String, ReadFault> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(ReadFault::Io)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(ReadFault::Io)?;
    let fault = |finding| Err(ReadFault::Content(Box::new(finding)));
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let mebibytes = FILE_BYTES_MAX >> 20;
        return fault(Finding::error(format!("{}: the file is larger than {mebibytes} MiB", path.display())));
    }
    match String::from_utf8(bytes) {
        Ok(mut text) => {
            if text.starts_with('\u{feff}') {
                text.drain(..'\u{feff}'.len_utf8());
            }
            Ok(text)
        }
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            // Only what is sound is kept: the rest of a broken file is not for showing.
            let sound = String::from_utf8_lossy(&error.as_bytes()[..at]).into_owned();
            let line_start = sound.rfind('\n').map_or(0, |newline| newline + 1);
            let (line, column) = (sound.matches('\n').count() + 1, sound[line_start..].chars().count() + 1);
            fault(Finding::error(format!("{}:{line}:{column}: the file is not UTF-8", path.display())))
        }
    }
}

/// Where the pattern of that index was written, if it was.
type PlaceOf<'a> = dyn Fn(usize) -> Option<(Arc<SourceText>, Span)> + 'a;

/// Rule files as texts, and what came up on the way.
struct RuleFiles {
    sources: Vec<Arc<SourceText>>,
    findings: Vec<Finding>,
    watched: Watched,
    bytes: usize,
}

impl RuleFiles {
    fn read(patterns: &[String], place: &PlaceOf<'_>) -> RuleFiles {
        let mut rules = RuleFiles { sources: Vec::new(), findings: Vec::new(), watched: Watched::default(), bytes: 0 };
        let mut found = BTreeSet::new();
        for (index, pattern) in patterns.iter().enumerate() {
            if let Err(mut finding) = rules.expand(pattern, &mut found) {
                if let Some((source, span)) = place(index) {
                    finding = finding.at(&source, span);
                }
                rules.findings.push(finding);
            }
        }
        let mut seen = HashSet::new();
        for path in found {
            rules.watched.file(&path);
            // The same file by another way would make every one of its alerts twice.
            let resolved = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
            if seen.insert(resolved) {
                rules.read_file(&path);
            }
            if rules.bytes > RULE_BYTES_MAX {
                let gibibytes = RULE_BYTES_MAX >> 30;
                rules.findings.push(Finding::error(format!("the rule files are larger than {gibibytes} GiB together")));
                break;
            }
        }
        rules
    }

    /// The files of one pattern; the finding is an error, or a warning if it only found nothing.
    fn expand(&mut self, text: &str, found: &mut BTreeSet<PathBuf>) -> Result<(), Finding> {
        let invalid = |error| Finding::error(format!("invalid rule file path {text:?}: {error}"));
        let pattern = Pattern::parse(text).map_err(invalid)?;
        if pattern.steps.is_empty() {
            self.watched.file(&pattern.root);
            return match std::fs::metadata(&pattern.root) {
                Ok(metadata) if metadata.is_dir() => {
                    let message = format!("rule file {text:?} is a directory");
                    Err(Finding::error(message).help("write a pattern, like rules/*.yml"))
                }
                Ok(_) => {
                    found.insert(pattern.root);
                    Ok(())
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Err(Finding::error(format!("{text:?} does not point to an existing file")))
                }
                Err(error) => Err(Finding::error(format!("cannot read {text:?}: {error}"))),
            };
        }
        let before = found.len();
        let mut matches = BTreeSet::new();
        self.descend(&pattern.root, &pattern.steps, &mut matches);
        if before + matches.len() > RULE_FILES_MAX {
            return Err(Finding::error(format!("{text:?} gives more than {RULE_FILES_MAX} rule files")));
        }
        if matches.is_empty() {
            return Err(Finding::warning(format!("rule files {text:?} match no file")));
        }
        found.append(&mut matches);
        Ok(())
    }

    fn descend(&mut self, directory: &Path, steps: &[Step], found: &mut BTreeSet<PathBuf>) {
        let Some((step, rest)) = steps.split_first() else { return };
        if found.len() > RULE_FILES_MAX {
            return;
        }
        if matches!(step, Step::AnyDirectories) {
            let wanted = |name: &str| step.matches(name);
            let entries = WalkDir::new(or_here(directory))
                .follow_links(true)
                .max_depth(DIRECTORY_DEPTH_MAX)
                .sort_by_file_name()
                .into_iter()
                .filter_entry(|entry| entry.depth() == 0 || entry.file_name().to_str().is_some_and(wanted));
            // A directory that cannot be read, or links to itself, holds no rule files.
            for entry in entries.filter_map(Result::ok) {
                let path = if entry.depth() == 0 { directory } else { entry.path() };
                if entry.file_type().is_dir() {
                    self.watched.directory(path);
                }
                if rest.is_empty() && entry.file_type().is_file() {
                    found.insert(path.to_owned());
                } else if !rest.is_empty() && entry.file_type().is_dir() {
                    self.descend(path, rest, found);
                }
            }
            return;
        }
        self.watched.directory(directory);
        let Ok(entries) = std::fs::read_dir(or_here(directory)) else { return };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| step.matches(name)) else { continue };
            let path = directory.join(name);
            // Through links: that is how ConfigMaps are mounted.
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            if rest.is_empty() && !metadata.is_dir() {
                found.insert(path);
            } else if !rest.is_empty() && metadata.is_dir() {
                self.descend(&path, rest, found);
            }
        }
    }

    fn read_file(&mut self, path: &Path) {
        match read_text(path) {
            Ok(text) => {
                self.bytes += text.len();
                self.sources.push(SourceText::new(path.display().to_string(), text));
            }
            Err(ReadFault::Content(finding)) => self.findings.push(*finding),
            Err(ReadFault::Io(error)) => {
                self.findings.push(Finding::error(format!("cannot read {}: {error}", path.display())));
            }
        }
    }
}

/// The empty path means the working directory.
fn or_here(directory: &Path) -> &Path {
    if directory.as_os_str().is_empty() { Path::new(".") } else { directory }
}

/// Files and directories to watch, each once, in order.
#[derive(Default)]
struct Watched(BTreeSet<PathBuf>);

impl Watched {
    /// A file, and its directory: editors and ConfigMaps replace files instead of writing them.
    fn file(&mut self, path: &Path) {
        self.0.insert(path.to_owned());
        self.directory(path.parent().unwrap_or(Path::new("")));
    }

    fn directory(&mut self, path: &Path) {
        self.0.insert(or_here(path).to_owned());
    }

    fn add(&mut self, other: Watched) {
        self.0.extend(other.0);
    }

    fn finish(self) -> Vec<PathBuf> {
        self.0.into_iter().collect()
    }
}
