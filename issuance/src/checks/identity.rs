//! `identity`: the people on every page are the people who were asked for, all of them and nobody else.

use std::collections::BTreeMap;

use super::paper::Sheet;
use super::place::{Place, Spot};
use super::shape::blank;
use super::spec::FieldKind;
use super::{Evidence, LookupReply, Person};
use crate::answer::{AnswerView, Body, Branch, Extract, Tree};
use crate::id::ResidentId;
use crate::normalize::{Compared, Expected, Found, GaijiTable};
use crate::verdict::{FieldEvidence, Verdict};

/// A set of fields, one bit each.
pub(super) type FieldSet = u64;

/// One compiled field.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: FieldKind,
    pub(super) place: Place,
    pub(super) prefix: Option<u32>,
    pub(super) gaiji: Option<GaijiTable>,
    /// Compared with the resident's id itself.
    pub(super) is_id: bool,
}

/// The compiled check.
pub(super) struct Identity {
    /// Compare with this lookup; else with the ids of the request.
    pub(super) with: Option<String>,
    pub(super) fields: Vec<Field>,
    pub(super) enough: Vec<FieldSet>,
    /// The field that begins a person on paper.
    pub(super) anchor: usize,
    /// Fields that must all be compared, since nothing else proves that the paper is current.
    pub(super) complete: FieldSet,
}

/// One expected person: what each field must say, `None` where the authority says nothing.
type Expectation = Vec<Option<Expected>>;

/// What was found of one person in one place: for each field every occurrence.
struct Group {
    page: Option<u32>,
    found: Vec<Vec<Found>>,
}

/// How a group fits one expected person.
enum Fit {
    Fits,
    Differs { fields: usize, first: FieldEvidence },
    CannotTell(&'static str),
}

impl Field {
    fn read(&self, raw: &str) -> Found {
        match &self.gaiji {
            Some(table) => Found::new(self.kind, &table.apply(raw)),
            None => Found::new(self.kind, raw),
        }
    }
}

impl Identity {
    /// Judges a paper, and what the answer around it says.
    pub(super) fn judge_paper(&self, evidence: &Evidence<'_>, sheets: &[Sheet<'_>], around: Option<&Body>) -> Verdict {
        let expected = match self.expected(evidence) {
            Ok(expected) => expected,
            Err(reason) => return Verdict::Unverifiable { reason },
        };
        let mut groups = Vec::new();
        for sheet in sheets {
            let before = groups.len();
            if let Err(verdict) = self.people_on(sheet, &expected, &mut groups) {
                return verdict;
            }
            if groups.len() == before {
                return Verdict::Unverifiable { reason: "page_names_nobody" };
            }
        }
        if let Err(verdict) = self.judge_head(evidence, around, &expected) {
            return verdict;
        }
        self.judge_groups(evidence, &expected, &groups)
    }

    /// Judges an answer in data, which names one person.
    pub(super) fn judge_data(&self, evidence: &Evidence<'_>, body: Option<&Body>) -> Verdict {
        let expected = match self.expected(evidence) {
            Ok(expected) if expected.len() == 1 => expected,
            Ok(_) => return Verdict::Unverifiable { reason: "answer_names_one_person" },
            Err(reason) => return Verdict::Unverifiable { reason },
        };
        let found = self.in_answer(&evidence.answer, body);
        let whole = body.map_or(std::borrow::Cow::Owned(Tree::Null), Body::as_tree);
        match self.judge_groups(evidence, &expected, &[Group { page: None, found }]) {
            Verdict::Match if expected.first().is_some_and(|person| self.describes_another(person, &whole)) => {
                Verdict::Unverifiable { reason: "answer_names_another" }
            }
            verdict => verdict,
        }
    }

