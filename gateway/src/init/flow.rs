//! Follows values from exchange to exchange: what was answered once and asked with later is a session, and so on. Looks at places
//! and values, never at what they are called, except to tell two that are alike.

use std::collections::{BTreeMap, BTreeSet};

use http::uri::Authority;
use sekisho_issuance::certificate::Kind;
use sekisho_issuance::id::MunicipalityCode;

use super::lookups::{self, Lookup};
use super::paper;
use super::presence;
use super::read::{All, Leaf, Place, Seen};

/// What a value stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Session,
    Kiosk,
    Card,
    Municipality,
    Resident,
}

impl Role {
    pub(super) const fn fact(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Kiosk => "kiosk",
            Self::Card => "card",
            Self::Municipality => "municipality",
            Self::Resident => "resident",
        }
    }
}

/// The values of one card presence.
pub(super) type Visit = BTreeMap<Role, String>;

/// What an operation is, as far as its exchanges tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Open,
    Close,
    Issue(Option<Kind>),
    Inquire,
    Amend,
    Pass,
}

/// Exchanges that are alike.
pub(super) struct Operation {
    pub(super) server: Authority,
    pub(super) method: String,
    /// Segments; `None` = another value each time.
    pub(super) path: Vec<Option<String>>,
    pub(super) message: Option<String>,
    /// Which value at which place makes it this operation.
    pub(super) when: Option<(String, String)>,
    pub(super) what: What,
    /// Numbers of its exchanges.
    pub(super) exchanges: Vec<usize>,
    /// Where its requests say what, and in how many of them.
    pub(super) says: BTreeMap<Role, (Place, usize)>,
}

/// What was understood.
pub(super) struct Town {
    /// Operations of the server that kiosks ask.
    pub(super) operations: Vec<Operation>,
    pub(super) lookups: Vec<Lookup>,
    pub(super) front: Option<Authority>,
    /// Nothing names a session, and requests say who is at which kiosk: a connection stands in for one.
    pub(super) by_connection: bool,
    /// Visits by session; by card where there is none.
    pub(super) visits: BTreeMap<String, Visit>,
    /// Where an answer to `open` says what.
    pub(super) learned: BTreeMap<Role, (Place, usize)>,
    pub(super) municipalities: BTreeSet<MunicipalityCode>,
}

/// Shorter values come again by chance.
pub(super) const LEAST_BYTES: usize = 4;

impl Town {
    /// The visit that an exchange belongs to.
    pub(super) fn visit(&self, seen: &Seen<'_>) -> Option<&Visit> {
        let session = seen.asked.iter().chain(&seen.answered).find(|leaf| self.visits.contains_key(&leaf.value))?;
        self.visits.get(&session.value)
    }

    /// Whether an operation reads what speaks of nobody who was recorded, under one path.
    pub(super) fn is_for_everybody(&self, operation: &Operation, exchanges: &[&Seen<'_>]) -> bool {
        let known = |role| self.visits.values().filter_map(move |visit| visit.get(&role));
        let names = |one: &Seen<'_>, who: &String| says(&one.asked, who) || says(&one.answered, who);
        let mut who = known(Role::Resident).chain(known(Role::Card));
        operation.method == "GET"
            && operation.path.iter().all(Option::is_some)
            && who.all(|who| !exchanges.iter().any(|one| names(one, who)))
    }
}

pub(super) fn value<'l>(leaves: &'l [Leaf], place: &Place) -> Option<&'l str> {
    leaves.iter().find(|leaf| leaf.place == *place).map(|leaf| leaf.value.as_str())
}

pub(super) fn says(leaves: &[Leaf], value: &str) -> bool {
    leaves.iter().any(|leaf| leaf.value == value)
}

