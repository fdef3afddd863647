//! A small configuration and an edge for the tests of other files.

use super::*;
use crate::durable_log::scripted::Scripted;
use crate::record::{Memory, Records};

/// Every operation once, against a backend that nobody has to run.
pub(crate) const CONFIG: &str = include_str!("tests.toml");

/// An edge on a state directory of its own, which lives as long as the process: tests are short.
pub(crate) fn edge() -> Arc<Edge> {
    edge_with(|path, clock| Records::open(&path, Memory::default(), clock).unwrap())
}

/// The same, whose records go to a disk of the test's own.
pub(crate) fn edge_on(log: Arc<Scripted>) -> Arc<Edge> {
    edge_with(|_, clock| Records::scripted(log, Memory::default(), clock))
}

fn edge_with(records: impl FnOnce(std::path::PathBuf, Clock) -> Arc<Records>) -> Arc<Edge> {
    let dir = tempfile::tempdir().unwrap().keep().join("state");
    let state = StateDir::open(&dir).unwrap();
    let registry = Arc::new(Registry::isolated());
    let clock = Clock::system();
    let latches = Arc::new(Latches::open(&state.path("latches"), clock.clone()).unwrap());
    let records = records(state.path("records"), clock.clone());
    let switches = Arc::new(Switches::open(&state.path("switches"), &state.path("off"), clock.clone()).unwrap());
    let brackets = Arc::new(Brackets::open(&state.path("brackets"), clock.clone()).unwrap());
    let gate =
        Gate::on(records, &state, registry.clone(), latches.clone(), switches.clone(), brackets.clone(), clock.clone())
            .unwrap();
    let parts = Parts { clock, registry, latches, switches, brackets, gate };
    Edge::start(crate::config::parse(CONFIG).unwrap_or_else(|m| panic!("{m:#?}")), &state, parts).unwrap()
}
