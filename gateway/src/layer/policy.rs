//! Whether this municipality is served now: known, enabled, within hours, not suspended, not switched off. Spends nothing.

use sekisho_issuance::request::Operation;
use tower::Service;

use super::admission::{Place, jitter};
use super::guard::FULL_RETRY;
use super::{Allowed, Asked, Reply};
use crate::problem::{Code, Problem};
use crate::registry::DocumentKind;
use crate::tenant::NotServed;

/// After `facts`, which name the municipality; before `admission`, so that a polite no costs no place in any queue.
pub async fn policy<S>(asked: Box<Asked>, mut next: S) -> Result<Reply, Problem>
where
    S: Service<Allowed, Response = Reply, Error = Problem>,
{
    let allowed = allow(asked)?;
    let place = below_its_ceiling(&allowed)?;
    let mut reply = next.call(allowed).await?;
    if let (Some(permit), Some(place)) = (reply.permit.as_mut(), place) {
        permit.also_hold(place);
    }
    Ok(reply)
}

/// A place among the requests of this municipality, where it has a limit. Full: nothing is begun for it; what is begun goes on.
fn below_its_ceiling(allowed: &Allowed) -> Result<Option<Place>, Problem> {
    let Some((tenant, most)) = allowed.tenant.as_ref().and_then(|tenant| Some((tenant, tenant.max_in_flight?))) else {
        return Ok(None);
    };
    let known = &allowed.asked.received.known;
    let most = if allowed.asked.pin.is_some() { usize::MAX } else { most };
    let place = known.edge.ceilings.entry(tenant.code).or_default().enter(most);
    place.map(Some).ok_or_else(|| Problem::because(Code::Shed, "hard_ceiling").retry_after(jitter(FULL_RETRY)))
}

fn allow(asked: Box<Asked>) -> Result<Allowed, Problem> {
    let known = &asked.received.known;
    if !known.edge.switches.serve(&asked.received.matched.route, &asked.facts) {
        return Err(Problem::new(Code::SwitchedOff));
    }
    let Some(code) = asked.facts.municipality else {
        // Only `pass` routes speak of no municipality; `check` sees to it.
        return Ok(Allowed { asked, tenant: None, place: None });
    };
    let tenant = known.config.tenants.get(&code).ok_or_else(|| Problem::new(Code::UnknownMunicipality))?.clone();
    let route = &asked.received.matched.route;
    let closes = route.operation == Operation::Close;
    match tenant.serves(route.kind, known.edge.clock.now_in_japan()) {
        // A session may always be closed: going on with it would be worse.
        Err(why) if !closes || why == NotServed::Disabled => return Err(Problem::because(Code::Closed, why.name())),
        _ => {}
    }
    if !closes {
        known.edge.suspended(&asked.facts, document(&asked))?;
        known.edge.vouches(&tenant, route)?;
    }
    Ok(Allowed { asked, tenant: Some(tenant), place: None })
}

/// What an answer to this would be, as latches count it.
fn document(asked: &Asked) -> DocumentKind {
    asked.facts.kind.map_or(DocumentKind::Answer, DocumentKind::Certificate)
}
