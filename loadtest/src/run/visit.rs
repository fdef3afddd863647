//! One session at a kiosk, acted out: asks when the person would, measures from when they should have, reports to the book.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::book::{Answer, Evidence, Note};
use super::figures::Under;
use super::ground::Ground;
use super::people::{Comer, Resident};
use super::person::{Next, Person, Wait};
use super::timetable::Entry;
use crate::auditor::Claim;
use crate::kiosk::{Exchange, Kiosk, Opened, Said, Scope, Trouble};
use crate::plan::Outcome;
use crate::plan::threshold::Step;

/// The random numbers of one event: the same in every run of a seed, whatever the others do.
pub(super) fn rng_of(seed: u64, salt: u64, number: u64) -> StdRng {
    let mut key = [0; 32];
    let parts = [seed, salt, number, 0x5E15_5101].map(u64::to_le_bytes);
    key.iter_mut().zip(parts.as_flattened()).for_each(|(to, from)| *to = *from);
    StdRng::from_seed(key)
}

/// Counts somebody as present as long as it lives.
struct Present {
    ground: Arc<Ground>,
    number: u64,
}

impl Drop for Present {
    fn drop(&mut self) {
        self.ground.leaves(self.number);
    }
}

/// The whole session.
pub(super) async fn visit(ground: Arc<Ground>, start: Entry) {
    let intended = ground.began + start.at;
    let error = Instant::now().saturating_duration_since(intended);
    let mut rng = rng_of(ground.plan.seed, 1, start.number);
    let comer = ground.people.draw(&ground.plan, start.stage, &mut rng);
    let (Some(mut kiosk), Some(comer)) = (ground.kiosks.take(), comer) else {
        ground.note(Note::Dropped { stage: start.stage, at: start.at });
        return;
    };
    let Some(resident) = ground.people.resident(comer.who) else { return };
    ground.note(Note::Start { stage: start.stage, at: start.at, error });
    ground.comes(start.number, comer.who);
    let _present = Present { ground: Arc::clone(&ground), number: start.number };
    let mut session =
        Session { ground: &ground, resident, comer: &comer, kiosk: &mut kiosk, opened: None, stage: start.stage };
    let left = session.walk(intended, &mut rng).await;
    let (stage, city, kind) = (start.stage, resident.city, comer.kind);
    ground.note(Note::Left { stage, city, kind, left, at: Instant::now() });
    ground.kiosks.give_back(kiosk);
}

struct Session<'g> {
    ground: &'g Ground,
    resident: &'g Resident,
    comer: &'g Comer,
    kiosk: &'g mut Kiosk,
    opened: Option<Opened>,
    stage: usize,
}

