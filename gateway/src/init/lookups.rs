//! Questions to an authority among recorded exchanges: by card, by resident, and which of their answers' fields a certificate shows.

use std::collections::BTreeMap;

use http::uri::Authority;

use super::flow::{Operation, Role, Town, value};
use super::paper;
use super::read::{Leaf, Place, Seen};

/// One question.
pub(super) struct Lookup {
    pub(super) name: &'static str,
    pub(super) server: Authority,
    pub(super) by: Role,
    /// An exchange that asks it, as a pattern for the request.
    pub(super) sample: usize,
    /// Where the question says what it asks by.
    pub(super) asks: Place,
    pub(super) path: Vec<Option<String>>,
    /// Fields of the answer, with in how many answers they were found to fit.
    pub(super) fields: BTreeMap<&'static str, (Place, usize)>,
    pub(super) exchanges: usize,
}

pub(super) fn find(seen: &[Seen<'_>], town: &Town, groups: Vec<Operation>) -> Vec<Lookup> {
    let mut lookups: Vec<Lookup> = Vec::new();
    for (name, by) in [("card", Role::Card), ("resident", Role::Resident)] {
        let best = groups.iter().filter_map(|group| lookup(seen, town, group, name, by)).max_by_key(|l| l.fields.len());
        lookups.extend(best);
    }
    lookups
}

fn lookup(seen: &[Seen<'_>], town: &Town, group: &Operation, name: &'static str, by: Role) -> Option<Lookup> {
    let about = |leaf: &Leaf| town.visits.values().find(|visit| visit.get(&by) == Some(&leaf.value));
    // The first exchange that is answered about somebody whom a kiosk asked for.
    let asked: Vec<_> = group
        .exchanges
        .iter()
        .filter_map(|n| {
            let one = seen.get(*n).filter(|one| one.exchange.status == 200)?;
            let leaf = one.asked.iter().find(|leaf| about(leaf).is_some())?;
            Some((*n, one, leaf, about(leaf)?))
        })
        .collect();
    let (sample, _, leaf, _) = asked.first()?;
    let mut fields: BTreeMap<&'static str, (Place, usize)> = BTreeMap::new();
    let mut fits = |field: &'static str, fit: &dyn Fn(&Leaf, &super::flow::Visit, &Seen<'_>) -> bool| {
        let mut counts: BTreeMap<&Place, usize> = BTreeMap::new();
        for (_, one, _, visit) in &asked {
            for leaf in one.answered.iter().filter(|leaf| matches!(leaf.place, Place::Body(_)) && fit(leaf, visit, one))
            {
                *counts.entry(&leaf.place).or_default() += 1;
            }
        }
        // The one that fits most often; of several the one that stands highest.
        let best =
            counts.into_iter().max_by_key(|(place, count)| (*count, std::cmp::Reverse(format!("{place:?}").len())));
        fields.extend(best.map(|(place, count)| (field, (place.clone(), count))));
    };
    fits("id", &|leaf, visit, _| visit.get(&Role::Resident) == Some(&leaf.value));
    if by == Role::Card {
        fits("card", &|leaf, visit, _| visit.get(&Role::Card) == Some(&leaf.value));
        fits("municipality", &|leaf, visit, _| visit.get(&Role::Municipality) == Some(&leaf.value));
    } else {
        for (field, labels) in paper::FIELDS {
            fits(field, &|leaf, visit, _| {
                let mut papers = seen.iter().filter(|s| town.visit(s) == Some(visit)).filter_map(|s| s.paper.as_ref());
                papers.any(|paper| {
                    let printed = labels.iter().flat_map(|label| paper::right_of(&paper.document, label));
                    printed.into_iter().any(|printed| paper::same(field, &leaf.value, &printed))
                })
            });
        }
        fits("version", &|leaf, _, _| {
            let named = |place: &Place| matches!(place, Place::Body(text) if text.to_ascii_lowercase().rsplit(['/', ':']).next().is_some_and(is_version));
            named(&leaf.place) && !leaf.value.is_empty() && leaf.value.bytes().all(|b| b.is_ascii_digit())
        });
    }
    fields.contains_key("id").then(|| Lookup {
        name,
        server: group.server.clone(),
        by,
        sample: *sample,
        asks: leaf.place.clone(),
        path: group.path.clone(),
        fields,
        exchanges: asked.len(),
    })
}

/// Whether a field of this name counts the changes of a record.
pub(super) fn is_version(name: &str) -> bool {
    ["version", "ver", "rev", "revision", "updateno", "seqno", "更新番号"].contains(&name)
}

/// The one value in the answers of `exchanges` that stands where `fits`, everywhere alike.
pub(super) fn answered<'s>(
    seen: &'s [Seen<'_>],
    exchanges: &[usize],
    fits: impl Fn(&Leaf, &'s Seen<'_>) -> bool,
) -> Option<(Place, usize)> {
    let first = seen.get(*exchanges.first()?)?;
    let mut places = first.answered.iter().map(|leaf| &leaf.place);
    let all: Vec<&Seen<'_>> = exchanges.iter().filter_map(|n| seen.get(*n)).collect();
    let everywhere = |place: &&Place| {
        all.iter().all(|one| {
            let text = value(&one.answered, place);
            text.is_some_and(|text| fits(&Leaf { place: (*place).clone(), value: text.to_owned() }, one))
        })
    };
    places.find(everywhere).map(|place| (place.clone(), all.len()))
}
