//! The switches of this node: held in memory, kept in a journal, asked by every request and again before its release.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use sekisho_issuance::request::{Facts, Operation};
use sekisho_worker::journal::{Journal, JournalError, Rotation};
use serde::{Deserialize, Serialize};

use super::{About, Scope, Switch, SwitchId, Word, files};
use crate::clock::Clock;
use crate::durable_log::{Log, NotDurable};
use crate::registry::{Registry, name};
use crate::route::Route;

/// Beyond this size the journal is rewritten with what still matters.
const ROTATE_ABOVE_BYTES: u64 = 1 << 20;
/// Switches set at once; beyond it only `all` is taken.
const MAX_SET: usize = 10_000;
/// Cleared switches that are still listed.
const MAX_CLEARED_SHOWN: usize = 1_000;
/// Longest name or reason.
const MAX_WORD_BYTES: usize = 2_000;

/// Why a switch was not set as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// A name or a reason is required.
    #[error("`{0}` is required: a switch is set by a person who says who they are and why")]
    Missing(&'static str),
    /// Too many are set.
    #[error("{MAX_SET} switches are set; clear some, or set `all`")]
    TooMany,
    /// It holds, but would not survive a crash.
    #[error("switch {0} holds now, but could not be made durable: a restart would forget it")]
    NotDurable(SwitchId),
}

/// Why a switch was not cleared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClearError {
    /// No such switch.
    #[error("there is no switch {0} (one that a file set is cleared by removing the file)")]
    Unknown(SwitchId),
    /// Somebody did already.
    #[error("switch {0} was cleared already")]
    AlreadyCleared(SwitchId),
    /// A name or a reason is required.
    #[error("`{0}` is required: a switch is cleared by a person who says who they are and why")]
    Missing(&'static str),
    /// The clearance could not be made durable, so the switch holds.
    #[error("the clearance could not be made durable; the switch holds")]
    NotDurable,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Set(Switch),
    Cleared { id: SwitchId, by: Word },
}

#[derive(Default)]
struct State {
    switches: BTreeMap<SwitchId, Switch>,
    files: BTreeMap<String, Scope>,
}

/// All switches.
pub struct Switches {
    state: Arc<Mutex<State>>,
    off: ArcSwap<HashSet<Scope>>,
    dir: PathBuf,
    log: Arc<dyn Log>,
    clock: Clock,
    torn_bytes: u64,
}

impl Switches {
    /// Opens or makes the journal at `path`; files are looked for in `dir`, which is made if it is not there.
    pub fn open(path: &Path, dir: &Path, clock: Clock) -> Result<Self, JournalError> {
        let state = Arc::new(Mutex::new(State::default()));
        let carried = state.clone();
        let carry = Arc::new(move || lock(&carried).carry());
        let rotation = Rotation { above_bytes: ROTATE_ABOVE_BYTES, carry };
        let mut unreadable = false;
        let (journal, opened) = Journal::open_with(path, "sekisho-switches", Some(rotation), |entry| {
            match serde_json::from_slice(entry) {
                Ok(entry) => lock(&state).apply(entry),
                Err(_) => unreadable = true,
            }
        })?;
        if unreadable {
            return Err(JournalError::Unreadable { offset: 0, reason: "an entry of another build" });
        }
        if opened.torn_bytes > 0 {
            tracing::warn!(
                torn_bytes = opened.torn_bytes,
                "an unfinished write at the end of the switches was cut off"
            );
        }
        if let Err(error) = std::fs::create_dir_all(dir) {
            tracing::warn!(%error, "the directory for switches by file could not be made");
        }
        let torn_bytes = opened.torn_bytes;
        Ok(Self { torn_bytes, ..Self::with(state, dir.to_owned(), Arc::new(journal), clock) })
    }

    fn with(state: Arc<Mutex<State>>, dir: PathBuf, log: Arc<dyn Log>, clock: Clock) -> Self {
        let switches = Self { state, off: ArcSwap::default(), dir, log, clock, torn_bytes: 0 };
        switches.refresh(&lock(&switches.state));
        switches
    }

    #[cfg(test)]
    pub(crate) fn scripted(log: Arc<dyn Log>, clock: Clock) -> Self {
        Self::with(Arc::default(), PathBuf::from("/nonexistent"), log, clock)
    }

    /// Bytes of an unfinished write that were cut off when they were opened.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// Whether what `route` asks for `facts` is in service, with every backend that it needs. A session may still be closed
    /// where only its municipality is out of service: going on with it would be worse.
    pub fn serve(&self, route: &Route, facts: &Facts) -> bool {
        if self.off.load().is_empty() {
            return true;
        }
        let whose = (route.operation != Operation::Close).then_some((facts.municipality, route.kind));
        let (municipality, kind) = whose.unwrap_or_default();
        route.backends().all(|backend| self.is_on(About { municipality, kind, backend }))
    }

    /// Whether nothing takes `about` out of service.
    pub fn is_on(&self, about: About<'_>) -> bool {
        let off = self.off.load();
        if off.is_empty() {
            return true;
        }
        let About { municipality, kind, backend } = about;
        let scopes = [
            Some(Scope::All),
            municipality.map(Scope::Municipality),
            kind.map(Scope::Kind),
            municipality.zip(kind).map(|(code, kind)| Scope::Here(code, kind)),
            Some(Scope::Backend(backend.into())),
        ];
        !scopes.iter().flatten().any(|scope| off.contains(scope))
    }

