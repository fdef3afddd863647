//! A run as it is written down: the JSON, and what table and page are made from.

use std::collections::BTreeMap;

use serde::Serialize;

use super::figures::{Figures, Under};
use super::reconcile::Reconciled;
use super::series::Second;
use super::times::{Summary, Times};
use super::verdict::{Exit, Ruled, Stopped, exit, rule};
use crate::auditor::Harm;
use crate::plan::threshold::{Rank, Step};
use crate::plan::{Outcome, Plan, Scheduled};
use crate::report::machine;

/// The layout of the JSON; a reader of another one must refuse it.
const LAYOUT: u32 = 1;

/// What is known of a run besides its figures.
pub(super) struct Occasion {
    pub(super) target: String,
    pub(super) started: String,
    pub(super) seconds: f64,
    pub(super) gateway_cpu_seconds: Option<f64>,
    pub(super) gateway_version: Option<String>,
    pub(super) drained: bool,
    pub(super) unended: u64,
}

/// One stage, or all judged ones.
#[derive(Debug, Clone, Serialize)]
pub struct StageLine {
    /// Its name.
    pub name: String,
    /// Whether thresholds look at it.
    pub judged: bool,
    /// How long it was to be, in seconds.
    pub seconds: f64,
    /// Sessions begun in it.
    pub begun: u64,
    /// Starts for which no kiosk was free.
    pub dropped: u64,
    /// Sessions that got what they came for.
    pub served: u64,
    /// Sessions that got the backend's lawful no.
    pub refused: u64,
    /// Sessions whose person walked away.
    pub abandoned: u64,
    /// Sessions that ended without.
    pub lost: u64,
    /// Served and refused of all who did not walk away, from 0 to 1.
    pub goodput: Option<f64>,
    /// How much later than intended sessions were begun.
    pub start_error: Summary,
}

/// One rank of the judged stages.
#[derive(Debug, Clone, Serialize)]
pub struct RankLine {
    /// Its name.
    pub rank: &'static str,
    /// Answers.
    pub answers: u64,
    /// Of those: early noes.
    pub shed: u64,
    /// From the intended begin; early noes do not count.
    pub latency: Summary,
    /// From the first byte sent to an early no.
    pub time_to_no: Summary,
}

/// One step of the judged stages.
#[derive(Debug, Clone, Serialize)]
pub struct StepLine {
    /// Its name.
    pub step: &'static str,
    /// Answers by outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// From the intended begin; early noes do not count.
    pub latency: Summary,
}

/// Early noes of one rank for one reason, in all stages.
#[derive(Debug, Clone, Serialize)]
pub struct ShedLine {
    /// Who was told.
    pub rank: &'static str,
    /// The gateway's word.
    pub reason: String,
    /// How often.
    pub count: u64,
}

/// A fault, as it was scheduled.
#[derive(Debug, Clone, Serialize)]
pub struct FaultLine {
    /// Its name.
    pub name: String,
    /// From, in seconds of the run.
    pub from: f64,
    /// To, in seconds of the run.
    pub to: f64,
}

/// Everything about a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The layout of this.
    pub layout: u32,
    /// The plan's name.
    pub plan: String,
    /// What a reader should see.
    pub why: String,
    /// The plan's seed.
    pub seed: u64,
    /// Whom it loaded.
    pub target: String,
    /// When it began.
    pub started: String,
    /// How long it was, in seconds, from the first arrival until the last kiosk was left.
    pub seconds: f64,
    /// This build.
    pub version: &'static str,
    /// The gateway's build, where its metrics tell.
    pub gateway_version: Option<String>,
    /// Where it ran.
    pub machine: String,
    /// CPU time of a gateway that we started.
    pub gateway_cpu_seconds: Option<f64>,
    /// Why it ended before its plan did.
    pub stopped: Option<Stopped>,
    /// Whether every session ended by itself.
    pub drained: bool,
    /// Sessions that did not.
    pub unended: u64,
    /// Papers and answers in data that the auditor judged.
    pub judged: u64,
    /// Papers without any text that could be judged.
    pub unreadable: u64,
    /// Harmful ones, in all stages.
    pub harms: BTreeMap<&'static str, u64>,
    /// The first of them, with their evidence.
    pub examples: Vec<String>,
    /// Records that were changed beside the sessions.
    pub changes: u64,
    /// By stage.
    pub stages: Vec<StageLine>,
    /// What the backend did wrong, and when.
    pub faults: Vec<FaultLine>,
    /// By rank.
    pub ranks: Vec<RankLine>,
    /// By step.
    pub steps: Vec<StepLine>,
    /// By municipality: goodput of the judged stages.
    pub cities: BTreeMap<String, Option<f64>>,
    /// Early noes by reason.
    pub sheds: Vec<ShedLine>,
    /// Other noes and troubles, as `outcome/reason`.
    pub troubles: BTreeMap<String, u64>,
    /// Our counts against the gateway's.
    pub reconciled: Option<Reconciled>,
    /// The thresholds.
    pub thresholds: Vec<Ruled>,
    /// The exit code.
    pub exit: u8,
    /// By second.
    pub series: Vec<Second>,
}

