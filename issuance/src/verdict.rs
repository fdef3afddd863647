//! What a check says: Match, Mismatch(field) or Unverifiable(reason). There is no fourth, and no default.

use serde::{Deserialize, Serialize};

/// The name of a check: a closed set, since it is a metric label and a configuration key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckName {
    /// Status, media type, magic, bounds, no content coding, no trailing bytes.
    Shape,
    /// Our request id or nonce came back.
    Echo,
    /// The people on it are the people asked for.
    Identity,
    /// The right form.
    Kind,
    /// The right municipality.
    Municipality,
    /// Optional items exactly as asked.
    Selection,
    /// Page n of m on every page.
    Pages,
    /// The issue number is well formed and never seen before.
    IssueNumber,
    /// Not older than the last known amend or watermark.
    AsOf,
    /// The record's version before equals the one after.
    Version,
    /// A JST date between send and receipt.
    IssuedOn,
    /// A printed time not before the attempt.
    IssuedAt,
    /// This content was never released for other people.
    Unique,
    /// Where a document is fetched in a further step: the job is this issuance's alone, and it is done.
    Job,
}

impl CheckName {
    /// Every check, in declaration order.
    pub const ALL: [Self; 14] = [
        Self::Shape,
        Self::Echo,
        Self::Identity,
        Self::Kind,
        Self::Municipality,
        Self::Selection,
        Self::Pages,
        Self::IssueNumber,
        Self::AsOf,
        Self::Version,
        Self::IssuedOn,
        Self::IssuedAt,
        Self::Unique,
        Self::Job,
    ];

    /// Whether a mismatch means that the answer names something else (another id, person, kind, municipality, or content
    /// already released to others); the rest say that an answer is malformed, out of time or out of date.
    pub const fn names_its_subject(self) -> bool {
        matches!(
            self,
            Self::Echo
                | Self::Identity
                | Self::Kind
                | Self::Municipality
                | Self::Unique
                | Self::IssueNumber
                | Self::Job
        )
    }

    /// The name in configuration files and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shape => "shape",
            Self::Echo => "echo",
            Self::Identity => "identity",
            Self::Kind => "kind",
            Self::Municipality => "municipality",
            Self::Selection => "selection",
            Self::Pages => "pages",
            Self::IssueNumber => "issue_number",
            Self::AsOf => "as_of",
            Self::Version => "version",
            Self::IssuedOn => "issued_on",
            Self::IssuedAt => "issued_at",
            Self::Unique => "unique",
            Self::Job => "job",
        }
    }
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// What was found is what was expected.
    Match,
    /// Something else was found.
    Mismatch {
        /// Where, and how it differs; never what it said.
        field: FieldEvidence,
    },
    /// It could not be told.
    Unverifiable {
        /// A stable word, safe for labels and logs.
        reason: &'static str,
    },
}

/// Where a difference was seen and of which sort, without any text of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldEvidence {
    /// The configured field name (`name`, `birth_date`, `status`, ...).
    pub field: String,
    /// The page, from 1; `None` outside a paged document.
    pub page: Option<u32>,
    /// Characters expected, after normalization.
    pub expected_chars: usize,
    /// Characters found, after normalization.
    pub found_chars: usize,
    /// Which script classes differ (`kanji`, `kana`, `digit`, `latin`, `other`), joined by `+`.
    pub differs_in: String,
}

/// One check and what it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check.
    pub check: CheckName,
    /// What it said.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Whether the expectation came from somewhere other than the kiosk alone: only then may a mismatch latch.
    pub independent: bool,
}

impl Finding {
    /// A mismatch that names something else, against an expectation that does not come from the kiosk alone. Where the
    /// shape is good as well, this suspends the municipality x kind at once.
    pub fn is_confirmed(&self) -> bool {
        self.independent && self.check.names_its_subject() && matches!(self.verdict, Verdict::Mismatch { .. })
    }
}
