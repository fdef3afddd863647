use std::time::Duration;

use super::*;

const LIMITS: SessionLimits =
    SessionLimits { idle: Duration::from_secs(60), absolute: Duration::from_secs(600), max: 3 };

fn pin(kiosk: &str, card: &str, resident: &str) -> Pin {
    Pin {
        kiosk: KioskId::new(kiosk).unwrap(),
        card: CardDigest::new(card).unwrap(),
        municipality: MunicipalityCode::new("991007").unwrap(),
        resident: Some(ResidentId::new(resident).unwrap()),
        proven_by: None,
    }
}

fn id(text: &str) -> SessionId {
    SessionId::new(text).unwrap()
}

#[test]
fn a_second_card_or_resident_or_kiosk_in_a_session_is_refused_and_the_session_lives_on() {
    let (sessions, now) = (Sessions::default(), Instant::now());
    sessions.open(Scope::Backend, &id("s"), pin("k", "c", "r"), LIMITS, now).unwrap();
    let recall = |claims: Claims<'_>| sessions.recall(Scope::Backend, &id("s"), &claims, LIMITS, now);
    let (card, resident, kiosk) =
        (CardDigest::new("c2").unwrap(), ResidentId::new("r2").unwrap(), KioskId::new("k2").unwrap());
    assert_eq!(recall(Claims { card: Some(&card), ..Claims::default() }), Err(Refused::Card));
    assert_eq!(recall(Claims { resident: Some(&resident), ..Claims::default() }), Err(Refused::Resident));
    assert_eq!(recall(Claims { kiosk: Some(&kiosk), ..Claims::default() }), Err(Refused::Kiosk));
    assert_eq!(recall(Claims::default()), Ok(pin("k", "c", "r")));
}

#[test]
fn a_session_opened_for_nobody_serves_one_resident_only() {
    let (sessions, now) = (Sessions::default(), Instant::now());
    let nobody = Pin { resident: None, ..pin("k", "c", "r") };
    sessions.open(Scope::Backend, &id("s"), nobody, LIMITS, now).unwrap();
    let [first, second] = ["r1", "r2"].map(|r| ResidentId::new(r).unwrap());
    sessions.pin(Scope::Backend, None, &id("s"), &first).unwrap();
    sessions.pin(Scope::Backend, None, &id("s"), &first).unwrap();
    assert_eq!(sessions.pin(Scope::Backend, None, &id("s"), &second), Err(Refused::Resident));
    let claims = Claims { resident: Some(&second), ..Claims::default() };
    assert_eq!(sessions.recall(Scope::Backend, &id("s"), &claims, LIMITS, now), Err(Refused::Resident));
}

#[test]
fn a_backend_that_hands_the_previous_users_session_back_is_refused_even_after_its_end() {
    let (sessions, now) = (Sessions::default(), Instant::now());
    sessions.open(Scope::Backend, &id("s"), pin("k", "c", "r"), LIMITS, now).unwrap();
    assert_eq!(sessions.open(Scope::Backend, &id("s"), pin("k", "c2", "r2"), LIMITS, now), Err(Refused::Card));
    assert_eq!(
        sessions.recall(Scope::Backend, &id("s"), &Claims::default(), LIMITS, now),
        Err(Refused::Unknown),
        "nobody may go on with an id that two people were given"
    );
    assert_eq!(sessions.open(Scope::Backend, &id("s"), pin("k", "c2", "r2"), LIMITS, now), Err(Refused::Card));
}

#[test]
fn kiosks_that_number_their_sessions_do_not_meet() {
    let (sessions, now) = (Sessions::default(), Instant::now());
    sessions.open(Scope::Kiosk, &id("1"), pin("k1", "c1", "r1"), LIMITS, now).unwrap();
    sessions.open(Scope::Kiosk, &id("1"), pin("k2", "c2", "r2"), LIMITS, now).unwrap();
    sessions.end(Scope::Kiosk, Some(&KioskId::new("k1").unwrap()), &id("1"));
    sessions.open(Scope::Kiosk, &id("1"), pin("k1", "c3", "r3"), LIMITS, now).unwrap();
}

#[test]
fn a_session_ends_when_idle_and_in_any_case() {
    let (sessions, start) = (Sessions::default(), Instant::now());
    sessions.open(Scope::Backend, &id("s"), pin("k", "c", "r"), LIMITS, start).unwrap();
    let at = |seconds: u64| {
        sessions.recall(Scope::Backend, &id("s"), &Claims::default(), LIMITS, start + Duration::from_secs(seconds))
    };
    for seconds in (50..600).step_by(50) {
        assert!(at(seconds).is_ok(), "used every 50 s");
    }
    assert_eq!(at(600), Err(Refused::Unknown), "absolute");
    sessions.open(Scope::Backend, &id("t"), pin("k", "c", "r"), LIMITS, start).unwrap();
    let late = sessions.recall(Scope::Backend, &id("t"), &Claims::default(), LIMITS, start + Duration::from_secs(60));
    assert_eq!(late, Err(Refused::Unknown), "idle");
}

