//! Whether an answer is current: `version` (nothing changed meanwhile) and `as_of` (not older than what is known).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::identity::{answers_for, person};
use super::printed::{Value, moment};
use super::spec::Watermark;
use super::{Evidence, LookupReply};
use crate::id::ResidentId;
use crate::normalize;
use crate::verdict::Verdict;

/// The record's version before the call is its version after, and nobody's is older than what is known of it: an authority
/// that has not heard of a change would vouch for the paper before it.
pub(super) fn version(evidence: &Evidence<'_>) -> Verdict {
    let (before, after) = match probes(evidence) {
        Ok(probes) => probes,
        Err(reason) => return Verdict::Unverifiable { reason },
    };
    // The version is the applicant's; a household's other records have their own, so what they say is compared.
    if evidence.facts.residents.iter().any(|who| told(before, who) != told(after, who))
        && before.version == after.version
    {
        return Verdict::Unverifiable { reason: "people_changed_meanwhile" };
    }
    match (&before.version, &after.version) {
        (Some(old), Some(new)) if old == new => match behind(before, evidence) {
            Some(reason) => Verdict::Unverifiable { reason },
            None => Verdict::Match,
        },
        (Some(old), Some(new)) => Verdict::Mismatch { field: normalize::evidence("version", None, old, new) },
        _ => Verdict::Unverifiable { reason: "probe_without_version" },
    }
}

/// After an amend the probe shows the version that it made: the one that the answer says, else a newer one than before.
pub(super) fn version_made(evidence: &Evidence<'_>, said: Option<&str>) -> Verdict {
    let (before, after) = match probes(evidence) {
        Ok(probes) => probes,
        Err(reason) => return Verdict::Unverifiable { reason },
    };
    let (Some(old), Some(new)) = (&before.version, &after.version) else {
        return Verdict::Unverifiable { reason: "probe_without_version" };
    };
    let reason = match (order(old, new), said.map(|said| order(said, new))) {
        (Some(Ordering::Greater), _) => {
            return Verdict::Mismatch { field: normalize::evidence("version", None, old, new) };
        }
        (None, _) | (_, Some(None)) => "version_not_comparable",
        (_, Some(Some(Ordering::Greater))) => "lookup_behind_amend",
        (Some(Ordering::Equal), None) => "amend_not_shown",
        _ => match behind(after, evidence) {
            Some(reason) => reason,
            None => return Verdict::Match,
        },
    };
    Verdict::Unverifiable { reason }
}

/// What the authority said before and after, about somebody who was asked for.
fn probes<'e>(evidence: &'e Evidence<'_>) -> Result<(&'e LookupReply, &'e LookupReply), &'static str> {
    let (Some(before), Some(after)) = (evidence.before, evidence.after) else { return Err("probe_unanswered") };
    answers_for(before, evidence)?;
    answers_for(after, evidence)?;
    Ok((before, after))
}

/// Why `reply` may not have heard of a change to somebody's record, if so.
fn behind(reply: &LookupReply, evidence: &Evidence<'_>) -> Option<&'static str> {
    let version = |who: &ResidentId| person(reply, who).and_then(|person| person.version.as_deref());
    let amended = evidence.reached.amended.iter().find_map(|(who, mark)| match version(who) {
        None => Some("member_version_unknown"),
        Some(version) => match order(version, mark) {
            None => Some("version_not_comparable"),
            Some(Ordering::Less) => Some("lookup_behind_amend"),
            Some(_) => None,
        },
    });
    // Of versions in no known order nothing was promised.
    let older = |(who, mark): &(ResidentId, String)| version(who).and_then(|v| order(v, mark)) == Some(Ordering::Less);
    amended.or_else(|| evidence.reached.shown.iter().any(older).then_some("lookup_behind_itself"))
}

/// What must not change meanwhile of one of the people.
fn told<'a>(reply: &'a LookupReply, who: &ResidentId) -> Option<(&'a BTreeMap<String, String>, &'a Option<String>)> {
    person(reply, who).map(|person| (&person.fields, &person.version))
}

