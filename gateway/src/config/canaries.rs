//! `[canaries.NAME]`: synthetic residents whose documents are asked for on a schedule. Their requests are tried out here, before any is sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sekisho_issuance::answer::Format;
use sekisho_issuance::id::SessionId;
use sekisho_issuance::request::{Facts, Operation, Selection};

use super::lookups;
use super::section::{Placed, Section};
use super::source::{Findings, did_you_mean};
use crate::canary::{Canary, Step};
use crate::layer::facts::{Said, set};
use crate::problem::Problem;
use crate::route::{FactName, Route, Routes};
use crate::template::Place;

/// Between two runs where nothing else is said.
const USUAL: Duration = Duration::from_secs(60);
/// A run takes seconds, and backends have other work.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Synthetic residents of one canary.
const MAX_PEOPLE: usize = 16;
const PEOPLE: &str = "[{ kiosk = \"CANARY-1\", card = \"...\" }, { kiosk = \"CANARY-2\", card = \"...\" }]";

pub(super) fn read(
    root: &mut Section<'_>,
    routes: &[Arc<Route>],
    found: &mut Findings,
) -> BTreeMap<Arc<str>, Arc<Canary>> {
    let mut canaries = BTreeMap::new();
    let declared: Vec<String> = root
        .below(&["routes"])
        .and_then(|routes| routes.as_table())
        .into_iter()
        .flat_map(|routes| routes.keys().map(|name| name.get_ref().to_string()))
        .collect();
    let known = Known { declared: &declared, routes, all: Routes::new(routes.to_vec()) };
    for (name, mut section) in root.named(found, "canaries") {
        super::label(&name, found);
        let before = found.mistakes.len();
        let canary = one(name.value.into(), &mut section, &known, found);
        section.finish(found);
        if let Some(canary) = canary.filter(|_| found.mistakes.len() == before) {
            let what = format!(
                "asks for documents of {} residents every {} s: they must be nobody's, and are issued for real",
                canary.people.len(),
                canary.every.as_secs()
            );
            found.note(&name.span, name.key, what, &[]);
            canaries.insert(canary.name.clone(), Arc::new(canary));
        }
    }
    canaries
}

/// The declared operations.
struct Known<'r> {
    /// Also those that could not be read.
    declared: &'r [String],
    routes: &'r [Arc<Route>],
    all: Routes,
}

