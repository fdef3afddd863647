//! Command line: one subcommand a file; this one only dispatches.

mod cost;
mod demo;
mod gateway;
mod incidents;
mod layers;
mod legacy;
mod mutations;
mod restart;
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
    /// Very many issuances through the gateway while every fault fires.
    Soak(soak::Args),
    /// Kill the gateway at random points while the backend prints.
    Restart(restart::Args),
    /// Switch each check off in turn and show what the rest still catch.
    Layers(layers::Args),
    /// CPU per request of nginx, HAProxy, Envoy and the gateway in front of the same backend.
    Cost(cost::Args),
    /// The gateway itself.
    #[command(hide = true, disable_help_flag = true)]
    Gateway(gateway::Args),
    /// Break each invariant in a scratch copy and expect a test to name it.
    Mutations(mutations::Args),
}

/// Parses the process's arguments and runs the chosen subcommand.
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Legacy(args) => legacy::run(args),
        Command::Incidents(args) => incidents::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Soak(args) => soak::run(args),
        Command::Restart(args) => restart::run(args),
        Command::Layers(args) => layers::run(args),
        Command::Cost(args) => cost::run(args),
        Command::Gateway(args) => gateway::run(args),
        Command::Mutations(args) => mutations::run(args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// The runtime of everything that is not the gateway.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}