    /// Whether some part of an answer, however deep, describes somebody else by the names of the compared members: an id,
    /// or two attributes together. The whole answer leaves, not only the members that were compared.
    fn describes_another(&self, person: &Expectation, body: &Tree<'_>) -> bool {
        let named =
            self.fields.iter().zip(person).filter_map(|(field, expected)| Some((field, expected, field.member()?)));
        let named: Vec<_> = named.collect();
        let mut rest = vec![body];
        while let Some(value) = rest.pop() {
            match value {
                Tree::List(items) => rest.extend(items),
                Tree::Object(members) => {
                    rest.extend(members.iter().map(|(_, value)| value));
                    let (mut attributes, mut differing, mut unclear, mut own_id) = (0, 0, 0, false);
                    for (field, expected, name) in &named {
                        let said = match value.member(name) {
                            None => continue,
                            Some(Tree::List(several)) => several.as_slice(),
                            Some(one) => std::slice::from_ref(one),
                        };
                        let texts = said.iter().filter_map(Tree::plain_text).filter(|text| !text.is_empty());
                        let compared: Vec<Compared> = texts
                            .map(|text| match expected {
                                Some(expected) => expected.compare(&field.read(&text)),
                                None => Compared::Differs,
                            })
                            .collect();
                        attributes += usize::from(!compared.is_empty());
                        match () {
                            () if compared.iter().all(|c| *c == Compared::Equal) => {
                                own_id |= field.is_id && !compared.is_empty();
                            }
                            () if field.is_id => return true,
                            // A name with a glyph that nobody mapped, beside the person's own id, is that person's.
                            () if compared.iter().all(|c| matches!(c, Compared::Equal | Compared::Unreadable)) => {
                                unclear += 1;
                            }
                            () => differing += 1,
                        }
                    }
                    if unclear > 0 && !own_id {
                        differing += unclear;
                    }
                    if attributes > 1 && differing > 0 {
                        return true;
                    }
                }
                _ => {}
            }
        }
        false
    }

