//! The rules of Grafana's dashboard-linter that can be checked without Grafana.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{query, read};

fn board() -> Value {
    serde_json::from_str(&read("grafana/correlation.json")).unwrap()
}

fn panels() -> Vec<Value> {
    board()["panels"].as_array().unwrap().clone()
}

/// Every query of the board, with its panel's title.
pub(crate) fn queries() -> Vec<(String, String)> {
    let of = |panel: &Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.into_iter().map(move |t| (title.clone(), t["expr"].as_str().unwrap().to_owned())).collect::<Vec<_>>()
    };
    panels().iter().flat_map(of).collect()
}

/// A query as Prometheus would be asked it.
pub(crate) fn concrete(expr: &str, window: &str) -> String {
    let expr = expr.replace("$__rate_interval", window).replace("$__range", window).replace("$job", "sekisho");
    expr.replace("$instance", ".*").replace("$municipality", ".*")
}

#[test]
fn panels_have_a_title_a_description_a_unit_and_the_boards_datasource() {
    for panel in panels().iter().filter(|p| p["type"] != "row") {
        let title = panel["title"].as_str().filter(|t| !t.is_empty()).expect("a title");
        assert!(panel["description"].as_str().is_some_and(|d| d.len() > 10), "{title}: description");
        assert!(panel["fieldConfig"]["defaults"]["unit"].as_str().is_some_and(|u| !u.is_empty()), "{title}: unit");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}: queries");
        assert!(targets.iter().all(|t| t["datasource"]["uid"] == "${datasource}"), "{title}");
    }
    let variables = board()["templating"]["list"].as_array().unwrap().clone();
    assert!(variables.iter().any(|v| v["type"] == "datasource" && v["name"] == "datasource"));
}

#[test]
fn ids_and_titles_are_unique_and_nothing_overlaps() {
    let (mut ids, mut titles, mut cells) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for panel in panels() {
        let title = panel["title"].as_str().unwrap().to_owned();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: id");
        assert!(titles.insert(title.clone()), "{title} twice");
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24 && at("w") > 0 && at("h") > 0, "{title}: place");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(cells.insert((x, y)), "{title} lies on another panel at {x},{y}");
            }
        }
    }
}

#[test]
fn queries_name_only_what_is_declared_and_use_the_boards_variables() {
    for (title, expr) in queries() {
        query::lint(&expr);
        for selector in expr.split("sekisho_").skip(1) {
            assert!(
                selector.contains(r#"{job="$job",instance=~"$instance""#),
                "{title}: no job and instance in {expr}"
            );
        }
        for window in expr.split('[').skip(1) {
            let fixed = !window.starts_with("$__rate_interval]") && !window.starts_with("$__range]");
            assert!(!fixed, "{title}: a fixed window in {expr}");
        }
    }
}
