//! Everything that was counted and timed in a run, by what thresholds may ask for. Knows no socket and no clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::person::Left;
use super::times::Times;
use crate::auditor::Harm;
use crate::plan::threshold::{Aggregate, Label, Limit, Metric, Rank, Step, Threshold};
use crate::plan::{Outcome, Plan, kind_name};

/// What an answer is counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Under {
    pub(super) stage: usize,
    pub(super) step: Step,
    pub(super) rank: Rank,
    /// Index in the plan's cities.
    pub(super) city: usize,
    /// Index in the plan's mix; none where no certificate is wanted.
    pub(super) kind: Option<usize>,
    pub(super) outcome: Outcome,
}

/// Answers of one sort.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers {
    pub(super) count: u64,
    /// From the intended begin.
    pub(super) latency: Times,
    /// From the first byte sent.
    pub(super) socket: Times,
}

/// How sessions of one sort ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Ends {
    pub(super) served: u64,
    pub(super) refused: u64,
    pub(super) abandoned: u64,
    pub(super) lost: u64,
}

impl Ends {
    pub(super) fn count(&mut self, left: Left) {
        match left {
            Left::Served => self.served += 1,
            Left::Refused => self.refused += 1,
            Left::Abandoned => self.abandoned += 1,
            Left::Lost(_) => self.lost += 1,
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.served += other.served;
        self.refused += other.refused;
        self.abandoned += other.abandoned;
        self.lost += other.lost;
    }

    /// Paper, or the backend's lawful no, to whoever did not walk away.
    pub(super) fn good(&self) -> (u64, u64) {
        (self.served + self.refused, self.served + self.refused + self.lost)
    }
}

/// How the sessions of one stage began.
#[derive(Debug, Clone, Default)]
pub(super) struct Starts {
    pub(super) begun: u64,
    pub(super) dropped: u64,
    pub(super) error: Times,
}

/// What a threshold is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Count(u64),
    Share(f64),
    Time(Duration),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Share(share) => write!(f, "{:.2}%", share * 100.0),
            Self::Time(time) if time.as_secs() >= 10 => write!(f, "{:.1}s", time.as_secs_f64()),
            Self::Time(time) => write!(f, "{:.2}ms", time.as_secs_f64() * 1e3),
        }
    }
}

/// The figures of a run, or of a part of it.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    pub(super) plan: Arc<Plan>,
    pub(super) answers: BTreeMap<Under, Answers>,
    /// By stage, city and kind.
    pub(super) sessions: BTreeMap<(usize, usize, usize), Ends>,
    /// By stage.
    pub(super) starts: Vec<Starts>,
    /// By stage and harm.
    pub(super) harms: BTreeMap<(usize, Harm), u64>,
    /// Noes and troubles, by what was said.
    pub(super) reasons: BTreeMap<(Outcome, String), u64>,
    /// Noes by rank and reason.
    pub(super) sheds: BTreeMap<(Rank, String), u64>,
    /// Papers and answers in data that were judged.
    pub(super) judged: u64,
    /// Papers without any text that could be judged.
    pub(super) unreadable: u64,
    /// Records that were changed beside the sessions.
    pub(super) changes: u64,
    pub(super) unreconciled: Option<u64>,
}

impl Figures {
    pub(super) fn new(plan: &Arc<Plan>) -> Self {
        Self {
            plan: Arc::clone(plan),
            answers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            starts: vec![Starts::default(); plan.stages.len()],
            harms: BTreeMap::new(),
            reasons: BTreeMap::new(),
            sheds: BTreeMap::new(),
            judged: 0,
            unreadable: 0,
            changes: 0,
            unreconciled: None,
        }
    }

    /// Every harm of one sort, in every stage.
    pub(super) fn harm(&self, harm: Harm) -> u64 {
        self.harms.iter().filter(|((_, of), _)| *of == harm).map(|(_, count)| count).sum()
    }

    /// Every harm.
    pub(super) fn harmful(&self) -> u64 {
        self.harms.values().sum()
    }

    /// Whether figures of that stage count for this threshold.
    fn counts(&self, threshold: &Threshold, stage: usize) -> bool {
        let Some(of) = self.plan.stages.get(stage) else { return false };
        threshold.stage.as_ref().map_or(of.judge, |name| *name == of.name)
    }

    /// The sums of those answers that fit.
    pub(super) fn select(&self, fits: impl Fn(&Under) -> bool) -> Answers {
        let mut sum = Answers::default();
        for (_, answers) in self.answers.iter().filter(|(under, _)| fits(under)) {
            sum.count += answers.count;
            sum.latency.merge(&answers.latency);
            sum.socket.merge(&answers.socket);
        }
        sum
    }

    fn count(&self, fits: impl Fn(&Under) -> bool) -> u64 {
        self.answers.iter().filter(|(under, _)| fits(under)).map(|(_, answers)| answers.count).sum()
    }

