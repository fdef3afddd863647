//! A municipality as its policy stands: name, switch, mode, hours, kinds. Read-only after loading.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::{Date, DateTime, Time, Weekday};
use sekisho_issuance::certificate::Kind;
use sekisho_issuance::id::MunicipalityCode;

use crate::evidence::EvidenceKey;
use crate::manifest::AllowList;
use crate::route::Mode;

/// Days on which a whole country rests, besides Saturdays and Sundays.
pub type Holidays = Arc<BTreeSet<Date>>;

/// One municipality's policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its code.
    pub code: MunicipalityCode,
    /// The name as certificates print it (`見本市`).
    pub name: Arc<str>,
    /// Whom to call about it; shown beside its latches and in `tenants`.
    pub contact: Option<Arc<str>>,
    /// Whether anything is served; absent in the file means no.
    pub enabled: bool,
    /// Enforce or observe; a route may only be stricter.
    pub mode: Mode,
    /// Hours of service.
    pub hours: Hours,
    /// The certificates it issues, some with narrower hours; absent = every kind that a route has.
    pub kinds: Option<BTreeMap<Kind, KindHours>>,
    /// The weight of its reserved share of every backend that it asks.
    pub share: u16,
    /// Requests of it at once beyond which no new session is begun; absent = no limit of its own.
    pub max_in_flight: Option<usize>,
    /// The country's.
    pub holidays: Holidays,
    /// The builds of backends that may serve it; absent = any.
    pub allow: Option<AllowList>,
    /// The one machine that may serve it; absent = any. Declared, not proven, unless the backend attests it.
    pub machine: Option<Arc<str>>,
    /// How many different persons clear a latch of it.
    pub approvers: usize,
    /// To whom evidence of its answers is sealed; absent = `[audit] evidence_key`.
    pub evidence_key: Option<EvidenceKey>,
}

/// When a municipality is served, Japan Standard Time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    /// From the first to before the second time of day; absent = around the clock, only for codes that begin with 99.
    pub daily: Option<(Time, Time)>,
    /// Days of every year, or of one.
    pub closed: Vec<Closed>,
    /// From the first to before the second moment.
    pub maintenance: Vec<(DateTime, DateTime)>,
}

/// Days without service, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Every year, by month and day; may reach over New Year.
    Yearly((i8, i8), (i8, i8)),
    /// Once.
    Dates(Date, Date),
}

/// Narrower hours of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KindHours {
    /// As [`Hours::daily`]; absent = the municipality's.
    pub daily: Option<(Time, Time)>,
    /// Monday to Friday, and no holiday.
    pub weekdays_only: bool,
}

/// Why nothing is served now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotServed {
    /// Not enabled.
    Disabled,
    /// Outside its hours, or on a day on which it is closed.
    Closed,
    /// In a time set aside for maintenance.
    Maintenance,
    /// This kind is not issued by it at all.
    NoSuchKind,
    /// This kind has narrower hours.
    KindClosed,
}

impl NotServed {
    /// The metric label and the word in readiness.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Closed => "closed",
            Self::Maintenance => "maintenance",
            Self::NoSuchKind => "kind_not_issued",
            Self::KindClosed => "kind_closed",
        }
    }
}

impl Tenant {
    /// Whether `kind` is served at `now` in Japan; without a kind, whether anything is.
    pub fn serves(&self, kind: Option<Kind>, now: DateTime) -> Result<(), NotServed> {
        if !self.enabled {
            return Err(NotServed::Disabled);
        }
        if self.hours.maintenance.iter().any(|(from, to)| *from <= now && now < *to) {
            return Err(NotServed::Maintenance);
        }
        let (date, time) = (now.date(), now.time());
        if !within(self.hours.daily, time) || self.hours.closed.iter().any(|closed| closed.has(date)) {
            return Err(NotServed::Closed);
        }
        let Some((kinds, kind)) = self.kinds.as_ref().zip(kind) else { return Ok(()) };
        let narrower = kinds.get(&kind).ok_or(NotServed::NoSuchKind)?;
        let rests = || matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) || self.holidays.contains(&date);
        if !within(narrower.daily, time) || (narrower.weekdays_only && rests()) {
            return Err(NotServed::KindClosed);
        }
        Ok(())
    }

    /// Whether it issues `kind` at all.
    pub fn issues(&self, kind: Option<Kind>) -> bool {
        self.kinds.as_ref().zip(kind).is_none_or(|(kinds, kind)| kinds.contains_key(&kind))
    }
}

