//! The attempts as a report sees them; decides nothing.

use std::time::Instant;

use super::{Keys, Number, Phase, Purpose, State};

impl State {
    /// Every attempt, for reports.
    pub(crate) fn attempts(&self) -> impl Iterator<Item = Seen<'_>> {
        self.attempts.iter().map(|(number, attempt)| Seen {
            number: *number,
            keys: &attempt.keys,
            purpose: &attempt.purpose,
            state: match attempt.phase {
                Phase::Waiting => LaneState::Waiting,
                Phase::Granted | Phase::Running => LaneState::Running,
                Phase::Held(_) => LaneState::Held,
            },
            since: attempt.since,
        })
    }
}

/// How an attempt stands to its lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LaneState {
    /// Wants them.
    Waiting,
    /// Owns them.
    Running,
    /// Is over for everybody but the backend, which may still act on it.
    Held,
}

/// One attempt as a report sees it.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    /// Its number.
    pub(crate) number: Number,
    /// Its lanes.
    pub(crate) keys: &'a Keys,
    /// What it is for.
    pub(crate) purpose: &'a Purpose,
    /// Where it stands.
    pub(crate) state: LaneState,
    /// Since when.
    pub(crate) since: Instant,
}
