//! `sekisho-loadtest run`: carries out a plan; the exit code says how it went.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::cluster::Cores;
use crate::plan::{self, Plan};
use crate::report::{Exporter, Live, load_page, load_table};
use crate::run::{Exit, Glance, Refused, ShardDied, run as carry_out, run_in_shards};

/// Options of a run.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan.
    plan: PathBuf,
    /// Loads this gateway instead of the plan's, if the plan's `target.allow` allows its host.
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// Generator processes that make the arrivals together; needs a target. The plan's abort rule holds for each by itself.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64), conflicts_with = "metrics")]
    shards: u64,
    /// Serves the load tester's own `/metrics` here while it runs; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// Pins the generator to one core and the gateway that it starts to another, where there are two.
    #[arg(long, conflicts_with = "shards")]
    apart: bool,
    /// Writes a report here: one HTML file with charts.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Writes the figures as JSON here; `-` is the standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let plan = match read(&args.plan, args.target.as_deref()) {
        Ok(plan) => plan,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return Ok(ExitCode::from(Exit::Invalid.code()));
        }
    };
    let program = std::env::current_exe()?;
    let live = Live::begin(&plan.name, plan.lasts());
    let cores = if args.apart { Cores::apart() } else { Cores::default() };
    if args.apart {
        cores.stand_aside();
        live.note(&cores.to_string());
    }
    let base = args.plan.parent().unwrap_or(Path::new("")).to_owned();
    let carried = super::runtime()?.block_on(async {
        if args.shards > 1 {
            live.note(&format!("{} generator processes", args.shards));
            return run_in_shards(plan, program, &args.plan, args.target.as_deref(), args.shards).await;
        }
        let exporter = Exporter::default();
        if let Some(address) = args.metrics {
            let address = exporter.listen(address).await.with_context(|| format!("cannot listen on {address}"))?;
            live.note(&format!("metrics http://{address}/metrics"));
        }
        let look = {
            let live = live.clone();
            move |glance: &Glance| {
                exporter.show(glance);
                live.tell(glance);
            }
        };
        carry_out(plan, program, base, cores, look).await
    });
    live.end();
    let report = match carried {
        Ok(report) => report,
        Err(error) if error.is::<Refused>() => {
            eprintln!("{error}");
            return Ok(ExitCode::from(Exit::Invalid.code()));
        }
        Err(error) if error.is::<ShardDied>() => {
            eprintln!("{error}");
            return Ok(ExitCode::from(Exit::Generator.code()));
        }
        Err(error) => return Err(error),
    };
    println!("{}", load_table(&report));
    if let Some(file) = &args.json {
        let text = serde_json::to_string_pretty(&report)?;
        match file.as_os_str() == "-" {
            true => println!("{text}"),
            false => std::fs::write(file, text).with_context(|| file.display().to_string())?,
        }
    }
    if let Some(file) = &args.report {
        std::fs::write(file, load_page(&report)).with_context(|| file.display().to_string())?;
    }
    Ok(ExitCode::from(report.exit))
}

/// The plan, aimed; or every mistake in it, a line each with file and place.
pub(super) fn read(path: &Path, target: Option<&str>) -> Result<Plan, String> {
    let file = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{file}: {error}"))?;
    let mut plan = plan::parse(&text).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(|mistake| format!("{file}:{mistake}")).collect();
        lines.join("\n")
    })?;
    if let Some(url) = target {
        plan.aim(url).map_err(|wrong| format!("--target: {wrong}"))?;
    }
    Ok(plan)
}
