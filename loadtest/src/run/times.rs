//! A distribution of times: recorded without loss of the extremes, merged without loss at all.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// A month: a longer time is counted as this.
const LONGEST_US: u64 = 31 * 24 * 3600 * 1_000_000;

/// Times to three digits, in microseconds; nothing is allocated before the first.
#[derive(Debug, Clone, Default)]
pub struct Times(Option<Histogram<u64>>);

/// What people look at of a distribution, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Summary {
    /// How many there were.
    pub count: u64,
    /// Half took longer.
    pub p50: f64,
    /// One in ten took longer.
    pub p90: f64,
    /// One in a hundred took longer.
    pub p99: f64,
    /// One in a thousand took longer.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl Times {
    /// One more.
    pub fn record(&mut self, time: Duration) {
        if self.0.is_none() {
            // Fails only for a number of digits that does not exist.
            self.0 = Histogram::new(3).ok();
        }
        if let Some(times) = &mut self.0 {
            let us = u64::try_from(time.as_micros()).unwrap_or(LONGEST_US).clamp(1, LONGEST_US);
            // Not the saturating way, which would not grow.
            let _ = times.record(us);
        }
    }

    /// All of the other's as well.
    pub fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (Some(times), Some(more)) => {
                // Fails only if it could not grow, and it can.
                let _ = times.add(more);
            }
            (None, Some(more)) => self.0 = Some(more.clone()),
            (_, None) => {}
        }
    }

    /// How many.
    pub fn len(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The percentile, 0 to 100; of none, none.
    pub fn percentile(&self, percentile: f64) -> Option<Duration> {
        let times = self.0.as_ref().filter(|times| !times.is_empty())?;
        Some(Duration::from_micros(times.value_at_quantile(percentile / 100.0).min(times.max())))
    }

    /// The longest.
    pub fn max(&self) -> Option<Duration> {
        self.percentile(100.0)
    }

    /// The mean.
    pub fn mean(&self) -> Option<Duration> {
        let times = self.0.as_ref().filter(|times| !times.is_empty())?;
        Some(Duration::from_secs_f64(times.mean() / 1e6))
    }

    /// What people look at.
    pub fn summary(&self) -> Summary {
        let ms = |percentile| self.percentile(percentile).map_or(0.0, |time| time.as_secs_f64() * 1e3);
        Summary { count: self.len(), p50: ms(50.0), p90: ms(90.0), p99: ms(99.0), p999: ms(99.9), max: ms(100.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: impl IntoIterator<Item = u64>) -> Times {
        let mut all = Times::default();
        times.into_iter().for_each(|ms| all.record(Duration::from_millis(ms)));
        all
    }

    #[test]
    fn merged_times_are_those_of_both() {
        let mut merged = of(1..=500);
        merged.merge(&of(501..=1000));
        merged.merge(&Times::default());
        assert_eq!(merged.summary(), of(1..=1000).summary());
        let mut from_none = Times::default();
        from_none.merge(&of(1..=10));
        assert_eq!(from_none.len(), 10);
    }

    #[test]
    fn percentiles_are_within_a_thousandth() {
        let times = of(1..=1000);
        let p99 = times.percentile(99.0).unwrap().as_secs_f64() * 1e3;
        assert!((989.0..=991.0).contains(&p99), "{p99}");
        assert!((999.0..=1001.0).contains(&(times.max().unwrap().as_secs_f64() * 1e3)));
        assert_eq!(Times::default().percentile(50.0), None);
    }

    #[test]
    fn no_time_is_too_long_to_be_counted() {
        let mut times = Times::default();
        times.record(Duration::MAX);
        times.record(Duration::ZERO);
        assert_eq!(times.len(), 2);
    }
}