/// What the answer says of its age reaches every mark that is known. Two orders are understood: whole numbers and times.
/// Other people's versions are counted apart from the applicant's, so only a time tells about them; else the probe must
/// (`probed`).
pub(super) fn as_of(evidence: &Evidence<'_>, watermark: Watermark, found: &[Value], probed: bool) -> Verdict {
    if found.is_empty() {
        return Verdict::Unverifiable { reason: "as_of_missing" };
    }
    // A feed counts in its own way; amends and lookups count the record's versions.
    let looked_up = evidence.before.filter(|_| watermark != Watermark::Feed).and_then(|reply| reply.version.as_deref());
    if watermark == Watermark::Lookup && looked_up.is_none() {
        return Verdict::Unverifiable { reason: "lookup_without_version" };
    }
    let fed = evidence.reached.feed.as_deref().filter(|_| watermark == Watermark::Feed);
    if watermark == Watermark::Feed && fed.is_none() {
        return Verdict::Unverifiable { reason: "feed_unknown" };
    }
    let applicant = evidence.facts.applicant.as_ref().or(evidence.facts.residents.first());
    let (own, others): (Vec<_>, Vec<_>) = evidence.reached.amended.iter().partition(|(who, _)| Some(who) == applicant);
    for (page, printed) in found {
        if order(printed, printed).is_none() {
            return Verdict::Unverifiable { reason: "as_of_not_understood" };
        }
        for mark in own.iter().map(|(_, mark)| mark.as_str()).chain(looked_up).chain(fed) {
            match order(printed, mark) {
                None => return Verdict::Unverifiable { reason: "as_of_not_comparable" },
                Some(Ordering::Less) => {
                    return Verdict::Mismatch { field: normalize::evidence("as_of", *page, mark, printed) };
                }
                Some(_) => {}
            }
        }
        for (_, mark) in &others {
            let comparable = is_time(printed) && is_time(mark);
            match order(printed, mark).filter(|_| comparable) {
                Some(Ordering::Less) => {
                    return Verdict::Mismatch { field: normalize::evidence("as_of", *page, mark, printed) };
                }
                None if !probed => return Verdict::Unverifiable { reason: "member_version_unknown" },
                _ => {}
            }
        }
    }
    Verdict::Match
}

fn is_time(text: &str) -> bool {
    !normalize::squeeze(text).bytes().all(|b| b.is_ascii_digit()) && moment(text).is_some()
}

/// The order of two marks, if both are whole numbers or both are times, and if their precision lets it be told.
pub fn order(a: &str, b: &str) -> Option<Ordering> {
    let number = |text: &str| {
        let text = normalize::squeeze(text);
        (text.len() < 20 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u64>().ok()).flatten()
    };
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return Some(a.cmp(&b));
    }
    if number(a).is_some() || number(b).is_some() {
        return None;
    }
    let ((a, a_lasts), (b, b_lasts)) = (moment(a)?, moment(b)?);
    if a == b && a_lasts == b_lasts {
        return Some(Ordering::Equal);
    }
    if a >= b.saturating_add(b_lasts).ok()? || a >= b && a_lasts <= b_lasts && b_lasts.as_secs() <= 1 {
        return Some(Ordering::Greater);
    }
    (a.saturating_add(a_lasts).ok()? <= b).then_some(Ordering::Less)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers_and_times_as_times() {
        assert_eq!(order("10", "9"), Some(Ordering::Greater));
        assert_eq!(order("007", "7"), Some(Ordering::Equal));
        assert_eq!(order("6", "7"), Some(Ordering::Less));
        assert_eq!(order("2026-11-22T01:00:00Z", "2026-11-22T09:59:59+09:00"), Some(Ordering::Greater));
        assert_eq!(order("令和8年11月22日 10時3分", "2026-11-22 10:04"), Some(Ordering::Less));
        assert_eq!(order("2026-11-22T01:00:00.2Z", "2026-11-22T01:00:00.3Z"), None);
    }

    #[test]
    fn what_cannot_be_ordered_is_not() {
        assert_eq!(order("7", "2026-11-22"), None);
        assert_eq!(order("v7", "v6"), None);
        assert_eq!(order("2026-11-22", "2026-11-22 10:00"), None);
        assert_eq!(order("2026-11-21", "2026-11-22 10:00"), Some(Ordering::Less));
        assert_eq!(order("2026-11-23", "2026-11-22 10:00"), Some(Ordering::Greater));
        assert_eq!(order("", ""), None);
    }
}
