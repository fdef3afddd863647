//! The records themselves, as JSON objects: readable without this program for as long as they are kept.

use std::borrow::Cow;

use jiff::Timestamp;
use sekisho_issuance::id::RequestId;
use sekisho_issuance::verdict::{FieldEvidence, Finding, Verdict};
use serde::{Deserialize, Serialize};

use super::SignedHead;
use crate::evidence::Sealed;
use crate::state_dir::Pseudonym;
use crate::unique::Digests;
use crate::watermark::Watermark;

/// Room that is made for a record at once.
const USUAL_BYTES: usize = 1_536;

/// One of a few words: this program's own while it writes, whatever stands there when it reads.
pub type Word = Cow<'static, str>;

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// Durable before the first byte may leave.
    ReleaseIntent(Intent),
    /// What became of an intent. Without one, the answer may have been released.
    ReleaseResult(Finished),
    /// An answer that was kept in.
    Withheld(Withheld),
    /// The end of a request that never came to the gate.
    Ended(Ended),
    /// What an operator did.
    Operated(Operated),
    /// The process began to write.
    Started(Started),
    /// An unfinished write was cut off the end of a file at a start.
    Recovered(Recovered),
    /// How far these records were durable, signed.
    Checkpoint(SignedHead),
    /// A segment that was kept for as long as it must be is about to be removed.
    Dropped(Dropped),
    /// What a change bracket made of residents' records.
    Changed(Changed),
    /// What a canary saw.
    Canary(Sang),
    /// What became of a paper at its kiosk, in the kiosk's words.
    Closed(Closed),
}

impl Record {
    /// As it is written.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        // Most records of an answer fit: what grows from nothing is copied several times.
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        serde_json::to_writer(&mut bytes, self).ok().map(|()| bytes)
    }

    /// What became of the intent of `request`.
    pub fn result(request: RequestId, at: Timestamp, fate: Fate) -> Self {
        Self::ReleaseResult(Finished { request: request.to_string(), at, fate })
    }

    /// The request it is about.
    pub fn request(&self) -> &str {
        match self {
            Self::ReleaseIntent(r) => &r.about.request,
            Self::ReleaseResult(r) => &r.request,
            Self::Withheld(r) => &r.about.request,
            Self::Ended(r) => &r.request,
            Self::Canary(r) => r.request.as_deref().unwrap_or_default(),
            Self::Closed(r) => &r.request,
            Self::Operated(_)
            | Self::Changed(_)
            | Self::Started(_)
            | Self::Recovered(_)
            | Self::Checkpoint(_)
            | Self::Dropped(_) => "",
        }
    }

    /// When it was written.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::ReleaseIntent(r) => r.about.at,
            Self::ReleaseResult(r) => r.at,
            Self::Withheld(r) => r.about.at,
            Self::Ended(r) => r.at,
            Self::Operated(r) => r.at,
            Self::Started(r) => r.at,
            Self::Recovered(r) => r.at,
            Self::Checkpoint(r) => r.at,
            Self::Dropped(r) => r.at,
            Self::Changed(r) => r.at,
            Self::Canary(r) => r.at,
            Self::Closed(r) => r.at,
        }
    }
}

/// What a record about an answer says of its request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The request.
    pub request: String,
    /// When this was written.
    pub at: Timestamp,
    /// When the request arrived.
    pub arrived_at: Timestamp,
    /// When the first byte went to the backend.
    pub sent_at: Timestamp,
    /// When the last byte of the answer came.
    pub received_at: Timestamp,
    /// The route.
    pub route: String,
    /// What it does.
    pub operation: Word,
    /// Whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub municipality: Option<String>,
    /// What.
    pub kind: Word,
    /// The canary that asked, where no kiosk did: nothing of it left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
    /// Enforce or observe.
    pub mode: Word,
    /// Where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kiosk: Option<String>,
    /// In which session, by pseudonym.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Pseudonym>,
    /// For whom, by pseudonym.
    pub people: Vec<Pseudonym>,
    /// The attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<u64>,
    /// The ownership.
    pub epoch: u64,
    /// Bytes of the answer.
    pub bytes: u64,
    /// Keyed digest of the answer.
    pub body: String,
    /// What each check said.
    pub findings: Vec<Said>,
    /// The request whose kept answer is given again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<String>,
    /// Microseconds per stage until the verdict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages_us: Vec<(Word, u64)>,
}

/// What one check said: where and how, never what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Which.
    pub check: Word,
    /// `match`, `mismatch` or `unverifiable`.
    pub verdict: Word,
    /// Why it could not be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Word>,
    /// Where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<Where>,
    /// Whether the expectation came from somewhere other than the kiosk.
    pub independent: bool,
}

/// Where a difference was seen and of which sort.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Where {
    /// The configured field.
    pub field: String,
    /// The page, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// Characters expected.
    pub expected_chars: usize,
    /// Characters found.
    pub found_chars: usize,
    /// Script classes that differ.
    pub differs_in: String,
}

impl From<&FieldEvidence> for Where {
    fn from(field: &FieldEvidence) -> Self {
        Self {
            field: field.field.clone(),
            page: field.page,
            expected_chars: field.expected_chars,
            found_chars: field.found_chars,
            differs_in: field.differs_in.clone(),
        }
    }
}

