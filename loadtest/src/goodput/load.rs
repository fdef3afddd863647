//! One measurement: a plan made for a rate, carried out at a contestant, and what was counted of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};

use super::bench::DEADLINE;
use super::contestant::Contestant;
use super::row::{Sample, share};
use super::scenario::Scenario;
use super::tally::Tally;
use crate::plan::{self, Plan};
use crate::run::{Report, Stopped, run_at};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Load {
    /// Sessions begun per second, in multiples of the capacity.
    pub(super) multiple: f64,
    /// Certificates a second: the same for everybody.
    pub(super) capacity: f64,
    /// How long is counted.
    pub(super) counted: Duration,
    /// The same seed gives the same arrivals.
    pub(super) seed: u64,
    /// What happens to the backend.
    pub(super) scenario: Scenario,
}

/// The plan: people who open a session, think for a moment, ask for their certificate and take their card out.
fn plan(load: &Load) -> anyhow::Result<Plan> {
    let rate = format!("{{ from = \"{:.3}/s\", shape = \"poisson\" }}", load.multiple * load.capacity);
    let text = format!(
        "name = \"goodput\"\nwhy = \"{} times the capacity.\"\nseed = {}\n\
         [kiosk]\nsteps = [\"open\", \"issue\", \"confirm\"]\nthink = \"lognormal 200ms p99 600ms\"\npatience = \"{}ms\"\n\
         mix = {{ resident_record = 60, tax = 40 }}\n\
         [[stage]]\nname = \"load\"\nrate = {rate}\nfor = \"{}ms\"\n{}",
        load.multiple,
        load.seed,
        DEADLINE.as_millis(),
        load.scenario.lasts(load.counted).as_millis(),
        load.scenario.fault(),
    );
    plan::parse(&text).map_err(|mistakes| anyhow!("{mistakes:?}"))
}

/// Loads the contestant. `None`: somebody interrupted it.
pub(super) async fn measure(contestant: &Contestant, load: &Load) -> anyhow::Result<Option<Sample>> {
    let tally = Arc::new(Mutex::new(Tally::new(load.scenario.window(load.counted), DEADLINE)));
    let heard = {
        let tally = Arc::clone(&tally);
        move |heard: &_| tally.lock().unwrap_or_else(PoisonError::into_inner).hear(heard)
    };
    let (cpu, idle, began) = (contestant.cpu(), idle_time(), Instant::now());
    let report = run_at(plan(load)?, &contestant.standing, heard).await?;
    let took = began.elapsed();
    let used = contestant.cpu().saturating_sub(cpu);
    if report.stopped == Some(Stopped::Interrupted) {
        return Ok(None);
    }
    let busy = idle.zip(idle_time()).map(|(before, after)| {
        let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
        (1.0 - after.saturating_sub(before).as_secs_f64() / (took.as_secs_f64() * cores)).clamp(0.0, 1.0)
    });
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let begun = report.stages.first().context("no stage")?.begun;
    let offered = begun as f64 / load.scenario.lasts(load.counted).as_secs_f64() / load.capacity;
    Ok(Some(sample(&tally, &report, offered, used.as_secs_f64() / took.as_secs_f64(), busy)))
}

fn sample(tally: &Tally, report: &Report, offered: f64, cpu: f64, busy: Option<f64>) -> Sample {
    let ms = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
    Sample {
        capacity_before: None,
        papers_per_second: tally.papers as f64 / tally.seconds(),
        offered,
        started: tally.started,
        started_well: tally.started_well,
        admitted: tally.admitted,
        admitted_well: tally.admitted_well,
        noes: tally.noes,
        no_p50_ms: ms(tally.to_no.percentile(50.0)),
        no_p99_ms: ms(tally.to_no.percentile(99.0)),
        paper_p99_ms: ms(tally.latency.percentile(99.0)),
        wrong: report.harms.values().sum(),
        errors: share(tally.errors, tally.answers).unwrap_or(0.0),
        start_error_p999_ms: report.stages.first().map_or(0.0, |stage| stage.start_error.p999),
        dropped: report.stages.iter().map(|stage| stage.dropped).sum(),
        cpu,
        busy,
        examples: report.examples.clone(),
    }
}

/// Time that all cores together had nothing to do since the machine was started (proc(5), `/proc/uptime`).
fn idle_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_offers_the_multiple_as_long_as_it_is_counted_and_longer() {
        let load = Load {
            multiple: 2.0,
            capacity: 150.0,
            counted: Duration::from_secs(3),
            seed: 7,
            scenario: Scenario::Overload,
        };
        let stalled = plan(&Load { scenario: Scenario::Stall, ..load }).unwrap();
        assert_eq!((stalled.faults.len(), stalled.faults[0].lasts), (1, Duration::from_secs(8)));
        assert_eq!(plan(&Load { scenario: Scenario::Slow, ..load }).unwrap().faults.len(), 1);
        let plan = plan(&load).unwrap();
        assert_eq!(plan.lasts(), Duration::from_millis(5_700));
        assert_eq!(plan.behaviour.patience, DEADLINE);
        let arrivals = plan.stages.first().unwrap().curve.arrivals();
        assert!((1709.0..1711.0).contains(&arrivals), "{arrivals}");
    }
}
