//! Plays a script: its people come in waves, and what goes on beside them goes on.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use tokio::task::JoinSet;

use super::field::{Field, Side, Visit};
use super::ledger::Ended;
use super::script::{Beside, Script};
use crate::legacy::resident::PersonNo;

/// How often somebody is called back to apply again.
const RETRIES: usize = 2;

/// Plays every wave; the next one does not wait for the one before.
pub(super) async fn play(field: &Arc<Field>, script: &Script, waves: Vec<Vec<Visit>>, rng: &mut StdRng) {
    let mut going_on = JoinSet::new();
    let mut clock = tokio::time::interval(script.every);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for (number, wave) in waves.into_iter().enumerate() {
        clock.tick().await;
        beside(field, script, number, &wave, rng, &mut going_on).await;
    }
    while going_on.join_next().await.is_some() {}
}

async fn beside(
    field: &Arc<Field>,
    script: &Script,
    number: usize,
    wave: &[Visit],
    rng: &mut StdRng,
    going_on: &mut JoinSet<()>,
) {
    match script.beside {
        Beside::Nothing => {}
        Beside::Amends | Beside::Retries => {
            for (n, visit) in wave.iter().enumerate() {
                // Half of them while they print themselves, half of them while their neighbour at the next kiosk does.
                let next = wave.get((n + 1) % wave.len()).unwrap_or(visit);
                let person = if n % 2 == 0 { visit.person } else { next.person };
                let address = field.town.another_address(person, number as u64);
                let after = Duration::from_micros(rng.random_range(0..12_000));
                let field = Arc::clone(field);
                going_on.spawn(async move {
                    tokio::time::sleep(after).await;
                    move_away(&field, person, &address).await;
                });
            }
        }
        Beside::Revocations => {
            for visit in wave {
                revoke(field, visit.person).await;
            }
        }
        Beside::LeftOpen => {
            let pairs = wave.chunks_exact(2).filter_map(|pair| Some((*pair.first()?, *pair.get(1)?)));
            for (before, next) in pairs {
                let address = field.town.another_address(next.person, number as u64);
                going_on.spawn(one_after_the_other(Arc::clone(field), before, next, address));
            }
            return;
        }
        Beside::HangUps => {
            for (n, visit) in wave.iter().enumerate() {
                let away = (n % 3 == 0).then(|| Duration::from_micros(rng.random_range(1_000..6_000)));
                going_on.spawn(come(Arc::clone(field), Visit { walks_away: away, ..*visit }, 0));
            }
            return;
        }
    }
    let retries = if script.beside == Beside::Retries { RETRIES } else { 0 };
    for visit in wave {
        going_on.spawn(come(Arc::clone(field), *visit, retries));
    }
}

async fn come(field: Arc<Field>, visit: Visit, retries: usize) {
    for _ in 0..=retries {
        // Whoever was called back after an error notice applies again, with whatever they got in hand.
        if matches!(field.visit(Side::Scene, visit).await, Ended::Suspended | Ended::Refused | Ended::Abandoned) {
            return;
        }
    }
}

/// The one before leaves the session open; the next one changes an address and prints at the same kiosk.
async fn one_after_the_other(field: Arc<Field>, before: Visit, next: Visit, address: String) {
    let mut kiosk = field.free_kiosk(Side::Scene);
    if let Ok(opened) = field.open(&mut kiosk, before).await {
        field.issue(&mut kiosk, &opened, before).await;
    }
    if let Ok(opened) = field.open(&mut kiosk, next).await {
        field.amend(&mut kiosk, &opened, next.person, &address).await;
        field.issue(&mut kiosk, &opened, next).await;
        kiosk.close(&opened.session).await;
    }
    field.leave(Side::Scene, kiosk);
}

/// The resident system changes an address behind everybody's back.
async fn move_away(field: &Field, person: PersonNo, address: &str) {
    if let Some((version, at)) = field.town.amend_behind(person, address).await {
        field.ledger.known(field.town.id(person), version, at);
    }
}

/// The resident system cancels a seal registration.
async fn revoke(field: &Field, person: PersonNo) {
    if let Some((version, at)) = field.town.revoke_behind(person).await {
        field.ledger.known(field.town.id(person), version, at);
    }
}
