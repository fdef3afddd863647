//! The latches of this node: held in memory, kept in a journal, read by every request.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use sekisho_issuance::id::{KioskId, MunicipalityCode};
use sekisho_issuance::verdict::CheckName;
use sekisho_worker::journal::{Journal, JournalError, Rotation};
use serde::{Deserialize, Serialize};

use super::clearance::{self, Step};
use super::rules::{Consequence, Failure, Suspicions};
use super::{Clearance, Latch, LatchId, Scope};
use crate::clock::Clock;
use crate::durable_log::{Durable, Log, NotDurable};
use crate::registry::{DocumentKind, Registry, name};
use crate::route::Mode;

/// Cleared latches that `list` still shows; older ones are in the records.
const MAX_CLEARED_SHOWN: usize = 1_000;

/// Beyond this size the journal is rewritten with what still matters.
const ROTATE_ABOVE_BYTES: u64 = 4 << 20;

/// Longest name or reason of a clearance.
const MAX_WORD_BYTES: usize = 2_000;

/// Why a latch was not cleared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClearError {
    /// No such latch.
    #[error("there is no latch {0}")]
    Unknown(LatchId),
    /// Somebody did already.
    #[error("latch {0} was cleared already")]
    AlreadyCleared(LatchId),
    /// A name, a reason or an evidence id is required.
    #[error("`{0}` is required: a latch is cleared by a person who says who they are, why, and what they looked at")]
    Missing(&'static str),
    /// The evidence is not this latch's own.
    #[error("the evidence id is not the one of this latch; `latch show {0}` names it, look at it first")]
    WrongEvidence(LatchId),
    /// Two persons must say so, and the first said it again.
    #[error(
        "latch {id} needs the word of a second person, another than {name}, before {until}; \
         the same name in other letters or spacing is the same person"
    )]
    SamePerson {
        /// Which.
        id: LatchId,
        /// Who said the first word.
        name: String,
        /// When it expires.
        until: Timestamp,
    },
    /// The clearance could not be made durable, so the latch holds.
    #[error("the clearance could not be made durable; the latch holds")]
    NotDurable,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Set(Box<Latch>),
    First { id: LatchId, by: Clearance },
    Cleared { id: LatchId, by: Clearance },
}

#[derive(Default)]
struct State {
    latches: BTreeMap<LatchId, Latch>,
    suspicions: HashMap<Scope, Suspicions>,
    /// What held at the scrape before: whatever holds no more must have been cleared by somebody.
    held_before: BTreeSet<LatchId>,
    /// Every scope that ever had a series, so that a cleared one goes back to 0.
    shown: BTreeSet<(Option<MunicipalityCode>, DocumentKind)>,
}

#[derive(Default)]
struct Active {
    kinds: HashMap<(Option<MunicipalityCode>, DocumentKind), LatchId>,
    kiosks: HashMap<KioskId, LatchId>,
}

/// All latches.
pub struct Latches {
    state: Arc<Mutex<State>>,
    active: ArcSwap<Active>,
    log: Arc<dyn Log>,
    clock: Clock,
    torn_bytes: u64,
}

/// A latch that was just set in memory; answer nobody before it is durable.
pub struct Setting {
    /// Which.
    pub id: LatchId,
    durable: Durable,
}

impl Setting {
    /// Waits until the latch would survive a crash. `Err` on a broken disk: it holds in memory, and nothing is released.
    pub async fn durable(self) -> Result<LatchId, LatchId> {
        match self.durable.await {
            Ok(()) => Ok(self.id),
            Err(NotDurable) => Err(self.id),
        }
    }
}

