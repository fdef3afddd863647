//! `sekisho-loadtest run` against a gateway that it did not start: people from a list, papers judged by their text.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;

use sekisho_loadtest::cluster::{Site, Town, TownPlan, protecting};
use sekisho_loadtest::legacy::{Fault, FaultPlan};
use serde_json::Value;
use tokio::process::Command;

fn has_reader() -> bool {
    let found = std::process::Command::new("pdftotext").arg("-v").output().is_ok();
    assert!(found || std::env::var_os("SEKISHO_REQUIRE_TOOLS").is_none(), "pdftotext is required: poppler-utils");
    if !found {
        eprintln!("skipped: pdftotext is not installed");
    }
    found
}

/// Everybody of the town who may have certificates, as a municipality would list them.
fn residents(town: &Town) -> String {
    let mut csv = String::from("number,name,kana,birth,sex,address,city,card\n");
    for city in town.cities() {
        for sample in town.world().samples(town.code(city), true) {
            let record = town.world().register().get(sample.no).unwrap();
            let (person, address) = (&record.person, &record.address);
            let (kana, birth, sex) = (&person.kana, person.birth, person.sex.text());
            writeln!(
                csv,
                "{},{},{kana},{birth},{sex},{address},{},{}",
                sample.resident, sample.name, sample.city, sample.card
            )
            .unwrap();
        }
    }
    csv
}

