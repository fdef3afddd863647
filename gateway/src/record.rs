//! The release records: what may have left, to whom by pseudonym, and what was kept in. Append-only and hash-chained.
//!
//! No personal data: people, sessions and contents stand here as keyed digests.

mod entry;
mod explain;
mod export;
mod find;
mod head;
mod retention;
mod segments;
mod snapshot;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use sekisho_issuance::id::RequestId;
use sekisho_worker::journal::{Disk, Files, JournalError};

use crate::clock::Clock;
use crate::durable_log::{Durable, Log, NotDurable};
use crate::state_dir::{CheckpointKey, StateDir};

pub use entry::{
    About, Changed, Closed, Dropped, Ended, Fate, Finished, Intent, Operated, Record, Recovered, Said, Sang, Started,
    Withheld, Word,
};
pub use explain::Explanation;
pub use export::{EXPORT_EVERY, HEAD_FILE};
pub use find::{Filter, export, find};
pub use head::SignedHead;
pub use retention::TIDY_EVERY;
pub use snapshot::Memory;
pub use verify::{Head, Verification, verify};

/// A new segment is begun beyond this size, where the configuration names no other.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// And at the latest after this, so that what is kept too long is in segments of its own.
const SEGMENT_LASTS: SignedDuration = SignedDuration::from_hours(24);

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
    /// They do not reach the head that was exported.
    #[error(
        "{dir}: the records end before frame {frames} of segment {segment}, which the exported head names: they were cut, or are older than it; restore them from the backup, or remove `head` from this directory once it is written down why"
    )]
    Cut {
        /// The segment.
        segment: u64,
        /// Its frames.
        frames: u64,
        /// Where.
        dir: PathBuf,
    },
    /// The directory.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// How records are written.
pub struct Options {
    /// The next segment is begun beyond this size.
    pub segment_bytes: u64,
    /// Signs heads; without one none is exported.
    pub key: Option<CheckpointKey>,
    /// Where segments are.
    pub disk: Arc<dyn Disk>,
}

impl Default for Exported {
    fn default() -> Self {
        Self { place: (0, 0), whole: Instant::now(), records: 0 }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: SEGMENT_BYTES, key: None, disk: Arc::new(Files) }
    }
}

/// What the journal's thread and the records share.
struct Turning {
    dir: PathBuf,
    memory: Memory,
    clock: Clock,
    /// The last segment that a snapshot speaks for.
    through: Mutex<u64>,
    /// When the segment in use was begun.
    began: Mutex<Timestamp>,
}

/// What was exported last.
struct Exported {
    /// Where the log was then.
    place: (u64, u64),
    /// When everything durable was last known to be exported.
    whole: Instant,
    /// Records that there were when a checkpoint was last written.
    records: u64,
}

/// The open records of this node.
pub struct Records {
    turning: Arc<Turning>,
    log: Arc<dyn Log>,
    /// Records queued since it was opened, checkpoints left out.
    queued: AtomicU64,
    key: Option<CheckpointKey>,
    exported: Mutex<Exported>,
}

impl Records {
    /// Opens or makes the records in `dir` and rebuilds `memory` from them.
    pub fn open(dir: &Path, memory: Memory, clock: Clock) -> Result<Arc<Self>, RecordsError> {
        Self::open_with(dir, memory, clock, Options::default())
    }

    /// The same, written as `options` say.
    pub fn open_with(dir: &Path, memory: Memory, clock: Clock, options: Options) -> Result<Arc<Self>, RecordsError> {
        let turning = Turning {
            dir: dir.to_owned(),
            memory: memory.clone(),
            clock: clock.clone(),
            through: Mutex::new(0),
            began: Mutex::new(clock.now()),
        };
        let turning = Arc::new(turning);
        let told = Arc::clone(&turning);
        let opened = segments::open(dir, &memory, clock.now(), |through| {
            *lock(&told.through) = through;
            let ended = Arc::new(move |number| told.ended(number));
            segments::Writing { disk: options.disk, above_bytes: options.segment_bytes, ended }
        })?;
        if let Some(began) = opened.began {
            *lock(&turning.began) = began;
        }
        let records = Self {
            turning,
            log: Arc::new(opened.journal),
            queued: AtomicU64::new(0),
            key: options.key,
            exported: Mutex::default(),
        };
        let records = Arc::new(records);
        records.recovered("records", Some(opened.number), opened.torn_bytes);
        Ok(records)
    }

    /// The records of `state`, signed with its key; says in them who writes from here on.
    pub fn of(state: &StateDir, memory: Memory, clock: Clock, segment_bytes: u64) -> Result<Arc<Self>, RecordsError> {
        let key = state.checkpoint_key().clone();
        let public = key.public().to_string();
        let options = Options { segment_bytes, key: Some(key), ..Options::default() };
        let records = Self::open_with(&state.path("records"), memory, clock.clone(), options)?;
        let (at, epoch, build) = (clock.now(), state.epoch().0, env!("CARGO_PKG_VERSION").to_owned());
        let _ = records.append_lazy(&Record::Started(Started { at, epoch, build, key: public }));
        Ok(records)
    }

    /// Says that an unfinished write was cut off the end of `file` at this start; nothing where there was none.
    pub fn recovered(&self, file: &str, segment: Option<u64>, torn_bytes: u64) {
        if torn_bytes > 0 {
            let at = self.turning.clock.now();
            let recovered = Recovered { at, file: file.to_owned(), segment, torn_bytes };
            // On a disk that takes nothing this start ends soon anyway.
            let _ = self.append_lazy(&Record::Recovered(recovered));
        }
    }

