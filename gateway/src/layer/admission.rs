//! The decision to start. Says no at once when what is ahead leaves no time; never queues a request itself.

mod retries;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::Rng;
use sekisho_issuance::request::Operation;
use sekisho_worker::owner::{Ask, Promise, Ticket};
use sekisho_worker::standing::{Rank, Standing};
use tower::Service;

use super::{Admitted, Allowed, Reply};
use crate::problem::{Code, Problem};
use retries::Begins;
pub use retries::Retries;

/// Requests that were let in and are not over hold at most this much of kiosks' bodies.
const MAX_HELD_BYTES: usize = 256 << 20;
/// Why a request is turned away that was let in; anything else is counted as `other`.
const LATER: [&str; 5] = ["lane_full", "lane_busy", "backend_busy", "no_time_left", "memory"];
/// When whoever asks again too often is asked to come back.
const TOO_OFTEN_RETRY: Duration = Duration::from_secs(10);
/// The same while the memory is full.
const MEMORY_RETRY: Duration = Duration::from_secs(5);

/// After `policy`; the last thing before work is spent. Its permit is held until the reply's last byte has left.
pub async fn admission<S>(allowed: Allowed, mut next: S) -> Result<Reply, Problem>
where
    S: Service<Admitted, Response = Reply, Error = Problem>,
{
    let known = allowed.asked.received.known.clone();
    let route = allowed.asked.received.matched.route.clone();
    let facts = &allowed.asked.facts;
    // Nobody stands waiting for a canary: it comes last in everything, and is shed for anybody.
    let nobody_waits = known.canary.is_some();
    let started = !nobody_waits && (allowed.asked.pin.is_some() || route.operation == Operation::Close);
    let mut rank = if nobody_waits { Rank::Batch } else { rank(route.operation, started) };
    let now = Instant::now();
    if known.context.deadline() <= now {
        return Err(Problem::new(Code::Expired));
    }
    let shed = |rank, reason, wait| {
        known.edge.count_shed(&route.backend, rank, reason);
        Problem::because(Code::Shed, reason).retry_after(jitter(wait))
    };
    let retries = &known.edge.retries;
    let who = if rank == Rank::New { retries.who(facts) } else { None };
    match who.map(|who| retries.begins(who, now)) {
        Some(Begins::TooOften) => return Err(shed(Rank::Retry, "retry_budget", TOO_OFTEN_RETRY)),
        Some(Begins::Again) => rank = Rank::Retry,
        Some(Begins::Anew) | None => {}
    }
    let Some(bytes) = known.edge.held_bytes.take(allowed.asked.received.body.len(), MAX_HELD_BYTES) else {
        return Err(shed(rank, "memory", MEMORY_RETRY));
    };
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
        if let Some(who) = who {
            retries.turned_away(who, now);
        }
        shed(rank, refusal.reason, refusal.retry_after)
    })?;
    let permit = Permit::new(route.operation, standing, ticket, promise, bytes);
    let ended = next.call(Admitted { allowed, permit }).await;
    match (&ended, who) {
        (Ok(_), Some(who)) => retries.served(who),
        (Err(problem), who) if matches!(problem.code(), Code::Shed | Code::Expired) => {
            if problem.code() == Code::Shed {
                let reason = LATER.into_iter().find(|word| *word == problem.reason()).unwrap_or("other");
                known.edge.count_shed(&route.backend, rank, reason);
            }
            who.into_iter().for_each(|who| retries.turned_away(who, Instant::now()));
        }
        _ => {}
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
    /// Below the process-wide ceiling, and below the municipality's.
    places: [Option<Place>; 2],
    _bytes: Place,
}

impl Permit {
    fn new(
        operation: Operation,
        mut standing: Standing,
        ticket: Option<Ticket>,
        promise: Option<Arc<Promise>>,
        bytes: Place,
    ) -> Self {
        standing.ticket = ticket.as_ref().map(Ticket::number);
        if operation == Operation::Open && standing.rank != Rank::Batch {
            // A session is started from here on, also at the authority that says whose card it is.
            standing.rank = standing.rank.min(Rank::Started);
        }
        Self { standing, ticket, _promise: promise, places: [None, None], _bytes: bytes }
    }

    /// The place of what is let in among the others.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The promise to the session that was opened; `None` where none can be kept.
    pub fn opened(&mut self) -> Option<Promise> {
        self.ticket.as_mut().and_then(Ticket::opened)
    }

    /// Holds a place below a ceiling for as long.
    pub fn also_hold(&mut self, place: Place) {
        let [first, second] = &mut self.places;
        if first.is_none() { *first = Some(place) } else { *second = Some(place) }
    }
}

/// A process-wide ceiling of places or bytes.
#[derive(Debug, Default)]
pub struct Ceiling(Arc<AtomicUsize>);

/// What is taken below it.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>, usize);

impl Ceiling {
    /// A place, if fewer than `most` are taken.
    pub fn enter(&self, most: usize) -> Option<Place> {
        self.take(1, most)
    }

    /// So many, if there is room for all of them below `most`.
    pub fn take(&self, wanted: usize, most: usize) -> Option<Place> {
        let place = Place(self.0.clone(), wanted);
        (self.0.fetch_add(wanted, Ordering::Relaxed).saturating_add(wanted) <= most).then_some(place)
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
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

    #[test]
    fn bytes_are_held_together_and_given_back_together() {
        let bytes = Ceiling::default();
        let held = bytes.take(70, 100).unwrap();
        assert!(bytes.take(31, 100).is_none());
        assert!(bytes.take(30, 100).is_some());
        assert_eq!(bytes.taken(), 70, "what was refused or given back is not held");
        drop(held);
        assert_eq!(bytes.taken(), 0);
    }
}
