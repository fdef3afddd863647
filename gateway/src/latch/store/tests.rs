use super::*;
use crate::durable_log::scripted::{Disk, Scripted};
use crate::latch::EvidenceId;
use sekisho_issuance::certificate::Kind;
use sekisho_issuance::id::RequestId;

const TAX: DocumentKind = DocumentKind::Certificate(Kind::Tax);
const RECORD: DocumentKind = DocumentKind::Certificate(Kind::ResidentRecord);

fn city() -> Option<MunicipalityCode> {
    MunicipalityCode::new("991007").ok()
}

fn clock() -> Clock {
    Clock::fixed("2026-11-22T12:00:00+09:00".parse().unwrap())
}

fn evidence() -> EvidenceId {
    EvidenceId::of(b"what was kept")
}

fn failure(request: u128, mode: Mode) -> Failure {
    Failure {
        request: RequestId::from_u128(request),
        evidence: evidence(),
        municipality: city(),
        kind: TAX,
        mode,
        people: 1,
        kiosk: KioskId::new("K-1").ok(),
        at: clock().now(),
    }
}

fn confirmed(latches: &Latches, request: u128, mode: Mode) -> Option<Setting> {
    latches.judge(Consequence::Confirmed(CheckName::Identity), &failure(request, mode))
}

#[tokio::test]
async fn a_latch_survives_a_restart_and_a_torn_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("latches");
    let latches = Latches::open(&path, clock()).unwrap();
    let id = confirmed(&latches, 7, Mode::Enforce).unwrap().durable().await.unwrap();
    // As after kill -9: the journal is neither sealed nor closed, and half a frame follows.
    let copy = dir.path().join("copy");
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|b| *b != 0).unwrap() + 1;
    bytes.truncate(end);
    bytes.extend_from_slice(&[0xAB; 17]);
    std::fs::write(&copy, bytes).unwrap();
    let again = Latches::open(&copy, clock()).unwrap();
    assert_eq!(again.on_kind(city(), TAX), Some(id));
    assert_eq!(again.on_kind(city(), RECORD), None, "the other kinds go on");
}

#[tokio::test]
async fn a_latch_holds_before_it_is_durable() {
    let log = Scripted::new();
    log.disk(Disk::Slow);
    let latches = Latches::scripted(log.clone(), clock());
    let setting = confirmed(&latches, 7, Mode::Enforce).unwrap();
    assert!(latches.on_kind(city(), TAX).is_some());
    let mut durable = Box::pin(setting.durable());
    assert!(futures_util::FutureExt::now_or_never(&mut durable).is_none(), "nobody is answered yet");
    log.disk(Disk::Good);
    durable.await.unwrap();
}

#[tokio::test]
async fn only_a_person_who_looked_at_the_evidence_clears_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("latches");
    let latches = Latches::open(&path, clock()).unwrap();
    let id = confirmed(&latches, 7, Mode::Enforce).unwrap().durable().await.unwrap();
    let right = evidence().to_string();
    for (name, reason, evidence) in [("", "why", right.as_str()), ("who", " ", &right), ("who", "why", "")] {
        assert!(matches!(latches.clear(&id, name, reason, evidence, 1).await, Err(ClearError::Missing(_))));
    }
    let wrong = latches.clear(&id, "who", "why", "E-000000000000", 1).await;
    assert_eq!(wrong, Err(ClearError::WrongEvidence(id.clone())));
    assert!(latches.on_kind(city(), TAX).is_some());
    let cleared = latches.clear(&id, "who", "why", &right, 1).await.unwrap();
    assert_eq!(cleared.cleared.unwrap().name, "who");
    assert_eq!(latches.on_kind(city(), TAX), None);
    assert_eq!(latches.clear(&id, "who", "why", &right, 1).await, Err(ClearError::AlreadyCleared(id.clone())));
    latches.close();
    let again = Latches::open(&path, clock()).unwrap();
    assert_eq!(again.on_kind(city(), TAX), None);
    assert_eq!(again.show(&id).unwrap().cleared.unwrap().reason, "why");
}

#[tokio::test]
async fn a_clearance_that_is_not_durable_clears_nothing() {
    let log = Scripted::new();
    let latches = Latches::scripted(log.clone(), clock());
    let id = confirmed(&latches, 7, Mode::Enforce).unwrap().durable().await.unwrap();
    log.disk(Disk::Broken);
    let refused = latches.clear(&id, "who", "why", evidence().as_str(), 1).await;
    assert_eq!(refused, Err(ClearError::NotDurable));
    assert!(latches.on_kind(city(), TAX).is_some());
}

