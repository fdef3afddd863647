//! The system of record: current records with versions, what each change touched, and cards. Always right and prompt.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;

use super::fault::mix;
use super::held;
use super::paper::Form;
use super::resident::{PersonNo, Record, Seal};

/// What a new version changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Touched {
    /// The address: printed on every kind.
    Address,
    /// The seal registration: printed on its certificate only.
    Seal,
}

impl Touched {
    fn shows_on(self, form: Form) -> bool {
        match self {
            Self::Address => true,
            Self::Seal => form == Form::SealRegistration,
        }
    }
}

struct Entry {
    current: Arc<Record>,
    /// What version `n + 2` changed, and when.
    changes: Vec<(Touched, Instant)>,
    card: u32,
}

/// Every record of the world.
pub struct Register {
    seed: u64,
    entries: Vec<Mutex<Entry>>,
    by_id: HashMap<String, PersonNo>,
    cards: RwLock<HashMap<String, PersonNo>>,
}

impl Register {
    pub(super) fn new(seed: u64, records: Vec<Record>) -> Self {
        let by_id = records.iter().map(|r| (r.person.id.clone(), r.person.no)).collect();
        let cards = records.iter().map(|r| (serial(seed, r.person.no, 0), r.person.no)).collect();
        let entries = records
            .into_iter()
            .map(|record| Mutex::new(Entry { current: Arc::new(record), changes: Vec::new(), card: 0 }))
            .collect();
        Self { seed, entries, by_id, cards: RwLock::new(cards) }
    }

    /// How many people there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Never true of a real world.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The person with that id.
    pub fn find(&self, id: &str) -> Option<PersonNo> {
        self.by_id.get(id).copied()
    }

    /// The current record.
    pub fn get(&self, no: PersonNo) -> Option<Arc<Record>> {
        self.entries.get(no).map(|entry| Arc::clone(&held(entry).current))
    }

    /// The person whose card this is; a replaced card is nobody's.
    pub fn holder(&self, card: &str) -> Option<PersonNo> {
        self.cards.read().unwrap_or_else(|poisoned| poisoned.into_inner()).get(card).copied()
    }

    /// The serial of the person's present card.
    pub fn card(&self, no: PersonNo) -> Option<String> {
        self.entries.get(no).map(|entry| serial(self.seed, no, held(entry).card))
    }

    /// Gives the person a new card; the old one stops working. Returns the new serial.
    pub fn replace_card(&self, no: PersonNo) -> Option<String> {
        let mut entry = held(self.entries.get(no)?);
        let mut cards = self.cards.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        cards.remove(&serial(self.seed, no, entry.card));
        entry.card += 1;
        let new = serial(self.seed, no, entry.card);
        cards.insert(new.clone(), no);
        Some(new)
    }

    /// Moves the person; the next version.
    pub fn amend_address(&self, no: PersonNo, address: &str) -> Option<Arc<Record>> {
        self.change(no, Touched::Address, |record| address.clone_into(&mut record.address))
    }

    /// Cancels the seal registration; the next version.
    pub fn revoke_seal(&self, no: PersonNo) -> Option<Arc<Record>> {
        self.change(no, Touched::Seal, |record| record.seal = None)
    }

    /// Registers a new seal; the next version.
    pub fn register_seal(&self, no: PersonNo, seal: Seal) -> Option<Arc<Record>> {
        self.change(no, Touched::Seal, |record| record.seal = Some(seal))
    }

    fn change(&self, no: PersonNo, touched: Touched, apply: impl FnOnce(&mut Record)) -> Option<Arc<Record>> {
        let mut entry = held(self.entries.get(no)?);
        let mut next = Record::clone(&entry.current);
        next.version += 1;
        apply(&mut next);
        entry.current = Arc::new(next);
        entry.changes.push((touched, Instant::now()));
        Some(Arc::clone(&entry.current))
    }

    /// The newest version that a certificate of that form would print exactly as it prints `version`.
    pub fn shown_until(&self, no: PersonNo, version: u64, form: Form) -> u64 {
        let Some(entry) = self.entries.get(no) else { return version };
        let entry = held(entry);
        let from = usize::try_from(version).unwrap_or(usize::MAX).saturating_sub(1);
        let same = entry.changes.iter().skip(from).take_while(|(touched, _)| !touched.shows_on(form)).count();
        version + same as u64
    }

    /// Whether the person's record changed in that time, whoever knew of it.
    pub fn changed_between(&self, no: PersonNo, from: Instant, to: Instant) -> bool {
        let Some(entry) = self.entries.get(no) else { return false };
        held(entry).changes.iter().any(|(_, at)| (from..=to).contains(at))
    }
}

fn serial(seed: u64, no: PersonNo, issue: u32) -> String {
    format!("C{:016X}", mix(seed ^ mix(no as u64) ^ (u64::from(issue) << 48)))
}
