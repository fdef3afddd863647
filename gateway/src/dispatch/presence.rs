//! One card presence at a kiosk: the session that an answer opens, that must be open when one leaves, and that a close ends.

use std::sync::Arc;
use std::time::Instant;

use http::header::CONTENT_TYPE;
use sekisho_issuance::id::{ResidentId, SessionId};
use sekisho_issuance::normalize;
use sekisho_issuance::request::{Facts, Operation};
use sekisho_issuance::verdict::{CheckName, Finding, Verdict};
use sekisho_worker::assignment::Answer;

use super::Kiosk;
use crate::bound::Bound;
use crate::layer::Known;
use crate::layer::admission::Permit;
use crate::ledger::{Over, SessionKey};
use crate::record::{Closed, Record};
use crate::release::Gone;
use crate::route::{Extractor, FactName, Route};
use crate::session::{Pin, Refused};

/// Somebody steps up to a kiosk with a card: whoever was there before is gone, whatever comes of the new session.
pub(super) fn step_up(known: &Known, route: &Route, facts: &Facts) {
    if let (Operation::Open, Some(kiosk)) = (route.operation, &facts.kiosk) {
        known.edge.sessions.step_up(known.config.session_scope, kiosk, Instant::now());
    }
}

/// Whether somebody is there for the answer: the kiosk waits, and the session that it is for, or that it hands out, is open.
pub(super) fn still(known: &Known, bound: &Bound, opened: Option<&SessionId>, kiosk: &Kiosk) -> Result<(), Gone> {
    if kiosk.is_gone() {
        return Err(Gone::HungUp);
    }
    let asked = match bound.route().operation {
        // What is closed is over by now, and a session that was refused never began.
        Operation::Open | Operation::Close => None,
        _ => bound.facts().session.as_ref(),
    };
    let Some(session) = opened.or(asked) else { return Ok(()) };
    // The limits that a reload put in force hold for it too.
    let (scope, limits) = (known.config.session_scope, known.edge.config().listeners.sessions);
    let now = Instant::now();
    match known.edge.sessions.holds(scope, bound.facts().kiosk.as_ref(), session, limits, now) {
        true => Ok(()),
        false => Err(Gone::SessionOver),
    }
}

/// What an answer to `open` came to.
pub(super) enum Opened {
    /// A session, pinned to who asked.
    Pinned(SessionId),
    /// It speaks of somebody else than the authority, or its id is another's.
    Contradicted(Finding),
    /// It says yes, but not whose session it opened: it may be anybody's answer.
    Unlearned(Finding),
    /// A refusal, or nothing that a session could be pinned to: the route's checks have the word.
    Nothing,
    /// No more sessions can be remembered.
    Full,
}