/// account-previous-user (R10): whoever left without ending their session is gone when the next card comes.
#[test]
fn a_second_card_at_a_kiosk_ends_the_first_session_there_and_no_other() {
    let (sessions, now) = (Sessions::default(), Instant::now());
    let open = |name: &str, kiosk, card| {
        sessions.open(Scope::Backend, &id(name), pin(kiosk, card, "r"), LIMITS, now).unwrap();
    };
    let holds = |name: &str| sessions.holds(Scope::Backend, None, &id(name), LIMITS, now);
    open("other", "k2", "c9");
    open("first", "k1", "c1");
    open("second", "k1", "c2");
    assert!(!holds("first") && holds("second") && holds("other"));
    assert_eq!(sessions.len(), 2);
    let again = sessions.open(Scope::Backend, &id("first"), pin("k1", "c3", "r"), LIMITS, now);
    assert_eq!(again, Err(Refused::Card), "its id is not free for somebody else");
    open("second", "k1", "c2");
    assert!(holds("second"), "the same session again is the same presence");
    // A card that gets no session ends the one before as well.
    sessions.step_up(Scope::Backend, &KioskId::new("k1").unwrap(), now);
    assert!(!holds("second") && holds("other"));
    sessions.step_up(Scope::Backend, &KioskId::new("k1").unwrap(), now);
    assert_eq!(sessions.len(), 1);
}

#[test]
fn a_session_that_is_over_holds_no_answer_and_one_that_gets_its_answer_is_used() {
    let (sessions, start) = (Sessions::default(), Instant::now());
    sessions.open(Scope::Backend, &id("s"), pin("k", "c", "r"), LIMITS, start).unwrap();
    let holds =
        |seconds: u64| sessions.holds(Scope::Backend, None, &id("s"), LIMITS, start + Duration::from_secs(seconds));
    assert!(holds(59) && holds(118), "idle counts from the last answer");
    assert!(!holds(178), "idle");
    sessions.open(Scope::Backend, &id("t"), pin("k", "c", "r"), LIMITS, start).unwrap();
    let late = start + LIMITS.absolute;
    let used = sessions.recall(Scope::Backend, &id("t"), &Claims::default(), LIMITS, start + Duration::from_secs(59));
    assert!(used.is_ok());
    assert!(!sessions.holds(Scope::Backend, None, &id("t"), LIMITS, late), "absolute");
    sessions.end(Scope::Backend, None, &id("t"));
    assert!(!sessions.holds(Scope::Backend, None, &id("t"), LIMITS, start), "closed or abandoned");
}

#[test]
fn the_store_is_bounded_and_forgets_only_what_is_old() {
    let (sessions, start) = (Sessions::default(), Instant::now());
    for name in ["a", "b", "c"] {
        sessions.open(Scope::Backend, &id(name), pin(name, "c", "r"), LIMITS, start).unwrap();
    }
    let full = sessions.open(Scope::Backend, &id("d"), pin("d", "c", "r"), LIMITS, start);
    assert_eq!(full, Err(Refused::Full));
    sessions.sweep(LIMITS, start + Duration::from_secs(59));
    assert_eq!(sessions.len(), 3);
    sessions.sweep(LIMITS, start + Duration::from_secs(60));
    assert!(sessions.is_empty());
    assert!(sessions.open(Scope::Backend, &id("d"), pin("k", "c", "r"), LIMITS, start).is_ok());
}

#[test]
fn sessions_that_ended_leave_room_for_new_ones_and_their_ids_stay_taken() {
    let (sessions, start) = (Sessions::default(), Instant::now());
    let open = |name: &str, card, now| sessions.open(Scope::Backend, &id(name), pin("k", card, "r"), LIMITS, now);
    for n in 0..50 {
        open(&n.to_string(), "c", start).unwrap();
        sessions.end(Scope::Backend, None, &id(&n.to_string()));
    }
    assert!(sessions.is_empty());
    open("t", "c", start).unwrap();
    let later = start + LIMITS.idle;
    sessions.sweep(LIMITS, later);
    for name in ["0", "49", "t"] {
        assert_eq!(open(name, "c2", later), Err(Refused::Card), "{name}");
        assert!(open(name, "c", later).is_ok(), "{name}: the same card again");
        sessions.end(Scope::Backend, None, &id(name));
    }
    sessions.sweep(LIMITS, later + LIMITS.absolute);
    assert_eq!(open("0", "c2", later), Err(Refused::Card), "remembered for the absolute limit at least");
    sessions.sweep(LIMITS, later + 2 * LIMITS.absolute);
    assert!(open("0", "c2", later).is_ok());
}
