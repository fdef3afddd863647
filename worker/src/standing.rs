//! What decides who is served first, as plain data that an assignment carries: rank, municipality, share, arrival. Decides nothing.

use std::time::{Duration, Instant};

use sekisho_issuance::id::MunicipalityCode;
use sekisho_issuance::request::Operation;

/// Who is served first within a municipality. Nothing half done is shed while it still can be finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// What the gateway itself must know: whether a change was applied.
    Control,
    /// Changes a record.
    Amend,
    /// A step of a session that was let in.
    Started,
    /// Begins something.
    New,
    /// Asks again for what was just turned away.
    Retry,
    /// Nobody stands waiting for it.
    Batch,
}

impl Rank {
    /// Every rank, the first served first.
    pub const ALL: [Self; 6] = [Self::Control, Self::Amend, Self::Started, Self::New, Self::Retry, Self::Batch];

    /// The metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Amend => "amend",
            Self::Started => "started",
            Self::New => "new",
            Self::Retry => "retry",
            Self::Batch => "batch",
        }
    }
}

/// The place of one assignment among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Who is served first within a municipality.
    pub rank: Rank,
    /// Whose share of the backend it uses; `None` where it is nobody's.
    pub municipality: Option<MunicipalityCode>,
    /// The weight of that share.
    pub share: u16,
    /// Whoever came first is served first within a rank.
    pub arrived: Instant,
    /// The number under which its backend let it in; `None` where it was not asked.
    pub ticket: Option<u64>,
}

impl Standing {
    /// Of nobody in particular, arriving now, not let in before.
    pub fn of(rank: Rank, now: Instant) -> Self {
        Self { rank, municipality: None, share: 1, arrived: now, ticket: None }
    }
}

/// What a call takes of a backend, as far as it can be known before: calls of one sort are expected to take as long as each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// An assignment.
    Of(Operation),
    /// A question beside one.
    Lookup,
}

/// Sorts of [`Work`].
pub(crate) const WORKS: usize = 7;

impl Work {
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Of(Operation::Issue) => 0,
            Self::Of(Operation::Inquire) => 1,
            Self::Of(Operation::Amend) => 2,
            Self::Of(Operation::Open) => 3,
            Self::Of(Operation::Close) => 4,
            Self::Of(Operation::Pass) => 5,
            Self::Lookup => 6,
        }
    }
}

/// A no, with the one reason for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// A stable word.
    pub reason: &'static str,
    /// When it may be otherwise.
    pub retry_after: Duration,
}
