//! The alert rules: texts, runbooks, and what promtool says.

use std::process::Command;

use regex::Regex;

use crate::{board, dashboards, query, read};

const TESTS: [&str; 3] =
    ["prometheus/tests/safety_test.yml", "prometheus/tests/service_test.yml", "prometheus/tests/observe_test.yml"];
const FILES: [&str; 2] = ["prometheus/rules/safety.yml", "prometheus/rules/service.yml"];

/// `promtool`, or `None` where it may be missing.
fn promtool() -> Option<Command> {
    if Command::new("promtool").arg("--version").output().is_ok() {
        return Some(Command::new("promtool"));
    }
    assert!(std::env::var_os("SEKISHO_REQUIRE_TOOLS").is_none(), "promtool is required: apt-get install prometheus");
    eprintln!("skipped: promtool is not installed");
    None
}

fn runs(mut command: Command) {
    let output = command.current_dir(dashboards()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// Each alert's text, from its name to the next rule.
fn alerts() -> Vec<(String, String)> {
    let start = Regex::new(r"(?m)^ *- (alert|record): (\S+)$").unwrap();
    let mut found = Vec::new();
    for file in FILES {
        let text = read(file);
        let starts: Vec<_> = start.captures_iter(&text).collect();
        for (i, rule) in starts.iter().enumerate() {
            let end = starts.get(i + 1).map_or(text.len(), |next| next.get(0).unwrap().start());
            if &rule[1] == "alert" {
                found.push((rule[2].to_owned(), text[rule.get(0).unwrap().start()..end].to_owned()));
            }
        }
    }
    found
}

#[test]
fn promtool_accepts_the_rules() {
    let Some(mut promtool) = promtool() else { return };
    promtool.args(["check", "rules"]).args(FILES);
    runs(promtool);
}

#[test]
fn alerts_fire_when_they_should_and_only_then() {
    let Some(mut promtool) = promtool() else { return };
    promtool.args(["test", "rules"]).args(TESTS);
    runs(promtool);
}

#[test]
fn promtool_parses_every_query_of_the_board() {
    let Some(mut promtool) = promtool() else { return };
    let queries = board::queries();
    let mut rules = String::from("groups:\n  - name: board\n    rules:\n");
    for (i, (_, expr)) in queries.iter().enumerate() {
        let expr = serde_json::Value::from(board::concrete(expr, "5m"));
        rules += &format!("      - {{record: \"board:q{i}\", expr: {expr}}}\n");
    }
    let file = tempfile::NamedTempFile::with_suffix(".yml").unwrap();
    std::fs::write(file.path(), rules).unwrap();
    promtool.args(["check", "rules"]).arg(file.path());
    runs(promtool);
}

#[test]
fn every_alert_has_a_severity_a_runbook_and_two_languages_and_a_test() {
    let runbooks = read("RUNBOOKS.md");
    let readme = read("README.md");
    let tests = TESTS.map(read).join("\n");
    let japanese = Regex::new(r"[\p{Hiragana}\p{Han}]").unwrap();
    for (alert, text) in alerts() {
        assert!(text.contains("severity: "), "{alert}: severity");
        let summary =
            text.lines().find(|l| l.trim().starts_with("summary:")).unwrap_or_else(|| panic!("{alert}: summary"));
        let (ja, en) = summary.split_once(" / ").unwrap_or_else(|| panic!("{alert}: two languages"));
        assert!(japanese.is_match(ja) && !japanese.is_match(en), "{alert}: Japanese / English");
        let anchor = format!("RUNBOOKS.md#{}\"", alert.to_lowercase());
        assert!(text.contains(&anchor), "{alert}: runbook_url");
        assert!(runbooks.contains(&format!("\n## {alert}\n")), "{alert}: no runbook");
        assert!(readme.contains(&format!("| {alert} |")), "{alert}: no row in the README");
        assert!(tests.contains(&format!("exp_labels: {{severity: {}", severity(&text))), "{alert}");
        let fires = Regex::new(&format!(r"alertname: {alert}\n +exp_alerts:\n")).unwrap();
        assert!(fires.is_match(&tests), "{alert}: no test in which it fires");
    }
}

fn severity(text: &str) -> &str {
    text.split("severity: ").nth(1).and_then(|rest| rest.split('}').next()).unwrap_or("")
}

#[test]
fn rules_name_only_what_is_declared() {
    let alerts = alerts();
    assert!(alerts.len() >= 15, "the rules were not read");
    let expr = Regex::new(r"(?s)expr: (?:\|\n(.*?)\n +(?:for|labels|- record|- alert|- name)|([^\n]*))").unwrap();
    for file in FILES {
        let text = read(file);
        for found in expr.captures_iter(&text) {
            query::lint(found.get(1).or(found.get(2)).unwrap().as_str());
        }
    }
}
