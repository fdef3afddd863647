//! A backend that sends some replies twice, the second a little late: the case that no proxy can see on the wire alone.

use super::backend::{Reply, Scripted};
use super::*;

struct Seen {
    wrong: usize,
    reused: usize,
}

/// 300 calls one after the other; every seventh reply is repeated `late` after itself. The echo is checked as a gate would.
async fn calls_with_duplicates(late: Duration, pause: Duration) -> Seen {
    let (backend, state) = (Scripted::start(), tempfile::tempdir().unwrap());
    let owner = owner_with(state.path(), &backend, |c| c.hazards.fresh_connections = false);
    let mut seen = Seen { wrong: 0, reused: 0 };
    let mut burned = Vec::new();
    for n in 0..300_usize {
        let path = format!("/{n}");
        let reply = Reply::ok(&path).after(Duration::from_millis(20));
        let duplicate = reply.bytes.clone();
        let reply = if n % 7 == 0 { reply.then_stray(late, &duplicate) } else { reply };
        backend.on(&path, move |_| reply.clone());
        let mut a = assignment(&path, &[n as u128 + 1]);
        a.call.timeout = TIMEOUT;
        let attested = owner.assign(a).await.unwrap();
        let connection = backend.heard(&path).first().map(|h| h.connection);
        assert!(!burned.contains(&connection), "a channel that saw a surprise was used again");
        if attested.answer.body.as_slice() == path.as_bytes() {
            attested.settlement.passed();
        } else {
            seen.wrong += 1;
            burned.push(connection);
            attested.settlement.surprised("echo");
        }
        tokio::time::sleep(pause).await;
    }
    let heard = backend.heard_all();
    seen.reused = heard.len() - heard.iter().map(|h| h.connection).collect::<std::collections::HashSet<_>>().len();
    seen
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_within_the_quarantine_is_never_taken_for_an_answer() {
    for late in [0, 1, 3] {
        for pause in [0, 2, 10] {
            let seen = calls_with_duplicates(Duration::from_millis(late), Duration::from_millis(pause)).await;
            assert_eq!(seen.wrong, 0, "late by {late} ms, paused {pause} ms");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn channels_are_reused_between_clean_replies() {
    let seen = calls_with_duplicates(Duration::ZERO, Duration::from_millis(10)).await;
    assert!(seen.reused > 200, "{} of 300", seen.reused);
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_after_the_next_request_was_sent_is_caught_by_the_echo_and_ends_the_channel() {
    let seen = calls_with_duplicates(Duration::from_millis(15), Duration::from_millis(6)).await;
    assert!(seen.wrong > 0, "the case was not reproduced");
}
