//! Quantities as people write them in a plan: a number with its unit. A bare number is an error, since nobody agrees on its unit.

use std::time::Duration;

use rand::Rng;

/// The longest duration that a plan may name.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// The highest rate, per second.
const HIGHEST_RATE: f64 = 100_000.0;
/// The 99th percentile of the standard normal distribution.
const NORMAL_P99: f64 = 2.326_347_9;

fn number(text: &str) -> Option<f64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if plain { text.parse().ok() } else { None }
}

/// Reads `"500us"`, `"800ms"`, `"1.5s"`, `"2m"`, `"16h"`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (count, unit) = text.split_at_checked(digits)?;
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let duration = Duration::try_from_secs_f64(number(count)? * seconds).ok()?;
    (duration <= LONGEST).then_some(duration)
}

/// Reads `"40/s"`, `"30/m"`, `"90/h"`: per second.
pub(super) fn rate(text: &str) -> Option<f64> {
    let (count, unit) = text.split_once('/')?;
    let per = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let rate = number(count)? / per;
    (rate <= HIGHEST_RATE).then_some(rate)
}

/// Reads `"2%"`: from 0 to 1.
pub fn share(text: &str) -> Option<f64> {
    let share = number(text.strip_suffix('%')?)? / 100.0;
    (share <= 1.0).then_some(share)
}

/// How long a person takes before the next step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Think {
    /// Half of the people take longer.
    pub median: Duration,
    /// Spread of the logarithm; 0: everybody takes the same.
    pub sigma: f64,
}

impl Think {
    /// Reads `"2s"` or `"lognormal 4s p99 30s"`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(same) = duration(text) {
            return Some(Self { median: same, sigma: 0.0 });
        }
        let mut words = text.split_ascii_whitespace();
        let (Some("lognormal"), Some(median), Some("p99"), Some(p99), None) =
            (words.next(), words.next(), words.next(), words.next(), words.next())
        else {
            return None;
        };
        let (median, p99) = (duration(median)?, duration(p99)?);
        if median.is_zero() || p99 < median {
            return None;
        }
        Some(Self { median, sigma: (p99.as_secs_f64() / median.as_secs_f64()).ln() / NORMAL_P99 })
    }

    /// One person's time; ten times the 99th percentile at most, so that a run ends.
    pub fn draw(&self, rng: &mut impl Rng) -> Duration {
        if self.sigma == 0.0 {
            return self.median;
        }
        // 1 - u lies in (0, 1], so the logarithm is finite.
        let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        let most = 10.0 * (self.sigma * NORMAL_P99).exp();
        self.median.mul_f64((self.sigma * normal).exp().min(most))
    }
}

/// A time between two others, each as likely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Between {
    /// The shortest.
    pub least: Duration,
    /// The longest.
    pub most: Duration,
}

impl Between {
    /// Reads `"5s..20s"` or `"5s"`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (least, most) = match text.split_once("..") {
            Some((least, most)) => (duration(least)?, duration(most)?),
            None => (duration(text)?, duration(text)?),
        };
        (least <= most).then_some(Self { least, most })
    }

    /// One of them.
    pub fn draw(&self, rng: &mut impl Rng) -> Duration {
        self.least + (self.most - self.least).mul_f64(rng.random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn units_are_required_and_nothing_else_is_read() {
        assert_eq!(duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(duration("250us"), Some(Duration::from_micros(250)));
        for wrong in ["10", "s", "-1s", "1e3s", "1..5s", "1s ", "９s", "999999999h", "NaNs"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        assert_eq!(rate("30/m"), Some(0.5));
        for wrong in ["40", "40/d", "/s", "-1/s", "inf/s", "1000000/s"] {
            assert_eq!(rate(wrong), None, "{wrong}");
        }
        assert_eq!((share("2%"), share("101%"), share("2")), (Some(0.02), None, None));
    }

    #[test]
    fn thinking_has_the_median_and_the_percentile_that_it_names() {
        let think = Think::parse("lognormal 4s p99 30s").unwrap();
        let mut rng = StdRng::seed_from_u64(7);
        let mut drawn: Vec<f64> = (0..20_000).map(|_| think.draw(&mut rng).as_secs_f64()).collect();
        drawn.sort_by(f64::total_cmp);
        assert!((3.8..4.2).contains(&drawn[10_000]), "{}", drawn[10_000]);
        assert!((27.0..33.0).contains(&drawn[19_800]), "{}", drawn[19_800]);
        assert_eq!(Think::parse("lognormal 4s p99 1s"), None);
        assert_eq!(Think::parse("normal 4s p99 5s"), None);
    }

    #[test]
    fn a_time_between_two_others_is() {
        let between = Between::parse("5s..20s").unwrap();
        let mut rng = StdRng::seed_from_u64(7);
        assert!((0..1000).all(|_| (5.0..=20.0).contains(&between.draw(&mut rng).as_secs_f64())));
        assert_eq!(Between::parse("20s..5s"), None);
    }
}
