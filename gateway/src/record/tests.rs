use jiff::Timestamp;

use super::entry::Unique as UniqueEntry;
use super::*;
use crate::state_dir::Pseudonym;
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
        operation: "issue".into(),
        municipality: Some("991007".to_owned()),
        canary: None,
        kind: "tax".into(),
        mode: "enforce".into(),
        kiosk: Some("K-1".to_owned()),
        session: None,
        people: Vec::new(),
        fence: Some(1),
        epoch: 1,
        bytes: 10,
        body: "00".to_owned(),
        findings: Vec::new(),
        replay_of: None,
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
    let withheld = Record::Withheld(Withheld { about: about(3), reason: "identity".to_owned(), sealed: None });
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

/// A clock that a test sets.
fn moving(at: Arc<Mutex<Timestamp>>) -> Clock {
    Clock::of(move || *lock(&at))
}

#[tokio::test]
async fn segments_whose_time_is_over_are_removed_and_what_remains_proves_it() {
    let dir = tempfile::tempdir().unwrap();
    let time = Arc::new(Mutex::new(now()));
    let key = CheckpointKey::new(&[3; 32]);
    let options = Options { segment_bytes: 4_000, key: Some(key.clone()), ..Options::default() };
    let records = Records::open_with(dir.path(), Memory::default(), moving(time.clone()), options).unwrap();
    let (day, keep) = (SignedDuration::from_hours(24), Duration::from_secs(10 * 24 * 3600));
    for request in 0..40 {
        *lock(&time) = now() + day * (request / 2);
        let mut about = about(request as u128);
        about.at = *lock(&time);
        let intent = Intent { about, verified: true, unique: None, watermarks: Vec::new() };
        records.append(&Record::ReleaseIntent(intent)).await.unwrap();
        records.export_head(None);
    }
    let last = records.log.place().segment;
    while *lock(&records.turning.through) + 1 < last {
        tokio::task::yield_now().await;
    }
    let before = verify(dir.path(), &[], &[key.public()]).unwrap();
    assert!(before.ok, "{before:#?}");
    // By a clock that jumped ahead even the segment in use is too old: nothing is removed.
    let in_time = std::mem::replace(&mut *lock(&time), now() + day * 4000);
    assert_eq!(records.drop_old(keep).unwrap(), 0);
    *lock(&time) = in_time;
    let dropped = records.drop_old(keep).unwrap();
    assert!(dropped > 1 && dropped < before.segments.len() - 1, "{dropped} of {}", before.segments.len());
    let told = |request: u128| records.explain(RequestId::from_u128(request)).unwrap().records.len();
    assert_eq!((told(0), told(39)), (0, 1), "the first are gone and the last are there");
    assert_eq!(told(20), 1, "what is ten days old is kept");
    records.close();
    let head = serde_json::from_str(&std::fs::read_to_string(dir.path().join(HEAD_FILE)).unwrap()).unwrap();
    let after = verify(dir.path(), &[Head::Signed(head)], &[key.public()]).unwrap();
    assert!(after.ok && after.notes.iter().any(|n| n.contains("time was over")), "{after:#?}");
    // Removing one more by hand is not what the records say.
    std::fs::remove_file(dir.path().join(format!("{:08}.records", dropped + 1))).unwrap();
    assert!(!verify(dir.path(), &[], &[key.public()]).unwrap().ok);
}

#[tokio::test]
async fn what_is_looked_for_is_found_with_all_that_is_known_of_its_request() {
    let dir = tempfile::tempdir().unwrap();
    let records = Records::open(dir.path(), Memory::default(), clock()).unwrap();
    let person = Pseudonym::parse("00000000000000aa").unwrap();
    let mut withheld = about(3);
    (withheld.people, withheld.municipality) = (vec![person], Some("991015".to_owned()));
    records.append(&intent(1, digests(11, 1))).await.unwrap();
    records.append(&result(1, Fate::Complete)).await.unwrap();
    let withheld = Withheld { about: withheld, reason: "identity".to_owned(), sealed: None };
    records.append(&Record::Withheld(withheld)).await.unwrap();
    let count = |filter: Filter| find(dir.path(), &filter, |_| {}).unwrap();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(count(Filter { outcome: some("released"), ..Filter::default() }), 2, "the intent and its result");
    assert_eq!(count(Filter { outcome: some("withheld"), ..Filter::default() }), 1);
    assert_eq!(count(Filter { pseudonyms: vec![person], ..Filter::default() }), 1);
    assert_eq!(count(Filter { municipality: some("991015"), kind: some("tax"), ..Filter::default() }), 1);
    assert_eq!(count(Filter { municipality: some("991015"), outcome: some("released"), ..Filter::default() }), 0);
    assert_eq!(count(Filter { request: Some(RequestId::from_u128(1).to_string()), ..Filter::default() }), 2);
    assert_eq!(count(Filter { from: Some(now()), ..Filter::default() }), 3);
    assert_eq!(count(Filter { to: Some(now()), ..Filter::default() }), 0);
    assert_eq!(
        export(dir.path(), Some(now()), None, |line| assert!(line["head"].as_str().unwrap().len() == 64)).unwrap(),
        3
    );
}

#[tokio::test]
async fn a_torn_tail_is_recorded_when_it_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let records = Records::open(dir.path(), Memory::default(), clock()).unwrap();
    records.append(&intent(1, digests(11, 1))).await.unwrap();
    records.close();
    let path = dir.path().join("00000001.records");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"half a frame");
    std::fs::write(&path, bytes).unwrap();
    Records::open(dir.path(), Memory::default(), clock()).unwrap().close();
    let mut recovered = Vec::new();
    segments::read(dir.path(), 1, |entry| {
        if let Ok(Record::Recovered(one)) = serde_json::from_slice(entry) {
            recovered.push((one.segment, one.torn_bytes));
        }
    })
    .unwrap();
    assert_eq!(recovered, [(Some(1), 12)]);
}
