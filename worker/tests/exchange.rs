//! One call at a time against a scripted backend on loopback.

mod support;

use support::{Fake, assignment, config, owner};

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
}
