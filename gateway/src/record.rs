//! The release records: what may have left, to whom by pseudonym, and what was kept in. Append-only and hash-chained.
//!
//! No personal data: people, sessions and contents stand here as keyed digests.

mod entry;
mod explain;
mod segments;
mod snapshot;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sekisho_issuance::id::RequestId;
use sekisho_worker::journal::JournalError;

use crate::clock::Clock;
use crate::durable_log::{Durable, Log, NotDurable};

pub use entry::{About, Ended, Fate, Finished, Intent, Operated, Record, Said, Withheld};
pub use explain::Explanation;
pub use snapshot::Memory;

/// A new segment is begun beyond this size.
const SEGMENT_BYTES: u64 = 64 << 20;

/// Why the records could not be opened. Starting without them would forget what was released.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// A segment cannot be read or written.
    #[error("{path}: {error}")]
    Segment {
        /// Which.
        path: PathBuf,
        /// Why.
        error: JournalError,
    },
    /// Segments are missing and no snapshot speaks for them.
    #[error(
        "{0}: segments before this one are missing and the snapshot does not cover them; restore them from the backup"
    )]
    Missing(PathBuf),
    /// The directory.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// The open records of this node.
pub struct Records {
    dir: PathBuf,
    current: RwLock<Arc<dyn Log>>,
    number: AtomicU64,
    written: AtomicU64,
    rotate_above: u64,
    memory: Memory,
    clock: Clock,
}

impl Records {
    /// Opens or makes the records in `dir` and rebuilds `memory` from them.
    pub fn open(dir: &Path, memory: Memory, clock: Clock) -> Result<Arc<Self>, RecordsError> {
        Self::open_rotating(dir, memory, clock, SEGMENT_BYTES)
    }

    pub(crate) fn open_rotating(
        dir: &Path,
        memory: Memory,
        clock: Clock,
        rotate_above: u64,
    ) -> Result<Arc<Self>, RecordsError> {
        let opened = segments::open(dir, &memory, clock.now())?;
        Ok(Arc::new(Self {
            dir: dir.to_owned(),
            current: RwLock::new(Arc::new(opened.journal)),
            number: AtomicU64::new(opened.number),
            written: AtomicU64::new(opened.bytes),
            rotate_above,
            memory,
            clock,
        }))
    }

    /// Records on `log`, with nothing on a disk.
    #[cfg(test)]
    pub(crate) fn scripted(log: Arc<dyn Log>, memory: Memory, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            dir: PathBuf::new(),
            current: RwLock::new(log),
            number: AtomicU64::new(1),
            written: AtomicU64::new(0),
            rotate_above: u64::MAX,
            memory,
            clock,
        })
    }

    /// What they keep in mind.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Queues `record`; the future resolves when it is durable.
    pub fn append(self: &Arc<Self>, record: &Record) -> Durable {
        match record.to_bytes() {
            Some(bytes) => self.append_bytes(&bytes),
            None => Box::pin(std::future::ready(Err(NotDurable))),
        }
    }

    /// Queues a record that was serialized already.
    pub fn append_bytes(self: &Arc<Self>, bytes: &[u8]) -> Durable {
        // Queued under the lock: a segment is closed only when nobody is about to queue into it.
        let durable = self.current.read().unwrap_or_else(PoisonError::into_inner).append(bytes);
        self.count(bytes.len());
        durable
    }

    /// Queues `record` to be written soon; nobody waits.
    pub fn append_lazy(self: &Arc<Self>, record: &Record) -> Result<(), NotDurable> {
        let bytes = record.to_bytes().ok_or(NotDurable)?;
        self.append_lazy_bytes(&bytes)
    }

    /// Queues a record that was serialized already; nobody waits.
    pub fn append_lazy_bytes(self: &Arc<Self>, bytes: &[u8]) -> Result<(), NotDurable> {
        let queued = self.current.read().unwrap_or_else(PoisonError::into_inner).append_lazy(bytes);
        self.count(bytes.len());
        queued
    }

    /// Age of the oldest record that is not durable yet.
    pub fn unsynced_for(&self) -> Duration {
        self.current.read().unwrap_or_else(PoisonError::into_inner).unsynced_for()
    }

    /// Whether records can be written; if not, nothing is released.
    pub fn is_durable(&self) -> bool {
        !self.current.read().unwrap_or_else(PoisonError::into_inner).is_poisoned()
    }

    /// Writes what is queued and closes.
    pub fn close(&self) {
        self.current.read().unwrap_or_else(PoisonError::into_inner).close();
    }

    /// The life of one request, as far as records tell it. Reads files: not for a request's way.
    pub fn explain(&self, request: RequestId) -> Result<Explanation, RecordsError> {
        explain::explain(&self.dir, request)
    }

    /// Counts bytes and begins a new segment when it is time, on a thread of its own.
    fn count(self: &Arc<Self>, bytes: usize) {
        let before = self.written.fetch_add(bytes as u64, Ordering::Relaxed);
        let after = before + bytes as u64;
        if before <= self.rotate_above && after > self.rotate_above {
            let records = self.clone();
            let rotation = std::thread::Builder::new().name("sekisho-records".to_owned()).spawn(move || {
                if let Err(error) = records.rotate() {
                    tracing::error!(%error, "a new segment of the records could not be begun; the old one grows on");
                }
            });
            if let Err(error) = rotation {
                tracing::error!(%error, "no thread for a new segment of the records");
            }
        }
    }

    /// Begins the next segment, closes the one before, and writes down what is kept in mind of all before the new one.
    fn rotate(&self) -> Result<(), RecordsError> {
        let number = self.number.load(Ordering::Acquire) + 1;
        let journal = segments::begin(&self.dir, number)?;
        let old = {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, Arc::new(journal) as Arc<dyn Log>)
        };
        self.number.store(number, Ordering::Release);
        self.written.store(0, Ordering::Relaxed);
        old.close();
        if old.is_poisoned() {
            // What it held may be lost, so nothing may go on as if it were not.
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            current.close();
            *current = old;
            return Ok(());
        }
        snapshot::write(&self.dir, number - 1, &self.memory, self.clock.now())
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Records({})", self.dir.display())
    }
}

#[cfg(test)]
mod tests;
