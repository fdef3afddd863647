//! The `sekisho-gateway` binary: an allocator and a call.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sekisho_gateway::cli::main_from(std::env::args_os())
}
