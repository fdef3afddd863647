//! One city at twenty times its share: what becomes of the others, held against their own calm. The gateway alone, with a backend of its
//! own for each run. The reckoning is pure.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use serde::Serialize;

use super::bench::{Bench, BenchPlan, DEADLINE};
use super::contestant::Contestant;
use super::scenario::WARM;
use super::verdict::Ruling;
use crate::legacy::ServiceTime;
use crate::plan;
use crate::report::Progress;
use crate::run::{Heard, Stopped, run_at};

/// The cities; the first one surges.
const CITIES: usize = 3;
/// How many times its share the first city comes at.
const SURGE: f64 = 20.0;
/// Every city's calm rate, in parts of what the backend can do.
const CALM_SHARE: f64 = 0.16;
/// The rest of the surge's beginning: it counts, but nothing of the calm is in it.
const BETWEEN: Duration = Duration::from_secs(2);
/// Requests that a city must make in the calm and in the surge.
const LEAST_REQUESTS: u64 = 5_000;
/// Requests of a session that is served.
const STEPS: f64 = 3.0;
/// How far below its calm value another city's success may be.
const WITHIN: f64 = 0.005;

/// A quick backend: as many requests a city as are asked for in half a minute.
pub fn quick_backend() -> (usize, ServiceTime) {
    let knee = 16;
    (knee, ServiceTime { median: Duration::from_millis(50), sigma: 0.2, knee, thrash: 1.0 })
}

/// Requests, and those that were answered well in their deadline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Success {
    /// All.
    pub requests: u64,
    /// Well in their deadline.
    pub well: u64,
}

impl Success {
    fn share(self) -> f64 {
        self.well as f64 / (self.requests as f64).max(1.0)
    }

    fn hear(&mut self, well: bool) {
        self.requests += 1;
        self.well += u64::from(well);
    }
}

/// One city.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct City {
    /// While all come as always.
    pub calm: Success,
    /// While one surges.
    pub surge: Success,
}

/// What was found out.
#[derive(Debug, Clone, Default, Serialize)]
pub struct OneCity {
    /// Certificates a second that the first backend did at its knee.
    pub capacity: f64,
    /// Who ran on which core.
    pub cores: String,
    /// By run, then city; the first surges.
    pub runs: Vec<Vec<City>>,
    /// Harmful documents.
    pub wrong: u64,
    /// How much later than intended sessions began, by run.
    pub start_error_p999_ms: Vec<f64>,
    /// Starts for which no kiosk was free.
    pub dropped: u64,
    /// Somebody interrupted it.
    pub interrupted: bool,
}

/// How long each part lasts, so that a city asks often enough.
fn part(capacity: f64) -> Duration {
    Duration::from_secs_f64((1.1 * LEAST_REQUESTS as f64 / STEPS / (CALM_SHARE * capacity)).clamp(5.0, 600.0).ceil())
}

/// About how long a run takes.
pub fn one_city_lasts(runs: usize) -> Duration {
    (2 * part(310.0) + BETWEEN + WARM * 4) * runs as u32
}

