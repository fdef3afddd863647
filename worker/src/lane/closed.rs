//! Lanes that change brackets keep closed: nothing is granted in them. Knows nothing of attempts, only which lanes are taken.

use std::collections::{HashMap, HashSet};

use sekisho_issuance::shard::LaneId;

/// The number of one change bracket; rises over the life of a state directory, never used twice.
pub(crate) type BracketNumber = u64;

/// Every closed lane. Overlapping brackets count: a lane opens with the last of them.
#[derive(Debug, Default)]
pub(crate) struct Closed {
    times: HashMap<LaneId, u32>,
    /// Lanes that were taken when their bracket closed them and have not been given back since.
    busy: HashMap<BracketNumber, HashSet<LaneId>>,
}

impl Closed {
    pub(crate) fn holds(&self, lane: &LaneId) -> bool {
        !self.times.is_empty() && self.times.contains_key(lane)
    }

    pub(crate) fn close(&mut self, bracket: BracketNumber, lane: LaneId, taken: bool) {
        *self.times.entry(lane).or_default() += 1;
        if taken {
            self.busy.entry(bracket).or_default().insert(lane);
        }
    }

    /// Whether this was the last bracket on `lane`.
    pub(crate) fn open(&mut self, bracket: BracketNumber, lane: &LaneId) -> bool {
        if let Some(busy) = self.busy.get_mut(&bracket) {
            busy.remove(lane);
            if busy.is_empty() {
                self.busy.remove(&bracket);
            }
        }
        let Some(times) = self.times.get_mut(lane) else { return false };
        *times -= 1;
        if *times == 0 {
            self.times.remove(lane);
        }
        !self.times.contains_key(lane)
    }

    /// `lane` was given back; the brackets that waited for nothing else.
    pub(crate) fn given_back(&mut self, lane: &LaneId) -> Vec<BracketNumber> {
        if self.busy.is_empty() {
            return Vec::new();
        }
        let mut quiet = Vec::new();
        self.busy.retain(|bracket, busy| {
            busy.remove(lane);
            if busy.is_empty() {
                quiet.push(*bracket);
            }
            !busy.is_empty()
        });
        quiet
    }

    /// Whether nothing runs any more in the lanes of `bracket`.
    pub(crate) fn is_quiet(&self, bracket: BracketNumber) -> bool {
        !self.busy.contains_key(&bracket)
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_empty() && self.busy.is_empty()
    }
}
