//! One arrival: counted when it comes, and ended exactly once whatever happens to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::reason::Reason;
use super::{Registry, RouteSeries};
use crate::outcome::Outcome;

/// An arrival that has not ended. Dropping it unended counts it as `failed`, so arrivals = outcomes + in flight always holds.
pub struct Arrival {
    registry: Arc<Registry>,
    series: Arc<RouteSeries>,
    arrived: Instant,
    ended: bool,
    /// `false` = nobody's figures move.
    counted: bool,
}

impl Registry {
    /// Counts an arrival whose route is not yet known.
    pub fn arrive(self: &Arc<Self>, arrived: Instant) -> Arrival {
        self.arrivals.increment(1);
        self.in_flight.increment(1.0);
        Arrival { registry: self.clone(), series: self.nowhere.clone(), arrived, ended: false, counted: true }
    }

    /// One that is counted by whoever asked, and nowhere here.
    pub fn arrive_uncounted(self: &Arc<Self>, arrived: Instant) -> Arrival {
        let series = self.uncounted_route();
        Arrival { registry: self.clone(), series, arrived, ended: false, counted: false }
    }
}

impl Arrival {
    /// Says which route it is for.
    pub fn on(&mut self, route: &str) {
        if self.counted {
            self.series = self.registry.route(route);
        }
    }

    /// The series of its route.
    pub fn series(&self) -> &Arc<RouteSeries> {
        &self.series
    }

    /// Ends it; how long it took.
    pub fn end(mut self, outcome: Outcome, reason: &str) -> Duration {
        self.close(outcome, reason)
    }

    fn close(&mut self, outcome: Outcome, reason: &str) -> Duration {
        let took = self.arrived.elapsed();
        if !std::mem::replace(&mut self.ended, true) && self.counted {
            self.series.end(outcome, Reason::of(outcome, reason), took);
            self.registry.in_flight.decrement(1.0);
        }
        took
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.close(Outcome::Failed, "internal");
    }
}
