//! What the gate makes of a job: only the document of this issuance's own job may leave.

use sekisho_worker::assignment::{JobEnd, JobId, JobReport};

use super::*;

const FETCH: &str = r#"[routes.resident_record.fetch]
job = { json = "/job" }
[routes.resident_record.fetch.poll]
request = { method = "GET", path = "/jobs/{job}" }
job     = { json = "/job" }
state   = { json = "/state", done = ["DONE"], pending = ["WAITING"], failed = ["ERROR"] }
[routes.resident_record.fetch.document]
request = { method = "GET", path = "/jobs/{job}/paper" }
job     = { header = "X-Job" }
[routes.resident_record.checks]"#;

fn fetching() -> Bench {
    let worked = include_str!("../../../../loadtest/demo/gateway.toml");
    let text = worked.replacen("[routes.resident_record.checks]", FETCH, 1);
    let parse = || crate::config::parse(&text).unwrap_or_else(|m| panic!("{m:#?}"));
    let mut bench = bench("enforce");
    bench.config = parse();
    bench.gate.in_force().set(Arc::new(parse()));
    let routes = bench.config.routes.iter().map(|r| (r.name.clone(), r.operation)).collect();
    bench.registry.declare(&crate::registry::Enabled { routes, ..Default::default() });
    bench
}

fn ended(bound: &Bound, end: JobEnd, status: u16, body: &str, named: Option<&str>) -> Attested {
    let mut answer = answer(status, body.to_owned());
    answer.headers.insert("x-request-id", bound.context().id().to_string().parse().unwrap());
    if let Some(named) = named {
        answer.headers.insert("x-job", named.parse().unwrap());
    }
    let job = Some(JobReport { id: (end != JobEnd::NotAccepted).then(|| JobId::new("J1").unwrap()), end });
    Attested { job, ..attested(bound, answer) }
}

fn verdict_of(bench: &Bench, verdict: &str) -> f64 {
    let labels = |line: &&str| line.contains("check=\"job\"") && line.contains(&format!("verdict=\"{verdict}\""));
    let text = bench.registry.render();
    let found = text.lines().filter(|l| l.starts_with("sekisho_check_verdicts_total")).filter(labels);
    found.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[tokio::test]
async fn a_job_of_another_issuance_is_kept_in_and_suspends_at_once() {
    for (end, status, body, named) in [
        (JobEnd::Reused, 200, r#"{"job":"J1"}"#, None),
        (JobEnd::OtherJob, 200, r#"{"job":"J2","state":"DONE"}"#, None),
        (JobEnd::Fetched, 200, "%PDF", Some("J2")),
        // A no that is another's is no answer to this request.
        (JobEnd::Fetched, 409, r#"{"error":{"code":"MOVED_OUT","residentId":"1001"}}"#, Some("J2")),
        (JobEnd::Reused, 409, r#"{"error":{"code":"MOVED_OUT","residentId":"1001"}}"#, None),
    ] {
        let bench = fetching();
        let bound = bench.bound("resident_record", "1001", 1);
        let kept = bench.gate.decide(&bound, ended(&bound, end, status, body, named)).await.err().unwrap();
        let latched = kept.latch().map(|latch| bench.latches.show(latch).unwrap().confirmed);
        // What was fetched is no certificate either, and an ill-shaped answer confirms nothing.
        let confirmed = (end != JobEnd::Fetched).then_some(true);
        assert_eq!((kept.reason(), latched), ("job", confirmed), "{end:?} {body}");
        assert_eq!((verdict_of(&bench, "mismatch"), bench.documents()), (1.0, (0.0, 0.0, 0.0)));
    }
}

#[tokio::test]
async fn without_a_document_nothing_leaves_whatever_the_last_reply_was() {
    for (end, body) in [
        (JobEnd::NotAccepted, "%PDF-1.7"),
        (JobEnd::NotAccepted, r#"{"busy":true}"#),
        (JobEnd::NotDone, r#"{"job":"J1","state":"ERROR"}"#),
        (JobEnd::NotDone, r#"{"job":"J1","state":"?"}"#),
        (JobEnd::NotRemembered, r#"{"job":"J1"}"#),
    ] {
        let bench = fetching();
        let bound = bench.bound("resident_record", "1001", 1);
        let kept = bench.gate.decide(&bound, ended(&bound, end, 200, body, None)).await.err().unwrap();
        assert_eq!((kept.reason(), kept.latch()), ("job", None), "{end:?} {body}");
        assert_eq!((verdict_of(&bench, "unverifiable"), bench.documents()), (1.0, (0.0, 0.0, 0.0)));
    }
}

#[tokio::test]
async fn a_document_that_names_no_job_where_the_route_expects_one_stays_in() {
    let bench = fetching();
    let bound = bench.bound("resident_record", "1001", 1);
    bench.gate.decide(&bound, ended(&bound, JobEnd::Fetched, 200, "%PDF", None)).await.err().unwrap();
    assert_eq!((verdict_of(&bench, "unverifiable"), verdict_of(&bench, "match")), (1.0, 0.0));
    bench.gate.decide(&bound, ended(&bound, JobEnd::Fetched, 200, "%PDF", Some("J1"))).await.err().unwrap();
    assert_eq!(verdict_of(&bench, "match"), 1.0);
}

#[tokio::test]
async fn a_worker_that_says_nothing_of_the_job_is_not_believed() {
    let bench = fetching();
    let bound = bench.bound("resident_record", "1001", 1);
    let silent = Attested { job: None, ..ended(&bound, JobEnd::Fetched, 200, "%PDF", Some("J1")) };
    bench.gate.decide(&bound, silent).await.err().unwrap();
    assert_eq!(verdict_of(&bench, "unverifiable"), 1.0);
}

#[tokio::test]
async fn a_lawful_no_at_any_step_is_passed_on_in_our_own_words() {
    const NO: &str = r#"{"error":{"code":"MOVED_OUT","residentId":"1001"},"message":"secret of 1002"}"#;
    for end in [JobEnd::NotAccepted, JobEnd::NotDone, JobEnd::Fetched] {
        let bench = fetching();
        let bound = bench.bound("resident_record", "1001", 1);
        let released = bench.gate.decide(&bound, ended(&bound, end, 409, NO, None)).await.unwrap();
        let out = bench.gate.commit(&bound, released, waits).await.unwrap();
        assert_eq!(out.outcome, Outcome::Refused, "{end:?}");
        let text = String::from_utf8(body(out.response).await).unwrap();
        assert!(text.contains("MOVED_OUT") && !text.contains("1002"), "{text}");
        // One that names somebody else is a mismatch at every step.
        let other = NO.replacen("1001", "1002", 1);
        let kept = bench.gate.decide(&bound, ended(&bound, end, 409, &other, None)).await.err().unwrap();
        assert_eq!(kept.reason(), "identity", "{end:?}");
    }
}
