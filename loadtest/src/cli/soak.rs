//! `sekisho-loadtest soak`: very many issuances while every fault fires; the exit code says whether all was well.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use crate::report::Progress;
use crate::soak::{SoakPlan, soak};

/// Options of the soak.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Requests for a certificate.
    #[arg(long, default_value_t = 20_000)]
    requests: u64,
    /// How often each fault fires per backend call, as `1%` or `0.01`.
    #[arg(long, default_value = "1%", value_parser = share)]
    rate: f64,
    /// The same seed gives the same town and the same people.
    #[arg(long, default_value_t = 20_230_327)]
    seed: u64,
    /// Kiosks that ask at the same time.
    #[arg(long, default_value_t = 96)]
    kiosks: u64,
    /// Writes the figures as JSON here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let share = number.trim().parse::<f64>().map_err(|_| format!("`{text}` is not a share such as 1% or 0.01"))? / unit;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(format!("`{text}` is not between 0 and 1")) }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let plan = SoakPlan {
        program: std::env::current_exe()?,
        requests: args.requests,
        rate: args.rate,
        seed: args.seed,
        kiosks: args.kiosks,
    };
    let mut progress = Progress::new();
    progress.begin("soak", plan.requests);
    let figures = super::runtime()?.block_on(soak(&plan, progress.step()))?;
    progress.end();
    println!("{figures}");
    if let Some(file) = args.json {
        std::fs::write(&file, serde_json::to_string_pretty(&figures)?).with_context(|| file.display().to_string())?;
    }
    let complaints = figures.complaints();
    for complaint in &complaints {
        println!("{complaint}");
    }
    println!("seed {}: {}", args.seed, if complaints.is_empty() { "passed" } else { "FAILED" });
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
