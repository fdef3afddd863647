//! Documents by municipality: counted as verified and as ended by separate code, published in reverse order. Kinds are told apart
//! where documents are verified and nowhere else: two thousand municipalities times everything is more than a scrape bears.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use metrics::{Counter, Label};
use sekisho_issuance::certificate::Kind;
use sekisho_issuance::id::MunicipalityCode;

use super::metric::name;
use super::{Maker, label};
use crate::route::Mode;

/// What an answer about a resident is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// A certificate.
    Certificate(Kind),
    /// The answer to an inquiry or an amendment.
    Answer,
    /// The backend's lawful no.
    Refusal,
}

impl DocumentKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Certificate(Kind::ResidentRecord),
        Self::Certificate(Kind::ResidentItems),
        Self::Certificate(Kind::SealRegistration),
        Self::Certificate(Kind::Tax),
        Self::Certificate(Kind::FamilyRegister),
        Self::Certificate(Kind::FamilyRegisterAddress),
        Self::Answer,
        Self::Refusal,
    ];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Certificate(kind) => kind.name(),
            Self::Answer => "answer",
            Self::Refusal => "refusal",
        }
    }

    fn index(self) -> usize {
        Self::ALL.iter().position(|k| *k == self).unwrap_or(0)
    }
}

/// What became of a verified document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its first byte left.
    Released,
    /// It died in the gateway: late, hung up, latched meanwhile.
    Destroyed,
}

impl End {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Released, Self::Destroyed];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Destroyed => "destroyed",
        }
    }
}

const KINDS: usize = DocumentKind::ALL.len();
const MODES: [Mode; 2] = [Mode::Observe, Mode::Enforce];

/// One number and, once it has a series, its handle.
#[derive(Default)]
struct Cell {
    count: AtomicU64,
    handle: Mutex<Option<Counter>>,
}

impl Cell {
    fn add(&self) {
        self.count.fetch_add(1, Ordering::Release);
    }

    /// A number that is 0 and has no series stays without one.
    fn publish(&self, make: impl FnOnce() -> Counter, even_zero: bool) {
        let count = self.count.load(Ordering::Acquire);
        let mut handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        if handle.is_none() && (count > 0 || even_zero) {
            *handle = Some(make());
        }
        if let Some(counter) = &*handle {
            counter.absolute(count);
        }
    }
}

/// All series that carry this municipality's code.
pub struct TenantSeries {
    municipality: Option<MunicipalityCode>,
    verified: [[Cell; MODES.len()]; KINDS],
    ended: [[Cell; End::ALL.len()]; MODES.len()],
    unverified: Cell,
}

impl TenantSeries {
    pub(super) fn new(_: Maker<'_>, municipality: Option<MunicipalityCode>) -> Self {
        Self { municipality, verified: Default::default(), ended: Default::default(), unverified: Default::default() }
    }

    /// Counts a document where it becomes releasable.
    pub(crate) fn count_verified(&self, kind: DocumentKind, mode: Mode) {
        if let Some(cell) = self.verified.get(kind.index()).and_then(|modes| modes.get(mode as usize)) {
            cell.add();
        }
    }

    /// Counts a document where its bytes leave or die.
    pub(crate) fn count_ended(&self, mode: Mode, end: End) {
        if let Some(cell) = self.ended.get(mode as usize).and_then(|ends| ends.get(end as usize)) {
            cell.add();
        }
    }

    /// Counts what `observe` let through although a check did not match.
    pub(crate) fn count_unverified(&self) {
        self.unverified.add();
    }

    /// Gives the series of what is enabled their 0. At declaration nothing is racing.
    pub(super) fn expose(&self, maker: Maker<'_>, kinds: impl Iterator<Item = DocumentKind>, mode: Mode) {
        self.publish_ends(maker, mode, true);
        kinds.for_each(|kind| self.publish_kind(maker, kind, mode, true));
        self.publish_released_unverified(maker, true);
    }

    pub(super) fn publish_ended(&self, maker: Maker<'_>) {
        MODES.into_iter().for_each(|mode| self.publish_ends(maker, mode, false));
    }

    pub(super) fn publish_verified(&self, maker: Maker<'_>) {
        for kind in DocumentKind::ALL {
            MODES.into_iter().for_each(|mode| self.publish_kind(maker, kind, mode, false));
        }
        self.publish_released_unverified(maker, false);
    }

    fn publish_ends(&self, maker: Maker<'_>, mode: Mode, even_zero: bool) {
        for end in End::ALL {
            if let Some(cell) = self.ended.get(mode as usize).and_then(|ends| ends.get(end as usize)) {
                let labels = || self.labels(&[("mode", mode.name()), ("end", end.name())]);
                cell.publish(|| maker.counter(name::DOCUMENTS_ENDED, labels()), even_zero);
            }
        }
    }

    fn publish_kind(&self, maker: Maker<'_>, kind: DocumentKind, mode: Mode, even_zero: bool) {
        if let Some(cell) = self.verified.get(kind.index()).and_then(|modes| modes.get(mode as usize)) {
            let labels = || self.labels(&[("kind", kind.name()), ("mode", mode.name())]);
            cell.publish(|| maker.counter(name::DOCUMENTS_VERIFIED, labels()), even_zero);
        }
    }

    fn publish_released_unverified(&self, maker: Maker<'_>, even_zero: bool) {
        self.unverified.publish(|| maker.counter(name::RELEASED_UNVERIFIED, self.labels(&[])), even_zero);
    }

    fn labels(&self, rest: &[(&'static str, &str)]) -> Vec<Label> {
        let code = self.municipality.as_ref().map_or("none", MunicipalityCode::as_str);
        [("municipality", code)].iter().chain(rest).map(|(k, v)| label(k, v)).collect()
    }
}
