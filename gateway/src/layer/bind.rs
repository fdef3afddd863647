//! Proves who the resident is and renders the request to the backend. What goes on from here is sealed, not changed.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use sekisho_issuance::id::ResidentId;
use sekisho_issuance::request::Facts;
use sekisho_worker::assignment::{Call, NotBegun, Unanswered};
use sekisho_worker::standing::Standing;
use tower::Service;

use super::{Admitted, Allowed, Asked, Known, Received, Reply, admission};
use crate::config::{CARD_FIELD, MUNICIPALITY_FIELD};
use crate::ledger::Place;
use crate::problem::{Code, Problem};
use crate::route::{Authority, Extractor, Lookup, Route};
use crate::session::{Pin, Refused};
use crate::template::{Marks, Target};
use crate::tenant::Tenant;

/// A request that only has to be sealed and sent.
pub struct Prepared {
    /// Identity and configuration.
    pub known: Known,
    /// The operation.
    pub route: Arc<Route>,
    /// The municipality.
    pub tenant: Option<Arc<Tenant>>,
    /// What is asked, by whom; members of a household are not yet among the residents.
    pub facts: Facts,
    /// The lookup that vouched for the applicant.
    pub proven_by: Option<Arc<str>>,
    /// The request to the backend, without the attempt's marks.
    pub call: Call,
    /// The proof of admission.
    pub permit: admission::Permit,
    /// The right to begin what its key stands for, where it has one.
    pub(crate) place: Option<Place>,
}

/// After `deadline`, whose time the authority's lookup shares; the last layer on the kiosk's own task.
pub async fn bind<S>(admitted: Admitted, mut next: S) -> Result<Reply, Problem>
where
    S: Service<Box<Prepared>, Response = Reply, Error = Problem>,
{
    let Admitted { allowed: Allowed { asked, tenant, place }, permit } = admitted;
    trusted(&asked)?;
    let (asked, proven_by) = prove(asked, permit.standing()).await?;
    pin(&asked, proven_by.as_ref())?;
    let call = main_call(&asked.received);
    let Asked { received: Received { known, matched, .. }, facts, .. } = *asked;
    let prepared = Prepared { known, route: matched.route, tenant, facts, proven_by, call, permit, place };
    next.call(Box::new(prepared)).await
}

/// A session that nobody vouched for when it was opened belongs to the first resident it is used for. Where a connection stands in for one,
/// it begins here, and whoever was at the kiosk before is gone.
fn pin(asked: &Asked, proven_by: Option<&Arc<str>>) -> Result<(), Problem> {
    let facts = &asked.facts;
    if asked.pin.is_none() && asked.received.matched.route.session_is_connection() {
        return begin(asked, proven_by);
    }
    let open = asked.pin.as_ref().is_some_and(|pin| pin.resident.is_none());
    if let (true, Some(session), Some(resident)) = (open, &facts.session, &facts.applicant) {
        let known = &asked.received.known;
        let pinned = known.edge.sessions.pin(known.config.session_scope, facts.kiosk.as_ref(), session, resident);
        pinned.map_err(|refused| super::facts::refuse(&asked.received, refused))?;
    }
    Ok(())
}

fn begin(asked: &Asked, proven_by: Option<&Arc<str>>) -> Result<(), Problem> {
    let (known, facts) = (&asked.received.known, &asked.facts);
    let (Some(session), Some(kiosk), Some(card), Some(municipality)) =
        (&facts.session, &facts.kiosk, &facts.card, facts.municipality)
    else {
        return Err(Problem::new(Code::MissingFact).about("session"));
    };
    let pin = Pin {
        kiosk: kiosk.clone(),
        card: card.clone(),
        municipality,
        resident: facts.applicant.clone(),
        proven_by: proven_by.cloned(),
    };
    let limits = known.config.listeners.sessions;
    let opened = known.edge.sessions.open(known.config.session_scope, session, pin, limits, Instant::now());
    opened.map_err(|refused| super::facts::refuse(&asked.received, refused))
}

/// Where a source is trusted to have seen the card, the request must come from it.
pub(super) fn trusted(asked: &Asked) -> Result<(), Problem> {
    match &asked.received.matched.route.authority {
        Authority::TrustedSource(Some(source)) if !source.is(asked.received.known.peer.as_deref()) => {
            Err(Problem::new(Code::UnprovenResident).about("trusted_source"))
        }
        _ => Ok(()),
    }
}

