//! The whole owner in paused time against a backend in memory: time-outs, late answers, restarts, cancels at every step.

mod backend;
mod cancel;
mod duplicate;
mod job;
mod restart;
mod storm;
mod timeout;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method};
use sekisho_issuance::binding::{Binding, BindingKey};
use sekisho_issuance::context::{RequestContext, TraceParent};
use sekisho_issuance::fence::Epoch;
use sekisho_issuance::id::RequestId;
use sekisho_issuance::request::{Facts, Operation};
use sekisho_issuance::shard::{LaneId, LaneSet};

use crate::assignment::{Assignment, Call};
use crate::backend::BackendConfig;
use crate::clock;
use crate::owner::{Owner, OwnerConfig};
use backend::Scripted;

const SECOND: Duration = Duration::from_secs(1);
/// The deadline of every assignment here, and how long it may have effect.
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_RUN: Duration = Duration::from_secs(30);

fn owner_with(state: &Path, backend: &Scripted, change: impl FnOnce(&mut BackendConfig)) -> Arc<Owner> {
    let mut config = BackendConfig::new(backend.address());
    change(&mut config);
    let backends =
        HashMap::from([("issuer".into(), config), ("records".into(), BackendConfig::new(backend.address()))]);
    let mut config = OwnerConfig::new(state.to_owned(), Epoch(1), backends);
    config.longest_max_run = MAX_RUN;
    config.lane_wait = MAX_RUN * 10;
    Owner::start(config).unwrap()
}

fn owner(state: &Path, backend: &Scripted) -> Arc<Owner> {
    owner_with(state, backend, |_| {})
}

fn call(backend: &str, path: &str) -> Call {
    Call {
        backend: backend.into(),
        method: Method::POST,
        target: path.to_owned(),
        headers: HeaderMap::new(),
        body: bytes::Bytes::from_static(b"{}"),
        max_response_bytes: 64 * 1024,
        timeout: TIMEOUT,
        echoed: true,
    }
}

fn assignment(path: &str, residents: &[u128]) -> Assignment {
    let now = clock::now();
    let trace = TraceParent { trace_id: 1, parent_id: 1, flags: 0 };
    let id = RequestId::from_u128(7);
    let context = RequestContext::freeze(id, trace, now, jiff::Timestamp::UNIX_EPOCH, TIMEOUT);
    let facts = Facts {
        kiosk: None,
        session: None,
        municipality: None,
        residents: Vec::new(),
        applicant: None,
        kind: None,
        selection: Default::default(),
        card: None,
        idempotency_key: None,
    };
    Assignment {
        request: id,
        binding: Binding::seal(&BindingKey::new([1; 32]), &context, "route", &facts, 1),
        epoch: Epoch(1),
        operation: Operation::Issue,
        standing: crate::standing::Standing::of(crate::standing::Rank::New, now),
        lanes: LaneSet::new(residents.iter().map(|r| LaneId::from_u128(*r)).collect()),
        deadline: now + TIMEOUT,
        max_run: MAX_RUN,
        trace,
        before: None,
        before_guard: None,
        call: call("issuer", path),
        fetch: None,
        after: None,
        key: None,
    }
}

/// Whether `a` may begin now: it is asked and its request arrives before any time has passed.
async fn begins_at_once(owner: &Arc<Owner>, backend: &Scripted, a: Assignment) -> bool {
    let (start, path) = (clock::now(), a.call.target.clone());
    backend.on(&path, |_| backend::Reply::ok("x"));
    match owner.assign(a).await {
        Ok(attested) => {
            attested.settlement.passed();
            clock::now() == start
        }
        Err(_) => false,
    }
}
