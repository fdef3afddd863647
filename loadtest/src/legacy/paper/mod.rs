//! The paper: what each form prints about whom, in three producers' habits. Knows nothing of faults.

mod assemble;
mod font;
mod ink;
mod page;
mod picture;
mod sheet;
mod wording;

use std::sync::Arc;

use super::resident::Record;

pub(super) use assemble::{Press, Stamp, Taken};
pub(super) use page::{PageImage, render};
pub(super) use wording::{jst_date, printable};

/// The kinds of certificate, by what this product calls them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// 住民票の写し
    ResidentRecord,
    /// 住民票記載事項証明書
    ResidentItems,
    /// 印鑑登録証明書
    SealRegistration,
    /// 所得・課税証明書
    Tax,
    /// 戸籍全部・個人事項証明書
    FamilyRegister,
    /// 戸籍の附票の写し
    FamilyRegisterAddress,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 6] = [
        Self::ResidentRecord,
        Self::ResidentItems,
        Self::SealRegistration,
        Self::Tax,
        Self::FamilyRegister,
        Self::FamilyRegisterAddress,
    ];

    /// The last segment of its URL.
    pub const fn path(self) -> &'static str {
        match self {
            Self::ResidentRecord => "resident-record",
            Self::ResidentItems => "resident-items",
            Self::SealRegistration => "seal-registration",
            Self::Tax => "tax",
            Self::FamilyRegister => "family-register",
            Self::FamilyRegisterAddress => "family-register-address",
        }
    }

    /// The form with that URL segment.
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.path() == path)
    }

    /// The title line.
    pub const fn title(self) -> &'static str {
        match self {
            Self::ResidentRecord => "住民票の写し",
            Self::ResidentItems => "住民票記載事項証明書",
            Self::SealRegistration => "印鑑登録証明書",
            Self::Tax => "所得・課税証明書",
            Self::FamilyRegister => "戸籍全部・個人事項証明書",
            Self::FamilyRegisterAddress => "戸籍の附票の写し",
        }
    }

    /// Seal and tax certificates are about one person whatever was asked.
    pub const fn one_person_only(self) -> bool {
        matches!(self, Self::SealRegistration | Self::Tax)
    }
}

/// Whom a certificate covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The person who asks.
    OnePerson,
    /// Everyone of the household.
    Household,
}

/// How many people a sheet has room for.
pub const PEOPLE_A_SHEET: usize = 4;

/// What a certificate is made from: records as they were read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extract {
    /// What is printed.
    pub(crate) form: Form,
    /// Index of the municipality whose paper it is.
    pub(crate) city: usize,
    /// Name of the head of household, for every sheet's header.
    pub(crate) head: String,
    /// Whose address stands in every sheet's header.
    pub(crate) requester: Arc<Record>,
    /// Everyone printed, in order.
    pub(crate) people: Vec<Arc<Record>>,
}

impl Extract {
    /// How many sheets it takes.
    pub(crate) fn sheets(&self) -> usize {
        self.people.len().div_ceil(PEOPLE_A_SHEET).max(1)
    }
}
