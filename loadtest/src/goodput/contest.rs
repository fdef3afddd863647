//! The contest: capacity, a sweep of every peer's settings, then everybody at every multiple in turns, several times.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::bench::Bench;
use super::contestant::{Against, Contestant};
use super::load::{Load, measure};
use super::row::{Contest, Row, Sample, median};
use super::scenario::Scenario;
use super::settings::Setting;
use super::sweep::{Tried, best, swept};
use crate::legacy::ServiceTime;
use crate::report::{Progress, machine};

/// The layout of the JSON.
const LAYOUT: u32 = 1;
/// The capacity is measured for so long at a time, in multiples of what is counted of a measurement.
const CAPACITY_LASTS: f64 = 1.0;

/// What is held against what, how often.
#[derive(Debug, Clone)]
pub struct ContestPlan {
    /// This binary, which carries the gateway as a subcommand.
    pub program: PathBuf,
    /// Sessions begun per second, in multiples of the capacity.
    pub multiples: Vec<f64>,
    /// Whom the gateway is held against.
    pub against: Vec<Against>,
    /// Measurements of each at each multiple; the median counts.
    pub runs: usize,
    /// How long is counted of each.
    pub counted: Duration,
    /// What happens to the backend.
    pub scenario: Scenario,
    /// The multiple at which settings are swept; none: the first value of every knob is taken.
    pub sweep_at: Option<f64>,
    /// The backend's knee.
    pub knee: usize,
    /// How long it takes.
    pub service: ServiceTime,
    /// Threads of the gateway's kiosk side; every peer has one.
    pub threads: usize,
    /// The same seed gives the same people and arrivals.
    pub seed: u64,
    /// Where Envoy is, if not in `PATH`.
    pub envoy: Option<PathBuf>,
    /// Where the peers' configurations are, if they are not ours.
    pub templates: Option<PathBuf>,
    /// The command that does the same again.
    pub command: String,
}

impl ContestPlan {
    /// About how long it takes.
    pub fn lasts(&self) -> Duration {
        let contestants = self.against.len() + 1;
        let settings: usize = match self.sweep_at {
            Some(_) => self.against.iter().map(|peer| settings_of(*peer)).sum(),
            None => 0,
        };
        let measurements = contestants * self.multiples.len() * self.runs + settings;
        let each = self.scenario.lasts(self.counted) + Duration::from_millis(400);
        let capacity = (self.counted.mul_f64(CAPACITY_LASTS) + Duration::from_millis(700)) * (self.runs as u32 + 1);
        each * measurements as u32 + capacity
    }

    fn backend(&self) -> String {
        format!(
            "one municipality, knee {}, median {:?} (lognormal, sigma {}), time x (1 + {} x excess / knee)^2 beyond it; \
             deadline {:?}",
            self.knee,
            self.service.median,
            self.service.sigma,
            self.service.thrash,
            super::bench::DEADLINE
        )
    }
}

fn settings_of(peer: Against) -> usize {
    let knobs = peer.knobs();
    if knobs.is_empty() { 0 } else { 1 + knobs.iter().map(|knob| knob.values.len() - 1).sum::<usize>() }
}

