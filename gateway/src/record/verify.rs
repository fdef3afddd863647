//! `audit verify`: proves that no record was changed, put in another order or cut off. Reads only, and trusts nothing but heads and keys.

use std::path::Path;

use serde::Serialize;

use super::head::hex;
use super::segments::{self, NOTHING_BEFORE};
use super::{Dropped, Record, RecordsError, SignedHead};
use crate::state_dir::CheckpointPublic;

/// What the records must still reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// A chain value that somebody wrote down.
    Plain(String),
    /// An exported head, with its place and signature.
    Signed(SignedHead),
}

impl Head {
    /// From 64 hexadecimal digits, or the JSON of an exported head.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let is_plain = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if is_plain {
            return Some(Self::Plain(text.to_ascii_lowercase()));
        }
        serde_json::from_str(text).ok().map(Self::Signed)
    }
}

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// Its number.
    pub number: u64,
    /// Records whose chain is whole.
    pub records: u64,
    /// Bytes of an unfinished write behind them.
    pub torn_bytes: u64,
    /// Whether nothing is to follow in it.
    pub sealed: bool,
    /// The chain's head, hexadecimal.
    pub head: String,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// In which segment.
    pub segment: u64,
    /// What.
    pub what: String,
}

/// What `verify` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Nothing is wrong.
    pub ok: bool,
    /// Records that were proven.
    pub records: u64,
    /// Checkpoints that were proven.
    pub checkpoints: u64,
    /// Heads that were given and reached.
    pub heads_reached: usize,
    /// Every segment.
    pub segments: Vec<Segment>,
    /// What is wrong.
    pub wrong: Vec<Wrong>,
    /// What an auditor should know although nothing is wrong.
    pub notes: Vec<String>,
}

/// Chain values of one segment, by frame.
#[derive(Default)]
struct Chain {
    number: u64,
    heads: Vec<[u8; 32]>,
}

impl Chain {
    fn at(&self, segment: u64, frames: u64) -> Option<String> {
        let index = usize::try_from(frames.checked_sub(1)?).ok()?;
        (self.number == segment).then(|| self.heads.get(index).map(hex)).flatten()
    }
}

/// Everything while segments are read.
struct Proof<'a> {
    heads: &'a [Head],
    reached: Vec<bool>,
    keys: &'a [CheckpointPublic],
    found: Verification,
    dropped: Vec<Dropped>,
    before: Chain,
    chain: Chain,
    chained: bool,
    first: u64,
    further_back: Vec<(u64, u64, SignedHead)>,
}

/// Proves the records in `dir` against `heads`; checkpoints must be signed by one of `keys`.
pub fn verify(dir: &Path, heads: &[Head], keys: &[CheckpointPublic]) -> Result<Verification, RecordsError> {
    let numbers = segments::list(dir)?;
    let found = Verification {
        ok: false,
        records: 0,
        checkpoints: 0,
        heads_reached: 0,
        segments: Vec::new(),
        wrong: Vec::new(),
        notes: Vec::new(),
    };
    let mut proof = Proof {
        heads,
        reached: vec![false; heads.len()],
        keys,
        found,
        dropped: Vec::new(),
        before: Chain::default(),
        chain: Chain::default(),
        chained: false,
        first: numbers.first().copied().unwrap_or(1),
        further_back: Vec::new(),
    };
    let first = numbers.first().copied();
    let mut first_names = None;
    for (at, number) in numbers.iter().enumerate() {
        let previous = proof.found.segments.last().map(|s| (s.number, s.head.clone(), s.sealed, s.torn_bytes));
        if previous.as_ref().is_some_and(|(previous, ..)| previous + 1 != *number) {
            proof.wrong(*number, "the segment before it is missing");
        }
        let Some(names) = proof.segment(dir, *number, at + 1 == numbers.len())? else { continue };
        if first == Some(*number) {
            first_names = Some(names);
        } else if let Some((_, head, sealed, torn)) = previous {
            proof.continues(*number, &names, &head, sealed && torn == 0);
        }
    }
    proof.further_back(dir)?;
    proof.begins(first, first_names);
    Ok(proof.end(first))
}

