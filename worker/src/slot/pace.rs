//! How long things take, learned from what they took. Surprises are believed only when they persist.

use std::time::Duration;

/// The weight of one sample.
const GAIN: f64 = 1.0 / 16.0;
/// A sample beyond this many times the mean is an outlier.
const OUTLIER: f64 = 3.0;

/// A smoothed mean with its mean deviation, in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    mean: f64,
    deviation: f64,
    learned: bool,
    outliers: usize,
}

impl Pace {
    /// Until something is known.
    pub(super) const fn guess(seconds: f64) -> Self {
        Self { mean: seconds, deviation: seconds / 2.0, learned: false, outliers: 0 }
    }

    /// Takes a sample in. Outliers are passed over until `patience` of them came in a row: a backend that stood still answers all that it
    /// holds at once, and is as fast as before from then on.
    pub(super) fn learn(&mut self, took: Duration, patience: usize) {
        let took = took.as_secs_f64();
        if !self.learned {
            *self = Self { mean: took, deviation: took / 4.0, learned: true, outliers: 0 };
            return;
        }
        let believed = took.min(self.mean * OUTLIER + 0.001);
        if believed < took {
            self.outliers += 1;
            if self.outliers <= patience {
                return;
            }
        } else {
            self.outliers = 0;
        }
        self.deviation += ((believed - self.mean).abs() - self.deviation) * GAIN;
        self.mean += (believed - self.mean) * GAIN;
    }

    /// Takes a sample of things that differ among themselves in: none of them is an outlier.
    pub(super) fn average(&mut self, took: Duration) {
        self.mean += (took.as_secs_f64() - self.mean) * GAIN / 4.0;
    }

    /// Seconds.
    pub(super) fn mean(&self) -> f64 {
        self.mean
    }

    /// Seconds.
    pub(super) fn deviation(&self) -> f64 {
        self.deviation
    }

    /// The mean in whole microseconds, at least one.
    pub(super) fn micros(&self) -> i64 {
        ((self.mean * 1e6) as i64).clamp(1, 3_600_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_burst_of_late_answers_after_a_stall_changes_nothing() {
        let mut pace = Pace::guess(1.0);
        (0..50).for_each(|_| pace.learn(200 * MS, 16));
        (0..16).for_each(|_| pace.learn(3000 * MS, 16));
        assert!((pace.mean() - 0.2).abs() < 0.001, "{pace:?}");
    }

    #[test]
    fn a_backend_that_is_slower_from_now_on_is_believed() {
        let mut pace = Pace::guess(1.0);
        (0..50).for_each(|_| pace.learn(200 * MS, 16));
        (0..32).for_each(|_| pace.learn(400 * MS, 16));
        assert!(pace.mean() > 0.36, "twice as slow: {pace:?}");
        (0..100).for_each(|_| pace.learn(4000 * MS, 16));
        assert!(pace.mean() > 3.0, "ten times as slow, and it lasts: {pace:?}");
    }
}
