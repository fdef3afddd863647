//! Gives a kept answer to whoever asks for it again: through the whole gate, to this kiosk, in this session. Calls no backend.

use std::sync::Arc;

use super::presence::still;
use super::{Detached, Kiosk};
use crate::bound::Bound;
use crate::layer::{Known, Reply};
use crate::ledger::Kept;
use crate::problem::{Code, Problem};
use crate::release::Before;
use crate::route::Route;
use crate::tenant::Tenant;

/// Answers with what was kept, in a run that no hang-up cancels: what became of its release is recorded either way.
pub(crate) async fn again(
    known: Known,
    route: Arc<Route>,
    tenant: Option<Arc<Tenant>>,
    kept: Arc<Kept>,
) -> Result<Reply, Problem> {
    let kiosk = Kiosk::default();
    Detached { run: Some(Box::pin(run(known, route, tenant, kept, kiosk.clone()))), kiosk }.await
}

async fn run(
    known: Known,
    route: Arc<Route>,
    tenant: Option<Arc<Tenant>>,
    kept: Arc<Kept>,
    kiosk: Kiosk,
) -> Result<Reply, Problem> {
    if !known.edge.remembers() {
        return Err(Problem::because(Code::Unavailable, "not_durable"));
    }
    let first = kept.bound();
    // Who asks is who asked: all but the members of a household was compared before this.
    let facts = first.facts().clone();
    let (key, nonce) = (known.edge.binding_key(), rand::random());
    let bound = Bound::seal(key, known.context.clone(), facts, route, tenant, nonce, known.correlation.clone());
    let gate = &known.edge.gate;
    let Some(opened) = known.edge.ledger.open(&kept) else {
        return Err(Problem::because(Code::Internal, "internal"));
    };
    let before = Before { bound: first, opened, marks: kept.marks() };
    let _under_way = known.edge.brackets.under_way();
    let ended = match gate.decide_again(before, &bound) {
        Ok(released) => gate.commit(&bound, released, || still(&known, &bound, None, &kiosk)).await,
        Err(why) => Err(why),
    };
    ended.map(|outgoing| Reply::new(outgoing.response, outgoing.outcome, outgoing.reason)).map_err(|why| {
        if let Some(session) = bound.facts().session.as_ref().filter(|_| !why.is_unheard()) {
            known.edge.sessions.end(known.config.session_scope, bound.facts().kiosk.as_ref(), session);
        }
        why.problem(&bound)
    })
}