fn one(name: Arc<str>, section: &mut Section<'_>, known: &Known<'_>, found: &mut Findings) -> Option<Canary> {
    let every = section.duration(found, "every", "1m").unwrap_or(USUAL);
    if !(SHORTEST..=LONGEST).contains(&every) {
        let (span, key) = (section.place("every"), section.key("every"));
        found.mistake(&span, key, "must lie between 1s and 1d", "every = \"1m\"");
    }
    let pair = section.flag(found, "pair").unwrap_or(true);
    let people = people(section, found);
    let parts = Parts { known, facts: people.first().map(|(_, facts)| facts) };
    let issue = parts.step(section, Operation::Issue, found);
    let step = |section: &mut Section<'_>, key, operation, found: &mut Findings| {
        let mut table = section.section(found, key)?;
        let step = parts.step(&mut table, operation, found);
        table.finish(found);
        Some(step)
    };
    let open = step(section, "open", Operation::Open, found);
    let close = step(section, "close", Operation::Close, found);
    let (issue, open, close) =
        (issue?, open.map_or(Some(None), |s| s.map(Some))?, close.map_or(Some(None), |s| s.map(Some))?);
    let in_a_session = issue.route.facts.iter().any(|rule| rule.fact == FactName::Session);
    if open.is_none() && in_a_session && !issue.route.session_is_connection() {
        let (span, key) = (section.span().clone(), section.key("open"));
        let what = format!("is missing, and `routes.{}` needs a session", issue.route.name);
        found.mistake(&span, key, what, "open = { route = \"session_open\", body = '...' }");
    }
    let mut kiosks = Vec::new();
    let mut asked = Vec::new();
    for (place, facts) in &people {
        let mut said = Vec::new();
        for step in [open.as_ref(), Some(&issue), close.as_ref()].into_iter().flatten() {
            let tried = try_out(step, facts, &known.all);
            said.extend(tried.map_err(|(fact, why)| {
                let what = format!("asks `routes.{}` for what it would refuse: {why}{}", step.route.name, about(fact));
                place.wrong(
                    found,
                    what,
                    "every fact of that route, in `facts`, in `people` or in the `body` of its step",
                );
            }));
        }
        kiosks.extend(said.iter().filter_map(|facts| facts.kiosk.clone()));
        let who = |pick: fn(&Facts) -> Option<String>| said.iter().find_map(pick);
        asked.push((
            who(|facts| facts.kiosk.as_ref().map(|kiosk| kiosk.as_str().to_owned())),
            who(|facts| facts.card.as_ref().map(|card| card.expose().to_owned())),
            who(|facts| facts.applicant.as_ref().map(|resident| resident.expose().to_owned())),
        ));
    }
    kiosks.sort_unstable();
    kiosks.dedup();
    for (at, ((place, _), (kiosk, card, resident))) in people.iter().zip(&asked).enumerate() {
        for (other_kiosk, other_card, other_resident) in asked.iter().take(at) {
            if kiosk.is_some() && kiosk == other_kiosk {
                place.wrong(
                    found,
                    "stands at a kiosk where another stands: one card is present there at a time",
                    PEOPLE,
                );
            }
            let is_said = card.is_some() || resident.is_some();
            if is_said && (card, resident) == (other_card, other_resident) {
                place.wrong(found, "is somebody who is there already: nobody else's document could be tried", PEOPLE);
            }
        }
    }
    let people = people.into_iter().map(|(_, facts)| facts).collect();
    Some(Canary { name, every, pair, people, open, issue, close, kiosks })
}

fn about(fact: Option<String>) -> String {
    fact.map(|fact| format!(" ({fact})")).unwrap_or_default()
}

fn nobody() -> Facts {
    Facts {
        kiosk: None,
        session: None,
        municipality: None,
        residents: Vec::new(),
        applicant: None,
        kind: None,
        selection: Selection::new(),
        card: None,
        idempotency_key: None,
    }
}

/// `facts`, which hold for everybody, and each of `people`.
fn people<'a>(section: &mut Section<'a>, found: &mut Findings) -> Vec<(Placed<String>, Facts)> {
    let mut everybody = nobody();
    if let Some(table) = section.section(found, "facts") {
        fill(&mut everybody, &table, found);
    }
    let tables = section.tables(found, "people", PEOPLE);
    if !(2..=MAX_PEOPLE).contains(&tables.len()) {
        let (span, key) = (section.place("people"), section.key("people"));
        let what = format!("must name 2 to {MAX_PEOPLE} synthetic residents: each one's document is tried on another");
        found.mistake(&span, key, what, PEOPLE);
    }
    let mut people = Vec::new();
    for table in &tables {
        let mut facts = everybody.clone();
        fill(&mut facts, table, found);
        let place = Placed { value: String::new(), span: table.span().clone(), key: table.path().to_owned() };
        people.push((place, facts));
    }
    people
}

fn fill(facts: &mut Facts, table: &Section<'_>, found: &mut Findings) {
    for (name, value) in table.entries() {
        let fact = FactName::is_name(name.value).then(|| FactName::parse(name.value));
        let Some(fact) = fact.filter(|fact| *fact != FactName::Kind) else {
            name.wrong(found, "is not a fact's name ([a-z][a-z0-9_]*)", "kiosk, card, municipality, resident, ...");
            continue;
        };
        match value.get_ref().as_str() {
            Some(text) if set(facts, &fact, text).is_some() => {}
            Some(_) => name.wrong(found, "cannot be the value of this fact", "what a kiosk would send"),
            None => name.wrong(found, "must be a string", "\"CANARY-1\""),
        }
    }
}

