//! Checks of what a paper prints beside people: its kind, municipality, page marks, number, dates and optional items.

use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use regex::Regex;

use super::Evidence;
use super::paper::Sheet;
use super::place::{Place, Spot, groups};
use super::shape::blank;
use super::spec::FieldKind;
use crate::answer::Body;
use crate::certificate::Kind;
use crate::normalize::{self, Compared, Expected, Found};
use crate::verdict::{FieldEvidence, Verdict};

/// Japan has one time zone and no summer time.
const JST: Offset = Offset::constant(9);

/// What stands at a place, and on which page if on paper.
pub(super) type Value = (Option<u32>, String);

/// The compiled `kind` check.
pub(super) struct KindRule {
    pub(super) kind: Kind,
    /// Instead of the standard title.
    pub(super) line: Option<Regex>,
}

impl KindRule {
    /// The first page bears the title, and no page the title of another kind.
    pub(super) fn judge(&self, sheets: &[Sheet<'_>]) -> Verdict {
        for sheet in sheets {
            let others = Kind::ALL.into_iter().filter(|kind| *kind != self.kind);
            for other in others {
                if sheet.rows.iter().any(|row| row.is(other.title())) {
                    let field = normalize::evidence("kind", Some(sheet.number), self.kind.title(), other.title());
                    return Verdict::Mismatch { field };
                }
            }
        }
        let titled = sheets.first().is_some_and(|sheet| {
            sheet.rows.iter().any(|row| match &self.line {
                None => row.is(self.kind.title()),
                Some(line) => line.is_match(&row.text) || line.is_match(&row.text.replace(' ', "")),
            })
        });
        if titled { Verdict::Match } else { Verdict::Unverifiable { reason: "kind_missing" } }
    }
}

/// Page n of m stands on every page, and is true.
pub(super) fn pages(sheets: &[Sheet<'_>], mark: &Regex) -> Verdict {
    for sheet in sheets {
        let mut marked = false;
        for (_, [this, all]) in groups(sheet, mark) {
            marked = true;
            let number = |text: &str| normalize::squeeze(text).parse::<u32>().ok();
            if number(&this) != Some(sheet.number) || number(&all) != u32::try_from(sheets.len()).ok() {
                let expected = format!("{}/{}", sheet.number, sheets.len());
                let found = format!("{this}/{all}");
                return Verdict::Mismatch {
                    field: normalize::evidence("pages", Some(sheet.number), &expected, &found),
                };
            }
        }
        if !marked {
            return Verdict::Unverifiable { reason: "page_mark_missing" };
        }
    }
    if sheets.is_empty() { Verdict::Unverifiable { reason: "no_page" } } else { Verdict::Match }
}

/// Every value of a place, with its page.
fn everywhere<'s>(sheets: &'s [Sheet<'_>], place: &'s Place) -> impl Iterator<Item = (u32, Spot)> + 's {
    let on = |sheet: &'s Sheet<'_>| place.on(sheet).into_iter().map(|spot| (sheet.number, spot));
    sheets.iter().flat_map(on).filter(|(_, spot)| !spot.raw.is_empty())
}

/// Values of a place on paper, or the one in the answer's head or body.
pub(super) fn values(sheets: &[Sheet<'_>], place: &Place, evidence: &Evidence<'_>, body: Option<&Body>) -> Vec<Value> {
    match place {
        Place::Answer(extract) => {
            extract.find(&evidence.answer, body).map(|value| (None, value.into_owned())).into_iter().collect()
        }
        place => everywhere(sheets, place).map(|(page, spot)| (Some(page), spot.raw)).collect(),
    }
}

/// The municipality's name stands there, and wherever it stands it is this one.
pub(super) fn municipality(name: Option<&str>, found: &[Value]) -> Verdict {
    let Some(name) = name else { return Verdict::Unverifiable { reason: "municipality_name_unknown" } };
    all_equal("municipality", &Expected::new(FieldKind::Address, name, None), FieldKind::Address, found)
}

fn all_equal(field: &'static str, expected: &Expected, kind: FieldKind, found: &[Value]) -> Verdict {
    if found.is_empty() {
        return Verdict::Unverifiable { reason: "value_missing" };
    }
    for (page, raw) in found {
        let found = Found::new(kind, raw);
        match expected.compare(&found) {
            Compared::Equal => {}
            Compared::Differs => return Verdict::Mismatch { field: expected.evidence(field, *page, &found) },
            Compared::Unreadable => return Verdict::Unverifiable { reason: "field_unreadable" },
            Compared::NotUnderstood => return Verdict::Unverifiable { reason: "field_not_understood" },
        }
    }
    Verdict::Match
}

/// What one optional item must print.
pub(super) enum Wanted<'s> {
    Text(&'s str),
    Something,
    Nothing,
}

/// One optional item, exactly as asked.
pub(super) fn selected(item: &str, wanted: &Wanted<'_>, found: &[Value]) -> Verdict {
    let rename = |verdict: Verdict| match verdict {
        Verdict::Mismatch { field } => {
            Verdict::Mismatch { field: FieldEvidence { field: format!("selection.{item}"), ..field } }
        }
        other => other,
    };
    match (wanted, found.first()) {
        (Wanted::Text(text), _) => {
            rename(all_equal("selection", &Expected::new(FieldKind::Text, text, None), FieldKind::Text, found))
        }
        (Wanted::Something, Some(_)) | (Wanted::Nothing, None) => Verdict::Match,
        (Wanted::Something, None) => Verdict::Unverifiable { reason: "selected_item_missing" },
        (Wanted::Nothing, Some((page, raw))) => {
            rename(Verdict::Mismatch { field: normalize::evidence("selection", *page, "", raw) })
        }
    }
}

/// The issue number, the same wherever it stands.
pub(super) fn issue_number(found: &[Value]) -> Result<String, Verdict> {
    let mut number: Option<String> = None;
    for (page, raw) in found {
        let this = normalize::text(raw);
        match &number {
            Some(first) if *first != this => {
                return Err(Verdict::Mismatch { field: normalize::evidence("issue_number", *page, first, &this) });
            }
            _ => number = Some(this),
        }
    }
    let number = number.ok_or(Verdict::Unverifiable { reason: "issue_number_missing" })?;
    let formed =
        number.len() <= 128 && number.chars().any(|c| c.is_ascii_digit()) && !number.chars().any(normalize::is_unknown);
    if formed { Ok(number) } else { Err(Verdict::Unverifiable { reason: "issue_number_malformed" }) }
}

/// The date of issue is a JST day between sending and receiving.
pub(super) fn issued_on(evidence: &Evidence<'_>, found: &[Value]) -> Verdict {
    if !evidence.clock_synchronized {
        return Verdict::Unverifiable { reason: "clock_unsynchronized" };
    }
    if found.is_empty() {
        return Verdict::Unverifiable { reason: "issued_on_missing" };
    }
    let day = |at: Timestamp| JST.to_datetime(at).date();
    let (first, last) = (day(evidence.sent_at), day(evidence.received_at));
    for (page, raw) in found {
        match normalize::date(raw) {
            None => return Verdict::Unverifiable { reason: "issued_on_not_understood" },
            Some(day) if (first..=last).contains(&day) => {}
            Some(day) => {
                let field = normalize::evidence("issued_on", *page, &last.to_string(), &day.to_string());
                return Verdict::Mismatch { field };
            }
        }
    }
    Verdict::Match
}

/// The printed time is not before the attempt, allowing for the backend's clock.
pub(super) fn issued_at(evidence: &Evidence<'_>, skew: SignedDuration, found: &[Value]) -> Verdict {
    if !evidence.clock_synchronized {
        return Verdict::Unverifiable { reason: "clock_unsynchronized" };
    }
    if found.is_empty() {
        return Verdict::Unverifiable { reason: "issued_at_missing" };
    }
    for (page, raw) in found {
        let Some((at, precision)) = moment(raw) else {
            return Verdict::Unverifiable { reason: "issued_at_not_understood" };
        };
        let earliest = evidence.sent_at.saturating_sub(skew);
        let latest = evidence.received_at.saturating_add(skew);
        let (Ok(earliest), Ok(latest)) = (earliest, latest) else {
            return Verdict::Unverifiable { reason: "clock_out_of_range" };
        };
        // `10時3分` is any moment of that minute.
        if at.saturating_add(precision).is_ok_and(|end| end <= earliest) || at > latest {
            return Verdict::Mismatch { field: FieldEvidence { page: *page, ..blank("issued_at") } };
        }
    }
    Verdict::Match
}

/// A date and time, in JST unless it says otherwise, and how long it may last: a day, a minute or a second.
pub(super) fn moment(raw: &str) -> Option<(Timestamp, SignedDuration)> {
    if let Ok(at) = raw.trim().parse::<Timestamp>() {
        return Some((at, SignedDuration::from_secs(1)));
    }
    if let Some(day) = normalize::date(raw) {
        return Some((at_jst(day, Time::midnight())?, SignedDuration::from_hours(24)));
    }
    let line = normalize::line(raw);
    let split =
        line.find(['日', 'T']).map(|at| at + line.get(at..).map_or(0, |s| s.chars().next().map_or(0, char::len_utf8)));
    let (day, clock) = match split {
        Some(at) if line.get(..at).is_some_and(|d| d.ends_with('日')) => line.split_at_checked(at)?,
        Some(at) => (line.get(..at.checked_sub(1)?)?, line.get(at..)?),
        None => line.split_once(' ')?,
    };
    let clock: String = clock.chars().filter(|c| !c.is_whitespace()).collect();
    let clock = clock.replace(['時', '分'], ":").replace('秒', "");
    let mut parts = clock.trim_end_matches(':').split(':');
    let mut part = |most: i8| -> Option<Option<i8>> {
        match parts.next() {
            None => Some(None),
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok().filter(|n| *n <= most).map(Some)
            }
            Some(_) => None,
        }
    };
    let (hour, minute, second) = (part(23)??, part(59)?, part(59)?);
    let last = match (minute, second) {
        (None, _) => SignedDuration::from_hours(1),
        (Some(_), None) => SignedDuration::from_mins(1),
        _ => SignedDuration::from_secs(1),
    };
    if parts.next().is_some() {
        return None;
    }
    let time = Time::new(hour, minute.unwrap_or(0), second.unwrap_or(0), 0).ok()?;
    Some((at_jst(normalize::date(day)?, time)?, last))
}

fn at_jst(day: Date, time: Time) -> Option<Timestamp> {
    TimeZone::fixed(JST).to_timestamp(day.to_datetime(time)).ok()
}
