//! Sessions: one card presence of one resident at one kiosk, pinned on first use. Hands out clones, never a view into the store.
//!
//! Open ones are bounded, and a new one beyond is shed. Of one that ended only digests stay, so that its id cannot come back for
//! somebody else.

mod ended;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use dashmap::DashMap;
use dashmap::mapref::entry::{Entry, OccupiedEntry};
use sekisho_issuance::id::{CardDigest, KioskId, MunicipalityCode, ResidentId, SessionId};

use crate::config::SessionLimits;
use ended::Ended;
use sekisho_worker::owner::Promise;

/// Who a session belongs to. Built once, when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The device.
    pub kiosk: KioskId,
    /// The card that was presented.
    pub card: CardDigest,
    /// Whose municipality.
    pub municipality: MunicipalityCode,
    /// The card's holder; `None` where nobody vouched for one when the session was opened.
    pub resident: Option<ResidentId>,
    /// The lookup that vouched for the resident.
    pub proven_by: Option<Arc<str>>,
}

/// What a request says about itself beside its session.
#[derive(Debug, Clone, Copy, Default)]
pub struct Claims<'a> {
    /// The device.
    pub kiosk: Option<&'a KioskId>,
    /// The card.
    pub card: Option<&'a CardDigest>,
    /// The municipality.
    pub municipality: Option<MunicipalityCode>,
    /// The applicant.
    pub resident: Option<&'a ResidentId>,
}

impl<'a> Claims<'a> {
    fn of(pin: &'a Pin) -> Self {
        Self {
            kiosk: Some(&pin.kiosk),
            card: Some(&pin.card),
            municipality: Some(pin.municipality),
            resident: pin.resident.as_ref(),
        }
    }
}

/// Why a session was refused; the word is the label of `sekisho_pins_refused_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No such session is open.
    Unknown,
    /// It is another kiosk's.
    Kiosk,
    /// Another card.
    Card,
    /// Another municipality.
    Municipality,
    /// Another resident.
    Resident,
    /// No more sessions can be remembered.
    Full,
}

impl Refused {
    /// The metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown | Self::Full => "unknown",
            Self::Kiosk => "kiosk",
            Self::Card => "card",
            Self::Municipality => "municipality",
            Self::Resident => "resident",
        }
    }
}

/// Whether session ids are unique by themselves (the backend mints them) or only at their kiosk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Learned from the backend's answer.
    Backend,
    /// Chosen by each kiosk.
    Kiosk,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    kiosk: Option<KioskId>,
    session: SessionId,
}

struct Held {
    pin: Pin,
    opened: Instant,
    used: Instant,
    /// What it may still ask of its backend; ends with it.
    promise: Option<Arc<Promise>>,
}

/// All sessions of this process; bounded, in memory only.
#[derive(Default)]
pub struct Sessions {
    held: DashMap<Key, Held>,
    count: AtomicUsize,
    /// Asked and written only under the lock of the id's own entry in `held`.
    ended: Ended,
}

impl Sessions {
    fn key(scope: Scope, kiosk: Option<&KioskId>, session: &SessionId) -> Key {
        let kiosk = match scope {
            Scope::Backend => None,
            Scope::Kiosk => kiosk.cloned(),
        };
        Key { kiosk, session: session.clone() }
    }

    /// Opens a session. One that is pinned to somebody else, even an ended one, is refused and ends: two people were given one id.
    pub fn open(
        &self,
        scope: Scope,
        session: &SessionId,
        pin: Pin,
        limits: SessionLimits,
        now: Instant,
    ) -> Result<(), Refused> {
        match self.held.entry(Self::key(scope, Some(&pin.kiosk), session)) {
            Entry::Occupied(mut held) => {
                let conflict = differs(&held.get().pin, &Claims::of(&pin));
                // A kiosk that numbers its sessions may come round to a number whose session is over.
                let reusable = scope == Scope::Kiosk && expired(held.get(), limits, now);
                match conflict {
                    Some(refused) if !reusable => {
                        self.end_held(scope, held, now);
                        Err(refused)
                    }
                    _ => {
                        held.insert(Held { pin, opened: now, used: now, promise: None });
                        Ok(())
                    }
                }
            }
            Entry::Vacant(vacant) => {
                if scope == Scope::Backend
                    && let Some(refused) = self.ended.refuses(session, &pin)
                {
                    return Err(refused);
                }
                if self.count.fetch_add(1, Ordering::Relaxed) >= limits.max {
                    self.count.fetch_sub(1, Ordering::Relaxed);
                    return Err(Refused::Full);
                }
                vacant.insert(Held { pin, opened: now, used: now, promise: None });
                Ok(())
            }
        }
    }