pub(super) fn report(
    figures: &Figures,
    series: Vec<Second>,
    examples: Vec<String>,
    reconciled: Option<Reconciled>,
    stopped: Option<Stopped>,
    occasion: Occasion,
) -> Report {
    let plan = &figures.plan;
    let thresholds = rule(plan, figures, stopped.is_some());
    let code = exit(&thresholds, figures, stopped.as_ref());
    let judged = |under: &Under| plan.stages.get(under.stage).is_some_and(|stage| stage.judge);
    let city = |n: usize| figures.ends(|stage, city, _| city == n && plan.stages.get(stage).is_some_and(|s| s.judge));
    let cities = plan.population.cities.iter().enumerate();
    let troubles = figures.reasons.iter().filter(|((outcome, _), _)| *outcome != Outcome::Shed);
    Report {
        layout: LAYOUT,
        plan: plan.name.clone(),
        why: plan.why.clone(),
        seed: plan.seed,
        target: occasion.target,
        started: occasion.started,
        seconds: occasion.seconds,
        version: env!("CARGO_PKG_VERSION"),
        gateway_version: occasion.gateway_version,
        machine: machine(),
        gateway_cpu_seconds: occasion.gateway_cpu_seconds,
        stopped,
        drained: occasion.drained,
        unended: occasion.unended,
        judged: figures.judged,
        unreadable: figures.unreadable,
        harms: Harm::ALL.iter().map(|harm| (harm.name(), figures.harm(*harm))).collect(),
        examples,
        changes: figures.changes,
        stages: (0..plan.stages.len()).filter_map(|n| stage(figures, n)).collect(),
        faults: faults(plan),
        ranks: ranks(figures),
        steps: Step::ALL
            .iter()
            .map(|step| step_line(figures, *step, judged))
            .filter(|s| !s.outcomes.is_empty())
            .collect(),
        cities: cities.map(|(n, (code, _))| (code.clone(), share(city(n).good()))).collect(),
        sheds: figures
            .sheds
            .iter()
            .map(|((rank, reason), count)| ShedLine { rank: rank.word(), reason: reason.clone(), count: *count })
            .collect(),
        troubles: troubles.map(|((outcome, reason), count)| (format!("{}/{reason}", outcome.word()), *count)).collect(),
        reconciled,
        thresholds,
        exit: code.code(),
        series,
    }
}

fn faults(plan: &Plan) -> Vec<FaultLine> {
    let line = |fault: &Scheduled| FaultLine {
        name: fault.name.clone(),
        from: fault.at.as_secs_f64(),
        to: (fault.at + fault.lasts).as_secs_f64(),
    };
    plan.faults.iter().map(line).collect()
}

impl Report {
    /// Served and refused of all sessions of the judged stages whose person did not walk away.
    pub fn goodput(&self) -> Option<f64> {
        let judged = || self.stages.iter().filter(|stage| stage.judged);
        let good: u64 = judged().map(|stage| stage.served + stage.refused).sum();
        share((good, good + judged().map(|stage| stage.lost).sum::<u64>()))
    }

    /// The exit code's meaning.
    pub fn exit(&self) -> Exit {
        const ALL: [Exit; 6] =
            [Exit::Harm, Exit::Generator, Exit::Threshold, Exit::Invalid, Exit::Interrupted, Exit::Well];
        ALL.into_iter().find(|exit| exit.code() == self.exit).unwrap_or(Exit::Harm)
    }
}

fn share((good, all): (u64, u64)) -> Option<f64> {
    (all > 0).then(|| good as f64 / all as f64)
}

fn stage(figures: &Figures, n: usize) -> Option<StageLine> {
    let (stage, starts) = (figures.plan.stages.get(n)?, figures.starts.get(n)?);
    let ends = figures.ends(|of, _, _| of == n);
    Some(StageLine {
        name: stage.name.clone(),
        judged: stage.judge,
        seconds: stage.lasts.as_secs_f64(),
        begun: starts.begun,
        dropped: starts.dropped,
        served: ends.served,
        refused: ends.refused,
        abandoned: ends.abandoned,
        lost: ends.lost,
        goodput: share(ends.good()),
        start_error: starts.error.summary(),
    })
}

/// Every rank of the judged stages that was heard of.
pub(super) fn ranks(figures: &Figures) -> Vec<RankLine> {
    let judged = |under: &Under| figures.plan.stages.get(under.stage).is_some_and(|stage| stage.judge);
    Rank::ALL.iter().map(|rank| rank_line(figures, *rank, judged)).filter(|line| line.answers > 0).collect()
}

fn rank_line(figures: &Figures, rank: Rank, judged: impl Fn(&Under) -> bool) -> RankLine {
    let all = figures.select(|under| judged(under) && under.rank == rank && under.outcome != Outcome::Shed);
    let noes = figures.select(|under| judged(under) && under.rank == rank && under.outcome == Outcome::Shed);
    RankLine {
        rank: rank.word(),
        answers: all.count + noes.count,
        shed: noes.count,
        latency: all.latency.summary(),
        time_to_no: noes.socket.summary(),
    }
}

fn step_line(figures: &Figures, step: Step, judged: impl Fn(&Under) -> bool) -> StepLine {
    let mut outcomes = BTreeMap::new();
    let mut latency = Times::default();
    for (under, answers) in figures.answers.iter().filter(|(under, _)| judged(under) && under.step == step) {
        *outcomes.entry(under.outcome.word()).or_default() += answers.count;
        if under.outcome != Outcome::Shed {
            latency.merge(&answers.latency);
        }
    }
    StepLine { step: step.word(), outcomes, latency: latency.summary() }
}
