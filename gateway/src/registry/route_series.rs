//! The handles of one route: looked up once per request, then only incremented.

use std::time::Duration;

use metrics::{Counter, Histogram};
use sekisho_issuance::verdict::{CheckName, Verdict};

use super::metric::name;
use super::reason::{REASONS, Reason};
use super::{Maker, label};
use crate::outcome::Outcome;
use crate::route::Mode;

/// Where the time of a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Arrival to dispatch.
    Admission,
    /// Waiting for the residents' lanes.
    Lane,
    /// Waiting for a slot and a connection.
    Channel,
    /// Asking authorities.
    Lookup,
    /// The backend itself.
    Backend,
    /// Reading and comparing.
    Verify,
    /// Making the intent durable and handing the bytes over.
    Release,
}

impl Stage {
    /// Every stage in the order of a request.
    pub const ALL: [Self; 7] =
        [Self::Admission, Self::Lane, Self::Channel, Self::Lookup, Self::Backend, Self::Verify, Self::Release];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admission => "admission",
            Self::Lane => "lane",
            Self::Channel => "channel",
            Self::Lookup => "lookup",
            Self::Backend => "backend",
            Self::Verify => "verify",
            Self::Release => "release",
        }
    }
}

/// All series that carry this route's name.
pub struct RouteSeries {
    route: Box<str>,
    operation: &'static str,
    requests: Vec<Counter>,
    durations: [Histogram; Outcome::ALL.len()],
    stages: [Histogram; Stage::ALL.len()],
    verdicts: Vec<Counter>,
}

impl RouteSeries {
    pub(super) fn new(maker: Maker<'_>, route: &str, operation: &'static str) -> Self {
        let base = |rest: &[(&'static str, &str)]| {
            std::iter::once(("route", route)).chain(rest.iter().copied()).map(|(k, v)| label(k, v)).collect()
        };
        let requests = REASONS.iter().map(|(outcome, reason)| {
            let labels = base(&[("operation", operation), ("outcome", outcome.name()), ("reason", reason)]);
            maker.counter(name::REQUESTS, labels)
        });
        let mut verdicts = Vec::with_capacity(CheckName::ALL.len() * 6);
        for check in CheckName::ALL {
            for verdict in ["match", "mismatch", "unverifiable"] {
                for mode in [Mode::Observe, Mode::Enforce] {
                    let labels = base(&[("check", check.name()), ("verdict", verdict), ("mode", mode.name())]);
                    verdicts.push(maker.counter(name::CHECK_VERDICTS, labels));
                }
            }
        }
        Self {
            route: route.into(),
            operation,
            requests: requests.collect(),
            durations: Outcome::ALL
                .map(|outcome| maker.histogram(name::REQUEST_DURATION, base(&[("outcome", outcome.name())]))),
            stages: Stage::ALL.map(|stage| maker.histogram(name::STAGE_DURATION, base(&[("stage", stage.name())]))),
            verdicts,
        }
    }

    /// Counts nothing.
    pub(super) fn silent() -> Self {
        Self {
            route: "none".into(),
            operation: "none",
            requests: Vec::new(),
            durations: Outcome::ALL.map(|_| Histogram::noop()),
            stages: Stage::ALL.map(|_| Histogram::noop()),
            verdicts: Vec::new(),
        }
    }

    /// The route's name.
    pub fn route(&self) -> &str {
        &self.route
    }

    /// What the route does.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Time spent in a stage.
    pub fn stage(&self, stage: Stage, spent: Duration) {
        if let Some(histogram) = self.stages.get(stage as usize) {
            histogram.record(spent.as_secs_f64());
        }
    }

    /// One verdict of one check.
    pub fn verdict(&self, check: CheckName, verdict: &Verdict, mode: Mode) {
        let verdict = match verdict {
            Verdict::Match => 0,
            Verdict::Mismatch { .. } => 1,
            Verdict::Unverifiable { .. } => 2,
        };
        let mode = usize::from(mode == Mode::Enforce);
        let check = CheckName::ALL.iter().position(|c| *c == check).unwrap_or(CheckName::ALL.len());
        if let Some(counter) = self.verdicts.get(check * 6 + verdict * 2 + mode) {
            counter.increment(1);
        }
    }

    /// The end of one arrival. Only [`super::Arrival`] calls it, so each is counted once.
    pub(super) fn end(&self, outcome: Outcome, reason: Reason, took: Duration) {
        if let Some(counter) = self.requests.get(reason.index()) {
            counter.increment(1);
        }
        if let Some(histogram) = self.durations.get(outcome as usize) {
            histogram.record(took.as_secs_f64());
        }
    }
}
