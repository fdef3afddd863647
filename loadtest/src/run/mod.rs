//! A load scenario carried out: open-loop arrivals, kiosk sessions, faults on a schedule, every document judged, thresholds, one exit code.
//!
//! Latency is measured from when a step should have begun, so that a stalled target cannot hide behind a generator that waits for it.

mod book;
mod change;
mod figures;
mod ground;
mod heard;
mod outcome;
mod pacer;
mod part;
mod people;
mod person;
mod reconcile;
mod residents;
mod series;
mod shards;
mod share;
mod site;
mod standing;
mod times;
mod timetable;
mod verdict;
mod visit;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio_util::task::TaskTracker;

pub use heard::Heard;
pub use outcome::{FaultLine, RankLine, Report, ShedLine, StageLine, StepLine};
pub use reconcile::{Compared, Reconciled};
pub use series::Second;
pub use shards::{Shard, ShardDied, run_in_shards, run_shard};
pub use share::Share;
pub use standing::{Standing, run_at};
pub use times::{Summary, Times};
pub use verdict::{Exit, Ruled, Stopped};

use book::{Around, Note};
use figures::Figures;
use ground::{Ground, Stop};
use people::People;
use reconcile::Scrape;
use series::Seconds;
use site::Tested;

use crate::auditor::Harm;
use crate::cluster::{Awake, Cores, Part, give_way, stay_on};
use crate::plan::Plan;

/// How long the gateway may take to finish what nobody waits for any more.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);
/// Nobody is waited for longer after the last stage.
const LONGEST_DRAIN: Duration = Duration::from_secs(120);
/// What the pacer begins waits behind so many other tasks at most.
const LOOKS_FOR_STARTS_EVERY: u32 = 4;

/// What is known after each second, for whoever looks on.
#[derive(Debug, Clone)]
pub struct Glance {
    /// The stage.
    pub stage: String,
    /// The second.
    pub second: Second,
    /// The sums of all seconds so far.
    pub totals: Second,
    /// The ranks so far, in all judged stages.
    pub ranks: Vec<RankLine>,
    /// Harmful documents so far, by what is wrong with them.
    pub harms: Vec<(&'static str, u64)>,
    /// All of them.
    pub harmful: u64,
    /// Start error so far.
    pub start_error: Summary,
    /// Starts for which no kiosk was free, so far.
    pub dropped: u64,
}

/// The plan cannot be carried out as it stands; says why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

/// Carries out the plan, whose files lie in `base`; `look` is called once a second, on a thread of its own.
pub async fn run(
    plan: Plan,
    program: PathBuf,
    base: PathBuf,
    cores: Cores,
    look: impl FnMut(&Glance) + Send + 'static,
) -> anyhow::Result<Report> {
    let plan = Arc::new(plan);
    let (tested, people) = Tested::start(&plan, &program, &base, cores).await?;
    carry_out(plan, tested, people, Ending::Drained, look, |_| {}).await
}

/// The same, on any core; `heard` is told of every answer, on the thread of `look`.
pub async fn run_heard(
    plan: Plan,
    program: PathBuf,
    base: PathBuf,
    look: impl FnMut(&Glance) + Send + 'static,
    heard: impl FnMut(&Heard) + Send + 'static,
) -> anyhow::Result<Report> {
    let plan = Arc::new(plan);
    let (tested, people) = Tested::start(&plan, &program, &base, Cores::default()).await?;
    carry_out(plan, tested, people, Ending::Drained, look, heard).await
}

/// What becomes of those who are still at a kiosk after the last stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// They are waited for.
    Drained,
    /// They are broken off at once.
    BrokenOff,
}

async fn carry_out(
    plan: Arc<Plan>,
    mut tested: Tested,
    people: People,
    ending: Ending,
    look: impl FnMut(&Glance) + Send + 'static,
    heard: impl FnMut(&Heard) + Send + 'static,
) -> anyhow::Result<Report> {
    let before = tested.counters().await?;
    let at = Beginning { began: Instant::now(), share: Share::WHOLE };
    let gathered = gather(&plan, &mut tested, people, ending, at, look, heard).await?;
    conclude(tested, before, gathered).await
}

/// When the first may arrive, and which arrivals are made here.
#[derive(Debug, Clone, Copy)]
struct Beginning {
    began: Instant,
    share: Share,
}

/// What was found out, before it is held against anything.
struct Gathered {
    figures: Figures,
    seconds: Seconds,
    examples: Vec<String>,
    stopped: Option<Stopped>,
    drained: bool,
    lasted: Duration,
    started_at: jiff::Timestamp,
    gateway_cpu: Option<Duration>,
}

