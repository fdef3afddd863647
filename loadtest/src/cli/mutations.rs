//! `sekisho-loadtest mutations`: breaks each invariant in a scratch copy and expects a test to name it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::mutations::{Scratch, all, rotate};

/// Options of the mutation runs.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only these numbers.
    #[arg(long, value_delimiter = ',')]
    only: Vec<u32>,
    /// So many, other ones every day.
    #[arg(long, conflicts_with = "only")]
    rotate: Option<usize>,
    /// The tree to copy.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/.."))]
    tree: PathBuf,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let root = args.tree.canonicalize()?;
    let every = all(&root.join("mutations"))?;
    let chosen = match args.rotate {
        Some(count) => {
            let day = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 86_400;
            rotate(&every, day, count)
        }
        None => every.into_iter().filter(|m| args.only.is_empty() || args.only.contains(&m.number)).collect(),
    };
    anyhow::ensure!(!chosen.is_empty(), "no mutation chosen");
    let scratch = Scratch::prepare(&root)?;
    let mut missed = 0;
    for mutation in &chosen {
        let started = Instant::now();
        let verdict = scratch.prove(mutation);
        let seconds = started.elapsed().as_secs();
        let word = if verdict.is_ok() { "noticed" } else { "MISSED" };
        println!("{:02} {:<24} {word} by {} ({seconds} s)", mutation.number, mutation.invariant, mutation.test);
        if let Err(why) = verdict {
            missed += 1;
            println!("{why:#}");
        }
    }
    println!("{} of {} mutations noticed", chosen.len() - missed, chosen.len());
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
