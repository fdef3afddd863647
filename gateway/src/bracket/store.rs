//! The brackets of this node: opened, renewed, closed, or given up as unknown.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sekisho_issuance::id::MunicipalityCode;
use sekisho_issuance::shard::LaneId;
use sekisho_worker::journal::{Journal, JournalError, Rotation};

use super::error::{CloseError, OpenError};
use super::journal::{Entry, LANES_AN_ENTRY, hex};
use super::leaving::{Leaving, UnderWay};
use super::opening::Opening;
use super::state::{Held, Lane, State};
use super::{Bracket, BracketId, MAX_BRACKETS, MAX_RESIDENTS, MAX_RESIDENTS_TOTAL, Stage, Word};
use crate::clock::Clock;
use crate::durable_log::{Log, NotDurable};
use crate::registry::{Registry, name};

/// Beyond this size the journal is rewritten with what still matters.
const ROTATE_ABOVE_BYTES: u64 = 64 << 20;
/// Longest name or reason.
const MAX_WORD_BYTES: usize = 2_000;

/// What the batch made of its residents; `None` where one was not changed.
pub enum Versions {
    /// The same of everybody.
    All(Option<String>),
    /// Of each their own.
    Each(HashMap<LaneId, Option<String>>),
}

/// The version that a bracket made of each of its lanes.
pub type Made = Vec<(LaneId, Option<String>)>;

/// How a renewal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// It holds for another lease.
    Holds,
    /// It is not open: whatever the batch does now is not covered.
    NotOpen(Stage),
}

/// All brackets of this node, and what the record feeds have reached.
pub struct Brackets {
    state: Arc<Mutex<State>>,
    /// Lanes held up: without any, no request asks further.
    held: AtomicUsize,
    pub(super) leaving: Arc<Leaving>,
    pub(super) log: Arc<dyn Log>,
    pub(super) clock: Clock,
    torn_bytes: u64,
}

