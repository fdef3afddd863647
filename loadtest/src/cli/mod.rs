//! Command line: one subcommand a file; this one only dispatches.

mod legacy;
mod mutations;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "sekisho-loadtest", version, about = "Simulated legacy backend, incident replay, load and auditor")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the simulated legacy backend until Ctrl-C.
    Legacy(legacy::Args),
    /// Break each invariant in a scratch copy and expect a test to name it.
    Mutations(mutations::Args),
}

/// Parses the process's arguments and runs the chosen subcommand.
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Legacy(args) => legacy::run(args),
        Command::Mutations(args) => mutations::run(args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