/// Carries it out. Interrupted, it gives what is there.
pub async fn contest(plan: &ContestPlan, progress: &mut Progress) -> anyhow::Result<Contest> {
    let mut contest = Contest {
        layout: LAYOUT,
        started: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        machine: machine(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        scenario: plan.scenario.name().to_owned(),
        backend: plan.backend(),
        command: plan.command.clone(),
        swept_at: plan.sweep_at.unwrap_or(0.0),
        ..Contest::default()
    };
    let dir = tempfile::tempdir()?;
    let mut bench = Bench::start(plan.seed, plan.knee, plan.service, plan.threads).await?;
    bench.templates.clone_from(&plan.templates);
    let capacity_lasts = plan.counted.mul_f64(CAPACITY_LASTS);
    bench.capacity = bench.measure_capacity(capacity_lasts).await?;
    contest.capacities.push(bench.capacity);
    progress.say(&format!("capacity {:.1} certificates/s, closed loop at the knee of {}", bench.capacity, bench.knee));

    let mut contestants = Vec::new();
    for against in &plan.against {
        let Ok(program) = against.program(plan.envoy.as_deref()) else {
            contest.absent.push(against.name().to_owned());
            continue;
        };
        let Some(program) = program else {
            contestants.push((*against, Contestant::nobody(&bench)));
            continue;
        };
        let place = dir.path().join(against.name());
        let Some(tried) = sweep(*against, &program, plan, &bench, &place, progress).await? else {
            contest.interrupted = true;
            return Ok(finished(contest, &BTreeMap::new()));
        };
        let setting =
            best(&tried, bench.capacity).map_or_else(|| Setting::first(*against), |best| best.setting.clone());
        contest.sweep.extend(swept(against.name(), &tried, bench.capacity));
        progress.say(&format!("{}: {setting}", against.name()));
        contestants
            .push((*against, Contestant::peer(*against, &program, &setting, &bench, &place.join("best")).await?));
    }
    let gateway = Contestant::gateway(&plan.program, &bench, &dir.path().join("gateway")).await?;
    contestants.push((Against::Sekisho, gateway));

    progress.begin("goodput", (plan.runs * plan.multiples.len() * contestants.len()) as u64);
    let step = progress.step();
    let mut samples: Samples = BTreeMap::new();
    'rounds: for round in 0..plan.runs {
        for (place, multiple) in plan.multiples.iter().enumerate() {
            // Everybody meets the same arrivals in a round.
            let seed = plan.seed + 1 + round as u64;
            let load = Load { multiple: *multiple, counted: plan.counted, seed, scenario: plan.scenario };
            for (against, contestant) in &contestants {
                let Some(sample) = measure(contestant, &load, &bench).await? else {
                    contest.interrupted = true;
                    break 'rounds;
                };
                contest.examples.extend(sample.examples.iter().map(|one| format!("{}: {one}", against.name())));
                progress.say(&line(against.name(), &load, &sample, bench.capacity));
                samples.entry((place, *against)).or_default().push(sample);
                step.done();
            }
        }
        contest.capacities.push(bench.measure_capacity(capacity_lasts).await?);
    }
    progress.end();
    for (_, contestant) in contestants {
        contestant.stop().await?;
    }
    let samples = samples.into_iter().filter_map(|((place, against), samples)| {
        plan.multiples.get(place).map(|multiple| ((place, against), (*multiple, samples)))
    });
    Ok(finished(contest, &samples.collect()))
}

type Samples = BTreeMap<(usize, Against), Vec<Sample>>;

fn finished(mut contest: Contest, samples: &BTreeMap<(usize, Against), (f64, Vec<Sample>)>) -> Contest {
    contest.capacity = median(contest.capacities.clone()).unwrap_or(0.0);
    let row = |((_, against), (multiple, samples)): (&(usize, Against), &(f64, Vec<Sample>))| {
        Row::of(against.name(), *multiple, samples, contest.capacity)
    };
    contest.rows = samples.iter().map(row).collect();
    contest
}

fn line(name: &str, load: &Load, sample: &Sample, capacity: f64) -> String {
    format!(
        "  {:>4}x {name:<8} {:>6.1}/s {:>6.1} %  start error p99.9 {:.1} ms",
        load.multiple,
        sample.papers_per_second,
        sample.papers_per_second / capacity * 100.0,
        sample.start_error_p999_ms
    )
}

/// Every value of one knob after the other, at the best of the others so far. `None`: somebody interrupted it.
async fn sweep(
    against: Against,
    program: &Path,
    plan: &ContestPlan,
    bench: &Bench,
    dir: &Path,
    progress: &mut Progress,
) -> anyhow::Result<Option<Vec<Tried>>> {
    let Some(multiple) = plan.sweep_at else { return Ok(Some(Vec::new())) };
    progress.begin(&format!("settings of {}", against.name()), settings_of(against) as u64);
    let step = progress.step();
    let load = Load { multiple, counted: plan.counted, seed: plan.seed, scenario: plan.scenario };
    let mut tried: Vec<Tried> = Vec::new();
    let first = Setting::first(against);
    let knobs = first.knobs();
    for knob in 0..knobs {
        let present = best(&tried, bench.capacity).map_or_else(|| first.clone(), |best| best.setting.clone());
        let mut settings = present.variants(knob);
        if knob == 0 {
            settings.insert(0, first.clone());
        }
        for setting in settings {
            let place = dir.join(tried.len().to_string());
            let contestant = Contestant::peer(against, program, &setting, bench, &place).await?;
            let sample = measure(&contestant, &load, bench).await?;
            contestant.stop().await?;
            let Some(sample) = sample else { return Ok(None) };
            progress.say(&format!("{}  {setting}", line(against.name(), &load, &sample, bench.capacity)));
            tried.push(Tried { setting, sample });
            step.done();
        }
    }
    progress.end();
    Ok(Some(tried))
}
