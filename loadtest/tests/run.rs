//! `sekisho-loadtest run` as a pipeline calls it: the real binary, short plans, its exit codes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

use std::io::{BufRead, BufReader, Read, Write};
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

/// What stands under `/metrics` there.
fn scrape(address: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET /metrics HTTP/1.0\r\nhost: t\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
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
fn a_plan_in_soap_or_in_forms_serves_judges_and_reconciles_like_one_in_json() {
    let steps =
        "steps = [\"open\", \"inquire\", \"issue\", \"confirm\"]\n[[alongside]]\nwhat = \"amend\"\nrate = \"2/s\"";
    let promised =
        "[thresholds]\nsafety = [\"wrong == 0\"]\nservice = [\"goodput >= 99%\"]\nhonesty = [\"unreconciled == 0\"]";
    for dialect in ["soap", "form"] {
        let ran = run(&format!("dialect = \"{dialect}\"\n{}", second(&format!("{steps}\n{promised}"))), &[]);
        assert_eq!(ran.code, Some(0), "{dialect}: {}", ran.said);
        let report = ran.report.unwrap();
        assert!(report["judged"].as_u64().unwrap() >= 8, "{dialect}: {report}");
        assert!(report["changes"].as_u64().unwrap() >= 1, "{dialect}: {report}");
    }
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

#[test]
fn a_harmful_document_is_97_and_stops_the_run() {
    // Straight at a backend that finds people for tax certificates by reading, birth date and sex.
    let weak = "[[fault]]\nat = \"0s\"\nfor = \"60s\"\nwhat = \"insurance-weak-match\"\nrate = 1.0\n\
                [thresholds]\nservice = [\"latency p(50) < 1us\"]\nhonesty = [\"start_error max < 1us\"]";
    let plan = second("mix = { tax = 100 }")
        .replace("residents = 60", "residents = 600\nstraight = true")
        .replace("\"4/s\"\nfor = \"1s\"", "\"100/s\"\nfor = \"60s\"");
    let ran = run(&format!("{plan}{weak}"), &[]);
    assert_eq!(ran.code, Some(97), "{}", ran.said);
    let report = ran.report.unwrap();
    assert!(report["harms"]["wrong_person"].as_u64().unwrap() > 0, "{}", ran.said);
    assert_eq!(report["stopped"], "harm");
    assert!(report["seconds"].as_f64().unwrap() < 45.0, "it went on after the first harm");
    assert!(!report["examples"].as_array().unwrap().is_empty());
}

#[test]
fn an_interrupted_run_is_105_and_still_writes_its_reports() {
    let dir = tempfile::tempdir().unwrap();
    let [file, json, page] = ["plan.toml", "report.json", "report.html"].map(|name| dir.path().join(name));
    std::fs::write(&file, second("").replace("for = \"1s\"", "for = \"10m\"")).unwrap();
    let mut command = binary();
    command.arg(&file).arg("--json").arg(&json).arg("--report").arg(&page).args(["--metrics", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The second line is the first second of the run.
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let told =
        lines.by_ref().map_while(Result::ok).find_map(|line| Some(line.strip_prefix("metrics http://")?.to_owned()));
    let first = lines.by_ref().map_while(Result::ok).find(|line| line.contains("offered")).unwrap();
    assert!(first.contains("only"), "{first}");
    let scraped = scrape(told.unwrap().strip_suffix("/metrics").unwrap());
    assert!(scraped.contains("\nsekisho_loadtest_sessions_offered_total "), "{scraped}");
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let output = child.wait_with_output().unwrap();
    let ran = Ran::of(&output, &json);
    assert_eq!(ran.code, Some(105), "{}\n{}", ran.said, rest.join("\n"));
    assert_eq!(ran.report.unwrap()["stopped"], "interrupted");
    assert!(std::fs::read_to_string(&page).unwrap().contains("partial report"));
}

#[test]
fn the_report_is_one_file_that_asks_for_nothing_from_outside() {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("report.html");
    let ran = run(&second("[thresholds]\nsafety = [\"wrong == 0\"]"), &["--report", page.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let page = std::fs::read_to_string(page).unwrap();
    for expected in ["<svg", "wrong == 0", "passed", "Over time", "unreconciled"] {
        assert!(page.contains(expected), "{expected}");
    }
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"), "{page}");
}

/// The same on a terminal of its own, `script`'s; `None` where that is not installed.
fn on_a_terminal(arguments: &str, dir: &Path) -> Option<std::process::Child> {
    let binary = env!("CARGO_BIN_EXE_sekisho-loadtest");
    let command = format!("stty rows 40 cols 120; exec {binary} run {arguments}");
    let mut script = Command::new("script");
    script.args(["-q", "-e", "-f", "-c", &command]).arg(dir.join("typescript")).env("TERM", "xterm-256color");
    let child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    assert!(
        child.is_ok() || std::env::var_os("SEKISHO_REQUIRE_TOOLS").is_none(),
        "script is required: apt-get install bsdutils"
    );
    child.ok()
}

#[test]
fn whoever_ends_a_run_on_a_terminal_has_their_screen_back_and_a_partial_report() {
    const TAKEN: &str = "\x1b[?1049h";
    const GIVEN_BACK: &str = "\x1b[?1049l";
    let dir = tempfile::tempdir().unwrap();
    let (file, json) = (dir.path().join("plan.toml"), dir.path().join("report.json"));
    std::fs::write(&file, second("").replace("for = \"1s\"", "for = \"600s\"")).unwrap();
    let Some(mut child) = on_a_terminal(&format!("{} --json {}", file.display(), json.display()), dir.path()) else {
        eprintln!("skipped: script is not installed");
        return;
    };
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut said = String::new();
    let mut piece = [0; 4096];
    let mut pressed = false;
    loop {
        let read = screen.read(&mut piece).unwrap();
        if read == 0 {
            break;
        }
        said.push_str(&String::from_utf8_lossy(&piece[..read]));
        // A second was drawn: somebody sees how it goes, and ends it.
        if !pressed && said.contains("mismatches") {
            pressed = true;
            keys.write_all(b"\x03").unwrap();
            keys.flush().unwrap();
        }
    }
    assert_eq!(child.wait().unwrap().code(), Some(105), "{said}");
    let (taken, back) = (said.find(TAKEN).expect("no screen"), said.find(GIVEN_BACK).expect("not given back"));
    assert!(taken < back && said[back..].contains("\x1b[?25h"), "the cursor is there again: {said}");
    assert!(said[back..].contains("interrupted"), "the table stands on the screen of the shell: {said}");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(report["exit"], 105);
}
