use http::HeaderMap;
use sekisho_issuance::answer::{Dialect, Extract, Format};

use super::backend::{Reply, Scripted};
use super::*;
use crate::assignment::{Fetch, JOB_MARK, JobCall, JobEnd, Poll, Unanswered};
use crate::intent;

const EVERY: Duration = Duration::from_millis(500);

fn fetch() -> Fetch {
    let form = Arc::new(Dialect { format: Format::Form, ..Dialect::default() });
    let field = |name: &str| Extract::Body(form.place(Format::Form, name).unwrap());
    let about = |path: &str| JobCall::new(call("issuer", &format!("{path}/{JOB_MARK}")), Vec::new());
    Fetch {
        accepted: Arc::new([200, 202]),
        job: field("job"),
        dialect: Arc::clone(&form),
        salt: 1,
        poll: Poll {
            call: about("/status"),
            dialect: Arc::clone(&form),
            every: EVERY,
            state: field("state"),
            done: Arc::new(["DONE".into()]),
            pending: Arc::new(["WAIT".into()]),
            job: Some(field("job")),
        },
        document: about("/fetch"),
    }
}

/// An issuance that fetches; `path` accepts it.
fn issuance(path: &str, residents: &[u128]) -> Assignment {
    Assignment { fetch: Some(fetch()), ..assignment(path, residents) }
}

/// A backend that accepts at `/accept` as job `id`, is done when `done` says so, and has the paper.
fn accepting(id: &'static str, done: impl Fn(usize) -> bool + Send + 'static) -> Scripted {
    let backend = Scripted::start();
    backend.on("/accept", move |_| Reply::ok(&format!("job={id}")));
    backend.on(&format!("/status/{id}"), move |n| {
        Reply::ok(&format!("job={id}&state={}", if done(n) { "DONE" } else { "WAIT" }))
    });
    backend.on(&format!("/fetch/{id}"), |_| Reply::ok("paper"));
    backend
}