    fn end_held(&self, scope: Scope, held: OccupiedEntry<'_, Key, Held>, now: Instant) {
        if scope == Scope::Backend {
            self.ended.remember(&held.key().session, &held.get().pin, now);
        }
        held.remove();
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    /// The pin of an open session whose request contradicts nothing of it. A contradiction is refused, and the session lives on.
    pub fn recall(
        &self,
        scope: Scope,
        session: &SessionId,
        claims: &Claims<'_>,
        limits: SessionLimits,
        now: Instant,
    ) -> Result<Pin, Refused> {
        let mut held = self.held.get_mut(&Self::key(scope, claims.kiosk, session)).ok_or(Refused::Unknown)?;
        if expired(&held, limits, now) {
            return Err(Refused::Unknown);
        }
        if let Some(refused) = differs(&held.pin, claims) {
            return Err(refused);
        }
        held.used = now;
        Ok(held.pin.clone())
    }

    /// Keeps what an open session was promised for as long as it lives.
    pub fn promise(&self, scope: Scope, kiosk: Option<&KioskId>, session: &SessionId, promise: Option<Promise>) {
        let promise = promise.map(Arc::new);
        let before = self
            .held
            .get_mut(&Self::key(scope, kiosk, session))
            .map(|mut held| std::mem::replace(&mut held.promise, promise));
        drop(before);
    }

    /// What an open session was promised.
    pub fn promised(&self, scope: Scope, kiosk: Option<&KioskId>, session: &SessionId) -> Option<Arc<Promise>> {
        self.held.get(&Self::key(scope, kiosk, session))?.promise.clone()
    }

    /// Pins the resident of a session that was opened without one: whoever is asked for first is the only one from then on.
    pub fn pin(
        &self,
        scope: Scope,
        kiosk: Option<&KioskId>,
        session: &SessionId,
        resident: &ResidentId,
    ) -> Result<(), Refused> {
        let mut held = self.held.get_mut(&Self::key(scope, kiosk, session)).ok_or(Refused::Unknown)?;
        match held.pin.resident.get_or_insert_with(|| resident.clone()) == resident {
            true => Ok(()),
            false => Err(Refused::Resident),
        }
    }

    /// Ends a session: closed, or something about it was withheld.
    pub fn end(&self, scope: Scope, kiosk: Option<&KioskId>, session: &SessionId) {
        if let Entry::Occupied(held) = self.held.entry(Self::key(scope, kiosk, session)) {
            self.end_held(scope, held, Instant::now());
        }
    }

    /// Ends what is expired and forgets what is too old to come back. To be called every few seconds; holds one bucket at a time.
    pub fn sweep(&self, limits: SessionLimits, now: Instant) {
        let mut gone = 0;
        self.held.retain(|key, held| {
            let over = expired(held, limits, now);
            if over && key.kiosk.is_none() {
                self.ended.remember(&key.session, &held.pin, now);
            }
            gone += usize::from(over);
            !over
        });
        self.count.fetch_sub(gone, Ordering::Relaxed);
        self.ended.sweep(limits.absolute, now);
    }

    /// Sessions that are open, expired ones until the next sweep included.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn expired(held: &Held, limits: SessionLimits, now: Instant) -> bool {
    now.saturating_duration_since(held.used) >= limits.idle
        || now.saturating_duration_since(held.opened) >= limits.absolute
}

fn differs(pin: &Pin, claims: &Claims<'_>) -> Option<Refused> {
    let other = |claimed: bool, refused: Refused| claimed.then_some(refused);
    other(claims.kiosk.is_some_and(|k| *k != pin.kiosk), Refused::Kiosk)
        .or_else(|| other(claims.card.is_some_and(|c| *c != pin.card), Refused::Card))
        .or_else(|| other(claims.municipality.is_some_and(|m| m != pin.municipality), Refused::Municipality))
        .or_else(|| {
            other(claims.resident.is_some_and(|r| pin.resident.as_ref().is_some_and(|p| p != r)), Refused::Resident)
        })
}

#[cfg(test)]
mod tests {
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
        let late =
            sessions.recall(Scope::Backend, &id("t"), &Claims::default(), LIMITS, start + Duration::from_secs(60));
        assert_eq!(late, Err(Refused::Unknown), "idle");
    }

    #[test]
    fn the_store_is_bounded_and_forgets_only_what_is_old() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        for name in ["a", "b", "c"] {
            sessions.open(Scope::Backend, &id(name), pin("k", "c", "r"), LIMITS, start).unwrap();
        }
        let full = sessions.open(Scope::Backend, &id("d"), pin("k", "c", "r"), LIMITS, start);
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
}
