//! What the run comes to: each threshold held or broken, and the one exit code, by precedence. Pure.

use serde::Serialize;

use super::figures::{Figures, holds};
use crate::plan::threshold::{Concern, Metric};
use crate::plan::{Group, Plan};

/// The exit codes, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Exit {
    /// A wrong, mixed, stale or duplicate document was handed out.
    Harm = 97,
    /// The generator could not keep its schedule: the figures say nothing.
    Generator = 98,
    /// A threshold is broken, or the run was given up.
    Threshold = 99,
    /// The plan or the flags are invalid.
    Invalid = 104,
    /// Somebody interrupted it; the report is a partial one.
    Interrupted = 105,
    /// All is well.
    Well = 0,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Why a run ended before its plan did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// A harmful document was handed out.
    Harm,
    /// The plan's abort rule; its text.
    Aborted(String),
    /// Ctrl-C.
    Interrupted,
}

/// How one threshold came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ruled {
    /// `safety`, `service` or `honesty`.
    pub group: &'static str,
    /// As the plan says it.
    pub threshold: String,
    /// What was measured; nothing, where nothing of it happened.
    pub measured: Option<String>,
    /// Whether it held. A run that was interrupted before it could be measured leaves it open.
    pub held: Option<bool>,
    #[serde(skip)]
    concern: Concern,
}

/// Holds every threshold of the plan against the figures.
pub(super) fn rule(plan: &Plan, figures: &Figures, interrupted: bool) -> Vec<Ruled> {
    let one = |(group, threshold): &(Group, _)| {
        let threshold: &crate::plan::threshold::Threshold = threshold;
        let measured = figures.measure(threshold);
        // What never happened was never slow and never shed; but nobody was served by it either, and nothing reconciles with silence.
        let absent_is_broken =
            matches!(threshold.metric, Metric::Goodput | Metric::Latency | Metric::Unreconciled | Metric::StartError);
        let held = match measured {
            Some(value) => Some(holds(threshold, value)),
            None if interrupted => None,
            None => Some(!absent_is_broken),
        };
        let group = Group::ALL.iter().find(|(_, known)| known == group).map_or("", |(word, _)| word);
        let measured = measured.map(|value| value.to_string());
        Ruled { group, threshold: threshold.to_string(), measured, held, concern: threshold.metric.concern() }
    };
    plan.thresholds.all.iter().map(one).collect()
}

