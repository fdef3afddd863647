//! The board and the alerts against the registry, and the rules against promtool.
//!
//! With `SEKISHO_REQUIRE_TOOLS=1` a missing tool is a failure; otherwise it is said and skipped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod board;
mod query;
mod rules;

use std::path::PathBuf;

fn dashboards() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboards"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(dashboards().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Every `sekisho_*` metric of the registry is on the board or in a rule: what nobody looks at should not be emitted.
#[test]
fn every_declared_metric_is_used() {
    let text = ["grafana/correlation.json", "prometheus/rules/safety.yml", "prometheus/rules/service.yml"]
        .map(read)
        .join("\n");
    let used: Vec<String> = query::names(&text).collect();
    for metric in sekisho_gateway::registry::ALL {
        let named = |n: &String| query::base(n) == metric.name;
        assert!(used.iter().any(named), "{} is declared and neither on the board nor in a rule", metric.name);
    }
}
