//! The journal's thread: writes what is queued in one piece, syncs once, wakes those who wait. Never retries.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::disk::{Disk, Storage};
use super::frame;
use super::read::End;
use super::{Growth, Place, Queue, Shared, State};
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
pub(super) fn create(
    disk: &dyn Disk,
    path: &Path,
    purpose: &str,
    before: &[u8; 32],
    entries: &[Vec<u8>],
) -> io::Result<(Box<dyn Storage>, End)> {
    let (mut bytes, mut chain) = frame::header(purpose, before);
    for entry in entries {
        chain = frame::write(&mut bytes, &chain, 0, entry);
    }
    let storage = disk.create(path, &bytes)?;
    Ok((storage, End { offset: bytes.len() as u64, frames: entries.len() as u64, head: chain }))
}

pub(super) struct Writer {
    disk: Arc<dyn Disk>,
    file: Box<dyn Storage>,
    path: PathBuf,
    purpose: String,
    end: End,
    /// How far the file is known to be durable.
    durable: u64,
    /// How far room was made.
    room: u64,
    growth: Growth,
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
        (disk, file): (Arc<dyn Disk>, Box<dyn Storage>),
        path: PathBuf,
        purpose: String,
        end: End,
        growth: Growth,
        shared: Arc<Shared>,
    ) -> Self {
        let (durable, room) = (end.offset, end.offset);
        Self {
            disk,
            file,
            path,
            purpose,
            end,
            durable,
            room,
            growth,
            shared,
            buffer: Vec::new(),
            rewritten: 0,
            synced: None,
            finished: false,
        }
    }

    pub(super) fn run(mut self) {
        loop {
            let Next { queue, closing, turn } = self.next();
            let entries = queue.lengths.len() as u64;
            let mut result = if entries == 0 { Ok(()) } else { self.commit(&queue) };
            if result.is_ok() && closing {
                result = self.seal();
            } else if result.is_ok() && (turn || self.is_large()) {
                result = self.rotate();
            }
            let stop = closing || result.is_err();
            let mut state = self.shared.lock();
            state.in_write_since = None;
            if result.is_ok() {
                state.durable += entries;
                state.place = self.place();
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
    fn next(&self) -> Next {
        let mut state = self.shared.lock();
        loop {
            let since = |at: Option<Instant>| at.map(|at| at.elapsed());
            let wanted =
                state.queue.urgent > 0 || state.turn || since(state.queue.since).is_some_and(|age| age >= LAZY);
            let wait = if state.closing { None } else { wait(wanted, since(self.synced)) };
            let Some(wait) = wait else {
                state.thread_waits = false;
                state.in_write_since = state.queue.since;
                let turn = std::mem::take(&mut state.turn);
                return Next { queue: std::mem::take(&mut state.queue), closing: state.closing, turn };
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
        self.file.write_at(&self.buffer, self.end.offset)?;
        self.file.sync()?;
        self.end.offset += self.buffer.len() as u64;
        self.end.frames += queue.lengths.len() as u64;
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
            self.file.write_at(piece, at)?;
        }
        self.room = room;
        Ok(())
    }

    /// After a clean close even the last batch is covered by a frame that says it was durable.
    fn seal(&mut self) -> io::Result<()> {
        self.buffer.clear();
        self.end.head = frame::write(&mut self.buffer, &self.end.head, self.durable, &[]);
        self.file.write_at(&self.buffer, self.end.offset)?;
        self.end.offset += self.buffer.len() as u64;
        self.end.frames += 1;
        self.file.finish(self.end.offset)
    }

    fn is_large(&self) -> bool {
        match &self.growth {
            Growth::Grows => false,
            Growth::Rewritten(rotation) => {
                self.end.offset > rotation.above_bytes && self.end.offset > self.rewritten.saturating_mul(2)
            }
            Growth::Segments(segments) => self.end.offset > segments.above_bytes,
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        match &self.growth {
            Growth::Grows => Ok(()),
            Growth::Rewritten(rotation) => {
                let carried = (rotation.carry)();
                let before = self.end.head;
                let made = create(&*self.disk, &self.path, &self.purpose, &before, &carried)?;
                self.rewritten = made.1.offset;
                self.go_on_with(made);
                Ok(())
            }
            Growth::Segments(_) => self.next_segment(),
        }
    }

    /// Seals this segment and begins the next one, whose header names its head. Nobody else waits for it but who is queued.
    fn next_segment(&mut self) -> io::Result<()> {
        self.seal()?;
        let Growth::Segments(segments) = &mut self.growth else { return Ok(()) };
        let (ended, next) = (segments.number, segments.number + 1);
        let path = (segments.path)(next);
        if path.try_exists()? {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the next segment is there already"));
        }
        segments.number = next;
        let say = Arc::clone(&segments.ended);
        let made = create(&*self.disk, &path, &self.purpose, &self.end.head, &[])?;
        self.path = path;
        self.go_on_with(made);
        say(ended);
        Ok(())
    }

    fn go_on_with(&mut self, (file, end): (Box<dyn Storage>, End)) {
        (self.durable, self.room) = (end.offset, end.offset);
        (self.file, self.end) = (file, end);
    }

    fn place(&self) -> Place {
        let segment = if let Growth::Segments(segments) = &self.growth { segments.number } else { 0 };
        Place { segment, frames: self.end.frames, head: self.end.head }
    }
}

/// What there is to do.
struct Next {
    queue: Queue,
    closing: bool,
    /// Somebody asked for the next segment.
    turn: bool,
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
