//! The decision to start. Says no at once when the wait would outlast the deadline; never queues a request itself.
//!
//! Seam: the overload engine replaces [`Admission`] and keeps [`Ask`], [`Permit`] and [`Shed`].

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::Rng;
use sekisho_issuance::request::Operation;
use tower::Service;

use super::{Admitted, Allowed, Reply};
use crate::problem::{Code, Problem};

/// After `policy`; the last thing before work is spent. Its permit is held until the reply's last byte has left.
pub async fn admission<S>(allowed: Allowed, mut next: S) -> Result<Reply, Problem>
where
    S: Service<Admitted, Response = Reply, Error = Problem>,
{
    let known = &allowed.asked.received.known;
    let route = &allowed.asked.received.matched.route;
    let limit = known.config.backends.get(&route.backend).map_or(1, |backend| backend.max_in_flight);
    let ask = Ask {
        backend: &route.backend,
        limit,
        rank: Rank::of(route.operation, allowed.asked.pin.is_some()),
        time_left: known.context.deadline().saturating_duration_since(Instant::now()),
    };
    match known.edge.admission.admit(&ask) {
        Ok(permit) => next.call(Admitted { allowed, permit }).await,
        Err(shed) => {
            known.edge.count_shed(&route.backend, ask.rank, shed.reason);
            Err(Problem::because(Code::Shed, shed.reason).retry_after(jitter(shed.retry_after)))
        }
    }
}

/// Spreads `wait` over 75-150 %, so that those who were turned away together do not come back together.
pub fn jitter(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(0.75..1.5))
}

/// Who is let in first. Nothing half done is shed while it still can be finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Changes a record.
    Amend,
    /// The next step of a session that was opened.
    Started,
    /// Begins something.
    New,
}

impl Rank {
    fn of(operation: Operation, pinned: bool) -> Self {
        match operation {
            Operation::Amend => Self::Amend,
            Operation::Close => Self::Started,
            _ if pinned => Self::Started,
            _ => Self::New,
        }
    }

    /// The metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amend => "amend",
            Self::Started => "started",
            Self::New => "new",
        }
    }
}

/// One question.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Whom it would call.
    pub backend: &'a Arc<str>,
    /// How many calls that backend takes at once.
    pub limit: usize,
    /// Who asks.
    pub rank: Rank,
    /// Until its deadline.
    pub time_left: Duration,
}

/// A no, with the one reason for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shed {
    /// A stable word.
    pub reason: &'static str,
    /// When it may be otherwise.
    pub retry_after: Duration,
}

/// What is known of one backend's pace.
#[derive(Debug)]
struct Pace {
    inside: AtomicUsize,
    /// Smoothed time of one call, in microseconds.
    service_us: AtomicU64,
}

/// Until a backend has answered once.
const FIRST_GUESS_US: u64 = 200_000;
/// A new session must leave this share of its time for its own wait; started ones may use it all.
const NEW_SHARE: f64 = 0.5;

/// Per backend: who is inside, and how long one call takes.
#[derive(Debug, Default)]
pub struct Admission {
    paces: Mutex<HashMap<Arc<str>, Arc<Pace>>>,
}

impl Admission {
    fn pace(&self, backend: &Arc<str>) -> Arc<Pace> {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pace) = paces.get(backend) {
            return pace.clone();
        }
        let pace = Arc::new(Pace { inside: AtomicUsize::new(0), service_us: AtomicU64::new(FIRST_GUESS_US) });
        paces.insert(backend.clone(), pace.clone());
        pace
    }

    /// Lets in whoever can still be served in time.
    pub fn admit(&self, ask: &Ask<'_>) -> Result<Permit, Shed> {
        let pace = self.pace(ask.backend);
        let ahead = pace.inside.fetch_add(1, Ordering::Relaxed);
        let permit = Permit { pace: Some(pace.clone()), place: None };
        let service = Duration::from_micros(pace.service_us.load(Ordering::Relaxed));
        let wait = expected_wait(ahead, ask.limit, service);
        let allowed = match ask.rank {
            Rank::New => ask.time_left.mul_f64(NEW_SHARE),
            Rank::Amend | Rank::Started => ask.time_left,
        };
        // Without a queue there is nothing to compare: whoever finds a free slot may try.
        if wait.is_zero() || wait + service <= allowed {
            return Ok(permit);
        }
        let reason = if wait + service > ask.time_left { "no_time_left" } else { "backend_busy" };
        Err(Shed { reason, retry_after: wait.max(Duration::from_secs(1)) })
    }
}

