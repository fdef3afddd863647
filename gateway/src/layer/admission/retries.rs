//! Who asks again for what was just turned away, and how often they may: so that a storm of retries dies down. Keeps digests only.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sekisho_issuance::request::Facts;

/// Whoever comes back within this time asks again; later, they begin something.
const AGAIN_WITHIN: Duration = Duration::from_secs(10);
/// Retries that somebody has at once.
const BURST: f64 = 3.0;
/// How long until they have another.
const REFILL: Duration = Duration::from_secs(5);
/// Askers remembered, in all parts; beyond, those who are there are, and others are not told apart.
const MAX_ASKERS: usize = 65_536;
const PARTS: usize = 16;

/// What a request that begins something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begins {
    /// The first of its kind.
    Anew,
    /// Asked for again.
    Again,
    /// Asked for again too often.
    TooOften,
}

#[derive(Debug, Clone, Copy)]
struct Asker {
    turned_away: Option<Instant>,
    key: Option<u64>,
    seen: Instant,
    credit: (f64, Instant),
}

/// Somebody who asks, and under which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Who {
    asker: u64,
    key: Option<u64>,
}

/// Everybody who asked lately; bounded, in memory only.
#[derive(Debug)]
pub struct Retries {
    hasher: RandomState,
    parts: [Mutex<HashMap<u64, Asker>>; PARTS],
}

