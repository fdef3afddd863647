//! How many calls a backend may have at once: the vendor's number, an operator's lower one, and below both a search for the objective.

use std::time::Duration;

/// Fewer answers than this say nothing.
const LEAST_SAMPLES: usize = 16;
/// What a cut leaves.
const CUT: f64 = 0.8;
/// A cut that makes answers faster by less than this did not help.
const HELPED: f64 = 0.9;
/// Windows without another cut after one that did not help.
const PATIENCE: u32 = 20;

/// The limit of one backend. Without an objective it is what was configured; nothing is probed and no baseline learned.
#[derive(Debug)]
pub(super) struct Limit {
    configured: usize,
    operator: Option<usize>,
    objective: Option<Duration>,
    adapted: usize,
    /// The limit and the mean answer before the last cut.
    cut_from: Option<(usize, f64)>,
    hold: u32,
    samples: usize,
    beyond: usize,
    total: f64,
    /// Whether the limit was reached since the last decision: one that nobody feels is not raised.
    felt: bool,
}

impl Limit {
    pub(super) fn new(configured: usize, objective: Option<Duration>) -> Self {
        Self {
            configured,
            operator: None,
            objective,
            adapted: configured,
            cut_from: None,
            hold: 0,
            samples: 0,
            beyond: 0,
            total: 0.0,
            felt: false,
        }
    }

    /// A configuration; an operator's lower limit does not outlive it.
    pub(super) fn configure(&mut self, configured: usize, objective: Option<Duration>) {
        if (configured, objective) != (self.configured, self.objective) || self.operator.is_some() {
            *self = Self::new(configured, objective);
        }
    }

    /// An operator's word, never more than configured.
    pub(super) fn set(&mut self, limit: usize) {
        self.operator = Some(limit);
    }

    /// Calls at once, now.
    pub(super) fn now(&self) -> usize {
        self.adapted.min(self.operator.unwrap_or(self.configured))
    }

    /// An answer came, with that many calls in the backend.
    pub(super) fn answered(&mut self, took: Duration, at_once: usize) {
        let Some(objective) = self.objective else { return };
        self.samples += 1;
        self.beyond += usize::from(took > objective);
        self.total += took.as_secs_f64();
        self.felt |= at_once >= self.now();
        if self.samples >= LEAST_SAMPLES.max(2 * self.now()) {
            self.decide();
        }
    }

    fn decide(&mut self) {
        let mean = self.total / self.samples as f64;
        let beyond = self.beyond as f64 / self.samples as f64;
        let felt = std::mem::take(&mut self.felt);
        (self.samples, self.beyond, self.total) = (0, 0, 0.0);
        if let Some((before, was)) = self.cut_from.take()
            && mean > was * HELPED
        {
            // It is slow by itself: fewer calls at once only mean fewer answers.
            self.adapted = before;
            self.hold = PATIENCE;
            return;
        }
        self.hold = self.hold.saturating_sub(1);
        if beyond > 0.5 && felt && self.hold == 0 && self.adapted > 1 {
            self.cut_from = Some((self.adapted, mean));
            self.adapted = ((self.adapted as f64 * CUT) as usize).max(1);
        } else if beyond < 0.25 && felt {
            self.adapted = (self.adapted + 1).min(self.configured);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of a backend that takes 100 ms up to its knee and longer beyond, or always longer.
    fn run(limit: &mut Limit, windows: usize, took: impl Fn(usize) -> u64) {
        for _ in 0..windows * LEAST_SAMPLES.max(2 * limit.now()) {
            let at_once = limit.now();
            limit.answered(Duration::from_millis(took(at_once)), at_once);
        }
    }

    #[test]
    fn without_an_objective_the_configured_limit_holds() {
        let mut limit = Limit::new(32, None);
        run(&mut limit, 20, |_| 60_000);
        assert_eq!(limit.now(), 32);
    }

    #[test]
    fn a_limit_beyond_the_knee_comes_down_to_it_and_stays_near() {
        let mut limit = Limit::new(32, Some(Duration::from_millis(150)));
        let thrash = |n: usize| 100 * (n.max(16) * n.max(16)) as u64 / 256;
        run(&mut limit, 60, thrash);
        assert!((13..=21).contains(&limit.now()), "{limit:?}");
        run(&mut limit, 60, |_| 50);
        assert_eq!(limit.now(), 32, "the ceiling is the vendor's");
    }

    #[test]
    fn a_cut_that_does_not_help_is_undone() {
        let mut limit = Limit::new(16, Some(Duration::from_millis(150)));
        let mut least = 16;
        for _ in 0..60 {
            run(&mut limit, 1, |_| 300);
            least = least.min(limit.now());
        }
        assert_eq!((limit.now(), least), (16, 12), "{limit:?}");
    }

    #[test]
    fn few_answers_say_nothing_and_nobody_raises_what_is_not_felt() {
        let mut limit = Limit::new(8, Some(Duration::from_millis(150)));
        (0..LEAST_SAMPLES - 1).for_each(|_| limit.answered(Duration::from_secs(9), 8));
        assert_eq!(limit.now(), 8);
        limit.answered(Duration::from_secs(9), 8);
        assert_eq!(limit.now(), 6);
        limit.set(3);
        assert_eq!(limit.now(), 3, "an operator's lower limit");
        limit.configure(8, Some(Duration::from_millis(150)));
        assert_eq!(limit.now(), 8);
    }
}