impl From<&Finding> for Said {
    fn from(finding: &Finding) -> Self {
        let (verdict, reason, field) = match &finding.verdict {
            Verdict::Match => ("match", None, None),
            Verdict::Mismatch { field } => ("mismatch", None, Some(field.into())),
            Verdict::Unverifiable { reason } => ("unverifiable", Some(Cow::Borrowed(*reason)), None),
        };
        Self {
            check: finding.check.name().into(),
            verdict: verdict.into(),
            reason,
            field,
            independent: finding.independent,
        }
    }
}

/// Somebody is about to be handed an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Of which request.
    #[serde(flatten)]
    pub about: About,
    /// `false` where `observe` lets through what did not match.
    pub verified: bool,
    /// What `unique` will remember of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<Unique>,
    /// The marks that this amend sets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watermarks: Vec<Watermark>,
}

/// The digests of [`Digests`], in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unique {
    /// What the answer says.
    pub content: String,
    /// For which people.
    pub people: String,
    /// In which session.
    pub session: String,
    /// Its issue number, with the municipality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
}

impl From<&Digests> for Unique {
    fn from(digests: &Digests) -> Self {
        Self {
            content: format!("{:032x}", digests.content),
            people: format!("{:016x}", digests.people),
            session: format!("{:016x}", digests.session),
            number: digests.number.map(|n| format!("{n:032x}")),
        }
    }
}

impl Unique {
    /// Back from hexadecimal.
    pub fn digests(&self) -> Option<Digests> {
        let number = self.number.as_deref().map(|n| u128::from_str_radix(n, 16)).transpose().ok()?;
        Some(Digests {
            content: u128::from_str_radix(&self.content, 16).ok()?,
            people: u64::from_str_radix(&self.people, 16).ok()?,
            session: u64::from_str_radix(&self.session, 16).ok()?,
            number,
        })
    }
}

/// What became of an intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// Of which request.
    pub request: String,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub fate: Fate,
}

/// How far the bytes went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Fate {
    /// All bytes were handed to the connection.
    Complete,
    /// The connection ended after so many bytes.
    Cut {
        /// Bytes handed to the connection.
        after_bytes: u64,
    },
    /// No byte left: late, hung up, suspended or switched off meanwhile.
    Destroyed {
        /// Why.
        reason: String,
    },
}

/// An answer that was kept in. Its digest and where it differs; never its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Withheld {
    /// Of which request.
    #[serde(flatten)]
    pub about: About,
    /// The first check, or the seal, that said no.
    pub reason: String,
    /// Who was asked about and what was seen, for two persons only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
}

/// The end of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Which.
    pub request: String,
    /// When it arrived.
    pub arrived_at: Timestamp,
    /// When it ended.
    pub at: Timestamp,
    /// Where it was going.
    pub route: String,
    /// How it ended.
    pub outcome: String,
    /// Why.
    pub reason: String,
    /// The canary that asked, where no kiosk did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
}

/// What a change bracket made of some of its residents' records, durable before their lanes are opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// When.
    pub at: Timestamp,
    /// The bracket.
    pub bracket: u64,
    /// The marks that it sets.
    pub watermarks: Vec<Watermark>,
}

/// What a canary saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sang {
    /// When.
    pub at: Timestamp,
    /// Its configured name.
    pub canary: String,
    /// Whose document it asked for, by route.
    pub route: String,
    /// Of which municipality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub municipality: Option<String>,
    /// `release` or `withhold`.
    pub expect: String,
    /// `passed`, or what it saw instead.
    pub result: String,
    /// Why: a stable word.
    pub reason: String,
    /// Its request, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The request whose document was tried on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_of: Option<String>,
}

/// What the person at the kiosk did with a paper, as the kiosk says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The request that the paper left for.
    pub request: String,
    /// When.
    pub at: Timestamp,
    /// `confirmed` or `abandoned`.
    pub closed: String,
    /// The request that said so.
    pub by: String,
}

/// What an operator did, recorded before it was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operated {
    /// When.
    pub at: Timestamp,
    /// What.
    pub action: String,
    /// To what.
    pub about: String,
    /// Who, where they must say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Why, where they must say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Who writes from here on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// When.
    pub at: Timestamp,
    /// The number of the start.
    pub epoch: u64,
    /// The version that runs.
    pub build: String,
    /// The public key that signs checkpoints, hexadecimal.
    pub key: String,
}

/// What a crash left behind. It was never reported durable, so nothing depended on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// When.
    pub at: Timestamp,
    /// `records`, `intents`, `latches`, `switches` or `brackets`.
    pub file: String,
    /// The segment, of records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<u64>,
    /// Bytes that were cut off.
    pub torn_bytes: u64,
}

/// A segment that is removed because its time is over; the next one's header names this head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// When.
    pub at: Timestamp,
    /// Which.
    pub segment: u64,
    /// Its chain's head, hexadecimal.
    pub head: String,
    /// Records that it held.
    pub records: u64,
    /// When the last of them was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}
