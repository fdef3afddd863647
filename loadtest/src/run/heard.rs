//! One answer as whoever watches a run hears of it: when, to which step, how it ended and how long it took.

use std::time::Duration;

use crate::plan::Outcome;
use crate::plan::threshold::Step;

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// When it was complete, from the beginning of the run.
    pub at: Duration,
    /// To what.
    pub step: Step,
    /// Index in the plan's cities.
    pub city: usize,
    /// How it ended.
    pub outcome: Outcome,
    /// From when the step should have begun.
    pub latency: Duration,
    /// From the first byte sent.
    pub socket: Duration,
}
