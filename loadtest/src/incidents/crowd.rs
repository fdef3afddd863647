//! Who comes when: the everyday traffic of every municipality, drawn from a seed, and the people of an incident's script.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};

use super::field::Visit;
use super::script::Script;
use crate::cluster::Town;
use crate::kiosk::arrival;
use crate::legacy::Form;
use crate::legacy::resident::PersonNo;

/// One everyday visit and when it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    /// From the start of the run.
    pub(super) at: Duration,
    /// What for.
    pub(super) visit: Visit,
}

/// Who may come for what in everyday traffic: not the incident's own form in its own municipality, and nobody who is, or
/// whose family is, at the incident's kiosks; one person stands at one kiosk at a time.
pub(super) struct Elsewhere(Vec<Vec<Household>>);

/// The people of one household who may come, and what for.
type Household = Vec<(PersonNo, Vec<Form>)>;

impl Elsewhere {
    pub(super) fn than(town: &Town, waves: &[Vec<Visit>], script: &Script) -> Self {
        let at_the_scene: HashSet<PersonNo> = waves.iter().flatten().map(|visit| town.head(visit.person)).collect();
        let households = |city: usize| {
            let mut households: BTreeMap<PersonNo, BTreeMap<PersonNo, Vec<Form>>> = BTreeMap::new();
            for form in Form::ALL.into_iter().filter(|form| (city, *form) != (SCENE, script.form)) {
                for person in town.can_ask_for(city, form) {
                    let head = town.head(person);
                    if !at_the_scene.contains(&head) {
                        households.entry(head).or_default().entry(person).or_default().push(form);
                    }
                }
            }
            households.into_values().map(|people| people.into_iter().collect()).collect()
        };
        Self(town.cities().map(households).collect())
    }
}

/// `count` visits at `per_second`, over every municipality; each household comes once before one comes again.
pub(super) fn everyday(rng: &mut StdRng, mut elsewhere: Elsewhere, per_second: f64, count: usize) -> Vec<Arrival> {
    for households in &mut elsewhere.0 {
        households.shuffle(rng);
    }
    let mut turns: Vec<_> = elsewhere.0.iter().map(|households| households.iter().cycle()).collect();
    let times = arrival::poisson(rng, per_second, count);
    let visits = times.into_iter().enumerate().filter_map(|(n, at)| {
        let cities = turns.len().max(1);
        let household = turns.get_mut(n % cities)?.next()?;
        let (person, forms) = household.choose(rng)?;
        let visit = Visit {
            person: *person,
            form: *forms.choose(rng)?,
            household: rng.random_bool(0.3),
            looks_first: rng.random_bool(0.1),
            since: None,
            walks_away: None,
        };
        Some(Arrival { at, visit })
    });
    visits.collect()
}

/// The municipality that the fault is in.
pub(super) const SCENE: usize = 0;

/// The people of each wave, all different within a wave.
pub(super) fn waves(town: &Town, rng: &mut StdRng, script: &Script) -> Vec<Vec<Visit>> {
    let mut people = town.can_ask_for(SCENE, script.form);
    if script.twins {
        people.retain(|person| town.is_mistakable(*person));
    }
    if script.household {
        people.retain(|person| town.sheets(*person, script.form, true) >= 2);
    }
    let mut wave = |rng: &mut StdRng| {
        people.shuffle(rng);
        let chosen = people.iter().take(script.at_once);
        let visit = |person: &PersonNo| Visit {
            person: *person,
            form: script.form,
            household: script.household,
            looks_first: false,
            since: None,
            walks_away: None,
        };
        chosen.map(visit).collect()
    };
    (0..script.waves).map(|_| wave(rng)).collect()
}
