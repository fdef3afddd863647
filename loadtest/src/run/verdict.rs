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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
