//! What each canary last saw, and since when one that should have passed has not. Counts; never asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Canary, Expect, Seen};
use crate::registry::{Registry, name};

/// A canary may miss one run, and must pass the next.
const PERIODS: u32 = 2;

/// All canaries of this process.
#[derive(Debug, Default)]
pub struct Board(Mutex<BTreeMap<(Arc<str>, Expect), Row>>);

#[derive(Debug)]
struct Row {
    /// When it last passed, or had no reason to.
    since: Instant,
    /// For how long that is enough.
    enough: Duration,
    last: Option<Seen>,
}

impl Board {
    /// Begins to wait for each of `canaries`, and forgets all others.
    pub fn keep<'c>(&self, canaries: impl Iterator<Item = &'c Arc<Canary>>, registry: &Registry, now: Instant) {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *rows);
        for canary in canaries {
            let enough = PERIODS * canary.every + canary.longest_run();
            for expect in Expect::ALL {
                let key = (canary.name.clone(), expect);
                let row = before.remove(&key).unwrap_or(Row { since: now, enough, last: None });
                rows.insert(key, Row { enough, ..row });
            }
        }
        for (canary, expect) in before.into_keys() {
            registry.gauge(name::CANARY_OVERDUE, &[("canary", &canary), ("expect", expect.name())]).set(0.0);
        }
    }

    /// Counts what `canary` saw.
    pub fn saw(&self, canary: &Arc<str>, expect: Expect, seen: Seen, registry: &Registry, at: Timestamp) {
        let labels = [("canary", &**canary), ("expect", expect.name()), ("result", seen.name())];
        registry.counter(name::CANARY_RESULTS, &labels).increment(1);
        if seen == Seen::Passed {
            let labels = [("canary", &**canary), ("expect", expect.name())];
            registry.gauge(name::CANARY_LAST_PASS, &labels).set(at.as_second() as f64);
        }
    }

    /// One run is over, and this is the worst that it saw.
    pub fn ran(&self, canary: &Arc<str>, expect: Expect, worst: Seen, now: Instant) {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = rows.get_mut(&(canary.clone(), expect)) {
            row.last = Some(worst);
            if matches!(worst, Seen::Passed | Seen::Closed) {
                row.since = now;
            }
        }
    }

    /// Sets the gauges that are ages; before every scrape.
    pub fn publish(&self, registry: &Registry, now: Instant) {
        for ((canary, expect), row) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            let overdue = now.saturating_duration_since(row.since).saturating_sub(row.enough);
            let labels = [("canary", &**canary), ("expect", expect.name())];
            registry.gauge(name::CANARY_OVERDUE, &labels).set(overdue.as_secs_f64());
        }
    }

    /// Those whose last run saw what must not be: readiness says so.
    pub fn alarming(&self) -> Vec<(Arc<str>, Seen)> {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bad = |seen: &Seen| matches!(seen, Seen::Failed | Seen::Blind | Seen::NotWithheld);
        rows.iter().filter_map(|((canary, _), row)| Some((canary.clone(), row.last.filter(bad)?))).collect()
    }
}
