//! The intent journal's records as bytes: lane hashes and numbers, no personal data.

use std::time::Duration;

use sekisho_issuance::shard::LaneId;

const INTENT: u8 = 1;
const OVER: u8 = 2;
const RESERVED: u8 = 3;
const SUSPENDED: u8 = 4;
const RESUMED: u8 = 5;
const JOB: u8 = 6;
const KEY: u8 = 7;
const OPERATIONS: [&str; 3] = ["issue", "inquire", "amend"];
/// An amend whose version a probe shows.
const PROBED_AMEND: u8 = 3;

/// An attempt that may have effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenIntent {
    /// Its number.
    pub fence: u64,
    /// What it does at the backend.
    pub operation: &'static str,
    /// An amend whose version a probe shows: it stays in doubt until one did.
    pub probed: bool,
    /// When it was about to begin, by the wall clock, in milliseconds.
    pub began_ms: i64,
    /// How long it may have effect.
    pub max_run: Duration,
    /// In whose lanes.
    pub lanes: Vec<LaneId>,
    /// Digest of the id under which the backend accepted it as a job, once it did.
    pub job: Option<u128>,
}

impl OpenIntent {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        match Record::read(bytes)? {
            Record::Intent(intent) => Some(intent),
            _ => None,
        }
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// This may have effect from now on.
    Intent(OpenIntent),
    /// This cannot any more.
    Over(u64),
    /// Attempt numbers below this may have been used.
    Reserved(u64),
    /// A backend gets no call, because of the first until it is resumed.
    Suspended(&'static str, String),
    /// It gets calls again.
    Resumed(String),
    /// An attempt was given a job, by the digest of its id, in this second of the wall clock.
    Job { fence: u64, at_s: i64, digest: u128 },
    /// Something was begun in this second under the key of this digest.
    Key { at_s: i64, digest: u128 },
}

/// Why a backend may be suspended.
const REASONS: [&str; 2] = ["late_answer", "drained"];

impl Record {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let number = |tag: u8, n: u64| {
            let mut out = Vec::with_capacity(9);
            out.push(tag);
            out.extend_from_slice(&n.to_le_bytes());
            out
        };
        let named = |head: &[u8], name: &str| [head, name.as_bytes()].concat();
        match self {
            Self::Suspended(why, name) => {
                let why = REASONS.iter().position(|r| r == why).unwrap_or(0);
                named(&[SUSPENDED, why as u8], name)
            }
            Self::Resumed(name) => named(&[RESUMED], name),
            Self::Job { fence, at_s, digest } => {
                let mut out = number(JOB, *fence);
                out.extend_from_slice(&at_s.to_le_bytes());
                out.extend_from_slice(&digest.to_le_bytes());
                out
            }
            Self::Key { at_s, digest } => {
                let mut out = number(KEY, at_s.cast_unsigned());
                out.extend_from_slice(&digest.to_le_bytes());
                out
            }
            Self::Over(fence) => number(OVER, *fence),
            Self::Reserved(upto) => number(RESERVED, *upto),
            Self::Intent(intent) => {
                let mut out = Vec::with_capacity(26 + 16 * intent.lanes.len());
                out.push(INTENT);
                out.extend_from_slice(&intent.fence.to_le_bytes());
                let operation = OPERATIONS.iter().position(|o| *o == intent.operation).unwrap_or(0);
                out.push(if intent.probed { PROBED_AMEND } else { operation as u8 });
                out.extend_from_slice(&intent.began_ms.to_le_bytes());
                let max_run = u64::try_from(intent.max_run.as_millis()).unwrap_or(u64::MAX);
                out.extend_from_slice(&max_run.to_le_bytes());
                for lane in &intent.lanes {
                    out.extend_from_slice(&lane.as_u128().to_le_bytes());
                }
                out
            }
        }
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let name = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        match *tag {
            SUSPENDED => {
                let (why, rest) = rest.split_first()?;
                return Some(Self::Suspended(REASONS.get(usize::from(*why))?, name(rest)?));
            }
            RESUMED => return Some(Self::Resumed(name(rest)?)),
            _ => {}
        }
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let number = u64::from_le_bytes(*number);
        match *tag {
            OVER if rest.is_empty() => Some(Self::Over(number)),
            RESERVED if rest.is_empty() => Some(Self::Reserved(number)),
            KEY => {
                let digest: [u8; 16] = rest.try_into().ok()?;
                Some(Self::Key { at_s: number.cast_signed(), digest: u128::from_le_bytes(digest) })
            }
            JOB => {
                let (at_s, rest) = rest.split_first_chunk::<8>()?;
                let digest: [u8; 16] = rest.try_into().ok()?;
                let digest = u128::from_le_bytes(digest);
                Some(Self::Job { fence: number, at_s: i64::from_le_bytes(*at_s), digest })
            }
            INTENT => {
                let (operation, rest) = rest.split_first()?;
                let (began_ms, rest) = rest.split_first_chunk::<8>()?;
                let (max_run, rest) = rest.split_first_chunk::<8>()?;
                let (lanes, []) = rest.as_chunks::<16>() else { return None };
                let probed = *operation == PROBED_AMEND;
                let operation = if probed { "amend" } else { OPERATIONS.get(usize::from(*operation))? };
                Some(Self::Intent(OpenIntent {
                    fence: number,
                    operation,
                    probed,
                    began_ms: i64::from_le_bytes(*began_ms),
                    max_run: Duration::from_millis(u64::from_le_bytes(*max_run)),
                    lanes: lanes.iter().map(|l| LaneId::from_u128(u128::from_le_bytes(*l))).collect(),
                    // Said by an entry of its own.
                    job: None,
                }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_suspensions() {
        for record in [Record::Suspended("drained", "soap".to_owned()), Record::Resumed("soap".to_owned())] {
            assert_eq!(Record::read(&record.to_bytes()), Some(record));
        }
    }

    #[test]
    fn reads_what_it_writes_and_nothing_shorter() {
        let intent = OpenIntent {
            fence: 9,
            operation: "amend",
            probed: false,
            began_ms: 1_795_000_000_123,
            max_run: Duration::from_secs(30),
            lanes: vec![LaneId::from_u128(1), LaneId::from_u128(u128::MAX)],
            job: None,
        };
        let probed = OpenIntent { probed: true, ..intent.clone() };
        let job = Record::Job { fence: 9, at_s: 1_795_000_000, digest: u128::MAX - 1 };
        let key = Record::Key { at_s: 1_795_000_000, digest: u128::MAX - 2 };
        for record in
            [Record::Intent(intent), Record::Intent(probed), Record::Over(7), Record::Reserved(u64::MAX), job, key]
        {
            let bytes = record.to_bytes();
            assert_eq!(Record::read(&bytes), Some(record));
            for cut in 0..bytes.len() {
                let shorter = Record::read(&bytes[..cut]);
                assert!(shorter.is_none() || matches!(shorter, Some(Record::Intent(i)) if i.lanes.len() < 2));
            }
        }
    }
}
