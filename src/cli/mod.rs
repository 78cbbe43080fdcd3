//! The command line: flags in, one room called, text out.

mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Evaluates Prometheus rules and delivers the alerts.
#[derive(Debug, Parser)]
#[command(name = "bellwether", version, about, max_term_width = 100, infer_long_args = false)]
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
    match Arguments::parse().command {
        Command::Run(run) => run.run(),
    }
}
