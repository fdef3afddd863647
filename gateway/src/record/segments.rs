//! Segments on disk: `00000001.records`, `00000002.records`, ... Each is a journal; the last one is appended to.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sekisho_worker::journal::{Journal, JournalError};

use super::snapshot::{self, Reading};
use super::{Memory, Record, RecordsError};

const PURPOSE: &str = "sekisho-records";

/// The segment to append to.
pub(super) struct Opened {
    pub(super) journal: Journal,
    pub(super) number: u64,
    pub(super) bytes: u64,
}

/// Reads what the snapshot does not speak for, and opens the last segment.
pub(super) fn open(dir: &Path, memory: &Memory, now: Timestamp) -> Result<Opened, RecordsError> {
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
    let mut reading = Reading::default();
    let mut opened = None;
    for number in unread.into_iter().chain((numbers.last().is_none_or(|n| *n < last)).then_some(last)) {
        let (journal, bytes) = open_one(dir, number, |record| reading.take(record, memory))?;
        if number == last {
            opened = Some(Opened { journal, number, bytes });
        } else {
            journal.close();
        }
    }
    reading.finish(memory, now);
    opened.ok_or_else(|| RecordsError::Missing(path(dir, last)))
}

/// Makes the segment `number`.
pub(super) fn begin(dir: &Path, number: u64) -> Result<Journal, RecordsError> {
    open_one(dir, number, |_| {}).map(|(journal, _)| journal)
}

fn open_one(dir: &Path, number: u64, mut visit: impl FnMut(Record)) -> Result<(Journal, u64), RecordsError> {
    let path = path(dir, number);
    let (mut bytes, mut strange) = (0, false);
    let opened = Journal::open_with(&path, PURPOSE, None, |entry| {
        bytes += entry.len() as u64;
        match serde_json::from_slice(entry) {
            Ok(record) => visit(record),
            Err(_) => strange = true,
        }
    });
    let (journal, opened) = opened.map_err(|error| RecordsError::Segment { path: path.clone(), error })?;
    if strange {
        let error = JournalError::Unreadable { offset: 0, reason: "a record of another build" };
        return Err(RecordsError::Segment { path, error });
    }
    if opened.torn_bytes > 0 {
        tracing::warn!(
            segment = number,
            torn_bytes = opened.torn_bytes,
            "an unfinished write at the end of the records was cut off"
        );
    }
    Ok((journal, bytes))
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
pub(super) fn read(dir: &Path, number: u64, visit: impl FnMut(&[u8])) -> Result<(), RecordsError> {
    let path = path(dir, number);
    sekisho_worker::journal::read(&path, PURPOSE, visit)
        .map(|_| ())
        .map_err(|error| RecordsError::Segment { path, error })
}
