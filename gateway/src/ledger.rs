//! What became of requests that came with a key: who asks again gets the same answer, and nothing is begun a second time.
//!
//! In memory only: answers sealed, keys as digests. It never lets anything out: what it kept passes the release gate again.

mod kept;
mod table;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sekisho_issuance::id::{KioskId, RequestId, SessionId};
use sekisho_worker::owner::Attested;
use tokio::sync::watch;

use crate::bound::Bound;
use crate::problem::{Code, Problem};
use crate::session::Scope;
pub(crate) use kept::{Kept, Opened};
use kept::{Sealed, Sealer};
use table::Table;
pub use table::{LedgerLimits, Over, REMEMBERED_FOR};

/// One card presence, as the ledger knows it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct SessionKey(Option<KioskId>, SessionId);

impl SessionKey {
    /// The session as it is told apart under `scope`.
    pub(crate) fn of(scope: Scope, kiosk: Option<&KioskId>, session: &SessionId) -> Self {
        Self(kiosk.filter(|_| scope == Scope::Kiosk).cloned(), session.clone())
    }

    /// The kiosk, where ids are unique only there, and the id.
    pub(crate) fn parts(&self) -> (Option<&KioskId>, &SessionId) {
        (self.0.as_ref(), &self.1)
    }

    /// From these.
    pub(crate) fn from_parts(kiosk: Option<&KioskId>, session: &SessionId) -> Self {
        Self(kiosk.cloned(), session.clone())
    }
}

/// Which request it is, in digests.
#[derive(Clone)]
pub(crate) struct Asks {
    /// Municipality, kiosk, session and key.
    pub(crate) key: u128,
    /// All that is asked.
    pub(crate) request: u128,
    /// The same key of the same person at the same kiosk, in any session: what stays known over a restart.
    pub(crate) durable: u128,
    /// Ends with it.
    pub(crate) session: Option<SessionKey>,
}

/// Whose turn it is.
pub(crate) enum Turn {
    /// The first with this key: it may begin.
    Begin(Place),
    /// Another is under way; when this resolves, ask again.
    Join(Joined),
    /// It ended with this answer.
    Again(Arc<Kept>),
    /// It ended with this no.
    Said(Problem),
    /// The key came with another request.
    Reused,
    /// It is over, and nothing of it is kept.
    Over(Over),
    /// No more can be remembered.
    Full,
}

/// A request that runs already.
pub(crate) struct Joined(watch::Receiver<()>);

impl Joined {
    /// Until it has ended.
    pub(crate) async fn ended(mut self) {
        // Nothing is ever sent: the other half is dropped.
        while self.0.changed().await.is_ok() {}
    }
}

/// All keys of one process.
pub struct Ledger {
    table: Mutex<Table<Arc<Kept>>>,
    sealer: Sealer,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { table: Mutex::default(), sealer: Sealer::new() }
    }
}

impl Ledger {
    fn table(&self) -> MutexGuard<'_, Table<Arc<Kept>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose turn it is under a key. Of any number who ask at once, one begins.
    pub(crate) fn ask(self: &Arc<Self>, asks: &Asks, limits: LedgerLimits, now: Instant) -> Turn {
        match self.table().ask(asks.key, asks.request, asks.session.as_ref(), limits, now) {
            table::Turn::Begin(number) => {
                let (key, durable) = (asks.key, asks.durable);
                Turn::Begin(Place { ledger: self.clone(), key, number, durable, limits, begun: false, ended: false })
            }
            table::Turn::Join(ended) => Turn::Join(Joined(ended)),
            table::Turn::Again(kept) => Turn::Again(kept),
            table::Turn::Said(problem) => Turn::Said(problem),
            table::Turn::Reused => Turn::Reused,
            table::Turn::Over(over) => Turn::Over(over),
            table::Turn::Full => Turn::Full,
        }
    }

    /// The answer that was kept, as it came.
    pub(crate) fn open(&self, kept: &Kept) -> Option<Opened> {
        kept.open(&self.sealer)
    }

    /// A certificate was handed out in a session: what its close is about.
    pub(crate) fn released(&self, session: SessionKey, request: RequestId) {
        self.table().released(session, request);
    }

    /// The person at the kiosk said what became of the papers of a session: nothing of them is given again. Which ones they are.
    pub(crate) fn close(&self, session: &SessionKey, over: Over) -> Vec<RequestId> {
        self.table().close(session, over)
    }

    /// A session is over: what was kept for it is erased.
    pub(crate) fn session_over(&self, session: &SessionKey) {
        self.table().session_over(session);
    }

    /// Erases what was kept for as long as it may be, and what belongs to a session that is not open. To be called every few seconds.
    pub(crate) fn sweep(&self, limits: LedgerLimits, is_open: impl Fn(&SessionKey) -> bool, now: Instant) {
        self.table().sweep(limits, now);
        // Sessions are asked without the table's lock: they tell this ledger of their end under locks of their own.
        let sessions = self.table().sessions();
        sessions.into_iter().filter(|session| !is_open(session)).for_each(|session| self.session_over(&session));
    }

    /// Keys that are remembered, and bytes of answers that are kept.
    pub fn len(&self) -> (usize, usize) {
        let table = self.table();
        (table.keys(), table.bytes())
    }

    /// Whether no key is remembered.
    pub fn is_empty(&self) -> bool {
        self.len().0 == 0
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (keys, bytes) = self.len();
        write!(f, "Ledger({keys} keys, {bytes} bytes)")
    }
}

/// The right to begin what a key stands for. Whoever has it tells how that ended; dropped without, nothing was begun, or nobody knows.
pub(crate) struct Place {
    ledger: Arc<Ledger>,
    key: u128,
    number: u64,
    durable: u128,
    limits: LedgerLimits,
    begun: bool,
    ended: bool,
}

impl Place {
    /// What stays known over a restart once it has begun.
    pub(crate) fn durable(&self) -> u128 {
        self.durable
    }

    /// Whether the backend may have heard of it.
    pub(crate) fn begun(&mut self, begun: bool) {
        self.begun = begun;
    }

    /// A sealed copy of an answer that is about to be judged.
    pub(crate) fn seal(&self, bound: &Arc<Bound>, attested: &Attested) -> Option<Sealed> {
        self.ledger.sealer.seal(bound, attested)
    }

    /// It ended with an answer that may leave.
    pub(crate) fn keep(mut self, kept: Option<Kept>) {
        self.ended = true;
        let bytes = kept.as_ref().map_or(0, Kept::bytes);
        self.ledger.table().keep(self.key, self.number, kept.map(Arc::new), bytes, self.limits, Instant::now());
    }

    /// It ended with a no that stands, since the backend may have acted.
    pub(crate) fn say(mut self, problem: &Problem) {
        self.ended = true;
        self.ledger.table().say(self.key, self.number, problem.clone());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut table = self.ledger.table();
        match self.begun {
            true => table.say(self.key, self.number, Problem::because(Code::Indeterminate, OUTCOME_UNKNOWN)),
            false => table.forget(self.key, self.number),
        }
    }
}

/// What a request with a key may meet: nobody; another that runs; an answer, or a no, that is given again; another request's key; one that
/// is over; one of before a restart; a full memory.
pub(crate) const MET: [&str; 8] = ["begun", "joined", "replayed", "refused_again", "reused", "over", "unknown", "full"];

/// Nobody can say any more what came of it.
pub(crate) const OUTCOME_UNKNOWN: &str = "outcome_unknown";

#[cfg(test)]
mod tests;
