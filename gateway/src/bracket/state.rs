//! What is held in memory of brackets and feeds: plain data, changed under one lock.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sekisho_issuance::id::MunicipalityCode;
use sekisho_issuance::shard::LaneId;

use super::{Bracket, BracketId};

/// One resident's lane in one bracket.
#[derive(Debug, Clone, Default)]
pub(super) struct Lane {
    /// The version that the batch found.
    pub(super) from: Option<String>,
    /// Not held up any more.
    pub(super) settled: bool,
    /// What the authority showed since the bracket became unknown, and since when.
    pub(super) shown: Option<([u8; 32], Instant)>,
}

impl Lane {
    pub(super) fn found(from: Option<String>) -> Self {
        Self { from, ..Self::default() }
    }
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) bracket: Bracket,
    pub(super) lanes: HashMap<LaneId, Lane>,
    pub(super) lease: Duration,
    /// Without a renewal by then it is unknown.
    pub(super) until: Option<Instant>,
}

impl Held {
    pub(super) fn new(bracket: Bracket) -> Self {
        Self { bracket, lanes: HashMap::new(), lease: Duration::ZERO, until: None }
    }

    /// `false` where it was settled already, or is not of this bracket.
    pub(super) fn settle(&mut self, lane: LaneId) -> bool {
        let Some(lane) = self.lanes.get_mut(&lane).filter(|lane| !lane.settled) else { return false };
        (lane.settled, lane.shown) = (true, None);
        self.bracket.settled += 1;
        true
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) brackets: BTreeMap<BracketId, Held>,
    /// The brackets that hold a lane up; absent where none does.
    pub(super) by_lane: HashMap<LaneId, Vec<BracketId>>,
    pub(super) feeds: HashMap<MunicipalityCode, (String, Timestamp)>,
    pub(super) last: u64,
}

impl State {
    /// Takes `lane` off what `id` holds up.
    pub(super) fn free(&mut self, id: BracketId, lane: LaneId) {
        if let Some(by) = self.by_lane.get_mut(&lane) {
            by.retain(|other| *other != id);
            if by.is_empty() {
                self.by_lane.remove(&lane);
            }
        }
    }
}
