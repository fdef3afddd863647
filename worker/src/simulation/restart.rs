use super::backend::{Reply, Scripted};
use super::*;
use crate::assignment::{NotBegun, Unanswered};
use crate::intent;

/// Copies what a killed process would leave: the journal as it is now, neither sealed nor compacted.
fn kill(state: &Path) -> tempfile::TempDir {
    let left = tempfile::tempdir().unwrap();
    std::fs::copy(state.join(intent::FILE), left.path().join(intent::FILE)).unwrap();
    left
}

#[tokio::test(start_paused = true)]
async fn after_an_unclean_start_residents_with_an_intent_wait_and_others_do_not() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let first = owner(state.path(), &backend);
    let running = tokio::spawn(first.assign(assignment("/silent", &[1, 2])));
    while backend.heard("/silent").is_empty() {
        tokio::task::yield_now().await;
    }
    let left = kill(state.path());
    assert_eq!(intent::open_intents(left.path()).unwrap().len(), 1);
    let second = owner(left.path(), &backend);
    let start = clock::now();
    assert!(begins_at_once(&second, &backend, assignment("/other", &[3])).await);
    let mut next = assignment("/next", &[2]);
    next.deadline = start + Duration::from_secs(100);
    backend.on("/next", |_| Reply::ok("x"));
    second.assign(next).await.unwrap().settlement.passed();
    assert!(backend.heard("/next")[0].at - start >= MAX_RUN);
    tokio::time::sleep(SECOND).await;
    assert_eq!(second.intents.count(), 0);
    running.await.unwrap().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn killed_again_while_they_wait_they_wait_again() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let first = owner(state.path(), &backend);
    first.assign(assignment("/silent", &[1])).await.unwrap_err();
    let left = kill(state.path());
    let second = owner(left.path(), &backend);
    let left = kill(left.path());
    drop(second);
    let third = owner(left.path(), &backend);
    assert!(!begins_at_once(&third, &backend, assignment("/next", &[1])).await);
}

/// An amend with a probe that was in flight when the process was killed; the new one.
async fn killed_amend(backend: &Scripted) -> (tempfile::TempDir, Arc<Owner>) {
    let state = tempfile::tempdir().unwrap();
    let first = owner(state.path(), backend);
    let mut amend = assignment("/silent", &[1]);
    amend.operation = Operation::Amend;
    // What the killed one would go on asking is not looked at.
    amend.after = Some(call("records", "/killed"));
    let running = tokio::spawn(first.assign(amend));
    while backend.heard("/silent").is_empty() {
        tokio::task::yield_now().await;
    }
    let left = kill(state.path());
    running.abort();
    let second = owner(left.path(), backend);
    (left, second)
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_nothing_happens_to_a_resident_until_the_version_of_an_amend_in_doubt_is_settled() {
    let backend = Scripted::start();
    let (left, owner) = killed_amend(&backend).await;
    let start = clock::now();
    // A copy of the records that hears of it only at 33 s.
    backend.on("/version", move |_| Reply::ok(if clock::now() - start < Duration::from_secs(33) { "1" } else { "2" }));
    let states: Vec<_> = owner.oldest_attempts(9).into_iter().map(|a| (a.state, a.operation)).collect();
    assert!(states.contains(&("doubtful", "amend")), "{states:?}");
    tokio::time::sleep(Duration::from_secs(32)).await;
    assert_eq!(intent::open_intents(left.path()).unwrap().len(), 1, "time alone does not end it");
    let mut next = assignment("/next", &[1, 2]);
    next.before = Some(call("records", "/version"));
    next.deadline = start + Duration::from_secs(100);
    backend.on("/next", |_| Reply::ok("x"));
    owner.assign(next).await.unwrap().settlement.passed();
    let probes: Vec<_> = backend.heard("/version").iter().map(|h| (h.at - start).as_secs()).collect();
    assert_eq!(probes, [32, 34, 36, 36], "until two are equal, and then the lookup");
    assert_eq!(owner.intents.count(), 0);
    assert!(begins_at_once(&owner, &backend, assignment("/after", &[1])).await);
}

#[tokio::test(start_paused = true)]
async fn an_amend_in_doubt_whose_version_never_settles_serves_nobody_until_an_operator_abandons_it() {
    let backend = Scripted::start();
    let (_left, owner) = killed_amend(&backend).await;
    backend.on("/version", |n| Reply::ok(&n.to_string()));
    tokio::time::sleep(MAX_RUN).await;
    let mut next = assignment("/next", &[1]);
    next.before = Some(call("records", "/version"));
    let again = Assignment { deadline: next.deadline + MAX_RUN, ..next.clone() };
    assert_eq!(owner.assign(next).await.unwrap_err(), NotBegun::LaneBusy.into());
    assert!(backend.heard("/next").is_empty());
    let doubtful = owner.oldest_attempts(1).remove(0);
    assert!(owner.abandon(doubtful.number));
    assert!(!owner.abandon(doubtful.number));
    assert!(begins_at_once(&owner, &backend, again).await);
}

#[tokio::test(start_paused = true)]
async fn a_suspended_backend_stays_suspended_over_a_restart_until_it_is_resumed() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let first = owner(state.path(), &backend);
    assert!(first.drain_backend("issuer"));
    first.close_journal();
    let second = owner(state.path(), &backend);
    assert_eq!(second.backend_states()[0].suspended, Some("drained"));
    assert!(!begins_at_once(&second, &backend, assignment("/next", &[1])).await);
    assert!(second.resume_backend("issuer"));
    assert!(begins_at_once(&second, &backend, assignment("/next", &[1])).await);
    second.close_journal();
    assert_eq!(owner(state.path(), &backend).backend_states()[0].suspended, None);
}