/// The exit code. A harmful document gives 97 also where the plan asks for nothing.
pub(super) fn exit(ruled: &[Ruled], figures: &Figures, stopped: Option<&Stopped>) -> Exit {
    let broken = |concern| ruled.iter().any(|ruled| ruled.held == Some(false) && ruled.concern == concern);
    if figures.harmful() > 0 || broken(Concern::Safety) {
        return Exit::Harm;
    }
    if broken(Concern::Generator) {
        return Exit::Generator;
    }
    match stopped {
        _ if broken(Concern::Service) => Exit::Threshold,
        Some(Stopped::Aborted(_)) => Exit::Threshold,
        Some(Stopped::Harm) => Exit::Harm,
        Some(Stopped::Interrupted) => Exit::Interrupted,
        None => Exit::Well,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::figures::{Under, Value};
    use super::super::person::Left;
    use super::*;
    use crate::auditor::Harm;
    use crate::plan::Outcome;
    use crate::plan::threshold::{Rank, Step, parse as threshold};

    const PLAN: &str = "name = \"t\"\nwhy = \"t\"\n[population]\ncities = { \"991007\" = 50, \"991015\" = 50 }\n\
        [[stage]]\nname = \"warm-up\"\nrate = \"1/s\"\nfor = \"1s\"\njudge = false\n\
        [[stage]]\nname = \"hold\"\nrate = \"1/s\"\nfor = \"1s\"\n[[stage]]\nname = \"after\"\nrate = \"1/s\"\nfor = \"1s\"\n\
        [thresholds]\nservice = [\"goodput >= 50%\"]\nhonesty = [\"dropped_starts == 0\"]\n";

    fn figures() -> Figures {
        Figures::new(&Arc::new(crate::plan::parse(PLAN).unwrap()))
    }

    fn answer(figures: &mut Figures, stage: usize, rank: Rank, city: usize, outcome: Outcome, ms: u64) {
        let under = Under { stage, step: Step::Issue, rank, city, kind: Some(0), outcome };
        let answers = figures.answers.entry(under).or_default();
        answers.count += 1;
        answers.latency.record(Duration::from_millis(ms));
        answers.socket.record(Duration::from_millis(1));
    }

    fn measured(figures: &Figures, text: &str) -> Option<Value> {
        figures.measure(&threshold(text).unwrap())
    }

    #[test]
    fn a_threshold_looks_at_judged_stages_or_at_its_own() {
        let mut figures = figures();
        answer(&mut figures, 0, Rank::Started, 0, Outcome::Released, 9_000);
        answer(&mut figures, 1, Rank::Started, 0, Outcome::Released, 1_000);
        answer(&mut figures, 2, Rank::Started, 1, Outcome::Released, 2_000);
        answer(&mut figures, 2, Rank::New, 1, Outcome::Shed, 60_000);
        let longest = |text: &str| match measured(&figures, text) {
            Some(Value::Time(time)) => (time.as_secs_f64() * 10.0).round() / 10.0,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(longest("latency max < 1s"), 2.0);
        assert_eq!(longest("hold: latency max < 1s"), 1.0);
        assert_eq!(longest("warm-up: latency max < 1s"), 9.0);
        assert_eq!(longest("latency{city=991007} max < 1s"), 1.0);
        assert_eq!(longest("time_to_no max < 1s"), 0.0);
        assert_eq!(measured(&figures, "shed{rank=new} < 1%"), Some(Value::Share(1.0)));
        assert_eq!(measured(&figures, "shed{rank=started} < 1%"), Some(Value::Share(0.0)));
        assert_eq!(measured(&figures, "hold: shed{rank=new} < 1%"), None);
    }

    #[test]
    fn goodput_leaves_out_who_walked_away_and_counts_a_lawful_no_as_good() {
        let mut figures = figures();
        let all =
            [Left::Served, Left::Refused, Left::Abandoned, Left::Abandoned, Left::Lost(Outcome::Shed), Left::Served];
        let hold = figures.sessions.entry((1, 0, 0)).or_default();
        all.into_iter().for_each(|left| hold.count(left));
        figures.sessions.entry((0, 0, 0)).or_default().count(Left::Lost(Outcome::Shed));
        figures.sessions.entry((2, 1, 0)).or_default().count(Left::Lost(Outcome::GaveUp));
        assert_eq!(measured(&figures, "hold: goodput > 1%"), Some(Value::Share(0.75)));
        assert_eq!(measured(&figures, "goodput > 1%"), Some(Value::Share(0.6)));
        assert_eq!(measured(&figures, "goodput{city=991015} > 1%"), Some(Value::Share(0.0)));
    }

    #[test]
    fn the_gravest_code_wins_and_a_harm_counts_where_nothing_is_judged_or_asked() {
        let code = |figures: &Figures, stopped: Option<Stopped>| {
            let ruled = rule(&figures.plan, figures, stopped.is_some());
            exit(&ruled, figures, stopped.as_ref()).code()
        };
        let mut figures = figures();
        assert_eq!(code(&figures, None), 99, "nobody was served");
        assert_eq!(code(&figures, Some(Stopped::Interrupted)), 105, "before anybody could be");
        figures.sessions.entry((1, 0, 0)).or_default().count(Left::Served);
        assert_eq!(code(&figures, None), 0);
        assert_eq!(code(&figures, Some(Stopped::Aborted("x".into()))), 99);
        figures.sessions.entry((1, 0, 0)).or_default().lost += 9;
        assert_eq!(code(&figures, Some(Stopped::Interrupted)), 99);
        figures.starts[1].dropped = 1;
        assert_eq!(code(&figures, Some(Stopped::Interrupted)), 98);
        figures.harms.insert((0, Harm::Stale), 1);
        assert_eq!(code(&figures, Some(Stopped::Interrupted)), 97);
    }
}
