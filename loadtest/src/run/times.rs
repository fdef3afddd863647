//! A distribution of times: recorded without loss of the extremes, merged without loss at all.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

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

    /// In the format that every HdrHistogram reads (V2, compressed); nothing of none.
    fn written(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        // Fails only where memory or counts end.
        V2DeflateSerializer::new().serialize(self.0.as_ref()?, &mut bytes).ok()?;
        Some(bytes)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut times: Histogram<u64> = Deserializer::new().deserialize(&mut std::io::Cursor::new(bytes)).ok()?;
        // One that was read does not grow by itself.
        times.auto(true);
        Some(Self(Some(times)))
    }

    /// Whether both hold the same times, equally often.
    #[cfg(test)]
    pub(super) fn is_the_same_as(&self, other: &Self) -> bool {
        let all = |times: &Self| -> Vec<(u64, u64)> {
            let recorded = times.0.iter().flat_map(Histogram::iter_recorded);
            recorded.map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
        };
        all(self) == all(other)
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

impl Serialize for Times {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written().map(|bytes| STANDARD.encode(bytes)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(Self::default()) };
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        Self::read(&bytes).ok_or_else(|| D::Error::custom("no HdrHistogram in the V2 format"))
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
    fn what_is_written_is_read_again_and_grows_with_what_is_merged_into_it() {
        let short = of(1..=100);
        let mut read: Times = serde_json::from_str(&serde_json::to_string(&short).unwrap()).unwrap();
        assert!(read.is_the_same_as(&short));
        read.merge(&of([3_600_000]));
        let mut all = of(1..=100);
        all.record(Duration::from_secs(3600));
        assert!(read.is_the_same_as(&all), "a longer time than it was made for is lost");
        let none: Times = serde_json::from_str(&serde_json::to_string(&Times::default()).unwrap()).unwrap();
        assert!(none.is_empty());
        assert!(serde_json::from_str::<Times>("\"AAAA\"").is_err());
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
