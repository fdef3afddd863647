//! From a resident to a lane and a shard, by a keyed hash: ids are guessable, so a plain hash would name people.

use std::fmt;

use crate::id::{MunicipalityCode, ResidentId};

/// Virtual shards; fixed for the life of a fleet.
pub const SHARDS: u16 = 4096;

/// The key of lane hashes. One per fleet, made at first start, never rotated and never used for pseudonyms in logs.
#[derive(Clone)]
pub struct LaneKey([u8; 32]);

impl LaneKey {
    /// From the 32 random bytes of the state directory.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for LaneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LaneKey(<redacted>)")
    }
}

/// One resident's lane: 128 bits of a BLAKE3 keyed hash of municipality and resident. Orders lanes globally.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(u128);

impl LaneId {
    /// The lane of `resident` in `municipality`.
    pub fn of(key: &LaneKey, municipality: MunicipalityCode, resident: &ResidentId) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(&key.0);
        hasher.update(municipality.as_str().as_bytes());
        hasher.update(resident.expose().as_bytes());
        let [high @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = *hasher.finalize().as_bytes();
        Self(u128::from_be_bytes(high))
    }

    /// Restores a lane id from a journal.
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// The 128 bits, for a journal.
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// The virtual shard: the top bits, so that sorting by lane sorts by (shard, lane).
    pub const fn shard(self) -> u16 {
        (self.0 >> (128 - SHARDS.trailing_zeros())) as u16
    }
}

impl fmt::Debug for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LaneId(shard {})", self.shard())
    }
}

/// The lanes one operation needs: sorted in the global order, without repetition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneSet(Vec<LaneId>);

impl LaneSet {
    /// Sorts and deduplicates.
    pub fn new(mut lanes: Vec<LaneId>) -> Self {
        lanes.sort_unstable();
        lanes.dedup();
        Self(lanes)
    }

    /// In the order in which they must be taken.
    pub fn as_slice(&self) -> &[LaneId] {
        &self.0
    }
}