#[tokio::test]
async fn observe_records_without_suspending_and_enforce_still_latches_after_it() {
    let latches = Latches::scripted(Scripted::new(), clock());
    assert!(confirmed(&latches, 7, Mode::Observe).is_some());
    assert_eq!(latches.on_kind(city(), TAX), None);
    assert!(confirmed(&latches, 8, Mode::Observe).is_none(), "one entry says it");
    assert!(confirmed(&latches, 9, Mode::Enforce).is_some());
    assert!(latches.on_kind(city(), TAX).is_some());
    assert!(confirmed(&latches, 10, Mode::Enforce).is_none(), "it holds already");
    assert_eq!(latches.list().len(), 2);
}

#[tokio::test]
async fn a_kiosk_is_suspended_alone() {
    let latches = Latches::scripted(Scripted::new(), clock());
    let kiosk = KioskId::new("K-1").unwrap();
    let set = latches.judge(Consequence::Kiosk(CheckName::Identity), &failure(7, Mode::Enforce));
    assert!(set.is_some());
    assert!(latches.on_kiosk(Some(&kiosk)).is_some());
    assert_eq!(latches.on_kiosk(Some(&KioskId::new("K-2").unwrap())), None);
    assert_eq!(latches.on_kind(city(), TAX), None);
}

#[tokio::test]
async fn the_gauge_goes_up_and_only_a_clearance_takes_it_down() {
    let registry = Registry::isolated();
    let latches = Latches::scripted(Scripted::new(), clock());
    let id = confirmed(&latches, 7, Mode::Enforce).unwrap().durable().await.unwrap();
    let gauge = |registry: &Registry| {
        latches.publish(registry);
        let text = registry.render();
        let line = text.lines().find(|l| l.starts_with("sekisho_latch_active") && l.contains("\"tax\"")).unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(gauge(&registry), "1");
    latches.clear(&id, "who", "why", evidence().as_str(), 1).await.unwrap();
    assert_eq!(gauge(&registry), "0");
}

#[tokio::test]
async fn a_latch_that_ends_without_a_word_is_counted() {
    let registry = Registry::isolated();
    let latches = Latches::scripted(Scripted::new(), clock());
    let id = confirmed(&latches, 7, Mode::Enforce).unwrap().durable().await.unwrap();
    let counted = || {
        latches.publish(&registry);
        let text = registry.render();
        text.lines().find(|l| l.starts_with("sekisho_latches_closed_by_retry_total ")).unwrap().ends_with(" 1")
    };
    assert!(!counted());
    lock(&latches.state).latches.remove(&id);
    latches.refresh(&lock(&latches.state));
    assert!(counted());
}

#[test]
fn scopes_read_back_as_written() {
    let kiosk = Scope::Kiosk(KioskId::new("K/1").unwrap());
    for scope in [Scope::Kind(city(), TAX), Scope::Kind(None, DocumentKind::Answer), kiosk] {
        assert_eq!(Scope::parse(&scope.to_string()), Some(scope));
    }
}

/// Two persons, one of whom says it in other letters, a restart in between, and the latch of another.
#[tokio::test]
async fn two_different_persons_clear_what_two_must_clear_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("latches");
    let latches = Latches::open(&path, clock()).unwrap();
    let id = confirmed(&latches, 7, Mode::Enforce).unwrap().durable().await.unwrap();
    let right = evidence().to_string();
    let first = latches.clear(&id, "Yamada Taro", "why", &right, 2).await.unwrap();
    assert!(first.cleared.is_none() && latches.on_kind(city(), TAX).is_some());
    assert!(latches.missing(&first, 2).unwrap().contains("another than Yamada Taro"));
    latches.close();

    let latches = Latches::open(&path, clock()).unwrap();
    let same = latches.clear(&id, "YAMADA\u{3000}taro", "why", &right, 2).await;
    assert!(matches!(same, Err(ClearError::SamePerson { .. })), "{same:?}");
    assert!(matches!(latches.clear(&id, "--", "why", &right, 2).await, Err(ClearError::Missing("name"))));
    assert!(latches.on_kind(city(), TAX).is_some());
    let second = latches.clear(&id, "Suzuki", "looked as well", &right, 2).await.unwrap();
    assert_eq!((second.first.unwrap().name.as_str(), second.cleared.unwrap().name.as_str()), ("Yamada Taro", "Suzuki"));
    assert_eq!(latches.on_kind(city(), TAX), None);
    latches.close();
    let again = Latches::open(&path, clock()).unwrap();
    assert_eq!(again.on_kind(city(), TAX), None);
    assert_eq!(again.show(&id).unwrap().first.unwrap().name, "Yamada Taro");
}

#[tokio::test]
async fn a_first_word_that_is_not_durable_is_none() {
    let log = Scripted::new();
    let latches = Latches::scripted(log.clone(), clock());
    let id = confirmed(&latches, 7, Mode::Enforce).unwrap().durable().await.unwrap();
    log.disk(Disk::Broken);
    let refused = latches.clear(&id, "who", "why", evidence().as_str(), 2).await;
    assert_eq!(refused, Err(ClearError::NotDurable));
    assert_eq!(latches.show(&id).unwrap().first, None);
}
