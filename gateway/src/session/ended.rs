//! Session ids that were given to somebody and are over: digests only, in two generations, so that memory stays bounded at any rate.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sekisho_issuance::id::SessionId;

use super::{Pin, Refused};

/// Ids of one generation, about 80 bytes each; when it is full, the one before is forgotten.
const MAX_IN_A_GENERATION: usize = 500_000;

/// Whose it was. A keyed hash of each part, since only equality is ever asked.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Owner {
    kiosk: u64,
    card: u64,
    municipality: u64,
    resident: Option<u64>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<[u64; 2], Owner>,
    old: HashMap<[u64; 2], Owner>,
    /// When the younger one began.
    began: Option<Instant>,
}

/// The memory of sessions that are over.
pub(super) struct Ended {
    generations: Mutex<Generations>,
    /// Two, since an id must not be taken for another by chance: 128 bits together.
    keys: [RandomState; 2],
    max: usize,
}

impl Default for Ended {
    fn default() -> Self {
        Self { generations: Mutex::default(), keys: Default::default(), max: MAX_IN_A_GENERATION }
    }
}

impl Ended {
    fn generations(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id(&self, session: &SessionId) -> [u64; 2] {
        [&self.keys[0], &self.keys[1]].map(|key| key.hash_one(session))
    }

    fn owner(&self, pin: &Pin) -> Owner {
        Owner {
            kiosk: self.hash(&pin.kiosk),
            card: self.hash(&pin.card),
            municipality: self.hash(&pin.municipality),
            resident: pin.resident.as_ref().map(|resident| self.hash(resident)),
        }
    }

    fn hash(&self, part: &impl Hash) -> u64 {
        self.keys[0].hash_one(part)
    }

    /// `session` was `pin`'s and is over.
    pub(super) fn remember(&self, session: &SessionId, pin: &Pin, now: Instant) {
        let (id, owner) = (self.id(session), self.owner(pin));
        let mut generations = self.generations();
        if generations.young.len() >= self.max {
            generations.turn(now);
        }
        generations.began.get_or_insert(now);
        generations.young.insert(id, owner);
    }

    /// Why `session` cannot be given to `pin`, if it was somebody else's.
    pub(super) fn refuses(&self, session: &SessionId, pin: &Pin) -> Option<Refused> {
        let id = self.id(session);
        let was = {
            let generations = self.generations();
            *generations.young.get(&id).or_else(|| generations.old.get(&id))?
        };
        let is = self.owner(pin);
        let other = |differs: bool, refused: Refused| differs.then_some(refused);
        other(was.kiosk != is.kiosk, Refused::Kiosk)
            .or_else(|| other(was.card != is.card, Refused::Card))
            .or_else(|| other(was.municipality != is.municipality, Refused::Municipality))
            .or_else(|| other(was.resident.is_some_and(|r| is.resident.is_some_and(|i| i != r)), Refused::Resident))
    }

    /// Forgets what is older than twice `kept_for`; nothing is forgotten before `kept_for` unless there is too much of it.
    pub(super) fn sweep(&self, kept_for: Duration, now: Instant) {
        let mut generations = self.generations();
        if generations.began.is_some_and(|began| now.saturating_duration_since(began) >= kept_for) {
            generations.turn(now);
        }
    }
}

impl Generations {
    fn turn(&mut self, now: Instant) {
        self.old = std::mem::take(&mut self.young);
        self.began = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use sekisho_issuance::id::{CardDigest, KioskId, MunicipalityCode};

    use super::*;

    #[test]
    fn when_full_only_the_oldest_are_forgotten() {
        let (ended, now) = (Ended { max: 2, ..Ended::default() }, Instant::now());
        let pin = |card: &str| Pin {
            kiosk: KioskId::new("k").unwrap(),
            card: CardDigest::new(card).unwrap(),
            municipality: MunicipalityCode::new("991007").unwrap(),
            resident: None,
            proven_by: None,
        };
        let id = |n: u32| SessionId::new(&n.to_string()).unwrap();
        (0..5).for_each(|n| ended.remember(&id(n), &pin("c"), now));
        let refused: Vec<_> = (0..5).map(|n| ended.refuses(&id(n), &pin("c2"))).collect();
        assert_eq!(refused, [None, None, Some(Refused::Card), Some(Refused::Card), Some(Refused::Card)]);
        assert_eq!(ended.refuses(&id(4), &pin("c")), None);
    }
}
