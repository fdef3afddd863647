//! What is counted of one measurement: every answer that was complete within its window, whenever it was asked for. Pure.

use std::ops::Range;
use std::time::Duration;

use crate::plan::Outcome;
use crate::plan::threshold::Step;
use crate::run::{Heard, Times};

/// The answers of one window.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    window: Range<Duration>,
    deadline: Duration,
    /// Certificates in their deadline.
    pub(super) papers: u64,
    /// Answers to steps of started sessions, and the good ones of them.
    pub(super) started: u64,
    pub(super) started_well: u64,
    /// Answers other than an early no, and those of them that were good and in their deadline.
    pub(super) admitted: u64,
    pub(super) admitted_well: u64,
    /// Early noes.
    pub(super) noes: u64,
    /// From the first byte sent to an early no.
    pub(super) to_no: Times,
    /// Certificates: from when they should have been asked for.
    pub(super) latency: Times,
    /// Neither good nor an early no.
    pub(super) errors: u64,
    /// Every answer.
    pub(super) answers: u64,
}

impl Tally {
    pub(super) fn new(window: Range<Duration>, deadline: Duration) -> Self {
        Self {
            window,
            deadline,
            papers: 0,
            started: 0,
            started_well: 0,
            admitted: 0,
            admitted_well: 0,
            noes: 0,
            to_no: Times::default(),
            latency: Times::default(),
            errors: 0,
            answers: 0,
        }
    }

    pub(super) fn hear(&mut self, heard: &Heard) {
        if !self.window.contains(&heard.at) {
            return;
        }
        let in_time = heard.latency <= self.deadline;
        let well = heard.outcome.is_good() && in_time;
        self.answers += 1;
        if heard.step != Step::Open {
            self.started += 1;
            self.started_well += u64::from(well);
        }
        if heard.outcome == Outcome::Shed {
            self.noes += 1;
            self.to_no.record(heard.socket);
            return;
        }
        self.admitted += 1;
        self.admitted_well += u64::from(well);
        self.errors += u64::from(!well);
        if heard.outcome == Outcome::Released {
            self.latency.record(heard.latency);
            self.papers += u64::from(in_time);
        }
    }

    /// The window's length.
    pub(super) fn seconds(&self) -> f64 {
        (self.window.end - self.window.start).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(at_ms: u64, step: Step, outcome: Outcome, latency_ms: u64) -> Heard {
        let (at, latency) = (Duration::from_millis(at_ms), Duration::from_millis(latency_ms));
        Heard { at, step, city: 0, outcome, latency, socket: latency / 2 }
    }

    fn tally() -> Tally {
        Tally::new(Duration::from_secs(1)..Duration::from_secs(2), Duration::from_secs(3))
    }

    #[test]
    fn only_what_was_complete_in_the_window_counts() {
        let mut tally = tally();
        for at in [999, 1000, 1999, 2000] {
            tally.hear(&heard(at, Step::Issue, Outcome::Released, 100));
        }
        assert_eq!((tally.papers, tally.answers, tally.started), (2, 2, 2));
    }

    #[test]
    fn a_paper_after_its_deadline_is_an_error_and_no_goodput() {
        let mut tally = tally();
        tally.hear(&heard(1500, Step::Issue, Outcome::Released, 3001));
        assert_eq!((tally.papers, tally.errors, tally.started_well, tally.admitted_well), (0, 1, 0, 0));
    }

    #[test]
    fn an_early_no_to_a_started_session_is_its_failure_but_no_error() {
        let mut tally = tally();
        tally.hear(&heard(1500, Step::Issue, Outcome::Shed, 4));
        tally.hear(&heard(1500, Step::Open, Outcome::Shed, 6));
        assert_eq!((tally.noes, tally.errors, tally.started, tally.started_well, tally.admitted), (2, 0, 1, 0, 0));
        assert_eq!(tally.to_no.max().map(|longest| longest.as_millis()), Some(3));
    }

    #[test]
    fn silence_is_an_error() {
        let mut tally = tally();
        tally.hear(&heard(1500, Step::Open, Outcome::GaveUp, 3000));
        assert_eq!((tally.errors, tally.admitted, tally.admitted_well, tally.noes), (1, 1, 0, 0));
    }
}
