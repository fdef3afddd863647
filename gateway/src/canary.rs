//! Canaries: documents of synthetic residents, asked for on a schedule through the whole tower. What they are given ends here.
//!
//! A canary's request differs from a kiosk's in this alone: it comes from inside, is counted apart, and nobody stands waiting for it. No
//! byte of what it is given can leave: no connection is ever part of it.

mod board;
mod plan;
mod run;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};

use sekisho_issuance::id::SessionId;

use crate::outcome::Outcome;
use crate::release::Specimen;

pub use board::Board;
pub use plan::{Canary, Step};
pub(crate) use watch::watch;

/// One request of a canary. Only a canary's run can make one, so that nobody at a connection passes for a canary.
#[derive(Debug)]
pub struct Visit {
    canary: Arc<str>,
    found: Mutex<Found>,
}

/// What became of one request.
#[derive(Debug, Default)]
struct Found {
    ended: Option<(Outcome, &'static str)>,
    session: Option<SessionId>,
    specimen: Option<Box<Specimen>>,
}

impl Visit {
    fn new(canary: &Arc<str>) -> Arc<Self> {
        Arc::new(Self { canary: canary.clone(), found: Mutex::default() })
    }

    /// The configured name of the canary.
    pub fn canary(&self) -> &Arc<str> {
        &self.canary
    }

    /// How its request ended: what is said here instead of being counted among the kiosks' requests.
    pub(crate) fn ended(&self, outcome: Outcome, reason: &'static str) {
        self.with(|found| found.ended = Some((outcome, reason)));
    }

    /// The session that was opened for it.
    pub(crate) fn opened(&self, session: &SessionId) {
        self.with(|found| found.session = Some(session.clone()));
    }

    /// Its genuine document, to be tried on somebody else.
    pub(crate) fn keep(&self, specimen: Box<Specimen>) {
        self.with(|found| found.specimen = Some(specimen));
    }

    fn take(&self) -> Found {
        self.with(std::mem::take)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Found) -> T) -> T {
        act(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a canary is there to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expect {
    /// That a right document passes every check.
    Release,
    /// That another's genuine document does not.
    Withhold,
}

impl Expect {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Release, Self::Withhold];
    /// Their label values.
    pub const NAMES: [&'static str; 2] = ["release", "withhold"];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Withhold => "withhold",
        }
    }
}

/// What a canary saw; the worse, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// What it expects.
    Passed,
    /// It could not ask, since nobody could: closed, suspended, switched off, draining. Whoever did that is told elsewhere.
    Closed,
    /// There was no room for it. Now and then that is what its rank is for; for long it is a canary that does not sing.
    Shed,
    /// Not what it expects: its right document did not come or did not pass, or there was none to try on somebody else.
    Failed,
    /// Another's document was withheld, but not because it names somebody else: whoever looks at that saw nothing.
    Blind,
    /// Another's document would have been released.
    NotWithheld,
}

impl Seen {
    /// Label values.
    pub const NAMES: [&'static str; 6] = ["passed", "closed", "shed", "failed", "blind", "not_withheld"];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Closed => "closed",
            Self::Shed => "shed",
            Self::Failed => "failed",
            Self::Blind => "blind",
            Self::NotWithheld => "not_withheld",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