    /// What every expected person's fields must say.
    fn expected(&self, evidence: &Evidence<'_>) -> Result<Vec<Expectation>, &'static str> {
        let residents = &evidence.facts.residents;
        if residents.is_empty() {
            return Err("no_resident_asked_for");
        }
        let people = match (&self.with, evidence.before) {
            (None, _) => None,
            (Some(_), None) => return Err("lookup_unanswered"),
            (Some(_), Some(reply)) => {
                answers_for(reply, evidence)?;
                Some(reply)
            }
        };
        let nobody = BTreeMap::new();
        residents
            .iter()
            .map(|resident| {
                let attributes = match people {
                    None => &nobody,
                    Some(reply) => &person(reply, resident).ok_or("lookup_lacks_resident")?.fields,
                };
                Ok(self.fields.iter().map(|field| field.expected(resident, attributes)).collect())
            })
            .collect()
    }

    /// Splits what a page says into people: the nth of each label is the nth person.
    fn people_on(&self, sheet: &Sheet<'_>, expected: &[Expectation], groups: &mut Vec<Group>) -> Result<(), Verdict> {
        let mut spots: Vec<Vec<Spot>> = self.fields.iter().map(|field| field.place.on(sheet)).collect();
        if spots.iter().flatten().any(|spot| spot.goes_on) {
            return Err(Verdict::Unverifiable { reason: "value_goes_on_below" });
        }
        for spots in &mut spots {
            spots.retain(|spot| !spot.raw.is_empty());
        }
        let read = |(field, spots): (&Field, &[Spot])| spots.iter().map(|s| field.read(&s.raw)).collect::<Vec<_>>();
        if expected.len() == 1 {
            // Whatever is printed must be his or hers, so nothing has to be told apart.
            if spots.iter().any(|spots| !spots.is_empty()) {
                let found = self.fields.iter().zip(spots.iter().map(Vec::as_slice)).map(read).collect();
                groups.push(Group { page: Some(sheet.number), found });
            }
            return Ok(());
        }
        let anchors = spots.get(self.anchor).map_or(0, Vec::len);
        let begins = spots.get(self.anchor).and_then(|spots| spots.first()).map(|spot| spot.at);
        let mut people: Vec<Group> =
            (0..anchors).map(|_| Group { page: Some(sheet.number), found: Vec::new() }).collect();
        for (index, (field, spots)) in self.fields.iter().zip(&spots).enumerate() {
            let headings = spots.iter().take_while(|spot| begins.is_none_or(|begins| spot.at < begins)).count();
            let (head, rest) = spots.split_at_checked(headings).unwrap_or_default();
            let head = read((field, head));
            let own = read((field, rest));
            if !own.is_empty() && own.len() != anchors {
                return Err(Verdict::Unverifiable { reason: "people_cannot_be_told_apart" });
            }
            if own.is_empty() {
                // Printed once for the whole sheet: it must be true of everybody on it.
                people.iter_mut().for_each(|group| group.found.push(head.clone()));
            } else {
                self.judge_heading(index, sheet.number, &head, expected)?;
                people.iter_mut().zip(own).for_each(|(group, found)| group.found.push(vec![found]));
            }
        }
        groups.append(&mut people);
        Ok(())
    }

    /// A heading repeats something of somebody on the certificate; of whom, it does not say.
    fn judge_heading(&self, index: usize, page: u32, head: &[Found], expected: &[Expectation]) -> Result<(), Verdict> {
        let Some(field) = self.fields.get(index) else { return Ok(()) };
        for found in head {
            let known = || expected.iter().filter_map(|person| person.get(index)?.as_ref());
            let outcomes: Vec<Compared> = known().map(|expected| expected.compare(found)).collect();
            if outcomes.iter().any(|c| matches!(c, Compared::Equal | Compared::Unreadable)) {
                continue;
            }
            return Err(match known().next() {
                Some(first) if outcomes.iter().all(|c| *c == Compared::Differs) => {
                    Verdict::Mismatch { field: first.evidence(&field.name, Some(page), found) }
                }
                Some(_) => Verdict::Unverifiable { reason: "field_not_understood" },
                None => Verdict::Unverifiable { reason: "lookup_lacks_field" },
            });
        }
        Ok(())
    }

    /// Fields in the answer's head or around a document: they must name somebody who was asked for.
    fn judge_head(
        &self,
        evidence: &Evidence<'_>,
        around: Option<&Body>,
        expected: &[Expectation],
    ) -> Result<(), Verdict> {
        let found = self.in_answer(&evidence.answer, around);
        for ((index, field), found) in self.fields.iter().enumerate().zip(&found) {
            if !matches!(field.place, Place::Answer(_)) {
                continue;
            }
            if found.is_empty() {
                return Err(Verdict::Unverifiable { reason: "field_missing" });
            }
            let known = || expected.iter().filter_map(|person| person.get(index)?.as_ref());
            for found in found {
                if !known().any(|expected| expected.compare(found) == Compared::Equal) {
                    return Err(match known().next() {
                        Some(first) if known().all(|e| e.compare(found) == Compared::Differs) => {
                            Verdict::Mismatch { field: first.evidence(&field.name, None, found) }
                        }
                        _ => Verdict::Unverifiable { reason: "field_not_understood" },
                    });
                }
            }
        }
        Ok(())
    }

    fn in_answer(&self, answer: &AnswerView<'_>, body: Option<&Body>) -> Vec<Vec<Found>> {
        let read = |field: &Field| match &field.place {
            Place::Answer(extract) => extract.find(answer, body).map(|raw| field.read(&raw)).into_iter().collect(),
            _ => Vec::new(),
        };
        self.fields.iter().map(read).collect()
    }

    fn judge_groups(&self, evidence: &Evidence<'_>, expected: &[Expectation], groups: &[Group]) -> Verdict {
        let mut candidates = Vec::with_capacity(groups.len());
        for group in groups {
            let mut fitting = Vec::new();
            let mut cannot_tell = None;
            let mut nearest: Option<(usize, FieldEvidence)> = None;
            for (index, person) in expected.iter().enumerate() {
                match self.fit(group, person) {
                    Fit::Fits => fitting.push(index),
                    Fit::CannotTell(reason) => cannot_tell = Some(reason),
                    Fit::Differs { fields, first } => {
                        if nearest.as_ref().is_none_or(|(least, _)| fields < *least) {
                            nearest = Some((fields, first));
                        }
                    }
                }
            }
            if fitting.is_empty() {
                return match (cannot_tell, nearest) {
                    (Some(reason), _) => Verdict::Unverifiable { reason },
                    (None, Some((_, field))) => Verdict::Mismatch { field },
                    (None, None) => Verdict::Unverifiable { reason: "field_missing" },
                };
            }
            candidates.push(fitting);
        }
        let covered = covered(&candidates, expected.len());
        if covered == expected.len() && self.fits_another(evidence, groups) {
            return Verdict::Unverifiable { reason: "another_person_fits" };
        }
        if covered == expected.len() {
            return Verdict::Match;
        }
        Verdict::Mismatch {
            field: FieldEvidence { expected_chars: expected.len(), found_chars: covered, ..blank("people") },
        }
    }

    /// Whether what was found may as well be somebody's whom the authority names beside those asked for: two names that a form cuts
    /// alike, one birthday, one address.
    fn fits_another(&self, evidence: &Evidence<'_>, groups: &[Group]) -> bool {
        let Some(reply) = evidence.before.filter(|_| self.with.is_some()) else { return false };
        let others = reply.people.iter().filter_map(|person| Some((person.id.as_ref()?, &person.fields)));
        let mut others = others.filter(|(id, _)| !evidence.facts.residents.contains(id));
        others.any(|(id, attributes)| groups.iter().any(|group| self.may_be(group, id, attributes)))
    }

    /// Whether nothing that is known of a person differs, and enough of it would prove who it is.
    fn may_be(&self, group: &Group, id: &ResidentId, attributes: &BTreeMap<String, String>) -> bool {
        let mut alike: FieldSet = 0;
        let fields = || self.fields.iter().zip(&group.found).enumerate();
        // Those who are asked about here live together: their address is looked at last.
        let shared = |(_, (field, _)): &(usize, (&Field, &Vec<Found>))| field.kind == FieldKind::Address;
        let (first, last) = (fields().filter(|field| !shared(field)), fields().filter(shared));
        for (index, (field, found)) in first.chain(last) {
            let Some(expected) = field.expected(id, attributes).filter(|_| !found.is_empty()) else { continue };
            if found.iter().any(|found| expected.compare(found) == Compared::Differs) {
                return false;
            }
            alike |= 1 << index;
        }
        self.enough.iter().any(|set| set & alike == *set)
    }

    fn fit(&self, group: &Group, person: &Expectation) -> Fit {
        let mut proven: FieldSet = 0;
        let mut hidden = false;
        let mut cannot_tell = None;
        let mut differing: Option<(usize, FieldEvidence)> = None;
        for (index, ((field, found), expected)) in self.fields.iter().zip(&group.found).zip(person).enumerate() {
            for found in found {
                let Some(expected) = expected else {
                    cannot_tell = Some("lookup_lacks_field");
                    continue;
                };
                match expected.compare(found) {
                    // Nothing printed where nothing is known proves nobody.
                    Compared::Equal if found.is_empty() => {}
                    Compared::Equal => proven |= 1 << index,
                    Compared::Unreadable => hidden = true,
                    Compared::NotUnderstood => cannot_tell = Some("field_not_understood"),
                    Compared::Differs => {
                        let count = differing.as_ref().map_or(0, |(count, _)| *count) + 1;
                        let first = differing.take().map(|(_, first)| first);
                        let first = first.unwrap_or_else(|| expected.evidence(&field.name, group.page, found));
                        differing = Some((count, first));
                    }
                }
            }
        }
        if let Some((fields, first)) = differing {
            return Fit::Differs { fields, first };
        }
        if let Some(reason) = cannot_tell {
            return Fit::CannotTell(reason);
        }
        let short = if hidden { "field_unreadable" } else { "field_missing" };
        if !self.enough.iter().any(|set| set & proven == *set) {
            return Fit::CannotTell(short);
        }
        if self.complete & proven != self.complete {
            return Fit::CannotTell(if hidden { "field_unreadable" } else { "currency_incomplete" });
        }
        Fit::Fits
    }
}

impl Field {
    /// The name of the member that holds it.
    fn member(&self) -> Option<std::borrow::Cow<'_, str>> {
        match &self.place {
            Place::Answer(Extract::Body(place)) => place.member(),
            _ => None,
        }
    }

