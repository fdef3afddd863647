use super::backend::{Reply, Scripted};
use super::*;
use crate::assignment::{NotBegun, Unanswered};
use crate::backend::HazardProfile;

#[tokio::test(start_paused = true)]
async fn after_a_timeout_the_lane_is_held_until_max_run_after_the_call_began() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let owner = owner(state.path(), &backend);
    let start = clock::now();
    let ended = owner.assign(assignment("/silent", &[1])).await;
    assert_eq!(ended.unwrap_err(), Unanswered::Indeterminate("timeout"));
    assert_eq!(clock::now() - start, TIMEOUT);
    let mut next = assignment("/next", &[1]);
    next.deadline = start + Duration::from_secs(100);
    backend.on("/next", |_| Reply::ok("x"));
    owner.assign(next).await.unwrap().settlement.passed();
    let heard = backend.heard("/next")[0].at - start;
    assert!(heard >= MAX_RUN && heard < MAX_RUN + SECOND, "{heard:?}");
    assert!(owner.lanes.is_idle());
    assert_eq!(owner.intents.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn another_resident_does_not_wait_for_a_held_lane() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let owner = owner(state.path(), &backend);
    owner.assign(assignment("/silent", &[1])).await.unwrap_err();
    assert!(begins_at_once(&owner, &backend, assignment("/other", &[2])).await);
    assert!(!begins_at_once(&owner, &backend, assignment("/household", &[1, 2])).await);
}

