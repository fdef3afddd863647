//! From the kiosk's connection to the lanes' owner and back through the gate, in a run that no hang-up cancels.
//!
//! An assignment is sent once; again only where the owner says that nothing was begun. An amend is never sent again.

mod presence;
mod replay;

use std::collections::BTreeSet;
use std::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sekisho_issuance::checks::LOOKUP_REQUIREMENT_NOT_MET;
use sekisho_issuance::id::ResidentId;
use sekisho_issuance::request::{Facts, Operation};
use sekisho_worker::assignment::{Answer, Assignment, BeforeGuard, Call, NotBegun, Unanswered};
use sekisho_worker::owner::Attested;
use sekisho_worker::standing::Standing;

use crate::bound::Bound;
use crate::bracket::{BRACKET_UNKNOWN, Concern};
use crate::layer::admission::{Permit, jitter};
use crate::layer::bind::{Prepared, render, unanswered_lookup};
use crate::layer::{Known, Reply};
use crate::ledger::{Kept, Place, SessionKey};
use crate::outcome::Outcome;

use crate::problem::{Code, Problem};
use crate::release::{Genuine, Specimen};
use crate::route::{FactName, Household, Lookup, Mode, Route};
use crate::template::Marks;
use presence::{Opened, end_closed_session, open, step_up, still};
pub(crate) use replay::again;

/// A household that changed between the lookup before the lanes and the one inside is asked for again, at most this often.
const HOUSEHOLD_ROUNDS: usize = 3;
/// How long a kiosk is asked to wait whose request was let in and could not be served all the same.
const SHED_RETRY: Duration = Duration::from_secs(2);
/// The word with which the guard inside the lanes says so.
const HOUSEHOLD_CHANGED: &str = "household_changed";
/// The word with which the guard says that the authority's reply does not meet what its lookup requires.
const REQUIREMENT: &str = "requirement";

/// The innermost service of the tower.
pub async fn dispatch(prepared: Box<Prepared>) -> Result<Reply, Problem> {
    let kiosk = Kiosk::default();
    Detached { run: Some(Box::pin(run(prepared, kiosk.clone()))), kiosk }.await
}

/// Whether somebody still waits for the reply.
#[derive(Clone, Default)]
struct Kiosk(Arc<AtomicBool>);

