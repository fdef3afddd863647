use jiff::Timestamp;

use super::entry::Unique as UniqueEntry;
use super::*;
use crate::unique::{Digests, Seen};
use crate::watermark::Watermark;
use sekisho_issuance::shard::LaneId;

fn now() -> Timestamp {
    "2026-11-22T12:00:00+09:00".parse().unwrap()
}

fn clock() -> Clock {
    Clock::fixed(now())
}

fn digests(content: u128, people: u64) -> Digests {
    Digests { content, people, session: people, number: Some(content + 1000) }
}

fn about(request: u128) -> About {
    About {
        request: RequestId::from_u128(request).to_string(),
        at: now(),
        arrived_at: now(),
        sent_at: now(),
        received_at: now(),
        route: "tax".to_owned(),
        operation: "issue".to_owned(),
        municipality: Some("991007".to_owned()),
        kind: "tax".to_owned(),
        mode: "enforce".to_owned(),
        kiosk: Some("K-1".to_owned()),
        session: None,
        people: Vec::new(),
        fence: Some(1),
        epoch: 1,
        bytes: 10,
        body: "00".to_owned(),
        findings: Vec::new(),
        stages_us: Vec::new(),
    }
}

fn intent(request: u128, digests: Digests) -> Record {
    let unique = Some(UniqueEntry::from(&digests));
    Record::ReleaseIntent(Intent { about: about(request), verified: true, unique, watermarks: Vec::new() })
}

fn result(request: u128, fate: Fate) -> Record {
    Record::result(RequestId::from_u128(request), now(), fate)
}

fn destroyed() -> Fate {
    Fate::Destroyed { reason: "hung_up".to_owned() }
}

fn seen(memory: &Memory, digests: Digests) -> Option<Seen> {
    memory.unique.claim(digests, false, now()).err()
}

#[tokio::test]
async fn what_may_have_left_is_known_after_a_restart_and_what_was_destroyed_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let records = Records::open(dir.path(), Memory::default(), clock()).unwrap();
    for (request, content, fate) in [(1, 11, Some(Fate::Complete)), (2, 12, None), (3, 13, Some(destroyed()))] {
        records.append(&intent(request, digests(content, 1))).await.unwrap();
        if let Some(fate) = fate {
            records.append_lazy(&result(request, fate)).unwrap();
        }
    }
    records.close();
    let memory = Memory::default();
    let _again = Records::open(dir.path(), memory.clone(), clock()).unwrap();
    assert_eq!(seen(&memory, digests(11, 2)), Some(Seen::OtherPeople));
    assert_eq!(seen(&memory, digests(12, 2)), Some(Seen::OtherPeople), "no result means it may have left");
    assert_eq!(seen(&memory, digests(13, 2)), None);
    let same_number = Digests { number: Some(1012), ..digests(99, 2) };
    assert_eq!(seen(&memory, same_number), Some(Seen::Number));
}

#[tokio::test]
async fn a_torn_write_loses_nothing_that_was_durable() {
    let dir = tempfile::tempdir().unwrap();
    let records = Records::open(dir.path(), Memory::default(), clock()).unwrap();
    records.append(&intent(1, digests(11, 1))).await.unwrap();
    let killed = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(dir.path().join("00000001.records")).unwrap();
    bytes.truncate(bytes.iter().rposition(|b| *b != 0).unwrap() + 1);
    bytes.extend_from_slice(b"\xA5SJ\x01 half a frame");
    std::fs::write(killed.path().join("00000001.records"), bytes).unwrap();
    let memory = Memory::default();
    let again = Records::open(killed.path(), memory.clone(), clock()).unwrap();
    assert_eq!(seen(&memory, digests(11, 2)), Some(Seen::OtherPeople));
    again.append(&intent(2, digests(12, 1))).await.unwrap();
    assert_eq!(again.explain(RequestId::from_u128(2)).unwrap().records.len(), 1);
}

#[tokio::test]
async fn a_new_segment_begins_while_running_and_the_snapshot_speaks_for_the_old_ones() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Memory::default();
    let records = {
        let options = Options { segment_bytes: 2_000, ..Options::default() };
        Records::open_with(dir.path(), memory.clone(), clock(), options).unwrap()
    };
    let mark = Watermark::new(LaneId::from_u128(5), "8", now()).unwrap();
    memory.watermarks.set(&mark);
    for i in 0..20u64 {
        let digests = digests(u128::from(i), i);
        let claim = memory.unique.claim(digests, false, now()).unwrap().0;
        records.append(&intent(u128::from(i), digests)).await.unwrap();
        claim.keep();
    }
    while !dir.path().join("snapshot").exists() {
        tokio::task::yield_now().await;
    }
    // Claimed like every other: another segment may be full by now, and its snapshot speaks for this one too.
    let claim = memory.unique.claim(digests(77, 77), false, now()).unwrap().0;
    records.append(&intent(77, digests(77, 77))).await.unwrap();
    claim.keep();
    records.close();
    let last = records.log.place().segment;
    while *lock(&records.turning.through) + 1 < last {
        tokio::task::yield_now().await;
    }
    drop(records);
    let first = dir.path().join("00000001.records");
    std::fs::remove_file(&first).unwrap();
    let memory = Memory::default();
    let again = Records::open(dir.path(), memory.clone(), clock()).unwrap();
    for i in [0, 19, 77] {
        assert_eq!(seen(&memory, digests(i, 1_000_000)), Some(Seen::OtherPeople), "{i}");
    }
    assert_eq!(memory.watermarks.get(LaneId::from_u128(5)).as_deref(), Some("8"));
    drop(again);
    std::fs::write(dir.path().join("snapshot"), "{}\n00\n").unwrap();
    let refused = Records::open(dir.path(), Memory::default(), clock()).unwrap_err();
    assert!(matches!(refused, RecordsError::Missing(_)), "what was forgotten is said: {refused}");
}

#[tokio::test]
async fn explain_tells_the_life_of_a_request() {
    let dir = tempfile::tempdir().unwrap();
    let records = Records::open(dir.path(), Memory::default(), clock()).unwrap();
    records.append(&intent(1, digests(11, 1))).await.unwrap();
    records.append(&intent(2, digests(12, 1))).await.unwrap();
    records.append(&result(2, Fate::Cut { after_bytes: 4 })).await.unwrap();
    let withheld = Record::Withheld(Withheld { about: about(3), reason: "identity".to_owned() });
    records.append(&withheld).await.unwrap();
    let told = |request| records.explain(RequestId::from_u128(request)).unwrap().summary;
    assert!(told(1).starts_with("may have been released"), "{}", told(1));
    assert!(told(2).starts_with("cut after 4 of 10 bytes"), "{}", told(2));
    assert_eq!(told(3), "withheld: identity");
    assert!(told(4).starts_with("not in the records"));
}

#[tokio::test]
async fn an_amend_sets_its_mark_even_if_its_answer_never_left() {
    let dir = tempfile::tempdir().unwrap();
    let records = Records::open(dir.path(), Memory::default(), clock()).unwrap();
    let mark = Watermark::new(LaneId::from_u128(5), "8", now()).unwrap();
    let amend = Record::ReleaseIntent(Intent { about: about(1), verified: true, unique: None, watermarks: vec![mark] });
    records.append(&amend).await.unwrap();
    records.append(&result(1, destroyed())).await.unwrap();
    records.close();
    let memory = Memory::default();
    let _again = Records::open(dir.path(), memory.clone(), clock()).unwrap();
    assert_eq!(memory.watermarks.get(LaneId::from_u128(5)).as_deref(), Some("8"));
}