impl Session<'_> {
    async fn walk(&mut self, mut intended: Instant, rng: &mut StdRng) -> super::person::Left {
        let behaviour = &self.ground.plan.behaviour;
        let away = rng.random_bool(behaviour.abandon).then(|| rng.random_range(1..behaviour.steps.len().max(2)));
        let mut person = Person::new(behaviour, away);
        let mut next = person.arrives();
        loop {
            let (step, rank, wait) = match next {
                Next::Leave(left) => return left,
                Next::Ask { step, rank, wait } => (step, rank, wait),
            };
            intended += match (wait, &behaviour.retry) {
                (Wait::Nothing, _) | (Wait::Retry, None) => Duration::ZERO,
                (Wait::Think, _) => behaviour.think.draw(rng),
                (Wait::Retry, Some(retry)) => retry.after.draw(rng),
            };
            // What is due already must not wait for the timer's next millisecond: nobody would count it.
            if intended > Instant::now() {
                tokio::time::sleep_until(intended.into()).await;
            }
            let (exchange, evidence) = self.ask(step).await;
            let outcome = outcome_of(&exchange.said);
            let done = exchange.done;
            let kind = Some(self.comer.kind);
            let under = Under { stage: self.stage, step, rank, city: self.resident.city, kind, outcome };
            self.ground.note(Note::Answer(Box::new(answer(under, intended, exchange, evidence))));
            intended = done;
            // An answer to `open` without a session in it is none that a kiosk could go on with.
            let no_session = step == Step::Open && outcome == Outcome::Answered && self.opened.is_none();
            next = person.hears(if no_session { Outcome::Failed } else { outcome });
        }
    }

    async fn ask(&mut self, step: Step) -> (Exchange, Option<Evidence>) {
        let opened = self.opened.clone();
        match (step, opened) {
            (Step::Open, _) => {
                let code = self.ground.plan.population.cities.get(self.resident.city).map_or("", |(code, _)| code);
                let (exchange, opened) = self.kiosk.open(&self.resident.card, code).await;
                self.opened = opened;
                (exchange, None)
            }
            (Step::Inquire, Some(opened)) => {
                let exchange = self.kiosk.inquire(&opened.session, &opened.resident).await;
                let claim = claim(&exchange.said, "id");
                let resident = self.resident.id.clone();
                (exchange, claim.map(|claim| Evidence::Told { resident, claim }))
            }
            (Step::Issue, Some(opened)) => {
                let scope = if self.comer.household { Scope::Household } else { Scope::Alone };
                let form = self.comer.form.path();
                let exchange = self.kiosk.issue(&opened.session, form, scope).await;
                let evidence = match &exchange.said {
                    Said::Paper(paper) => {
                        let alone = || BTreeSet::from([self.resident.id.clone()]);
                        let residents = if self.comer.household { self.resident.household.clone() } else { alone() };
                        Some(Evidence::Paper { session: opened.session, form, residents, bytes: paper.bytes.clone() })
                    }
                    _ => None,
                };
                (exchange, evidence)
            }
            (Step::Confirm, Some(opened)) => (self.kiosk.close(&opened.session).await, None),
            // Nobody gets here: without a session a person does not go on.
            (_, None) | (Step::Amend, _) => {
                let now = Instant::now();
                let said = Said::Nothing(Trouble::Unreachable);
                (Exchange { said, request_id: None, sent: now, done: now }, None)
            }
        }
    }
}

pub(super) fn answer(under: Under, intended: Instant, exchange: Exchange, evidence: Option<Evidence>) -> Answer {
    let reason = match &exchange.said {
        Said::Problem(problem) => problem.reason.clone(),
        Said::Nothing(trouble) => trouble.to_string(),
        Said::Other(status) => format!("status {status}"),
        Said::Refused(code) => code.clone(),
        Said::Paper(_) | Said::Data(_) => String::new(),
    };
    let Exchange { request_id, sent, done, .. } = exchange;
    Answer { under, reason, intended, sent, done, request_id, evidence }
}

/// Whose record, and which version of it, an answer in data speaks of.
pub(super) fn claim(said: &Said, id: &str) -> Option<Claim> {
    let Said::Data(data) = said else { return None };
    // Without a version it is older than any that is known, and newer than none.
    let version = data.get("version").and_then(|version| version.as_u64().or_else(|| version.as_str()?.parse().ok()));
    let version = version.unwrap_or(0);
    Some(Claim { resident: data.get(id).and_then(Value::as_str)?.to_owned(), version })
}

/// The gateway's word for what a kiosk heard.
pub(super) fn outcome_of(said: &Said) -> Outcome {
    match said {
        Said::Paper(_) => Outcome::Released,
        Said::Data(_) => Outcome::Answered,
        Said::Refused(_) => Outcome::Refused,
        Said::Nothing(Trouble::GaveUp) => Outcome::GaveUp,
        Said::Nothing(Trouble::Cut) => Outcome::Cut,
        Said::Nothing(Trouble::Unreachable) => Outcome::Unreachable,
        Said::Other(_) => Outcome::Failed,
        Said::Problem(problem) => match problem.word.as_str() {
            "withheld" => Outcome::Withheld,
            "shed" | "closed" | "suspended" | "switched_off" | "draining" => Outcome::Shed,
            "expired" => Outcome::Expired,
            "indeterminate" => Outcome::Indeterminate,
            "failed" | "unavailable" | "internal" => Outcome::Failed,
            _ => Outcome::Rejected,
        },
    }
}
