//! `sekisho-loadtest restart`: kills the gateway at random points while the backend prints; the exit code says what survived.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use crate::report::Progress;
use crate::restart::{RestartPlan, restart};

/// Options of the restart run.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How often the gateway is killed.
    #[arg(long, default_value_t = 100)]
    points: usize,
    /// The same seed gives the same town, people and moments.
    #[arg(long, default_value_t = 20_230_327)]
    seed: u64,
    /// Writes the figures as JSON here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let plan = RestartPlan { program: std::env::current_exe()?, points: args.points, seed: args.seed };
    let mut progress = Progress::new();
    progress.begin("restart", plan.points as u64);
    let survived = super::runtime()?.block_on(restart(&plan, progress.step()))?;
    progress.end();
    let text = serde_json::to_string_pretty(&survived)?;
    println!("{text}");
    if let Some(file) = args.json {
        std::fs::write(&file, text).with_context(|| file.display().to_string())?;
    }
    let complaints = survived.complaints();
    for complaint in &complaints {
        println!("{complaint}");
    }
    println!("seed {}: {}", args.seed, if complaints.is_empty() { "passed" } else { "FAILED" });
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
