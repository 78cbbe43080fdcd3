//! Configuration and rules, read and checked; nothing is started.

use std::sync::Arc;
use std::thread;

use super::AppOptions;
use crate::config::{Config, LoadError, LoadOptions, current_digest, load};
use crate::diagnostic::{Finding, SourceText};
use crate::rules::{self, Group, Options};

/// A configuration with its rules, without an error.
#[derive(Debug)]
pub struct Checked {
    pub config: Config,
    pub groups: Vec<Arc<Group>>,
    /// Warnings and infos.
    pub findings: Vec<Finding>,
    pub rule_files: usize,
}

/// Reads everything that the options name. All faults are told at once.
///
/// # Errors
/// All findings, if one of them is an error.
pub fn check(options: &AppOptions) -> Result<Checked, Vec<Finding>> {
    let environment = |name: &str| std::env::var(name).ok();
    let load_options = LoadOptions { environment: &environment, flags: options.flags.clone() };
    let loaded = load(options.config_file.as_deref(), &load_options).map_err(|error| match error {
        LoadError::Faulty { findings, .. } => findings,
        error @ LoadError::Read { .. } => vec![Finding::error(error.to_string())],
    })?;
    let rule_options =
        Options { compat: options.compat, validation: loaded.config.global.validation_scheme, ..Options::default() };
    let mut findings = loaded.findings;
    let mut groups = Vec::new();
    for (of_file, more) in parse_all(&loaded.rule_sources, &rule_options) {
        groups.extend(of_file.into_iter().map(Arc::new));
        findings.extend(more);
    }
    if findings.iter().any(Finding::is_error) {
        return Err(findings);
    }
    findings.extend(unseen_results(&loaded.config, &groups));
    Ok(Checked { config: loaded.config, groups, findings, rule_files: loaded.rule_sources.len() })
}

/// Of the content of all files as they are now, good or bad.
pub(super) fn digest(options: &AppOptions) -> [u8; 32] {
    let environment = |name: &str| std::env::var(name).ok();
    let load_options = LoadOptions { environment: &environment, flags: options.flags.clone() };
    current_digest(options.config_file.as_deref(), &load_options)
}

/// Every file, on all cores, in the order given.
fn parse_all(sources: &[Arc<SourceText>], options: &Options) -> Vec<(Vec<Group>, Vec<Finding>)> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(sources.len().max(1));
    let share = sources.len().div_ceil(workers).max(1);
    thread::scope(|scope| {
        let parse_share = |share: &[Arc<SourceText>]| -> Vec<_> {
            share.iter().map(|source| rules::parse(source, options)).collect()
        };
        let handles: Vec<_> = sources.chunks(share).map(|share| scope.spawn(move || parse_share(share))).collect();
        handles
            .into_iter()
            .flat_map(|handle| handle.join().unwrap_or_else(|fault| std::panic::resume_unwind(fault)))
            .collect()
    })
}

/// Rules that read what their own group makes see it only if it is written to where they are evaluated.
fn unseen_results(config: &Config, groups: &[Arc<Group>]) -> Vec<Finding> {
    let address = |url: &url::Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
    let mut findings = Vec::new();
    for source in &config.sources {
        if config.remote_write.iter().any(|target| address(&target.url) == address(&source.url)) {
            continue;
        }
        let chained = groups.iter().flat_map(|group| {
            let reads = |index: &usize| !group.dependencies.reads(*index).is_empty();
            let first = (0..group.rules.len()).find(reads);
            first.map(|index| (group, &group.rules[index], group.dependencies.is_indeterminate()))
        });
        let chained: Vec<_> = chained.filter(|(_, _, indeterminate)| !indeterminate).collect();
        let Some((group, rule, _)) = chained.first() else { continue };
        let others = match chained.len() - 1 {
            0 => String::new(),
            others => format!(" (and rules of {others} more groups)"),
        };
        let message = format!(
            "{}: group {:?}, rule {:?}{others} reads a series that its own group makes, but no remote_write leads back \
             to source {:?}",
            group.file, group.name, rule.name, source.name
        );
        let help = "give --remote-write.url, or `remote_write`, with the source's own receiver, unless something else \
                    brings the series there";
        findings.push(Finding::warning(message).help(help));
    }
    findings
}
