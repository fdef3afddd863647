//! `sekisho-loadtest honesty`: how late the generator itself begins sessions, at a target that does nothing.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;

use crate::cluster::Cores;
use crate::honesty::{HonestyPlan, honesty, row};
use crate::report::Progress;
use crate::run::Exit;

/// Options of it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Runs; the median of their start errors counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: u64,
    /// Sessions begun per second, of two requests each.
    #[arg(long, value_name = "RATE", default_value_t = 2000.0)]
    rate: f64,
    /// Seconds that are counted of each run, after 3 that are not.
    #[arg(long, value_name = "N", default_value_t = 20.0)]
    seconds: f64,
    /// Pins nothing. Otherwise the generator has one core and the target another, where there are two.
    #[arg(long)]
    unpinned: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    ensure!((1.0..=20_000.0).contains(&args.rate), "--rate must lie between 1 and 20000");
    ensure!((1.0..=600.0).contains(&args.seconds), "--seconds must lie between 1 and 600");
    let of = HonestyPlan {
        program: std::env::current_exe()?,
        runs: args.runs as usize,
        rate: args.rate,
        counted: Duration::from_secs_f64(args.seconds),
        cores: if args.unpinned { Cores::default() } else { Cores::apart() },
    };
    of.cores.stand_aside();
    println!("{}", of.cores);
    let mut progress = Progress::new();
    progress.begin("honesty", args.runs);
    let teller = progress.teller();
    let all = super::runtime()?.block_on(honesty(&of, |one| {
        teller.tell(&format!(
            "  begun {} start error p50 {:.2} p99.9 {:.2} max {:.2} ms   a thread that only sleeps p50 {:.2} p99.9 {:.2} max {:.2} ms",
            one.begun, one.p50_ms, one.p999_ms, one.max_ms, one.machine.p50, one.machine.p999, one.machine.max
        ));
    }))?;
    progress.end();
    let row = row(args.rate, &all);
    println!("{}", row.text);
    let exit = match row.held {
        true => Exit::Well,
        false if all.len() < of.runs => Exit::Interrupted,
        false => Exit::Generator,
    };
    println!("exit {}", exit.code());
    Ok(ExitCode::from(exit.code()))
}
