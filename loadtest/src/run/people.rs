//! Who may come: residents by municipality and certificate, and a seeded draw of one.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use rand::rngs::StdRng;

use crate::cluster::Town;
use crate::legacy::Form;
use crate::plan::Plan;

/// A resident with a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resident {
    pub(super) id: String,
    pub(super) card: String,
    /// Index in the plan's cities.
    pub(super) city: usize,
    /// Everybody in the household whom a certificate for all of them speaks of.
    pub(super) household: BTreeSet<String>,
    /// Index in the simulated town.
    pub(super) person: Option<usize>,
}

/// Somebody who comes, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comer {
    /// Index among the residents.
    pub(super) who: usize,
    /// Index in the plan's mix.
    pub(super) kind: usize,
    pub(super) form: Form,
    pub(super) household: bool,
}

/// Everybody.
pub(super) struct People {
    residents: Vec<Resident>,
    /// By city and certificate of the plan: who may have it.
    may: Vec<Vec<Vec<usize>>>,
}

impl People {
    /// The people of the simulated town. `Err`: nobody of a municipality may have a certificate of the mix.
    pub(super) fn of_town(plan: &Plan, town: &Town) -> anyhow::Result<Self> {
        let mut residents: Vec<Resident> = Vec::new();
        let mut known: BTreeMap<usize, usize> = BTreeMap::new();
        let mut may = Vec::new();
        for (n, (code, _)) in plan.population.cities.iter().enumerate() {
            let city = town.cities().find(|city| town.code(*city) == code);
            let Some(city) = city else { anyhow::bail!("there is no municipality {code} in the simulated town") };
            let mut of_city = Vec::new();
            for (form, _) in &plan.behaviour.mix {
                let mut of_form = Vec::new();
                for person in town.can_ask_for(city, *form) {
                    let index = *known.entry(person).or_insert_with(|| {
                        let household = town.covered(person, Form::ResidentRecord, true);
                        residents.push(Resident {
                            id: town.id(person).to_owned(),
                            card: town.card(person).to_owned(),
                            city: n,
                            household: household.into_iter().map(|one| town.id(one).to_owned()).collect(),
                            person: Some(person),
                        });
                        residents.len() - 1
                    });
                    of_form.push(index);
                }
                anyhow::ensure!(!of_form.is_empty(), "nobody in {code} may have {}", form.path());
                of_city.push(of_form);
            }
            may.push(of_city);
        }
        Ok(Self { residents, may })
    }

    /// The people of a list: every one may have every certificate of the mix, as far as we know.
    pub(super) fn listed(plan: &Plan, residents: Vec<Resident>) -> Self {
        let of_city = |n: usize| -> Vec<usize> {
            residents.iter().enumerate().filter(|(_, one)| one.city == n).map(|(index, _)| index).collect()
        };
        let may = (0..plan.population.cities.len()).map(|n| vec![of_city(n); plan.behaviour.mix.len()]).collect();
        Self { residents, may }
    }

    pub(super) fn resident(&self, who: usize) -> Option<&Resident> {
        self.residents.get(who)
    }

    /// Somebody, by the plan's shares.
    pub(super) fn draw(&self, plan: &Plan, stage: usize, rng: &mut StdRng) -> Option<Comer> {
        let city = match plan.stages.get(stage).and_then(|stage| stage.cities.as_ref()) {
            Some(shares) => weighted(rng, shares.iter().copied()),
            None => weighted(rng, plan.population.cities.iter().map(|(_, share)| *share)),
        };
        let kind = weighted(rng, plan.behaviour.mix.iter().map(|(_, share)| *share));
        let (form, _) = *plan.behaviour.mix.get(kind)?;
        let everybody = self.may.get(city)?.get(kind)?;
        let hot = plan.population.hot.filter(|hot| rng.random_bool(hot.share));
        let among = hot.map_or(everybody.len(), |hot| everybody.len().min(hot.residents));
        let who = *everybody.get(rng.random_range(0..among.max(1)))?;
        let household = !form.one_person_only() && rng.random_bool(plan.behaviour.household);
        Some(Comer { who, kind, form, household })
    }

    /// Anybody.
    pub(super) fn anybody(&self, rng: &mut StdRng) -> usize {
        rng.random_range(0..self.residents.len().max(1))
    }
}

/// An index by shares that add up to 1.
fn weighted(rng: &mut StdRng, shares: impl ExactSizeIterator<Item = f64>) -> usize {
    let (mut left, last) = (rng.random::<f64>(), shares.len().saturating_sub(1));
    for (n, share) in shares.enumerate() {
        if left < share {
            return n;
        }
        left -= share;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn shares_are_kept() {
        let mut rng = StdRng::seed_from_u64(7);
        let mut counts = [0; 3];
        (0..10_000).for_each(|_| counts[weighted(&mut rng, [0.55, 0.35, 0.1].into_iter())] += 1);
        assert!((5300..5700).contains(&counts[0]) && (900..1100).contains(&counts[2]), "{counts:?}");
    }
}
