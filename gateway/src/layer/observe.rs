//! Exactly one outcome and one line per arrival, whatever happens to it. Renders a "no" in the route's words.

use std::convert::Infallible;
use std::sync::Arc;

use http::Response;
use sekisho_issuance::context::RequestContext;
use tower::Service;

use super::{Correlated, Reply, admission};
use crate::body::Held;
use crate::canary::Visit;
use crate::edge::Edge;
use crate::outcome::Outcome;
use crate::problem::{Problem, ProblemTemplate};
use crate::record::{Ended, Record};
use crate::registry::Arrival;
use crate::route::Choice;
use crate::telemetry::{RequestLine, Stages};

/// An arrival that was not ended when it is dropped was hung up on (or panicked, which the registry counts as failed).
struct Ending {
    arrival: Option<Arrival>,
    edge: Arc<Edge>,
    context: RequestContext,
    /// Says under which route it is counted, where only the request itself did.
    choice: Option<Choice>,
    /// Who hears of it instead of the counters and the log.
    canary: Option<Arc<Visit>>,
}

impl Ending {
    fn end(&mut self, outcome: Outcome, reason: &'static str, status: u16, stages: Option<&Stages>) {
        let Some(mut arrival) = self.arrival.take() else { return };
        if let Some(visit) = self.canary.as_ref().filter(|_| outcome != Outcome::Cancelled) {
            visit.ended(outcome, reason);
        }
        if let Some(route) = self.choice.as_ref().and_then(Choice::made) {
            arrival.on(&route.name);
        }
        let series = arrival.series().clone();
        let took = arrival.end(outcome, reason);
        let (request, route) = (self.context.id(), series.route());
        let trace = self.context.trace().trace_id;
        if self.canary.is_none() {
            self.edge.registry.log.write(&RequestLine { request, trace, route, outcome, reason, status, took, stages });
        }
        // The gate records what came to it; early noes and malformed requests are only counted.
        if matches!(outcome, Outcome::Failed | Outcome::Expired | Outcome::Indeterminate | Outcome::Cancelled) {
            let ended = Ended {
                request: request.to_string(),
                arrived_at: self.context.arrived_at(),
                at: self.edge.clock.now(),
                route: route.to_owned(),
                outcome: outcome.name().to_owned(),
                reason: reason.to_owned(),
                canary: self.canary.as_ref().map(|visit| visit.canary().to_string()),
            };
            if self.edge.gate.records().append_lazy(&Record::Ended(ended)).is_err() {
                tracing::error!(%request, "the end of a request could not be recorded");
            }
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end(Outcome::Cancelled, "hung_up", 0, None);
        }
    }
}

/// Above everything that can say no, so that nothing ends uncounted; below `correlate`, which says under which route.
pub async fn observe<B, S>(
    correlated: Correlated<B>,
    mut next: S,
) -> Result<Response<Held<admission::Permit>>, Infallible>
where
    S: Service<Correlated<B>, Response = Reply, Error = Problem>,
{
    let known = &correlated.known;
    let canary = known.canary.clone();
    let mut arrival = match canary {
        // What a canary meets is said by the canary, and no kiosk's figure moves.
        Some(_) => known.edge.registry.arrive_uncounted(known.context.arrived()),
        None => known.edge.registry.arrive(known.context.arrived()),
    };
    let mut choice = None;
    let template = match &correlated.route {
        Ok(matched) => {
            choice = matched.choice.clone();
            arrival.on(&matched.route.name);
            matched.route.problem.clone()
        }
        Err(_) => Default::default(),
    };
    let id = known.context.id();
    let mut ending =
        Ending { arrival: Some(arrival), edge: known.edge.clone(), context: known.context.clone(), choice, canary };
    let correlation = known.correlation.clone();
    let template: &ProblemTemplate = &template;
    let (mut response, outcome, reason, permit) = match next.call(correlated).await {
        Ok(reply) => (reply.response, reply.outcome, reply.reason, reply.permit),
        Err(problem) => (problem.render(template, id), problem.outcome(), problem.reason(), None),
    };
    if let Some(correlation) = correlation {
        response.headers_mut().insert(super::correlate::X_CORRELATION_ID, correlation);
    }
    ending.end(outcome, reason, response.status().as_u16(), response.extensions().get());
    Ok(response.map(|body| Held::new(body, permit)))
}

#[cfg(test)]
mod tests {
    use tower::service_fn;

    use super::*;
    use crate::edge::tests::edge;
    use crate::layer::tests::{answer, correlated};
    use crate::problem::Code;

    fn count(edge: &Edge, outcome: &str) -> usize {
        let text = edge.registry.render();
        let lines = text
            .lines()
            .filter(|l| l.starts_with("sekisho_requests_total") && l.contains(&format!("outcome=\"{outcome}\"")));
        lines.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as usize
    }

    #[tokio::test]
    async fn every_arrival_ends_exactly_once_also_when_the_kiosk_hangs_up() {
        let edge = edge();
        let good = service_fn(|_: Correlated<_>| async { Ok(answer()) });
        observe(correlated(&edge, "GET", "/notice", &[], ""), good).await.unwrap();
        assert_eq!(count(&edge, "answered"), 1);

        let bad = service_fn(|_: Correlated<_>| async { Err::<Reply, _>(Problem::new(Code::Closed)) });
        let response = observe(correlated(&edge, "GET", "/notice", &[], ""), bad).await.unwrap();
        assert_eq!(response.status().as_u16(), 503);
        assert_eq!(count(&edge, "shed"), 1);

        let never = service_fn(|_: Correlated<_>| std::future::pending::<Result<Reply, Problem>>());
        let mut hung = Box::pin(observe(correlated(&edge, "GET", "/notice", &[], ""), never));
        assert!(futures_util::poll!(&mut hung).is_pending());
        drop(hung);
        assert_eq!(count(&edge, "cancelled"), 1);
        assert!(edge.registry.render().contains("\nsekisho_in_flight 0"));
    }
}
