//! How a request meets brackets: it waits at a closed lane, and is refused in an unknown one until its authority vouches for it.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sekisho_issuance::checks::{LookupReply, order_of_versions};
use sekisho_issuance::id::ResidentId;
use sekisho_issuance::shard::LaneId;
use sekisho_worker::assignment::BeforeGuard;

use super::Stage;
use super::store::Brackets;
use crate::route::Lookup;
use crate::watermark::Watermarks;

/// The word with which a resident of an unknown bracket is refused.
pub const BRACKET_UNKNOWN: &str = "bracket_unknown";

/// Whom a request is about.
pub type People = Vec<(LaneId, ResidentId)>;

/// How the brackets concern a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// Not at all.
    None,
    /// Its lanes are closed; once they open its authority may have to vouch.
    Closed,
    /// Nobody knows what became of its records.
    Unknown,
}

impl Brackets {
    /// How the brackets concern `lanes` now.
    pub fn concern(&self, lanes: impl Iterator<Item = LaneId>) -> Concern {
        if self.hold_nobody() {
            return Concern::None;
        }
        let state = self.lock();
        let mut concern = Concern::None;
        for id in lanes.filter_map(|lane| state.by_lane.get(&lane)).flatten() {
            match state.brackets.get(id).map(|held| held.bracket.stage) {
                Some(Stage::Unknown) => return Concern::Unknown,
                Some(_) => concern = Concern::Closed,
                None => {}
            }
        }
        concern
    }

    /// Whether nothing may leave for `lanes`: a batch was told its number, and what it did is not known yet.
    pub fn keep_in(&self, mut lanes: impl Iterator<Item = LaneId>) -> bool {
        if self.hold_nobody() {
            return false;
        }
        let state = self.lock();
        lanes.any(|lane| {
            let by = state.by_lane.get(&lane).into_iter().flatten();
            by.filter_map(|id| state.brackets.get(id)).any(|held| held.bracket.stage != Stage::Opening)
        })
    }

    /// A guard for inside the lanes: passes whom no unknown bracket holds up, and whom `lookup` shows with a newer version than
    /// before, twice in the same words and `max_run` apart.
    pub fn guard(
        self: &Arc<Self>,
        people: People,
        lookup: Arc<Lookup>,
        marks: Arc<Watermarks>,
        max_run: Duration,
    ) -> BeforeGuard {
        let brackets = self.clone();
        Arc::new(move |answer| {
            if brackets.concern(people.iter().map(|(lane, _)| *lane)) != Concern::Unknown {
                return Ok(());
            }
            let usable = answer.status == 200 && !answer.framing_surprise;
            let reply = usable.then(|| lookup.read(answer).ok()).flatten().ok_or(BRACKET_UNKNOWN)?;
            let shown = *blake3::hash(answer.body.as_slice()).as_bytes();
            let mut all = true;
            for (lane, who) in &people {
                let before = marks.shown(*lane, &lookup.name);
                all &= brackets.vouched(*lane, version(&reply, who), before.as_deref(), shown, max_run);
            }
            if all { Ok(()) } else { Err(BRACKET_UNKNOWN) }
        })
    }

    /// Whether no unknown bracket holds `lane` up any more, now that its authority shows `version`.
    pub(super) fn vouched(
        &self,
        lane: LaneId,
        version: Option<&str>,
        before: Option<&str>,
        shown: [u8; 32],
        max_run: Duration,
    ) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        let mut free = true;
        for id in state.by_lane.get(&lane).cloned().unwrap_or_default() {
            let Some(held) = state.brackets.get_mut(&id).filter(|held| held.bracket.stage == Stage::Unknown) else {
                continue;
            };
            let Some(known) = held.lanes.get_mut(&lane) else { continue };
            let newer = |old: &str| version.and_then(|new| order_of_versions(new, old)) == Some(Ordering::Greater);
            // Without a version from before nobody can tell that this one is newer; each that is known must be older.
            let mut older = known.from.as_deref().into_iter().chain(before).peekable();
            if older.peek().is_none() || !older.all(newer) {
                (known.shown, free) = (None, false);
                continue;
            }
            match known.shown {
                Some((same, since)) if same == shown && now.saturating_duration_since(since) >= max_run => {
                    self.settled(&mut state, id, lane);
                }
                Some((same, _)) if same == shown => free = false,
                _ => (known.shown, free) = (Some((shown, now)), false),
            }
        }
        free
    }
}

/// What `reply` says of `who`'s own record.
fn version<'r>(reply: &'r LookupReply, who: &ResidentId) -> Option<&'r str> {
    let (index, person) = reply.people.iter().enumerate().find(|(_, person)| person.id.as_ref() == Some(who))?;
    let own = if index == 0 { reply.version.as_deref() } else { None };
    person.version.as_deref().or(own)
}