    /// How sessions ended where it fits.
    pub(super) fn ends(&self, fits: impl Fn(usize, usize, usize) -> bool) -> Ends {
        let mut sum = Ends::default();
        let fitting = self.sessions.iter().filter(|((stage, city, kind), _)| fits(*stage, *city, *kind));
        fitting.for_each(|(_, ends)| sum.add(*ends));
        sum
    }

    fn city_is(&self, city: usize, code: &str) -> bool {
        self.plan.population.cities.get(city).is_some_and(|(known, _)| known == code)
    }

    fn kind_is(&self, kind: usize, name: &str) -> bool {
        self.plan.behaviour.mix.get(kind).is_some_and(|(form, _)| kind_name(*form) == name)
    }

    fn narrowed(&self, threshold: &Threshold, under: &Under) -> bool {
        threshold.only.iter().all(|(label, value)| match label {
            Label::Rank => under.rank.word() == value,
            Label::Step => under.step.word() == value,
            Label::City => self.city_is(under.city, value),
            Label::Kind => under.kind.is_some_and(|kind| self.kind_is(kind, value)),
        })
    }

    /// What the threshold speaks of; `None` where nothing of it happened.
    pub(super) fn measure(&self, threshold: &Threshold) -> Option<Value> {
        let fits = |under: &Under| self.counts(threshold, under.stage) && self.narrowed(threshold, under);
        let share = |outcomes: &[Outcome]| {
            let all = self.count(fits);
            let some = self.count(|under| fits(under) && outcomes.contains(&under.outcome));
            (all > 0).then(|| Value::Share(some as f64 / all as f64))
        };
        let starts = || self.starts.iter().enumerate().filter(|(stage, _)| self.counts(threshold, *stage));
        match threshold.metric {
            Metric::Wrong => Some(self.harms_of(threshold, Harm::WrongPerson)),
            Metric::Mixed => Some(self.harms_of(threshold, Harm::MixedPage)),
            Metric::Stale => Some(self.harms_of(threshold, Harm::Stale)),
            Metric::Duplicate => Some(self.harms_of(threshold, Harm::Duplicate)),
            Metric::DroppedStarts => Some(Value::Count(starts().map(|(_, starts)| starts.dropped).sum())),
            Metric::Unreconciled => self.unreconciled.map(Value::Count),
            Metric::Goodput => {
                let narrowed = |city, kind| {
                    threshold.only.iter().all(|(label, value)| match label {
                        Label::City => self.city_is(city, value),
                        Label::Kind => self.kind_is(kind, value),
                        Label::Rank | Label::Step => false,
                    })
                };
                let ends = self.ends(|stage, city, kind| self.counts(threshold, stage) && narrowed(city, kind));
                let (good, all) = ends.good();
                (all > 0).then(|| Value::Share(good as f64 / all as f64))
            }
            Metric::Shed => share(&[Outcome::Shed]),
            Metric::Withheld => share(&[Outcome::Withheld]),
            Metric::Expired => share(&[Outcome::Expired]),
            Metric::Failed => share(&[
                Outcome::Failed,
                Outcome::Rejected,
                Outcome::Indeterminate,
                Outcome::GaveUp,
                Outcome::Cut,
                Outcome::Unreachable,
            ]),
            Metric::Latency => {
                time(&self.select(|under| fits(under) && under.outcome != Outcome::Shed).latency, threshold)
            }
            Metric::TimeToNo => {
                time(&self.select(|under| fits(under) && under.outcome == Outcome::Shed).socket, threshold)
            }
            Metric::StartError => {
                let mut errors = Times::default();
                starts().for_each(|(_, starts)| errors.merge(&starts.error));
                time(&errors, threshold)
            }
        }
    }

    /// Wrong documents count in every stage, unless one is named.
    fn harms_of(&self, threshold: &Threshold, harm: Harm) -> Value {
        let named = |stage: usize| {
            let name = self.plan.stages.get(stage).map(|stage| stage.name.as_str());
            threshold.stage.as_deref().is_none_or(|wanted| Some(wanted) == name)
        };
        let counted = self.harms.iter().filter(|((stage, of), _)| *of == harm && named(*stage));
        Value::Count(counted.map(|(_, count)| count).sum())
    }
}

fn time(times: &Times, threshold: &Threshold) -> Option<Value> {
    let Limit::Time(aggregate, _) = threshold.limit else { return None };
    let time = match aggregate {
        Aggregate::Percentile(percentile) => times.percentile(percentile),
        Aggregate::Max => times.max(),
        Aggregate::Mean => times.mean(),
    };
    time.map(Value::Time)
}

/// Whether what was measured is as the threshold says.
pub(super) fn holds(threshold: &Threshold, measured: Value) -> bool {
    match (threshold.limit, measured) {
        (Limit::Count(limit), Value::Count(count)) => threshold.op.holds(count, limit),
        (Limit::Share(limit), Value::Share(share)) => threshold.op.holds(share, limit),
        (Limit::Time(_, limit), Value::Time(time)) => threshold.op.holds(time, limit),
        _ => false,
    }
}
