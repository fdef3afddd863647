//! `sekisho-loadtest gateway ...` (hidden): the gateway itself, so that one binary is enough for the demonstration.

use std::ffi::OsString;
use std::process::ExitCode;

/// What the gateway's own command line takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let own_name = OsString::from("sekisho-gateway");
    Ok(sekisho_gateway::cli::main_from([own_name].into_iter().chain(args.arguments)))
}
