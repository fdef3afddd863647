//! Reads a journal from its start: proves the chain, tells a torn tail from damage, never writes.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use serde::Serialize;

use super::JournalError;
use super::frame::{BEFORE, FRAME_BYTES, FRAME_MAGIC, HEADER_BYTES, Head, link, read_header};

/// Where a whole journal ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) offset: u64,
    pub(super) frames: u64,
    pub(super) head: [u8; 32],
}

/// One frame, as it is read. An empty entry is the seal of a clean close.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Which, counted from 1; seals count.
    pub number: u64,
    /// The chain's head after it.
    pub head: &'a [u8; 32],
    /// What was written.
    pub entry: &'a [u8],
}

/// What a journal file holds, without saying what it says.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Report {
    /// Entries whose chain is whole.
    pub entries: u64,
    /// The same with the seals of clean closes.
    pub frames: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes of an unfinished write behind them.
    pub torn_bytes: u64,
    /// Whether it was closed cleanly.
    pub sealed: bool,
    /// The chain's head, hexadecimal.
    pub head: String,
    /// The head of the file before this one, as its header says; zeros where there was none.
    pub before: String,
}

/// Proves the chain of the journal at `path`, whatever its purpose.
pub fn verify(path: &Path) -> Result<Report, JournalError> {
    scan(path, None, &mut |_| {}).map(|(_, report)| report)
}

/// Proves the chain of the journal at `path` of `purpose`, showing every frame with the head after it.
pub fn walk(path: &Path, purpose: &str, mut visit: impl FnMut(Frame<'_>)) -> Result<Report, JournalError> {
    scan(path, Some(purpose), &mut visit).map(|(_, report)| report)
}

pub(super) fn scan(
    path: &Path,
    purpose: Option<&str>,
    visit: &mut dyn FnMut(Frame<'_>),
) -> Result<(End, Report), JournalError> {
    let mut file = BufReader::with_capacity(256 * 1024, File::open(path)?);
    let mut header = [0; HEADER_BYTES];
    let read = read_up_to(&mut file, &mut header)?;
    let unreadable = |offset, reason| JournalError::Unreadable { offset, reason };
    let mut chain = read_header(header.get(..read).unwrap_or_default(), purpose).map_err(|r| unreadable(0, r))?;
    let before = header.get(BEFORE).unwrap_or_default();
    let mut report = Report {
        entries: 0,
        frames: 0,
        bytes: 0,
        torn_bytes: 0,
        sealed: false,
        head: String::new(),
        before: hex(before),
    };
    let mut offset = HEADER_BYTES as u64;
    let mut entry = Vec::new();
    loop {
        let mut fixed = [0; FRAME_BYTES];
        let read = read_up_to(&mut file, &mut fixed)?;
        let mut bad = fixed.get(..read).unwrap_or_default().to_vec();
        let head = if read == FRAME_BYTES { Head::read(&fixed) } else { None };
        if let Some(head) = head {
            entry.resize(head.length, 0);
            let read = read_up_to(&mut file, &mut entry)?;
            entry.truncate(read);
            if read == head.length && head.covers(&entry) {
                if link(&chain, &entry) != head.chain {
                    return Err(unreadable(offset, "the chain is broken"));
                }
                chain = head.chain;
                offset += (FRAME_BYTES + head.length) as u64;
                report.sealed = head.length == 0;
                report.entries += u64::from(!report.sealed);
                report.frames += 1;
                visit(Frame { number: report.frames, head: &chain, entry: &entry });
                continue;
            }
            bad.extend_from_slice(&entry);
        }
        file.read_to_end(&mut bad)?;
        if damage_behind(&bad, offset) {
            return Err(unreadable(offset, "damaged before its end"));
        }
        // Room made ahead is zeros, and no part of an unfinished write.
        report.torn_bytes = bad.iter().rposition(|b| *b != 0).map_or(0, |last| last as u64 + 1);
        report.bytes = offset;
        report.head = hex(&chain);
        return Ok((End { offset, frames: report.frames, head: chain }, report));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Whether `rest`, which does not start with a whole frame, holds a later one that was written when `offset` was durable:
/// then what is missing was lost, not unfinished.
fn damage_behind(rest: &[u8], offset: u64) -> bool {
    rest.windows(FRAME_MAGIC.len()).enumerate().filter(|(_, w)| *w == FRAME_MAGIC).any(|(at, _)| {
        let Some((fixed, entry)) = rest.get(at..).and_then(|r| r.split_first_chunk::<FRAME_BYTES>()) else {
            return false;
        };
        let Some(head) = Head::read(fixed) else { return false };
        head.durable > offset && entry.get(..head.length).is_some_and(|e| head.covers(e))
    })
}

/// Fills `buffer` as far as the file goes.
fn read_up_to(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|r| !r.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
