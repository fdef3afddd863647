use sekisho_issuance::certificate::Kind;
use sekisho_issuance::id::MunicipalityCode;

use super::*;
use crate::durable_log::scripted::{Disk, Scripted};

fn here(kind: Kind) -> About<'static> {
    About { municipality: Some(code()), kind: Some(kind), backend: "issuer" }
}

fn code() -> MunicipalityCode {
    MunicipalityCode::new("991007").unwrap()
}

fn opened(dir: &Path) -> Switches {
    Switches::open(&dir.join("switches"), &dir.join("off"), Clock::system()).unwrap()
}

#[tokio::test]
async fn each_scope_takes_out_of_service_what_it_names_and_nothing_else() {
    let other = MunicipalityCode::new("991015").unwrap();
    let abouts = [
        here(Kind::Tax),
        here(Kind::ResidentRecord),
        About { municipality: Some(other), ..here(Kind::Tax) },
        About { backend: "residents", ..here(Kind::Tax) },
        About { municipality: None, kind: None, backend: "issuer" },
    ];
    for (scope, on) in [
        (Scope::All, [false; 5]),
        (Scope::Municipality(code()), [false, false, true, false, true]),
        (Scope::Kind(Kind::Tax), [false, true, false, false, true]),
        (Scope::Here(code(), Kind::Tax), [false, true, true, false, true]),
        (Scope::Backend("issuer".into()), [false, false, false, true, false]),
    ] {
        let switches = Switches::scripted(Scripted::new(), Clock::system());
        assert!(abouts.iter().all(|about| switches.is_on(*about)));
        switches.set(scope.clone(), "関所 守", "訓練").await.unwrap();
        assert_eq!(abouts.map(|about| switches.is_on(about)), on, "{scope}");
    }
}

#[tokio::test]
async fn a_switch_survives_a_restart_and_only_its_own_id_clears_it() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = {
        let switches = opened(dir.path());
        let first = switches.set(Scope::Kind(Kind::Tax), "a", "b").await.unwrap().id;
        let second = switches.set(Scope::Kind(Kind::Tax), "a", "b").await.unwrap().id;
        switches.close();
        (first, second)
    };
    let switches = opened(dir.path());
    assert!(!switches.is_on(here(Kind::Tax)));
    switches.clear(&first, "c", "d").await.unwrap();
    assert!(!switches.is_on(here(Kind::Tax)), "another person's switch holds on");
    assert_eq!(switches.clear(&first, "c", "d").await, Err(ClearError::AlreadyCleared(first)));
    switches.clear(&second, "c", "d").await.unwrap();
    assert!(switches.is_on(here(Kind::Tax)));
    switches.close();
    drop(switches);
    assert!(opened(dir.path()).is_on(here(Kind::Tax)), "and so does its clearance");
}

#[tokio::test]
async fn a_switch_holds_before_it_is_durable_and_its_clearance_only_after() {
    let log = Scripted::new();
    let switches = Switches::scripted(log.clone(), Clock::system());
    log.disk(Disk::Slow);
    let mut setting = Box::pin(switches.set(Scope::All, "a", "b"));
    assert!(futures_util::poll!(&mut setting).is_pending());
    assert!(!switches.is_on(here(Kind::Tax)), "nobody waits for the disk to be stopped");
    log.disk(Disk::Good);
    let id = setting.await.unwrap().id;
    log.disk(Disk::Slow);
    let mut clearing = Box::pin(switches.clear(&id, "a", "b"));
    assert!(futures_util::poll!(&mut clearing).is_pending());
    assert!(!switches.is_on(here(Kind::Tax)));
    log.disk(Disk::Broken);
    assert_eq!(clearing.await, Err(ClearError::NotDurable));
    assert!(!switches.is_on(here(Kind::Tax)), "it would come back with the next start");
    assert!(matches!(switches.set(Scope::All, "a", "b").await, Err(SetError::NotDurable(_))));
}

#[tokio::test]
async fn nobody_sets_or_clears_without_a_name_and_a_reason() {
    let switches = Switches::scripted(Scripted::new(), Clock::system());
    assert_eq!(switches.set(Scope::All, " ", "b").await, Err(SetError::Missing("name")));
    assert_eq!(switches.set(Scope::All, "a", "x\ny").await, Err(SetError::Missing("reason")));
    assert!(switches.is_on(here(Kind::Tax)));
    let id = switches.set(Scope::All, "a", "b").await.unwrap().id;
    assert_eq!(switches.clear(&id, "a", "").await, Err(ClearError::Missing("reason")));
    assert!(!switches.is_on(here(Kind::Tax)));
}

#[test]
fn a_file_holds_as_long_as_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let switches = opened(dir.path());
    let file = dir.path().join("off/kind-tax");
    std::fs::write(&file, "").unwrap();
    switches.read_files(|_| true);
    assert!(!switches.is_on(here(Kind::Tax)) && switches.is_on(here(Kind::ResidentRecord)));
    std::fs::remove_file(&file).unwrap();
    switches.read_files(|_| true);
    assert!(switches.is_on(here(Kind::Tax)));
}
