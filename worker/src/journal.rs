//! An append-only, hash-chained file with group commit: intents here, release records and latches in the gateway.
//!
//! One thread writes whatever is queued and calls `fdatasync` once for all of it. A failure poisons the journal for good:
//! a failed sync is never tried again, since the kernel may have dropped what it could not write.

mod append;
mod disk;
mod frame;
mod read;
mod write;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

pub use append::Append;
pub use disk::{Disk, Files, Storage};
pub use read::{Frame, Report, verify, walk};

/// The longest entry.
pub const MAX_ENTRY_BYTES: usize = 16 * 1024 * 1024;

/// Which entry of this journal, counted since it was opened. Order is the order in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// Why a journal cannot be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Damaged before its end: what it says cannot be trusted.
    #[error("unreadable at byte {offset}: {reason}")]
    Unreadable {
        /// Where.
        offset: u64,
        /// What was found.
        reason: &'static str,
    },
    /// A write failed earlier; nothing is accepted any more.
    #[error("poisoned by an earlier failure")]
    Poisoned,
    /// It was closed.
    #[error("closed")]
    Closed,
    /// The entry is empty or longer than [`MAX_ENTRY_BYTES`].
    #[error("entry of {0} bytes")]
    EntrySize(usize),
    /// The system refused.
    #[error("{0}")]
    Io(io::ErrorKind),
}

impl From<io::Error> for JournalError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind())
    }
}

/// What opening found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Opened {
    /// Entries read.
    pub entries: u64,
    /// Bytes of an unfinished write cut off the end; they were never reported durable.
    pub torn_bytes: u64,
    /// Whether the file was made now.
    pub created: bool,
}

/// What a rotated journal starts with; called on the journal's thread.
pub type Carry = Arc<dyn Fn() -> Vec<Vec<u8>> + Send + Sync>;

/// When a journal is rewritten while it runs.
#[derive(Clone)]
pub struct Rotation {
    /// Beyond this size.
    pub above_bytes: u64,
    /// What must not be lost. An entry queued while this runs is written after what it returns.
    pub carry: Carry,
}

/// Called on the journal's thread with the number of a segment that was sealed: nothing is appended to it any more.
pub type Ended = Arc<dyn Fn(u64) + Send + Sync>;

/// A journal in many files, each sealed before the next one begins, whose header names its head.
#[derive(Clone)]
pub struct Segments {
    /// The one to append to.
    pub number: u64,
    /// The next one is begun beyond this size.
    pub above_bytes: u64,
    /// Where a segment is.
    pub path: Arc<dyn Fn(u64) -> PathBuf + Send + Sync>,
    /// Is told of every sealed segment.
    pub ended: Ended,
}

/// What becomes of a file that grows.
#[derive(Clone)]
enum Growth {
    Grows,
    Rewritten(Rotation),
    Segments(Segments),
}

/// How far a journal is durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// In which segment; 0 for a journal in one file.
    pub segment: u64,
    /// Frames of that file, seals of clean closes included.
    pub frames: u64,
    /// The chain's head after them.
    pub head: [u8; 32],
}

/// Reads the journal at `path` of `purpose` without opening it for writing; returns the chain's head.
pub(crate) fn scan_for(
    path: &Path,
    purpose: &str,
    mut visit: impl FnMut(&[u8]),
) -> Result<([u8; 32], Report), JournalError> {
    read::scan(path, Some(purpose), &mut entries_only(&mut visit)).map(|(end, report)| (end.head, report))
}

fn entries_only(visit: &mut dyn FnMut(&[u8])) -> impl FnMut(Frame<'_>) {
    move |frame| {
        if !frame.entry.is_empty() {
            visit(frame.entry);
        }
    }
}

/// Shows each entry of the journal at `path` of `purpose`, in order, while another process or thread may append to it.
pub fn read(path: &Path, purpose: &str, visit: impl FnMut(&[u8])) -> Result<Report, JournalError> {
    scan_for(path, purpose, visit).map(|(_, report)| report)
}

/// Puts a journal that holds `entries` in the place of the one at `path`, whose head was `before`: whole or not at all.
pub(crate) fn replace(path: &Path, purpose: &str, before: &[u8; 32], entries: &[Vec<u8>]) -> Result<(), JournalError> {
    write::create(&Files, path, purpose, before, entries)?;
    Ok(())
}

#[derive(Default)]
pub(crate) struct Queue {
    /// Entries, one behind the other.
    pub(crate) arena: Vec<u8>,
    pub(crate) lengths: Vec<u32>,
    /// How many of them somebody waits for.
    pub(crate) urgent: usize,
    /// When the first of them came.
    pub(crate) since: Option<Instant>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) queue: Queue,
    /// Entries accepted and entries known durable.
    pub(crate) accepted: u64,
    pub(crate) durable: u64,
    pub(crate) place: Place,
    pub(crate) wakers: Vec<(u64, Waker)>,
    pub(crate) in_write_since: Option<Instant>,
    pub(crate) poisoned: bool,
    pub(crate) closing: bool,
    /// The next segment is to be begun whatever the size of this one.
    pub(crate) turn: bool,
    pub(crate) thread_waits: bool,
}

#[derive(Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) work: Condvar,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Handle {
    shared: Arc<Shared>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    path: PathBuf,
}

