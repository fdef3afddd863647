//! What must be kept in mind of the records, and the snapshot that spares a start the reading of all of them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::entry::{Fate, Record, Unique as UniqueEntry};
use super::{Intent, RecordsError};
use crate::unique::Unique;
use crate::watermark::{Watermark, Watermarks};

const SNAPSHOT_FILE: &str = "snapshot";
const FORMAT: u32 = 1;

/// What the gate remembers of what left.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// Contents and issue numbers.
    pub unique: Arc<Unique>,
    /// Acknowledged versions.
    pub watermarks: Arc<Watermarks>,
}

/// Intents that were read and whose result is not known yet.
#[derive(Default)]
pub(super) struct Reading {
    intents: Vec<(String, Timestamp, Option<UniqueEntry>)>,
    destroyed: HashSet<String>,
}

impl Reading {
    /// Takes one record in.
    pub(super) fn take(&mut self, record: Record, memory: &Memory) {
        match record {
            Record::ReleaseIntent(Intent { about, unique, watermarks, .. }) => {
                // An amend happened, whether or not its answer left.
                watermarks.iter().for_each(|mark| memory.watermarks.set(mark));
                self.intents.push((about.request, about.at, unique));
            }
            Record::ReleaseResult(finished) => {
                if let Fate::Destroyed { .. } = finished.fate {
                    self.destroyed.insert(finished.request);
                }
            }
            Record::Changed(changed) => changed.watermarks.iter().for_each(|mark| memory.watermarks.set(mark)),
            _ => {}
        }
    }

    /// Remembers every intent whose bytes may have left.
    pub(super) fn finish(self, memory: &Memory, now: Timestamp) {
        for (request, at, unique) in self.intents {
            if self.destroyed.contains(&request) {
                continue;
            }
            if let Some(digests) = unique.as_ref().and_then(UniqueEntry::digests) {
                memory.unique.restore(digests, at, now);
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    format: u32,
    /// The last segment it speaks for.
    through: u64,
    numbers: Vec<String>,
    contents: Vec<(Timestamp, UniqueEntry)>,
    watermarks: Vec<Watermark>,
}

/// Restores the snapshot of `dir`; the last segment it speaks for, 0 where there is none that can be trusted.
pub(super) fn read(dir: &Path, memory: &Memory, now: Timestamp) -> u64 {
    let Ok(text) = fs::read_to_string(dir.join(SNAPSHOT_FILE)) else { return 0 };
    let Some((body, digest)) = text.trim_end().rsplit_once('\n') else { return 0 };
    if blake3::hash(body.as_bytes()).to_hex().as_str() != digest {
        tracing::warn!("the snapshot of the records is damaged; all segments are read instead");
        return 0;
    }
    let Ok(snapshot) = serde_json::from_str::<Snapshot>(body) else { return 0 };
    if snapshot.format != FORMAT {
        return 0;
    }
    for number in snapshot.numbers.iter().filter_map(|n| u128::from_str_radix(n, 16).ok()) {
        memory.unique.restore_number(number);
    }
    for (at, unique) in &snapshot.contents {
        if let Some(digests) = unique.digests() {
            memory.unique.restore(digests, *at, now);
        }
    }
    snapshot.watermarks.iter().for_each(|mark| memory.watermarks.set(mark));
    snapshot.through
}

/// Writes what is in mind now. It may hold more than segments up to `through` say, never less.
pub(super) fn write(dir: &Path, through: u64, memory: &Memory, now: Timestamp) -> Result<(), RecordsError> {
    let path = dir.join(SNAPSHOT_FILE);
    let snapshot = Snapshot {
        format: FORMAT,
        through,
        numbers: memory.unique.numbers().into_iter().map(|n| format!("{n:032x}")).collect(),
        contents: memory.unique.contents(now).into_iter().map(|(at, digests)| (at, (&digests).into())).collect(),
        watermarks: memory.watermarks.all(),
    };
    let io = |error| RecordsError::Io { path: path.clone(), error };
    let body = serde_json::to_string(&snapshot).map_err(|error| io(error.into()))?;
    let text = format!("{body}\n{}\n", blake3::hash(body.as_bytes()).to_hex());
    crate::state_dir::replace_durably(&path, text.as_bytes()).map_err(io)
}
