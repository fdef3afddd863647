//! One run of a canary: two residents ask, each through the whole tower, and then each one's document is tried on the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use sekisho_issuance::id::RequestId;
use sekisho_issuance::request::Facts;
use tokio::time::sleep;
use tower::Service;

use super::{Canary, Expect, Found, Seen, Step, Visit};
use crate::clock::Clock;
use crate::edge::Edge;
use crate::layer::Inbound;
use crate::manifest::Unattested;
use crate::outcome::Outcome;
use crate::release::{Specimen, Trial};
use crate::server::mint;
use crate::session::OneCard;
use crate::stack::stack;

/// Why nobody at all would be served now.
const CLOSED: [&str; 7] =
    ["closed", "disabled", "maintenance", "kind_closed", "suspended", "kiosk_suspended", "switched_off"];

/// One thing that a run saw.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) expect: Expect,
    pub(super) seen: Seen,
    pub(super) reason: &'static str,
    pub(super) request: Option<RequestId>,
    /// The request whose document was tried on it.
    pub(super) document_of: Option<RequestId>,
}

/// Why there is no document.
struct Without {
    seen: Seen,
    reason: &'static str,
    request: Option<RequestId>,
}

type Document = Result<Box<Specimen>, Without>;

/// Two residents, the next ones with each `turn`.
pub(super) async fn run(edge: &Arc<Edge>, canary: &Arc<Canary>, turn: usize) -> Vec<Sight> {
    let people = canary.people.len().max(1);
    let facts = |nth: usize| canary.facts_of((turn % people + nth) % people);
    let (Some(one), Some(other)) = (facts(0), facts(1)) else { return Vec::new() };
    let guest = |facts| Guest { edge, canary, facts, connection: Arc::default() };
    let (one, other) = (guest(one), guest(other));
    let documents = if canary.pair {
        let (one, other) = tokio::join!(one.open(), other.open());
        sleep(to_the_next_second(&edge.clock)).await;
        tokio::join!(issue_and_close(one), issue_and_close(other))
    } else {
        (issue_and_close(one.open().await).await, issue_and_close(other.open().await).await)
    };
    let (one, other) = documents;
    let mut sights = vec![released(&one), released(&other)];
    match (&one, &other) {
        (Ok(one), Ok(other)) => sights.extend([tried(edge, one, other), tried(edge, other, one)]),
        (one, other) => {
            let worst = [one, other].into_iter().filter_map(|d| d.as_ref().err()).max_by_key(|without| without.seen);
            let (seen, reason) = worst.map_or((Seen::Failed, "no_document"), |without| (without.seen, without.reason));
            sights.push(Sight { expect: Expect::Withhold, seen, reason, request: None, document_of: None });
        }
    }
    sights
}

/// Two that ask from here on ask within the same second of the wall's clock, by which some backends name their files.
fn to_the_next_second(clock: &Clock) -> Duration {
    let past = u64::try_from(clock.now().subsec_nanosecond()).unwrap_or(0);
    Duration::from_nanos(1_000_000_000_u64.saturating_sub(past))
}

fn released(document: &Document) -> Sight {
    let (seen, reason, request) = match document {
        Ok(specimen) => (Seen::Passed, "verified", Some(specimen.request())),
        Err(without) => (without.seen, without.reason, without.request),
    };
    Sight { expect: Expect::Release, seen, reason, request, document_of: None }
}

/// What the gate would make of `theirs` as the answer to who asked for `mine`.
fn tried(edge: &Edge, mine: &Specimen, theirs: &Specimen) -> Sight {
    let (seen, reason) = match edge.gate.would_release(mine, theirs) {
        Trial::Recognised => (Seen::Passed, "identity"),
        Trial::WithheldOtherwise(reason) => (Seen::Blind, reason),
        Trial::Released => (Seen::NotWithheld, "verified"),
    };
    let (request, document_of) = (Some(mine.request()), Some(theirs.request()));
    Sight { expect: Expect::Withhold, seen, reason, request, document_of }
}

/// One resident at one kiosk.
struct Guest<'r> {
    edge: &'r Arc<Edge>,
    canary: &'r Arc<Canary>,
    facts: Facts,
    /// It stands at a connection of its own.
    connection: Arc<OneCard>,
}

