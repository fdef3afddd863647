//! What one of several generator processes counted, as it hands it to the others' parent: written whole, added up without loss.

use serde::{Deserialize, Serialize};

use super::figures::{Answers, Ends, Figures, Under};
use super::series::{Second, Seconds};
use super::times::Times;
use super::verdict::Stopped;
use crate::auditor::Harm;
use crate::plan::Outcome;
use crate::plan::threshold::{Rank, Step};

/// The layout of a part; parts of another build are refused.
const LAYOUT: u32 = 1;

/// Everything that a process counted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Part {
    layout: u32,
    version: String,
    answers: Vec<AnswersOf>,
    sessions: Vec<((usize, usize, usize), Ends)>,
    starts: Vec<StartsOf>,
    harms: Vec<(usize, String, u64)>,
    reasons: Vec<(String, String, u64)>,
    sheds: Vec<(String, String, u64)>,
    judged: u64,
    unreadable: u64,
    changes: u64,
    pub(super) seconds: Vec<Second>,
    /// Latencies by second, of which the percentiles of all processes together are made.
    pub(super) latencies: Vec<(usize, Times)>,
    pub(super) examples: Vec<String>,
    pub(super) stopped: Option<Stopped>,
    pub(super) drained: bool,
    pub(super) lasted_seconds: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct AnswersOf {
    stage: usize,
    step: String,
    rank: String,
    city: usize,
    kind: Option<usize>,
    outcome: String,
    count: u64,
    latency: Times,
    socket: Times,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct StartsOf {
    begun: u64,
    dropped: u64,
    error: Times,
}

/// What a process knows at its end besides its figures.
pub(super) struct Ended {
    pub(super) seconds: Seconds,
    pub(super) examples: Vec<String>,
    pub(super) stopped: Option<Stopped>,
    pub(super) drained: bool,
    pub(super) lasted_seconds: f64,
}

impl Part {
    pub(super) fn of(figures: &Figures, ended: Ended) -> Self {
        let answers = figures.answers.iter().map(|(under, answers)| AnswersOf {
            stage: under.stage,
            step: under.step.word().to_owned(),
            rank: under.rank.word().to_owned(),
            city: under.city,
            kind: under.kind,
            outcome: under.outcome.word().to_owned(),
            count: answers.count,
            latency: answers.latency.clone(),
            socket: answers.socket.clone(),
        });
        let starts = figures.starts.iter().map(|starts| StartsOf {
            begun: starts.begun,
            dropped: starts.dropped,
            error: starts.error.clone(),
        });
        let sheds = figures.sheds.iter();
        Self {
            layout: LAYOUT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            answers: answers.collect(),
            sessions: figures.sessions.iter().map(|(of, ends)| (*of, *ends)).collect(),
            starts: starts.collect(),
            harms: figures.harms.iter().map(|((stage, harm), n)| (*stage, harm.name().to_owned(), *n)).collect(),
            reasons: figures.reasons.iter().map(|((of, why), n)| (of.word().to_owned(), why.clone(), *n)).collect(),
            sheds: sheds.map(|((rank, why), n)| (rank.word().to_owned(), why.clone(), *n)).collect(),
            judged: figures.judged,
            unreadable: figures.unreadable,
            changes: figures.changes,
            seconds: ended.seconds.all,
            latencies: ended.seconds.latencies,
            examples: ended.examples,
            stopped: ended.stopped,
            drained: ended.drained,
            lasted_seconds: ended.lasted_seconds,
        }
    }

    /// Adds everything to `figures`. `None`: it is of another build, or of another plan.
    pub(super) fn add_to(&self, figures: &mut Figures) -> Option<()> {
        let fits = self.layout == LAYOUT && self.version == env!("CARGO_PKG_VERSION");
        (fits && self.starts.len() == figures.starts.len()).then_some(())?;
        for of in &self.answers {
            let under = Under {
                stage: of.stage,
                step: Step::named(&of.step)?,
                rank: Rank::named(&of.rank)?,
                city: of.city,
                kind: of.kind,
                outcome: Outcome::named(&of.outcome)?,
            };
            let answers: &mut Answers = figures.answers.entry(under).or_default();
            answers.count += of.count;
            answers.latency.merge(&of.latency);
            answers.socket.merge(&of.socket);
        }
        for (of, ends) in &self.sessions {
            figures.sessions.entry(*of).or_default().add(*ends);
        }
        for (starts, more) in figures.starts.iter_mut().zip(&self.starts) {
            starts.begun += more.begun;
            starts.dropped += more.dropped;
            starts.error.merge(&more.error);
        }
        for (stage, name, count) in &self.harms {
            let harm = Harm::ALL.into_iter().find(|harm| harm.name() == name)?;
            *figures.harms.entry((*stage, harm)).or_default() += count;
        }
        for (outcome, why, count) in &self.reasons {
            *figures.reasons.entry((Outcome::named(outcome)?, why.clone())).or_default() += count;
        }
        for (rank, why, count) in &self.sheds {
            *figures.sheds.entry((Rank::named(rank)?, why.clone())).or_default() += count;
        }
        figures.judged += self.judged;
        figures.unreadable += self.unreadable;
        figures.changes += self.changes;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::person::Left;
    use super::*;

    fn figures() -> Figures {
        let plan = "name = \"t\"\nwhy = \"t\"\n[[stage]]\nname = \"a\"\nrate = \"1/s\"\nfor = \"1s\"\n";
        Figures::new(&Arc::new(crate::plan::parse(plan).unwrap()))
    }

    /// The `n`th thing that happens, whoever counts it.
    fn happens(figures: &mut Figures, n: u64) {
        let outcome = [Outcome::Released, Outcome::Shed, Outcome::GaveUp][(n % 3) as usize];
        let rank = [Rank::New, Rank::Started][(n % 2) as usize];
        let under = Under { stage: 0, step: Step::Issue, rank, city: 0, kind: Some(0), outcome };
        let answers = figures.answers.entry(under).or_default();
        answers.count += 1;
        answers.latency.record(Duration::from_micros(1 + n * n * 37));
        answers.socket.record(Duration::from_micros(1 + n));
        figures.starts[0].begun += 1;
        figures.starts[0].error.record(Duration::from_micros(n));
        figures.sessions.entry((0, 0, 0)).or_default().count(if n.is_multiple_of(5) {
            Left::Served
        } else {
            Left::Abandoned
        });
        *figures.reasons.entry((outcome, format!("why {}", n % 4))).or_default() += 1;
        *figures.sheds.entry((rank, "busy".to_owned())).or_default() += 1;
        *figures.harms.entry((0, Harm::Stale)).or_default() += n % 2;
        figures.judged += 1;
    }

    fn written(figures: &Figures) -> Part {
        let ended = Ended {
            seconds: Seconds::default(),
            examples: Vec::new(),
            stopped: None,
            drained: true,
            lasted_seconds: 1.0,
        };
        let text = serde_json::to_string(&Part::of(figures, ended)).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn parts_of_three_processes_add_up_to_what_one_would_have_counted() {
        let (mut one, mut shards) = (figures(), [figures(), figures(), figures()]);
        for n in 0..5_000 {
            happens(&mut one, n);
            happens(&mut shards[(n % 3) as usize], n);
        }
        let mut merged = figures();
        for shard in &shards {
            written(shard).add_to(&mut merged).unwrap();
        }
        assert_eq!(merged.sessions, one.sessions);
        assert_eq!((&merged.reasons, &merged.sheds, &merged.harms), (&one.reasons, &one.sheds, &one.harms));
        assert_eq!((merged.judged, merged.starts[0].begun), (one.judged, one.starts[0].begun));
        assert!(merged.starts[0].error.is_the_same_as(&one.starts[0].error));
        assert_eq!(merged.answers.len(), one.answers.len());
        for (under, answers) in &one.answers {
            let of = &merged.answers[under];
            assert_eq!(of.count, answers.count);
            assert!(
                of.latency.is_the_same_as(&answers.latency) && of.socket.is_the_same_as(&answers.socket),
                "{under:?}"
            );
        }
    }

    #[test]
    fn a_part_of_another_build_or_plan_is_refused() {
        let other = Part { version: "0.0.0".into(), ..written(&figures()) };
        assert!(other.add_to(&mut figures()).is_none());
        let other = Part { starts: Vec::new(), ..written(&figures()) };
        assert!(other.add_to(&mut figures()).is_none());
    }
}
