//! A small configuration and an edge for the tests of other files.

use super::*;

/// Every operation once, against a backend that nobody has to run.
pub(crate) const CONFIG: &str = include_str!("tests.toml");

/// An edge on a state directory of its own, which lives as long as the process: tests are short.
pub(crate) fn edge() -> Arc<Edge> {
    let dir = tempfile::tempdir().unwrap().keep().join("state");
    let state = StateDir::open(&dir).unwrap();
    let registry = Arc::new(Registry::isolated());
    let clock = Clock::system();
    let latches = Arc::new(Latches::open(&state.path("latches"), clock.clone()).unwrap());
    let gate = Gate::open(&state, registry.clone(), latches.clone(), clock.clone()).unwrap();
    let parts = Parts { clock, registry, latches, gate };
    Edge::start(crate::config::parse(CONFIG).unwrap_or_else(|m| panic!("{m:#?}")), &state, parts).unwrap()
}