/// The request with its applicant proven, as far as the route names somebody who can, and who did.
async fn prove(mut asked: Box<Asked>, standing: &Standing) -> Result<(Box<Asked>, Option<Arc<str>>), Problem> {
    let Authority::Lookup(lookup) = &asked.received.matched.route.authority else {
        let proven_by = asked.pin.as_ref().and_then(|pin| pin.proven_by.clone());
        return Ok((asked, proven_by));
    };
    let pinned = asked.pin.as_ref().is_some_and(|pin| pin.proven_by.as_ref() == Some(&lookup.name));
    let proven_by = Some(lookup.name.clone());
    if pinned && asked.facts.applicant.is_some() {
        return Ok((asked, proven_by));
    }
    // Boxed: once a session, and every request would carry the room for it through all layers.
    let holder = Box::pin(holder(&asked.received.known, lookup, &asked.facts, standing)).await?;
    match &asked.facts.applicant {
        Some(claimed) if *claimed != holder => return Err(super::facts::refuse(&asked.received, Refused::Resident)),
        _ => asked.facts.applicant = Some(holder.clone()),
    }
    asked.facts.residents = vec![holder];
    Ok((asked, proven_by))
}

/// Who holds the card, in the authority's words. Anything unclear is nobody.
async fn holder(known: &Known, lookup: &Lookup, facts: &Facts, standing: &Standing) -> Result<ResidentId, Problem> {
    let unproven = || Problem::new(Code::UnprovenResident).about("card");
    let call = render(known, lookup, facts, None)?;
    let deadline = known.context.deadline();
    let (answer, settlement) =
        known.edge.owner.call_settled(call, standing, deadline).await.map_err(|error| unanswered_lookup(&error))?;
    if answer.status != 200 || answer.framing_surprise {
        settlement.surprised("lookup");
        return Err(unproven());
    }
    let reply = lookup.read(&answer);
    let holder = reply.ok().and_then(|reply| reply.people.into_iter().next()).and_then(|person| {
        let says = |field: &str| person.fields.get(field).map(String::as_str);
        // The reply must be about the card that was asked for, and its city the one that is asked.
        let same_card = says(CARD_FIELD) == facts.card.as_ref().map(|c| c.expose());
        let city = facts.municipality.as_ref().map(|m| m.as_str());
        let same_city = says(MUNICIPALITY_FIELD).is_none_or(|found| Some(found) == city);
        person.id.filter(|_| same_card && same_city)
    });
    match holder {
        Some(holder) => {
            settlement.passed();
            Ok(holder)
        }
        None => {
            settlement.surprised("lookup");
            Err(unproven())
        }
    }
}

/// Renders a lookup; a fact that is missing or unfit is the kiosk's mistake.
pub(crate) fn render(
    known: &Known,
    lookup: &Lookup,
    facts: &Facts,
    about: Option<&ResidentId>,
) -> Result<Call, Problem> {
    let target = Target {
        backend: &lookup.backend,
        timeout: lookup.timeout,
        max_response_bytes: lookup.max_response_bytes,
        // The id that comes back tells whose reply it is.
        echoed: lookup.fields.id.is_some(),
    };
    let marks = Marks { request: known.context.id(), nonce: None, trace: known.context.trace() };
    let rendered = lookup.request.render(&target, facts, about, &marks);
    rendered.map_err(|fact| Problem::new(Code::MalformedFact).about(fact.name()))
}

/// A lookup that gave no answer: nothing was begun for the kiosk.
pub(crate) fn unanswered_lookup(error: &Unanswered) -> Problem {
    match error {
        Unanswered::NotBegun(NotBegun::Draining) => Problem::new(Code::Draining),
        Unanswered::NotBegun(NotBegun::Expired) => Problem::new(Code::Expired),
        Unanswered::NotBegun(_) | Unanswered::Indeterminate(_) => Problem::because(Code::Unavailable, "lookup"),
    }
}

/// The kiosk's own request as the backend shall hear it: method, canonical path, body, and listed headers only.
pub(super) fn main_call(received: &Received) -> Call {
    let route = &received.matched.route;
    let (head, context) = (&received.head, &received.known.context);
    let mut headers = HeaderMap::with_capacity(10);
    let told = route.facts.iter().map(|rule| &rule.from).chain(route.when.iter().map(|when| &when.from));
    let by_facts = told.filter_map(|from| match from {
        Extractor::Header(name) => Some(name),
        _ => None,
    });
    for name in by_facts.chain(&route.request_headers).chain([&CONTENT_TYPE]) {
        if let Some(value) = head.headers.get(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
    headers.insert(ACCEPT, head.headers.get(ACCEPT).cloned().unwrap_or(HeaderValue::from_static("*/*")));
    Call {
        backend: route.backend.clone(),
        method: head.method.clone(),
        target: route.target(&received.matched, head.uri.query()),
        headers,
        body: Bytes::clone(&received.body),
        max_response_bytes: route.max_response_bytes,
        timeout: context.deadline().saturating_duration_since(context.arrived()),
        echoed: route.echoed,
    }
}
