//! The operator's tool for what the worker keeps on disk. Reads only; prints JSON; names nobody.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sekisho_worker::{intent, journal};
use serde_json::{Value, json};

/// Looks into the state that a worker keeps.
#[derive(Debug, Parser)]
#[command(name = "sekisho-worker", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Journals: intents, and the gateway's records, latches and watermarks.
    Journal {
        #[command(subcommand)]
        command: JournalCommand,
    },
    /// Lists attempts that are not known to be over: after an unclean start their residents wait.
    Intents {
        /// The state directory.
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum JournalCommand {
    /// Proves a journal's chain and says whether its tail is torn. Exit code 1 if it cannot be read.
    Verify {
        /// The journal.
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let (said, code) = match Arguments::parse().command {
        Command::Journal { command: JournalCommand::Verify { file } } => verify(&file),
        Command::Intents { state } => intents(&state),
    };
    println!("{said:#}");
    code
}

fn verify(file: &Path) -> (Value, ExitCode) {
    match journal::verify(file) {
        Ok(report) => (json!({ "file": file, "readable": true, "journal": report }), ExitCode::SUCCESS),
        Err(error) => unreadable(file, error),
    }
}

fn intents(state: &Path) -> (Value, ExitCode) {
    let open = match intent::open_intents(state) {
        Ok(open) => open,
        Err(error) => return unreadable(&state.join(intent::FILE), error),
    };
    let now = jiff::Timestamp::now().as_millisecond();
    let listed: Vec<Value> = open
        .iter()
        .map(|intent| {
            let age_ms = now.saturating_sub(intent.began_ms);
            json!({
                "attempt": intent.fence.to_string(),
                "operation": intent.operation,
                "age_s": age_ms as f64 / 1000.0,
                "max_run_s": intent.max_run.as_secs_f64(),
                "residents": intent.lanes.len(),
                "shards": intent.lanes.iter().map(|lane| lane.shard()).collect::<Vec<_>>(),
            })
        })
        .collect();
    (json!({ "open": listed }), ExitCode::SUCCESS)
}

fn unreadable(file: &Path, error: journal::JournalError) -> (Value, ExitCode) {
    let (offset, missing) = match error {
        journal::JournalError::Unreadable { offset, .. } => (Some(offset), false),
        journal::JournalError::Io(kind) => (None, kind == std::io::ErrorKind::NotFound),
        _ => (None, false),
    };
    let said = json!({
        "file": file, "readable": false, "missing": missing, "offset": offset, "error": error.to_string(),
    });
    (said, ExitCode::FAILURE)
}
