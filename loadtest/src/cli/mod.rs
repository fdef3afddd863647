//! Command line: one subcommand a file; this one only dispatches.

mod compare;
mod cost;
mod demo;
mod gateway;
mod goodput;
mod honesty;
mod incidents;
mod knee;
mod layers;
mod legacy;
mod mutations;
mod restart;
mod run;
mod shard;
mod soak;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "sekisho-loadtest", version, about = "Simulated legacy backend, incident replay, load and auditor")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the simulated legacy backend until Ctrl-C.
    Legacy(legacy::Args),
    /// Replay the reported incidents straight at the backend and through a gateway.
    Incidents(incidents::Args),
    /// Replay every incident, write a report, and stay up for trying things by hand.
    Demo(demo::Args),
    /// Carry out a load plan: open-loop arrivals, every document judged, thresholds, one exit code.
    Run(run::Args),
    /// Step the rate up until people are no longer served, and propose `max_in_flight`, `timeout` and the highest safe rate.
    Knee(knee::Args),
    /// Two reports of `run` side by side: what got worse.
    Compare(compare::Args),
    /// Very many issuances through the gateway while every fault fires.
    Soak(soak::Args),
    /// Kill the gateway at random points while the backend prints.
    Restart(restart::Args),
    /// Switch each check off in turn and show what the rest still catch.
    Layers(layers::Args),
    /// CPU per request of nginx, HAProxy, Envoy and the gateway in front of the same backend.
    Cost(cost::Args),
    /// Goodput under overload: HAProxy, Envoy, nginx, nobody and the gateway in front of the same backend.
    Goodput(goodput::Args),
    /// How late the generator itself begins sessions, at a target that does nothing.
    Honesty(honesty::Args),
    /// One generator process of a run.
    #[command(hide = true)]
    Shard(shard::Args),
    /// The gateway itself.
    #[command(hide = true, disable_help_flag = true)]
    Gateway(gateway::Args),
    /// Break each invariant in a scratch copy and expect a test to name it.
    Mutations(mutations::Args),
}

/// Parses the process's arguments and runs the chosen subcommand.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    let outcome = match cli.command {
        Command::Legacy(args) => legacy::run(args),
        Command::Incidents(args) => incidents::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Run(args) => run::run(args),
        Command::Knee(args) => knee::run(args),
        Command::Compare(args) => Ok(compare::run(&args)),
        Command::Soak(args) => soak::run(args),
        Command::Restart(args) => restart::run(args),
        Command::Layers(args) => layers::run(args),
        Command::Cost(args) => cost::run(args),
        Command::Goodput(args) => goodput::run(args),
        Command::Honesty(args) => honesty::run(&args),
        Command::Shard(args) => shard::run(args),
        Command::Gateway(args) => gateway::run(args),
        Command::Mutations(args) => mutations::run(args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Flags that cannot be read: what pipelines call has an exit code of its own for them.
fn refused(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    let is_run = std::env::args().nth(1).is_some_and(|command| ["run", "knee", "compare"].contains(&command.as_str()));
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if is_run => ExitCode::from(crate::run::Exit::Invalid.code()),
        code => ExitCode::from(u8::try_from(code).unwrap_or(1)),
    }
}

/// The runtime of everything that is not the gateway.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}
