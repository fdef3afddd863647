//! What each rule looks at is there, on a real Prometheus: an alert over a series that does not exist is silent for ever.
//!
//! With `SEKISHO_REQUIRE_TOOLS=1` a missing Prometheus is a failure; otherwise it is said and skipped.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sekisho_loadtest::cluster::prometheus::Prometheus;
use sekisho_loadtest::cluster::{Site, Town, TownPlan, protecting, sing};
use sekisho_loadtest::incidents::{Ended, Field, Side, Visit};
use sekisho_loadtest::legacy::Form;
use sekisho_loadtest::report::Step;

fn dashboards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}

fn files(dir: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dashboards().join(dir)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|e| e == extension)).collect()
}

/// What an alert looks at, without the comparison that makes it empty as long as all is well.
fn looked_at(expression: &str) -> String {
    let first = expression.split(" and ").next().unwrap_or_default().trim();
    let compared = [" > ", " == ", " != ", " < "].iter().filter_map(|operator| first.rfind(operator)).max();
    let end = compared.filter(|at| first[at + 3..].trim_start_matches(['=', ' ']).parse::<f64>().is_ok());
    let burn = first.split(" > 14.4").next().unwrap_or_default();
    end.map_or(burn, |at| &first[..at]).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_rule_looks_at_something_that_is_not_there() {
    if Command::new("prometheus").arg("--version").output().is_err() {
        assert!(
            std::env::var_os("SEKISHO_REQUIRE_TOOLS").is_none(),
            "prometheus is required: apt-get install prometheus"
        );
        eprintln!("skipped: prometheus is not installed");
        return;
    }
    let town = Town::start(TownPlan::of(7, 2, 40)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_sekisho-loadtest"));
    let mut configuration = protecting(&town).unwrap();
    sing(&mut configuration, &town, Form::FamilyRegister, "1h");
    let site = Site::prepare(program, dir.path(), &configuration).unwrap();
    let gateway = site.start().await.unwrap();
    let rules = files("prometheus/rules", "yml");
    let mut prometheus = Prometheus::start(Path::new("prometheus"), dir.path(), gateway.metrics, &rules).await.unwrap();
    let field = Field::new(town, gateway.kiosk_side, Duration::from_secs(20), Step::silent());
    for person in field.town.can_ask_for(0, Form::Tax).into_iter().take(5) {
        let visit =
            Visit { person, form: Form::Tax, household: false, looks_first: true, since: None, walks_away: None };
        assert_eq!(field.visit(Side::Everyday, visit).await, Ended::Released);
    }
    prometheus.until("sum(rate(sekisho_requests_total[1m])) > 0", |found| !found.is_empty()).await.unwrap();

    let loaded = prometheus.rules().await.unwrap();
    assert!(loaded.len() > 10, "{loaded:?}");
    let mut silent = Vec::new();
    for (kind, name, expression) in loaded {
        // Recorded series need another evaluation or two.
        if prometheus.until(&looked_at(&expression), |found| !found.is_empty()).await.is_err() {
            silent.push(format!("{kind} {name}: {}", looked_at(&expression)));
        }
    }
    assert!(silent.is_empty(), "rules that could never speak: {silent:#?}");
}
