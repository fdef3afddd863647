//! What may be in flight, durable before the first byte leaves: after an unclean start those residents wait. Names nobody.

pub(crate) mod jobs;
pub(crate) mod keys;
mod record;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sekisho_issuance::fence::Fence;
use sekisho_issuance::request::Operation;

use crate::assignment::Assignment;
use crate::assignment::NotBegun;
use crate::clock;
use crate::intent::jobs::{Claimed, Jobs};
use crate::intent::keys::Begun;
use crate::journal::{self, Journal, JournalError, Rotation};
use crate::numbered::Numbered;
pub use record::OpenIntent;
use record::Record;

/// The file's name in the state directory.
pub const FILE: &str = "intents.journal";
const PURPOSE: &str = "intents";
/// Attempt numbers are reserved in blocks, so that they rise over restarts without a write for each.
const FENCE_BLOCK: u64 = 1 << 16;

/// What a rewritten file must hold.
#[derive(Default)]
struct Kept {
    open: Numbered<u64, Vec<u8>>,
    suspended: BTreeMap<String, &'static str>,
    reserved: u64,
    jobs: Jobs,
    keys: Begun,
}

type Shared = Arc<Mutex<Kept>>;

/// What an earlier life of the process left behind.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Attempts that may still have effect.
    pub(crate) open: Vec<OpenIntent>,
    /// The journal could not be read: anybody may be in flight.
    pub(crate) unreadable: Option<JournalError>,
    /// Backends that got no call, and why.
    pub(crate) suspended: BTreeMap<String, &'static str>,
    /// Digests of the keys under which something was begun.
    pub(crate) keys: Begun,
    /// Bytes of an unfinished write, never acted on.
    pub(crate) torn_bytes: u64,
}

/// The intents of this owner.
pub(crate) struct Intents {
    journal: Journal,
    kept: Shared,
    next_fence: AtomicU64,
    reserved: AtomicU64,
}

impl Intents {
    /// Reads and compacts the journal of `state_dir`. An unreadable one is put aside and reported, never trusted in part.
    pub(crate) fn open(state_dir: &Path, rotate_above_bytes: u64) -> Result<(Arc<Self>, Found), JournalError> {
        let path = state_dir.join(FILE);
        let mut past = Past::default();
        let mut found = Found::default();
        let mut head = [0; 32];
        if path.try_exists()? {
            match journal::scan_for(&path, PURPOSE, |entry| past.apply(entry)) {
                Ok((end, report)) if past.unknown == 0 => {
                    head = end;
                    found.torn_bytes = report.torn_bytes;
                }
                Ok(_) => found.unreadable = Some(JournalError::Unreadable { offset: 0, reason: "an unknown record" }),
                Err(error @ JournalError::Unreadable { .. }) => found.unreadable = Some(error),
                Err(error) => return Err(error),
            }
        }
        if found.unreadable.is_some() {
            std::fs::rename(&path, aside(&path))?;
        }
        found.open = past.open();
        found.suspended = past.kept.suspended.clone();

        // Even if the numbers reserved were lost, the clock's floor is above them unless it was set back as well.
        let floor = u64::try_from(clock::wall().as_second()).unwrap_or(0) << 20;
        past.kept.jobs.forget_restored(clock::wall().as_second());
        past.kept.keys.forget(clock::wall().as_second());
        found.keys = past.kept.keys.clone();
        let first = past.kept.reserved.max(floor).max(1);
        let reserved = first + FENCE_BLOCK;
        past.kept.reserved = reserved;
        journal::replace(&path, PURPOSE, &head, &past.kept.to_entries())?;
        let kept = Arc::new(Mutex::new(past.kept));
        let seen = Arc::clone(&kept);
        let rotation = Rotation { above_bytes: rotate_above_bytes, carry: Arc::new(move || lock(&seen).to_entries()) };
        let (journal, _) = Journal::open_with(&path, PURPOSE, Some(rotation), |_| {})?;
        let (next_fence, reserved) = (AtomicU64::new(first), AtomicU64::new(reserved));
        Ok((Arc::new(Self { journal, kept, next_fence, reserved }), found))
    }