async fn run(
    dir: &Path,
    target: SocketAddr,
    metrics: Option<SocketAddr>,
    mix: &str,
    rate: &str,
    flags: &[&str],
) -> (Output, Option<Value>) {
    let metrics = metrics.map(|at| format!("metrics = \"http://{at}/metrics\"\n")).unwrap_or_default();
    let plan = format!(
        "name = \"theirs\"\nwhy = \"A test.\"\n[target]\nurl = \"http://{target}\"\n{metrics}\
         [population]\nresidents = \"residents.csv\"\ncities = {{ \"991007\" = 50, \"991015\" = 50 }}\n\
         [kiosk]\nsteps = [\"open\", \"inquire\", \"issue\", \"confirm\"]\nthink = \"20ms\"\npatience = \"20s\"\nmix = {mix}\n\
         [[stage]]\nname = \"only\"\nrate = \"{rate}\"\nfor = \"3s\"\n\
         [thresholds]\nservice = [\"goodput >= 99%\"]\n"
    );
    let (file, json) = (dir.join("plan.toml"), dir.join("report.json"));
    std::fs::write(&file, plan).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho-loadtest"));
    let output = command.arg("run").arg(&file).arg("--json").arg(&json).args(flags).output().await.unwrap();
    let report = std::fs::read_to_string(&json).ok().map(|text| serde_json::from_str(&text).unwrap());
    (output, report)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn papers_of_a_gateway_that_is_not_ours_are_judged_by_their_text_and_its_counters_compared() {
    if !has_reader() {
        return;
    }
    let town = Town::start(TownPlan::of(7, 2, 60)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_sekisho-loadtest"));
    let site = Site::prepare(program, &dir.path().join("gateway"), &protecting(&town).unwrap()).unwrap();
    let gateway = site.start().await.unwrap();
    std::fs::write(dir.path().join("residents.csv"), residents(&town)).unwrap();
    let mix = "{ resident_record = 60, tax = 40 }";
    let (output, report) = run(dir.path(), gateway.kiosk_side, Some(gateway.metrics), mix, "4/s", &[]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let report = report.unwrap();
    assert_eq!((&report["unreadable"], &report["reconciled"]["unreconciled"]), (&0.into(), &0.into()), "{said}");
    assert!(report["judged"].as_u64().unwrap() >= 20, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_persons_paper_is_seen_in_its_text() {
    if !has_reader() {
        return;
    }
    let town = Town::start(TownPlan::of(7, 2, 300)).await.unwrap();
    town.faults(&FaultPlan::one(Fault::InsuranceWeakMatch, 1.0));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("residents.csv"), residents(&town)).unwrap();
    // Straight at the backend: it finds people for tax certificates by reading, birth date and sex.
    let (output, report) = run(dir.path(), town.issuer(), None, "{ tax = 100 }", "60/s", &[]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(97), "{said}");
    let report = report.unwrap();
    let papers: u64 = report["series"].as_array().unwrap().iter().map(|s| s["papers"].as_u64().unwrap()).sum();
    let wrong = report["harms"]["wrong_person"].as_u64().unwrap();
    assert!(wrong > 0 && wrong < papers, "most people are found rightly: {wrong} of {papers} are wrong\n{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_cannot_be_read_is_an_invalid_plan() {
    if !has_reader() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    let (output, _) = run(dir.path(), nobody, None, "{ tax = 100 }", "1/s", &[]).await;
    assert_eq!(output.status.code(), Some(104));
    std::fs::write(dir.path().join("residents.csv"), "number,name\n1,a\n").unwrap();
    let (output, _) = run(dir.path(), nobody, None, "{ tax = 100 }", "1/s", &[]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(104), "{said}");
    assert!(said.contains("residents.csv:1: column `birth` is missing"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_generator_processes_make_what_one_would_and_one_that_dies_leaves_no_result() {
    if !has_reader() {
        return;
    }
    let town = Town::start(TownPlan::of(7, 2, 60)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_sekisho-loadtest"));
    let site = Site::prepare(program, &dir.path().join("gateway"), &protecting(&town).unwrap()).unwrap();
    let gateway = site.start().await.unwrap();
    std::fs::write(dir.path().join("residents.csv"), residents(&town)).unwrap();
    let mix = "{ resident_record = 100 }";
    let (output, report) =
        run(dir.path(), gateway.kiosk_side, Some(gateway.metrics), mix, "4/s", &["--shards", "2"]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let report = report.unwrap();
    assert_eq!(report["stages"][0]["begun"], 12, "four a second for three seconds, whoever begins them: {said}");
    assert_eq!(report["reconciled"]["unreconciled"], 0, "{said}");
    assert_eq!(report["ranks"][0]["latency"]["count"], 12, "{said}");

    // One is killed as soon as it is there.
    let file = dir.path().join("plan.toml");
    let mut command = Command::new(program);
    command.arg("run").arg(&file).args(["--shards", "2"]).stdout(std::process::Stdio::null());
    let parent = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let children = format!("/proc/{0}/task/{0}/children", parent.id().unwrap());
    let child = loop {
        // Another process gives no event to wait for.
        let of_any_thread = std::fs::read_dir(format!("/proc/{}/task", parent.id().unwrap())).unwrap().flatten();
        let of_each = of_any_thread.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
        let all = of_each.collect::<Vec<_>>().join(" ");
        // It asks `pdftotext` for its version first.
        let is_generator = |child: &&str| {
            std::fs::read(format!("/proc/{child}/cmdline"))
                .is_ok_and(|line| line.windows(7).any(|word| word == b"\0shard\0"))
        };
        if let Some(child) = all.split_ascii_whitespace().find(is_generator) {
            break child.to_owned();
        }
        assert!(Path::new(&children).exists(), "it ended before it began");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    assert!(Command::new("kill").args(["-KILL", &child]).status().await.unwrap().success());
    let output = parent.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(98), "{said}");
    assert!(said.contains("generator process"), "{said}");
}

#[tokio::test]
async fn several_processes_need_a_target() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plan.toml");
    let plan = "name = \"t\"\nwhy = \"t\"\n[[stage]]\nname = \"a\"\nrate = \"1/s\"\nfor = \"1s\"\n";
    std::fs::write(&file, plan).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho-loadtest"));
    let output = command.arg("run").arg(&file).args(["--shards", "2"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(104));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--shards needs a target"));
}
