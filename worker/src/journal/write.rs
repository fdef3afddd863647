//! The journal's thread: writes what is queued in one piece, syncs once, wakes those who wait. Never retries.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::frame;
use super::read::End;
use super::{Queue, Rotation, Shared, State};
use crate::metric;

/// Room is made ahead with zeros, so that a sync need not change the file's length: as much as there is, within these bounds.
const ROOM_BYTES: std::ops::RangeInclusive<u64> = 32 * 1024..=1024 * 1024;
/// What room is made of, so that no buffer of that size is made and cleared for it.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
/// Two syncs never begin closer together than this. An entry that comes alone is synced at once; under load those that come
/// within it share one sync, which costs more CPU than all else about them and counts against what a disk can do.
const SYNC_SPACING: Duration = Duration::from_millis(4);
/// Entries nobody waits for are written at the latest after this.
const LAZY: Duration = Duration::from_millis(500);

/// Makes a journal whole or not at all: written beside, synced, renamed.
pub(super) fn create(path: &Path, purpose: &str, before: &[u8; 32], entries: &[Vec<u8>]) -> io::Result<(File, End)> {
    let beside = path.with_extension("new");
    let (mut bytes, mut chain) = frame::header(purpose, before);
    for entry in entries {
        chain = frame::write(&mut bytes, &chain, 0, entry);
    }
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open(&beside)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()?;
    Ok((file, End { offset: bytes.len() as u64, head: chain }))
}

pub(super) struct Writer {
    file: File,
    path: PathBuf,
    purpose: String,
    end: End,
    /// How far the file is known to be durable.
    durable: u64,
    /// How far room was made.
    room: u64,
    rotation: Option<Rotation>,
    shared: Arc<Shared>,
    buffer: Vec<u8>,
    /// What the file held when it was last rewritten: rewriting again pays only when it has doubled.
    rewritten: u64,
    /// When the last sync began.
    synced: Option<Instant>,
    finished: bool,
}

impl Writer {
    pub(super) fn new(
        file: File,
        path: PathBuf,
        purpose: String,
        end: End,
        rotation: Option<Rotation>,
        shared: Arc<Shared>,
    ) -> Self {
        let (durable, room) = (end.offset, end.offset);
        Self {
            file,
            path,
            purpose,
            end,
            durable,
            room,
            rotation,
            shared,
            buffer: Vec::new(),
            rewritten: 0,
            synced: None,
            finished: false,
        }
    }

    pub(super) fn run(mut self) {
        loop {
            let (queue, closing) = self.next();
            let entries = queue.lengths.len() as u64;
            let mut result = if entries == 0 { Ok(()) } else { self.commit(&queue) };
            if result.is_ok() && closing {
                result = self.seal();
            } else if result.is_ok() && self.is_large() {
                result = self.rotate();
            }
            let stop = closing || result.is_err();
            let mut state = self.shared.lock();
            state.in_write_since = None;
            if result.is_ok() {
                state.durable += entries;
                state.head = self.end.head;
            } else {
                state.poisoned = true;
                metrics::counter!(metric::JOURNAL_POISONED).increment(1);
            }
            let woken = due(&mut state);
            drop(state);
            if let Err(error) = &result {
                tracing::error!(path = %self.path.display(), %error, "the journal failed and takes nothing more");
            }
            woken.into_iter().for_each(std::task::Waker::wake);
            if stop {
                self.finished = true;
                return;
            }
        }
    }