pub(super) fn follow(all: &All<'_>) -> Town {
    let seen = &all.seen;
    let front = seen.iter().find(|s| s.paper.is_some()).or(seen.first()).map(|s| s.exchange.server.clone());
    let mut operations = groups(seen);
    let mut town = Town {
        operations: Vec::new(),
        lookups: Vec::new(),
        by_connection: false,
        visits: BTreeMap::new(),
        learned: BTreeMap::new(),
        municipalities: BTreeSet::new(),
        front,
    };
    open(seen, &mut operations, &mut town);
    if town.learned.is_empty() {
        presence::find(seen, &operations, &mut town);
    }
    let is_front = |operation: &Operation| Some(&operation.server) == town.front.as_ref();
    let (fronts, others): (Vec<_>, Vec<_>) = operations.into_iter().partition(is_front);
    for operation in fronts.into_iter().flat_map(|operation| by_kind(seen, operation)) {
        let operation = classify(seen, &town, operation);
        town.operations.push(operation);
    }
    town.lookups = lookups::find(seen, &town, others);
    town
}

/// Exchanges by server, method, path with its values taken out, and message.
fn groups(seen: &[Seen<'_>]) -> Vec<Operation> {
    let known: BTreeSet<&str> = seen
        .iter()
        .flat_map(|s| s.asked.iter().chain(&s.answered))
        .filter(|leaf| !matches!(leaf.place, Place::Path(_)) && leaf.value.len() >= LEAST_BYTES)
        .map(|leaf| leaf.value.as_str())
        .collect();
    let varies =
        |segment: &str| known.contains(segment) || segment.bytes().filter(u8::is_ascii_digit).count() >= LEAST_BYTES;
    let mut operations: Vec<Operation> = Vec::new();
    for (n, one) in seen.iter().enumerate() {
        let path: Vec<_> = one.segments.iter().map(|segment| (!varies(segment)).then(|| segment.clone())).collect();
        let same = operations.iter_mut().find(|other| {
            let key = (&other.server, other.method.as_str(), &other.path, &other.message);
            key == (&one.exchange.server, one.exchange.method.as_str(), &path, &one.message)
        });
        match same {
            Some(operation) => operation.exchanges.push(n),
            None => operations.push(Operation {
                server: one.exchange.server.clone(),
                method: one.exchange.method.clone(),
                path,
                message: one.message.clone(),
                when: None,
                what: What::Pass,
                exchanges: vec![n],
                says: BTreeMap::new(),
            }),
        }
    }
    operations
}

/// Places of `leaves` with in how many of `exchanges` `fits` is true of them, the best first.
fn ranked<'s, 'e: 's>(
    seen: &'s [Seen<'e>],
    exchanges: &[usize],
    leaves: impl Fn(&'s Seen<'e>) -> &'s [Leaf],
    fits: impl Fn(usize, &Leaf) -> usize,
) -> Vec<(Place, usize)> {
    let mut ranks: BTreeMap<Place, usize> = BTreeMap::new();
    for n in exchanges {
        for leaf in seen.get(*n).map(&leaves).into_iter().flatten() {
            *ranks.entry(leaf.place.clone()).or_default() += fits(*n, leaf);
        }
    }
    let mut ranks: Vec<_> = ranks.into_iter().filter(|(_, count)| *count > 0).collect();
    // A segment of the path that no fact reads would reach the backend as it came.
    ranks.sort_by_key(|(place, count)| std::cmp::Reverse((*count, matches!(place, Place::Path(_)))));
    ranks
}

