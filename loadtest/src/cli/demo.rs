//! `sekisho-loadtest demo` (`cargo demo`): the incidents straight and protected, a report, and a gateway to try by hand.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::incidents::USUAL_RATE;
use crate::demo::StandingDemo;
use crate::incidents::catalogue::{INCIDENTS, Incident};
use crate::incidents::{Setup, complaints, replay};
use crate::report::{Occasion, Path, Progress, render};

/// Options of the demonstration.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// End after the report instead of staying up.
    #[arg(long)]
    exit: bool,
    /// The same seed gives the same replay.
    #[arg(long, default_value_t = 20_230_327)]
    seed: u64,
    /// Unaffected requests that each run must have.
    #[arg(long, default_value_t = 1_000)]
    requests: usize,
    /// Everyday visits that begin in a second, however fast they are served.
    #[arg(long, default_value_t = USUAL_RATE)]
    per_second: f64,
    /// Where the HTML report is written.
    #[arg(long, default_value = "target/sekisho-report.html", value_name = "FILE")]
    report: PathBuf,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    super::runtime()?.block_on(demonstrate(args))
}

async fn demonstrate(args: Args) -> anyhow::Result<ExitCode> {
    let setup = Setup {
        program: std::env::current_exe()?,
        seed: args.seed,
        requests: args.requests,
        per_second: args.per_second,
        without: None,
        dialect: Default::default(),
    };
    let every: Vec<&Incident> = INCIDENTS.iter().collect();
    println!(
        "Twelve reported incidents, each straight at a simulated backend and through a gateway (seed {}):\n",
        args.seed
    );
    let rows = replay(&setup, &every, &[Path::Direct, Path::Gateway], &mut Progress::new(), |_| Ok(())).await?;
    let complaints = complaints(&setup, &rows);
    for complaint in &complaints {
        println!("{complaint}");
    }
    println!("\n{}.", super::incidents::verdict(&complaints));
    let occasion = Occasion {
        written: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        seed: args.seed,
        command: format!("sekisho-loadtest incidents --seed {}", args.seed),
    };
    if let Some(dir) = args.report.parent() {
        std::fs::create_dir_all(dir)?;
    }
    std::fs::write(&args.report, render(&occasion, &rows)).with_context(|| args.report.display().to_string())?;
    println!("Report: {}", args.report.display());
    if !args.exit {
        let standing = StandingDemo::start(&setup.program, args.seed).await?;
        println!("\n{}", standing.instructions()?);
        tokio::signal::ctrl_c().await?;
        standing.stop().await?;
    }
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