struct Parts<'r> {
    known: &'r Known<'r>,
    facts: Option<&'r Facts>,
}

impl Parts<'_> {
    /// `route`, `headers` and `body` of one step.
    fn step(&self, section: &mut Section<'_>, operation: Operation, found: &mut Findings) -> Option<Step> {
        let example = match operation {
            Operation::Open => "session_open",
            Operation::Close => "session_close",
            _ => "resident_record",
        };
        let placed = section.text(found, "route", example);
        if placed.is_none() && !section.has("route") {
            let (span, key) = (section.span().clone(), section.key("route"));
            found.mistake(&span, key, "is missing", format!("route = {example:?}"));
        }
        let route = placed.and_then(|placed| self.route(&placed, operation, found));
        let headers = lookups::patterns(section.section(found, "headers"), Place::Header, found)
            .into_iter()
            .filter_map(|(placed, pattern)| lookups::header(&placed, found).map(|name| (name, pattern)))
            .collect();
        let charset = route.as_ref().map(|route| route.dialect.charset).unwrap_or_default();
        let body = lookups::body(section, "{\"cardSerial\":\"{card}\"}", charset, found);
        let route = route?;
        let place = Place::Body(route.dialect.format, charset);
        if let Some(body) = body.as_ref().filter(|_| route.dialect.format == Format::Multipart) {
            body.as_deref().wrong(found, "cannot be written in multipart", "a dialect with format = \"form\"");
        }
        let body = body.and_then(|text| lookups::pattern(&text.as_deref(), place, found));
        let nobody = nobody();
        Step::of(&route, headers, body, self.facts.unwrap_or(&nobody))
            .map_err(|why| found.mistake(&section.place("route"), section.key("route"), why, "another route"))
            .ok()
    }

    fn route(&self, placed: &Placed<&str>, operation: Operation, found: &mut Findings) -> Option<Arc<Route>> {
        let Known { declared, routes, .. } = self.known;
        match routes.iter().find(|route| *route.name == *placed.value) {
            Some(route) if route.operation == operation => Some(route.clone()),
            Some(route) => {
                let is = route.operation.name();
                placed.wrong(found, format!("names a route that does something else (`{is}`)"), operation.name());
                None
            }
            // One that is there and has mistakes of its own is said there.
            None if declared.iter().any(|name| name == placed.value) => None,
            None => {
                let near = did_you_mean(placed.value, declared.iter().map(String::as_str));
                let suggestion = near.map_or_else(|| format!("[routes.{}]", placed.value), |near| format!("{near:?}"));
                placed.wrong(found, format!("names `{}`, which is not in `routes`", placed.value), suggestion);
                None
            }
        }
    }
}

/// Writes the request as a run would and reads it as the tower would. `Err`: the fact, and why.
fn try_out(step: &Step, facts: &Facts, routes: &Routes) -> Result<Facts, (Option<String>, String)> {
    let mut facts = facts.clone();
    facts.session = facts.session.or_else(|| SessionId::new("canary").ok());
    facts.idempotency_key = facts.idempotency_key.or_else(|| sekisho_issuance::id::IdempotencyKey::new("canary").ok());
    let unwritten = |fact: FactName| (Some(fact.name().to_owned()), "it cannot be written".to_owned());
    let (head, body) = step.request(&facts).map_err(unwritten)?.into_parts();
    let refused = |problem: Problem| (problem.fact().map(str::to_owned), problem.reason().to_owned());
    let matched = routes.find(&head.method, head.uri.path()).map_err(refused)?;
    let peer = step.peer(&facts);
    let body = body.into_inner().unwrap_or_default();
    let said = Said {
        matched: &matched,
        headers: &head.headers,
        query: head.uri.query().unwrap_or(""),
        body: &body,
        peer: peer.as_deref(),
    };
    let (route, facts) = said.extract().map_err(refused)?;
    match route.name == step.route.name {
        true => Ok(facts),
        false => Err((None, format!("it is one for `routes.{}`", route.name))),
    }
}
