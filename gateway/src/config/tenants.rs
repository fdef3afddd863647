//! One municipality's table: `[tenants.CODE]`, or a file of its own. Absent means not served; not `enabled` means closed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::civil::{Date, DateTime, Time};
use sekisho_issuance::certificate::Kind;
use sekisho_issuance::id::MunicipalityCode;

use super::backends::Backend;
use super::manifest;
use super::section::{Placed, Section};
use super::source::Findings;
use super::tenant_files::{self, TenantFiles};
use crate::latch::MOST_APPROVERS;
use crate::route::Mode;
use crate::tenant::{Closed, Holidays, Hours, KindHours, Tenant};

pub(super) type Tenants = HashMap<MunicipalityCode, Arc<Tenant>>;

/// 06:30-23:00, as the convenience-store service runs.
const USUAL: (Time, Time) = (Time::constant(6, 30, 0, 0), Time::constant(23, 0, 0, 0));
/// As the convenience-store service rests.
const NEW_YEAR: Closed = Closed::Yearly((12, 29), (1, 3));
/// Spans in one list.
const MAX_SPANS: usize = 400;
/// The highest limit of a municipality's own.
const MAX_IN_FLIGHT: usize = 100_000;
/// The largest weight of a municipality's reserved share.
const MAX_SHARE: usize = 1000;
/// Longest name or contact.
const MAX_TEXT_BYTES: usize = 400;

/// What the rest of the configuration says that a municipality's own table depends on.
pub(super) struct Around<'a> {
    pub(super) mode: Mode,
    pub(super) holidays: Holidays,
    pub(super) backends: &'a BTreeMap<Arc<str>, Backend>,
}

/// Everything under `[tenants]`: the tables here, and the files of `dir`.
pub(super) fn read(
    root: &mut Section<'_>,
    mode: Mode,
    backends: &BTreeMap<Arc<str>, Backend>,
    found: &mut Findings,
) -> (Tenants, TenantFiles) {
    let (mut tenants, mut files) = (Tenants::new(), TenantFiles::default());
    let Some(mut section) = root.section(found, "tenants") else { return (tenants, files) };
    let dir = section.text(found, "dir", "tenants");
    let holidays = section.text(found, "holidays", "holidays.csv");
    let holidays = holidays.map(|placed| tenant_files::holidays(&placed, found)).unwrap_or_default();
    let around = Around { mode, holidays, backends };
    for (place, value) in section.entries().filter(|(place, _)| !matches!(place.value, "dir" | "holidays")) {
        let Some(table) = value.get_ref().as_table() else {
            place.wrong(found, "must be a table", "[tenants.991007]");
            continue;
        };
        let code = code(&place, found);
        let tenant = one(Section::new(table, place.key.clone(), place.span.clone()), code, &around, found);
        if let Some(tenant) = tenant {
            if !tenant.enabled {
                let what = "is not enabled: every request for it is answered \"closed\"";
                found.note(&place.span, place.key.clone(), what, &[]);
            }
            tenants.insert(tenant.code, Arc::new(tenant));
        }
    }
    if let Some(dir) = dir {
        tenant_files::read(&dir, &around, found, &mut tenants, &mut files);
    }
    (tenants, files)
}

fn code(place: &Placed<&str>, found: &mut Findings) -> Option<MunicipalityCode> {
    let read = MunicipalityCode::new(place.value);
    read.map_err(|why| place.wrong(found, why.to_string(), "the six digits of the municipality's code, as 991007")).ok()
}

/// One municipality; `None` where there is a mistake in it that leaves nothing to go by.
pub(super) fn one(
    mut section: Section<'_>,
    code: Option<MunicipalityCode>,
    around: &Around<'_>,
    found: &mut Findings,
) -> Option<Tenant> {
    let name = words(&mut section, "name", "見本市", found);
    if name.is_none() && !section.has("name") {
        let (span, key) = (section.span().clone(), section.key("name"));
        found.mistake(&span, key, "is missing", "name = \"見本市\"");
    }
    let contact = words(&mut section, "contact", "市民課 0000-00-0000", found);
    let enabled = section.flag(found, "enabled").unwrap_or(false);
    let mode = super::mode(&mut section, Some(around.mode), found);
    let hours = hours(&mut section, code, found);
    let kinds = section.section(found, "kinds").map(|kinds| self::kinds(&kinds, found));
    let allow = manifest::allow_list(&mut section, around.backends, found);
    let machine = words(&mut section, "machine", "gateway-1", found);
    let approvers = section.section(found, "latch").and_then(|mut latch| {
        let approvers = latch.count(found, "approvers", 1, MOST_APPROVERS);
        latch.finish(found);
        approvers.map(|count| count.value)
    });
    let evidence_key = super::audit::evidence_key(&mut section, found);
    let share = section.count(found, "share", 1, MAX_SHARE).map_or(1, |share| share.value);
    let max_in_flight = section.count(found, "max_in_flight", 1, MAX_IN_FLIGHT).map(|count| count.value);
    section.finish(found);
    let (code, name, hours) = (code?, name?, hours?);
    let share = u16::try_from(share).unwrap_or(1);
    let approvers = approvers.unwrap_or(1);
    Some(Tenant {
        code,
        name,
        contact,
        enabled,
        mode,
        hours,
        kinds,
        share,
        max_in_flight,
        holidays: around.holidays.clone(),
        allow,
        machine,
        approvers,
        evidence_key,
    })
}

