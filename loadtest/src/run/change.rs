//! Records that change while people print: at a terminal through the target, or in the resident system behind it.

use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use super::book::{Answer, Evidence, Note};
use super::figures::Under;
use super::ground::Ground;
use super::people::Resident;
use super::timetable::Entry;
use super::visit::{answer, claim, outcome_of, rng_of};
use crate::cluster::Admin;
use crate::kiosk::Exchange;
use crate::plan::threshold::{Rank, Step};
use crate::plan::{Change, Outcome, Whose};

/// One change of one person's address.
pub(super) async fn change(ground: Arc<Ground>, entry: Entry, beside: usize) {
    let Some(alongside) = ground.plan.alongside.get(beside) else { return };
    let mut rng = rng_of(ground.plan.seed, 2 + beside as u64, entry.number);
    let who = match alongside.on {
        Whose::Anybody => Some(ground.people.anybody(&mut rng)),
        Whose::BeingIssued => ground.somebody_present(rng.random()),
    };
    let Some(resident) = who.and_then(|who| ground.people.resident(who)) else { return };
    let address = match (&ground.town, resident.person) {
        (Some(town), Some(person)) => town.another_address(person, rng.random()),
        _ => return,
    };
    match alongside.what {
        Change::Amend => at_a_terminal(&ground, entry, resident, &address).await,
        Change::AmendBehind => behind(&ground, resident, &address).await,
        Change::AmendInBracket => in_a_bracket(&ground, resident, &address).await,
    }
}

async fn behind(ground: &Ground, resident: &Resident, address: &str) {
    let (Some(town), Some(person)) = (&ground.town, resident.person) else { return };
    if let Some((version, at)) = town.amend_behind(person, address).await {
        ground.note(Note::Known { resident: resident.id.clone(), version, at });
    }
}

/// A batch that is not given a bracket changes nothing; one that lost it leaves it to expire.
async fn in_a_bracket(ground: &Ground, resident: &Resident, address: &str) {
    let Some((listener, key)) = ground.operators.clone() else { return };
    let mut admin = Admin::new(listener, key);
    let code = ground.plan.population.cities.get(resident.city).map_or("", |(code, _)| code);
    let Ok(bracket) = admin.open_bracket(code, &resident.id).await else { return };
    let (Some(town), Some(person)) = (&ground.town, resident.person) else { return };
    if let Some((version, at)) = town.amend_behind(person, address).await {
        ground.note(Note::Known { resident: resident.id.clone(), version, at });
        let _ = admin.close_bracket(bracket, version).await;
    }
}

async fn at_a_terminal(ground: &Ground, entry: Entry, resident: &Resident, address: &str) {
    let Some(mut terminal) = ground.terminals.take() else { return };
    let code = ground.plan.population.cities.get(resident.city).map_or("", |(code, _)| code);
    let write = |step, rank, intended: Instant, exchange: Exchange, evidence| -> (Outcome, Instant) {
        let (outcome, done) = (outcome_of(&exchange.said), exchange.done);
        let under = Under { stage: entry.stage, step, rank, city: resident.city, kind: None, outcome };
        let answer: Answer = answer(under, intended, exchange, evidence);
        ground.note(Note::Answer(Box::new(answer)));
        (outcome, done)
    };
    let (exchange, opened) = terminal.open(&resident.card, code).await;
    let (_, done) = write(Step::Open, Rank::New, ground.began + entry.at, exchange, None);
    if let Some(opened) = opened {
        let key = format!("change-{}-{}", entry.number, ground.plan.seed);
        let exchange = terminal.amend(&opened.session, &opened.resident, address, &key).await;
        let claimed = claim(&exchange.said, "residentId");
        let misapplied = claimed.as_ref().is_some_and(|claim| claim.resident != resident.id);
        if let Some(claim) = claimed {
            ground.note(Note::Known { resident: claim.resident, version: claim.version, at: exchange.done });
        }
        let evidence = misapplied.then_some(Evidence::Misapplied);
        let (_, done) = write(Step::Amend, Rank::Amend, done, exchange, evidence);
        let exchange = terminal.close(&opened.session).await;
        write(Step::Confirm, Rank::Started, done, exchange, None);
    }
    ground.terminals.give_back(terminal);
}