    /// The next attempt's number. The block it lies in is queued before the intent that uses it, hence durable before it.
    pub(crate) fn mint(&self) -> Result<Fence, NotBegun> {
        let fence = self.next_fence.fetch_add(1, Ordering::SeqCst);
        let reserved = self.reserved.load(Ordering::SeqCst);
        let extended = fence + FENCE_BLOCK;
        // Half a block early, so that numbers used without an intent are covered as well.
        if fence + FENCE_BLOCK / 2 >= reserved
            && self.reserved.compare_exchange(reserved, extended, Ordering::SeqCst, Ordering::SeqCst).is_ok()
        {
            {
                let mut kept = lock(&self.kept);
                kept.reserved = kept.reserved.max(extended);
            }
            self.journal.append_lazy(&Record::Reserved(extended).to_bytes()).map_err(|_| NotBegun::IntentNotDurable)?;
        }
        Ok(Fence(fence))
    }

    /// Makes it durable that `fence` may have effect in the lanes of `a`, and under which key; resolves before its first byte may leave.
    pub(crate) async fn begin(self: &Arc<Self>, fence: Fence, a: &Assignment) -> Result<IntentGuard, NotBegun> {
        let began = clock::wall();
        let bytes = Record::Intent(OpenIntent {
            fence: fence.0,
            operation: a.operation.name(),
            probed: a.after.is_some() && a.operation == Operation::Amend,
            began_ms: began.as_millisecond(),
            max_run: a.max_run,
            lanes: a.lanes.as_slice().to_vec(),
            job: None,
        })
        .to_bytes();
        if let Some(digest) = a.key {
            let at_s = began.as_second();
            // Queued before the intent, hence durable before it.
            if !lock(&self.kept).keys.hold(digest, at_s) {
                return Err(NotBegun::IntentNotDurable);
            }
            let key = Record::Key { at_s, digest }.to_bytes();
            self.journal.append_lazy(&key).map_err(|_| NotBegun::IntentNotDurable)?;
        }
        // In the set before it is queued: a rotation in between carries it.
        let durable = {
            lock(&self.kept).open.insert(fence.0, bytes.clone());
            self.journal.append(&bytes)
        };
        let guard = IntentGuard { intents: Arc::clone(self), fence: fence.0, keep: false };
        // In paused time nobody may wait for another thread: time would run on.
        #[cfg(test)]
        durable.wait().map_err(|_| NotBegun::IntentNotDurable)?;
        #[cfg(not(test))]
        durable.await.map_err(|_| NotBegun::IntentNotDurable)?;
        Ok(guard)
    }

    /// Makes it durable that `fence` was given the job of this `digest`, before anybody is asked about it.
    pub(crate) async fn claim_job(&self, fence: Fence, digest: u128) -> Result<Claimed, NotBegun> {
        let at_s = clock::wall().as_second();
        // Remembered before it is queued: a rotation in between carries it.
        let durable = {
            match lock(&self.kept).jobs.claim(digest, fence.0, at_s, clock::now()) {
                Claimed::First => {}
                known => return Ok(known),
            }
            self.journal.append(&Record::Job { fence: fence.0, at_s, digest }.to_bytes())
        };
        #[cfg(test)]
        durable.wait().map_err(|_| NotBegun::IntentNotDurable)?;
        #[cfg(not(test))]
        durable.await.map_err(|_| NotBegun::IntentNotDurable)?;
        Ok(Claimed::First)
    }

    /// `fence` can have no effect any more. Lost in a crash, it only makes somebody wait.
    pub(crate) fn over(&self, fence: u64) {
        if lock(&self.kept).open.remove(&fence).is_some()
            && let Err(error) = self.journal.append_lazy(&Record::Over(fence).to_bytes())
        {
            tracing::debug!(%error, "an intent stays open in the journal");
        }
    }

    /// Remembers over restarts that `backend` gets no call (`Some` reason), or that it does again.
    pub(crate) fn suspend(&self, backend: &str, why: Option<&'static str>) {
        let name = backend.to_owned();
        let record = {
            let mut kept = lock(&self.kept);
            match why {
                Some(why) => {
                    kept.suspended.insert(name.clone(), why);
                    Record::Suspended(why, name)
                }
                None => {
                    kept.suspended.remove(&name);
                    Record::Resumed(name)
                }
            }
        };
        if let Err(error) = self.journal.append_lazy(&record.to_bytes()) {
            tracing::error!(backend, %error, "a backend's suspension is not remembered over a restart");
        }
    }

