//! `sekisho-loadtest compare`: two reports of `run` side by side; the exit code says whether the second is worse.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::compare::{Tolerance, compare, compare_text};
use crate::plan::share;
use crate::run::Exit;

/// Options of the comparison.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The report of the run before (`run --json`).
    before: PathBuf,
    /// The report of the run after.
    after: PathBuf,
    /// By how much times and rates may be worse.
    #[arg(long, default_value = "10%", value_parser = tolerance)]
    tolerance: f64,
    /// By how many percentage points shares may be worse.
    #[arg(long, value_name = "POINTS", default_value_t = 1.0)]
    points: f64,
    /// Times that differ by no more milliseconds than this are the same.
    #[arg(long, value_name = "MS", default_value_t = 1.0)]
    least_ms: f64,
}

fn tolerance(text: &str) -> Result<f64, String> {
    share(text).ok_or_else(|| format!("`{text}` is no percentage such as 10%"))
}

pub(super) fn run(args: &Args) -> ExitCode {
    let tolerance = Tolerance { relative: args.tolerance, points: args.points, least_ms: args.least_ms };
    let compared = read(&args.before)
        .and_then(|before| read(&args.after).map(|after| (before, after)))
        .and_then(|(before, after)| compare(&before, &after, &tolerance));
    let comparison = match compared {
        Ok(comparison) => comparison,
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::from(Exit::Invalid.code());
        }
    };
    println!("{}", compare_text(&comparison));
    let exit = match comparison {
        ref harmful if harmful.harmful > 0 => Exit::Harm,
        ref worse if worse.is_worse() => Exit::Threshold,
        _ => Exit::Well,
    };
    ExitCode::from(exit.code())
}

fn read(file: &Path) -> Result<serde_json::Value, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))
}
