//! The layers of the tower, one file each, and what they hand to one another. Each knows more than the one before and changes nothing it was given.

pub mod admission;
pub mod bind;
pub mod correlate;
pub mod deadline;
pub mod facts;
pub mod guard;
pub mod ledger;
pub mod observe;
pub mod policy;
pub mod rescue;

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Response};
use jiff::Timestamp;
use sekisho_issuance::context::RequestContext;
use sekisho_issuance::id::RequestId;
use sekisho_issuance::request::Facts;
use tower::Service;

use crate::body::Body;
use crate::canary::Visit;
use crate::config::Config;
use crate::edge::Edge;
use crate::ledger::Place;
use crate::outcome::Outcome;
use crate::problem::Problem;
use crate::route::Matched;
use crate::session::{OneCard, Pin};
use crate::tenant::Tenant;
use crate::tls::Peer;

/// A request as the server took it off the wire.
pub struct Inbound<B> {
    /// What all requests share.
    pub edge: Arc<Edge>,
    /// Minted on arrival.
    pub id: RequestId,
    /// Monotonic arrival.
    pub arrived: Instant,
    /// Wall-clock arrival.
    pub arrived_at: Timestamp,
    /// Who is at the other end of its connection, where TLS says so.
    pub peer: Option<Arc<Peer>>,
    /// That connection, for protocols in which it stands in for a session.
    pub connection: Arc<OneCard>,
    /// The canary's visit that it is, where it came over no connection.
    pub canary: Option<Arc<Visit>>,
    /// Head and body, the body not yet read.
    pub request: Request<B>,
}

/// What every layer below `correlate` has: the request's frozen identity and the configuration it came in under.
#[derive(Clone)]
pub struct Known {
    /// What all requests share.
    pub edge: Arc<Edge>,
    /// The configuration at arrival; a reload does not touch this request.
    pub config: Arc<Config>,
    /// Who, when, until when.
    pub context: RequestContext,
    /// The client's own correlation id.
    pub correlation: Option<HeaderValue>,
    /// Who is at the other end of the connection, where TLS says so.
    pub peer: Option<Arc<Peer>>,
    /// That connection, for protocols in which it stands in for a session.
    pub connection: Arc<OneCard>,
    /// The canary's visit that it is, where no kiosk asks.
    pub canary: Option<Arc<Visit>>,
}

/// A request with its identity and its declared operation.
pub struct Correlated<B> {
    /// Identity and configuration.
    pub known: Known,
    /// The operation, or why there is none.
    pub route: Result<Matched, Problem>,
    /// Method, path, headers.
    pub head: Parts,
    /// Not yet read.
    pub body: B,
}

/// A request that is wholly here and within its limits.
pub struct Received {
    /// Identity and configuration.
    pub known: Known,
    /// The operation and what the path says.
    pub matched: Matched,
    /// Method, path, headers.
    pub head: Parts,
    /// The whole body.
    pub body: Bytes,
}

/// A request whose facts are known.
pub struct Asked {
    /// The request.
    pub received: Received,
    /// What it says, completed from its session.
    pub facts: Facts,
    /// Its session, where one is open.
    pub pin: Option<Pin>,
}

/// A request that its municipality's policy allows.
pub struct Allowed {
    /// The request and its facts. Boxed: every layer from here on would copy it once more.
    pub asked: Box<Asked>,
    /// The municipality; `None` only on `pass` routes.
    pub tenant: Option<Arc<Tenant>>,
    /// The right to begin what its key stands for, where it has one.
    pub(crate) place: Option<Place>,
}

/// A request that may be started.
pub struct Admitted {
    /// The request, its facts and its municipality.
    pub allowed: Allowed,
    /// The proof, held until the reply has left.
    pub permit: admission::Permit,
}

/// How a request ended well, and what is held until its reply has left.
pub struct Reply {
    /// Head and body.
    pub response: Response<Body>,
    /// Under which it is counted.
    pub outcome: Outcome,
    /// Why: a stable word.
    pub reason: &'static str,
    /// What is held to the end of the body.
    pub permit: Option<admission::Permit>,
}

impl Reply {
    /// A reply that holds nothing yet.
    pub fn new(response: Response<Body>, outcome: Outcome, reason: &'static str) -> Self {
        Self { response, outcome, reason, permit: None }
    }
}

/// A tower service made of one async function and the service below it. Futures nest without boxes.
#[derive(Debug, Clone, Copy)]
pub struct Step<F, S> {
    run: F,
    inner: S,
}

impl<F, S> Step<F, S> {
    /// `run` above `inner`.
    pub fn new(run: F, inner: S) -> Self {
        Self { run, inner }
    }
}

impl<F, S, Req, Fut, Answer, Error> Service<Req> for Step<F, S>
where
    F: Fn(Req, S) -> Fut,
    S: Clone,
    Fut: Future<Output = Result<Answer, Error>>,
{
    type Response = Answer;
    type Error = Error;
    type Future = Fut;

    /// Always ready: what a request may have to wait for (a permit, a lane) it waits for inside, under its own deadline.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Fut {
        (self.run)(request, self.inner.clone())
    }
}

#[cfg(test)]
pub(crate) mod tests;
