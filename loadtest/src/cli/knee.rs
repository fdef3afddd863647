//! `sekisho-loadtest knee`: steps the rate up until people are no longer served, and proposes limits.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use crate::knee::{KneePlan, Measured, Search, measure, propose};
use crate::plan::{self, Plan};
use crate::report::Progress;
use crate::run::{Exit, Refused};

/// Options of the search.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The target; without one the plan's, or the simulated backend of the plan, asked straight.
    #[arg(value_name = "URL", required_unless_present = "plan")]
    target: Option<String>,
    /// Whose people come, and how they behave; its stages, faults and changes are left out.
    #[arg(long, value_name = "FILE", required_unless_present = "residents")]
    plan: Option<PathBuf>,
    /// Without a plan: the people who may come, as for `[population] residents`.
    #[arg(long, value_name = "FILE", conflicts_with = "plan")]
    residents: Option<PathBuf>,
    /// The first rate, in sessions per second; it must be one that few people make.
    #[arg(long, value_name = "RATE", default_value_t = 4.0)]
    from: f64,
    /// No higher rate is tried.
    #[arg(long, value_name = "RATE", default_value_t = 2000.0)]
    to: f64,
    /// Seconds that are counted of each rate, after two thirds as many that are not.
    #[arg(long, value_name = "N", default_value_t = 6.0)]
    seconds: f64,
    /// Writes every rate and the proposal as JSON here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let plan = match read(&args) {
        Ok(plan) => plan,
        Err(wrong) => {
            eprintln!("{wrong}");
            return Ok(ExitCode::from(Exit::Invalid.code()));
        }
    };
    let at = args.plan.as_deref().or(args.residents.as_deref()).and_then(Path::parent).unwrap_or(Path::new(""));
    let of = KneePlan {
        plan,
        program: std::env::current_exe()?,
        base: at.to_owned(),
        counted: Duration::from_secs_f64(args.seconds.clamp(1.0, 3600.0)),
    };
    let (mut search, mut all) = (Search::new(args.from, args.to), Vec::<Measured>::new());
    let mut progress = Progress::new();
    let runtime = super::runtime()?;
    println!(
        "{:>10} {:>9} {:>14} {:>7} {:>8} {:>8} {:>10}",
        "sessions/s", "served", "certificates/s", "inside", "p50 ms", "p99 ms", "p99.9 ms"
    );
    while let Some(rate) = search.next_rate() {
        progress.begin(&format!("{rate:.1} sessions/s"), 1);
        let measured = match runtime.block_on(measure(&of, rate, search.tries())) {
            Ok(measured) => measured,
            Err(error) if error.is::<Refused>() => {
                eprintln!("{error}");
                return Ok(ExitCode::from(Exit::Invalid.code()));
            }
            Err(error) => return Err(error),
        };
        progress.end();
        let Some(measured) = measured else { return Ok(ExitCode::from(Exit::Interrupted.code())) };
        let broken = measured.breaks(all.first());
        println!("{}", line(&measured, broken.as_deref()));
        search.tell(rate, broken.is_none());
        all.push(measured);
        if measured.wrong > 0 {
            println!("a wrong, mixed, stale or duplicate document: nothing is proposed");
            return Ok(ExitCode::from(Exit::Harm.code()));
        }
    }
    let proposal = propose(&search, &all);
    match &proposal {
        Some(proposal) => println!("\n{proposal}"),
        None => println!("\nnot even the lowest rate held: nothing is proposed"),
    }
    if let Some(file) = &args.json {
        let text = serde_json::to_string_pretty(&json!({ "layout": 1, "rates": all, "proposal": proposal }))?;
        std::fs::write(file, text).with_context(|| file.display().to_string())?;
    }
    Ok(ExitCode::from(if proposal.is_some() { Exit::Well } else { Exit::Threshold }.code()))
}

