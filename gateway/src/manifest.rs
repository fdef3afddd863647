//! What a backend attests of itself (product, build, patches, topology, configuration), and whether a municipality lets that serve it.
//!
//! Says no by itself to whatever it does not know; a backend's word can never widen what a municipality allows.

mod board;
mod seen;
mod source;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use board::Manifests;
pub use seen::{STALE_AFTER_PERIODS, State};
pub use source::{NotRead, Place, Source};
pub(crate) use watch::watch;

/// One thing that a backend attests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// What it is.
    Product,
    /// Which build of it.
    Build,
    /// Which patches are in it.
    Patches,
    /// For how many hosts it was made, or on how many it runs.
    Topology,
    /// A digest of its configuration.
    Configuration,
    /// The one machine that it lets in: proof that nobody else asks it.
    ExclusiveTo,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 6] =
        [Self::Product, Self::Build, Self::Patches, Self::Topology, Self::Configuration, Self::ExclusiveTo];

    /// The name in configuration files and listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Build => "build",
            Self::Patches => "patches",
            Self::Topology => "topology",
            Self::Configuration => "configuration",
            Self::ExclusiveTo => "exclusive_to",
        }
    }
}

/// What one backend said of itself.
pub type Manifest = BTreeMap<Field, Arc<str>>;

/// `backend = { allow = [{ build = "V5.2-p07", topology = "1" }], otherwise = "refuse" }` of a municipality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowList {
    /// Any one of these.
    pub rows: Vec<Row>,
    /// What becomes of a build that is in no row.
    pub otherwise: Otherwise,
}

/// One row: everything it names must be attested so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Only this backend; absent = any that attests.
    pub backend: Option<Arc<str>>,
    /// What must be attested.
    pub fields: Manifest,
}

/// What becomes of a build that is in no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// Nothing is served.
    Refuse,
    /// It is served behind the hazards that its backend declares for that very build; without such hazards, nothing is.
    Shield,
}

/// How a municipality stands to the backends that would serve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It asks for nothing.
    Unasked,
    /// All are on its list.
    Allowed,
    /// One is not, and is served behind its shield.
    Shielded,
}

impl Standing {
    /// The word in listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unasked => "unasked",
            Self::Allowed => "allowed",
            Self::Shielded => "shielded",
        }
    }
}

/// Why a municipality is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unattested {
    /// It names another machine than this one, or its backend does.
    OtherMachine,
    /// The backend that would answer attests nothing.
    Missing,
    /// Nothing was read yet.
    Unread,
    /// What it said could not be read.
    Unreadable,
    /// Nothing was read for too long.
    Stale,
    /// It says one thing and another.
    Contradictory,
    /// What it says is on no row.
    NotAllowed,
    /// It changed while the request was in flight.
    Changed,
}

impl Unattested {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::OtherMachine,
        Self::Missing,
        Self::Unread,
        Self::Unreadable,
        Self::Stale,
        Self::Contradictory,
        Self::NotAllowed,
        Self::Changed,
    ];
    /// Their names.
    pub const NAMES: [&'static str; 8] = [
        "other_machine",
        "manifest_missing",
        "manifest_unread",
        "manifest_unreadable",
        "manifest_stale",
        "manifest_contradictory",
        "build_not_allowed",
        "manifest_changed",
    ];

    /// The word in problems, readiness, listings and metrics.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().position(|why| *why == self).and_then(|at| Self::NAMES.get(at)).unwrap_or(&"other")
    }
}

impl AllowList {
    /// Whether `backend` may serve; `has_shield` says whether it declares hazards for a build.
    pub fn judge(
        &self,
        backend: &str,
        state: &State,
        has_shield: impl Fn(&str) -> bool,
    ) -> Result<Standing, Unattested> {
        let manifest = match state {
            State::Read(manifest) => manifest,
            State::Unread => return Err(Unattested::Unread),
            State::Unreadable => return Err(Unattested::Unreadable),
            State::Stale => return Err(Unattested::Stale),
            State::Contradictory => return Err(Unattested::Contradictory),
        };
        let concerns = |row: &&Row| row.backend.as_deref().is_none_or(|name| name == backend);
        let fits = |row: &Row| row.fields.iter().all(|(field, value)| manifest.get(field) == Some(value));
        if self.rows.iter().filter(concerns).any(fits) {
            return Ok(Standing::Allowed);
        }
        match (self.otherwise, manifest.get(&Field::Build)) {
            (Otherwise::Shield, Some(build)) if has_shield(build) => Ok(Standing::Shielded),
            _ => Err(Unattested::NotAllowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn manifest(fields: &[(Field, &str)]) -> Manifest {
        fields.iter().map(|(field, value)| (*field, Arc::from(*value))).collect()
    }

    fn read(fields: &[(Field, &str)]) -> State {
        State::Read(Arc::new(manifest(fields)))
    }

    fn list(otherwise: Otherwise) -> AllowList {
        let row = |backend: Option<&str>, fields: &[(Field, &str)]| Row {
            backend: backend.map(Into::into),
            fields: manifest(fields),
        };
        let rows = vec![
            row(None, &[(Field::Build, "p07"), (Field::Topology, "2")]),
            row(Some("records"), &[(Field::Build, "r1")]),
        ];
        AllowList { rows, otherwise }
    }

    #[test]
    fn a_row_must_fit_whole_and_for_its_own_backend() {
        let judge =
            |backend: &str, fields: &[(Field, &str)]| list(Otherwise::Refuse).judge(backend, &read(fields), |_| true);
        let good = [(Field::Build, "p07"), (Field::Topology, "2"), (Field::Product, "any")];
        assert_eq!(judge("issuer", &good), Ok(Standing::Allowed));
        for wrong in [
            &[(Field::Build, "p07"), (Field::Topology, "1")][..],
            &[(Field::Build, "p07")],
            &[(Field::Build, "P07"), (Field::Topology, "2")],
            &[(Field::Build, "r1")],
            &[],
        ] {
            assert_eq!(judge("issuer", wrong), Err(Unattested::NotAllowed), "{wrong:?}");
        }
        assert_eq!(judge("records", &[(Field::Build, "r1")]), Ok(Standing::Allowed));
    }

    #[test]
    fn only_a_known_build_with_a_shield_of_its_own_is_served_behind_it() {
        let judge = |state: &State| list(Otherwise::Shield).judge("issuer", state, |build| build == "p06");
        assert_eq!(judge(&read(&[(Field::Build, "p06")])), Ok(Standing::Shielded));
        assert_eq!(judge(&read(&[(Field::Build, "p05")])), Err(Unattested::NotAllowed));
        assert_eq!(judge(&read(&[(Field::Topology, "1")])), Err(Unattested::NotAllowed));
        for (state, why) in [
            (State::Unread, Unattested::Unread),
            (State::Unreadable, Unattested::Unreadable),
            (State::Stale, Unattested::Stale),
            (State::Contradictory, Unattested::Contradictory),
        ] {
            assert_eq!(judge(&state), Err(why));
        }
    }

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> = Unattested::ALL.map(Unattested::name).into();
        assert_eq!(words.len(), Unattested::ALL.len());
        assert_eq!(Unattested::Changed.name(), "manifest_changed");
        assert_eq!(Unattested::NotAllowed.name(), "build_not_allowed");
    }
}