/// How long until a slot is free for one who finds `ahead` others, if each takes `service`.
fn expected_wait(ahead: usize, limit: usize, service: Duration) -> Duration {
    let limit = limit.max(1);
    let waiting = (ahead + 1).saturating_sub(limit);
    service.mul_f64(waiting as f64 / limit as f64)
}

/// The proof of admission. Dropped when the reply has left, was cut, or never came to be.
#[derive(Debug)]
pub struct Permit {
    pace: Option<Arc<Pace>>,
    place: Option<Place>,
}

impl Permit {
    /// Tells how long the backend took, so that the next decision knows better.
    pub fn served_in(&self, took: Duration) {
        if let Some(pace) = &self.pace {
            let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).min(600_000_000);
            let old = pace.service_us.load(Ordering::Relaxed);
            pace.service_us.store((old * 7 + took) / 8, Ordering::Relaxed);
        }
    }

    /// Holds the place below the process-wide ceiling for as long.
    pub fn also_hold(&mut self, place: Place) {
        self.place = Some(place);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(pace) = self.pace.take() {
            pace.inside.fetch_sub(1, Ordering::Relaxed);
        }
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

    fn ask<'a>(backend: &'a Arc<str>, rank: Rank, time_left: u64) -> Ask<'a> {
        Ask { backend, limit: 2, rank, time_left: Duration::from_millis(time_left) }
    }

    #[test]
    fn whoever_cannot_be_served_in_time_hears_it_at_once() {
        let (admission, backend) = (Admission::default(), Arc::from("b"));
        let inside: Vec<_> = (0..10).map(|_| admission.admit(&ask(&backend, Rank::Started, 60_000)).unwrap()).collect();
        // Ten inside, two at once, 200 ms each: nine wait before the eleventh is through, so 0.9 s and its own 0.2 s.
        assert_eq!(admission.admit(&ask(&backend, Rank::Started, 1000)).unwrap_err().reason, "no_time_left");
        assert!(admission.admit(&ask(&backend, Rank::Started, 1200)).is_ok());
        assert_eq!(admission.admit(&ask(&backend, Rank::New, 2000)).unwrap_err().reason, "backend_busy");
        drop(inside);
        assert!(admission.admit(&ask(&backend, Rank::New, 10)).is_ok(), "a free slot needs no forecast");
    }

    #[test]
    fn a_refusal_takes_no_place() {
        let (admission, backend) = (Admission::default(), Arc::from("b"));
        let inside: Vec<_> = (0..4).map(|_| admission.admit(&ask(&backend, Rank::Started, 60_000)).unwrap()).collect();
        for _ in 0..100 {
            assert!(admission.admit(&ask(&backend, Rank::New, 100)).is_err());
        }
        assert_eq!(admission.pace(&backend).inside.load(Ordering::Relaxed), 4);
        drop(inside);
        assert_eq!(admission.pace(&backend).inside.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_faster_backend_is_believed_after_a_while() {
        let (admission, backend) = (Admission::default(), Arc::from("b"));
        for _ in 0..40 {
            admission.admit(&ask(&backend, Rank::Started, 60_000)).unwrap().served_in(Duration::from_millis(10));
        }
        let _inside: Vec<_> =
            (0..10).map(|_| admission.admit(&ask(&backend, Rank::Started, 60_000)).unwrap()).collect();
        assert!(admission.admit(&ask(&backend, Rank::Started, 100)).is_ok());
    }

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
