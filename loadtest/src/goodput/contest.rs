//! The contest: capacity, a sweep of every peer's settings, then everybody at every multiple in turns, several times. Each measurement has
//! a backend of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::bench::{Bench, BenchPlan, DEADLINE, WARM as CAPACITY_WARM};
use super::contestant::{Against, Contestant};
use super::load::{Load, measure};
use super::row::{Contest, Row, Sample, median};
use super::scenario::Scenario;
use super::settings::Setting;
use super::sweep::{Tried, best, swept};
use crate::report::{Progress, machine};

/// The layout of the JSON.
const LAYOUT: u32 = 2;
/// The capacity is measured for so long at a time, in multiples of what is counted of a measurement.
const CAPACITY_LASTS: f64 = 1.0;
/// To start and end a contestant and its backend, about.
const TO_STAND_UP: Duration = Duration::from_millis(600);

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
    /// What every backend is made from.
    pub bench: BenchPlan,
    /// Where Envoy is, if not in `PATH`.
    pub envoy: Option<PathBuf>,
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
        let measurements = contestants * self.multiples.len() * self.runs;
        let each = self.scenario.lasts(self.counted) + TO_STAND_UP;
        let capacity = self.capacity_lasts() + CAPACITY_WARM;
        each * (measurements + settings) as u32 + capacity * (measurements + 1) as u32
    }

    fn capacity_lasts(&self) -> Duration {
        self.counted.mul_f64(CAPACITY_LASTS)
    }

    fn backend(&self) -> String {
        let service = self.bench.service;
        format!(
            "one municipality, knee {}, median {:?} (lognormal, sigma {}), time x (1 + {} x excess / knee)^2 beyond it; \
             deadline {DEADLINE:?}; another one for each measurement",
            self.bench.knee, service.median, service.sigma, service.thrash,
        )
    }
}

fn settings_of(peer: Against) -> usize {
    let knobs = peer.knobs();
    if knobs.is_empty() { 0 } else { 1 + knobs.iter().map(|knob| knob.values.len() - 1).sum::<usize>() }
}

/// Who takes part, with what.
struct Entrant {
    against: Against,
    program: Option<PathBuf>,
    setting: Setting,
}

/// What every measurement is made with.
struct Field<'a> {
    plan: &'a ContestPlan,
    /// Of the first backend: what everybody's rates and settings are computed from.
    capacity: f64,
    dir: &'a Path,
    measured: std::cell::Cell<usize>,
}

impl Field<'_> {
    /// One measurement from nothing to nothing: backend, its capacity if `weigh`, contestant, load. `None`: somebody interrupted it.
    async fn measure(&self, entrant: &Entrant, load: &Load, weigh: bool) -> anyhow::Result<Option<Sample>> {
        let bench = Bench::start(&self.plan.bench).await?;
        let capacity_before = match weigh {
            true => Some(bench.measure_capacity(self.plan.capacity_lasts()).await?),
            false => None,
        };
        self.measured.set(self.measured.get() + 1);
        let place = self.dir.join(self.measured.get().to_string());
        let contestant = match (entrant.against, &entrant.program) {
            (Against::Sekisho, _) => {
                let settles = load.scenario.settles();
                Contestant::gateway(&self.plan.program, &bench, settles, &place).await?
            }
            (_, None) => Contestant::nobody(&bench),
            (peer, Some(program)) => {
                Contestant::peer(peer, program, &entrant.setting, &bench, self.capacity, &place).await?
            }
        };
        let sample = measure(&contestant, load).await;
        contestant.stop().await?;
        Ok(sample?.map(|sample| Sample { capacity_before, ..sample }))
    }

    fn load(&self, multiple: f64, seed: u64) -> Load {
        let ContestPlan { counted, scenario, .. } = *self.plan;
        Load { multiple, capacity: self.capacity, counted, seed, scenario }
    }
}

