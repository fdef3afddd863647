use super::*;
use crate::bracket::Concern;
use crate::durable_log::scripted::{Disk, Scripted};

fn scripted(log: Arc<Scripted>) -> Arc<Brackets> {
    Brackets::scripted(log, Clock::system())
}

fn code() -> MunicipalityCode {
    MunicipalityCode::new("991007").unwrap()
}

fn lane(n: u128) -> LaneId {
    LaneId::from_u128(n)
}

const BATCH: (&str, &str) = ("夜間異動", "転入");
const LEASE: Duration = Duration::from_secs(60);

async fn open(brackets: &Arc<Brackets>, lanes: &[u128]) -> BracketId {
    let residents = lanes.iter().map(|n| (lane(*n), None)).collect();
    let opening = brackets.begin(code(), residents, BATCH, LEASE).await.unwrap();
    opening.opened().unwrap().id
}

fn concern(brackets: &Brackets, n: u128) -> Concern {
    brackets.concern([lane(n)].into_iter())
}

#[tokio::test]
async fn after_a_restart_whatever_had_not_ended_is_unknown_and_what_had_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let reopened = || Arc::new(Brackets::open(&dir.path().join("brackets"), Clock::system()).unwrap());
    let brackets = reopened();
    let (done, going) = (open(&brackets, &[1, 2]).await, open(&brackets, &[2, 3]).await);
    brackets.close(done, None).await.unwrap();
    brackets.feed(code(), "41").await.unwrap();
    brackets.close_journal();
    drop(brackets);
    let brackets = reopened();
    assert_eq!(brackets.show(done).unwrap().stage, Stage::Closed);
    let unknown = brackets.show(going).unwrap();
    assert_eq!((unknown.stage, unknown.why.as_deref(), unknown.residents), (Stage::Unknown, Some("restart"), 2));
    assert_eq!([1, 2, 3].map(|n| concern(&brackets, n)), [Concern::None, Concern::Unknown, Concern::Unknown]);
    assert_eq!(brackets.fed(code()).as_deref(), Some("41"));
    assert!(open(&brackets, &[4]).await > going, "no number is used twice");
}

#[tokio::test]
async fn the_journal_that_is_begun_anew_says_the_same() {
    let brackets = scripted(Scripted::new());
    let (done, going) = (open(&brackets, &[1]).await, open(&brackets, &[2, 3]).await);
    brackets.close(done, None).await.unwrap();
    brackets.give_up(going, "expired").unwrap();
    let mut state = brackets.lock();
    brackets.settled(&mut state, going, lane(3));
    let mut again = State::default();
    state.carry().iter().for_each(|entry| again.restore(serde_json::from_slice(entry).unwrap()));
    again.doubt_all();
    assert_eq!(again.brackets[&going].bracket.settled, 1);
    assert_eq!(again.by_lane.keys().copied().collect::<Vec<_>>(), [lane(2)]);
    assert_eq!(again.brackets[&done].bracket, state.brackets[&done].bracket);
}

#[tokio::test]
async fn a_bracket_that_is_not_durable_is_not_opened_and_holds_nobody() {
    let log = Scripted::new();
    let brackets = scripted(log.clone());
    log.disk(Disk::Broken);
    let opening = brackets.begin(code(), vec![(lane(1), None)], BATCH, LEASE).await;
    assert_eq!(opening.err(), Some(OpenError::NotDurable));
    assert_eq!(concern(&brackets, 1), Concern::None);
    assert_eq!(brackets.list()[0].stage, Stage::Withdrawn);
}

#[tokio::test]
async fn a_lane_is_free_when_the_last_of_its_brackets_is_over() {
    let brackets = scripted(Scripted::new());
    let (one, two) = (open(&brackets, &[1]).await, open(&brackets, &[1]).await);
    assert!(brackets.keep_in([lane(1)].into_iter()));
    brackets.close(one, None).await.unwrap();
    assert_eq!(concern(&brackets, 1), Concern::Closed);
    brackets.give_up(two, "expired").unwrap();
    assert_eq!(concern(&brackets, 1), Concern::Unknown);
    assert!(brackets.keep_in([lane(1)].into_iter()), "nothing leaves while nobody knows");
    brackets.close(two, None).await.unwrap();
    assert!(!brackets.keep_in([lane(1)].into_iter()));
}

