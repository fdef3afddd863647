//! `sekisho-loadtest layers`: each check switched off in turn, and what the rest still catch, as a markdown table.

use std::process::ExitCode;

use crate::incidents::Setup;
use crate::incidents::catalogue::INCIDENTS;
use crate::layers::{CHECKS, layers};
use crate::report::Progress;

/// Options of the layers table.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only these checks.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// The same seed gives the same replay.
    #[arg(long, default_value_t = 20_230_327)]
    seed: u64,
    /// Unaffected requests around each incident.
    #[arg(long, default_value_t = 60)]
    requests: usize,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let setup = Setup {
        program: std::env::current_exe()?,
        seed: args.seed,
        requests: args.requests,
        per_second: super::incidents::USUAL_RATE / 4.0,
        without: None,
        dialect: Default::default(),
    };
    let rows = if args.only.is_empty() { CHECKS.len() } else { args.only.len() } + 1;
    let mut progress = Progress::new();
    progress.begin("layers", (rows * INCIDENTS.len()) as u64);
    let table = super::runtime()?.block_on(layers(&setup, &args.only, progress.step()))?;
    progress.end();
    println!(
        "Harmful answers that left / answers kept in / faults, then what kept them in; each column without one check (seed {}):\n\n{table}",
        args.seed
    );
    Ok(ExitCode::SUCCESS)
}