    /// Records on `log`, with nothing on a disk.
    #[cfg(test)]
    pub(crate) fn scripted(log: Arc<dyn Log>, memory: Memory, clock: Clock) -> Arc<Self> {
        let turning =
            Turning { dir: PathBuf::new(), memory, began: Mutex::new(clock.now()), clock, through: Mutex::new(0) };
        let (turning, queued) = (Arc::new(turning), AtomicU64::new(0));
        Arc::new(Self { turning, log, queued, key: None, exported: Mutex::default() })
    }

    /// What they keep in mind.
    pub fn memory(&self) -> &Memory {
        &self.turning.memory
    }

    /// Queues `record`; the future resolves when it is durable.
    pub fn append(&self, record: &Record) -> Durable {
        match record.to_bytes() {
            Some(bytes) => self.append_bytes(&bytes),
            None => Box::pin(std::future::ready(Err(NotDurable))),
        }
    }

    /// Queues a record that was serialized already.
    pub fn append_bytes(&self, bytes: &[u8]) -> Durable {
        self.queued.fetch_add(1, Ordering::Relaxed);
        self.log.append(bytes)
    }

    /// Queues `record` to be written soon; nobody waits.
    pub fn append_lazy(&self, record: &Record) -> Result<(), NotDurable> {
        let bytes = record.to_bytes().ok_or(NotDurable)?;
        self.append_lazy_bytes(&bytes)
    }

    /// Queues a record that was serialized already; nobody waits.
    pub fn append_lazy_bytes(&self, bytes: &[u8]) -> Result<(), NotDurable> {
        self.queued.fetch_add(1, Ordering::Relaxed);
        self.log.append_lazy(bytes)
    }

    /// Age of the oldest record that is not durable yet.
    pub fn unsynced_for(&self) -> Duration {
        self.log.unsynced_for()
    }

    /// Whether records can be written; if not, nothing is released.
    pub fn is_durable(&self) -> bool {
        !self.log.is_poisoned()
    }

    /// Writes what is queued, closes, and exports the head of it all.
    pub fn close(&self) {
        self.log.close();
        self.export_head(None);
    }

    /// The life of one request, as far as records tell it. Reads files: not for a request's way.
    pub fn explain(&self, request: RequestId) -> Result<Explanation, RecordsError> {
        explain::explain(&self.turning.dir, request)
    }

    /// Exports the head of what is durable, where there is news: signed, to the directory, to `also`, to the log, and as a checkpoint
    /// among the records themselves. To be called every [`EXPORT_EVERY`], away from requests.
    pub fn export_head(&self, also: Option<&Path>) {
        let Some(key) = &self.key else { return };
        // Counted before the place is taken: a record that comes in between has its checkpoint the next time.
        let records = self.queued.load(Ordering::Relaxed);
        let place = self.log.place();
        let mut exported = lock(&self.exported);
        if exported.place == (place.segment, place.frames) || place.frames == 0 {
            exported.whole = Instant::now();
            return;
        }
        let head = SignedHead::sign(place, self.turning.clock.now(), key);
        for path in std::iter::once(&*self.turning.dir.join(HEAD_FILE)).chain(also) {
            if let Err(error) = export::write(path, &head) {
                tracing::error!(path = %path.display(), %error, "the head of the records could not be exported");
                return;
            }
        }
        let SignedHead { segment, frames, head: value, signature, .. } = &head;
        tracing::info!(segment, frames, head = value, signature, "records head");
        (exported.place, exported.whole) = ((place.segment, place.frames), Instant::now());
        if records != exported.records {
            exported.records = records;
            let checkpoint = Record::Checkpoint(head).to_bytes();
            // A log that takes nothing more was said to be broken already.
            let _ = checkpoint.map(|bytes| self.log.append_lazy(&bytes));
        }
    }

    /// Since when there are records that no exported head covers; zero while every one is.
    pub fn unexported_for(&self) -> Duration {
        let place = self.log.place();
        let exported = lock(&self.exported);
        let covered = self.key.is_none() || place.frames == 0 || exported.place == (place.segment, place.frames);
        if covered { Duration::ZERO } else { exported.whole.elapsed() }
    }

    /// Begins the next segment where the one in use is a day old. To be called now and then.
    pub fn turn_when_old(&self) {
        let (began, now) = (*lock(&self.turning.began), self.turning.clock.now());
        if now.duration_since(began) >= SEGMENT_LASTS && self.log.place().frames > 0 {
            *lock(&self.turning.began) = now;
            self.log.turn();
        }
    }
}

impl Turning {
    /// On the journal's thread: what is kept in mind of all before the segment that was begun is written down on a thread of its own.
    fn ended(self: &Arc<Self>, number: u64) {
        *lock(&self.began) = self.clock.now();
        let turning = Arc::clone(self);
        let writing = std::thread::Builder::new().name("sekisho-records".to_owned()).spawn(move || {
            let mut through = lock(&turning.through);
            if *through >= number {
                return;
            }
            match snapshot::write(&turning.dir, number, &turning.memory, turning.clock.now()) {
                Ok(()) => *through = number,
                Err(error) => {
                    tracing::error!(%error, "no snapshot of the records; the next start reads more of them");
                }
            }
        });
        if let Err(error) = writing {
            tracing::error!(%error, "no thread for a snapshot of the records");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Records({})", self.turning.dir.display())
    }
}

#[cfg(test)]
mod tests;
