//! `sekisho-loadtest legacy`: the simulated backend on real sockets, for trying things with curl.

use std::net::SocketAddr;
use std::process::ExitCode;

/// Options of the simulated legacy backend.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where kiosks (or the gateway) reach the issuer.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the resident-record system answers.
    #[arg(long, default_value = "127.0.0.1:8081")]
    records: SocketAddr,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    println!("issuer {} records {}", args.listen, args.records);
    Ok(ExitCode::SUCCESS)
}
