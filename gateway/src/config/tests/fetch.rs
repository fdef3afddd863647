//! A document that is fetched in further steps: what is accepted in each format, and at which line a mistake is told.

use sekisho_issuance::answer::Extract;

use super::*;

/// The worked configuration of an asynchronous issuing server.
const FORM: &str = include_str!("../../../../loadtest/demo/gateway-form.toml");

const ROUTE: &str = "[routes.resident_record.checks]";
const FETCH: &str = r#"[routes.resident_record.fetch]
job = { json = "/job" }
[routes.resident_record.fetch.poll]
request = { method = "GET", path = "/jobs/{job}", headers = { X-Of = "{session}" } }
every   = "200ms"
job     = { json = "/job" }
state   = { json = "/state", done = ["DONE"], pending = ["WAITING", "RUNNING"], failed = ["ERROR"] }
[routes.resident_record.fetch.document]
request = { method = "POST", path = "/paper", body = '{"job":"{job}"}' }
job     = { header = "X-Job" }
"#;

fn fetching(from: &str, to: &str) -> String {
    assert!(from.is_empty() || FETCH.contains(from), "{from}");
    let fetch = if from.is_empty() { FETCH.to_owned() } else { FETCH.replacen(from, to, 1) };
    WORKED.replacen(ROUTE, &format!("{fetch}{ROUTE}"), 1)
}

#[test]
fn a_route_may_fetch_its_document_and_leaves_no_root_cause_open() {
    let config = parse(&fetching("", "")).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert!(config.notes.iter().all(|note| note.open.is_empty()), "{:#?}", config.notes);
    let fetch = config.routes.get("resident_record").unwrap().fetch.as_ref().unwrap();
    assert_eq!((&*fetch.accepted, fetch.poll.every), (&[200, 201, 202][..], Duration::from_millis(200)));
    assert_eq!(fetch.document.job, Some(Extract::Header("x-job".to_owned())));
    assert!(config.routes.get("tax").unwrap().fetch.is_none());
}

#[test]
fn the_worked_form_configuration_is_accepted_and_leaves_no_root_cause_open() {
    let config = parse(FORM).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert!(config.notes.iter().all(|note| note.open.is_empty()), "{:#?}", config.notes);
    let issues: Vec<_> = config.routes.iter().filter(|route| route.operation == Operation::Issue).collect();
    assert!(issues.len() == 6 && issues.iter().all(|route| route.fetch.is_some()));
}

#[test]
fn each_step_may_be_written_in_its_own_way() {
    let dialects = r#"[dialects.slip]
format = "form"
charset = "EUC-JP"
[dialects.state]
format = "xml"
"#;
    let text = fetching("", "")
        .replace("job = { json = \"/job\" }\n[routes", "dialect = \"slip\"\njob = { form = \"job\" }\n[routes")
        .replace(
            "every   = \"200ms\"\njob     = { json = \"/job\" }",
            "dialect = \"state\"\njob = { xml = \"/r/@job\" }",
        )
        .replace("{ json = \"/state\", done", "{ xml = \"/r/state\", done")
        .replace("body = '{\"job\":\"{job}\"}'", "body = 'job={job}'")
        .replace("[lookups.card]", &format!("{dialects}[lookups.card]"));
    let config = parse(&text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let fetch = config.routes.get("resident_record").unwrap().fetch.as_ref().unwrap();
    assert_eq!(fetch.dialect.format.name(), "form");
    assert_eq!(fetch.poll.request.dialect.format.name(), "xml");
    assert_eq!(fetch.document.request.dialect.format.name(), "form", "of the table above");
}

#[test]
fn what_is_not_told_apart_is_said_to_be_open() {
    let open = |text: &str| -> Vec<(String, Vec<&'static str>)> {
        let notes = parse(text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}")).notes;
        notes.into_iter().filter(|note| !note.open.is_empty()).map(|note| (note.key, note.open)).collect()
    };
    let silent = fetching("job     = { header = \"X-Job\" }\n", "");
    assert_eq!(open(&silent), [("routes.resident_record.fetch.document.job".to_owned(), vec!["R2", "R4"])]);
    let silent = fetching("every   = \"200ms\"\njob     = { json = \"/job\" }", "every   = \"200ms\"");
    assert_eq!(open(&silent), [("routes.resident_record.fetch.poll.job".to_owned(), vec!["R4", "R12", "R13"])]);
}

#[test]
fn a_mistake_in_the_steps_is_told_at_its_line() {
    const AT: &str = "routes.resident_record.fetch";
    for (from, to, key, line, words) in [
        ("job = { json = \"/job\" }\n[", "[", ".job", "[routes.resident_record.fetch]", "is missing"),
        ("job = { json = \"/job\" }\n[", "job = {}\n[", ".job", "job = {}", "exactly one place"),
        (
            "job = { json = \"/job\" }\n[",
            "job = { json = \"/job\", header = \"X-Job\" }\n[",
            ".job",
            "job = { json = \"/job\", header",
            "exactly one place",
        ),
        ("job = { json = \"/job\" }\n[", "job = { form = \"job\" }\n[", ".job.form", "job = { form", "json"),
        ("jobs/{job}", "jobs", ".poll.request", "path = \"/jobs\"", "{job}"),
        ("{\"job\":\"{job}\"}", "{}", ".document.request", "path = \"/paper\"", "{job}"),
        ("\"200ms\"", "\"10ms\"", ".poll.every", "every   = \"10ms\"", "between"),
        ("\"200ms\"", "\"10s\"", ".poll.every", "every   = \"10s\"", "below the route's `timeout`"),
        ("[\"ERROR\"]", "[\"ERROR\", \"DONE\"]", ".poll.state.failed[1]", "state   =", "twice"),
        ("done = [\"DONE\"], ", "", ".poll.state", "state   =", "`done`"),
        ("state   = {", "status  = {", ".poll.state", "[routes.resident_record.fetch.poll]", "is missing"),
        ("state   = {", "status  = {", ".poll.status", "status  = {", "not a key"),
        (
            "\"POST\", path = \"/paper\"",
            "\"DELETE\", path = \"/paper\"",
            ".document.request.method",
            "DELETE\", path",
            "GET or POST",
        ),
    ] {
        let text = fetching(from, to);
        let mistakes = parse(&text).expect_err(key);
        let key = format!("{AT}{key}");
        let found = mistakes.iter().find(|mistake| mistake.key == key && mistake.to_string().contains(words));
        let mistake = found.unwrap_or_else(|| panic!("nothing of {key} ({words}) in {mistakes:#?}"));
        assert_eq!(mistake.line, line_of(&text, line), "{mistake}");
    }
    let inquiry = WORKED.replacen("[routes.inquiry.checks]", &FETCH.replace("resident_record", "inquiry"), 1);
    assert!(
        parse(&inquiry).unwrap_err().iter().any(|m| m.key == "routes.inquiry.fetch" && m.message.contains("issue"))
    );
}

#[test]
fn a_job_is_a_fact_nowhere_else_and_a_control_character_stands_for_none() {
    // `{job}` elsewhere is an item of the selection, as any word is.
    let lookup = WORKED.replacen("/v2/residents/{resident}", "/v2/residents/{job}", 1);
    let config = parse(&lookup).unwrap();
    let asked = config.routes.get("resident_record").unwrap().lookup.clone().unwrap();
    assert!(!asked.request.names_job());
    let forged = fetching("'{\"job\":\"{job}\"}'", "\"{job}\\u001f\"");
    assert!(parse(&forged).unwrap_err().iter().any(|m| m.message.contains("control character")), "forged");
}
