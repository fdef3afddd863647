//! The versions that residents' records are known to have reached: nothing older may be shown. Kept apart from lanes, which come
//! and go.
//!
//! Bounded: an amend's mark is kept for thirty days, and when the memory is full no further amend may begin. What a lookup showed
//! is kept for the people asked for last.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use sekisho_issuance::shard::LaneId;
use serde::{Deserialize, Serialize};

/// Marks that are remembered at once: about 150 MiB.
pub const MAX_WATERMARKS: usize = 1_000_000;

/// What lookups showed is remembered of at least this many people, and of no more than twice as many: about 60 MiB.
pub const MIN_SHOWN: usize = 250_000;

/// After this even the slowest copy of the records has the amend.
pub const KEPT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Longest version that is remembered; a longer one is no version.
const MAX_VERSION_BYTES: usize = 64;

/// One mark as it stands in a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// The resident's lane, 32 hexadecimal digits.
    pub lane: String,
    /// The version that an amend was acknowledged with, or that a lookup showed for an answer that was released.
    pub version: String,
    /// When.
    pub at: Timestamp,
    /// The lookup that showed it; absent after an amend. Each may count in its own way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_by: Option<String>,
}

impl Watermark {
    /// The mark of `lane`; `None` where `version` cannot be one.
    pub fn new(lane: LaneId, version: &str, at: Timestamp) -> Option<Self> {
        let sound = !version.is_empty() && version.len() <= MAX_VERSION_BYTES;
        sound.then(|| Self {
            lane: format!("{:032x}", lane.as_u128()),
            version: version.to_owned(),
            at,
            shown_by: None,
        })
    }

    /// The mark that `lookup` showed.
    pub fn shown_by(self, lookup: &str) -> Self {
        Self { shown_by: Some(lookup.to_owned()), ..self }
    }

    /// Its lane.
    pub(crate) fn lane(&self) -> Option<LaneId> {
        u128::from_str_radix(&self.lane, 16).ok().map(LaneId::from_u128)
    }
}

struct Mark {
    version: Box<str>,
    at: Timestamp,
}

/// What lookups showed, in two generations: when the younger is full, the older is forgotten.
#[derive(Default)]
struct Shown {
    young: HashMap<(LaneId, Arc<str>), Mark>,
    old: HashMap<(LaneId, Arc<str>), Mark>,
}

impl Shown {
    fn get(&self, key: &(LaneId, Arc<str>)) -> Option<&Mark> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn set(&mut self, key: (LaneId, Arc<str>), mark: Mark, max: usize) {
        if self.get(&key).is_some_and(|known| known.at > mark.at) {
            return;
        }
        if self.young.len() >= max && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, mark);
    }
}

/// All marks of this node. Rebuilt from the release records at start.
pub struct Watermarks {
    marks: Mutex<HashMap<LaneId, Mark>>,
    shown: Mutex<Shown>,
    max: usize,
}

impl Default for Watermarks {
    fn default() -> Self {
        Self::bounded(MAX_WATERMARKS)
    }
}

impl Watermarks {
    /// An empty memory with a bound of its own.
    pub fn bounded(max: usize) -> Self {
        Self { marks: Mutex::default(), shown: Mutex::default(), max }
    }

    fn marks(&self) -> MutexGuard<'_, HashMap<LaneId, Mark>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lookups(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `lookup` showed last of `lane`, as far as it is remembered.
    pub fn shown(&self, lane: LaneId, lookup: &Arc<str>) -> Option<String> {
        self.lookups().get(&(lane, lookup.clone())).map(|mark| mark.version.to_string())
    }

    /// The mark of the last amend of `lane`, if one is known.
    pub fn get(&self, lane: LaneId) -> Option<String> {
        self.marks().get(&lane).map(|mark| mark.version.to_string())
    }

    /// Whether every lane's mark is still what it was.
    pub fn unchanged(&self, seen: &[(LaneId, Option<String>)]) -> bool {
        let marks = self.marks();
        seen.iter().all(|(lane, version)| marks.get(lane).map(|m| &*m.version) == version.as_deref())
    }

    /// Whether an amend may begin: its mark must find room afterwards. Old marks are let go first.
    pub fn has_room(&self, now: Timestamp) -> bool {
        self.has_room_for(1, now)
    }

    /// The same for `count` changes.
    pub fn has_room_for(&self, count: usize, now: Timestamp) -> bool {
        let mut marks = self.marks();
        if marks.len() + count <= self.max {
            return true;
        }
        let oldest = now.checked_sub(KEPT_FOR).unwrap_or(Timestamp::MIN);
        marks.retain(|_, mark| mark.at >= oldest);
        marks.len() + count <= self.max
    }

    /// When a change to `lane` that is acknowledged now counts as made: never before the one before it, whatever the clock says.
    pub fn moment(&self, lane: LaneId, now: Timestamp) -> Timestamp {
        self.marks().get(&lane).map_or(now, |known| known.at.max(now))
    }

