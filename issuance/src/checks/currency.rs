//! Whether an answer is current: `version` (nothing changed meanwhile) and `as_of` (not older than what is known).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::identity::answers_for;
use super::printed::{Value, moment};
use super::spec::Watermark;
use super::{Evidence, LookupReply};
use crate::id::ResidentId;
use crate::normalize;
use crate::verdict::Verdict;

/// The record's version before the call is its version after, and not older than a change that was acknowledged: an authority
/// that has not heard of the change would vouch for the paper before it.
pub(super) fn version(evidence: &Evidence<'_>) -> Verdict {
    let (Some(before), Some(after)) = (evidence.before, evidence.after) else {
        return Verdict::Unverifiable { reason: "probe_unanswered" };
    };
    if let Err(reason) = answers_for(before, evidence).and_then(|()| answers_for(after, evidence)) {
        return Verdict::Unverifiable { reason };
    }
    // The version is the applicant's; a household's other records have their own, so what they say is compared.
    if evidence.facts.residents.iter().any(|who| told(before, who) != told(after, who))
        && before.version == after.version
    {
        return Verdict::Unverifiable { reason: "people_changed_meanwhile" };
    }
    match (&before.version, &after.version) {
        (Some(before), Some(after)) if before == after => match evidence.watermark.and_then(|mark| order(before, mark))
        {
            Some(Ordering::Less) => Verdict::Unverifiable { reason: "lookup_behind_amend" },
            _ => Verdict::Match,
        },
        (Some(before), Some(after)) => Verdict::Mismatch { field: normalize::evidence("version", None, before, after) },
        _ => Verdict::Unverifiable { reason: "probe_without_version" },
    }
}

/// What an authority says of one of the people.
fn told<'a>(reply: &'a LookupReply, who: &ResidentId) -> Option<&'a BTreeMap<String, String>> {
    reply.people.iter().find(|person| person.id.as_ref() == Some(who)).map(|person| &person.fields)
}

/// What the answer says of its age reaches every mark that is known. Two orders are understood: whole numbers and times.
pub(super) fn as_of(evidence: &Evidence<'_>, watermark: Watermark, found: &[Value]) -> Verdict {
    if found.is_empty() {
        return Verdict::Unverifiable { reason: "as_of_missing" };
    }
    // A feed counts in its own way; amends and lookups count the record's versions.
    let looked_up = evidence.before.filter(|_| watermark != Watermark::Feed).and_then(|reply| reply.version.as_deref());
    if watermark == Watermark::Lookup && looked_up.is_none() {
        return Verdict::Unverifiable { reason: "lookup_without_version" };
    }
    for (page, printed) in found {
        if order(printed, printed).is_none() {
            return Verdict::Unverifiable { reason: "as_of_not_understood" };
        }
        for mark in evidence.watermark.into_iter().chain(looked_up) {
            match order(printed, mark) {
                None => return Verdict::Unverifiable { reason: "as_of_not_comparable" },
                Some(Ordering::Less) => {
                    return Verdict::Mismatch { field: normalize::evidence("as_of", *page, mark, printed) };
                }
                Some(_) => {}
            }
        }
    }
    Verdict::Match
}

/// The order of two marks, if both are whole numbers or both are times, and if their precision lets it be told.
fn order(a: &str, b: &str) -> Option<Ordering> {
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