impl Kiosk {
    fn is_gone(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// A run that goes on in a task of its own once nobody waits for it. A kiosk that is gone cannot take the reply: that task drops it,
/// which destroys the bytes and records that they never left.
struct Detached {
    run: Option<BoxFuture<'static, Result<Reply, Problem>>>,
    kiosk: Kiosk,
}

impl Future for Detached {
    type Output = Result<Reply, Problem>;

    fn poll(mut self: pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Taken out meanwhile: a run that panics is dropped and never polled again.
        let Some(mut run) = self.run.take() else { return Poll::Pending };
        let polled = run.as_mut().poll(cx);
        if polled.is_pending() {
            self.run = Some(run);
        }
        polled
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        self.kiosk.0.store(true, Ordering::SeqCst);
        if let (Some(run), Ok(runtime)) = (self.run.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(run);
        }
    }
}

async fn run(prepared: Box<Prepared>, kiosk: Kiosk) -> Result<Reply, Problem> {
    let Prepared { known, route, tenant, facts, proven_by, call, mut permit, mut place } = *prepared;
    let mut facts = Arc::new(facts);
    if route.operation == Operation::Amend
        && !known.edge.gate.records().memory().watermarks.has_room(known.edge.clock.now())
    {
        // A change whose mark could not be remembered afterwards is not begun.
        return Err(Problem::because(Code::Shed, "memory"));
    }
    if route.operation.speaks_of_resident() && !known.edge.remembers() {
        // What could not be recorded would be printed, or applied, and then withheld.
        return Err(Problem::because(Code::Unavailable, "not_durable"));
    }
    step_up(&known, &route, &facts);
    end_closed_session(&known, &route, &facts);
    let mut rounds = HOUSEHOLD_ROUNDS;
    let (bound, attested) = loop {
        let household = household(&known, &route, &facts, permit.standing()).await?;
        if let Some((_, members)) = &household {
            Arc::make_mut(&mut facts).residents = members.iter().cloned().collect();
        }
        let bound = Bound::seal(
            known.edge.binding_key(),
            known.context.clone(),
            facts.clone(),
            route.clone(),
            tenant.clone(),
            rand::random(),
            known.correlation.clone(),
        );
        let bound = Arc::new(bound.asked_by(known.canary.as_deref()));
        let mut assignment = assignment(&known, &bound, &call, household, permit.standing())?;
        assignment.key = place.as_ref().map(Place::durable);
        begun(&mut place, true);
        match known.edge.owner.assign(assignment).await {
            Ok(attested) => break (bound, attested),
            Err(Unanswered::NotBegun(NotBegun::Guarded(HOUSEHOLD_CHANGED))) if rounds > 0 => {
                begun(&mut place, false);
                rounds -= 1;
            }
            Err(error) => {
                let problem = unanswered(&route, &facts, &error);
                match error {
                    Unanswered::NotBegun(_) => begun(&mut place, false),
                    // It stands: whoever asks again hears the same, and nothing is begun.
                    Unanswered::Indeterminate(_) => place.into_iter().for_each(|place| place.say(&problem)),
                }
                return Err(problem);
            }
        }
    };
    let genuine = known.canary.as_ref().filter(|_| route.operation == Operation::Issue).map(|_| Genuine::of(&attested));
    let keyed = place.is_some();
    let judged = judge(&known, &bound, attested, proven_by, &kiosk, &mut permit, place).await;
    if let (Err((_, unheard)), Some(session)) = (&judged, &facts.session)
        // Who lost the answer may ask again with the key.
        && !(keyed && *unheard)
    {
        known.edge.sessions.end(known.config.session_scope, facts.kiosk.as_ref(), session);
    }
    if let (Some(visit), Some(genuine), Ok(_)) = (&known.canary, genuine, &judged) {
        visit.keep(Specimen::new(bound, genuine));
    }
    let mut reply = judged.map_err(|(problem, _)| problem)?;
    if let (Operation::Issue, Outcome::Released, Some(session)) = (route.operation, reply.outcome, &facts.session) {
        let session = SessionKey::of(known.config.session_scope, facts.kiosk.as_ref(), session);
        known.edge.ledger.released(session, known.context.id());
    }
    reply.permit = Some(permit);
    Ok(reply)
}

/// Tells the place whether the backend may have heard of it.
fn begun(place: &mut Option<Place>, begun: bool) {
    place.iter_mut().for_each(|place| place.begun(begun));
}

/// The gate's two halves, with the session in between: who a session belongs to is settled before anybody hears its id. `Err` says
/// whether only nobody waits any more.
async fn judge(
    known: &Known,
    bound: &Arc<Bound>,
    attested: Attested,
    proven_by: Option<Arc<str>>,
    kiosk: &Kiosk,
    permit: &mut Permit,
    place: Option<Place>,
) -> Result<Reply, (Problem, bool)> {
    let gate = &known.edge.gate;
    let opened = match bound.route().operation {
        // Another card may be at that kiosk by now: a session that nobody waits for takes nobody's place.
        Operation::Open if kiosk.is_gone() => return Err((Problem::because(Code::Expired, "hung_up"), true)),
        Operation::Open => open(known, bound, &attested.answer, proven_by, permit),
        _ => Opened::Nothing,
    };
    let (session, contradiction) = match opened {
        Opened::Pinned(session) => (Some(session), None),
        Opened::Contradicted(finding) | Opened::Unlearned(finding) => (None, Some(finding)),
        Opened::Nothing => (None, None),
        Opened::Full => return Err((Problem::because(Code::Shed, "memory"), false)),
    };
    let contradicted = contradiction.is_some();
    if let (Some(visit), Some(session)) = (&known.canary, &session) {
        visit.opened(session);
    }
    let _under_way = known.edge.brackets.under_way();
    let copy = place.as_ref().and_then(|place| place.seal(bound, &attested));
    let decided = gate.decide_with(bound, attested, contradiction).await;
    if let Some(place) = place {
        match &decided {
            // Before it leaves: whoever loses it from here on finds it here.
            Ok(released) => place.keep(copy.map(|copy| Kept::new(copy, released.value().marks()))),
            Err(why) => place.say(&why.problem(bound)),
        }
    }
    let ended = match decided {
        // `observe` lets an answer through, never a session that is another's.
        Ok(_) if contradicted => Err((Problem::because(Code::Withheld, "identity"), false)),
        Ok(_) if kiosk.is_gone() => Err((Problem::because(Code::Expired, "hung_up"), true)),
        Ok(released) => {
            let committed = gate.commit(bound, released, || still(known, bound, session.as_ref(), kiosk)).await;
            committed.map_err(|why| (why.problem(bound), why.is_unheard()))
        }
        Err(why) => Err((why.problem(bound), why.is_unheard())),
    };
    if let (Err(_), Some(session)) = (&ended, &session) {
        known.edge.sessions.end(known.config.session_scope, bound.facts().kiosk.as_ref(), session);
    }
    ended.map(|outgoing| Reply::new(outgoing.response, outgoing.outcome, outgoing.reason))
}

type Members = BTreeSet<ResidentId>;

/// The members of the household, where the request asks for them, in the authority's words and before any lane.
async fn household(
    known: &Known,
    route: &Route,
    facts: &Facts,
    standing: &Standing,
) -> Result<Option<(Arc<Lookup>, Members)>, Problem> {
    let Some(Household { lookup, when }) = &route.household else { return Ok(None) };
    if !asks_for_household(when.as_ref(), facts) {
        return Ok(None);
    }
    let call = render(known, lookup, facts, None)?;
    // Boxed: most requests ask for no household, and would carry the room for this through every layer.
    let called = Box::pin(known.edge.owner.call_settled(call, standing, known.context.deadline())).await;
    let (answer, settlement) = called.map_err(|error| unanswered_lookup(&error))?;
    match members(lookup, facts.applicant.as_ref(), &answer) {
        Some(members) => {
            settlement.passed();
            Ok(Some((lookup.clone(), members)))
        }
        None => {
            settlement.surprised("lookup");
            Err(Problem::because(Code::Unavailable, "lookup"))
        }
    }
}

/// Whether the request is about the whole household.
pub(crate) fn asks_for_household(when: Option<&(Arc<str>, Arc<str>)>, facts: &Facts) -> bool {
    when.is_none_or(|(item, value)| facts.selection.get(item.as_ref()).is_some_and(|v| **v == **value))
}

/// Everybody that a reply about `applicant` names; nobody where it is about another.
fn members(lookup: &Lookup, applicant: Option<&ResidentId>, answer: &Answer) -> Option<Members> {
    let usable = answer.status == 200 && !answer.framing_surprise;
    let reply = usable.then(|| lookup.read(answer).ok()).flatten()?;
    let about = reply.people.first()?.id.as_ref();
    if about.is_none() || about != applicant {
        return None;
    }
    reply.people.into_iter().map(|person| person.id).collect()
}

fn assignment(
    known: &Known,
    bound: &Bound,
    call: &Call,
    household: Option<(Arc<Lookup>, Members)>,
    standing: &Standing,
) -> Result<Assignment, Problem> {
    let (route, facts, context) = (bound.route(), bound.facts(), bound.context());
    let speaks = route.operation.speaks_of_resident();
    let lookup = household.as_ref().map(|(lookup, _)| lookup).or(route.lookup.as_ref());
    let asked = |lookup: Option<&Arc<Lookup>>| lookup.map(|lookup| render(known, lookup, facts, None)).transpose();
    let mut call = call.clone();
    let marks = Marks { request: context.id(), nonce: Some(bound.nonce()), trace: context.trace() };
    marks.write(&mut call.headers);
    let steps = route.fetch.as_ref().map(|fetch| fetch.render(route, facts, &marks, known.edge.job_salt())).transpose();
    let unfit = |fact: FactName| Problem::new(Code::MalformedFact).about(fact.name());
    let lanes = if speaks { known.edge.lanes(facts) } else { sekisho_issuance::shard::LaneSet::new(Vec::new()) };
    Ok(Assignment {
        request: context.id(),
        binding: *bound.binding(),
        epoch: known.edge.epoch(),
        operation: route.operation,
        standing: *standing,
        lanes,
        deadline: context.deadline(),
        max_run: route.max_run,
        trace: context.trace(),
        before: asked(lookup)?,
        before_guard: both(
            vouched(known, bound, lookup)?,
            match &household {
                Some((lookup, chosen)) => Some(guard(lookup.clone(), chosen.clone(), facts.applicant.clone())),
                None => required(bound),
            },
        ),
        call,
        fetch: steps.map_err(unfit)?,
        after: if route.lookup_after { asked(route.lookup.as_ref())? } else { None },
        key: None,
    })
}

/// Inside the lanes the household must still be the one whose lanes were taken.
fn guard(lookup: Arc<Lookup>, chosen: Members, applicant: Option<ResidentId>) -> BeforeGuard {
    Arc::new(move |answer: &Answer| match members(&lookup, applicant.as_ref(), answer) {
        Some(found) if found == chosen => Ok(()),
        Some(_) => Err(HOUSEHOLD_CHANGED),
        None => Err("lookup"),
    })
}

/// Where a change bracket holds somebody up, their authority must vouch for them once its lanes are open; a route that asks none
/// has nobody to vouch.
fn vouched(known: &Known, bound: &Bound, lookup: Option<&Arc<Lookup>>) -> Result<Option<BeforeGuard>, Problem> {
    let facts = bound.facts();
    let Some(municipality) = facts.municipality.filter(|_| bound.route().operation.speaks_of_resident()) else {
        return Ok(None);
    };
    let brackets = &known.edge.brackets;
    let people = || facts.residents.iter().map(|who| (known.edge.lane(municipality, who), who.clone()));
    match (brackets.concern(people().map(|(lane, _)| lane)), lookup) {
        (Concern::None, _) | (Concern::Closed, None) => Ok(None),
        (Concern::Unknown, None) => Err(Problem::because(Code::Unavailable, BRACKET_UNKNOWN)),
        (Concern::Closed | Concern::Unknown, Some(lookup)) => {
            let marks = known.edge.gate.records().memory().watermarks.clone();
            Ok(Some(brackets.guard(people().collect(), lookup.clone(), marks, bound.route().max_run)))
        }
    }
}

/// One guard after the other.
fn both(first: Option<BeforeGuard>, second: Option<BeforeGuard>) -> Option<BeforeGuard> {
    match (first, second) {
        (Some(first), Some(second)) => {
            Some(Arc::new(move |answer: &Answer| first(answer).and_then(|()| second(answer))))
        }
        (one, other) => one.or(other),
    }
}

/// Where an authority's reply says already that nothing can leave, the backend hears nothing: what a lookup requires must hold, and
/// a change whose version could not be compared afterwards is not begun. In `observe` everything is asked, to see what comes.
fn required(bound: &Bound) -> Option<BeforeGuard> {
    let (lookup, amends) = (bound.route().lookup.clone()?, bound.route().operation == Operation::Amend);
    if bound.mode() == Mode::Observe || !(amends || lookup.fields.require.is_some()) {
        return None;
    }
    let applicant = bound.facts().applicant.clone();
    Some(Arc::new(move |answer: &Answer| {
        if answer.status != 200 || answer.framing_surprise {
            return Err("lookup");
        }
        match lookup.read(answer) {
            Err(LOOKUP_REQUIREMENT_NOT_MET) => Err(REQUIREMENT),
            Ok(reply) if reply.people.first().is_some_and(|person| person.id == applicant) => Ok(()),
            _ => Err("lookup"),
        }
    }))
}

/// What a kiosk hears when there is no answer to judge.
fn unanswered(route: &Route, facts: &Facts, error: &Unanswered) -> Problem {
    let shed = |reason| Problem::because(Code::Shed, reason).retry_after(jitter(SHED_RETRY));
    match error {
        Unanswered::NotBegun(not_begun) => match not_begun {
            NotBegun::Expired => Problem::new(Code::Expired),
            NotBegun::LaneFull => shed("lane_full"),
            NotBegun::LaneBusy => shed("lane_busy"),
            NotBegun::BackendBusy => shed("backend_busy"),
            NotBegun::NoTimeLeft => shed("no_time_left"),
            NotBegun::Bracketed => shed("bracket"),
            NotBegun::Unreachable => Problem::because(Code::Unavailable, "unreachable"),
            NotBegun::BackendSuspended => Problem::because(Code::Unavailable, "backend_suspended"),
            NotBegun::IntentNotDurable => Problem::because(Code::Unavailable, "not_durable"),
            // An authority's lawful no, in our words.
            NotBegun::Guarded(REQUIREMENT) => Problem::because(Code::Refused, REQUIREMENT),
            NotBegun::Guarded(BRACKET_UNKNOWN) => Problem::because(Code::Unavailable, BRACKET_UNKNOWN),
            NotBegun::Guarded(_) => Problem::because(Code::Unavailable, "lookup"),
            NotBegun::WrongEpoch => Problem::new(Code::Unavailable),
            NotBegun::Draining => Problem::new(Code::Draining),
        },
        // A change may have been applied. It is never sent again by us, and the key says which one it was.
        Unanswered::Indeterminate(why) if route.operation == Operation::Amend => {
            let problem = Problem::because(Code::Indeterminate, why);
            facts.idempotency_key.iter().fold(problem, |problem, key| problem.with_key(key.expose()))
        }
        Unanswered::Indeterminate("timeout") => Problem::new(Code::Expired),
        Unanswered::Indeterminate(why) => Problem::because(Code::Unavailable, why),
    }
}

#[cfg(test)]
mod tests {
    use sekisho_issuance::id::{CardDigest, KioskId, MunicipalityCode, SessionId};
    use tower::Service;

    use super::*;
    use crate::durable_log::scripted::{Disk, Scripted};
    use crate::edge::tests::edge_on;
    use crate::layer::tests::inbound;
    use crate::session::Pin;
    use crate::stack::stack;

    /// On a disk that takes no more records an answer would be fetched, a paper printed or a change applied for nobody.
    #[tokio::test]
    async fn what_could_not_be_recorded_is_not_begun() {
        let log = Scripted::new();
        let edge = edge_on(log.clone());
        let ask = async || {
            let pin = Pin {
                kiosk: KioskId::new("K-1").unwrap(),
                card: CardDigest::new("c1").unwrap(),
                municipality: MunicipalityCode::new("991007").unwrap(),
                resident: Some(ResidentId::new("r1").unwrap()),
                proven_by: Some("card".into()),
            };
            let (config, session) = (edge.config(), SessionId::new("s1").unwrap());
            edge.sessions.end(config.session_scope, Some(&pin.kiosk), &session);
            edge.sessions
                .open(config.session_scope, &session, pin, config.listeners.sessions, std::time::Instant::now())
                .unwrap();
            let headers = [("x-session", "s1"), ("x-terminal", "K-1")];
            let answer = stack().call(inbound(&edge, "GET", "/residents/r1", &headers, "")).await.unwrap();
            let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
            serde_json::from_slice::<serde_json::Value>(&body).unwrap()["reason"].as_str().unwrap().to_owned()
        };
        assert_ne!(ask().await, "not_durable");
        log.disk(Disk::Broken);
        assert_eq!(ask().await, "not_durable");
    }
}