#[tokio::test(start_paused = true)]
async fn after_a_drain_nobody_waits() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let first = owner(state.path(), &backend);
    assert!(begins_at_once(&first, &backend, assignment("/paper", &[1])).await);
    backend.on("/slow", |_| Reply::ok("x").after(SECOND));
    let slow = tokio::spawn(async move {
        let attested = first.assign(assignment("/slow", &[2])).await.unwrap();
        (first, attested)
    });
    while backend.heard("/slow").is_empty() {
        tokio::task::yield_now().await;
    }
    let (first, attested) = slow.await.unwrap();
    let draining = tokio::spawn({
        let first = Arc::clone(&first);
        async move { first.drain().await }
    });
    tokio::task::yield_now().await;
    assert!(!draining.is_finished(), "drained while an answer was being judged");
    assert_eq!(first.assign(assignment("/x", &[9])).await.unwrap_err(), NotBegun::Draining.into());
    attested.settlement.passed();
    draining.await.unwrap();
    let second = owner(state.path(), &backend);
    assert!(begins_at_once(&second, &backend, assignment("/next", &[2])).await);
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_journal_makes_everybody_wait_and_refuses_nobody() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let first = owner(state.path(), &backend);
    for n in 0..3 {
        assert!(begins_at_once(&first, &backend, assignment("/paper", &[n])).await);
    }
    first.drain().await;
    let path = state.path().join(intent::FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let second = owner(state.path(), &backend);
    let start = clock::now();
    let mut next = assignment("/next", &[77]);
    next.deadline = start + Duration::from_secs(100);
    backend.on("/next", |_| Reply::ok("x"));
    second.assign(next).await.unwrap().settlement.passed();
    assert!(backend.heard("/next")[0].at - start >= MAX_RUN);
    let kept = std::fs::read_dir(state.path()).unwrap().flatten();
    assert!(kept.into_iter().any(|f| f.file_name().to_string_lossy().contains("unreadable")), "evidence was deleted");
}

#[tokio::test(start_paused = true)]
async fn attempt_numbers_rise_over_restarts_even_when_the_clock_was_set_back() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let mut last = 0;
    for _ in 0..3 {
        let owner = owner(state.path(), &backend);
        for _ in 0..10 {
            let fence = owner.intents.mint().unwrap().0;
            assert!(fence > last);
            last = fence;
        }
        owner.intents.close();
    }
    // Numbers far ahead of the clock, as after a clock that ran ahead.
    let ahead = last + (1 << 40);
    let dir = tempfile::tempdir().unwrap();
    intent::write_reserved(dir.path(), ahead);
    let owner = owner(dir.path(), &backend);
    assert!(owner.intents.mint().unwrap().0 >= ahead);
}

#[tokio::test(start_paused = true)]
async fn numbers_beyond_the_reserved_block_are_reserved_before_they_are_used() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let first = owner(state.path(), &backend);
    let mut last = 0;
    for _ in 0..200_000 {
        last = first.intents.mint().unwrap().0;
    }
    // One more intent makes everything queued before it durable.
    let ended = first.assign(assignment("/silent", &[1])).await;
    assert_eq!(ended.unwrap_err(), Unanswered::Indeterminate("timeout"));
    let left = kill(state.path());
    let second = owner(left.path(), &backend);
    assert!(second.intents.mint().unwrap().0 > last);
}

#[tokio::test(start_paused = true)]
async fn the_journal_is_rewritten_while_it_runs_and_keeps_what_is_open() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let mut config = OwnerConfig::new(
        state.path().to_owned(),
        Epoch(1),
        HashMap::from([("issuer".into(), BackendConfig::new(backend.address()))]),
    );
    config.rotate_intents_above_bytes = 8 * 1024;
    let owner = Owner::start(config).unwrap();
    let silent = tokio::spawn(owner.assign(assignment("/silent", &[1])));
    while backend.heard("/silent").is_empty() {
        tokio::task::yield_now().await;
    }
    for n in 0..300 {
        assert!(begins_at_once(&owner, &backend, assignment("/paper", &[100 + n])).await);
    }
    let left = kill(state.path());
    let length = crate::journal::verify(&left.path().join(intent::FILE)).unwrap().bytes;
    assert!(length < 20 * 1024, "{length} bytes");
    let open = intent::open_intents(left.path()).unwrap();
    assert!(open.iter().any(|i| i.lanes == [LaneId::from_u128(1)]), "an open intent was lost in the rewriting");
    silent.abort();
}