/// Carries it out. Interrupted, it gives what is there.
pub async fn one_city(
    program: &std::path::Path,
    bench: &BenchPlan,
    runs: usize,
    progress: &mut Progress,
) -> anyhow::Result<OneCity> {
    let dir = tempfile::tempdir()?;
    let mut found = OneCity { cores: bench.cores.to_string(), ..OneCity::default() };
    progress.say(&found.cores);
    found.capacity = Bench::start(bench).await?.measure_capacity(Duration::from_secs(3)).await?;
    progress.say(&format!("capacity {:.1} certificates/s", found.capacity));
    progress.begin("one city", runs as u64);
    for run in 0..runs {
        let bench = Bench::of_cities(bench, CITIES).await?;
        let place = dir.path().join(run.to_string());
        let contestant = Contestant::gateway(program, &bench, true, &place).await?;
        let part = part(found.capacity);
        let plan = the_plan(&bench, found.capacity, part, bench.plan.seed + run as u64)?;
        let cities = Arc::new(Mutex::new(vec![City::default(); CITIES]));
        let heard = {
            let cities = Arc::clone(&cities);
            move |heard: &Heard| count(&mut cities.lock().unwrap_or_else(PoisonError::into_inner), heard, part)
        };
        let report = run_at(plan, &contestant.standing, heard).await;
        contestant.stop().await?;
        let report = report?;
        found.wrong += report.harms.values().sum::<u64>();
        found.dropped += report.stages.iter().map(|stage| stage.dropped).sum::<u64>();
        let error = report.stages.iter().map(|stage| stage.start_error.p999).fold(0.0, f64::max);
        found.start_error_p999_ms.push(error);
        let cities = cities.lock().unwrap_or_else(PoisonError::into_inner).clone();
        progress.say(&line(run, &cities, error));
        progress.step().done();
        if report.stopped == Some(Stopped::Interrupted) {
            found.interrupted = true;
            break;
        }
        found.runs.push(cities);
    }
    progress.end();
    Ok(found)
}

/// Everybody at the calm rate; then the first city at twenty times it and the others as always.
fn the_plan(bench: &Bench, capacity: f64, part: Duration, seed: u64) -> anyhow::Result<plan::Plan> {
    let codes: Vec<&str> = bench.town.cities().map(|city| bench.town.code(city)).collect();
    let of = |weights: &[f64]| {
        let all: f64 = weights.iter().sum();
        let cities =
            codes.iter().zip(weights).map(|(code, weight)| format!("\"{code}\" = {:.6}", weight / all * 100.0));
        format!("{{ {} }}", cities.collect::<Vec<_>>().join(", "))
    };
    let weights: Vec<f64> = (0..CITIES).map(|city| if city == 0 { SURGE } else { 1.0 }).collect();
    let each = CALM_SHARE * capacity;
    let (calm, surge) = (each * CITIES as f64, each * weights.iter().sum::<f64>());
    let stage = |name: &str, rate: f64, lasts: Duration, cities: String| {
        format!(
            "[[stage]]\nname = \"{name}\"\nrate = {{ from = \"{rate:.3}/s\", shape = \"poisson\" }}\nfor = \"{}ms\"\n{cities}\n",
            lasts.as_millis()
        )
    };
    let text = format!(
        "name = \"one-city\"\nwhy = \"One city at {SURGE} times its share.\"\nseed = {seed}\n[population]\ncities = {}\n\
         [kiosk]\nsteps = [\"open\", \"issue\", \"confirm\"]\nthink = \"lognormal 200ms p99 600ms\"\npatience = \"{}ms\"\n\
         mix = {{ resident_record = 60, tax = 40 }}\n{}{}",
        of(&[1.0; CITIES]),
        DEADLINE.as_millis(),
        stage("calm", calm, WARM + part + BETWEEN, String::new()),
        stage("surge", surge, BETWEEN + part, format!("cities = {}", of(&weights))),
    );
    plan::parse(&text).map_err(|mistakes| anyhow!("{mistakes:?}"))
}

/// Counts an answer in the part in which it was complete. The surge is counted from its first moment.
fn count(cities: &mut [City], heard: &Heard, part: Duration) {
    let Some(city) = cities.get_mut(heard.city) else { return };
    let well = heard.outcome.is_good() && heard.latency <= DEADLINE;
    let (calm, surge) = (WARM..WARM + part, WARM + part + BETWEEN);
    if calm.contains(&heard.at) {
        city.calm.hear(well);
    } else if heard.at >= surge {
        city.surge.hear(well);
    }
}

