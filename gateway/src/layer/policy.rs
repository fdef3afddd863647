//! Whether this municipality is served now: known, enabled, within hours, not suspended, not switched off. Spends nothing.

use jiff::civil::Time;
use sekisho_issuance::request::Operation;
use tower::Service;

use super::{Allowed, Asked, Reply};
use crate::problem::{Code, Problem};
use crate::registry::DocumentKind;
use crate::tenant::{Hours, Tenant};

/// After `facts`, which name the municipality; before `admission`, so that a polite no costs no place in any queue.
pub async fn policy<S>(asked: Asked, mut next: S) -> Result<Reply, Problem>
where
    S: Service<Allowed, Response = Reply, Error = Problem>,
{
    let allowed = allow(asked)?;
    next.call(allowed).await
}

fn allow(asked: Asked) -> Result<Allowed, Problem> {
    let known = &asked.received.known;
    if !known.edge.switches.serve(&asked.received.matched.route, &asked.facts) {
        return Err(Problem::new(Code::SwitchedOff));
    }
    let Some(code) = asked.facts.municipality else {
        // Only `pass` routes speak of no municipality; `check` sees to it.
        return Ok(Allowed { asked, tenant: None });
    };
    let tenant = known.config.tenants.get(&code).ok_or_else(|| Problem::new(Code::UnknownMunicipality))?.clone();
    if !tenant.enabled || !open_at(&tenant, known.edge.clock.now_in_japan().time()) {
        return Err(Problem::new(Code::Closed));
    }
    // A session may always be closed: going on with it would be worse.
    if asked.received.matched.route.operation != Operation::Close {
        known.edge.suspended(&asked.facts, document(&asked))?;
    }
    Ok(Allowed { asked, tenant: Some(tenant) })
}

/// What an answer to this would be, as latches count it.
fn document(asked: &Asked) -> DocumentKind {
    asked.facts.kind.map_or(DocumentKind::Answer, DocumentKind::Certificate)
}

/// Whether `tenant` is open at this time of day in Japan.
pub fn open_at(tenant: &Tenant, time: Time) -> bool {
    match tenant.hours {
        Hours::Always => true,
        Hours::Daily(from, to) => from <= time && time < to,
    }
}

#[cfg(test)]
mod tests {
    use sekisho_issuance::id::MunicipalityCode;

    use super::*;
    use crate::route::Mode;

    #[test]
    fn hours_include_their_first_minute_and_not_their_last() {
        let tenant = Tenant {
            code: MunicipalityCode::new("991007").unwrap(),
            name: "見本市".into(),
            enabled: true,
            mode: Mode::Enforce,
            hours: Hours::Daily(Time::constant(6, 30, 0, 0), Time::constant(23, 0, 0, 0)),
        };
        let at = |h, m, s| open_at(&tenant, Time::constant(h, m, s, 0));
        assert!(!at(6, 29, 59) && at(6, 30, 0) && at(22, 59, 59) && !at(23, 0, 0) && !at(0, 0, 0));
    }
}
