use sekisho_issuance::id::{RequestId, SessionId};

use super::table::{Table, Turn};
use super::*;
use std::time::Duration;

const LIMITS: LedgerLimits = LedgerLimits { keep: Duration::from_secs(60), max_keys: 3, max_bytes: 100 };

fn session(name: &str) -> SessionKey {
    SessionKey(None, SessionId::new(name).unwrap())
}

fn paper() -> RequestId {
    RequestId::from_u128(7)
}

/// What somebody who asks is told, in one word.
fn word(turn: &Turn<&'static str>) -> &'static str {
    match turn {
        Turn::Begin(_) => "begin",
        Turn::Join(_) => "join",
        Turn::Again(kept) => kept,
        Turn::Said(problem) => problem.reason(),
        Turn::Reused => "reused",
        Turn::Over(over) => over.name(),
        Turn::Full => "full",
    }
}

struct Scene {
    table: Table<&'static str>,
    now: Instant,
}

impl Scene {
    fn new() -> Self {
        Self { table: Table::default(), now: Instant::now() }
    }

    fn ask(&mut self, key: u128, request: u128, of: Option<&str>) -> Turn<&'static str> {
        let of = of.map(session);
        self.table.ask(key, request, of.as_ref(), LIMITS, self.now)
    }

    fn begin(&mut self, key: u128, of: Option<&str>) -> u64 {
        match self.ask(key, 1, of) {
            Turn::Begin(number) => number,
            other => panic!("{}", word(&other)),
        }
    }

    fn keep(&mut self, key: u128, number: u64, bytes: usize) {
        self.table.keep(key, number, Some("kept"), bytes, LIMITS, self.now);
    }

    fn told(&mut self, key: u128, of: Option<&str>) -> &'static str {
        word(&self.ask(key, 1, of))
    }
}

#[test]
fn a_key_begins_once_and_every_other_who_asks_joins_or_is_told_the_same() {
    let mut scene = Scene::new();
    let number = scene.begin(1, Some("s"));
    assert_eq!((scene.told(1, Some("s")), word(&scene.ask(1, 2, Some("s")))), ("join", "reused"));
    scene.keep(1, number, 10);
    assert_eq!(scene.told(1, Some("s")), "kept", "begun anew under its key");
    assert_eq!(word(&scene.ask(1, 2, Some("s"))), "reused");
    let number = scene.begin(2, Some("s"));
    scene.table.say(2, number, Problem::because(Code::Withheld, "identity"));
    assert_eq!(scene.told(2, Some("s")), "identity");
}

#[test]
fn what_was_not_begun_may_begin_and_a_late_word_about_it_changes_nothing() {
    let mut scene = Scene::new();
    let first = scene.begin(1, Some("s"));
    scene.table.forget(1, first);
    let second = scene.begin(1, Some("s"));
    scene.keep(1, first, 10);
    scene.table.forget(1, first);
    assert_eq!(scene.told(1, Some("s")), "join");
    scene.keep(1, second, 10);
    scene.table.forget(1, second);
    assert_eq!((scene.told(1, Some("s")), scene.table.bytes()), ("kept", 10));
}

#[test]
fn an_answer_is_erased_after_its_time_and_its_key_begins_nothing() {
    let mut scene = Scene::new();
    let number = scene.begin(1, Some("s"));
    scene.keep(1, number, 10);
    let number = scene.begin(2, None);
    scene.keep(2, number, 10);
    scene.now += LIMITS.keep;
    assert_eq!(scene.told(1, Some("s")), "erased", "also before anybody sweeps");
    scene.table.sweep(LIMITS, scene.now);
    assert_eq!((scene.table.bytes(), scene.told(2, None)), (0, "erased"));
    scene.now += REMEMBERED_FOR;
    scene.table.sweep(LIMITS, scene.now);
    assert_eq!((scene.told(1, Some("s")), scene.told(2, None)), ("erased", "begin"), "a session's ends with it");
}

#[test]
fn full_means_no_and_never_forgets_who_was_there() {
    let mut scene = Scene::new();
    let number = scene.begin(1, None);
    scene.begin(2, None);
    scene.begin(3, None);
    assert_eq!(scene.told(4, None), "full");
    scene.keep(1, number, 101);
    assert_eq!((scene.told(1, None), scene.table.bytes()), ("not_kept", 0), "answered once, and never begun again");
    let mut scene = Scene::new();
    let number = scene.begin(1, None);
    scene.keep(1, number, 100);
    assert_eq!((scene.told(2, None), scene.told(1, None)), ("full", "kept"));
}

#[test]
fn a_close_says_what_became_of_the_papers_and_erases_what_was_kept() {
    for over in [Over::Confirmed, Over::Abandoned] {
        let mut scene = Scene::new();
        let number = scene.begin(1, Some("s"));
        scene.keep(1, number, 10);
        let late = scene.begin(2, Some("s"));
        let other = scene.begin(3, Some("t"));
        scene.keep(3, other, 10);
        scene.table.released(session("s"), paper());
        assert_eq!(scene.table.close(&session("s"), over), [paper()]);
        assert_eq!((scene.told(1, Some("s")), scene.table.bytes()), (over.name(), 10));
        scene.keep(2, late, 10);
        assert_eq!(scene.told(2, Some("s")), over.name(), "what was under way is not kept after it");
        assert_eq!(scene.told(3, Some("t")), "kept", "another session's is its own");
        assert!(scene.table.close(&session("s"), over).is_empty(), "told once");
    }
}

#[test]
fn the_end_of_a_session_erases_and_forgets_all_of_it() {
    let mut scene = Scene::new();
    let number = scene.begin(1, Some("s"));
    scene.keep(1, number, 10);
    let running = scene.begin(2, Some("s"));
    scene.table.session_over(&session("s"));
    assert_eq!((scene.table.keys(), scene.table.bytes()), (1, 0));
    assert_eq!(scene.told(2, Some("s")), "join", "what runs is not begun beside");
    scene.keep(2, running, 10);
    assert_eq!((scene.table.keys(), scene.table.bytes()), (0, 0));
}

#[tokio::test]
async fn who_joined_is_woken_by_whatever_ends_the_first() {
    let ledger = Arc::new(Ledger::default());
    let asks = Asks { key: 1, request: 1, durable: 1, session: None };
    for begun in [false, true] {
        let Turn0::Begin(mut place) = ledger.ask(&asks, LIMITS, Instant::now()) else { panic!("not the first") };
        let Turn0::Join(joined) = ledger.ask(&asks, LIMITS, Instant::now()) else { panic!("begun twice") };
        place.begun(begun);
        drop(place);
        joined.ended().await;
    }
    match ledger.ask(&asks, LIMITS, Instant::now()) {
        Turn0::Said(problem) => {
            assert_eq!(problem.reason(), OUTCOME_UNKNOWN, "a run that vanished begins nothing again")
        }
        _ => panic!("it may have been begun"),
    }
}

use super::Turn as Turn0;