    /// Waits for work: somebody waits for an entry, or lazy ones are old enough, or the journal closes.
    fn next(&self) -> (Queue, bool) {
        let mut state = self.shared.lock();
        loop {
            let since = |at: Option<Instant>| at.map(|at| at.elapsed());
            let wanted = state.queue.urgent > 0 || since(state.queue.since).is_some_and(|age| age >= LAZY);
            let wait = if state.closing { None } else { wait(wanted, since(self.synced)) };
            let Some(wait) = wait else {
                state.thread_waits = false;
                state.in_write_since = state.queue.since;
                return (std::mem::take(&mut state.queue), state.closing);
            };
            // Whoever comes while a sync is put off need not wake this thread for it.
            state.thread_waits = !wanted;
            state = self.shared.work.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn commit(&mut self, queue: &Queue) -> io::Result<()> {
        self.synced = Some(Instant::now());
        self.buffer.clear();
        let mut rest = queue.arena.as_slice();
        for length in &queue.lengths {
            let (entry, tail) = rest.split_at_checked(*length as usize).unwrap_or((rest, &[]));
            rest = tail;
            self.end.head = frame::write(&mut self.buffer, &self.end.head, self.durable, entry);
        }
        self.make_room()?;
        self.file.write_all_at(&self.buffer, self.end.offset)?;
        self.file.sync_data()?;
        self.end.offset += self.buffer.len() as u64;
        self.durable = self.end.offset;
        Ok(())
    }

    fn make_room(&mut self) -> io::Result<()> {
        let needed = self.end.offset + self.buffer.len() as u64;
        if needed <= self.room {
            return Ok(());
        }
        let room = needed + needed.clamp(*ROOM_BYTES.start(), *ROOM_BYTES.end());
        for at in (needed..room).step_by(ZEROS.len()) {
            let piece = ZEROS.get(..(room - at) as usize).unwrap_or(&ZEROS);
            self.file.write_all_at(piece, at)?;
        }
        self.room = room;
        Ok(())
    }

    /// After a clean close even the last batch is covered by a frame that says it was durable.
    fn seal(&mut self) -> io::Result<()> {
        self.buffer.clear();
        self.end.head = frame::write(&mut self.buffer, &self.end.head, self.durable, &[]);
        self.file.write_all_at(&self.buffer, self.end.offset)?;
        self.end.offset += self.buffer.len() as u64;
        self.file.set_len(self.end.offset)?;
        self.file.sync_all()
    }

    fn is_large(&self) -> bool {
        let large = self.rotation.as_ref().is_some_and(|r| self.end.offset > r.above_bytes);
        large && self.end.offset > self.rewritten.saturating_mul(2)
    }

    fn rotate(&mut self) -> io::Result<()> {
        let Some(rotation) = &self.rotation else { return Ok(()) };
        let carried = (rotation.carry)();
        let (file, end) = create(&self.path, &self.purpose, &self.end.head, &carried)?;
        (self.durable, self.room, self.rewritten) = (end.offset, end.offset, end.offset);
        (self.file, self.end) = (file, end);
        Ok(())
    }
}

impl Drop for Writer {
    /// A thread that ends without having said so leaves nobody waiting.
    fn drop(&mut self) {
        if !self.finished {
            let woken = {
                let mut state = self.shared.lock();
                state.poisoned = true;
                due(&mut state)
            };
            woken.into_iter().for_each(std::task::Waker::wake);
        }
    }
}

/// How long to wait before the next sync; `None` = it is due.
fn wait(wanted: bool, since_last_sync: Option<Duration>) -> Option<Duration> {
    if !wanted {
        return Some(LAZY);
    }
    let rest = SYNC_SPACING.saturating_sub(since_last_sync.unwrap_or(SYNC_SPACING));
    (!rest.is_zero()).then_some(rest)
}

/// Takes the wakers of those whose entry is durable, or never will be.
fn due(state: &mut State) -> Vec<std::task::Waker> {
    let durable = if state.poisoned { u64::MAX } else { state.durable };
    let (woken, kept) = std::mem::take(&mut state.wakers).into_iter().partition(|(number, _)| *number <= durable);
    state.wakers = kept;
    let woken: Vec<(u64, std::task::Waker)> = woken;
    woken.into_iter().map(|(_, waker)| waker).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_alone_is_synced_at_once_and_those_close_behind_it_share_the_next_sync() {
        assert_eq!(wait(true, None), None);
        assert_eq!(wait(true, Some(SYNC_SPACING)), None);
        assert_eq!(wait(true, Some(Duration::ZERO)), Some(SYNC_SPACING));
        assert_eq!(wait(true, Some(SYNC_SPACING / 4)), Some(SYNC_SPACING * 3 / 4));
        assert_eq!(wait(false, None), Some(LAZY));
    }
}