    /// Takes `scope` out of service, from this moment; comes back when that would survive a crash.
    pub async fn set(&self, scope: Scope, name: &str, reason: &str) -> Result<Switch, SetError> {
        let set = self.word(name, reason).map_err(SetError::Missing)?;
        let switch = Switch { id: SwitchId::random(), scope, set, cleared: None };
        let durable = {
            let mut state = lock(&self.state);
            let holding = state.switches.values().filter(|switch| switch.cleared.is_none()).count();
            if holding >= MAX_SET && switch.scope != Scope::All {
                return Err(SetError::TooMany);
            }
            tracing::error!(switch = %switch.id, scope = %switch.scope, by = switch.set.name, "switched off");
            state.apply(Entry::Set(switch.clone()));
            self.refresh(&state);
            // Queued under the lock, so that the journal has the order of what happened.
            serde_json::to_vec(&Entry::Set(switch.clone())).map(|entry| self.log.append(&entry))
        };
        let Ok(durable) = durable else { return Err(SetError::NotDurable(switch.id)) };
        match durable.await {
            Ok(()) => Ok(switch),
            Err(NotDurable) => Err(SetError::NotDurable(switch.id)),
        }
    }

    /// Clears one switch on a person's word; it holds until the clearance is durable, and others on the same scope hold on.
    pub async fn clear(&self, id: &SwitchId, name: &str, reason: &str) -> Result<Switch, ClearError> {
        let by = self.word(name, reason).map_err(ClearError::Missing)?;
        let known = lock(&self.state).switches.get(id).cloned().ok_or_else(|| ClearError::Unknown(id.clone()))?;
        if known.cleared.is_some() {
            return Err(ClearError::AlreadyCleared(id.clone()));
        }
        let entry = Entry::Cleared { id: id.clone(), by };
        let bytes = serde_json::to_vec(&entry).map_err(|_| ClearError::NotDurable)?;
        self.log.append(&bytes).await.map_err(|NotDurable| ClearError::NotDurable)?;
        let mut state = lock(&self.state);
        state.apply(entry);
        self.refresh(&state);
        tracing::warn!(switch = %id, by = name.trim(), "a switch was cleared");
        state.switches.get(id).cloned().ok_or_else(|| ClearError::Unknown(id.clone()))
    }

    /// Reads the files once more; `known` says whether a scope names something that is configured.
    pub fn read_files(&self, known: impl Fn(&Scope) -> bool) {
        let found = files::read(&self.dir, known);
        let mut state = lock(&self.state);
        if state.files == found {
            return;
        }
        for (file, scope) in found.iter().filter(|(file, _)| !state.files.contains_key(*file)) {
            tracing::error!(file, %scope, "switched off by a file");
        }
        for file in state.files.keys().filter(|file| !found.contains_key(*file)) {
            tracing::warn!(file, "the file of a switch is gone");
        }
        state.files = found;
        self.refresh(&state);
    }

    /// Every switch that the journal knows, newest first.
    pub fn list(&self) -> Vec<Switch> {
        let mut all: Vec<_> = lock(&self.state).switches.values().cloned().collect();
        all.sort_by_key(|switch| std::cmp::Reverse(switch.set.at));
        all
    }

    /// Every switch that a file sets: its name and what it takes out of service.
    pub fn files(&self) -> BTreeMap<String, Scope> {
        lock(&self.state).files.clone()
    }

    /// What is out of service, each scope once.
    pub fn off(&self) -> Vec<Scope> {
        let mut off: Vec<_> = self.off.load().iter().cloned().collect();
        off.sort();
        off
    }

    /// Sets the gauge; to be called before a scrape.
    pub fn publish(&self, registry: &Registry) {
        let off = self.off.load();
        for class in ["all", "municipality", "kind", "municipality_kind", "backend"] {
            let count = off.iter().filter(|scope| scope.class() == class).count();
            registry.gauge(name::SWITCHED_OFF, &[("scope", class)]).set(count as f64);
        }
    }

    /// Whether a switch that is set now would survive a crash.
    pub fn is_durable(&self) -> bool {
        !self.log.is_poisoned()
    }

    /// Writes what is queued and closes the journal.
    pub fn close(&self) {
        self.log.close();
    }

    fn word(&self, name: &str, reason: &str) -> Result<Word, &'static str> {
        for (what, text) in [("name", name), ("reason", reason)] {
            if text.trim().is_empty() || text.len() > MAX_WORD_BYTES || text.chars().any(char::is_control) {
                return Err(what);
            }
        }
        Ok(Word { name: name.trim().to_owned(), reason: reason.trim().to_owned(), at: self.clock.now() })
    }

    fn refresh(&self, state: &State) {
        let set = state.switches.values().filter(|switch| switch.cleared.is_none()).map(|switch| &switch.scope);
        self.off.store(Arc::new(set.chain(state.files.values()).cloned().collect()));
    }
}

impl State {
    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Set(switch) => {
                // A rewritten journal repeats what may still be queued; a clearance is never taken back by it.
                if self.switches.get(&switch.id).is_none_or(|known| known.cleared.is_none()) {
                    self.switches.insert(switch.id.clone(), switch);
                }
            }
            Entry::Cleared { id, by } => {
                if let Some(switch) = self.switches.get_mut(&id) {
                    switch.cleared.get_or_insert(by);
                }
                self.forget_oldest_cleared();
            }
        }
    }

    fn forget_oldest_cleared(&mut self) {
        let cleared = self.switches.values().filter_map(|s| s.cleared.as_ref().map(|word| (word.at, s.id.clone())));
        let mut cleared: Vec<_> = cleared.collect();
        let too_many = cleared.len().saturating_sub(MAX_CLEARED_SHOWN);
        cleared.sort();
        for (_, id) in cleared.iter().take(too_many) {
            self.switches.remove(id);
        }
    }

    fn carry(&self) -> Vec<Vec<u8>> {
        self.switches.values().filter_map(|switch| serde_json::to_vec(&Entry::Set(switch.clone())).ok()).collect()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
