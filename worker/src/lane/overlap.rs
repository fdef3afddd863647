//! Counts, at the write site and independently of the table, operations that may have effect at once for one resident.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sekisho_issuance::request::Operation;
use sekisho_issuance::shard::LaneId;

use super::table::Number;
use crate::metric;
use crate::numbered::Numbered;

/// Per lane, the attempts that may have effect; `None` while one runs, then until when it may.
type Acting = Numbered<LaneId, Vec<(Number, Option<Instant>)>>;

/// The detector's own map.
#[derive(Default)]
pub(crate) struct Detector {
    acting: Mutex<Acting>,
    seen: AtomicU64,
}

impl Detector {
    /// `number` is about to write its first byte. Returns how many others may still have effect in its lanes.
    pub(crate) fn enter(&self, lanes: &[LaneId], number: Number, now: Instant, operation: Operation) -> usize {
        let mut map = self.lock();
        let mut others = 0;
        for lane in lanes {
            let acting = map.entry(*lane).or_default();
            acting.retain(|(_, until)| until.is_none_or(|at| at > now));
            others += acting.len();
            acting.push((number, None));
        }
        drop(map);
        if others > 0 {
            self.seen.fetch_add(1, Ordering::Relaxed);
            metrics::counter!(metric::LANE_OVERLAPS, "operation" => operation.name()).increment(1);
            tracing::error!(
                attempt = number,
                operation = operation.name(),
                "two operations in flight for one resident"
            );
        }
        others
    }

    /// An attempt of an earlier run may have effect until `until`.
    pub(crate) fn inherit(&self, lanes: &[LaneId], number: Number, until: Instant) {
        let mut map = self.lock();
        for lane in lanes {
            map.entry(*lane).or_default().push((number, Some(until)));
        }
    }

    /// `number` can have no effect any more.
    pub(crate) fn leave(&self, lanes: &[LaneId], number: Number) {
        let mut map = self.lock();
        for lane in lanes {
            if let Some(acting) = map.get_mut(lane) {
                acting.retain(|(n, _)| *n != number);
                if acting.is_empty() {
                    map.remove(lane);
                }
            }
        }
    }

    /// `number` is over for us, but may have effect until `until`.
    pub(crate) fn may_act_until(&self, lanes: &[LaneId], number: Number, until: Instant) {
        let mut map = self.lock();
        for lane in lanes {
            for (_, end) in map.get_mut(lane).into_iter().flatten().filter(|(n, _)| *n == number) {
                *end = Some(until);
            }
        }
    }

    /// Overlaps since start; also the metric's value.
    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Forgets what cannot have effect any more.
    pub(crate) fn sweep(&self, now: Instant) {
        self.lock().retain(|_, acting| {
            acting.retain(|(_, until)| until.is_none_or(|at| at > now));
            !acting.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, Acting> {
        self.acting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn counts_a_second_entry_until_the_first_cannot_act() {
        let detector = Detector::default();
        let lane = [LaneId::from_u128(7)];
        let start = Instant::now();
        let end = start + Duration::from_secs(30);
        assert_eq!(detector.enter(&lane, 1, start, Operation::Issue), 0);
        assert_eq!(detector.enter(&lane, 2, start, Operation::Issue), 1);
        detector.leave(&lane, 2);
        detector.may_act_until(&lane, 1, end);
        assert_eq!(detector.enter(&lane, 3, end - Duration::from_millis(1), Operation::Amend), 1);
        detector.leave(&lane, 3);
        assert_eq!(detector.enter(&lane, 4, end, Operation::Amend), 0);
        detector.leave(&lane, 4);
        assert!(detector.lock().is_empty());
    }
}