fn line(run: usize, cities: &[City], error_ms: f64) -> String {
    let each: Vec<String> = cities
        .iter()
        .map(|city| {
            let of = |success: Success| format!("{:.2} % of {}", success.share() * 100.0, success.requests);
            format!("calm {} surge {}", of(city.calm), of(city.surge))
        })
        .collect();
    format!("  run {run}: {}; start error p99.9 {error_ms:.1} ms", each.join(" | "))
}

/// What must hold.
pub fn one_city_verdict(found: &OneCity) -> Vec<Ruling> {
    let mut sums: BTreeMap<usize, City> = BTreeMap::new();
    for (at, city) in found.runs.iter().flat_map(|run| run.iter().enumerate()) {
        let sum = sums.entry(at).or_default();
        for (to, from) in [(&mut sum.calm, city.calm), (&mut sum.surge, city.surge)] {
            to.requests += from.requests;
            to.well += from.well;
        }
    }
    let others = || sums.iter().filter(|(at, _)| **at > 0);
    let mut rulings: Vec<Ruling> = others()
        .map(|(at, city)| {
            let lost = city.calm.share() - city.surge.share();
            Ruling {
                demand: format!("city {at}, another one at {SURGE}x its share: success within 0.5 points of calm"),
                measured: format!("{:.2} % after {:.2} %", city.surge.share() * 100.0, city.calm.share() * 100.0),
                held: lost <= WITHIN,
            }
        })
        .collect();
    let least = found.runs.iter().flatten().map(|city| city.calm.requests.min(city.surge.requests)).min().unwrap_or(0);
    rulings.push(Ruling {
        demand: format!("at least {LEAST_REQUESTS} requests a city in the calm and in the surge of each run"),
        measured: least.to_string(),
        held: least >= LEAST_REQUESTS,
    });
    rulings.push(Ruling {
        demand: "wrong, mixed, stale, duplicate: 0".to_owned(),
        measured: found.wrong.to_string(),
        held: found.wrong == 0,
    });
    rulings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Outcome;
    use crate::plan::threshold::Step;

    fn success(requests: u64, well: u64) -> Success {
        Success { requests, well }
    }

    fn held(surge: Success, wrong: u64) -> Vec<bool> {
        let first = City { calm: success(6000, 6000), surge: success(90_000, 9_000) };
        let other = City { calm: success(6000, 5994), surge };
        let found = OneCity { runs: vec![vec![first, other]], wrong, ..OneCity::default() };
        one_city_verdict(&found).iter().map(|ruling| ruling.held).collect()
    }

    #[test]
    fn only_what_another_city_loses_by_the_surge_counts_and_only_with_enough_requests() {
        assert_eq!(held(success(6000, 5970), 0), [true, true, true], "0.4 points less");
        assert_eq!(held(success(6000, 5960), 0), [false, true, true], "0.57 points less");
        assert_eq!(held(success(4999, 4999), 0), [true, false, true]);
        assert_eq!(held(success(6000, 6000), 1), [true, true, false]);
    }

    #[test]
    fn an_answer_counts_in_the_part_in_which_it_was_complete() {
        let part = Duration::from_secs(10);
        let mut cities = vec![City::default(); 2];
        for (at_ms, latency_s) in [(2_000, 0), (3_000, 0), (12_600, 0), (14_400, 0), (14_600, 4)] {
            let (at, latency) = (Duration::from_millis(at_ms), Duration::from_secs(latency_s));
            let heard = Heard { at, step: Step::Issue, city: 1, outcome: Outcome::Released, latency, socket: latency };
            count(&mut cities, &heard, part);
        }
        let city = cities[1];
        assert_eq!((city.calm, city.surge), (success(1, 1), success(1, 0)), "warming, calm, between twice, too late");
    }

    #[test]
    fn half_a_minute_is_enough_for_what_a_city_must_ask() {
        let part = part(310.0);
        assert!((30..60).contains(&part.as_secs()), "{part:?}");
        assert!(CALM_SHARE * 310.0 * STEPS * part.as_secs_f64() >= 1.05 * LEAST_REQUESTS as f64);
    }
}