/// A journal open for appending. Clones share it; the last one to go closes it.
#[derive(Clone)]
pub struct Journal(Arc<Handle>);

impl Journal {
    /// Opens or makes `path`, collecting what it holds. `purpose` is sealed into the file: a journal cannot be taken for another.
    pub fn open(path: &Path, purpose: &str) -> Result<(Self, Vec<Vec<u8>>, Opened), JournalError> {
        let mut entries = Vec::new();
        let (journal, opened) = Self::open_with(path, purpose, None, |entry| entries.push(entry.to_vec()))?;
        Ok((journal, entries, opened))
    }

    /// Opens or makes `path`, showing each entry to `visit` once, in order. A torn tail is cut off and reported.
    pub fn open_with(
        path: &Path,
        purpose: &str,
        rotation: Option<Rotation>,
        mut visit: impl FnMut(&[u8]),
    ) -> Result<(Self, Opened), JournalError> {
        let growth = rotation.map_or(Growth::Grows, Growth::Rewritten);
        Self::start(Arc::new(Files), path, purpose, growth, &[0; 32], &mut visit)
    }

    /// Opens or makes the last segment of `segments` on `disk`; one that is made names `before`, the head of the one before it.
    pub fn open_segments(
        disk: Arc<dyn Disk>,
        purpose: &str,
        segments: Segments,
        before: &[u8; 32],
        mut visit: impl FnMut(&[u8]),
    ) -> Result<(Self, Opened), JournalError> {
        let path = (segments.path)(segments.number);
        Self::start(disk, &path, purpose, Growth::Segments(segments), before, &mut visit)
    }

    fn start(
        disk: Arc<dyn Disk>,
        path: &Path,
        purpose: &str,
        growth: Growth,
        before: &[u8; 32],
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<(Self, Opened), JournalError> {
        let created = !path.try_exists()?;
        if created {
            write::create(&*disk, path, purpose, before, &[])?;
        }
        let (end, report) = read::scan(path, Some(purpose), &mut entries_only(visit))?;
        let mut file = disk.open(path)?;
        file.finish(end.offset)?;
        let shared = Arc::new(Shared::default());
        let segment = if let Growth::Segments(segments) = &growth { segments.number } else { 0 };
        shared.lock().place = Place { segment, frames: end.frames, head: end.head };
        let storage = (disk, file);
        let writer = write::Writer::new(storage, path.to_owned(), purpose.to_owned(), end, growth, Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("sekisho-journal".to_owned()).spawn(move || writer.run())?;
        let handle = Handle { shared, thread: Mutex::new(Some(thread)), path: path.to_owned() };
        let opened = Opened { entries: report.entries, torn_bytes: report.torn_bytes, created };
        Ok((Self(Arc::new(handle)), opened))
    }

    /// Queues `entry` now; the future resolves when it is durable. Dropping the future takes nothing back.
    pub fn append(&self, entry: &[u8]) -> Append {
        let accepted = self.accept(entry, true);
        Append::new(Arc::clone(&self.0.shared), accepted)
    }

    /// Queues `entry` to be written with the next batch, at the latest within a second; nobody learns when.
    pub fn append_lazy(&self, entry: &[u8]) -> Result<Position, JournalError> {
        self.accept(entry, false)
    }

    fn accept(&self, entry: &[u8], urgent: bool) -> Result<Position, JournalError> {
        if entry.is_empty() || entry.len() > MAX_ENTRY_BYTES {
            return Err(JournalError::EntrySize(entry.len()));
        }
        let mut state = self.0.shared.lock();
        if state.closing {
            return Err(JournalError::Closed);
        }
        if state.poisoned {
            return Err(JournalError::Poisoned);
        }
        state.queue.arena.extend_from_slice(entry);
        state.queue.lengths.push(entry.len() as u32);
        state.queue.urgent += usize::from(urgent);
        state.queue.since.get_or_insert_with(Instant::now);
        state.accepted += 1;
        let position = Position(state.accepted);
        let wake = urgent && std::mem::take(&mut state.thread_waits);
        drop(state);
        if wake {
            self.0.shared.work.notify_one();
        }
        Ok(position)
    }

    /// Whether a write failed, so that nothing is accepted any more.
    pub fn is_poisoned(&self) -> bool {
        self.0.shared.lock().poisoned
    }

    /// The chain's head over everything durable; to be exported, so that a cut file can be told.
    pub fn head(&self) -> [u8; 32] {
        self.place().head
    }

    /// The same, with where that is.
    pub fn place(&self) -> Place {
        self.0.shared.lock().place
    }

    /// Begins the next segment soon, whatever the size of this one.
    pub fn turn(&self) {
        self.0.shared.lock().turn = true;
        self.0.shared.work.notify_one();
    }

    /// Age of the oldest entry that is not durable yet.
    pub fn unsynced_for(&self) -> Duration {
        let state = self.0.shared.lock();
        state.in_write_since.or(state.queue.since).map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Where the file was when it was opened.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Writes what is queued, seals the file and ends the thread; blocks for one sync. Later appends fail.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Handle {
    fn close(&self) {
        self.shared.lock().closing = true;
        self.shared.work.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            self.shared.lock().poisoned = true;
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