    fn expected(&self, resident: &ResidentId, attributes: &BTreeMap<String, String>) -> Option<Expected> {
        let raw = if self.is_id { resident.expose() } else { attributes.get(&self.name)? };
        Some(Expected::new(self.kind, raw, self.prefix))
    }
}

/// A reply counts only if it says that it answers for somebody who was asked for.
pub(super) fn answers_for(reply: &LookupReply, evidence: &Evidence<'_>) -> Result<(), &'static str> {
    let id = reply.people.first().and_then(|person| person.id.as_ref()).ok_or("lookup_without_id")?;
    let asked = evidence.facts.applicant.iter().chain(&evidence.facts.residents).any(|resident| resident == id);
    if asked { Ok(()) } else { Err("lookup_names_another") }
}

/// What an authority says of one of the people.
pub(super) fn person<'r>(reply: &'r LookupReply, resident: &ResidentId) -> Option<&'r Person> {
    reply.people.iter().find(|person| person.id.as_ref() == Some(resident))
}

/// How many expected people can be given a group of their own (maximum bipartite matching by augmenting paths).
fn covered(candidates: &[Vec<usize>], people: usize) -> usize {
    fn give(group: usize, candidates: &[Vec<usize>], owner: &mut [Option<usize>], seen: &mut [bool]) -> bool {
        for &person in candidates.get(group).into_iter().flatten() {
            if seen.get(person).copied().unwrap_or(true) {
                continue;
            }
            if let Some(slot) = seen.get_mut(person) {
                *slot = true;
            }
            let free = match owner.get(person).copied().flatten() {
                None => true,
                Some(other) => give(other, candidates, owner, seen),
            };
            if free {
                if let Some(slot) = owner.get_mut(person) {
                    *slot = Some(group);
                }
                return true;
            }
        }
        false
    }
    let mut owner = vec![None; people];
    (0..candidates.len()).filter(|group| give(*group, candidates, &mut owner, &mut vec![false; people])).count()
}
