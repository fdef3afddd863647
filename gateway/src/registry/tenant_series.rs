//! Documents by municipality: counted as verified and as ended by separate code, published in reverse order.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use metrics::Counter;
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
    ended: [[[Cell; End::ALL.len()]; MODES.len()]; KINDS],
    unverified: [Cell; KINDS],
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
    pub(crate) fn count_ended(&self, kind: DocumentKind, mode: Mode, end: End) {
        let modes = self.ended.get(kind.index()).and_then(|modes| modes.get(mode as usize));
        if let Some(cell) = modes.and_then(|ends| ends.get(end as usize)) {
            cell.add();
        }
    }

    /// Counts what `observe` let through although a check did not match.
    pub(crate) fn count_unverified(&self, kind: DocumentKind) {
        if let Some(cell) = self.unverified.get(kind.index()) {
            cell.add();
        }
    }

    /// Gives the series of what is enabled their 0.
    pub(super) fn expose(&self, maker: Maker<'_>, kinds: impl Iterator<Item = DocumentKind>, mode: Mode) {
        for kind in kinds {
            self.publish_one(maker, kind, mode, true, true);
        }
    }

    pub(super) fn publish_ended(&self, maker: Maker<'_>) {
        self.publish_all(maker, true);
    }

    pub(super) fn publish_verified(&self, maker: Maker<'_>) {
        self.publish_all(maker, false);
    }

    fn publish_all(&self, maker: Maker<'_>, ended: bool) {
        for kind in DocumentKind::ALL {
            for mode in MODES {
                self.publish_one(maker, kind, mode, ended, false);
            }
        }
    }

    /// `even_zero` publishes both halves: at declaration nothing is racing.
    fn publish_one(&self, maker: Maker<'_>, kind: DocumentKind, mode: Mode, ended: bool, even_zero: bool) {
        let code = self.municipality.as_ref().map_or("none", MunicipalityCode::as_str);
        let of = |rest: &[(&'static str, &str)]| {
            [("municipality", code), ("kind", kind.name())].iter().chain(rest).map(|(k, v)| label(k, v)).collect()
        };
        if ended || even_zero {
            for end in End::ALL {
                let labels = || of(&[("mode", mode.name()), ("end", end.name())]);
                let modes = self.ended.get(kind.index()).and_then(|modes| modes.get(mode as usize));
                if let Some(cell) = modes.and_then(|ends| ends.get(end as usize)) {
                    cell.publish(|| maker.counter(name::DOCUMENTS_ENDED, labels()), even_zero);
                }
            }
        }
        if !ended || even_zero {
            if let Some(cell) = self.verified.get(kind.index()).and_then(|modes| modes.get(mode as usize)) {
                cell.publish(|| maker.counter(name::DOCUMENTS_VERIFIED, of(&[("mode", mode.name())])), even_zero);
            }
            if let Some(cell) = self.unverified.get(kind.index()) {
                cell.publish(|| maker.counter(name::RELEASED_UNVERIFIED, of(&[])), even_zero);
            }
        }
    }
}