fn words(section: &mut Section<'_>, key: &'static str, example: &str, found: &mut Findings) -> Option<Arc<str>> {
    let text = section.text(found, key, example)?;
    if text.value.len() > MAX_TEXT_BYTES || text.value.chars().any(char::is_control) {
        text.wrong(
            found,
            format!("must be one line of at most {MAX_TEXT_BYTES} bytes"),
            format!("{key} = {example:?}"),
        );
        return None;
    }
    Some(text.value.into())
}

/// `"06:30-23:00"`, or a table that also says when it is closed. Closed from 12-29 to 01-03 unless the table says otherwise.
fn hours(section: &mut Section<'_>, code: Option<MunicipalityCode>, found: &mut Findings) -> Option<Hours> {
    const EXAMPLE: &str = "06:30-23:00";
    if !section.has("hours") {
        return Some(Hours { daily: Some(USUAL), closed: vec![NEW_YEAR], maintenance: Vec::new() });
    }
    if section.is_text("hours") {
        let daily = daily_hours(&section.text(found, "hours", EXAMPLE)?, code, found)?;
        let closed = if daily.is_some() { vec![NEW_YEAR] } else { Vec::new() };
        return Some(Hours { daily, closed, maintenance: Vec::new() });
    }
    let mut table = section.section(found, "hours")?;
    let daily = match table.text(found, "daily", EXAMPLE) {
        Some(text) => daily_hours(&text, code, found),
        None => Some(Some(USUAL)),
    };
    let closed = spans(&mut table, "closed", "[\"12-29..01-03\", \"2026-12-06\"]", found, closed);
    let maintenance = spans(&mut table, "maintenance", "[\"2026-12-06T00:00..2026-12-06T12:00\"]", found, moments)
        .unwrap_or_default();
    table.finish(found);
    Some(Hours { daily: daily?, closed: closed.unwrap_or_else(|| vec![NEW_YEAR]), maintenance })
}

/// `Some(None)` = around the clock.
fn daily_hours(
    text: &Placed<&str>,
    code: Option<MunicipalityCode>,
    found: &mut Findings,
) -> Option<Option<(Time, Time)>> {
    if text.value == "always" {
        if code.is_none_or(|c| c.is_reserved_for_tests()) {
            return Some(None);
        }
        text.wrong(found, "`always` is only for codes that begin with 99", "hours = \"06:30-23:00\"");
        return None;
    }
    let read = times(text.value);
    if read.is_none() {
        text.wrong(found, "must be two times of one day", "hours = \"06:30-23:00\"");
    }
    read.map(Some)
}

fn times(text: &str) -> Option<(Time, Time)> {
    let time = |t: &str| Time::strptime("%H:%M", t).ok();
    let (from, to) = text.split_once('-')?;
    Some((time(from)?, time(to)?)).filter(|(from, to)| from < to)
}

fn spans<T>(
    table: &mut Section<'_>,
    key: &'static str,
    example: &str,
    found: &mut Findings,
    read: impl Fn(&str) -> Option<T>,
) -> Option<Vec<T>> {
    let list = table.texts(found, key, example)?;
    if list.value.len() > MAX_SPANS {
        list.wrong(found, format!("has more than {MAX_SPANS} entries"), example);
    }
    let mut spans = Vec::new();
    for text in &list.value {
        match read(text.value) {
            Some(span) => spans.push(span),
            None => text.wrong(found, "is no span of this kind", example),
        }
    }
    Some(spans)
}

/// `12-29..01-03`, `12-31`, `2026-12-06`, `2026-12-06..2026-12-08`.
fn closed(text: &str) -> Option<Closed> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    if let (Ok(from), Ok(to)) = (from.parse::<Date>(), to.parse::<Date>()) {
        return (from <= to).then_some(Closed::Dates(from, to));
    }
    Some(Closed::Yearly(yearly(from)?, yearly(to)?))
}

fn yearly(text: &str) -> Option<(i8, i8)> {
    // A leap year, so that the 29th of February is a day.
    let date = format!("2024-{text}").parse::<Date>().ok().filter(|_| text.len() == 5)?;
    Some((date.month(), date.day()))
}

fn moments(text: &str) -> Option<(DateTime, DateTime)> {
    let (from, to) = text.split_once("..")?;
    Some((from.parse().ok()?, to.parse().ok()?)).filter(|(from, to)| from < to)
}

fn kinds(section: &Section<'_>, found: &mut Findings) -> BTreeMap<Kind, KindHours> {
    const EXAMPLE: &str = "family_register = { hours = \"09:00-17:00\", days = \"weekdays\" }";
    let mut kinds = BTreeMap::new();
    for (place, value) in section.entries() {
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == place.value) else {
            let known = Kind::ALL.map(Kind::name);
            let meant = super::source::did_you_mean(place.value, known).map_or(known.join(", "), str::to_owned);
            place.wrong(found, "is no kind of certificate", meant);
            continue;
        };
        let Some(table) = value.get_ref().as_table() else {
            place.wrong(found, "must be a table", EXAMPLE);
            continue;
        };
        let mut table = Section::new(table, place.key.clone(), place.span.clone());
        let hours = table.text(found, "hours", "09:00-17:00").and_then(|text| {
            let read = times(text.value);
            if read.is_none() {
                text.wrong(found, "must be two times of one day", EXAMPLE);
            }
            read
        });
        let weekdays_only = table.text(found, "days", "weekdays").is_some_and(|text| {
            if text.value != "weekdays" {
                text.wrong(found, "can only be `weekdays`; absent = every day", EXAMPLE);
            }
            true
        });
        table.finish(found);
        kinds.insert(kind, KindHours { daily: hours, weekdays_only });
    }
    kinds
}