impl Guest<'_> {
    async fn open(mut self) -> Result<Self, Without> {
        let Some(step) = &self.canary.open else { return Ok(self) };
        let (request, found) = self.ask(step).await?;
        match found.ended {
            Some((Outcome::Answered, _)) => {
                self.facts.session = found.session.or(self.facts.session);
                Ok(self)
            }
            ended => Err(without(ended, request)),
        }
    }

    async fn issue(&self) -> Document {
        let (request, found) = self.ask(&self.canary.issue).await?;
        match (found.ended, found.specimen) {
            (Some((Outcome::Released, "verified")), Some(specimen)) => Ok(specimen),
            (ended, _) => Err(without(ended, request)),
        }
    }

    /// Whatever comes of it: the session is over, as after a kiosk's close.
    async fn close(&self) {
        if let Some(step) = &self.canary.close {
            let _ = self.ask(step).await;
        }
    }

    /// Sends one request up the tower. What leaves the tower is taken piece by piece, as a kiosk would, and dropped.
    async fn ask(&self, step: &Step) -> Result<(RequestId, Found), Without> {
        let visit = Visit::new(&self.canary.name);
        let unwritable = |_| Without { seen: Seen::Failed, reason: "unwritable", request: None };
        let request = step.request(&self.facts).map_err(unwritable)?;
        let arrived_at = self.edge.clock.now();
        let id = mint(arrived_at);
        let inbound = Inbound {
            edge: self.edge.clone(),
            id,
            arrived: Instant::now(),
            arrived_at,
            peer: step.peer(&self.facts),
            connection: self.connection.clone(),
            canary: Some(visit.clone()),
            request,
        };
        // Boxed: nobody waits for a canary, and whoever runs one would carry the room for the whole tower.
        let Ok(response) = Box::pin(stack().call(inbound)).await;
        let mut body = response.into_body();
        while let Some(Ok(_)) = body.frame().await {}
        Ok((id, visit.take()))
    }
}

async fn issue_and_close(guest: Result<Guest<'_>, Without>) -> Document {
    let guest = guest?;
    let document = guest.issue().await;
    guest.close().await;
    document
}

fn without(ended: Option<(Outcome, &'static str)>, request: RequestId) -> Without {
    let (seen, reason) = match ended {
        Some((Outcome::Shed | Outcome::Withheld, reason))
            if CLOSED.contains(&reason) || reason == "draining" || Unattested::NAMES.contains(&reason) =>
        {
            (Seen::Closed, reason)
        }
        // Its municipality issues no such thing at all: nobody will ever be served.
        Some((Outcome::Shed, reason @ "kind_not_issued")) => (Seen::Failed, reason),
        Some((Outcome::Shed, reason)) => (Seen::Shed, reason),
        Some((_, reason)) => (Seen::Failed, reason),
        None => (Seen::Failed, "internal"),
    };
    Without { seen, reason, request: Some(request) }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    /// kawasaki-same-second: two that ask within one second, yet not in the same, would never meet it.
    #[test]
    fn a_pair_asks_at_the_beginning_of_a_second_of_the_wall() {
        for at in ["2026-11-22T12:00:00.000000001Z", "2026-11-22T12:00:00.5Z", "2026-11-22T12:00:00.999999999Z"] {
            let at: Timestamp = at.parse().unwrap();
            let wait = to_the_next_second(&Clock::fixed(at));
            assert!(wait <= Duration::from_secs(1));
            assert_eq!((at + SignedDuration::try_from(wait).unwrap()).subsec_nanosecond(), 0, "{at}");
        }
    }

    #[test]
    fn what_everybody_hears_is_no_failure_and_anything_else_is() {
        let seen = |outcome, reason| without(Some((outcome, reason)), RequestId::from_u128(1)).seen;
        for closed in ["closed", "maintenance", "disabled", "suspended", "switched_off", "draining", "manifest_stale"] {
            assert_eq!(seen(Outcome::Shed, closed), Seen::Closed, "{closed}");
        }
        assert_eq!(seen(Outcome::Withheld, "suspended"), Seen::Closed, "latched while it was asked");
        for full in ["backend_busy", "no_time_left", "lane_busy", "hard_ceiling"] {
            assert_eq!(seen(Outcome::Shed, full), Seen::Shed, "{full}");
        }
        assert_eq!(seen(Outcome::Shed, "kind_not_issued"), Seen::Failed);
        for reason in ["identity", "echo", "unique"] {
            assert_eq!(seen(Outcome::Withheld, reason), Seen::Failed, "{reason}");
        }
        assert_eq!(
            seen(Outcome::Released, "unverified"),
            Seen::Failed,
            "observe lets it through, and it matched nothing"
        );
        assert_eq!(seen(Outcome::Refused, "refused"), Seen::Failed);
        assert_eq!(without(None, RequestId::from_u128(1)).seen, Seen::Failed);
    }
}
