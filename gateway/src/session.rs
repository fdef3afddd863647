//! Sessions: one card presence of one resident at one kiosk, pinned on first use. Hands out clones, never a view into the store.
//!
//! Open ones are bounded, and a new one beyond is shed. Of one that ended only digests stay, so that its id cannot come back for
//! somebody else.

mod ended;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
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

/// One connection of a kiosk, where a protocol has no session: it is one card presence, that of the first card it is used for.
#[derive(Debug, Default)]
pub struct OneCard(OnceLock<SessionId>);

impl OneCard {
    /// Whether the connection is, from now on at the latest, that presence's and no other's.
    pub fn is_of(&self, presence: &SessionId) -> bool {
        self.0.get_or_init(|| presence.clone()) == presence
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
    /// The one session of each kiosk: one card is present at a time. Locked after an entry of `held`, never before.
    present: DashMap<KioskId, Key>,
    count: AtomicUsize,
    /// Asked and written only under the lock of the id's own entry in `held`.
    ended: Ended,
    /// Told of every end, under such a lock: it may ask nothing here.
    told: OnceLock<Told>,
}

type Told = Box<dyn Fn(Option<&KioskId>, &SessionId) + Send + Sync>;

impl Sessions {
    /// Tells `told` of every session that ends from now on; the first who asks for it is told.
    pub(crate) fn tell(&self, told: impl Fn(Option<&KioskId>, &SessionId) + Send + Sync + 'static) {
        let _ = self.told.set(Box::new(told));
    }

    fn say_over(&self, key: &Key) {
        if let Some(told) = self.told.get() {
            told(key.kiosk.as_ref(), &key.session);
        }
    }

    /// Whether a session is open, as far as it is known under the kiosk.
    pub(crate) fn is_open(&self, kiosk: Option<&KioskId>, session: &SessionId) -> bool {
        self.held.contains_key(&Key { kiosk: kiosk.cloned(), session: session.clone() })
    }

    fn key(scope: Scope, kiosk: Option<&KioskId>, session: &SessionId) -> Key {
        let kiosk = match scope {
            Scope::Backend => None,
            Scope::Kiosk => kiosk.cloned(),
        };
        Key { kiosk, session: session.clone() }
    }

    /// Opens a session, and ends the one that its kiosk had: another card is present now. One that is pinned to somebody else, even an
    /// ended one, is refused and ends: two people were given one id.
    pub fn open(
        &self,
        scope: Scope,
        session: &SessionId,
        pin: Pin,
        limits: SessionLimits,
        now: Instant,
    ) -> Result<(), Refused> {
        let (kiosk, key) = (pin.kiosk.clone(), Self::key(scope, Some(&pin.kiosk), session));
        self.insert(scope, session, pin, limits, now)?;
        match self.present.insert(kiosk, key.clone()) {
            Some(before) if before != key => self.end_key(scope, before, now),
            _ => {}
        }
        Ok(())
    }

    /// Somebody steps up to `kiosk` with a card: whoever was there before is gone, whatever comes of the new session.
    pub fn step_up(&self, scope: Scope, kiosk: &KioskId, now: Instant) {
        if let Some((_, before)) = self.present.remove(kiosk) {
            self.end_key(scope, before, now);
        }
    }

    fn end_key(&self, scope: Scope, key: Key, now: Instant) {
        if let Entry::Occupied(held) = self.held.entry(key) {
            self.end_held(scope, held, now);
        }
    }

    fn insert(
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
                    conflict => {
                        if conflict.is_some() {
                            self.say_over(held.key());
                        }
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
        self.present.remove_if(&held.get().pin.kiosk, |_, key| key == held.key());
        self.say_over(held.key());
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

    /// Whether a session is open still, within both its limits, when an answer to it is about to leave. The person who gets it is there,
    /// so that it counts as used.
    pub fn holds(
        &self,
        scope: Scope,
        kiosk: Option<&KioskId>,
        session: &SessionId,
        limits: SessionLimits,
        now: Instant,
    ) -> bool {
        match self.held.get_mut(&Self::key(scope, kiosk, session)) {
            Some(mut held) if !expired(&held, limits, now) => {
                held.used = now;
                true
            }
            _ => false,
        }
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
        self.end_key(scope, Self::key(scope, kiosk, session), Instant::now());
    }

    /// Ends what is expired and forgets what is too old to come back. To be called every few seconds; holds one bucket at a time.
    pub fn sweep(&self, limits: SessionLimits, now: Instant) {
        let mut gone = 0;
        self.held.retain(|key, held| {
            let over = expired(held, limits, now);
            if over && key.kiosk.is_none() {
                self.ended.remember(&key.session, &held.pin, now);
            }
            if over {
                self.present.remove_if(&held.pin.kiosk, |_, present| present == key);
                self.say_over(key);
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
mod tests;