#[tokio::test(start_paused = true)]
async fn a_reset_a_cut_and_garbage_hold_the_lane_like_a_timeout() {
    for (reply, reason) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "cut"),
        ("HTTP/1.1 200 OK\r\nContent-", "cut"),
        ("<html>oops</html>\r\n\r\n", "unparsable"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "unparsable"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "too_large"),
    ] {
        let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
        let owner = owner(state.path(), &backend);
        backend.on("/bad", move |_| Reply::raw(reply));
        let ended = owner.assign(assignment("/bad", &[1])).await;
        assert_eq!(ended.unwrap_err(), Unanswered::Indeterminate(reason), "{reply:?}");
        assert!(!begins_at_once(&owner, &backend, assignment("/next", &[1])).await, "{reply:?}");
        assert_eq!(owner.backend_states()[0].idle_channels, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_nobody_judged_and_one_that_failed_hold_the_lane() {
    for judged in [false, true] {
        let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
        let owner = owner(state.path(), &backend);
        backend.on("/paper", |_| Reply::ok("somebody else"));
        let attested = owner.assign(assignment("/paper", &[1])).await.unwrap();
        match judged {
            true => attested.settlement.surprised("identity"),
            false => drop(attested),
        }
        assert!(!begins_at_once(&owner, &backend, assignment("/next", &[1])).await);
        tokio::time::advance(MAX_RUN).await;
        assert!(begins_at_once(&owner, &backend, assignment("/next", &[1])).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_expires_at_its_deadline_and_is_never_begun() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let owner = owner(state.path(), &backend);
    let first = tokio::spawn(owner.assign(assignment("/silent", &[1])));
    tokio::task::yield_now().await;
    let start = clock::now();
    let mut second = assignment("/second", &[1]);
    second.deadline = start + SECOND;
    assert_eq!(owner.assign(second).await.unwrap_err(), NotBegun::Expired.into());
    assert_eq!(clock::now() - start, SECOND);
    first.await.unwrap().unwrap_err();
    tokio::time::sleep(MAX_RUN * 2).await;
    assert!(backend.heard("/second").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_destroyed_and_one_beyond_max_run_suspends_the_backend() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let owner = owner(state.path(), &backend);
    backend.on("/late", |_| Reply::ok("late").after(Duration::from_secs(20)));
    owner.assign(assignment("/late", &[1])).await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(15)).await;
    let seen = &owner.backend_states()[0];
    assert_eq!((seen.late_answers, seen.suspended), (1, None));
    backend.on("/very-late", |_| Reply::ok("late").after(Duration::from_secs(50)));
    owner.assign(assignment("/very-late", &[2])).await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(45)).await;
    let seen = &owner.backend_states()[0];
    assert_eq!((seen.late_answers, seen.suspended), (2, Some("late_answer")));
    let refused = owner.assign(assignment("/next", &[3])).await;
    assert_eq!(refused.unwrap_err(), NotBegun::BackendSuspended.into());
    assert!(owner.resume_backend("issuer"));
    assert!(begins_at_once(&owner, &backend, assignment("/next", &[3])).await);
}

#[tokio::test(start_paused = true)]
async fn a_slot_rests_after_a_timeout() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let owner = owner_with(state.path(), &backend, |c| {
        c.max_in_flight = 1;
        c.hazards = HazardProfile { settle_after_timeout: Duration::from_secs(40), ..HazardProfile::default() };
    });
    owner.assign(assignment("/silent", &[1])).await.unwrap_err();
    let gave_up = clock::now();
    let mut next = assignment("/next", &[2]);
    assert_eq!(owner.assign(next.clone()).await.unwrap_err(), NotBegun::NoTimeLeft.into());
    next.deadline = gave_up + Duration::from_secs(100);
    backend.on("/next", |_| Reply::ok("x"));
    owner.assign(next).await.unwrap().settlement.passed();
    assert!(backend.heard("/next")[0].at - gave_up >= Duration::from_secs(40));
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_removed_and_added_again_still_has_what_was_begun_in_it() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let settle = Duration::from_secs(40);
    let mut config = BackendConfig::new(backend.address());
    (config.max_in_flight, config.hazards.settle_after_timeout) = (1, settle);
    let owner = owner_with(state.path(), &backend, |c| *c = config.clone());
    let with = |config: &BackendConfig| HashMap::from([("issuer".into(), config.clone())]);
    let running = tokio::spawn(owner.assign(assignment("/silent", &[1])));
    while backend.heard("/silent").is_empty() {
        tokio::task::yield_now().await;
    }
    let mut waiting = assignment("/waiting", &[2]);
    waiting.deadline += TIMEOUT;
    let waiting = tokio::spawn(owner.assign(waiting));
    while owner.backend_states()[0].waiting == 0 {
        tokio::task::yield_now().await;
    }
    owner.reconfigure(HashMap::new());
    assert_eq!(waiting.await.unwrap().unwrap_err(), NotBegun::BackendSuspended.into(), "it is not configured");
    owner.reconfigure(with(&config));
    assert_eq!(owner.backend_states()[0].in_flight, 1);
    running.await.unwrap().unwrap_err();
    owner.reconfigure(HashMap::new());
    owner.reconfigure(with(&config));
    assert_eq!(owner.backend_states()[0].resting, 1);
    assert_eq!(owner.assign(assignment("/next", &[3])).await.unwrap_err(), NotBegun::NoTimeLeft.into());
    tokio::time::sleep(settle).await;
    assert!(begins_at_once(&owner, &backend, assignment("/next", &[3])).await);
    // Nothing is left of one that is empty.
    owner.reconfigure(HashMap::new());
    owner.reconfigure(HashMap::new());
    assert!(owner.removed.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn two_starts_are_never_within_one_tick() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let owner = owner_with(state.path(), &backend, |c| c.hazards.tick_spacing = SECOND);
    backend.on("/tick", |_| Reply::ok("x").after(Duration::from_millis(10)));
    let asked: Vec<_> = (0..5).map(|n| tokio::spawn(owner.assign(assignment("/tick", &[n])))).collect();
    for one in asked {
        one.await.unwrap().unwrap().settlement.passed();
    }
    let heard: Vec<_> = backend.heard("/tick").iter().map(|h| h.at).collect();
    assert_eq!(heard.len(), 5);
    assert!(heard.windows(2).all(|w| w[1] - w[0] >= SECOND), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn an_amend_in_doubt_holds_its_lane_until_the_version_is_settled() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let owner = owner(state.path(), &backend);
    // The amend takes effect at 12 s, after we gave up; the probe at max_run differs from that at 10 s.
    let start = clock::now();
    backend.on("/version", move |_| Reply::ok(if clock::now() - start < Duration::from_secs(12) { "1" } else { "2" }));
    let mut amend = assignment("/amend", &[1]);
    amend.operation = Operation::Amend;
    amend.after = Some(call("records", "/version"));
    owner.assign(amend).await.unwrap_err();
    let mut next = assignment("/next", &[1]);
    next.deadline = start + Duration::from_secs(100);
    backend.on("/next", |_| Reply::ok("x"));
    owner.assign(next).await.unwrap().settlement.passed();
    let probes: Vec<_> = backend.heard("/version").iter().map(|h| (h.at - start).as_secs()).collect();
    assert_eq!(probes, [10, 30, 32]);
    assert!(backend.heard("/next")[0].at - start >= Duration::from_secs(32));
    assert_eq!(owner.intents.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_amend_whose_probe_fails_stays_held_until_an_operator_abandons_it() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let owner = owner(state.path(), &backend);
    let mut amend = assignment("/amend", &[1]);
    amend.operation = Operation::Amend;
    amend.after = Some(call("records", "/no-version"));
    owner.assign(amend).await.unwrap_err();
    tokio::time::sleep(MAX_RUN * 10).await;
    assert!(!begins_at_once(&owner, &backend, assignment("/next", &[1])).await);
    let held = owner.oldest_attempts(1).remove(0);
    assert_eq!((held.state, held.operation), ("held", "amend"));
    assert!(owner.abandon(held.number));
    assert!(!owner.abandon(held.number));
    assert!(begins_at_once(&owner, &backend, assignment("/next", &[1])).await);
}

#[tokio::test(start_paused = true)]
async fn a_lookup_on_the_same_backend_shares_the_slot() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let owner = owner_with(state.path(), &backend, |c| c.max_in_flight = 1);
    for path in ["/before", "/paper", "/after"] {
        backend.on(path, |_| Reply::ok("x").after(Duration::from_millis(100)));
    }
    let asked: Vec<_> = (0..3)
        .map(|n| {
            let mut a = assignment("/paper", &[n]);
            a.before = Some(call("issuer", "/before"));
            a.after = Some(call("issuer", "/after"));
            tokio::spawn(owner.assign(a))
        })
        .collect();
    for one in asked {
        let attested = one.await.unwrap().unwrap();
        assert!(attested.before.is_some() && attested.after.is_some());
        attested.settlement.passed();
    }
    assert_eq!(backend.most_busy(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_guard_inside_the_lane_stops_the_call() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let owner = owner(state.path(), &backend);
    backend.on("/before", |_| Reply::ok("moved"));
    let mut a = assignment("/paper", &[1]);
    a.before = Some(call("records", "/before"));
    a.before_guard = Some(Arc::new(|answer| match answer.body.as_slice() {
        b"moved" => Err("household_changed"),
        _ => Ok(()),
    }));
    assert_eq!(owner.assign(a.clone()).await.unwrap_err(), NotBegun::Guarded("household_changed").into());
    a.before = Some(call("records", "/silent"));
    a.deadline = clock::now() + TIMEOUT * 2;
    assert_eq!(owner.assign(a).await.unwrap_err(), NotBegun::Guarded("lookup_unanswered").into());
    assert!(backend.heard("/paper").is_empty());
    assert!(owner.lanes.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_probe_for_which_no_time_is_left_says_so_and_one_that_its_own_limit_ended_does_not() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let owner = owner_with(state.path(), &backend, |c| c.max_in_flight = 1);
    backend.on("/hold", |_| Reply::ok("x").after(TIMEOUT * 2));
    backend.on("/paper", |_| Reply::ok("x").after(SECOND));
    let mut hold = assignment("/hold", &[9]);
    (hold.deadline, hold.call.timeout) = (hold.deadline + TIMEOUT * 2, TIMEOUT * 3);
    let holding = tokio::spawn(owner.assign(hold));
    while backend.heard("/hold").is_empty() {
        tokio::task::yield_now().await;
    }
    for (limit, out_of_time) in [(TIMEOUT, true), (SECOND, false)] {
        let mut a = assignment("/paper", &[1]);
        a.call.backend = "records".into();
        a.after = Some(Call { timeout: limit, ..call("issuer", "/after") });
        let attested = owner.assign(a).await.unwrap();
        assert!(attested.after.is_none());
        assert_eq!(attested.out_of_time, out_of_time, "{limit:?}");
        attested.settlement.passed();
    }
    holding.await.unwrap().unwrap().settlement.passed();
}
