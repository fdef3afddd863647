//! Change brackets: a batch that changes records behind the gateway says so first, and for its residents nothing begins and nothing
//! leaves until it says what it made of them. Kept in a journal of their own.
//!
//! A bracket never ends open: one whose batch is not heard of any more is *unknown*, and its residents are refused until their
//! authority shows a newer version twice, `max_run` apart, or an operator says what became of them.

mod error;
mod feed;
mod journal;
mod leaving;
mod opening;
mod state;
mod store;
mod vouch;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use sekisho_issuance::id::MunicipalityCode;
use serde::{Deserialize, Serialize};

pub use error::{CloseError, OpenError};
pub use feed::FeedError;
pub use leaving::UnderWay;
pub use opening::Opening;
pub use store::{Brackets, Made, Renewed, Versions};
pub use vouch::{BRACKET_UNKNOWN, Concern, People};

/// Residents of one bracket.
pub const MAX_RESIDENTS: usize = 100_000;
/// Residents of all brackets that are not over.
pub const MAX_RESIDENTS_TOTAL: usize = 1_000_000;
/// Brackets that are not over.
pub const MAX_BRACKETS: usize = 10_000;
/// How often expiry is looked for ([`Brackets::expire`]).
pub const EXPIRY_EVERY: std::time::Duration = std::time::Duration::from_millis(200);

/// Names one bracket of this state directory, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BracketId(u64);

impl BracketId {
    /// The number that the lanes know it by.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for BracketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for BracketId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.trim().parse().map(Self)
    }
}

/// Where a bracket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Its residents' operations in flight are waited for; nothing was said to the batch yet.
    Opening,
    /// The batch may change records.
    Open,
    /// Nobody knows what the batch did.
    Unknown,
    /// Over: its versions are known.
    Closed,
    /// Over: the batch never heard its number, so it changed nothing.
    Withdrawn,
}

impl Stage {
    /// The metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Open => "open",
            Self::Unknown => "unknown",
            Self::Closed => "closed",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether it says nothing about anybody any more.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Withdrawn)
    }
}

/// A person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Who.
    pub name: String,
    /// Why, in writing.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// One bracket, without its residents: who they are is nobody's business but the batch's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bracket {
    /// Its number.
    pub id: BracketId,
    /// Whose records.
    pub municipality: MunicipalityCode,
    /// How many.
    pub residents: usize,
    /// Of those, how many are not held up any more.
    #[serde(default)]
    pub settled: usize,
    /// Where it stands.
    pub stage: Stage,
    /// Why it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Who opened it.
    pub opened: Word,
    /// Who ended it; absent where probes or its own batch did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Word>,
}