impl Proof<'_> {
    fn wrong(&mut self, segment: u64, what: impl Into<String>) {
        self.found.wrong.push(Wrong { segment, what: what.into() });
    }

    /// Reads one segment; which head its header names, where it could be read.
    fn segment(&mut self, dir: &Path, number: u64, is_last: bool) -> Result<Option<String>, RecordsError> {
        self.before = std::mem::replace(&mut self.chain, Chain { number, heads: Vec::new() });
        let mut checkpoints = Vec::new();
        let (mut strange, mut dropped) = (0u64, Vec::new());
        let (chain, heads, reached) = (&mut self.chain, self.heads, &mut self.reached);
        let report = segments::walk(dir, number, |frame| {
            chain.heads.push(*frame.head);
            for (head, reached) in heads.iter().zip(reached.iter_mut()) {
                *reached |= match head {
                    Head::Plain(plain) => *plain == hex(frame.head),
                    Head::Signed(signed) => signed.is_of(number, &frame),
                };
            }
            match serde_json::from_slice(frame.entry) {
                Ok(Record::Checkpoint(head)) => checkpoints.push((frame.number, head)),
                Ok(Record::Dropped(one)) => dropped.push(one),
                Ok(_) => {}
                Err(_) if frame.entry.is_empty() => {}
                Err(_) => strange += 1,
            }
        });
        let report = match report {
            Ok(report) => report,
            Err(error @ RecordsError::Segment { .. }) => {
                self.wrong(number, error.to_string());
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        self.dropped.append(&mut dropped);
        for (frame, head) in checkpoints {
            self.checkpoint(number, frame, &head);
        }
        if strange > 0 {
            self.found.notes.push(format!("segment {number}: {strange} records of another build"));
        }
        if report.torn_bytes > 0 && is_last {
            let torn = report.torn_bytes;
            self.found
                .notes
                .push(format!("segment {number}: {torn} bytes behind its end: an unfinished write, or a changed one"));
        }
        self.found.records += report.entries;
        let (records, torn_bytes, sealed) = (report.entries, report.torn_bytes, report.sealed);
        self.found.segments.push(Segment { number, records, torn_bytes, sealed, head: report.head });
        Ok(Some(report.before))
    }

    /// What a checkpoint says must stand where it says, and a trusted key must have said it.
    fn checkpoint(&mut self, number: u64, frame: u64, head: &SignedHead) {
        let earlier = (head.segment, head.frames) < (number, frame);
        let stands = self.chain.at(head.segment, head.frames).or_else(|| self.before.at(head.segment, head.frames));
        // Small segments may have been begun between the taking of the head and its writing.
        if head.is_signed_by(self.keys) && (self.first..self.before.number).contains(&head.segment) {
            self.further_back.push((number, frame, head.clone()));
            return;
        }
        if !head.is_signed_by(self.keys) {
            let key = &head.key;
            self.wrong(number, format!("the checkpoint in frame {frame} is not signed by a trusted key (it names {key}; an earlier key is given by --key)"));
        } else if !earlier || stands.as_ref() != Some(&head.head) && head.segment >= self.first {
            let (segment, frames) = (head.segment, head.frames);
            self.wrong(
                number,
                format!("the checkpoint in frame {frame} names another head for frame {frames} of segment {segment}"),
            );
        } else {
            self.found.checkpoints += 1;
        }
    }

    /// Checkpoints of segments that were read before the last two: those are read once more.
    fn further_back(&mut self, dir: &Path) -> Result<(), RecordsError> {
        for (number, frame, head) in std::mem::take(&mut self.further_back) {
            let mut stands = false;
            match segments::walk(dir, head.segment, |frame| stands |= head.is_of(head.segment, &frame)) {
                Ok(_) if stands => self.found.checkpoints += 1,
                Ok(_) | Err(RecordsError::Segment { .. }) => {
                    let (segment, frames) = (head.segment, head.frames);
                    let what = format!(
                        "the checkpoint in frame {frame} names another head for frame {frames} of segment {segment}"
                    );
                    self.wrong(number, what);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A segment's header must name the head of the one before it, which must be whole.
    fn continues(&mut self, number: u64, names: &str, head: &str, whole: bool) {
        if names == NOTHING_BEFORE && !self.chained {
            self.found.notes.push(format!(
                "segment {number} does not name the one before it: it is of a build that did not chain segments"
            ));
            return;
        }
        self.chained = true;
        if names != head {
            self.wrong(
                number,
                "does not continue the segment before it: something at its end was cut, added or changed",
            );
        }
        if !whole {
            self.wrong(number - 1, "was not closed before the next segment began");
        }
    }

    /// What is missing at the beginning must have been dropped in its time, by these records' own word.
    fn begins(&mut self, first: Option<u64>, names: Option<String>) {
        let Some(first) = first else {
            self.found.notes.push("there are no records".to_owned());
            return;
        };
        if first == 1 {
            return;
        }
        let explained =
            names.is_some_and(|names| self.dropped.iter().any(|d| d.segment + 1 == first && d.head == names));
        if explained {
            self.found.notes.push(format!("segments before {first} were removed when their time was over"));
        } else {
            self.wrong(first, "the segments before it are missing, and no record says that their time was over");
        }
    }

    fn end(mut self, first: Option<u64>) -> Verification {
        let heads = self.heads.iter().zip(std::mem::take(&mut self.reached));
        for (head, reached) in heads.collect::<Vec<_>>() {
            match head {
                Head::Signed(head) if !head.is_signed_by(self.keys) => {
                    self.wrong(head.segment, "the given head is not signed by a trusted key");
                }
                _ if reached => self.found.heads_reached += 1,
                Head::Signed(head) if first.is_some_and(|first| head.segment < first) => {
                    let segment = head.segment;
                    self.found
                        .notes
                        .push(format!("the given head is of segment {segment}, which is not kept any more"));
                }
                Head::Signed(head) => {
                    let what = format!(
                        "frame {} is not what the given head says: records were cut off or changed",
                        head.frames
                    );
                    self.wrong(head.segment, what);
                }
                Head::Plain(head) => {
                    let last = self.found.segments.last().map_or(0, |s| s.number);
                    self.wrong(last, format!("the given head {head} is nowhere: records were cut off or changed"));
                }
            }
        }
        self.found.ok = self.found.wrong.is_empty();
        self.found
    }
}

#[cfg(test)]
mod tests;
