//! The command line: flags in, one room called, text out.
//!
//! The only room that prints. Exit codes: 0 done, 1 failed, 2 flags, configuration or rules that cannot be run with.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the room that prints")]

mod run;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::redacted;

/// Evaluates Prometheus rules and delivers the alerts.
#[derive(Debug, Parser)]
#[command(name = "bellwether", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The ruler: evaluates rules on their slots, tracks alerts, delivers them, serves the API
    Run(Box<run::Run>),
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let matches = Arguments::command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match arguments.command {
        Command::Run(run) => {
            let flags = matches.subcommand().map(|(name, matches)| shown_flags(name, matches)).unwrap_or_default();
            run.run(flags)
        }
    }
}

/// Every flag of a subcommand with the value in force; what is not set is empty. Passwords in URLs are not shown.
fn shown_flags(subcommand: &str, matches: &ArgMatches) -> BTreeMap<String, String> {
    let command = Arguments::command();
    let Some(command) = command.find_subcommand(subcommand) else { return BTreeMap::new() };
    let flags = command.get_arguments().filter_map(|argument| {
        let name = argument.get_long()?;
        let id = argument.get_id().as_str();
        let raw = matches.try_get_raw(id).ok().flatten();
        let values: Vec<String> = raw.into_iter().flatten().map(|value| shown(&value.to_string_lossy())).collect();
        Some((name.to_owned(), values.join(",")))
    });
    flags.collect()
}

fn shown(value: &str) -> String {
    match url::Url::parse(value) {
        Ok(url) if url.has_host() => redacted(&url).to_string(),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_are_shown_with_their_values_and_without_passwords() {
        let line = "bellwether run --source.url http://me:hush@host:9090/p --web.enable-lifecycle";
        let matches = Arguments::command().get_matches_from(line.split(' '));
        let (name, matches) = matches.subcommand().unwrap();
        let flags = shown_flags(name, matches);
        assert_eq!(flags["web.enable-lifecycle"], "true");
        assert_eq!(flags["rules.alert.resend-delay"], "1m");
        assert_eq!(flags["config.file"], "");
        assert!(flags["source.url"].contains("host:9090/p") && !flags["source.url"].contains("hush"));
    }
}
