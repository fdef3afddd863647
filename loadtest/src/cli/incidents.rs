//! `sekisho-loadtest incidents`: replays the reported incidents straight and protected, and fails on any surprise.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use crate::dialect::Dialect;
use crate::incidents::catalogue::{INCIDENTS, Incident, find};
use crate::incidents::{Setup, complaints, replay};
use crate::report::{Path, Progress, Row};

/// Options of the incident replay.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only these incidents.
    #[arg(long, value_delimiter = ',', value_name = "ID")]
    only: Vec<String>,
    /// The same seed gives the same town, people, arrivals and fault draws.
    #[arg(long, default_value_t = 20_230_327)]
    seed: u64,
    /// Unaffected requests that each run must have.
    #[arg(long, default_value_t = 1_000)]
    requests: usize,
    /// Everyday visits that begin in a second, however fast they are served.
    #[arg(long, default_value_t = USUAL_RATE)]
    per_second: f64,
    /// How kiosks and backend write: json, soap (Shift_JIS, the certificate as base64 inside the answer), or form
    /// (EUC-JP, the certificate is a job: accepted, asked for and fetched).
    #[arg(long, default_value_t = Dialect::Json)]
    dialect: Dialect,
    /// Only this way.
    #[arg(long, value_parser = path)]
    path: Option<Path>,
    /// Writes one JSON object a line here (`-` is stdout).
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What a release build and a debug build keep up with on a small machine.
pub(super) const USUAL_RATE: f64 = if cfg!(debug_assertions) { 8.0 } else { 120.0 };

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let chosen = chosen(&args.only)?;
    let setup = Setup {
        program: std::env::current_exe()?,
        seed: args.seed,
        requests: args.requests,
        per_second: args.per_second,
        without: None,
        dialect: args.dialect,
    };
    let paths = args.path.map_or(vec![Path::Direct, Path::Gateway], |path| vec![path]);
    let mut lines = args.json.map(open).transpose()?;
    let mut progress = Progress::new();
    let replaying = replay(&setup, &chosen, &paths, &mut progress, |row| write_line(lines.as_mut(), row));
    let rows = super::runtime()?.block_on(replaying)?;
    let complaints = complaints(&setup, &rows);
    for complaint in &complaints {
        println!("{complaint}");
    }
    println!("seed {}, {}: {}", args.seed, args.dialect, verdict(&complaints));
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn path(text: &str) -> Result<Path, String> {
    [Path::Direct, Path::Gateway]
        .into_iter()
        .find(|path| path.name() == text)
        .ok_or_else(|| format!("`{text}` is neither direct nor gateway"))
}

pub(super) fn verdict(complaints: &[String]) -> String {
    match complaints.len() {
        0 => "every incident does its harm straight at the backend, and none through the gateway".to_owned(),
        n => format!("{n} complaints"),
    }
}

/// The incidents of that name, or all.
fn chosen(only: &[String]) -> anyhow::Result<Vec<&'static Incident>> {
    if only.is_empty() {
        return Ok(INCIDENTS.iter().collect());
    }
    let names = || INCIDENTS.map(|incident| incident.id).join(", ");
    only.iter()
        .map(|id| find(id).with_context(|| format!("no incident is called `{id}`; there are: {}", names())))
        .collect()
}

fn open(file: PathBuf) -> anyhow::Result<Box<dyn Write>> {
    if file.as_os_str() == "-" {
        return Ok(Box::new(std::io::stdout()));
    }
    Ok(Box::new(File::create(&file).with_context(|| file.display().to_string())?))
}

fn write_line(lines: Option<&mut Box<dyn Write>>, row: &Row) -> anyhow::Result<()> {
    if let Some(lines) = lines {
        writeln!(lines, "{}", serde_json::to_string(row)?)?;
    }
    Ok(())
}