impl Brackets {
    /// Opens or makes the journal at `path`. What had not ended is unknown from now on.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, JournalError> {
        let state = Arc::new(Mutex::new(State::default()));
        let carried = state.clone();
        let carry = Arc::new(move || lock(&carried).carry());
        let rotation = Rotation { above_bytes: ROTATE_ABOVE_BYTES, carry };
        let mut unreadable = false;
        let (journal, opened) = Journal::open_with(path, "sekisho-brackets", Some(rotation), |entry| {
            match serde_json::from_slice(entry) {
                Ok(entry) => lock(&state).restore(entry),
                Err(_) => unreadable = true,
            }
        })?;
        if unreadable {
            return Err(JournalError::Unreadable { offset: 0, reason: "an entry of another build" });
        }
        if opened.torn_bytes > 0 {
            tracing::warn!(
                torn_bytes = opened.torn_bytes,
                "an unfinished write at the end of the brackets was cut off"
            );
        }
        lock(&state).doubt_all();
        let brackets = Self { torn_bytes: opened.torn_bytes, ..Self::with(state, Arc::new(journal), clock) };
        let unknown = brackets.list().iter().filter(|bracket| bracket.stage == Stage::Unknown).count();
        if unknown > 0 {
            tracing::error!(
                brackets = unknown,
                "change brackets of an earlier run are unknown: their residents are refused"
            );
        }
        brackets.count(&brackets.lock());
        Ok(brackets)
    }

    fn with(state: Arc<Mutex<State>>, log: Arc<dyn Log>, clock: Clock) -> Self {
        Self { state, held: AtomicUsize::new(0), leaving: Arc::default(), log, clock, torn_bytes: 0 }
    }

    #[cfg(test)]
    pub(crate) fn scripted(log: Arc<dyn Log>, clock: Clock) -> Arc<Self> {
        Arc::new(Self::with(Arc::default(), log, clock))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn count(&self, state: &State) {
        self.held.store(state.by_lane.len(), Ordering::SeqCst);
    }

    /// Whether no lane is held up by any bracket.
    pub(super) fn hold_nobody(&self) -> bool {
        self.held.load(Ordering::SeqCst) == 0
    }

    /// Begins a bracket on `residents`, each with the version that the batch found, if it says one. It is durable when this comes
    /// back; then its lanes are to be shut and waited for, and [`Opening::opened`] called.
    pub async fn begin(
        self: &Arc<Self>,
        municipality: MunicipalityCode,
        residents: Vec<(LaneId, Option<String>)>,
        by: (&str, &str),
        lease: Duration,
    ) -> Result<Opening, OpenError> {
        let opened = self.word(by).map_err(OpenError::Missing)?;
        let residents: BTreeMap<_, _> = residents.into_iter().collect();
        match residents.len() {
            0 => return Err(OpenError::Nobody),
            n if n > MAX_RESIDENTS => return Err(OpenError::TooMany("a bracket holds at most 100000 residents")),
            _ => {}
        }
        let lanes: Vec<_> = residents.keys().copied().collect();
        let (mut opening, durable) = {
            let mut state = self.lock();
            let going = state.brackets.values().filter(|held| !held.bracket.stage.is_over());
            let (count, held) = going.fold((0, 0), |(count, held), h| (count + 1, held + h.lanes.len()));
            if count >= MAX_BRACKETS {
                return Err(OpenError::TooMany("10000 brackets are not over"));
            }
            if held + lanes.len() > MAX_RESIDENTS_TOTAL {
                return Err(OpenError::TooMany(
                    "the brackets that are not over would hold more than 1000000 residents",
                ));
            }
            state.last += 1;
            let id = BracketId(state.last);
            let (count, stage) = (residents.len(), Stage::Opening);
            let bracket =
                Bracket { id, municipality, residents: count, settled: 0, stage, why: None, opened, ended: None };
            let mut entries = vec![Entry::Begun(bracket.clone())];
            let written: Vec<_> = residents.iter().map(|(lane, from)| (hex(*lane), from.clone())).collect();
            entries.extend(written.chunks(LANES_AN_ENTRY).map(|lanes| Entry::Lanes { id, lanes: lanes.to_vec() }));
            let entries: Option<Vec<_>> = entries.iter().map(Entry::to_bytes).collect();
            // Queued under the lock, so that the journal has the order of what happened; the last one's sync covers all before it.
            let durable =
                entries.and_then(|entries| entries.iter().fold(None, |_, entry| Some(self.log.append(entry))));
            let lanes_of = residents.into_iter().map(|(lane, from)| (lane, Lane::found(from)));
            let held = Held { lease, lanes: lanes_of.collect(), ..Held::new(bracket) };
            state.brackets.insert(id, held);
            (Opening { brackets: self.clone(), id, lanes, withdraw: None }, durable)
        };
        opening.shut(|_, _| {});
        let Some(durable) = durable else { return Err(OpenError::NotDurable) };
        durable.await.map_err(|NotDurable| OpenError::NotDurable)?;
        let mut state = self.lock();
        for lane in &opening.lanes {
            state.by_lane.entry(*lane).or_default().push(opening.id);
        }
        self.count(&state);
        drop(state);
        Ok(opening)
    }

    /// To be held from before an answer's lanes are free until its first byte leaves.
    pub fn under_way(&self) -> UnderWay {
        self.leaving.enter()
    }

    /// The batch is still at it.
    pub fn renew(&self, id: BracketId) -> Result<Renewed, CloseError> {
        let mut state = self.lock();
        let held = state.brackets.get_mut(&id).ok_or(CloseError::Unknown(id))?;
        if held.bracket.stage != Stage::Open {
            return Ok(Renewed::NotOpen(held.bracket.stage));
        }
        held.until = Some(Instant::now() + held.lease);
        Ok(Renewed::Holds)
    }

    /// Gives every open bracket up whose lease is over: their numbers, and lanes that are to be opened, since what comes is refused.
    pub fn expire(&self, now: Instant) -> Vec<(BracketId, Vec<LaneId>)> {
        if self.hold_nobody() {
            return Vec::new();
        }
        let due: Vec<_> = {
            let state = self.lock();
            let due = |held: &Held| held.bracket.stage == Stage::Open && held.until.is_none_or(|until| until <= now);
            state.brackets.iter().filter(|(_, held)| due(held)).map(|(id, _)| *id).collect()
        };
        due.into_iter().filter_map(|id| Some((id, self.give_up(id, "expired").ok()?))).collect()
    }

    /// Nobody knows what the batch did; the lanes that are to be opened.
    pub fn give_up(&self, id: BracketId, why: &str) -> Result<Vec<LaneId>, CloseError> {
        let mut state = self.lock();
        let held = state.brackets.get_mut(&id).ok_or(CloseError::Unknown(id))?;
        if held.bracket.stage != Stage::Open {
            return Err(CloseError::NotOpen(id, held.bracket.stage.name()));
        }
        (held.bracket.stage, held.bracket.why, held.until) = (Stage::Unknown, Some(why.to_owned()), None);
        let residents = held.lanes.len();
        tracing::error!(bracket = %id, why, residents, "a change bracket is unknown: its residents are refused");
        // If this is lost, a restart says the same.
        if let Some(entry) = (Entry::Unknown { id, why: why.to_owned() }).to_bytes() {
            let _ = self.log.append_lazy(&entry);
        }
        Ok(held.lanes.keys().copied().collect())
    }

    /// The versions that closing `id` would set, by lane, if they name its residents and whoever closes it may.
    pub fn closing(
        &self,
        id: BracketId,
        versions: Versions,
        by: Option<(&str, &str)>,
    ) -> Result<(Made, Option<Word>), CloseError> {
        let word = by.map(|by| self.word(by)).transpose().map_err(CloseError::Missing)?;
        let state = self.lock();
        let held = state.brackets.get(&id).ok_or(CloseError::Unknown(id))?;
        match held.bracket.stage {
            Stage::Open => {}
            Stage::Unknown if word.is_some() => {}
            Stage::Unknown => return Err(CloseError::Missing("name")),
            stage => return Err(CloseError::NotOpen(id, stage.name())),
        }
        let versions = match versions {
            Versions::All(version) => held.lanes.keys().map(|lane| (*lane, version.clone())).collect(),
            Versions::Each(versions) => {
                let missing = held.lanes.keys().filter(|lane| !versions.contains_key(lane)).count();
                let strange = versions.keys().filter(|lane| !held.lanes.contains_key(lane)).count();
                if missing + strange > 0 {
                    return Err(CloseError::Versions(format!(
                        "`versions` leaves out {missing} residents of bracket {id} and names {strange} others; name each of its own, with null for one that was not changed"
                    )));
                }
                versions.into_iter().collect()
            }
        };
        Ok((versions, word))
    }

    /// Ends `id`, whose versions are durable and known by now; with the lanes that are to be opened, if that was not done when it
    /// became unknown.
    pub async fn close(&self, id: BracketId, by: Option<Word>) -> Result<(Bracket, Vec<LaneId>), CloseError> {
        let over = Entry::Over { id, stage: Stage::Closed, by: by.clone() };
        let bytes = over.to_bytes().ok_or(CloseError::NotDurable)?;
        self.log.append(&bytes).await.map_err(|NotDurable| CloseError::NotDurable)?;
        self.end(id, Stage::Closed, by).ok_or(CloseError::Unknown(id))
    }

    /// Nobody is held up by `id` any more; with the lanes that it still kept closed. Both in one step: lanes that expiry has opened
    /// meanwhile are never opened twice, which would take them from another bracket.
    pub(super) fn end(&self, id: BracketId, stage: Stage, by: Option<Word>) -> Option<(Bracket, Vec<LaneId>)> {
        let mut state = self.lock();
        let held = state.brackets.get_mut(&id)?;
        let lanes = std::mem::take(&mut held.lanes);
        let closed = if held.bracket.stage == Stage::Open { lanes.keys().copied().collect() } else { Vec::new() };
        (held.bracket.stage, held.until) = (stage, None);
        held.bracket.ended = by.clone();
        let bracket = held.bracket.clone();
        lanes.into_keys().for_each(|lane| state.free(id, lane));
        state.forget_oldest_over();
        self.count(&state);
        tracing::warn!(bracket = %id, stage = stage.name(), "a change bracket is over");
        if stage == Stage::Withdrawn
            && let Some(entry) = (Entry::Over { id, stage, by }).to_bytes()
        {
            let _ = self.log.append_lazy(&entry);
        }
        Some((bracket, closed))
    }

    /// One of its residents is not held up by `id` any more.
    pub(super) fn settled(&self, state: &mut State, id: BracketId, lane: LaneId) {
        let Some(held) = state.brackets.get_mut(&id) else { return };
        if !held.settle(lane) {
            return;
        }
        let mut entries = vec![Entry::Settled { id, lane: hex(lane) }];
        if held.bracket.settled == held.lanes.len() {
            held.bracket.stage = Stage::Closed;
            held.lanes.clear();
            tracing::warn!(bracket = %id, "an unknown change bracket is over: a newer version of everybody was shown");
            entries.push(Entry::Over { id, stage: Stage::Closed, by: None });
        }
        state.free(id, lane);
        self.count(state);
        // If this is lost, a restart asks again.
        for entry in entries.iter().filter_map(Entry::to_bytes) {
            let _ = self.log.append_lazy(&entry);
        }
    }

    /// Every bracket, newest first.
    pub fn list(&self) -> Vec<Bracket> {
        self.lock().brackets.values().rev().map(|held| held.bracket.clone()).collect()
    }

    /// One bracket.
    pub fn show(&self, id: BracketId) -> Option<Bracket> {
        self.lock().brackets.get(&id).map(|held| held.bracket.clone())
    }

    /// Sets the gauges; to be called before a scrape.
    pub fn publish(&self, registry: &Registry) {
        let brackets = self.list();
        for stage in [Stage::Opening, Stage::Open, Stage::Unknown] {
            let of = || brackets.iter().filter(|bracket| bracket.stage == stage);
            let residents: usize = of().map(|bracket| bracket.residents - bracket.settled).sum();
            let label = [("stage", stage.name())];
            registry.gauge(name::BRACKETS, &label).set(of().count() as f64);
            registry.gauge(name::BRACKETED_RESIDENTS, &label).set(residents as f64);
        }
    }

    /// Bytes of an unfinished write that were cut off when they were opened.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// Whether a bracket that is opened now would survive a crash.
    pub fn is_durable(&self) -> bool {
        !self.log.is_poisoned()
    }

    /// Writes what is queued and closes the journal.
    pub fn close_journal(&self) {
        self.log.close();
    }

    fn word(&self, (name, reason): (&str, &str)) -> Result<Word, &'static str> {
        for (what, text) in [("name", name), ("reason", reason)] {
            if text.trim().is_empty() || text.len() > MAX_WORD_BYTES || text.chars().any(char::is_control) {
                return Err(what);
            }
        }
        Ok(Word { name: name.trim().to_owned(), reason: reason.trim().to_owned(), at: self.clock.now() })
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
