//! The board and the alerts on a real Prometheus that scraped a gateway before and while its backend is wrong.
//!
//! With `SEKISHO_REQUIRE_TOOLS=1` a missing Prometheus is a failure; otherwise it is said and skipped.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sekisho_gateway::registry::ALL;
use sekisho_loadtest::cluster::prometheus::{Prometheus, value};
use sekisho_loadtest::cluster::{Site, Town, TownPlan, protecting, sing};
use sekisho_loadtest::incidents::{Ended, Field, Side, Visit};
use sekisho_loadtest::legacy::{Fault, FaultPlan, Form};
use sekisho_loadtest::report::Step;
use serde_json::Value;

/// Say nothing while nothing is latched, and where no TLS is spoken, which is the point of them.
const EMPTY_WHILE_GOOD: [&str; 2] = ["Suspended now", "TLS identity ends in"];

fn dashboards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}

/// Title and query of every target, as Grafana would send them.
fn queries() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(dashboards().join("grafana/correlation.json")).unwrap();
    let board: Value = serde_json::from_str(&text).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let targets = |panel: &Value| panel["targets"].as_array().cloned().unwrap_or_default();
    let concrete = |expr: &str| {
        let windows = expr.replace("$__rate_interval", "30s").replace("$__range", "1h");
        windows.replace("$job", "sekisho").replace("$instance", ".*").replace("$municipality", ".*")
    };
    let of = |panel: &Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        targets(panel)
            .into_iter()
            .map(move |t| (title.clone(), concrete(t["expr"].as_str().unwrap())))
            .collect::<Vec<_>>()
    };
    panels.iter().flat_map(of).collect()
}

/// The sum of what the panel's queries give now; what is not a number does not count.
async fn shown(prometheus: &mut Prometheus, title: &str) -> f64 {
    let mut sum = 0.0;
    for (_, expr) in queries().into_iter().filter(|(of, _)| of == title) {
        let samples = prometheus.query(&expr).await.unwrap();
        sum += samples.iter().filter_map(value).filter(|v| v.is_finite()).sum::<f64>();
    }
    sum
}

async fn visit_everybody(field: &Field, form: Form, cities: std::ops::Range<usize>, looks_first: bool) -> Vec<Ended> {
    let mut ends = Vec::new();
    for city in cities {
        for person in field.town.can_ask_for(city, form).into_iter().take(10) {
            let visit = Visit { person, form, household: false, looks_first, since: None, walks_away: None };
            ends.push(field.visit(Side::Everyday, visit).await);
        }
    }
    ends
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_is_answered_and_a_wrong_backend_moves_the_board_and_pages() {
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
    let rules = ["safety.yml", "service.yml"].map(|f| dashboards().join("prometheus/rules").join(f));
    let mut prometheus = Prometheus::start(Path::new("prometheus"), dir.path(), gateway.metrics, &rules).await.unwrap();
    let field = Field::new(town, gateway.kiosk_side, Duration::from_secs(20), Step::silent());

    // What is emitted and what is declared is the same, once a canary has passed.
    let passed = "sekisho_canary_last_pass_timestamp_seconds{expect=\"withhold\"} > 0";
    prometheus.until(passed, |found| !found.is_empty()).await.unwrap();
    let found = prometheus.query(r#"count by (__name__) ({__name__=~"sekisho_.+"})"#).await.unwrap();
    let emitted: BTreeSet<String> = found
        .iter()
        .filter_map(|s| s.pointer("/metric/__name__")?.as_str())
        .map(|n| ["_bucket", "_sum", "_count"].iter().find_map(|suffix| n.strip_suffix(suffix)).unwrap_or(n).to_owned())
        .collect();
    let declared: BTreeSet<String> = ALL.iter().map(|m| m.name.to_owned()).collect();
    assert_eq!(emitted, declared, "in a scrape | in the registry");

    // A good backend: everything leaves verified, every panel answers, nothing fires.
    let ends = visit_everybody(&field, Form::Tax, 0..2, true).await;
    assert!(ends.iter().all(|end| *end == Ended::Released), "{ends:?}");
    let verified = format!("sum(sekisho_documents_verified_total{{kind=\"tax\"}}) == {}", ends.len());
    prometheus.until(&verified, |found| !found.is_empty()).await.unwrap();
    let all_left = "sum(sekisho_documents_ended_total{end=\"released\"}) == sum(sekisho_documents_verified_total)";
    prometheus.until(all_left, |found| !found.is_empty()).await.unwrap();
    prometheus.until("sum(rate(sekisho_requests_total[30s])) > 0", |found| !found.is_empty()).await.unwrap();
    for (title, expr) in queries() {
        let samples = prometheus.query(&expr).await.unwrap();
        let answered = samples.iter().filter_map(value).any(f64::is_finite);
        assert!(answered || EMPTY_WHILE_GOOD.contains(&title.as_str()), "{title}: nothing from {expr}");
    }
    for zero in
        ["Left without a verdict", "Latched", "Withheld by reason", "Checks that did not match", "Suspended now"]
    {
        assert_eq!(shown(&mut prometheus, zero).await, 0.0, "{zero}");
    }
    let firing = r#"ALERTS{alertstate="firing",alertname!="SekishoWatchdog"}"#;
    assert_eq!(prometheus.query(firing).await.unwrap(), Vec::<Value>::new());
    assert_eq!(prometheus.query(r#"ALERTS{alertname="SekishoWatchdog"}"#).await.unwrap().len(), 1);

    // One municipality's answers name other requests: withheld, latched, shown and paged; the other goes on.
    let code = field.town.code(0).to_owned();
    field.town.faults(&FaultPlan::in_city(Fault::WrongEcho, &code, 1.0));
    let ends = visit_everybody(&field, Form::Tax, 0..2, false).await;
    assert_eq!(ends.iter().filter(|end| **end == Ended::Released).count(), 10, "{ends:?}");
    let paged = format!(r#"ALERTS{{alertname="SekishoLatchSet",alertstate="firing",municipality="{code}"}}"#);
    if let Err(error) = prometheus.until(&paged, |found| found.len() == 1).await {
        let ends = prometheus.query("sum by (route, outcome, reason) (sekisho_requests_total) > 0").await;
        panic!("{error}: {ends:#?}");
    }
    let withheld = r#"sum(rate(sekisho_requests_total{outcome="withheld"}[30s])) > 0"#;
    prometheus.until(withheld, |found| !found.is_empty()).await.unwrap();
    for moved in ["Latched", "Withheld by reason", "Checks that did not match", "Suspended now", "Channels burned"] {
        assert!(shown(&mut prometheus, moved).await > 0.0, "{moved} did not move");
    }
    assert_eq!(shown(&mut prometheus, "Left without a verdict").await, 0.0);
    let ever =
        r#"max_over_time((sum(sekisho_documents_ended_total) - sum(sekisho_documents_verified_total))[10m:250ms]) > 0"#;
    assert_eq!(prometheus.query(ever).await.unwrap(), Vec::<Value>::new(), "at no scrape more ended than verified");
}
