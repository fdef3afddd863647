//! One generator process of `sekisho-loadtest run --shards`; nobody calls it by hand.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::run::{Shard, Share, run_shard};

/// What the parent says.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    plan: PathBuf,
    #[arg(long)]
    target: Option<String>,
    #[arg(long)]
    nth: u64,
    #[arg(long)]
    of: u64,
    #[arg(long)]
    at: u64,
    #[arg(long)]
    out: PathBuf,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let plan = super::run::read(&args.plan, args.target.as_deref()).map_err(|mistakes| anyhow::anyhow!(mistakes))?;
    let base = args.plan.parent().unwrap_or(Path::new("")).to_owned();
    let share = Share { nth: args.nth, of: args.of };
    let shard = Shard { share, at_unix_ms: args.at, out: args.out };
    super::runtime()?.block_on(run_shard(plan, std::env::current_exe()?, base, shard))?;
    Ok(ExitCode::SUCCESS)
}
