//! The decision to start. Says no at once when what is ahead leaves no time; never queues a request itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::Rng;
use sekisho_issuance::request::Operation;
use sekisho_worker::owner::{Ask, Promise, Ticket};
use sekisho_worker::standing::{Rank, Standing};
use tower::Service;

use super::{Admitted, Allowed, Reply};
use crate::problem::{Code, Problem};

/// After `policy`; the last thing before work is spent. Its permit is held until the reply's last byte has left.
pub async fn admission<S>(allowed: Allowed, mut next: S) -> Result<Reply, Problem>
where
    S: Service<Admitted, Response = Reply, Error = Problem>,
{
    let known = allowed.asked.received.known.clone();
    let route = allowed.asked.received.matched.route.clone();
    let facts = &allowed.asked.facts;
    let started = allowed.asked.pin.is_some() || route.operation == Operation::Close;
    let rank = rank(route.operation, started);
    let promise =
        facts.session.as_ref().filter(|_| started).and_then(|session| {
            known.edge.sessions.promised(known.config.session_scope, facts.kiosk.as_ref(), session)
        });
    let standing = Standing {
        rank,
        municipality: facts.municipality,
        share: allowed.tenant.as_ref().map_or(1, |tenant| tenant.share),
        arrived: known.context.arrived(),
        ticket: None,
    };
    let ask = Ask {
        operation: route.operation,
        standing,
        deadline: known.context.deadline(),
        session: promise.as_deref(),
        started,
    };
    let ticket = known.edge.owner.admit(&route.backend, &ask).map_err(|refusal| {
        known.edge.count_shed(&route.backend, rank, refusal.reason);
        Problem::because(Code::Shed, refusal.reason).retry_after(jitter(refusal.retry_after))
    })?;
    let permit = Permit::new(route.operation, standing, ticket, promise);
    let ended = next.call(Admitted { allowed, permit }).await;
    if let Err(problem) = &ended
        && problem.code() == Code::Shed
    {
        known.edge.count_shed(&route.backend, rank, problem.reason());
    }
    ended
}

/// Spreads `wait` over 75-150 %, so that those who were turned away together do not come back together.
pub fn jitter(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(0.75..1.5))
}

fn rank(operation: Operation, started: bool) -> Rank {
    match operation {
        Operation::Amend => Rank::Amend,
        _ if started => Rank::Started,
        _ => Rank::New,
    }
}

/// The proof of admission. Dropped when the reply has left, was cut, or never came to be.
#[derive(Debug)]
pub struct Permit {
    standing: Standing,
    ticket: Option<Ticket>,
    /// Lives as long as its session's last request, so that the two end in order.
    _promise: Option<Arc<Promise>>,
    place: Option<Place>,
}

impl Permit {
    fn new(
        operation: Operation,
        mut standing: Standing,
        ticket: Option<Ticket>,
        promise: Option<Arc<Promise>>,
    ) -> Self {
        standing.ticket = ticket.as_ref().map(Ticket::number);
        if operation == Operation::Open {
            // A session is started from here on, also at the authority that says whose card it is.
            standing.rank = standing.rank.min(Rank::Started);
        }
        Self { standing, ticket, _promise: promise, place: None }
    }

    /// The place of what is let in among the others.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The promise to the session that was opened; `None` where none can be kept.
    pub fn opened(&mut self) -> Option<Promise> {
        self.ticket.as_mut().and_then(Ticket::opened)
    }

    /// Holds the place below the process-wide ceiling for as long.
    pub fn also_hold(&mut self, place: Place) {
        self.place = Some(place);
    }
}

/// The process-wide ceiling.
#[derive(Debug, Default)]
pub struct Ceiling(Arc<AtomicUsize>);

/// One place below it.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Ceiling {
    /// A place, if fewer than `most` are taken.
    pub fn enter(&self, most: usize) -> Option<Place> {
        let place = Place(self.0.clone());
        (self.0.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }

    /// Places taken.
    pub fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_lets_in_as_many_as_it_says() {
        let ceiling = Ceiling::default();
        let first = ceiling.enter(1).unwrap();
        assert!(ceiling.enter(1).is_none());
        drop(first);
        assert!(ceiling.enter(1).is_some());
        assert_eq!(ceiling.taken(), 0);
    }
}
