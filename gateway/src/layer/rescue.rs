//! A panic while one request is served becomes that request's 500; the others go on. Never hides it: it is logged and counted.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use http::Response;
use tower::Service;

use super::{Inbound, admission};
use crate::body::Held;
use crate::problem::{Code, Problem, ProblemTemplate};

/// Outermost, so that nothing below can take a connection or its neighbours down.
pub async fn rescue<B, S>(inbound: Inbound<B>, mut next: S) -> Result<Response<Held<admission::Permit>>, Infallible>
where
    S: Service<Inbound<B>, Response = Response<Held<admission::Permit>>, Error = Infallible>,
{
    let id = inbound.id;
    let served = AssertUnwindSafe(async { next.call(inbound).await }).catch_unwind().await;
    match served {
        Ok(response) => response,
        Err(_) => {
            tracing::error!(request_id = %id, "a panic while serving a request; it was answered with an internal error");
            let response = Problem::new(Code::Internal).closing().render(&ProblemTemplate::default(), id);
            Ok(response.map(Held::free))
        }
    }
}

#[cfg(test)]
mod tests {
    use tower::service_fn;

    use super::*;
    use crate::edge::tests::edge;

    #[tokio::test]
    async fn a_panic_is_one_requests_problem() {
        let inbound = crate::layer::tests::inbound(&edge(), "GET", "/", &[], "");
        let id = inbound.id.to_string();
        let below = service_fn(|_: Inbound<_>| async {
            if true {
                panic!("as a test");
            }
            Ok(Response::new(Held::free(crate::body::full(""))))
        });
        let response = rescue(inbound, below).await.unwrap();
        assert_eq!(response.status().as_u16(), 500);
        assert_eq!(response.headers()["x-request-id"], id.as_str());
    }
}
