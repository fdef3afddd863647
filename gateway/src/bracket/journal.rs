//! What the brackets' journal says, and how a state is rebuilt from it. Residents stand in it as keyed lanes, never as ids.

use jiff::Timestamp;
use sekisho_issuance::id::MunicipalityCode;
use sekisho_issuance::shard::LaneId;
use serde::{Deserialize, Serialize};

use super::state::{Held, Lane, State};
use super::{Bracket, BracketId, Stage, Word};

/// Lanes in one entry.
pub(super) const LANES_AN_ENTRY: usize = 1_000;
/// Brackets that are over and still listed.
const MAX_OVER_SHOWN: usize = 1_000;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Entry {
    /// A bracket begins.
    Begun(Bracket),
    /// Some of its lanes, each with the version that its batch found.
    Lanes { id: BracketId, lanes: Vec<(String, Option<String>)> },
    /// One of its residents is not held up any more.
    Settled { id: BracketId, lane: String },
    /// Nobody knows what its batch did.
    Unknown { id: BracketId, why: String },
    /// It is over.
    Over { id: BracketId, stage: Stage, by: Option<Word> },
    /// The record feed of a municipality has reached this.
    Fed { municipality: MunicipalityCode, as_of: String, at: Timestamp },
}

impl Entry {
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }
}

pub(super) fn hex(lane: LaneId) -> String {
    format!("{:032x}", lane.as_u128())
}

fn lane(hex: &str) -> Option<LaneId> {
    u128::from_str_radix(hex, 16).ok().map(LaneId::from_u128)
}

impl State {
    /// Takes one entry of an earlier run in.
    pub(super) fn restore(&mut self, entry: Entry) {
        match entry {
            Entry::Begun(bracket) => {
                self.last = self.last.max(bracket.id.0);
                self.brackets.insert(bracket.id, Held::new(bracket));
            }
            Entry::Lanes { id, lanes } => {
                let Some(held) = self.brackets.get_mut(&id) else { return };
                let known = lanes.into_iter().filter_map(|(hex, from)| Some((lane(&hex)?, Lane::found(from))));
                held.lanes.extend(known);
            }
            Entry::Settled { id, lane: hex } => {
                if let (Some(held), Some(lane)) = (self.brackets.get_mut(&id), lane(&hex)) {
                    held.settle(lane);
                }
            }
            Entry::Unknown { id, why } => {
                if let Some(held) = self.brackets.get_mut(&id) {
                    held.bracket.why = Some(why);
                }
            }
            Entry::Over { id, stage, by } => {
                if let Some(held) = self.brackets.get_mut(&id) {
                    (held.bracket.stage, held.bracket.ended) = (stage, by);
                    held.lanes.clear();
                }
                self.forget_oldest_over();
            }
            Entry::Fed { municipality, as_of, at } => {
                self.feeds.insert(municipality, (as_of, at));
            }
        }
    }

    /// After the last entry: whatever had not ended may have gone on while nobody listened.
    pub(super) fn doubt_all(&mut self) {
        for (id, held) in self.brackets.iter_mut().filter(|(_, held)| !held.bracket.stage.is_over()) {
            held.bracket.stage = Stage::Unknown;
            held.bracket.why.get_or_insert_with(|| "restart".to_owned());
            for (lane, _) in held.lanes.iter().filter(|(_, lane)| !lane.settled) {
                self.by_lane.entry(*lane).or_default().push(*id);
            }
        }
    }

    /// Everything that still matters, for a journal that is begun anew.
    pub(super) fn carry(&self) -> Vec<Vec<u8>> {
        let fed = |(code, (as_of, at)): (&MunicipalityCode, &(String, Timestamp))| Entry::Fed {
            municipality: *code,
            as_of: as_of.clone(),
            at: *at,
        };
        let mut entries: Vec<_> = self.feeds.iter().map(fed).collect();
        for (id, held) in &self.brackets {
            // Settled ones are counted again when their entries are read.
            entries.push(Entry::Begun(Bracket { settled: 0, ..held.bracket.clone() }));
            if held.bracket.stage.is_over() {
                let by = held.bracket.ended.clone();
                entries.push(Entry::Over { id: *id, stage: held.bracket.stage, by });
                continue;
            }
            let lanes: Vec<_> = held.lanes.iter().map(|(lane, is)| (hex(*lane), is.from.clone())).collect();
            entries.extend(lanes.chunks(LANES_AN_ENTRY).map(|lanes| Entry::Lanes { id: *id, lanes: lanes.to_vec() }));
            let settled = held.lanes.iter().filter(|(_, lane)| lane.settled);
            entries.extend(settled.map(|(lane, _)| Entry::Settled { id: *id, lane: hex(*lane) }));
        }
        entries.iter().filter_map(Entry::to_bytes).collect()
    }

    pub(super) fn forget_oldest_over(&mut self) {
        let over: Vec<_> = self.brackets.values().filter(|h| h.bracket.stage.is_over()).map(|h| h.bracket.id).collect();
        for id in over.iter().take(over.len().saturating_sub(MAX_OVER_SHOWN)) {
            self.brackets.remove(id);
        }
    }
}
