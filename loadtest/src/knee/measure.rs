//! One rate, tried: the plan's people at that rate, and whether they were served as well as few are.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use crate::plan::curve::Curve;
use crate::plan::threshold::Step;
use crate::plan::{Outcome, Plan, Stage, Thresholds};
use crate::run::{Times, run_heard};

/// Of each rate, this share of its time is not counted.
const WARM: f64 = 0.4;
/// Sessions that must be served.
const SERVED: f64 = 0.99;
/// So many times as long as with few people may half of the certificates take.
const SLOWER: f64 = 2.0;

/// What is asked, of whom.
#[derive(Debug, Clone)]
pub struct KneePlan {
    /// People and target; its stages, faults and changes are left out.
    pub plan: Plan,
    /// This binary, which carries the gateway as a subcommand.
    pub program: PathBuf,
    /// Where the plan's files lie.
    pub base: PathBuf,
    /// How long a rate is counted.
    pub counted: Duration,
}

/// What came of one rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measured {
    /// Sessions begun per second.
    pub rate: f64,
    /// Of them, those that got what they came for, or the backend's lawful no.
    pub goodput: f64,
    /// Certificates per second.
    pub papers_per_second: f64,
    /// Certificates being made, on average (their times added up, by the time that was counted).
    pub inside: f64,
    /// Of certificates, in milliseconds.
    pub p50_ms: f64,
    /// Of certificates, in milliseconds.
    pub p99_ms: f64,
    /// Of certificates, in milliseconds.
    pub p999_ms: f64,
    /// Certificates that were counted.
    pub papers: u64,
    /// How much later than intended sessions were begun.
    pub start_error_p999_ms: f64,
    /// Wrong, mixed, stale and duplicate documents.
    pub wrong: u64,
}

impl Measured {
    /// Why this rate is too much, if it is; `few` is the first rate that was tried.
    pub fn breaks(&self, few: Option<&Self>) -> Option<String> {
        if self.papers == 0 || self.goodput < SERVED {
            return Some(format!("only {:.1} % were served", self.goodput * 100.0));
        }
        let few = few.map_or(self.p50_ms, |few| few.p50_ms);
        (self.p50_ms > few * SLOWER)
            .then(|| format!("half of the certificates took over {:.0} ms, with few people {few:.0} ms", self.p50_ms))
    }
}

/// The plan with one rate for its only judged stage.
fn at_rate(of: &KneePlan, rate: f64) -> Plan {
    let warm = of.counted.mul_f64(WARM / (1.0 - WARM));
    let stage = |name: &str, lasts: Duration, judge: bool| Stage {
        name: name.to_owned(),
        curve: Curve::constant(rate, lasts),
        random: true,
        lasts,
        cities: None,
        judge,
    };
    let mut plan = of.plan.clone();
    plan.stages = vec![stage("warm", warm, false), stage("counted", of.counted, true)];
    plan.faults.clear();
    plan.alongside.clear();
    plan.thresholds = Thresholds::default();
    // The same arrivals twice would tell nothing new.
    plan.seed = plan.seed.wrapping_add(rate.to_bits());
    plan
}

/// Tries one rate; `nth` makes another seed of it each time. `None`: somebody interrupted it.
pub async fn measure(of: &KneePlan, rate: f64, nth: usize) -> anyhow::Result<Option<Measured>> {
    let mut plan = at_rate(of, rate);
    plan.seed = plan.seed.wrapping_add(nth as u64);
    let warm = plan.stages.first().map_or(Duration::ZERO, |stage| stage.lasts);
    let (window, answers) = (warm..warm + of.counted, Arc::new(Mutex::new((Times::default(), Duration::ZERO))));
    let heard = {
        let answers = Arc::clone(&answers);
        move |heard: &crate::run::Heard| {
            if heard.step == Step::Issue && window.contains(&heard.at) {
                let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                answers.1 += heard.socket;
                if heard.outcome == Outcome::Released {
                    answers.0.record(heard.latency);
                }
            }
        }
    };
    let report = run_heard(plan, of.program.clone(), of.base.clone(), |_| {}, heard).await?;
    if report.stopped == Some(crate::run::Stopped::Interrupted) {
        return Ok(None);
    }
    let stage = report.stages.iter().find(|stage| stage.judged).context("no stage")?;
    let (times, inside) = answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let seconds = of.counted.as_secs_f64();
    let ms = |percentile| times.percentile(percentile).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    Ok(Some(Measured {
        rate,
        goodput: stage.goodput.unwrap_or(0.0),
        papers_per_second: times.len() as f64 / seconds,
        inside: inside.as_secs_f64() / seconds,
        p50_ms: ms(50.0),
        p99_ms: ms(99.0),
        p999_ms: ms(99.9),
        papers: times.len(),
        start_error_p999_ms: stage.start_error.p999,
        wrong: report.harms.values().sum(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(goodput: f64, p50_ms: f64) -> Measured {
        Measured {
            rate: 1.0,
            goodput,
            papers_per_second: 1.0,
            inside: 1.0,
            p50_ms,
            p99_ms: p50_ms,
            p999_ms: p50_ms,
            papers: 10,
            start_error_p999_ms: 0.0,
            wrong: 0,
        }
    }

    #[test]
    fn a_rate_breaks_when_people_are_not_served_or_wait_twice_as_long_as_few_do() {
        let few = measured(1.0, 100.0);
        assert_eq!(measured(0.995, 199.0).breaks(Some(&few)), None);
        assert!(measured(0.98, 100.0).breaks(Some(&few)).unwrap().contains("98.0 %"));
        assert!(measured(1.0, 201.0).breaks(Some(&few)).unwrap().contains("201 ms"));
        assert_eq!(few.breaks(None), None, "the first is held against nothing but who was served");
        assert!(Measured { papers: 0, ..few }.breaks(None).is_some());
    }
}
