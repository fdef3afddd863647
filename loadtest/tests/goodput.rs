//! `sekisho-loadtest goodput` as a pipeline calls it, as short as it can be: who takes part, what is counted, what is written.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panic")]

use std::process::{Command, Stdio};

use serde_json::Value;

#[test]
fn everybody_is_measured_at_a_multiple_of_a_capacity_that_was_measured_too() {
    let dir = tempfile::tempdir().unwrap();
    let [json, page] = ["contest.json", "contest.html"].map(|name| dir.path().join(name));
    let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho-loadtest"));
    command.args(["goodput", "--multiples", "0.3", "--runs", "1", "--seconds", "1", "--sweep-at", "0"]);
    command.args(["--against", "haproxy,none", "--json"]).arg(&json).arg("--report").arg(&page);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = [&output.stdout, &output.stderr].map(|stream| String::from_utf8_lossy(stream).into_owned()).concat();
    // How well anybody does on a busy machine is no matter of this test.
    assert!(matches!(output.status.code(), Some(0 | 98 | 99)), "{:?}: {said}", output.status);
    let contest: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let capacity = contest["capacity"].as_f64().unwrap();
    assert!((20.0..=160.0).contains(&capacity), "16 at once for 100 ms each: {capacity}");
    let rows = contest["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"sekisho") && names.contains(&"none"), "{said}");
    for row in rows {
        assert_eq!(row["wrong"], 0, "{said}");
        assert!(row["goodput"].as_f64().unwrap() > 0.05, "nobody served anybody: {said}");
        assert!(row["started"].as_u64().unwrap() > 10, "{said}");
    }
    let page = std::fs::read_to_string(&page).unwrap();
    assert!(page.contains("<svg") && page.contains("sekisho") && !page.contains("<script"), "{said}");
}
