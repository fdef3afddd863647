//! Amends of an earlier run whose end nobody saw: before anything else happens to their residents, a probe shows a settled version.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sekisho_issuance::shard::LaneId;

use crate::assignment::{Assignment, NotBegun};
use crate::clock;
use crate::hold::{PROBE_EVERY, Probe, ask};
use crate::owner::Owner;

/// By attempt number, which is the operator's as well. Few: what was in flight when a process ended uncleanly.
#[derive(Default)]
pub(crate) struct Doubts {
    open: Mutex<BTreeMap<u64, Doubt>>,
    count: AtomicUsize,
}

struct Doubt {
    lanes: Vec<LaneId>,
    since: Instant,
}

impl Doubts {
    pub(crate) fn add(&self, number: u64, lanes: Vec<LaneId>, since: Instant) {
        let mut open = self.lock();
        open.insert(number, Doubt { lanes, since });
        self.count.store(open.len(), Ordering::SeqCst);
    }

    /// Nothing is doubtful about `number` any more; `false` where nothing was.
    pub(crate) fn over(&self, number: u64) -> bool {
        let mut open = self.lock();
        let was = open.remove(&number).is_some();
        self.count.store(open.len(), Ordering::SeqCst);
        was
    }

    /// The doubtful amends of anybody in `lanes`.
    fn about(&self, lanes: &[LaneId]) -> Vec<u64> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return Vec::new();
        }
        let open = self.lock();
        let about = open.iter().filter(|(_, doubt)| doubt.lanes.iter().any(|lane| lanes.contains(lane)));
        about.map(|(number, _)| *number).collect()
    }

    /// Number, shard and age of each.
    pub(crate) fn all(&self) -> Vec<(u64, u16, Instant)> {
        let shard = |doubt: &Doubt| doubt.lanes.first().map_or(0, |lane| lane.shard());
        self.lock().iter().map(|(number, doubt)| (*number, shard(doubt), doubt.since)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Doubt>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks `a`'s lookup until two answers are equal, where an amend of its residents is in doubt; its lanes are taken, and the amend's
/// `max_run` is over. An assignment without a lookup has nothing to ask, and nothing to compare with either.
pub(crate) async fn settle(owner: &Arc<Owner>, a: &Assignment) -> Result<(), NotBegun> {
    let numbers = owner.doubts.about(a.lanes.as_slice());
    let Some(call) = a.before.as_ref().filter(|_| !numbers.is_empty()) else { return Ok(()) };
    // Boxed: after an unclean start only, and every attempt would carry the room for it.
    Box::pin(settled(Probe { owner: Arc::clone(owner), call: call.clone() }, a.deadline)).await?;
    for number in numbers {
        owner.doubts.over(number);
        owner.intents.over(number);
    }
    Ok(())
}

/// Asks until two answers are equal.
async fn settled(probe: Probe, deadline: Instant) -> Result<(), NotBegun> {
    let mut last = ask(&probe).await;
    loop {
        let next = clock::after(clock::now(), PROBE_EVERY);
        if next >= deadline {
            return Err(NotBegun::LaneBusy);
        }
        clock::sleep_until(next).await;
        let seen = ask(&probe).await;
        if seen.is_some() && seen == last {
            return Ok(());
        }
        last = seen;
    }
}
