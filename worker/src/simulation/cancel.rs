use std::future::Future;
use std::task::{Context, Poll, Waker};

use super::backend::{Reply, Scripted};
use super::*;
use crate::assignment::NotBegun;
use crate::channel::exchange::Failed;
use crate::metric::Burn;
use crate::settlement::{Held, Unjudged};
use crate::standing::{Rank, Standing};
use crate::{attempt, lookup};

/// An assignment with a lookup before and after, each of whose answers takes a while.
fn slow(backend: &Scripted) -> Assignment {
    for path in ["/before", "/paper", "/after"] {
        backend.on(path, |_| Reply::ok("x").after(Duration::from_millis(100)));
    }
    let mut a = assignment("/paper", &[1, 2]);
    a.before = Some(call("records", "/before"));
    a.after = Some(call("records", "/after"));
    a
}

/// Cancels after `polls` polls. Either the backend never heard of it and the lanes are free, or it ran on and they are held.
async fn cancel_after(polls: usize) -> bool {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let owner = owner(state.path(), &backend);
    let start = clock::now();
    let mut asked = Box::pin(owner.assign(slow(&backend)));
    let mut done = false;
    for _ in 0..polls {
        match asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(attested) => {
                attested.unwrap().settlement.passed();
                done = true;
                break;
            }
            // The backend takes its turn, and time goes on a little.
            Poll::Pending => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    drop(asked);
    let cancelled_at = clock::now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let heard = backend.heard("/paper");
    assert!(heard.len() <= 1);
    if !done && heard.first().is_some_and(|h| h.at <= cancelled_at) {
        assert_eq!(backend.heard("/after").len(), 1, "what had begun did not run on ({polls} polls)");
        assert!(!begins_at_once(&owner, &backend, assignment("/next", &[1])).await, "freed in doubt ({polls} polls)");
        tokio::time::sleep(MAX_RUN.saturating_sub(clock::now() - start) + SECOND).await;
    } else if !done {
        assert!(heard.is_empty(), "begun after it was cancelled ({polls} polls)");
    }
    assert!(begins_at_once(&owner, &backend, assignment("/next", &[1])).await, "{polls} polls");
    assert!(begins_at_once(&owner, &backend, assignment("/next", &[2])).await, "{polls} polls");
    assert!(owner.lanes.is_idle(), "{polls} polls");
    assert_eq!(owner.intents.count(), 0, "{polls} polls");
    assert!(owner.backend_states().iter().all(|b| b.in_flight == 0), "{polls} polls");
    done
}

#[tokio::test(start_paused = true)]
async fn cancelled_at_any_step_it_either_never_began_or_runs_on_with_its_lanes_held() {
    let mut polls = 0;
    while !cancel_after(polls).await {
        polls += 1;
        assert!(polls < 200);
    }
    assert!(polls > 20, "the steps were not told apart: {polls}");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_waiter_leaves_the_queue_to_the_next() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let owner = owner(state.path(), &backend);
    backend.on("/first", |_| Reply::ok("x").after(SECOND));
    backend.on("/third", |_| Reply::ok("x"));
    let first = tokio::spawn(owner.assign(assignment("/first", &[1])));
    tokio::task::yield_now().await;
    let second = tokio::spawn(owner.assign(assignment("/second", &[1])));
    tokio::task::yield_now().await;
    let third = tokio::spawn(owner.assign(assignment("/third", &[1])));
    tokio::task::yield_now().await;
    assert_eq!(owner.lanes()[0].waiting, 2);
    second.abort();
    assert!(second.await.is_err());
    assert_eq!(owner.lanes()[0].waiting, 1);
    first.await.unwrap().unwrap().settlement.passed();
    third.await.unwrap().unwrap().settlement.passed();
    assert!(backend.heard("/second").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_guard_gives_everything_back() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let owner = owner(state.path(), &backend);
    let mut a = slow(&backend);
    a.before_guard = Some(Arc::new(|_| panic!("a broken guard")));
    assert!(tokio::spawn(owner.assign(a)).await.is_err());
    assert!(owner.lanes.is_idle());
    assert!(begins_at_once(&owner, &backend, assignment("/next", &[1])).await);
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_nobody_judged_does_not_lend_its_channel_when_the_call_could_not_be_sent() {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let owner = owner_with(state.path(), &backend, |config| config.hazards.fresh_connections = false);
    backend.on("/who", |_| Reply::ok("somebody"));
    let found = lookup::run(
        &owner,
        &call("issuer", "/who"),
        &Standing::of(Rank::New, clock::now()),
        clock::now() + TIMEOUT,
        false,
    )
    .await
    .unwrap();
    let held = Held {
        channels: found
            .channel
            .map(|channel| Unjudged { backend: Arc::clone(&found.backend), channel })
            .into_iter()
            .collect(),
        backend: found.backend,
        slot: None,
        intent: None,
        lanes: None,
        probe: None,
        active: None,
        framing_surprise: false,
    };
    assert_eq!(held.channels.len(), 1);
    let ended = attempt::unanswered(held, Failed { reason: Burn::Cut, sent: false });
    assert_eq!(ended, NotBegun::Unreachable.into());
    assert!(owner.backend_states().iter().all(|seen| seen.idle_channels == 0));
}
