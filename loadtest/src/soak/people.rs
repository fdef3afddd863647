//! Who comes during a soak: one person after the other at each kiosk, and the resident system's own changes beside them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use crate::incidents::{Ended, Field, Side, Visit};
use crate::legacy::Form;
use crate::legacy::resident::PersonNo;

/// The resident system changes so many records a second behind the gateway.
const CHANGES_PER_SECOND: u64 = 40;
/// Sessions that nobody ends, for the next person to find.
const LEFT_OPEN: f64 = 0.02;
/// Visits in which the person also moves house at the kiosk.
const MOVES: f64 = 0.01;
/// Visits in which the person looks at their record first.
const LOOKS: f64 = 0.05;

/// Everybody who may come, per municipality and form.
pub(super) struct Crowd(Vec<Vec<(Form, Vec<PersonNo>)>>);

impl Crowd {
    pub(super) fn of(field: &Field) -> Self {
        let of_city = |city| Form::ALL.map(|form| (form, field.town.can_ask_for(city, form))).to_vec();
        Self(field.town.cities().map(of_city).collect())
    }

    /// Somebody, and the certificates that they want in one visit.
    fn draw(&self, rng: &mut StdRng) -> Option<(PersonNo, Vec<Form>)> {
        let forms = self.0.choose(rng)?;
        let (_, everybody) = forms.first()?;
        let person = *everybody.choose(rng)?;
        let mut wanted: Vec<Form> =
            forms.iter().filter(|(_, people)| people.binary_search(&person).is_ok()).map(|(form, _)| *form).collect();
        wanted.shuffle(rng);
        wanted.truncate(rng.random_range(1..=3));
        Some((person, wanted))
    }
}

/// One kiosk: people come to it until `left` requests were made by all kiosks together.
pub(super) async fn come_and_go(field: Arc<Field>, crowd: Arc<Crowd>, seed: u64, left: Arc<AtomicU64>) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut kiosk = field.free_kiosk(Side::Everyday);
    while left.load(Ordering::Relaxed) > 0 {
        let Some((person, wanted)) = crowd.draw(&mut rng) else { return };
        let visit = |form| Visit {
            person,
            form,
            household: form != Form::SealRegistration && form != Form::Tax && person % 3 == 0,
            looks_first: false,
            since: None,
            walks_away: None,
        };
        let Some(first) = wanted.first() else { return };
        let Ok(opened) = field.open(&mut kiosk, visit(*first)).await else {
            take_one(&left);
            continue;
        };
        // After anything but an answer the session is over, and the person goes.
        if rng.random_bool(LOOKS) && !field.inquire(&mut kiosk, &opened, person).await {
            continue;
        }
        if rng.random_bool(MOVES) {
            let address = field.town.another_address(person, rng.random());
            if !field.amend(&mut kiosk, &opened, person, &address).await {
                continue;
            }
        }
        for form in wanted {
            if !take_one(&left) || field.issue(&mut kiosk, &opened, visit(form)).await != Ended::Released {
                break;
            }
        }
        if !rng.random_bool(LEFT_OPEN) {
            kiosk.close(&opened.session).await;
        }
    }
}

fn take_one(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
}

/// The resident system's changes: addresses, seal registrations cancelled and made. Gives how many there were.
pub(super) async fn feed(field: Arc<Field>, seed: u64, over: Arc<AtomicBool>) -> u64 {
    let mut rng = StdRng::seed_from_u64(seed ^ 0xFEED);
    let everybody: Vec<PersonNo> =
        field.town.cities().flat_map(|city| field.town.can_ask_for(city, Form::ResidentRecord)).collect();
    let mut clock = tokio::time::interval(Duration::from_micros(1_000_000 / CHANGES_PER_SECOND));
    let mut changes = 0;
    while !over.load(Ordering::Relaxed) {
        clock.tick().await;
        let Some(person) = everybody.choose(&mut rng).copied() else { break };
        let changed = match rng.random_range(0..4) {
            0 => field.town.revoke_behind(person).await,
            1 => field.town.register_behind(person, &format!("{:07}", rng.random_range(0..10_000_000))).await,
            _ => field.town.amend_behind(person, &field.town.another_address(person, rng.random())).await,
        };
        if let Some((version, at)) = changed {
            field.ledger.known(field.town.id(person), version, at);
            changes += 1;
        }
    }
    changes
}
