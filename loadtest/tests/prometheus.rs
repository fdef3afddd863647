//! Every query of the board and of the alerts, on a real Prometheus that scraped a run with a fault.
//!
//! Needs Debian's `prometheus`; without it, the test says so and does nothing.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sekisho_loadtest::cluster::prometheus::{Prometheus, value};
use sekisho_loadtest::cluster::{Site, Town, TownPlan, protecting};
use sekisho_loadtest::incidents::{Ended, Field, Side, Visit};
use sekisho_loadtest::legacy::resident::PersonNo;
use sekisho_loadtest::legacy::{Fault, FaultPlan, Form};
use sekisho_loadtest::report::Step;
use serde_json::Value;

/// Queries that the fault of this run must move, by a part of their text.
const MOVED: [&str; 5] = [
    "sum(sekisho_latch_active",
    "max by (municipality, kind) (sekisho_latch_active{",
    "outcome=\"withheld\"",
    "verdict!=\"match\"",
    "max(sekisho_latch_oldest_seconds",
];

fn dashboards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}

fn files(dir: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dashboards().join(dir)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|e| e == extension)).collect()
}

/// Every panel's queries with Grafana's variables filled in.
fn board_queries() -> Vec<String> {
    fn collect(panels: &Value, found: &mut Vec<String>) {
        for panel in panels.as_array().into_iter().flatten() {
            let targets = panel["targets"].as_array().into_iter().flatten();
            found.extend(targets.filter_map(|target| target["expr"].as_str()).map(str::to_owned));
            collect(&panel["panels"], found);
        }
    }
    let mut found = Vec::new();
    for file in files("grafana", "json") {
        let board: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        collect(&board["panels"], &mut found);
    }
    let filled = |query: String| {
        [
            ("$__rate_interval", "1m"),
            ("$__range", "5m"),
            ("$job", "sekisho"),
            ("$instance", ".*"),
            ("$municipality", ".*"),
        ]
        .iter()
        .fold(query, |text, (name, value)| text.replace(name, value))
    };
    found.into_iter().map(filled).collect()
}

/// What an alert looks at, without the comparison that makes it empty as long as all is well.
fn looked_at(expression: &str) -> String {
    let first = expression.split(" and ").next().unwrap_or_default().trim();
    let compared = [" > ", " == ", " != ", " < "].iter().filter_map(|operator| first.rfind(operator)).max();
    let end = compared.filter(|at| first[at + 3..].trim_start_matches(['=', ' ']).parse::<f64>().is_ok());
    let burn = first.split(" > 14.4").next().unwrap_or_default();
    end.map_or(burn, |at| &first[..at]).to_owned()
}

fn sum(samples: &[Value]) -> f64 {
    samples.iter().filter_map(value).filter(|v| v.is_finite()).sum()
}

async fn visit(field: &Arc<Field>, person: PersonNo, form: Form) -> Ended {
    let visit = Visit { person, form, household: false, looks_first: true, since: None, walks_away: None };
    field.visit(Side::Everyday, visit).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_speaks_and_the_fault_moves_what_it_must() {
    if Command::new("prometheus").arg("--version").output().is_err() {
        println!("prometheus is not installed: nothing was tried");
        return;
    }
    let town = Town::start(TownPlan::of(7, 3, 60)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_sekisho-loadtest"));
    let site = Site::prepare(program, dir.path(), &protecting(&town).unwrap()).unwrap();
    let gateway = site.start().await.unwrap();
    let rules = files("prometheus/rules", "yml");
    let mut prometheus = Prometheus::start(Path::new("prometheus"), dir.path(), gateway.metrics, &rules).await.unwrap();
    let field = Field::new(town, gateway.kiosk_side, Duration::from_secs(20), Step::silent());
    let people: Vec<PersonNo> = field.town.cities().flat_map(|city| field.town.can_ask_for(city, Form::Tax)).collect();

    for person in people.iter().step_by(8) {
        assert_eq!(visit(&field, *person, Form::ResidentRecord).await, Ended::Released);
    }
    let released = "sum(sekisho_requests_total{outcome=\"released\"}) > 0";
    prometheus.until(released, |found| !found.is_empty()).await.unwrap();
    // A rate needs two scrapes of something that moved.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let queries = board_queries();
    let mut before = Vec::new();
    for query in &queries {
        before.push(sum(&prometheus.query(query).await.unwrap()));
    }
    let firing = "ALERTS{alertname=\"SekishoLatchSet\", alertstate=\"firing\"}";
    assert!(prometheus.query(firing).await.unwrap().is_empty(), "an alert fires before anything happened");

    field.town.faults(&FaultPlan::in_city(Fault::InsuranceWeakMatch, field.town.code(0), 1.0));
    let mistakable = *people.iter().find(|person| field.town.is_mistakable(**person)).unwrap();
    assert_eq!(visit(&field, mistakable, Form::Tax).await, Ended::Withheld);
    for person in people.iter().skip(3).step_by(12) {
        visit(&field, *person, Form::ResidentItems).await;
    }
    prometheus.until(firing, |found| !found.is_empty()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;

    let mut silent = Vec::new();
    let mut unmoved: Vec<&str> = MOVED.to_vec();
    for (query, before) in queries.iter().zip(before) {
        let found = prometheus.query(query).await.unwrap();
        if found.is_empty() {
            silent.push(query.clone());
        }
        if sum(&found) > before {
            unmoved.retain(|part| !query.contains(part));
        }
    }
    for (kind, name, expression) in prometheus.rules().await.unwrap() {
        if prometheus.query(&looked_at(&expression)).await.unwrap().is_empty() {
            silent.push(format!("{kind} {name}: {}", looked_at(&expression)));
        }
    }
    assert!(silent.is_empty(), "queries that say nothing: {silent:#?}");
    assert!(unmoved.is_empty(), "the fault did not move {unmoved:?}");
    let wrongly =
        prometheus.query("ALERTS{alertstate=\"firing\", alertname!~\"SekishoLatchSet|Watchdog|.*Watchdog\"}").await;
    assert!(wrongly.as_ref().unwrap().is_empty(), "{wrongly:?}");
}