/// The lanes of a bracket that expired were opened then: opened again, they would be taken from whoever else closed them.
#[tokio::test]
async fn lanes_are_to_be_opened_once_however_a_bracket_ends() {
    let brackets = scripted(Scripted::new());
    let (closed, expired) = (open(&brackets, &[1]).await, open(&brackets, &[1]).await);
    assert_eq!(brackets.close(closed, None).await.unwrap().1, [lane(1)]);
    assert_eq!(brackets.close(closed, None).await.unwrap().1, [], "said twice");
    assert_eq!(brackets.give_up(expired, "expired").unwrap(), [lane(1)]);
    assert_eq!(brackets.close(expired, None).await.unwrap().1, []);
}

#[tokio::test]
async fn while_it_is_opening_what_ran_may_still_leave() {
    let brackets = scripted(Scripted::new());
    let opening = brackets.begin(code(), vec![(lane(1), None)], BATCH, LEASE).await.unwrap();
    assert!(!brackets.keep_in([lane(1)].into_iter()));
    opening.opened().unwrap();
    assert!(brackets.keep_in([lane(1)].into_iter()));
}

#[tokio::test]
async fn it_expires_only_without_a_sign_of_life_and_never_open() {
    let brackets = scripted(Scripted::new());
    let id = open(&brackets, &[1]).await;
    assert!(brackets.expire(Instant::now()).is_empty());
    assert_eq!(brackets.renew(id), Ok(Renewed::Holds));
    assert_eq!(brackets.expire(Instant::now() + LEASE), [(id, vec![lane(1)])]);
    assert_eq!(brackets.renew(id), Ok(Renewed::NotOpen(Stage::Unknown)), "the batch hears that it is not covered");
    let word = brackets.closing(id, Versions::All(None), None);
    assert_eq!(word.err(), Some(CloseError::Missing("name")), "nor may it close what it lost");
}

#[tokio::test]
async fn closing_names_each_resident_once_and_no_other() {
    let brackets = scripted(Scripted::new());
    let id = open(&brackets, &[1, 2]).await;
    let each = |lanes: &[u128]| Versions::Each(lanes.iter().map(|n| (lane(*n), None)).collect());
    assert!(brackets.closing(id, each(&[1, 2]), None).is_ok());
    for wrong in [&[1][..], &[1, 2, 3], &[1, 3]] {
        assert!(matches!(brackets.closing(id, each(wrong), None), Err(CloseError::Versions(_))), "{wrong:?}");
    }
}

/// Who is in an unknown bracket: a newer version, in the same words, twice, `max_run` apart.
#[tokio::test]
async fn two_equal_newer_probes_free_a_resident_and_nothing_less() {
    let brackets = scripted(Scripted::new());
    let id = open(&brackets, &[1]).await;
    brackets.give_up(id, "expired").unwrap();
    let none = Duration::ZERO;
    let vouched = |version, before, words, max_run| brackets.vouched(lane(1), version, before, [words; 32], max_run);
    assert!(!vouched(Some("8"), None, 1, none) && !vouched(Some("8"), None, 1, none), "newer than what?");
    assert!(!vouched(Some("7"), Some("7"), 1, none) && !vouched(Some("7"), Some("7"), 1, none), "not newer");
    assert!(!vouched(None, Some("7"), 1, none) && !vouched(None, Some("7"), 1, none), "no version");
    assert!(!vouched(Some("8"), Some("7"), 1, none) && !vouched(Some("8"), Some("7"), 2, none), "not settled");
    assert!(!vouched(Some("8"), Some("7"), 2, LEASE), "too soon: the batch may still run");
    assert!(vouched(Some("8"), Some("7"), 2, none));
    assert_eq!((brackets.show(id).unwrap().stage, concern(&brackets, 1)), (Stage::Closed, Concern::None));
}

#[tokio::test]
async fn a_feed_only_goes_on() {
    let brackets = scripted(Scripted::new());
    brackets.feed(code(), "2026-11-22T10:00:00+09:00").await.unwrap();
    assert!(matches!(
        brackets.feed(code(), "2026-11-22T09:59:00+09:00").await,
        Err(super::super::FeedError::NotLater(_))
    ));
    assert!(matches!(brackets.feed(code(), "12").await, Err(super::super::FeedError::NotLater(_))));
    assert_eq!(brackets.feed(code(), "soon").await, Err(super::super::FeedError::NotAMark));
    brackets.feed(code(), "2026-11-22T10:00:01+09:00").await.unwrap();
    assert_eq!(brackets.fed(code()).as_deref(), Some("2026-11-22T10:00:01+09:00"));
}
