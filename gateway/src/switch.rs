//! Kill switches: what an operator has taken out of service. At once, for what is in flight too, and across restarts.
//!
//! A switch is set by the admin API or by a file; nothing here ever puts anything back into service by itself.

mod files;
mod store;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use sekisho_issuance::certificate::Kind;
use sekisho_issuance::id::MunicipalityCode;
use serde::{Deserialize, Serialize};

use crate::config::Config;

pub use store::{ClearError, SetError, Switches};

/// How often the files are read ([`Switches::read_files`]).
pub const FILES_EVERY: std::time::Duration = std::time::Duration::from_millis(200);

/// Names one switch, for ever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SwitchId(String);

impl SwitchId {
    /// From what an operator typed.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    fn random() -> Self {
        Self(format!("S-{:012x}", rand::random::<u64>() >> 16))
    }
}

impl fmt::Display for SwitchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is out of service. Written `all`, `municipality/991007`, `kind/tax`, `991007/tax` or `backend/issuer`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everything.
    All,
    /// One municipality.
    Municipality(MunicipalityCode),
    /// One kind of certificate, everywhere.
    Kind(Kind),
    /// One kind of one municipality.
    Here(MunicipalityCode, Kind),
    /// Whatever one backend answers.
    Backend(Arc<str>),
}

impl Scope {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let kind = |name: &str| Kind::ALL.into_iter().find(|kind| kind.name() == name);
        let code = |text: &str| MunicipalityCode::new(text).ok();
        match text.split_once('/') {
            None => (text == "all").then_some(Self::All),
            Some(("municipality", place)) => code(place).map(Self::Municipality),
            Some(("kind", name)) => kind(name).map(Self::Kind),
            Some(("backend", name)) => (!name.is_empty()).then(|| Self::Backend(name.into())),
            Some((place, name)) => Some(Self::Here(code(place)?, kind(name)?)),
        }
    }

    /// Whether `config` has what it names: a switch on something that does not exist is a slip of the pen.
    pub fn is_about_something_in(&self, config: &Config) -> bool {
        match self {
            Self::All | Self::Kind(_) => true,
            Self::Municipality(code) | Self::Here(code, _) => config.tenants.contains_key(code),
            Self::Backend(name) => config.backends.contains_key(name),
        }
    }

    /// The metric label.
    const fn class(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Municipality(_) => "municipality",
            Self::Kind(_) => "kind",
            Self::Here(..) => "municipality_kind",
            Self::Backend(_) => "backend",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Municipality(code) => write!(f, "municipality/{code}"),
            Self::Kind(kind) => write!(f, "kind/{}", kind.name()),
            Self::Here(code, kind) => write!(f, "{code}/{}", kind.name()),
            Self::Backend(name) => write!(f, "backend/{name}"),
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

/// What a request is about, as far as switches ask.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Whose.
    pub municipality: Option<MunicipalityCode>,
    /// The certificate that is asked for.
    pub kind: Option<Kind>,
    /// Who would be called.
    pub backend: &'a str,
}

/// One switch and, once a person cleared it, who did and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// Its name.
    pub id: SwitchId,
    /// What it takes out of service.
    pub scope: Scope,
    /// Who set it, why and when.
    pub set: Word,
    /// Who cleared it, why and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared: Option<Word>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_as_they_are_written_and_nothing_else_is_one() {
        for text in ["all", "municipality/991007", "kind/tax", "991007/tax", "backend/issuer"] {
            assert_eq!(Scope::parse(text).expect(text).to_string(), text);
        }
        for text in
            ["", "ALL", "all/", "municipality/991008", "municipality/", "kind/taxes", "991007/", "991007", "backend/"]
        {
            assert_eq!(Scope::parse(text), None, "{text}");
        }
    }
}
