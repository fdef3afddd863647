//! `sekisho-loadtest run` as a pipeline calls it: the real binary, short plans, its exit codes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn plans() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("plans")
}

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho-loadtest"));
    command.arg("run").stdin(Stdio::null());
    command
}

/// What came of a run: exit code, all that it said, and its JSON where it wrote one.
struct Ran {
    code: Option<i32>,
    said: String,
    report: Option<Value>,
}

impl Ran {
    fn of(output: &Output, json: &Path) -> Self {
        let said = [&output.stdout, &output.stderr].map(|stream| String::from_utf8_lossy(stream).into_owned()).concat();
        let report = std::fs::read_to_string(json).ok().map(|text| serde_json::from_str(&text).unwrap());
        Self { code: output.status.code(), said, report }
    }
}

fn run(plan: &str, flags: &[&str]) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let (file, json) = (dir.path().join("plan.toml"), dir.path().join("report.json"));
    std::fs::write(&file, plan).unwrap();
    let output = binary().arg(&file).arg("--json").arg(&json).args(flags).output().unwrap();
    Ran::of(&output, &json)
}

/// A second of a few people, and whatever else.
fn second(rest: &str) -> String {
    format!(
        "name = \"short\"\nwhy = \"A test.\"\n[kiosk]\nthink = \"10ms\"\npatience = \"10s\"\n{rest}\n\
         [simulated]\nresidents = 60\nservice = \"5ms\"\n[[stage]]\nname = \"only\"\nrate = \"4/s\"\nfor = \"1s\"\n"
    )
}

#[test]
fn the_smoke_plan_passes() {
    let text = std::fs::read_to_string(plans().join("smoke.toml")).unwrap();
    let ran = run(&text, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let report = ran.report.unwrap();
    assert_eq!(report["exit"], 0);
    assert!(report["judged"].as_u64().unwrap() > 20, "{report}");
    assert_eq!(report["reconciled"]["unreconciled"], 0);
    assert!(report["series"].as_array().unwrap().len() >= 9);
}

#[test]
fn a_broken_threshold_is_99() {
    let ran = run(&second("[thresholds]\nservice = [\"latency p(50) < 1us\"]"), &[]);
    assert_eq!(ran.code, Some(99), "{}", ran.said);
    assert!(ran.said.contains("BROKEN service"), "{}", ran.said);
}

#[test]
fn an_invalid_plan_or_flag_is_104_and_says_where() {
    let ran = run(&second("abandn = 0.1"), &[]);
    assert_eq!(ran.code, Some(104), "{}", ran.said);
    assert!(ran.said.contains("plan.toml:6:1: `kiosk.abandn`") && ran.said.contains("try: abandon"), "{}", ran.said);
    assert!(ran.report.is_none());
    assert_eq!(run(&second(""), &["--targt", "x"]).code, Some(104));
    let refused = run(&second(""), &["--target", "http://production.example"]);
    assert_eq!(refused.code, Some(104), "{}", refused.said);
    assert!(refused.said.contains("not in target.allow"), "{}", refused.said);
    assert_eq!(binary().arg("no-such-plan.toml").output().unwrap().status.code(), Some(104));
}

#[test]
fn too_few_kiosks_are_98_whatever_else_is_broken() {
    let few = "[population]\nkiosks = 1\n[thresholds]\nhonesty = [\"dropped_starts == 0\"]\nservice = [\"latency p(50) < 1us\"]";
    let ran = run(&second(few).replace("think = \"10ms\"", "think = \"800ms\""), &[]);
    assert_eq!(ran.code, Some(98), "{}", ran.said);
}

#[test]
fn the_reasons_of_a_run_are_in_its_json() {
    let ran = run(&second("retry = { on = [\"shed\"], times = 1, after = \"10ms\" }"), &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let report = ran.report.unwrap();
    for key in ["plan", "why", "seed", "machine", "version", "stages", "ranks", "steps", "thresholds", "series"] {
        assert!(report.get(key).is_some(), "{key} is missing");
    }
}
