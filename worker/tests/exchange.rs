//! One call at a time against a scripted backend on loopback sockets, with the journal's own thread and real time.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "only tests use it")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sekisho_worker::assignment::{NotBegun, Unanswered};
use sekisho_worker::backend::BackendConfig;
use sekisho_worker::owner::{Attested, Owner};
use sekisho_worker::standing::{Rank, Standing};
use support::{Fake, Heard, assignment, call, config, owner};

/// An owner whose backend may be called again on the same connection.
fn reusing(fake: &Fake) -> BackendConfig {
    let mut config = config(fake);
    config.hazards.fresh_connections = false;
    config
}

async fn asked(owner: &Arc<Owner>, fake: &mut Fake, path: &str, resident: u128, reply: &[u8]) -> (Attested, Heard) {
    let asked = tokio::spawn(owner.assign(assignment(path, &[resident])));
    let heard = fake.next().await;
    heard.write(reply).await.unwrap();
    (asked.await.unwrap().unwrap(), heard)
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\npaper";

#[tokio::test]
async fn an_answer_comes_back_attested() {
    let mut fake = Fake::start().await;
    let state = tempfile::tempdir().unwrap();
    let owner = owner(state.path(), &[("issuer", config(&fake))]);
    let a = assignment("/certificates/tax", &[5]);
    let binding = a.binding;
    let asked = tokio::spawn(owner.assign(a));
    let heard = fake.next().await;
    assert_eq!(heard.path, "/certificates/tax");
    assert!(heard.head.contains("connection: close"), "{}", heard.head);
    assert!(heard.head.contains("host: 127.0.0.1:"), "{}", heard.head);
    heard.ok("paper").await;
    let attested = asked.await.unwrap().unwrap();
    assert_eq!(attested.answer.status, 200);
    assert_eq!(attested.answer.body.as_slice(), b"paper");
    assert!(!attested.answer.framing_surprise);
    assert!(attested.attestation.binding.matches(&binding));
    assert_eq!(attested.attestation.digest, *blake3::hash(b"paper").as_bytes());
    attested.settlement.passed();
    assert!(owner.lanes().is_empty());
    owner.drain().await;
    assert!(sekisho_worker::intent::open_intents(state.path()).unwrap().is_empty());
}

#[tokio::test]
async fn each_call_has_its_own_connection_where_the_hazard_profile_says_so() {
    let mut fake = Fake::start().await;
    let state = tempfile::tempdir().unwrap();
    let owner = owner(state.path(), &[("issuer", config(&fake))]);
    for n in 1..4 {
        let (attested, heard) = asked(&owner, &mut fake, "/x", 1, OK).await;
        attested.settlement.passed();
        assert_eq!(heard.connection, n);
        heard.closed().await;
    }
}

/// Asks again and again until a call comes on a connection that is known; whether that is the `first`. Channels rest for a
/// moment and are taken in order, so the first one had its turn by then.
async fn comes_again_on(owner: &Arc<Owner>, fake: &mut Fake, first: &Heard) -> bool {
    let mut fresh: Vec<Heard> = Vec::new();
    loop {
        let asked = tokio::spawn(owner.assign(assignment("/again", &[1])));
        let on = async |known: &Heard| match known.next().await {
            Some(heard) => heard,
            None => std::future::pending().await,
        };
        let known = std::iter::once(first).chain(&fresh).map(|known| Box::pin(on(known)));
        let (heard, is_known) = tokio::select! {
            (heard, ..) = futures_util::future::select_all(known) => (heard, true),
            heard = fake.next() => (heard, false),
        };
        heard.ok("x").await;
        asked.await.unwrap().unwrap().settlement.passed();
        if is_known {
            return heard.connection == first.connection;
        }
        fresh.push(heard);
    }
}

#[tokio::test]
async fn a_channel_whose_reply_passed_serves_another_call() {
    let mut fake = Fake::start().await;
    let state = tempfile::tempdir().unwrap();
    let owner = owner(state.path(), &[("issuer", reusing(&fake))]);
    let (attested, heard) = asked(&owner, &mut fake, "/x", 1, OK).await;
    assert!(!heard.head.contains("connection: close"), "{}", heard.head);
    attested.settlement.passed();
    assert!(comes_again_on(&owner, &mut fake, &heard).await);
}

#[tokio::test]
async fn a_channel_whose_reply_failed_a_check_or_was_not_judged_is_burned() {
    for judged in [true, false] {
        let mut fake = Fake::start().await;
        let state = tempfile::tempdir().unwrap();
        let owner = owner(state.path(), &[("issuer", reusing(&fake))]);
        let (attested, heard) = asked(&owner, &mut fake, "/x", 2, OK).await;
        match judged {
            true => attested.settlement.surprised("identity"),
            false => drop(attested),
        }
        heard.closed().await;
        assert!(!comes_again_on(&owner, &mut fake, &heard).await);
    }
}

#[tokio::test]
async fn a_call_without_an_echo_never_reuses_a_channel() {
    let mut fake = Fake::start().await;
    let state = tempfile::tempdir().unwrap();
    let owner = owner(state.path(), &[("issuer", reusing(&fake))]);
    let mut a = assignment("/x", &[1]);
    a.call.echoed = false;
    let asked = tokio::spawn(owner.assign(a));
    let heard = fake.next().await;
    assert!(heard.head.contains("connection: close"), "{}", heard.head);
    heard.ok("x").await;
    asked.await.unwrap().unwrap().settlement.passed();
    heard.closed().await;
    assert_eq!(owner.backend_states()[0].idle_channels, 0);
}

#[tokio::test]
async fn bytes_behind_the_declared_end_are_a_framing_surprise_on_fresh_and_on_kept_connections() {
    for fresh in [true, false] {
        let mut fake = Fake::start().await;
        let state = tempfile::tempdir().unwrap();
        let backend = if fresh { config(&fake) } else { reusing(&fake) };
        let owner = owner(state.path(), &[("issuer", backend)]);
        let (attested, heard) = asked(&owner, &mut fake, "/x", 1, &[OK, OK].concat()).await;
        assert!(attested.answer.framing_surprise, "fresh: {fresh}");
        assert_eq!(attested.answer.body.as_slice(), b"paper");
        // Even a gate that lets it pass does not free the lane or keep the channel.
        attested.settlement.passed();
        assert_eq!(owner.lanes()[0].held, 1);
        heard.closed().await;
    }
}

#[tokio::test]
async fn a_duplicate_reply_that_comes_while_the_channel_is_idle_is_never_the_next_answer() {
    let mut fake = Fake::start().await;
    let state = tempfile::tempdir().unwrap();
    let owner = owner(state.path(), &[("issuer", reusing(&fake))]);
    let (attested, heard) = asked(&owner, &mut fake, "/x", 1, OK).await;
    attested.settlement.passed();
    assert_eq!(owner.backend_states()[0].idle_channels, 1);
    heard.write(OK).await.unwrap();
    assert!(!comes_again_on(&owner, &mut fake, &heard).await);
    heard.closed().await;
}

#[tokio::test]
async fn an_informational_reply_is_a_surprise() {
    let mut fake = Fake::start().await;
    let state = tempfile::tempdir().unwrap();
    let owner = owner(state.path(), &[("issuer", reusing(&fake))]);
    let early = [b"HTTP/1.1 103 Early Hints\r\n\r\n", OK].concat();
    let (attested, heard) = asked(&owner, &mut fake, "/x", 1, &early).await;
    assert!(attested.answer.framing_surprise);
    drop(attested);
    heard.closed().await;
}

#[tokio::test]
async fn an_answer_that_ends_with_the_connection_is_a_surprise_unless_declared() {
    for declared in [false, true] {
        let mut fake = Fake::start().await;
        let state = tempfile::tempdir().unwrap();
        let mut backend = config(&fake);
        backend.close_delimited = declared;
        let owner = owner(state.path(), &[("issuer", backend)]);
        let asked = tokio::spawn(owner.assign(assignment("/x", &[1])));
        let heard = fake.next().await;
        heard.write(b"HTTP/1.0 200 OK\r\n\r\npaper").await.unwrap();
        heard.close().await;
        let attested = asked.await.unwrap().unwrap();
        assert_eq!(attested.answer.body.as_slice(), b"paper");
        assert_eq!(attested.answer.framing_surprise, !declared);
    }
}

/// Bytes under a coding that nobody undid could be one thing to us and another to who receives them.
#[tokio::test]
async fn a_transfer_coding_besides_chunked_is_a_surprise() {
    for coding in ["gzip, chunked", "chunked\r\nTransfer-Encoding: chunked"] {
        let mut fake = Fake::start().await;
        let state = tempfile::tempdir().unwrap();
        let owner = owner(state.path(), &[("issuer", config(&fake))]);
        let reply = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n5\r\npaper\r\n0\r\n\r\n");
        let (attested, _heard) = asked(&owner, &mut fake, "/x", 1, reply.as_bytes()).await;
        assert!(attested.answer.framing_surprise, "{coding}");
    }
}

#[tokio::test]
async fn a_chunked_answer_is_read_whole_and_one_beyond_its_bound_is_not() {
    for (bound, whole) in [(10, true), (9, false)] {
        let mut fake = Fake::start().await;
        let state = tempfile::tempdir().unwrap();
        let owner = owner(state.path(), &[("issuer", config(&fake))]);
        let mut a = assignment("/x", &[1]);
        a.call.max_response_bytes = bound;
        let asked = tokio::spawn(owner.assign(a));
        let heard = fake.next().await;
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n";
        heard.write(chunked).await.unwrap();
        match asked.await.unwrap() {
            Ok(attested) => {
                assert!(whole);
                assert_eq!(attested.answer.body.as_slice(), b"helloworld");
                assert!(!attested.answer.framing_surprise);
                attested.settlement.passed();
            }
            Err(error) => {
                assert!(!whole);
                assert_eq!(error, Unanswered::Indeterminate("too_large"));
            }
        }
    }
}

#[tokio::test]
async fn a_reset_is_indeterminate_and_holds_the_lane() {
    let mut fake = Fake::start().await;
    let state = tempfile::tempdir().unwrap();
    let owner = owner(state.path(), &[("issuer", config(&fake))]);
    let asked = tokio::spawn(owner.assign(assignment("/x", &[1])));
    fake.next().await.reset().await;
    assert!(matches!(asked.await.unwrap(), Err(Unanswered::Indeterminate("reset" | "cut"))));
    assert_eq!(owner.lanes()[0].held, 1);
}

#[tokio::test]
async fn a_backend_that_cannot_be_reached_was_never_begun_and_frees_the_lane() {
    let fake = Fake::start().await;
    let state = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut backend = config(&fake);
    backend.address = sekisho_worker::backend::Address::parse(&nowhere).unwrap();
    let owner = owner(state.path(), &[("issuer", backend)]);
    let ended = owner.assign(assignment("/x", &[1])).await;
    assert_eq!(ended.unwrap_err(), Unanswered::NotBegun(NotBegun::Unreachable));
    assert!(owner.lanes().is_empty());
    owner.drain().await;
    assert!(sekisho_worker::intent::open_intents(state.path()).unwrap().is_empty());
}

#[tokio::test]
async fn a_drained_backend_hears_nothing_until_it_is_resumed() {
    let mut fake = Fake::start().await;
    let state = tempfile::tempdir().unwrap();
    let owner = owner(state.path(), &[("issuer", config(&fake))]);
    assert!(owner.drain_backend("issuer"));
    assert!(!owner.drain_backend("nobody"));
    let refused = owner.assign(assignment("/x", &[1])).await;
    assert_eq!(refused.unwrap_err(), NotBegun::BackendSuspended.into());
    assert_eq!(owner.backend_states()[0].suspended, Some("drained"));
    assert!(fake.heard_nothing());
    assert!(owner.resume_backend("issuer"));
    let (attested, _) = asked(&owner, &mut fake, "/x", 1, OK).await;
    attested.settlement.passed();
}

#[tokio::test]
async fn a_reload_that_drops_and_brings_back_a_backend_does_not_resume_it() {
    let mut fake = Fake::start().await;
    let state = tempfile::tempdir().unwrap();
    let owner = owner(state.path(), &[("issuer", config(&fake))]);
    assert!(owner.drain_backend("issuer"));
    owner.reconfigure(Default::default());
    owner.reconfigure([("issuer".into(), config(&fake))].into());
    let refused = owner.assign(assignment("/x", &[1])).await;
    assert_eq!(refused.unwrap_err(), NotBegun::BackendSuspended.into());
    assert!(fake.heard_nothing());
}

#[tokio::test]
async fn a_lower_limit_makes_calls_wait_and_the_configured_one_is_its_ceiling() {
    let mut fake = Fake::start().await;
    let state = tempfile::tempdir().unwrap();
    let owner = owner(state.path(), &[("issuer", config(&fake))]);
    assert!(owner.set_limit("issuer", 1));
    let first = tokio::spawn(owner.assign(assignment("/first", &[1])));
    let heard = fake.next().await;
    let second = tokio::spawn(owner.assign(assignment("/second", &[2])));
    while owner.backend_states()[0].waiting == 0 {
        tokio::task::yield_now().await;
    }
    assert!(fake.heard_nothing());
    heard.ok("x").await;
    first.await.unwrap().unwrap().settlement.passed();
    fake.next().await.ok("x").await;
    second.await.unwrap().unwrap().settlement.passed();
    owner.set_limit("issuer", 1000);
    assert_eq!(owner.backend_states()[0].limit, 8);
}

#[tokio::test]
async fn a_lookup_outside_lanes_is_answered_and_its_channel_kept_only_when_it_passed() {
    let mut fake = Fake::start().await;
    let state = tempfile::tempdir().unwrap();
    let owner = owner(state.path(), &[("issuer", reusing(&fake))]);
    let deadline = Instant::now() + Duration::from_secs(5);
    for kept in [false, true] {
        let asked = tokio::spawn({
            let owner = Arc::clone(&owner);
            async move { owner.call_settled(call("/card"), &Standing::of(Rank::New, Instant::now()), deadline).await }
        });
        let heard = fake.next().await;
        heard.ok("resident").await;
        let (answer, settlement) = asked.await.unwrap().unwrap();
        assert_eq!(answer.body.as_slice(), b"resident");
        match kept {
            true => settlement.passed(),
            false => settlement.surprised("echo"),
        }
        assert_eq!(owner.backend_states()[0].idle_channels, usize::from(kept));
        drop(heard);
    }
}

#[tokio::test]
async fn a_poisoned_or_closed_journal_begins_nothing() {
    let mut fake = Fake::start().await;
    let state = tempfile::tempdir().unwrap();
    let owner = owner(state.path(), &[("issuer", config(&fake))]);
    let (attested, _) = asked(&owner, &mut fake, "/x", 1, OK).await;
    attested.settlement.passed();
    owner.close_journal();
    let refused = owner.assign(assignment("/y", &[1])).await;
    assert_eq!(refused.unwrap_err(), NotBegun::IntentNotDurable.into());
    assert!(fake.heard_nothing());
    assert!(owner.lanes().is_empty());
}