/// Carries it out. Interrupted, it gives what is there.
pub async fn contest(plan: &ContestPlan, progress: &mut Progress) -> anyhow::Result<Contest> {
    let mut contest = Contest {
        layout: LAYOUT,
        started: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        machine: machine(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        scenario: plan.scenario.name().to_owned(),
        cores: plan.bench.cores.to_string(),
        backend: plan.backend(),
        command: plan.command.clone(),
        swept_at: plan.sweep_at.unwrap_or(0.0),
        ..Contest::default()
    };
    let dir = tempfile::tempdir()?;
    progress.say(&contest.cores);
    let capacity = Bench::start(&plan.bench).await?.measure_capacity(plan.capacity_lasts()).await?;
    contest.capacities.push(capacity);
    progress.say(&format!("capacity {capacity:.1} certificates/s, closed loop at the knee of {}", plan.bench.knee));
    let field = Field { plan, capacity, dir: dir.path(), measured: std::cell::Cell::new(0) };

    let mut entrants = Vec::new();
    for against in plan.against.iter().copied() {
        let Ok(program) = against.program(plan.envoy.as_deref()) else {
            contest.absent.push(against.name().to_owned());
            continue;
        };
        let mut entrant = Entrant { against, program, setting: Setting::first(against) };
        if entrant.program.is_some() {
            let Some(tried) = sweep(&mut entrant, &field, progress).await? else {
                contest.interrupted = true;
                return Ok(finished(contest, &BTreeMap::new()));
            };
            contest.sweep.extend(swept(against.name(), &tried, capacity));
            progress.say(&format!("{}: {}", against.name(), entrant.setting));
        }
        entrants.push(entrant);
    }
    let setting = Setting::first(Against::Sekisho);
    entrants.push(Entrant { against: Against::Sekisho, program: None, setting });

    progress.begin("goodput", (plan.runs * plan.multiples.len() * entrants.len()) as u64);
    let step = progress.step();
    let mut samples: Samples = BTreeMap::new();
    'rounds: for round in 0..plan.runs {
        for (place, multiple) in plan.multiples.iter().enumerate() {
            // Everybody meets the same arrivals in a round.
            let load = field.load(*multiple, plan.bench.seed + 1 + round as u64);
            for entrant in &entrants {
                let against = entrant.against;
                let Some(sample) = field.measure(entrant, &load, true).await? else {
                    contest.interrupted = true;
                    break 'rounds;
                };
                contest.capacities.extend(sample.capacity_before);
                contest.examples.extend(sample.examples.iter().map(|one| format!("{}: {one}", against.name())));
                progress.say(&line(against.name(), &load, &sample));
                samples.entry((place, against)).or_default().push(sample);
                step.done();
            }
        }
    }
    progress.end();
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

fn line(name: &str, load: &Load, sample: &Sample) -> String {
    let before =
        sample.capacity_before.map_or_else(String::new, |before| format!("  its backend before {before:.1}/s"));
    format!(
        "  {:>4}x {name:<8} {:>6.1}/s {:>6.1} %  start error p99.9 {:.1} ms{before}",
        load.multiple,
        sample.papers_per_second,
        sample.papers_per_second / load.capacity * 100.0,
        sample.start_error_p999_ms
    )
}

/// Every value of one knob after the other, at the best of the others so far, which is taken. `None`: somebody interrupted it.
async fn sweep(
    entrant: &mut Entrant,
    field: &Field<'_>,
    progress: &mut Progress,
) -> anyhow::Result<Option<Vec<Tried>>> {
    let Some(multiple) = field.plan.sweep_at else { return Ok(Some(Vec::new())) };
    let name = entrant.against.name();
    progress.begin(&format!("settings of {name}"), settings_of(entrant.against) as u64);
    let step = progress.step();
    let load = field.load(multiple, field.plan.bench.seed);
    let mut tried: Vec<Tried> = Vec::new();
    let first = entrant.setting.clone();
    for knob in 0..first.knobs() {
        let present = best(&tried, field.capacity).map_or_else(|| first.clone(), |best| best.setting.clone());
        let mut settings = present.variants(knob);
        if knob == 0 {
            settings.insert(0, first.clone());
        }
        for setting in settings {
            entrant.setting = setting.clone();
            let Some(sample) = field.measure(entrant, &load, false).await? else { return Ok(None) };
            progress.say(&format!("{}  {setting}", line(name, &load, &sample)));
            tried.push(Tried { setting, sample });
            step.done();
        }
    }
    progress.end();
    entrant.setting = best(&tried, field.capacity).map_or(first, |best| best.setting.clone());
    Ok(Some(tried))
}
