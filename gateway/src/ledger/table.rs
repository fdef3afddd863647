//! Which key stands where: pure, with time handed in. A key never goes back to where it could begin again while anybody may use it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sekisho_issuance::id::RequestId;
use tokio::sync::watch;

use super::SessionKey;
use crate::problem::Problem;

/// How long a key without a session is remembered after its answer is erased: as long as one from before a restart.
pub const REMEMBERED_FOR: Duration = sekisho_worker::owner::KEYS_KEPT_FOR;
/// Papers of one session that its close is recorded for.
const MAX_PAPERS: usize = 64;

/// `[ledger]`: how long answers are kept for who asks again, and how much of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerLimits {
    /// An answer is erased after this long at the latest; its key is still known, and nothing is begun under it again.
    pub keep: Duration,
    /// Keys remembered at once; a new one beyond is shed, never an old one forgotten.
    pub max_keys: usize,
    /// Bytes of answers kept at once. Beyond, a new key is shed; what was under way is answered once and not kept.
    pub max_bytes: usize,
}

/// Why nothing is given under a key any more. The word is the reason that the kiosk hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The kiosk said that the paper was printed.
    Confirmed,
    /// The person left without it.
    Abandoned,
    /// It was kept for as long as it may be.
    Erased,
    /// There was no room to keep it.
    NotKept,
}

impl Over {
    /// The stable word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Abandoned => "abandoned",
            Self::Erased => "erased",
            Self::NotKept => "not_kept",
        }
    }
}

/// What somebody who asks finds.
pub(super) enum Turn<K> {
    Begin(u64),
    Join(watch::Receiver<()>),
    Again(K),
    Said(Problem),
    Reused,
    Over(Over),
    Full,
}

enum State<K> {
    /// Dropping the sender wakes who waits.
    UnderWay {
        ended: watch::Sender<()>,
        over: Option<Over>,
        session_over: bool,
    },
    Kept {
        kept: K,
        bytes: usize,
    },
    Said(Problem),
    Over(Over),
}

struct Entry<K> {
    request: u128,
    number: u64,
    at: Instant,
    session: Option<SessionKey>,
    state: State<K>,
}

/// What belongs to one session.
#[derive(Default)]
struct Session {
    keys: Vec<u128>,
    papers: Vec<RequestId>,
}

pub(super) struct Table<K> {
    entries: HashMap<u128, Entry<K>>,
    sessions: HashMap<SessionKey, Session>,
    bytes: usize,
    next: u64,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { entries: HashMap::new(), sessions: HashMap::new(), bytes: 0, next: 0 }
    }
}