impl Latches {
    /// Opens or makes the journal at `path`.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, JournalError> {
        let state = Arc::new(Mutex::new(State::default()));
        let carried = state.clone();
        let carry = Arc::new(move || carry(&lock(&carried)));
        let rotation = Rotation { above_bytes: ROTATE_ABOVE_BYTES, carry };
        let mut unreadable = false;
        let (journal, opened) =
            Journal::open_with(path, "sekisho-latches", Some(rotation), |entry| match serde_json::from_slice(entry) {
                Ok(entry) => lock(&state).apply(entry),
                Err(_) => unreadable = true,
            })?;
        if unreadable {
            return Err(JournalError::Unreadable { offset: 0, reason: "an entry of another build" });
        }
        if opened.torn_bytes > 0 {
            tracing::warn!(torn_bytes = opened.torn_bytes, "an unfinished write at the end of the latches was cut off");
        }
        Ok(Self { torn_bytes: opened.torn_bytes, ..Self::with(state, Arc::new(journal), clock) })
    }

    fn with(state: Arc<Mutex<State>>, log: Arc<dyn Log>, clock: Clock) -> Self {
        let latches = Self { state, active: ArcSwap::default(), log, clock, torn_bytes: 0 };
        latches.refresh(&lock(&latches.state));
        latches
    }

    #[cfg(test)]
    pub(crate) fn scripted(log: Arc<dyn Log>, clock: Clock) -> Self {
        Self::with(Arc::default(), log, clock)
    }

    /// The latch that suspends this kind of this municipality.
    pub fn on_kind(&self, municipality: Option<MunicipalityCode>, kind: DocumentKind) -> Option<LatchId> {
        self.active.load().kinds.get(&(municipality, kind)).cloned()
    }

    /// The latch that suspends this kiosk.
    pub fn on_kiosk(&self, kiosk: Option<&KioskId>) -> Option<LatchId> {
        self.active.load().kiosks.get(kiosk?).cloned()
    }

    /// Judges one withheld answer. What it sets holds from this moment; in `observe` it is recorded and suspends nothing.
    pub fn judge(&self, consequence: Consequence, failure: &Failure) -> Option<Setting> {
        let on_kind = Scope::Kind(failure.municipality, failure.kind);
        let mut state = lock(&self.state);
        let (scope, check, confirmed) = match consequence {
            Consequence::None => return None,
            Consequence::Confirmed(check) => (on_kind, check, true),
            Consequence::Kiosk(check) => (Scope::Kiosk(failure.kiosk.clone()?), check, true),
            Consequence::Suspect(check) => {
                if !state.suspicions.entry(on_kind.clone()).or_default().add(failure) {
                    return None;
                }
                (on_kind, check, false)
            }
        };
        let suspends = failure.mode == Mode::Enforce;
        if state.latches.values().any(|l| l.cleared.is_none() && l.scope == scope && l.suspends >= suspends) {
            return None;
        }
        let id = LatchId::of(failure.request, &scope);
        let latch = Latch {
            id: id.clone(),
            scope,
            municipality: failure.municipality,
            set_at: self.clock.now(),
            reason: CheckName::name(check).to_owned(),
            confirmed,
            suspends,
            request: failure.request.to_string(),
            evidence: failure.evidence.clone(),
            first: None,
            cleared: None,
        };
        tracing::error!(latch = %id, scope = %latch.scope, reason = latch.reason, confirmed, suspends, "a latch was set");
        state.apply(Entry::Set(Box::new(latch.clone())));
        self.refresh(&state);
        // Queued under the lock, so that the journal has the order of what happened.
        let durable = match serde_json::to_vec(&Entry::Set(Box::new(latch))) {
            Ok(entry) => self.log.append(&entry),
            Err(_) => Box::pin(std::future::ready(Err(NotDurable))),
        };
        Some(Setting { id, durable })
    }

    /// Every latch, newest first.
    pub fn list(&self) -> Vec<Latch> {
        let mut all: Vec<_> = lock(&self.state).latches.values().cloned().collect();
        all.sort_by_key(|latch| std::cmp::Reverse(latch.set_at));
        all
    }

    /// One latch.
    pub fn show(&self, id: &LatchId) -> Option<Latch> {
        lock(&self.state).latches.get(id).cloned()
    }

    /// Takes a person's word for clearing a latch, which `approvers` different persons must say. It holds until the last word is
    /// durable; one that comes back without `cleared` waits for the second person.
    pub async fn clear(
        &self,
        id: &LatchId,
        name: &str,
        reason: &str,
        evidence: &str,
        approvers: usize,
    ) -> Result<Latch, ClearError> {
        for (what, text) in [("name", name), ("reason", reason), ("evidence", evidence)] {
            if text.trim().is_empty() || text.len() > MAX_WORD_BYTES || text.chars().any(char::is_control) {
                return Err(ClearError::Missing(what));
            }
        }
        if clearance::person(name).is_empty() {
            return Err(ClearError::Missing("name"));
        }
        let latch = self.show(id).ok_or_else(|| ClearError::Unknown(id.clone()))?;
        if latch.cleared.is_some() {
            return Err(ClearError::AlreadyCleared(id.clone()));
        }
        if latch.evidence.as_str() != evidence.trim() {
            return Err(ClearError::WrongEvidence(id.clone()));
        }
        let by = Clearance {
            name: name.trim().to_owned(),
            reason: reason.trim().to_owned(),
            evidence: latch.evidence.clone(),
            at: self.clock.now(),
        };
        let entry = match clearance::step(&latch, &by, approvers) {
            Step::Clears => Entry::Cleared { id: id.clone(), by },
            Step::First => Entry::First { id: id.clone(), by },
            Step::SamePerson(until) => {
                let name = latch.first.map(|first| first.name).unwrap_or_default();
                return Err(ClearError::SamePerson { id: id.clone(), name, until });
            }
        };
        let bytes = serde_json::to_vec(&entry).map_err(|_| ClearError::NotDurable)?;
        self.log.append(&bytes).await.map_err(|NotDurable| ClearError::NotDurable)?;
        let mut state = lock(&self.state);
        state.apply(entry);
        self.refresh(&state);
        let latch = state.latches.get(id).cloned();
        let cleared = latch.as_ref().is_some_and(|latch| latch.cleared.is_some());
        tracing::warn!(latch = %id, by = name.trim(), cleared, "a person's word for clearing a latch");
        latch.ok_or_else(|| ClearError::Unknown(id.clone()))
    }

    /// What is still missing for clearing `latch` where `approvers` persons must say so; `None` where nothing holds.
    pub fn missing(&self, latch: &Latch, approvers: usize) -> Option<String> {
        if latch.cleared.is_some() {
            return None;
        }
        Some(match clearance::pending(latch, self.clock.now()) {
            _ if approvers <= 1 => "the word of one person".to_owned(),
            None => "the words of two different persons".to_owned(),
            Some((first, until)) => {
                format!("the word of a second person, another than {}, before {until}", first.name)
            }
        })
    }

    /// Sets the gauges; to be called before a scrape.
    pub fn publish(&self, registry: &Registry) {
        let mut state = lock(&self.state);
        let gone = self.watch(&mut state);
        registry.counter(name::LATCHES_CLOSED_BY_RETRY, &[]).increment(gone);
        let holding: Vec<_> = state.latches.values().filter(|l| l.cleared.is_none() && l.suspends).collect();
        let held: HashSet<_> = holding.iter().map(|l| &l.scope).collect();
        for (municipality, kind) in &state.shown {
            let code = municipality.as_ref().map_or("none", MunicipalityCode::as_str);
            let on = held.contains(&Scope::Kind(*municipality, *kind));
            registry
                .gauge(name::LATCH_ACTIVE, &[("municipality", code), ("kind", kind.name())])
                .set(f64::from(u8::from(on)));
        }
        let kiosks = held.iter().filter(|s| matches!(s, Scope::Kiosk(_))).count();
        registry.gauge(name::KIOSKS_SUSPENDED, &[]).set(kiosks as f64);
        let oldest = holding.iter().map(|l| l.set_at).min();
        let age = oldest.map_or(0.0, |at| self.clock.now().duration_since(at).as_secs_f64().max(0.0));
        registry.gauge(name::LATCH_OLDEST, &[]).set(age);
    }

    /// Latches that do not suspend any more what they suspended before, without a person's word. By what requests are asked
    /// (`active`), not by what is listed, so that one guards the other.
    fn watch(&self, state: &mut State) -> u64 {
        let active = self.active.load();
        let holds: BTreeSet<LatchId> = active.kinds.values().chain(active.kiosks.values()).cloned().collect();
        let known = &state.latches;
        let replaced = |scope: &Scope| match scope {
            Scope::Kind(municipality, kind) => active.kinds.contains_key(&(*municipality, *kind)),
            Scope::Kiosk(kiosk) => active.kiosks.contains_key(kiosk),
        };
        let unexplained = |id: &&LatchId| {
            !holds.contains(id) && !known.get(*id).is_some_and(|l| l.cleared.is_some() || replaced(&l.scope))
        };
        let gone = state.held_before.iter().filter(unexplained).count();
        state.held_before = holds;
        gone as u64
    }

    /// Bytes of an unfinished write that were cut off when they were opened.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// Age of the oldest entry that is not durable yet.
    pub fn unsynced_for(&self) -> std::time::Duration {
        self.log.unsynced_for()
    }

    /// Whether a latch that is set now would survive a crash; if not, nothing is released.
    pub fn is_durable(&self) -> bool {
        !self.log.is_poisoned()
    }

    /// Writes what is queued and closes the journal.
    pub fn close(&self) {
        self.log.close();
    }

    fn refresh(&self, state: &State) {
        let mut active = Active::default();
        for latch in state.latches.values().filter(|l| l.cleared.is_none() && l.suspends) {
            match &latch.scope {
                Scope::Kind(municipality, kind) => {
                    active.kinds.insert((*municipality, *kind), latch.id.clone());
                }
                Scope::Kiosk(kiosk) => {
                    active.kiosks.insert(kiosk.clone(), latch.id.clone());
                }
            }
        }
        self.active.store(Arc::new(active));
    }
}