async fn gather(
    plan: &Arc<Plan>,
    tested: &mut Tested,
    people: People,
    ending: Ending,
    beginning: Beginning,
    look: impl FnMut(&Glance) + Send + 'static,
    heard: impl FnMut(&Heard) + Send + 'static,
) -> anyhow::Result<Gathered> {
    let Beginning { began, share } = beginning;
    let cores = tested.cores;
    let _awake = Awake::keep(cores);
    let generator = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("generator")
        .on_thread_start(move || {
            stay_on(cores.generator);
            cores.precedence.take(Part::Generator);
        })
        .global_queue_interval(LOOKS_FOR_STARTS_EVERY)
        .enable_all()
        .build()
        .context("cannot start the generator")?;
    let (book, notes) = std::sync::mpsc::channel();
    let (stop, in_flight) = (Stop::default(), Arc::new(AtomicU64::new(0)));
    let started_at = jiff::Timestamp::now();
    let around = Around {
        plan: Arc::clone(plan),
        town: tested.town.clone(),
        by_text: std::mem::take(&mut tested.by_text),
        began,
        in_flight: Arc::clone(&in_flight),
        stop: stop.clone(),
        is_part: share != Share::WHOLE,
        heard: Box::new(heard),
    };
    let keeping = std::thread::Builder::new().name("book".to_owned()).spawn({
        let mut look = look;
        let plan = Arc::clone(plan);
        let pinned = cores.generator.is_some();
        move || {
            if pinned {
                cores.leave_the_generator_alone();
                give_way();
            }
            book::keep(around, notes, |second, totals, figures| look(&glance(&plan, second, totals, figures)))
        }
    })?;
    let ground = Ground::new(
        Arc::clone(plan),
        people,
        tested.town.clone(),
        tested.target,
        book.clone(),
        began,
        Arc::clone(&in_flight),
        stop.clone(),
        share,
        tested.operators(),
    );
    let (ground, tracker) = (Arc::new(ground), TaskTracker::new());
    let interrupting = tokio::spawn({
        let stop = stop.clone();
        async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                stop.because(Stopped::Interrupted);
            }
        }
    });
    let pacing = std::thread::Builder::new().name("pacer".to_owned()).spawn({
        let (ground, handle, tracker) = (Arc::clone(&ground), generator.handle().clone(), tracker.clone());
        move || {
            stay_on(cores.generator);
            cores.precedence.take(Part::Pacer);
            pacer::pace(&ground, &handle, &tracker);
        }
    })?;
    joined(pacing).await?;
    tracker.close();
    let patience = if ending == Ending::Drained { drain(plan) } else { Duration::ZERO };
    let drained = tokio::time::timeout(patience, tracker.wait()).await.is_ok();
    if let Some(town) = &tested.town {
        town.world().pace().freeze(false);
    }
    // Whoever is still there when nobody waits any more is broken off.
    generator.shutdown_background();
    interrupting.abort();
    let (gateway_cpu, lasted) = (tested.gateway_cpu(), began.elapsed());
    let _ = book.send(Note::Over);
    let book::Closed { figures, seconds, examples } = joined(keeping).await?;
    let stopped = stop.why();
    Ok(Gathered { figures, seconds, examples, stopped, drained, lasted, started_at, gateway_cpu })
}

/// Holds what was found out against the gateway's counters and the plan's thresholds.
async fn conclude(tested: Tested, before: Option<Scrape>, gathered: Gathered) -> anyhow::Result<Report> {
    let mut figures = gathered.figures;
    let after = match tested.settled_counters(SETTLES_WITHIN).await {
        Ok(after) => after,
        // Ctrl-C on a terminal is heard by a gateway of ours too: what is known is reported without its counts.
        Err(_) if gathered.stopped == Some(Stopped::Interrupted) => None,
        Err(error) => return Err(error),
    };
    let unended = unended(&figures);
    let reconciled = match (&before, &after) {
        (Some(before), Some(after)) => Some(reconcile::reconcile(&figures, before, after, unended)),
        _ => None,
    };
    figures.unreconciled = reconciled.as_ref().map(|reconciled| reconciled.unreconciled);
    let occasion = outcome::Occasion {
        target: tested.shown_as.clone(),
        started: gathered.started_at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        seconds: gathered.lasted.as_secs_f64(),
        gateway_cpu_seconds: gathered.gateway_cpu.map(|cpu| cpu.as_secs_f64()),
        gateway_version: after.and_then(|scrape| scrape.version),
        drained: gathered.drained,
        unended,
    };
    let (seconds, examples) = (gathered.seconds.all, gathered.examples);
    let report = outcome::report(&figures, seconds, examples, reconciled, gathered.stopped, occasion);
    tested.stop().await?;
    Ok(report)
}

fn glance(plan: &Plan, second: &Second, totals: &Second, figures: &Figures) -> Glance {
    let at = timetable::stage_at(plan, Duration::from_secs(second.at));
    let mut errors = Times::default();
    figures.starts.iter().for_each(|starts| errors.merge(&starts.error));
    Glance {
        stage: plan.stages.get(at).map(|stage| stage.name.clone()).unwrap_or_default(),
        second: second.clone(),
        totals: totals.clone(),
        ranks: outcome::ranks(figures),
        harms: Harm::ALL.iter().map(|harm| (harm.name(), figures.harm(*harm))).collect(),
        harmful: figures.harmful(),
        start_error: errors.summary(),
        dropped: figures.starts.iter().map(|starts| starts.dropped).sum(),
    }
}

/// Sessions that were begun and did not end by themselves.
fn unended(figures: &Figures) -> u64 {
    let begun: u64 = figures.starts.iter().map(|starts| starts.begun).sum();
    let ends = figures.ends(|_, _, _| true);
    begun.saturating_sub(ends.served + ends.refused + ends.abandoned + ends.lost)
}

/// As long as an unhurried person with every retry may still take.
fn drain(plan: &Plan) -> Duration {
    let behaviour = &plan.behaviour;
    let retries = behaviour.retry.as_ref().map_or(0, |retry| retry.times);
    let between = behaviour.retry.as_ref().map_or(Duration::ZERO, |retry| retry.after.most);
    let steps = u32::try_from(behaviour.steps.len() + retries).unwrap_or(u32::MAX).min(1000);
    let think = behaviour.think.median.mul_f64((behaviour.think.sigma * 3.0).exp());
    let all = (behaviour.patience + think).saturating_mul(steps) + between.saturating_mul(retries.min(1000) as u32);
    all.min(LONGEST_DRAIN)
}

/// Waits for a thread without holding up the runtime.
async fn joined<T: Send + 'static>(thread: std::thread::JoinHandle<T>) -> anyhow::Result<T> {
    let ended = tokio::task::spawn_blocking(move || thread.join()).await?;
    ended.map_err(|_| anyhow::anyhow!("a thread of the generator broke"))
}
