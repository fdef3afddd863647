//! Segments on disk: `00000001.records`, `00000002.records`, ... Each is a journal; the last one is appended to. The header of each
//! names the head of the one before it.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use sekisho_worker::journal::{self, Disk, Ended, Frame, Journal, JournalError, Report, Segments};

use super::export;
use super::snapshot::{self, Reading};
use super::{Memory, Record, RecordsError};

const PURPOSE: &str = "sekisho-records";
/// What the first segment's header names, and that of every segment of a build that did not chain them.
pub(super) const NOTHING_BEFORE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The segment to append to.
pub(super) struct Opened {
    pub(super) journal: Journal,
    pub(super) number: u64,
    pub(super) torn_bytes: u64,
    /// When its first record was written.
    pub(super) began: Option<Timestamp>,
}

/// How segments are written.
pub(super) struct Writing {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) above_bytes: u64,
    pub(super) ended: Ended,
}

/// Reads what the snapshot does not speak for, and opens the last segment.
pub(super) fn open(
    dir: &Path,
    memory: &Memory,
    now: Timestamp,
    writing: impl FnOnce(u64) -> Writing,
) -> Result<Opened, RecordsError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(RecordsError::Io { path: dir.to_owned(), error });
        }
        _ => {}
    }
    let through = snapshot::read(dir, memory, now);
    let numbers = list(dir)?;
    let last = numbers.last().copied().unwrap_or(1).max(through + 1);
    let unread: Vec<u64> = numbers.iter().copied().filter(|n| *n > through).collect();
    // Every segment after the snapshot must be there, in one row up to the last.
    if unread.iter().copied().ne(through + 1..through + 1 + unread.len() as u64) {
        return Err(RecordsError::Missing(path(dir, unread.first().copied().unwrap_or(last))));
    }
    let exported = export::read(dir);
    let (mut reading, mut began, mut before) = (Reading::default(), None, None);
    let mut reached = exported.is_none();
    for number in unread {
        began = None;
        let report = read_one(dir, number, |frame, record| {
            reached |= exported.as_ref().is_some_and(|e| e.is_of(number, &frame));
            if let Some(record) = record {
                began.get_or_insert(record.at());
                reading.take(record, memory);
            }
        })?;
        if report.before != NOTHING_BEFORE && before.as_ref().is_some_and(|before| *before != report.before) {
            return Err(broken(dir, number, "does not continue the segment before it"));
        }
        before = Some(report.head);
    }
    if let Some(exported) = exported.filter(|e| !reached && e.segment > through) {
        return Err(RecordsError::Cut { segment: exported.segment, frames: exported.frames, dir: dir.to_owned() });
    }
    reading.finish(memory, now);
    let before = match (numbers.last(), before) {
        // A new one after all that the snapshot speaks for.
        (Some(previous), None) if *previous < last => head_of(dir, *previous)?,
        _ => [0; 32],
    };
    let Writing { disk, above_bytes, ended } = writing(through);
    let root = dir.to_owned();
    let at = Arc::new(move |number| path(&root, number));
    let segments = Segments { number: last, above_bytes, path: at, ended };
    let opened = Journal::open_segments(disk, PURPOSE, segments, &before, |_| {});
    let (journal, opened) = opened.map_err(|error| RecordsError::Segment { path: path(dir, last), error })?;
    if opened.torn_bytes > 0 {
        let torn_bytes = opened.torn_bytes;
        tracing::warn!(segment = last, torn_bytes, "an unfinished write at the end of the records was cut off");
    }
    Ok(Opened { journal, number: last, torn_bytes: opened.torn_bytes, began })
}

fn read_one(dir: &Path, number: u64, mut visit: impl FnMut(Frame<'_>, Option<Record>)) -> Result<Report, RecordsError> {
    let mut strange = false;
    let report = walk(dir, number, |frame| {
        let read = if frame.entry.is_empty() { Ok(None) } else { serde_json::from_slice(frame.entry).map(Some) };
        match read {
            Ok(record) => visit(frame, record),
            Err(_) => strange = true,
        }
    })?;
    if strange { Err(broken(dir, number, "a record of another build")) } else { Ok(report) }
}

fn broken(dir: &Path, number: u64, reason: &'static str) -> RecordsError {
    RecordsError::Segment { path: path(dir, number), error: JournalError::Unreadable { offset: 0, reason } }
}

/// The chain's head at the end of segment `number`.
fn head_of(dir: &Path, number: u64) -> Result<[u8; 32], RecordsError> {
    let mut head = [0; 32];
    walk(dir, number, |frame| head = *frame.head)?;
    Ok(head)
}

/// The numbers of all segments, in order.
pub(super) fn list(dir: &Path) -> Result<Vec<u64>, RecordsError> {
    let io = |error| RecordsError::Io { path: dir.to_owned(), error };
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let number = name.to_str().and_then(|n| n.strip_suffix(".records")?.parse::<u64>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Where segment `number` is.
pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}.records"))
}

/// Shows every entry of segment `number`, without opening it for writing.
pub(super) fn read(dir: &Path, number: u64, mut visit: impl FnMut(&[u8])) -> Result<Report, RecordsError> {
    walk(dir, number, |frame| {
        if !frame.entry.is_empty() {
            visit(frame.entry);
        }
    })
}

/// Shows every frame of segment `number`, seals too.
pub(super) fn walk(dir: &Path, number: u64, visit: impl FnMut(Frame<'_>)) -> Result<Report, RecordsError> {
    let path = path(dir, number);
    journal::walk(&path, PURPOSE, visit).map_err(|error| RecordsError::Segment { path, error })
}