/// Finds the operation that opens a session: one of its answers' values is in the requests for certificates that follow.
fn open(seen: &[Seen<'_>], operations: &mut [Operation], town: &mut Town) {
    let long = |leaf: &Leaf| leaf.value.len() >= LEAST_BYTES;
    let later = |n: usize, wanted: &dyn Fn(&Seen<'_>) -> bool, value: &str| {
        seen.iter().skip(n + 1).filter(|s| wanted(s) && says(&s.asked, value)).count()
    };
    let front = town.front.clone();
    let is_front = |s: &Seen<'_>| Some(&s.exchange.server) == front.as_ref();
    let new = |n: usize, leaf: &Leaf| long(leaf) && seen.get(n).is_some_and(|s| !says(&s.asked, &leaf.value));
    let opens = operations.iter_mut().filter(|operation| Some(&operation.server) == front.as_ref());
    let best = opens
        .filter_map(|operation| {
            let ranks = ranked(
                seen,
                &operation.exchanges,
                |s| &s.answered,
                |n, leaf| {
                    if new(n, leaf) { later(n, &|s| is_front(s) && s.paper.is_some(), &leaf.value) } else { 0 }
                },
            );
            ranks.into_iter().next().map(|(place, count)| (count, place, operation))
        })
        .max_by_key(|(count, ..)| *count);
    let Some((count, session, operation)) = best else { return };
    operation.what = What::Open;
    town.learned.insert(Role::Session, (session.clone(), count));
    let exchanges = operation.exchanges.clone();
    let elsewhere = |value: &str| seen.iter().filter(|s| !is_front(s) && says(&s.asked, value)).count();
    let resident = ranked(
        seen,
        &exchanges,
        |s| &s.answered,
        |n, leaf| {
            let fits = new(n, leaf) && leaf.place != session;
            if fits { elsewhere(&leaf.value) + later(n, &is_front, &leaf.value) } else { 0 }
        },
    );
    if let Some((place, count)) = resident.into_iter().next() {
        town.learned.insert(Role::Resident, (place, count));
    }
    // A word of the path is no card, though it comes again everywhere.
    let fixed =
        |place: &Place| matches!(place, Place::Path(at) if operation.path.get(*at).is_some_and(Option::is_some));
    let card = ranked(
        seen,
        &exchanges,
        |s| &s.asked,
        |_, leaf| if long(leaf) && !fixed(&leaf.place) { elsewhere(&leaf.value) } else { 0 },
    );
    let card = card.into_iter().find(|(place, _)| {
        // A municipality may be asked for elsewhere, too.
        exchanges.iter().any(|n| {
            seen.get(*n).and_then(|s| value(&s.asked, place)).is_some_and(|v| MunicipalityCode::new(v).is_err())
        })
    });
    let city =
        ranked(seen, &exchanges, |s| &s.asked, |_, leaf| usize::from(MunicipalityCode::new(&leaf.value).is_ok()));
    let city = city.into_iter().next();
    let taken = [card.as_ref(), city.as_ref()].map(|found| found.map(|(place, _)| place.clone()));
    let kiosk = ranked(
        seen,
        &exchanges,
        |s| &s.asked,
        |n, leaf| {
            let free = !taken.contains(&Some(leaf.place.clone())) && leaf.value.len() > 2;
            if free && !matches!(&leaf.place, Place::Path(_)) { later(n, &is_front, &leaf.value) } else { 0 }
        },
    );
    // What every request says alike (a SOAPAction, an address) names no kiosk where several were recorded; one that is also
    // in the requests for certificates comes before others.
    let message = |place: &Place| matches!(place, Place::Header(name) if name == "soapaction" || name == "origin");
    let kiosk = kiosk.into_iter().find(|(place, _)| !message(place));
    for (role, found) in [(Role::Card, card), (Role::Municipality, city), (Role::Kiosk, kiosk)] {
        operation.says.extend(found.map(|(place, fits)| (role, (place, fits.min(exchanges.len())))));
    }
    for one in exchanges.iter().filter_map(|n| seen.get(*n)) {
        let Some(id) = value(&one.answered, &session) else { continue };
        let mut visit = Visit::new();
        let learned = town.learned.iter().map(|(role, (place, _))| (*role, value(&one.answered, place)));
        let said = operation.says.iter().map(|(role, (place, _))| (*role, value(&one.asked, place)));
        visit.extend(learned.chain(said).filter_map(|(role, value)| Some((role, value?.to_owned()))));
        town.municipalities.extend(visit.get(&Role::Municipality).and_then(|code| MunicipalityCode::new(code).ok()));
        town.visits.insert(id.to_owned(), visit);
    }
}

/// Several kinds of certificate under one path: the value in the request that tells them apart.
fn by_kind(seen: &[Seen<'_>], operation: Operation) -> Vec<Operation> {
    let kinds: BTreeMap<usize, Kind> = operation
        .exchanges
        .iter()
        .filter_map(|n| Some((*n, paper::kind(&seen.get(*n)?.paper.as_ref()?.document)?)))
        .collect();
    let several = kinds.values().collect::<BTreeSet<_>>().len() > 1;
    let telling = ranked(
        seen,
        &operation.exchanges,
        |s| &s.asked,
        |n, leaf| usize::from(matches!(leaf.place, Place::Body(_)) && kinds.contains_key(&n)),
    );
    let telling = telling.into_iter().filter(|_| several).find_map(|(place, count)| {
        let mut words: BTreeMap<&str, BTreeSet<Kind>> = BTreeMap::new();
        for (n, kind) in &kinds {
            words.entry(value(&seen.get(*n)?.asked, &place)?).or_default().insert(*kind);
        }
        (count == kinds.len() && words.values().all(|kinds| kinds.len() == 1)).then_some(place)
    });
    let Some(place @ Place::Body(text)) = &telling else { return vec![operation] };
    let mut parts: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for n in &operation.exchanges {
        let word = seen.get(*n).and_then(|s| value(&s.asked, place));
        parts.entry(word.unwrap_or_default().to_owned()).or_default().push(*n);
    }
    let part = |(word, exchanges)| Operation {
        server: operation.server.clone(),
        method: operation.method.clone(),
        path: operation.path.clone(),
        message: operation.message.clone(),
        when: Some((text.clone(), word)),
        what: operation.what,
        exchanges,
        says: operation.says.clone(),
    };
    parts.into_iter().map(part).collect()
}

/// Whether a word of `name` says that something ends.
fn says_end(name: &str) -> bool {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() || !c.is_ascii_alphabetic() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    let ends =
        |word: &str| ["close", "logout", "logoff", "end", "exit", "finish"].iter().any(|end| word.starts_with(end));
    words.split(|c: char| !c.is_ascii_alphabetic()).any(ends)
}

fn classify(seen: &[Seen<'_>], town: &Town, mut operation: Operation) -> Operation {
    let of = |n: &usize| seen.get(*n);
    if operation.what != What::Open {
        for role in [Role::Session, Role::Kiosk, Role::Card, Role::Municipality, Role::Resident] {
            let ranks = ranked(
                seen,
                &operation.exchanges,
                |s| &s.asked,
                |n, leaf| {
                    let visit = of(&n).and_then(|s| town.visit(s));
                    usize::from(visit.and_then(|visit| visit.get(&role)).is_some_and(|known| *known == leaf.value))
                },
            );
            operation.says.extend(ranks.into_iter().next().map(|found| (role, found)));
        }
    }
    if operation.what == What::Open {
        return operation;
    }
    let papers = operation.exchanges.iter().filter_map(of).filter_map(|s| s.paper.as_ref());
    if let Some(first) = papers.into_iter().next() {
        operation.what = What::Issue(paper::kind(&first.document));
        return operation;
    }
    let has = |role| operation.says.contains_key(&role);
    let called = operation.message.as_ref().or(operation.path.iter().flatten().next_back());
    let ends = operation.method == "DELETE" || called.is_some_and(|name| says_end(name));
    let known: Vec<&Place> = operation.says.values().map(|(place, _)| place).collect();
    let says_more = operation.exchanges.iter().filter_map(of).any(|s| {
        s.asked
            .iter()
            .any(|leaf| matches!(leaf.place, Place::Body(_)) && !known.contains(&&leaf.place) && !leaf.value.is_empty())
    });
    operation.what = match () {
        () if has(Role::Resident) && operation.method != "GET" && says_more => What::Amend,
        () if has(Role::Resident) => What::Inquire,
        () if has(Role::Session) && ends => What::Close,
        () if has(Role::Session) && operation.method != "GET" => What::Amend,
        () if has(Role::Session) || town.by_connection && has(Role::Card) => What::Inquire,
        () => What::Pass,
    };
    operation
}