fn within(daily: Option<(Time, Time)>, time: Time) -> bool {
    daily.is_none_or(|(from, to)| from <= time && time < to)
}

impl Closed {
    fn has(self, date: Date) -> bool {
        match self {
            Self::Dates(from, to) => from <= date && date <= to,
            Self::Yearly(from, to) => {
                let day = (date.month(), date.day());
                if from <= to { from <= day && day <= to } else { from <= day || day <= to }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Enabled, with the usual hours.
    pub(crate) fn usual() -> Tenant {
        Tenant {
            code: MunicipalityCode::new("991007").unwrap(),
            name: "見本市".into(),
            contact: None,
            enabled: true,
            mode: Mode::Enforce,
            hours: Hours {
                daily: Some((Time::constant(6, 30, 0, 0), Time::constant(23, 0, 0, 0))),
                closed: vec![Closed::Yearly((12, 29), (1, 3))],
                maintenance: Vec::new(),
            },
            kinds: None,
            share: 1,
            max_in_flight: None,
            holidays: Holidays::default(),
            allow: None,
            machine: None,
            approvers: 1,
            evidence_key: None,
        }
    }

    fn at(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    #[test]
    fn hours_include_their_first_minute_and_not_their_last() {
        let tenant = usual();
        let open = |time: &str| tenant.serves(None, at(&format!("2026-11-22T{time}"))).is_ok();
        assert!(!open("06:29:59") && open("06:30:00") && open("22:59:59") && !open("23:00:00") && !open("00:00:00"));
    }

    #[test]
    fn the_turn_of_the_year_is_closed_over_new_year() {
        let tenant = usual();
        let noon = |date: &str| tenant.serves(None, at(&format!("{date}T12:00:00")));
        for closed in ["2026-12-29", "2026-12-31", "2027-01-01", "2027-01-03"] {
            assert_eq!(noon(closed), Err(NotServed::Closed), "{closed}");
        }
        assert!(noon("2026-12-28").is_ok() && noon("2027-01-04").is_ok());
    }

    #[test]
    fn a_kind_may_be_narrower_and_one_that_is_not_listed_is_not_issued() {
        let mut tenant = usual();
        let office =
            KindHours { daily: Some((Time::constant(9, 0, 0, 0), Time::constant(17, 0, 0, 0))), weekdays_only: true };
        tenant.kinds = Some([(Kind::Tax, KindHours::default()), (Kind::FamilyRegister, office)].into());
        tenant.holidays = Arc::new([at("2026-11-23T00:00").date()].into());
        let serves = |kind, moment| tenant.serves(Some(kind), at(moment));
        assert!(serves(Kind::FamilyRegister, "2026-11-24T09:00:00").is_ok(), "a Tuesday");
        for rest in ["2026-11-24T08:59:59", "2026-11-24T17:00:00", "2026-11-22T12:00:00", "2026-11-23T12:00:00"] {
            assert_eq!(serves(Kind::FamilyRegister, rest), Err(NotServed::KindClosed), "{rest}");
        }
        assert!(serves(Kind::Tax, "2026-11-22T12:00:00").is_ok());
        assert_eq!(serves(Kind::ResidentRecord, "2026-11-24T12:00:00"), Err(NotServed::NoSuchKind));
        assert!(tenant.serves(None, at("2026-11-24T12:00:00")).is_ok(), "a session may be opened for what is issued");
    }

    #[test]
    fn maintenance_ends_with_its_last_moment_and_disabled_comes_first() {
        let mut tenant = usual();
        tenant.hours.maintenance = vec![(at("2026-12-06T07:00"), at("2026-12-06T12:00"))];
        assert!(tenant.serves(None, at("2026-12-06T06:59:59")).is_ok());
        assert_eq!(tenant.serves(None, at("2026-12-06T07:00:00")), Err(NotServed::Maintenance));
        assert!(tenant.serves(None, at("2026-12-06T12:00:00")).is_ok());
        tenant.enabled = false;
        assert_eq!(tenant.serves(None, at("2026-12-06T07:00:00")), Err(NotServed::Disabled));
    }
}
