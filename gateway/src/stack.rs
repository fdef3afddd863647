//! The tower of layers every request goes through, in this order. The table of contents of a request.

use std::convert::Infallible;

use bytes::Bytes;
use http::Response;
use http_body::Body as HttpBody;
use tower::layer::layer_fn;
use tower::{Service, ServiceBuilder, service_fn};

use crate::body::Held;
use crate::dispatch::dispatch;
use crate::layer::admission::{Permit, admission};
use crate::layer::bind::bind;
use crate::layer::correlate::correlate;
use crate::layer::deadline::deadline;
use crate::layer::facts::facts;
use crate::layer::guard::guard;
use crate::layer::ledger::ledger;
use crate::layer::observe::observe;
use crate::layer::policy::policy;
use crate::layer::rescue::rescue;
use crate::layer::{Inbound, Step};

/// What leaves: a complete reply that holds its permit until its last byte has left.
pub type Outbound = Response<Held<Permit>>;

/// The tower. It holds nothing itself, so a clone costs nothing: what requests share comes in with each of them.
pub fn stack<B>() -> impl Service<Inbound<B>, Response = Outbound, Error = Infallible, Future: Send> + Copy + Send + Sync
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    ServiceBuilder::new()
        // Outermost: a panic anywhere below is one request's 500, not its neighbours' end.
        .layer(layer_fn(|inner| Step::new(rescue, inner)))
        // Before anything can fail: gives the request its id, trace, route and deadline, once.
        .layer(layer_fn(|inner| Step::new(correlate, inner)))
        // Above everything that says no: exactly one outcome and one line per arrival.
        .layer(layer_fn(|inner| Step::new(observe, inner)))
        // Before anything is parsed: length, time, framing, the process-wide ceiling. Sheds before it spends.
        .layer(layer_fn(|inner| Step::new(guard, inner)))
        // Once, then frozen: what the request says, completed from its session.
        .layer(layer_fn(|inner| Step::new(facts, inner)))
        // Needs the municipality; costs no place in any queue: tenant, hours, latches, switches.
        .layer(layer_fn(|inner| Step::new(policy, inner)))
        // Who asks again with a key hears what came of it the first time, and takes no place in any queue.
        .layer(layer_fn(|inner| Step::new(ledger, inner)))
        // The decision to start, with what is left of the time. Its permit is held to the end of the reply.
        .layer(layer_fn(|inner| Step::new(admission, inner)))
        // Around all that waits: the kiosk hears by its deadline, whatever the backend does.
        .layer(layer_fn(|inner| Step::new(deadline, inner)))
        // Last look at who asks: the resident is proven, the request to the backend is rendered.
        .layer(layer_fn(|inner| Step::new(bind, inner)))
        // Seals the request and runs it; a hang-up leaves the run to a task of its own and cancels nothing begun.
        .service(service_fn(dispatch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::tests::edge;
    use crate::layer::tests::inbound;

    /// Every layer holds the future of the one below: what a request carries is copied with all of them when it begins.
    #[tokio::test]
    async fn a_request_on_its_way_up_is_small() {
        let way = stack().call(inbound(&edge(), "GET", "/notice", &[], ""));
        let bytes = size_of_val(&way);
        assert!(bytes <= 8 * 1024, "{bytes} bytes");
    }
}