async fn until_heard(backend: &Scripted, path: &str) {
    while backend.heard(path).is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn kill(state: &Path) -> tempfile::TempDir {
    let left = tempfile::tempdir().unwrap();
    std::fs::copy(state.join(intent::FILE), left.path().join(intent::FILE)).unwrap();
    left
}

#[tokio::test(start_paused = true)]
async fn accept_poll_and_fetch_are_one_issuance_in_one_lane_and_one_slot() {
    let (backend, state) = (accepting("J1", |n| n == 3), tempfile::tempdir().unwrap());
    let owner = owner_with(state.path(), &backend, |c| c.max_in_flight = 1);
    let start = clock::now();
    let job = tokio::spawn(owner.assign(issuance("/accept", &[1])));
    until_heard(&backend, "/accept").await;
    backend.on("/same", |_| Reply::ok("x"));
    backend.on("/other", |_| Reply::ok("x"));
    let same = tokio::spawn(owner.assign(assignment("/same", &[1])));
    let other = tokio::spawn(owner.assign(assignment("/other", &[2])));
    let attested = job.await.unwrap().unwrap();
    assert_eq!(attested.answer.body.as_slice(), b"paper");
    assert_eq!(attested.attestation.digest, *blake3::hash(b"paper").as_bytes());
    let report = attested.job.unwrap();
    assert_eq!((report.end, report.id.unwrap().as_str()), (JobEnd::Fetched, "J1"));
    let polled: Vec<_> = backend.heard("/status/J1").iter().map(|h| h.at - start).collect();
    assert_eq!(polled.len(), 4);
    let pauses: Vec<_> = [start].into_iter().chain(polled.iter().map(|p| start + *p)).collect();
    assert!(pauses.windows(2).all(|w| (EVERY * 4 / 5..EVERY * 6 / 5).contains(&(w[1] - w[0]))), "{polled:?}");
    assert!(backend.heard("/same").is_empty() && backend.heard("/other").is_empty(), "a second call beside the job");
    attested.settlement.passed();
    // The one that waited for the slot comes before the one that waited for the lane.
    other.await.unwrap().unwrap().settlement.passed();
    same.await.unwrap().unwrap().settlement.passed();
    assert!(owner.lanes.is_idle());
    assert_eq!(owner.intents.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_document_is_dated_from_the_moment_its_job_was_asked_for() {
    let (backend, state) = (accepting("J1", |n| n == 3), tempfile::tempdir().unwrap());
    let owner = owner(state.path(), &backend);
    let before = clock::wall();
    let attested = owner.assign(issuance("/accept", &[1])).await.unwrap();
    assert!(attested.answer.sent_at >= before && attested.answer.sent_at <= attested.answer.received_at);
    let asked = backend.heard("/fetch/J1")[0].at - backend.heard("/accept")[0].at;
    assert!(attested.times.backend >= asked);
    attested.settlement.passed();
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_never_ends_holds_the_lane_until_max_run() {
    let (backend, state) = (accepting("J1", |_| false), tempfile::tempdir().unwrap());
    let owner = owner(state.path(), &backend);
    let start = clock::now();
    let ended = owner.assign(issuance("/accept", &[1])).await;
    assert_eq!(ended.unwrap_err(), Unanswered::Indeterminate("timeout"));
    assert_eq!(clock::now() - start, TIMEOUT);
    let mut next = assignment("/next", &[1]);
    next.deadline = start + MAX_RUN * 2;
    backend.on("/next", |_| Reply::ok("x"));
    owner.assign(next).await.unwrap().settlement.passed();
    assert!(backend.heard("/next")[0].at - start >= MAX_RUN);
    assert!(backend.heard("/fetch/J1").is_empty());
    assert!(backend.heard("/status/J1").iter().all(|h| h.at - start < TIMEOUT), "asked for nobody");
}

#[tokio::test(start_paused = true)]
async fn a_kiosk_that_is_gone_between_accept_and_fetch_frees_nothing() {
    let (backend, state) = (accepting("J1", |n| n == 5), tempfile::tempdir().unwrap());
    let owner = owner(state.path(), &backend);
    let start = clock::now();
    let mut assigned = Box::pin(owner.assign(issuance("/accept", &[1])));
    tokio::select! {
        _ = &mut assigned => panic!("done already"),
        () = until_heard(&backend, "/status/J1") => {}
    }
    drop(assigned);
    assert!(!begins_at_once(&owner, &backend, assignment("/next", &[1])).await);
    until_heard(&backend, "/fetch/J1").await;
    tokio::time::sleep(SECOND).await;
    // Nobody judged the document: what it was is not known.
    assert!(!begins_at_once(&owner, &backend, assignment("/next", &[1])).await);
    tokio::time::sleep_until((start + MAX_RUN).into()).await;
    assert!(begins_at_once(&owner, &backend, assignment("/next", &[1])).await);
}

#[tokio::test(start_paused = true)]
async fn a_job_id_of_another_issuance_is_told_and_neither_polled_nor_fetched() {
    let (backend, state) = (accepting("J1", |_| true), tempfile::tempdir().unwrap());
    let owner = owner(state.path(), &backend);
    owner.assign(issuance("/accept", &[1])).await.unwrap().settlement.passed();
    for resident in [2, 1] {
        let attested = owner.assign(issuance("/accept", &[resident])).await.unwrap();
        assert_eq!(attested.job.unwrap().end, JobEnd::Reused, "also where it is the same resident's");
        attested.settlement.surprised("job");
        assert!(!begins_at_once(&owner, &backend, assignment("/next", &[resident])).await);
        tokio::time::sleep(MAX_RUN).await;
    }
    assert_eq!((backend.heard("/status/J1").len(), backend.heard("/fetch/J1").len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn killed_between_accept_and_fetch_the_resident_waits_and_the_job_id_stays_taken() {
    let (backend, state) = (accepting("J1", |_| false), tempfile::tempdir().unwrap());
    let first = owner(state.path(), &backend);
    let running = tokio::spawn(first.assign(issuance("/accept", &[1])));
    until_heard(&backend, "/status/J1").await;
    let left = kill(state.path());
    running.abort();
    let open = intent::open_intents(left.path()).unwrap();
    assert!(open[0].job.is_some(), "the job was not durable before it was asked for");
    let start = clock::now();
    let second = owner(left.path(), &backend);
    let attested = second.assign(issuance("/accept", &[2])).await.unwrap();
    assert_eq!(attested.job.unwrap().end, JobEnd::Reused);
    attested.settlement.surprised("job");
    let mut next = assignment("/next", &[1]);
    next.deadline = start + MAX_RUN * 2;
    backend.on("/next", |_| Reply::ok("x"));
    second.assign(next).await.unwrap().settlement.passed();
    assert!(backend.heard("/next")[0].at - start >= MAX_RUN);
    // And over a second start, which compacts what is over.
    drop(second);
    let third = owner(kill(left.path()).path(), &backend);
    let attested = third.assign(issuance("/accept", &[3])).await.unwrap();
    assert_eq!(attested.job.unwrap().end, JobEnd::Reused);
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_not_ours_or_not_done_ends_the_job_with_that_reply() {
    for (reply, end) in [
        ("job=J2&state=DONE", JobEnd::OtherJob),
        ("state=DONE", JobEnd::NotDone),
        ("job=J1&job=J1&state=DONE", JobEnd::NotDone),
        ("job=J1&state=FAILED", JobEnd::NotDone),
        ("job=J1&state=done", JobEnd::NotDone),
        ("<html>busy</html>", JobEnd::NotDone),
    ] {
        let (backend, state) = (accepting("J1", |_| true), tempfile::tempdir().unwrap());
        backend.on("/status/J1", move |_| Reply::ok(reply));
        let owner = owner(state.path(), &backend);
        let attested = owner.assign(issuance("/accept", &[1])).await.unwrap();
        assert_eq!(attested.job.unwrap().end, end, "{reply}");
        assert_eq!(attested.answer.body.as_slice(), reply.as_bytes());
        assert!(backend.heard("/fetch/J1").is_empty());
        attested.settlement.surprised("job");
        assert!(!begins_at_once(&owner, &backend, assignment("/next", &[1])).await);
    }
}

#[tokio::test(start_paused = true)]
async fn an_accept_reply_that_names_no_job_is_all_there_is() {
    for reply in ["code=MOVED_OUT", "job=", "job=../../etc", "job=J1&job=J2", "%PDF-1.7"] {
        let (backend, state) = (accepting("J1", |_| true), tempfile::tempdir().unwrap());
        backend.on("/accept", move |_| Reply::ok(reply));
        let owner = owner(state.path(), &backend);
        let attested = owner.assign(issuance("/accept", &[1])).await.unwrap();
        assert_eq!(
            (attested.job.unwrap().end, attested.answer.body.as_slice()),
            (JobEnd::NotAccepted, reply.as_bytes())
        );
        attested.settlement.passed();
        assert_eq!(backend.heard_all().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_that_nobody_answered_is_asked_again_and_a_fetch_is_not() {
    let (backend, state) = (accepting("J1", |_| true), tempfile::tempdir().unwrap());
    backend.on("/status/J1", |n| match n {
        0 => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
        _ => Reply::ok("job=J1&state=DONE"),
    });
    backend.on("/fetch/J1", |_| Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"));
    let owner = owner(state.path(), &backend);
    let ended = owner.assign(issuance("/accept", &[1])).await;
    assert_eq!(ended.unwrap_err(), Unanswered::Indeterminate("cut"));
    assert_eq!((backend.heard("/status/J1").len(), backend.heard("/fetch/J1").len()), (2, 1));
    assert!(!begins_at_once(&owner, &backend, assignment("/next", &[1])).await);
}

#[tokio::test(start_paused = true)]
async fn without_a_durable_job_nobody_is_asked_about_it() {
    let (backend, state) = (accepting("J1", |_| true), tempfile::tempdir().unwrap());
    let owner = owner(state.path(), &backend);
    let closing = Arc::clone(&owner);
    backend.on("/accept", move |_| {
        closing.close_journal();
        Reply::ok("job=J1")
    });
    let ended = owner.assign(issuance("/accept", &[1])).await;
    assert_eq!(ended.unwrap_err(), Unanswered::Indeterminate("not_durable"));
    assert!(backend.heard("/status/J1").is_empty() && backend.heard("/fetch/J1").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_header_may_hold_the_job() {
    let (backend, state) = (accepting("J1", |_| true), tempfile::tempdir().unwrap());
    let owner = owner(state.path(), &backend);
    backend.on("/accept", |_| Reply::raw("HTTP/1.1 202 Accepted\r\nX-Job: J1\r\nContent-Length: 0\r\n\r\n"));
    let mut a = issuance("/accept", &[1]);
    let mut fetch = fetch();
    fetch.job = Extract::Header("x-job".to_owned());
    let asked = Call { headers: HeaderMap::new(), ..call("issuer", "/paper") };
    fetch.document = JobCall::new(asked, vec![("x-job".parse().unwrap(), JOB_MARK.to_string())]);
    a.fetch = Some(fetch);
    backend.on("/paper", |_| Reply::ok("paper"));
    let attested = owner.assign(a).await.unwrap();
    assert_eq!(attested.job.unwrap().end, JobEnd::Fetched);
    attested.settlement.passed();
}