    /// Remembers a mark; the latest acknowledgement holds. Room was asked for before the amend began, and what was promised is kept.
    pub fn set(&self, watermark: &Watermark) {
        let Some(lane) = watermark.lane() else { return };
        let mark = Mark { version: watermark.version.as_str().into(), at: watermark.at };
        if let Some(lookup) = &watermark.shown_by {
            return self.lookups().set((lane, lookup.as_str().into()), mark, MIN_SHOWN.min(self.max));
        }
        let mut marks = self.marks();
        if marks.get(&lane).is_none_or(|known| known.at <= mark.at) {
            marks.insert(lane, mark);
        }
    }

    /// Every mark, for a snapshot.
    pub fn all(&self) -> Vec<Watermark> {
        let of = |lane: LaneId, mark: &Mark| Watermark::new(lane, &mark.version, mark.at);
        let mut all: Vec<_> = self.marks().iter().filter_map(|(lane, mark)| of(*lane, mark)).collect();
        let shown = self.lookups();
        // The older first: restored in this order, the younger generation is the younger one again.
        let both = shown.old.iter().chain(&shown.young);
        all.extend(both.filter_map(|((lane, lookup), mark)| Some(of(*lane, mark)?.shown_by(lookup))));
        all
    }
}

impl std::fmt::Debug for Watermarks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watermarks({})", self.marks().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        let start: Timestamp = "2026-11-22T12:00:00+09:00".parse().unwrap();
        start + SignedDuration::from_mins(minute)
    }

    fn mark(lane: u128, version: &str, minute: i64) -> Watermark {
        Watermark::new(LaneId::from_u128(lane), version, at(minute)).unwrap()
    }

    #[test]
    fn the_latest_acknowledgement_holds_in_whatever_order_records_are_read() {
        let marks = Watermarks::default();
        marks.set(&mark(1, "8", 2));
        marks.set(&mark(1, "7", 1));
        assert_eq!(marks.get(LaneId::from_u128(1)).as_deref(), Some("8"));
        assert_eq!(marks.get(LaneId::from_u128(2)), None);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_keep_an_older_mark() {
        let (marks, lane) = (Watermarks::default(), LaneId::from_u128(1));
        marks.set(&mark(1, "7", 10));
        marks.set(&Watermark::new(lane, "8", marks.moment(lane, at(5))).unwrap());
        assert_eq!(marks.get(lane).as_deref(), Some("8"));
        assert_eq!(marks.moment(lane, at(20)), at(20));
    }

    #[test]
    fn a_mark_that_moved_is_seen() {
        let marks = Watermarks::default();
        let lane = LaneId::from_u128(1);
        let seen = [(lane, marks.get(lane))];
        assert!(marks.unchanged(&seen));
        marks.set(&mark(1, "8", 2));
        assert!(!marks.unchanged(&seen));
    }

    #[test]
    fn when_full_no_amend_begins_until_old_marks_may_go() {
        let marks = Watermarks::bounded(2);
        marks.set(&mark(1, "1", 0));
        marks.set(&mark(2, "1", 10));
        assert!(!marks.has_room(at(20)));
        assert!(marks.get(LaneId::from_u128(1)).is_some(), "nothing is forgotten to make room");
        assert!(marks.has_room(at(5) + KEPT_FOR));
        assert!(marks.get(LaneId::from_u128(1)).is_none());
        assert!(marks.get(LaneId::from_u128(2)).is_some());
    }

    #[test]
    fn what_lookups_showed_is_kept_apart_and_for_the_last_people_only() {
        let marks = Watermarks::bounded(2);
        let (resident, seal): (Arc<str>, Arc<str>) = ("resident".into(), "seal".into());
        let show = |lane, version, minute| marks.set(&mark(lane, version, minute).shown_by(&resident));
        let shown = |lane| marks.shown(LaneId::from_u128(lane), &resident);
        show(1, "7", 1);
        show(1, "6", 0);
        assert_eq!(shown(1).as_deref(), Some("7"));
        assert_eq!(marks.shown(LaneId::from_u128(1), &seal), None, "another lookup may count otherwise");
        assert_eq!(marks.get(LaneId::from_u128(1)), None, "no amend");
        assert!(marks.unchanged(&[(LaneId::from_u128(1), None)]));
        (2..=4).for_each(|lane| show(lane, "1", 2));
        assert!(shown(1).is_some() && marks.has_room(at(3)), "amends have room of their own");
        let restored = Watermarks::bounded(2);
        marks.all().iter().for_each(|mark| restored.set(mark));
        assert_eq!(restored.shown(LaneId::from_u128(4), &resident).as_deref(), Some("1"));
        show(5, "1", 2);
        assert_eq!(shown(1), None);
        assert!(shown(3).is_some());
    }

    #[test]
    fn an_endless_version_is_none() {
        assert!(Watermark::new(LaneId::from_u128(1), &"9".repeat(65), at(0)).is_none());
        assert!(Watermark::new(LaneId::from_u128(1), "", at(0)).is_none());
    }
}
