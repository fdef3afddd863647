//! Who comes when: the everyday traffic of every municipality, drawn from a seed, and the people of an incident's script.

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
pub struct Arrival {
    /// From the start of the run.
    pub at: Duration,
    /// What for.
    pub visit: Visit,
}

/// `count` visits at `per_second`, over every municipality and form except the script's own form in its own municipality.
pub fn everyday(town: &Town, rng: &mut StdRng, script: &Script, per_second: f64, count: usize) -> Vec<Arrival> {
    let crowd: Vec<(usize, Form, Vec<PersonNo>)> = town
        .cities()
        .flat_map(|city| Form::ALL.map(|form| (city, form)))
        .filter(|(city, form)| (*city, *form) != (SCENE, script.form))
        .map(|(city, form)| (city, form, town.can_ask_for(city, form)))
        .filter(|(_, _, people)| !people.is_empty())
        .collect();
    let times = arrival::poisson(rng, per_second, count);
    let visits = times.into_iter().filter_map(|at| {
        let (_, form, people) = crowd.choose(rng)?;
        let person = *people.choose(rng)?;
        let visit = Visit {
            person,
            form: *form,
            household: rng.random_bool(0.3),
            looks_first: rng.random_bool(0.1),
            walks_away: None,
        };
        Some(Arrival { at, visit })
    });
    visits.collect()
}

/// The municipality that the fault is in.
pub const SCENE: usize = 0;

/// The people of each wave, all different within a wave.
pub fn waves(town: &Town, rng: &mut StdRng, script: &Script) -> Vec<Vec<Visit>> {
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
            walks_away: None,
        };
        chosen.map(visit).collect()
    };
    (0..script.waves).map(|_| wave(rng)).collect()
}
