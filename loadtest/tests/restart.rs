//! `kill -9` in the middle: nothing wrong leaves, no two calls for one resident meet, latches are still there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

use sekisho_loadtest::report::Step;
use sekisho_loadtest::restart::{RestartPlan, restart};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gateway_comes_back_without_a_second_call_in_flight() {
    let program = env!("CARGO_BIN_EXE_sekisho-loadtest").into();
    let survived = restart(&RestartPlan { program, points: 4, seed: 7 }, Step::silent()).await.unwrap();
    assert!(survived.complaints().is_empty(), "{:?} {survived:?}", survived.complaints());
}
