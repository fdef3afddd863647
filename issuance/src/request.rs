//! What a request says, extracted once and then frozen.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::certificate::Kind;
use crate::id::{CardDigest, IdempotencyKey, KioskId, MunicipalityCode, ResidentId, SessionId};

/// What a route declares that a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Answers with a certificate.
    Issue,
    /// Reads a record.
    Inquire,
    /// Changes a record; never retried by us.
    Amend,
    /// Starts a kiosk session.
    Open,
    /// Ends a kiosk session.
    Close,
    /// Speaks of no resident.
    Pass,
}

impl Operation {
    /// The name in configuration files and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Inquire => "inquire",
            Self::Amend => "amend",
            Self::Open => "open",
            Self::Close => "close",
            Self::Pass => "pass",
        }
    }

    /// Whether its answer speaks of a resident, so that it needs a lane and a verified release.
    pub const fn speaks_of_resident(self) -> bool {
        matches!(self, Self::Issue | Self::Inquire | Self::Amend)
    }
}

/// Optional items exactly as asked (`copies`, `with_household`, ...), by declared name.
pub type Selection = BTreeMap<String, String>;

/// The facts of one request: from the request itself, from its pinned session, or from an authority's lookup.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The device that asks.
    pub kiosk: Option<KioskId>,
    /// One card presence.
    pub session: Option<SessionId>,
    /// Whose municipality answers.
    pub municipality: Option<MunicipalityCode>,
    /// Of whom the answer speaks; sorted and without repetition, the applicant being [`Facts::applicant`].
    pub residents: Vec<ResidentId>,
    /// Who holds the card.
    pub applicant: Option<ResidentId>,
    /// Which certificate.
    pub kind: Option<Kind>,
    /// Optional items as asked.
    pub selection: Selection,
    /// The card that was presented.
    pub card: Option<CardDigest>,
    /// The client's key for a retry.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// An item of the selection may be a new address or a name: only which items were asked is shown.
impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts")
            .field("kiosk", &self.kiosk)
            .field("municipality", &self.municipality)
            .field("residents", &self.residents.len())
            .field("kind", &self.kind)
            .field("selection", &self.selection.keys())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_address_among_the_facts_is_not_shown_by_debug() {
        let facts = Facts {
            kiosk: None,
            session: None,
            municipality: None,
            residents: Vec::new(),
            applicant: None,
            kind: None,
            selection: Selection::from([("address".to_owned(), "見本市港町9".to_owned())]),
            card: None,
            idempotency_key: None,
        };
        let shown = format!("{facts:?}");
        assert!(shown.contains("address") && !shown.contains("港町"), "{shown}");
    }
}