fn line(measured: &Measured, broken: Option<&str>) -> String {
    format!(
        "{:>10.1} {:>7.1} % {:>14.1} {:>7.1} {:>8.0} {:>8.0} {:>10.0}  {}",
        measured.rate,
        measured.goodput * 100.0,
        measured.papers_per_second,
        measured.inside,
        measured.p50_ms,
        measured.p99_ms,
        measured.p999_ms,
        broken.unwrap_or("held")
    )
}

/// The plan whose people come, aimed.
fn read(args: &Args) -> Result<Plan, String> {
    let (file, text) = match (&args.plan, &args.residents) {
        (Some(file), _) => (
            file.display().to_string(),
            std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?,
        ),
        (None, Some(residents)) => ("the plan made for --residents".to_owned(), made(args, residents)?),
        (None, None) => return Err("a target needs --plan or --residents: who comes?".to_owned()),
    };
    let mut plan = plan::parse(&text).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(|mistake| format!("{file}:{mistake}")).collect();
        lines.join("\n")
    })?;
    // What is left out must not stand in the way.
    plan.faults.clear();
    plan.alongside.clear();
    if let Some(url) = &args.target {
        plan.aim(url)?;
    }
    // A gateway's own limit would hide the backend's.
    plan.simulated.straight = plan.target.url.is_none();
    Ok(plan)
}

/// A plan for a target and a list of people: whoever is listed comes for a resident record.
fn made(args: &Args, residents: &Path) -> Result<String, String> {
    let wrong = |error: String| format!("{}: {error}", residents.display());
    let mut reader = csv::Reader::from_path(residents).map_err(|error| wrong(error.to_string()))?;
    let head = reader.headers().map_err(|error| wrong(error.to_string()))?;
    let at = head
        .iter()
        .position(|name| name.trim() == "city")
        .ok_or_else(|| wrong("column `city` is missing".to_owned()))?;
    let mut counts = std::collections::BTreeMap::<String, u64>::new();
    for record in reader.records() {
        let record = record.map_err(|error| wrong(error.to_string()))?;
        *counts.entry(record.get(at).unwrap_or_default().trim().to_owned()).or_default() += 1;
    }
    let sum: u64 = counts.values().sum();
    let name = residents.file_name().and_then(|name| name.to_str()).ok_or_else(|| wrong("no file".to_owned()))?;
    let mut cities = String::new();
    for (code, count) in &counts {
        let _ = write!(
            cities,
            "{}{code:?} = {:.6}",
            if cities.is_empty() { "" } else { ", " },
            *count as f64 * 100.0 / sum as f64
        );
    }
    let url = args.target.as_deref().ok_or("--residents needs a target")?;
    Ok(format!(
        "name = \"knee\"\nwhy = \"How much the target bears.\"\n[target]\nurl = {url:?}\n\
         [population]\nresidents = {name:?}\ncities = {{ {cities} }}\n\
         [[stage]]\nname = \"any\"\nrate = \"1/s\"\nfor = \"1s\"\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(target: Option<&str>, residents: Option<&Path>) -> Args {
        Args {
            target: target.map(str::to_owned),
            plan: None,
            residents: residents.map(Path::to_owned),
            from: 1.0,
            to: 2.0,
            seconds: 1.0,
            json: None,
        }
    }

    #[test]
    fn a_list_of_people_makes_a_plan_for_a_target_that_may_be_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("residents.csv");
        std::fs::write(&file, "number,city\n1,991007\n2,991007\n3,991015\n").unwrap();
        let plan = read(&args(Some("http://127.0.0.1:1"), Some(&file))).unwrap();
        assert_eq!(plan.population.cities.len(), 2);
        assert!(!plan.simulated.straight);
        let refused = read(&args(Some("http://production.example"), Some(&file))).unwrap_err();
        assert!(refused.contains("target.allow"), "{refused}");
        assert!(read(&args(None, None)).unwrap_err().contains("--plan"));
    }
}
