//! A very short soak: the command itself runs 20,000 in continuous integration.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

use sekisho_loadtest::report::Step;
use sekisho_loadtest::soak::{SoakPlan, soak};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_every_fault_active_nothing_wrong_leaves_and_nothing_right_is_kept_in() {
    let program = env!("CARGO_BIN_EXE_sekisho-loadtest").into();
    let plan = SoakPlan { program, requests: 150, rate: 0.02, seed: 7, kiosks: 8 };
    let figures = soak(&plan, Step::silent()).await.unwrap();
    let harms = figures.wrong_person + figures.mixed_page + figures.stale + figures.duplicate;
    assert_eq!((harms, figures.false_withholds), (0, 0), "{figures}");
    assert!(figures.released > 0 && figures.faults.values().any(|(windows, _)| *windows > 0), "{figures}");
}