impl Default for Retries {
    fn default() -> Self {
        Self { hasher: RandomState::new(), parts: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl Retries {
    /// The card at the kiosk that asks, or the session where it names no kiosk; nobody who could be told apart is `None`. Whoever comes to
    /// a kiosk after somebody was turned away there asks for the first time.
    pub(super) fn who(&self, facts: &Facts) -> Option<Who> {
        let asker = match (&facts.kiosk, &facts.session) {
            (Some(kiosk), _) => self.hasher.hash_one((kiosk, facts.card.as_ref().map(|card| card.expose()))),
            (None, Some(session)) => self.hasher.hash_one(session),
            (None, None) => return None,
        };
        Some(Who { asker, key: facts.idempotency_key.as_ref().map(|key| self.hasher.hash_one(key.expose())) })
    }

    /// Whether that is a retry, and within its budget.
    pub(super) fn begins(&self, who: Who, now: Instant) -> Begins {
        let mut part = self.part(who);
        let Some(asker) = part.get_mut(&who.asker) else {
            if who.key.is_some() {
                remember(&mut part, who, None, now);
            }
            return Begins::Anew;
        };
        let recently = |at: Instant| now.saturating_duration_since(at) < AGAIN_WITHIN;
        let again = asker.turned_away.is_some_and(recently)
            || (who.key.is_some() && asker.key == who.key && recently(asker.seen));
        (asker.key, asker.seen) = (who.key, now);
        if !again {
            asker.turned_away = None;
            return Begins::Anew;
        }
        let (credit, at) = asker.credit;
        let refilled = now.saturating_duration_since(at).as_secs_f64() / REFILL.as_secs_f64();
        let credit = (credit + refilled).min(BURST);
        let enough = credit >= 1.0;
        asker.credit = (if enough { credit - 1.0 } else { credit }, now);
        if enough { Begins::Again } else { Begins::TooOften }
    }

    /// They were told no, or nobody waited for the answer any more.
    pub(super) fn turned_away(&self, who: Who, now: Instant) {
        let mut part = self.part(who);
        match part.get_mut(&who.asker) {
            Some(asker) => (asker.turned_away, asker.seen) = (Some(now), now),
            None => remember(&mut part, who, Some(now), now),
        }
    }

    /// They got what they came for.
    pub(super) fn served(&self, who: Who) {
        if let Some(asker) = self.part(who).get_mut(&who.asker) {
            asker.turned_away = None;
        }
    }

    fn part(&self, who: Who) -> MutexGuard<'_, HashMap<u64, Asker>> {
        let [first, ..] = &self.parts;
        let part = self.parts.get(who.asker as usize % PARTS).unwrap_or(first);
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remember(part: &mut HashMap<u64, Asker>, who: Who, turned_away: Option<Instant>, now: Instant) {
    if part.len() >= MAX_ASKERS / PARTS {
        // Their credit is full again by then.
        part.retain(|_, asker| now.saturating_duration_since(asker.seen) < AGAIN_WITHIN + REFILL * BURST as u32);
    }
    if part.len() < MAX_ASKERS / PARTS {
        part.insert(who.asker, Asker { turned_away, key: who.key, seen: now, credit: (BURST, now) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY_ELSE: Who = Who { asker: 7, key: None };

    #[test]
    fn whoever_was_turned_away_asks_again_and_not_for_ever() {
        let (retries, start) = (Retries::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(retries.begins(NOBODY_ELSE, at(0)), Begins::Anew);
        assert_eq!(retries.begins(NOBODY_ELSE, at(0)), Begins::Anew, "nobody said no yet");
        let storm: Vec<_> = (0..5)
            .map(|_| {
                retries.turned_away(NOBODY_ELSE, at(1));
                retries.begins(NOBODY_ELSE, at(1))
            })
            .collect();
        assert_eq!(storm, [Begins::Again, Begins::Again, Begins::Again, Begins::TooOften, Begins::TooOften]);
        assert_eq!(retries.begins(NOBODY_ELSE, at(6)), Begins::Again, "one more after a while");
        assert_eq!(retries.begins(NOBODY_ELSE, at(6)), Begins::TooOften);
        assert_eq!(retries.begins(NOBODY_ELSE, at(17)), Begins::Anew);
    }

    #[test]
    fn a_key_that_comes_again_is_a_retry_whatever_became_of_the_first() {
        let (retries, now) = (Retries::default(), Instant::now());
        let [first, other] = [Some(1), Some(2)].map(|key| Who { asker: 7, key });
        assert_eq!(retries.begins(first, now), Begins::Anew);
        assert_eq!(retries.begins(first, now), Begins::Again);
        assert_eq!(retries.begins(other, now), Begins::Anew);
        assert_eq!(retries.begins(first, now + AGAIN_WITHIN), Begins::Anew);
    }

    #[test]
    fn whoever_was_served_begins_something_else() {
        let (retries, now) = (Retries::default(), Instant::now());
        retries.turned_away(NOBODY_ELSE, now);
        retries.served(NOBODY_ELSE);
        assert_eq!(retries.begins(NOBODY_ELSE, now), Begins::Anew);
    }

    #[test]
    fn the_next_person_at_a_kiosk_does_not_pay_for_the_one_before() {
        use sekisho_issuance::id::{CardDigest, KioskId};
        let retries = Retries::default();
        let at = |card: &str| {
            let facts = Facts {
                kiosk: Some(KioskId::new("K-1").unwrap()),
                session: None,
                municipality: None,
                residents: Vec::new(),
                applicant: None,
                kind: None,
                selection: Default::default(),
                card: Some(CardDigest::new(card).unwrap()),
                idempotency_key: None,
            };
            retries.who(&facts).unwrap()
        };
        let now = Instant::now();
        retries.turned_away(at("c1"), now);
        assert_eq!(retries.begins(at("c2"), now), Begins::Anew);
        assert_eq!(retries.begins(at("c1"), now), Begins::Again);
    }

    #[test]
    fn a_crowd_does_not_fill_the_memory() {
        let (retries, now) = (Retries::default(), Instant::now());
        (0..2 * MAX_ASKERS as u64).for_each(|asker| retries.turned_away(Who { asker, key: None }, now));
        let held = || retries.parts.iter().map(|part| part.lock().unwrap().len()).sum::<usize>();
        assert_eq!(held(), MAX_ASKERS);
        (0..PARTS as u64).for_each(|n| {
            retries.turned_away(Who { asker: u64::MAX - n, key: None }, now + Duration::from_secs(60));
        });
        assert_eq!(held(), PARTS, "the old ones leave room");
    }
}
