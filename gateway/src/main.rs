//! The `sekisho-gateway` binary: an allocator and a call.

use std::process::ExitCode;

#[cfg(feature = "weakened")]
compile_error!(
    "the gateway that is shipped has no weakened build: use `cargo run --package sekisho-loadtest --features weakened -- layers`"
);

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    sekisho_gateway::cli::main_from(std::env::args_os())
}
