//! Latches: suspensions after a confirmed mismatch, which only a person clears. Kept in a journal of their own.
//!
//! A latch holds in memory before anybody is answered and is durable before the kiosk is; a good retry never clears one.

mod clearance;
mod rules;
mod store;

use std::fmt;

use jiff::Timestamp;
use sekisho_issuance::id::{KioskId, MunicipalityCode, RequestId};
use serde::{Deserialize, Serialize};

use crate::registry::DocumentKind;

pub use clearance::{FIRST_WORD_HOLDS, MOST_APPROVERS};
pub use rules::{Consequence, Failure, SUSPICION_WINDOW, consequence};
pub use store::{ClearError, Latches, Setting};

/// Names one latch, for ever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LatchId(String);

impl LatchId {
    /// From what an operator typed.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The latch that `request` set on `scope`.
    fn of(request: RequestId, scope: &Scope) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&request.as_u128().to_be_bytes());
        hasher.update(scope.to_string().as_bytes());
        Self(format!("L-{}", hasher.finalize().to_hex().chars().take(12).collect::<String>()))
    }
}

impl fmt::Display for LatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names what was kept of a withheld answer: whoever gives it has looked at it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EvidenceId(String);

impl EvidenceId {
    /// The id of the record that says `record`.
    pub fn of(record: &[u8]) -> Self {
        Self(format!("E-{}", blake3::hash(record).to_hex().chars().take(12).collect::<String>()))
    }

    /// As written in records.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EvidenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is suspended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// One kind of one municipality.
    Kind(Option<MunicipalityCode>, DocumentKind),
    /// One kiosk, whose own values were contradicted.
    Kiosk(KioskId),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(Some(municipality), kind) => write!(f, "{municipality}/{}", kind.name()),
            Self::Kind(None, kind) => write!(f, "none/{}", kind.name()),
            Self::Kiosk(kiosk) => write!(f, "kiosk/{}", kiosk.as_str()),
        }
    }
}

impl Scope {
    fn parse(text: &str) -> Option<Self> {
        let (place, rest) = text.split_once('/')?;
        if place == "kiosk" {
            return KioskId::new(rest).ok().map(Self::Kiosk);
        }
        let kind = DocumentKind::ALL.into_iter().find(|k| k.name() == rest)?;
        match place {
            "none" => Some(Self::Kind(None, kind)),
            code => MunicipalityCode::new(code).ok().map(|code| Self::Kind(Some(code), kind)),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("is not a scope"))
    }
}

/// One latch and, once a person cleared it, who did and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latch {
    /// Its name.
    pub id: LatchId,
    /// What it suspends.
    pub scope: Scope,
    /// Whose answer set it: who says how many persons clear it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub municipality: Option<MunicipalityCode>,
    /// Since when.
    pub set_at: Timestamp,
    /// The check that said so.
    pub reason: String,
    /// At once, on a confirmed mismatch; otherwise after several unexplained failures.
    pub confirmed: bool,
    /// `false` where it was only recorded, in `observe`.
    pub suspends: bool,
    /// The request that set it.
    pub request: String,
    /// What was kept of its answer.
    pub evidence: EvidenceId,
    /// The first of two persons' words, where two are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Clearance>,
    /// Who cleared it; where two are asked for, the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared: Option<Clearance>,
}

impl Latch {
    /// Who says how many persons clear it; a latch of an earlier build says it by its scope alone.
    pub fn tenant(&self) -> Option<MunicipalityCode> {
        self.municipality.or(match &self.scope {
            Scope::Kind(municipality, _) => *municipality,
            Scope::Kiosk(_) => None,
        })
    }
}

/// A person's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clearance {
    /// Who.
    pub name: String,
    /// Why, in writing.
    pub reason: String,
    /// What they looked at: must be the latch's own evidence.
    pub evidence: EvidenceId,
    /// When.
    pub at: Timestamp,
}