    /// Why `backend` gets no call, if so.
    pub(crate) fn suspended(&self, backend: &str) -> Option<&'static str> {
        lock(&self.kept).suspended.get(backend).copied()
    }

    /// How many may have effect.
    pub(crate) fn count(&self) -> usize {
        lock(&self.kept).open.len()
    }

    /// Whether intents can still be written.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.journal.is_poisoned()
    }

    /// Writes what is queued and closes the journal.
    pub(crate) fn close(&self) {
        self.journal.close();
    }
}

/// The intents of `state_dir` that are not known to be over, oldest first; reads only.
pub fn open_intents(state_dir: &Path) -> Result<Vec<OpenIntent>, JournalError> {
    let mut past = Past::default();
    journal::scan_for(&state_dir.join(FILE), PURPOSE, |entry| past.apply(entry))?;
    Ok(past.open())
}

/// A journal whose numbers are reserved up to `upto`, for tests of clocks that were set back.
#[cfg(test)]
pub(crate) fn write_reserved(state_dir: &Path, upto: u64) {
    let entries = [Record::Reserved(upto).to_bytes()];
    journal::replace(&state_dir.join(FILE), PURPOSE, &[0; 32], &entries).unwrap();
}

/// A journal being replayed.
#[derive(Default)]
struct Past {
    kept: Kept,
    unknown: u64,
}

impl Past {
    fn apply(&mut self, entry: &[u8]) {
        let kept = &mut self.kept;
        match Record::read(entry) {
            Some(Record::Intent(intent)) => {
                kept.open.insert(intent.fence, entry.to_vec());
            }
            Some(Record::Over(fence)) => {
                kept.open.remove(&fence);
            }
            Some(Record::Key { at_s, digest }) => {
                kept.keys.hold(digest, at_s);
            }
            Some(Record::Suspended(why, backend)) => {
                kept.suspended.insert(backend, why);
            }
            Some(Record::Resumed(backend)) => {
                kept.suspended.remove(&backend);
            }
            Some(Record::Job { fence, at_s, digest }) => kept.jobs.restore(digest, fence, at_s, clock::now()),
            Some(Record::Reserved(upto)) => kept.reserved = kept.reserved.max(upto),
            None => self.unknown += 1,
        }
    }

    /// The open intents, oldest first.
    fn open(&self) -> Vec<OpenIntent> {
        let intents = self.kept.open.values().filter_map(|bytes| OpenIntent::read(bytes));
        let mut open: BTreeMap<_, _> = intents.map(|intent| (intent.fence, intent)).collect();
        for (digest, fence, _) in self.kept.jobs.all() {
            if let Some(intent) = open.get_mut(&fence) {
                intent.job = Some(digest);
            }
        }
        open.into_values().collect()
    }
}

impl Kept {
    /// What a new file starts with.
    fn to_entries(&self) -> Vec<Vec<u8>> {
        let mut entries = vec![Record::Reserved(self.reserved).to_bytes()];
        entries.extend(self.suspended.iter().map(|(name, why)| Record::Suspended(why, name.clone()).to_bytes()));
        let job = |(digest, fence, at_s)| Record::Job { fence, at_s, digest }.to_bytes();
        entries.extend(self.jobs.all().map(job));
        entries.extend(self.keys.all().map(|(digest, at_s)| Record::Key { at_s, digest }.to_bytes()));
        entries.extend(self.open.values().cloned());
        entries
    }
}

fn aside(path: &Path) -> PathBuf {
    path.with_extension(format!("unreadable-{}", clock::wall().as_millisecond()))
}

fn lock(kept: &Shared) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An intent that is durable. Dropped before `begun`, it is over; dropped after, it stays open until somebody knows.
pub(crate) struct IntentGuard {
    intents: Arc<Intents>,
    fence: u64,
    keep: bool,
}

impl IntentGuard {
    /// Bytes are about to leave.
    pub(crate) fn begun(&mut self) {
        self.keep = true;
    }

    /// It can have no effect any more.
    pub(crate) fn over(mut self) {
        self.keep = false;
    }
}

impl Drop for IntentGuard {
    fn drop(&mut self) {
        if !self.keep {
            self.intents.over(self.fence);
        }
    }
}