impl State {
    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Set(latch) => {
                if let Scope::Kind(municipality, kind) = &latch.scope {
                    self.shown.insert((*municipality, *kind));
                }
                // A rewritten journal repeats what may still be queued; a clearance is never taken back by it.
                if self.latches.get(&latch.id).is_none_or(|known| known.cleared.is_none()) {
                    self.latches.insert(latch.id.clone(), *latch);
                }
            }
            Entry::First { id, by } => {
                if let Some(latch) = self.latches.get_mut(&id).filter(|latch| latch.cleared.is_none()) {
                    latch.first = Some(by);
                }
            }
            Entry::Cleared { id, by } => {
                if let Some(latch) = self.latches.get_mut(&id) {
                    self.suspicions.remove(&latch.scope);
                    latch.cleared.get_or_insert(by);
                }
                self.forget_oldest_cleared();
            }
        }
    }

    fn forget_oldest_cleared(&mut self) {
        let mut cleared: Vec<_> =
            self.latches.values().filter_map(|l| l.cleared.as_ref().map(|c| (c.at, l.id.clone()))).collect();
        if cleared.len() > MAX_CLEARED_SHOWN {
            cleared.sort();
            for (_, id) in cleared.iter().take(cleared.len() - MAX_CLEARED_SHOWN) {
                self.latches.remove(id);
            }
        }
    }
}

fn carry(state: &State) -> Vec<Vec<u8>> {
    state.latches.values().filter_map(|latch| serde_json::to_vec(&Entry::Set(Box::new(latch.clone()))).ok()).collect()
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