impl<K: Clone> Table<K> {
    pub(super) fn keys(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn sessions(&self) -> Vec<SessionKey> {
        self.sessions.keys().cloned().collect()
    }

    pub(super) fn ask(
        &mut self,
        key: u128,
        request: u128,
        session: Option<&SessionKey>,
        limits: LedgerLimits,
        now: Instant,
    ) -> Turn<K> {
        let Some(entry) = self.entries.get_mut(&key) else {
            if self.entries.len() >= limits.max_keys || self.bytes >= limits.max_bytes {
                return Turn::Full;
            }
            self.next += 1;
            let state = State::UnderWay { ended: watch::Sender::new(()), over: None, session_over: false };
            let entry = Entry { request, number: self.next, at: now, session: session.cloned(), state };
            self.entries.insert(key, entry);
            session.into_iter().for_each(|session| self.sessions.entry(session.clone()).or_default().keys.push(key));
            return Turn::Begin(self.next);
        };
        if entry.request != request {
            return Turn::Reused;
        }
        if now.saturating_duration_since(entry.at) >= limits.keep {
            self.bytes -= entry.erase(Over::Erased);
        }
        match &entry.state {
            State::UnderWay { ended, .. } => Turn::Join(ended.subscribe()),
            State::Kept { kept, .. } => Turn::Again(kept.clone()),
            State::Said(problem) => Turn::Said(problem.clone()),
            State::Over(over) => Turn::Over(*over),
        }
    }

    /// The entry of `number`, while it is under way. A later one under the same key is somebody else's.
    fn ending(&mut self, key: u128, number: u64) -> Option<(&mut Entry<K>, Option<Over>)> {
        let over = match self.entries.get(&key).filter(|entry| entry.number == number)?.state {
            State::UnderWay { session_over: true, .. } => {
                self.entries.remove(&key);
                return None;
            }
            State::UnderWay { over, .. } => over,
            _ => return None,
        };
        self.entries.get_mut(&key).map(|entry| (entry, over))
    }

    pub(super) fn keep(
        &mut self,
        key: u128,
        number: u64,
        kept: Option<K>,
        bytes: usize,
        limits: LedgerLimits,
        now: Instant,
    ) {
        let room = self.bytes.saturating_add(bytes) <= limits.max_bytes;
        let Some((entry, over)) = self.ending(key, number) else { return };
        entry.at = now;
        entry.state = match (kept.filter(|_| room), over) {
            (_, Some(over)) => State::Over(over),
            (None, None) => State::Over(Over::NotKept),
            (Some(kept), None) => State::Kept { kept, bytes },
        };
        if matches!(entry.state, State::Kept { .. }) {
            self.bytes += bytes;
        }
    }

    pub(super) fn say(&mut self, key: u128, number: u64, problem: Problem) {
        if let Some((entry, over)) = self.ending(key, number) {
            entry.state = over.map_or(State::Said(problem), State::Over);
        }
    }

    /// Nothing was begun under it.
    pub(super) fn forget(&mut self, key: u128, number: u64) {
        if self.ending(key, number).is_some() {
            let session = self.entries.remove(&key).and_then(|entry| entry.session);
            if let Some(of) = session.and_then(|session| self.sessions.get_mut(&session)) {
                of.keys.retain(|known| *known != key);
            }
        }
    }

    pub(super) fn released(&mut self, session: SessionKey, request: RequestId) {
        let papers = &mut self.sessions.entry(session).or_default().papers;
        if papers.len() < MAX_PAPERS {
            papers.push(request);
        }
    }

    pub(super) fn close(&mut self, session: &SessionKey, over: Over) -> Vec<RequestId> {
        let Some(of) = self.sessions.get_mut(session) else { return Vec::new() };
        for key in &of.keys {
            self.bytes -= self.entries.get_mut(key).map_or(0, |entry| entry.erase(over));
        }
        std::mem::take(&mut of.papers)
    }

    pub(super) fn session_over(&mut self, session: &SessionKey) {
        let Some(of) = self.sessions.remove(session) else { return };
        for key in of.keys {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            match &mut entry.state {
                // Still known until it ends: nobody may begin it beside.
                State::UnderWay { session_over, .. } => *session_over = true,
                _ => {
                    self.bytes -= entry.erase(Over::Erased);
                    self.entries.remove(&key);
                }
            }
        }
    }

    pub(super) fn sweep(&mut self, limits: LedgerLimits, now: Instant) {
        let mut freed = 0;
        self.entries.retain(|_, entry| {
            let age = now.saturating_duration_since(entry.at);
            if age >= limits.keep {
                freed += entry.erase(Over::Erased);
            }
            let under_way = matches!(entry.state, State::UnderWay { .. });
            // What belongs to a session is known for as long as that lives.
            under_way || entry.session.is_some() || age < REMEMBERED_FOR.max(limits.keep)
        });
        self.bytes -= freed;
    }
}

impl<K> Entry<K> {
    /// Gives nothing under it any more; how many bytes that frees.
    fn erase(&mut self, why: Over) -> usize {
        match &mut self.state {
            State::UnderWay { over, .. } => {
                if why != Over::Erased {
                    *over = Some(why);
                }
                0
            }
            State::Kept { bytes, .. } => {
                let freed = *bytes;
                self.state = State::Over(why);
                freed
            }
            // A no goes on standing, unless the person spoke.
            State::Said(_) if why != Over::Erased => {
                self.state = State::Over(why);
                0
            }
            State::Said(_) | State::Over(_) => 0,
        }
    }
}
