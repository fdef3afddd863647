//! Who asks again with a key: gets what the first request got, waits for it, or is refused. Only the first goes on from here.

use std::time::Instant;

use sekisho_issuance::request::{Facts, Operation};
use tower::Service;

use super::bind::{main_call, trusted};
use super::{Allowed, Asked, Reply};
use crate::dispatch::again;
use crate::ledger::{Asks, OUTCOME_UNKNOWN, SessionKey, Turn};
use crate::problem::{Code, Problem};
use crate::registry::name;
use crate::route::Route;
use crate::template::fact_value;

/// After `policy`, whose no holds for an answer that is given again as well; before `admission`, since that answer needs no backend.
pub async fn ledger<S>(mut allowed: Allowed, mut next: S) -> Result<Reply, Problem>
where
    S: Service<Allowed, Response = Reply, Error = Problem>,
{
    let Some(asks) = asks(&allowed.asked) else { return next.call(allowed).await };
    let known = allowed.asked.received.known.clone();
    let until = known.context.deadline();
    let count = |result| known.edge.registry.counter(name::LEDGER_REQUESTS, &[("result", result)]).increment(1);
    if known.edge.owner.began_before(asks.durable) {
        count("unknown");
        return Err(told(&allowed.asked.facts, Problem::because(Code::Indeterminate, OUTCOME_UNKNOWN)));
    }
    let mut joined = false;
    loop {
        match known.edge.ledger.ask(&asks, known.edge.config().listeners.ledger, Instant::now()) {
            Turn::Begin(place) => {
                count("begun");
                allowed.place = Some(place);
                return next.call(allowed).await;
            }
            Turn::Join(first) => {
                if !std::mem::replace(&mut joined, true) {
                    count("joined");
                }
                if tokio::time::timeout_at(until.into(), first.ended()).await.is_err() {
                    return Err(late(&allowed.asked));
                }
            }
            Turn::Again(kept) => {
                count("replayed");
                trusted(&allowed.asked)?;
                let late = late(&allowed.asked);
                let Allowed { asked, tenant, .. } = allowed;
                let again = Box::pin(again(known.clone(), asked.received.matched.route, tenant, kept));
                return tokio::time::timeout_at(until.into(), again).await.unwrap_or(Err(late));
            }
            Turn::Said(problem) => {
                count("refused_again");
                return Err(problem);
            }
            Turn::Reused => {
                count("reused");
                return Err(Problem::new(Code::KeyReused).about("idempotency_key"));
            }
            Turn::Over(over) => {
                count("over");
                return Err(Problem::because(Code::KeySpent, over.name()));
            }
            Turn::Full => {
                count("full");
                return Err(Problem::because(Code::Shed, "memory"));
            }
        }
    }
}

/// A change that was begun may be done by then.
fn late(asked: &Asked) -> Problem {
    match asked.received.matched.route.operation {
        Operation::Amend => told(&asked.facts, Problem::because(Code::Indeterminate, "timeout")),
        _ => Problem::new(Code::Expired),
    }
}

fn told(facts: &Facts, problem: Problem) -> Problem {
    facts.idempotency_key.iter().fold(problem, |problem, key| problem.with_key(key.expose()))
}

/// The digests of a request that must not be begun twice; `None` where it has no key, or nothing is done by it.
fn asks(asked: &Asked) -> Option<Asks> {
    let (route, facts, edge) = (&asked.received.matched.route, &asked.facts, &asked.received.known.edge);
    // A canary never loses an answer.
    if !matches!(route.operation, Operation::Issue | Operation::Amend) || asked.received.known.canary.is_some() {
        return None;
    }
    let key = key(route, facts)?;
    let digest = |domain, parts: &[&[u8]]| edge.record_key().digest(domain, parts);
    let text = |name: &str| name.as_bytes().to_vec();
    let city = facts.municipality.map(String::from).unwrap_or_default();
    let kiosk = facts.kiosk.as_ref().map_or("", |kiosk| kiosk.as_str());
    let session = facts.session.as_ref().map_or("", |session| session.expose());
    let card = facts.card.as_ref().map_or("", |card| card.expose());
    let who = facts.applicant.as_ref().map_or(card, |resident| resident.expose());
    let key: Vec<&[u8]> = key.iter().map(|part| part.as_bytes()).collect();
    let key = digest("key", &key).to_be_bytes();
    let mut parts = vec![text(&route.name), text(who), text(card), text(session)];
    parts.extend(facts.selection.iter().flat_map(|(item, value)| [text(item), text(value)]));
    // What no fact names reaches the backend as well: a request that differs in it is another.
    let call = main_call(&asked.received);
    parts.extend([text(call.method.as_str()), text(&call.target), call.body.to_vec()]);
    parts.extend(call.headers.iter().flat_map(|(name, value)| [text(name.as_str()), value.as_bytes().to_vec()]));
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let scope = asked.received.known.config.session_scope;
    Some(Asks {
        key: digest("ledger", &[city.as_bytes(), kiosk.as_bytes(), session.as_bytes(), &key]),
        request: digest("ledger request", &parts),
        durable: digest("ledger before", &[city.as_bytes(), kiosk.as_bytes(), who.as_bytes(), &key]),
        // Where no session is opened none must be open for a key to be remembered.
        session: facts
            .session
            .as_ref()
            .filter(|_| !route.session_is_connection())
            .map(|session| SessionKey::of(scope, facts.kiosk.as_ref(), session)),
    })
}

/// The client's key, or the facts that stand in for one.
fn key<'f>(route: &'f Route, facts: &'f Facts) -> Option<Vec<&'f str>> {
    if let Some(key) = &facts.idempotency_key {
        return Some(vec![key.expose()]);
    }
    let parts = route.key.iter().map(|name| fact_value(facts, name, None));
    let parts: Vec<&str> = parts.collect::<Option<_>>()?;
    // The tuple is one route's own.
    (!parts.is_empty()).then(|| std::iter::once(&*route.name).chain(parts).collect())
}