/// Pins what an answer to `open` says to who asked. An id that somebody else was given, or another resident than the authority's, is a mismatch.
pub(super) fn open(
    known: &Known,
    bound: &Bound,
    answer: &Answer,
    proven_by: Option<Arc<str>>,
    permit: &mut Permit,
) -> Opened {
    let (facts, route, config) = (bound.facts(), bound.route(), &known.config);
    if !(200..300).contains(&answer.status) {
        return Opened::Nothing;
    }
    let learned = match learn(route, answer) {
        Ok(learned) => learned,
        Err(reason) => {
            let verdict = Verdict::Unverifiable { reason };
            return Opened::Unlearned(Finding { check: CheckName::Identity, verdict, independent: true });
        }
    };
    let Some(session) = learned.session.or_else(|| facts.session.clone()) else { return Opened::Nothing };
    let (Some(kiosk), Some(card), Some(municipality)) = (&facts.kiosk, &facts.card, facts.municipality) else {
        return Opened::Nothing;
    };
    let contradicted = |field: &str, expected: &str, found: &str, refused: Refused| {
        known.edge.count_pin_refused(refused);
        // Whoever holds that id goes no further either: two people were given it.
        known.edge.sessions.end(config.session_scope, Some(kiosk), &session);
        let verdict = Verdict::Mismatch { field: normalize::evidence(field, None, expected, found) };
        Opened::Contradicted(Finding { check: CheckName::Identity, verdict, independent: proven_by.is_some() })
    };
    if let (Some(found), Some(proven)) = (&learned.resident, &facts.applicant)
        && found != proven
    {
        return contradicted("resident", proven.expose(), found.expose(), Refused::Resident);
    }
    let pin = Pin {
        kiosk: kiosk.clone(),
        card: card.clone(),
        municipality,
        resident: facts.applicant.clone().or(learned.resident),
        proven_by: proven_by.clone(),
    };
    let now = Instant::now();
    match known.edge.sessions.open(config.session_scope, &session, pin, config.listeners.sessions, now) {
        Ok(()) => {
            // Whoever was let in is counted on until the session ends; nobody thinks as canaries do.
            let promise = if known.canary.is_none() { permit.opened() } else { None };
            known.edge.sessions.promise(config.session_scope, Some(kiosk), &session, promise);
            Opened::Pinned(session)
        }
        Err(Refused::Full) => Opened::Full,
        Err(refused) => contradicted("session", "", session.expose(), refused),
    }
}

#[derive(Default)]
struct Learned {
    session: Option<SessionId>,
    resident: Option<ResidentId>,
}

/// Every fact that the route says the answer holds; one that cannot be found leaves the whole answer unread.
fn learn(route: &Route, answer: &Answer) -> Result<Learned, &'static str> {
    const UNREADABLE: &str = "answer_unreadable";
    const MISSING: &str = "learned_fact_missing";
    let mut learned = Learned::default();
    let wants_body = route.learn.iter().any(|rule| matches!(rule.from, Extractor::Body(_)));
    let content_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let read = wants_body.then(|| route.dialect.read(answer.body.as_slice(), content_type)).transpose();
    let body = read.map_err(|_| UNREADABLE)?;
    for rule in &route.learn {
        let text = match &rule.from {
            Extractor::Body(place) => body.as_ref().and_then(|body| body.find(place).plain()),
            Extractor::Header(name) => crate::layer::facts::header(&answer.headers, name).map_err(|()| UNREADABLE)?,
            Extractor::Path(_) | Extractor::Query(_) | Extractor::Client(_) | Extractor::Connection => None,
        };
        let text = text.ok_or(MISSING)?;
        match rule.fact {
            FactName::Session => learned.session = Some(SessionId::new(&text).map_err(|_| MISSING)?),
            FactName::Resident => learned.resident = Some(ResidentId::new(&text).map_err(|_| MISSING)?),
            _ => {}
        }
    }
    Ok(learned)
}

/// A session that is being closed or abandoned ends at once, whatever the backend says: going on with it would be worse.
pub(super) fn end_closed_session(known: &Known, route: &Route, facts: &Facts) {
    if let (Operation::Close, Some(session)) = (route.operation, &facts.session) {
        if let Some(over) = route.closes {
            close_papers(known, facts, session, over);
        }
        known.edge.sessions.end(known.config.session_scope, facts.kiosk.as_ref(), session);
    }
}

/// What the kiosk says of the papers of a session is recorded, and what was kept of them is erased: nothing of them is given again.
fn close_papers(known: &Known, facts: &Facts, session: &SessionId, over: Over) {
    let session = SessionKey::of(known.config.session_scope, facts.kiosk.as_ref(), session);
    for paper in known.edge.ledger.close(&session, over) {
        let closed = Closed {
            request: paper.to_string(),
            at: known.edge.clock.now(),
            closed: over.name().to_owned(),
            by: known.context.id().to_string(),
        };
        if known.edge.gate.records().append_lazy(&Record::Closed(closed)).is_err() {
            tracing::error!(request = %paper, "what became of a paper could not be recorded");
        }
    }
}
