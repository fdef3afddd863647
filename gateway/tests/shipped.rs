//! What the binary that is shipped refuses, whatever it is told: to serve without knowing whose answer it hands out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

use std::process::{Command, Output};

/// The worked configuration with the `identity` of one certificate switched off; nothing else is wrong in it.
fn without_identity() -> toml::Table {
    let mut table: toml::Table = include_str!("../../loadtest/demo/gateway.toml").parse().unwrap();
    let routes = table["routes"].as_table_mut().unwrap();
    let issues = routes["resident_record"]["checks"].as_table_mut().unwrap();
    assert!(issues.insert("identity".to_owned(), false.into()).is_some());
    table
}

fn told(command: &str, table: &toml::Table) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    std::fs::write(&file, toml::to_string(table).unwrap()).unwrap();
    let mut gateway = Command::new(env!("CARGO_BIN_EXE_sekisho-gateway"));
    // Switches that somebody might hope for.
    gateway.env("SEKISHO_WEAKENED", "1").env("CARGO_FEATURE_WEAKENED", "1");
    gateway.args([command, "--config"]).arg(&file).current_dir(dir.path()).output().unwrap()
}

#[test]
fn the_shipped_binary_neither_accepts_nor_serves_a_route_without_identity() {
    for command in ["check", "run"] {
        let output = told(command, &without_identity());
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(output.status.code(), Some(2), "{command}: {said}");
        assert!(said.contains("routes.resident_record.checks.identity"), "{command}: {said}");
        assert!(said.contains("whose answer it is would not be checked"), "{command}: {said}");
        assert!(!said.contains("WEAKENED"), "{command}: {said}");
    }
}
