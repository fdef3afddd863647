//! How a rate goes over a stage: pieces of straight lines, and when the nth arrival comes on them. Pure.

use std::time::Duration;

/// One piece: from a rate to another in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Piece {
    seconds: f64,
    from: f64,
    to: f64,
}

impl Piece {
    fn arrivals(&self) -> f64 {
        self.seconds * (self.from + self.to) / 2.0
    }

    /// When `count` arrivals have come; the smaller root of a straight rate's integral.
    fn after(&self, count: f64) -> f64 {
        let slope = (self.to - self.from) / self.seconds;
        if slope.abs() < 1e-12 {
            return count / self.from.max(f64::MIN_POSITIVE);
        }
        // Written so that nothing cancels when the slope is small.
        let root = (self.from * self.from + 2.0 * slope * count).max(0.0).sqrt();
        (2.0 * count / (self.from + root).max(f64::MIN_POSITIVE)).min(self.seconds)
    }
}

/// Arrivals per second over the time of a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve(Vec<Piece>);

impl Curve {
    /// The same all the time.
    pub fn constant(rate: f64, lasts: Duration) -> Self {
        Self::ramp(rate, rate, lasts)
    }

    /// From one rate to another.
    pub fn ramp(from: f64, to: f64, lasts: Duration) -> Self {
        Self(vec![Piece { seconds: lasts.as_secs_f64(), from, to }])
    }

    /// In `steps` equal stairs.
    pub fn stairs(from: f64, to: f64, steps: usize, lasts: Duration) -> Self {
        let seconds = lasts.as_secs_f64() / steps.max(1) as f64;
        let between = steps.saturating_sub(1).max(1) as f64;
        let stair = |n: usize| from + (to - from) * n as f64 / between;
        Self((0..steps.max(1)).map(|n| Piece { seconds, from: stair(n), to: stair(n) }).collect())
    }

    /// `to` in the middle third, `from` around it.
    pub fn spike(from: f64, to: f64, lasts: Duration) -> Self {
        let seconds = lasts.as_secs_f64() / 3.0;
        Self([from, to, from].map(|rate| Piece { seconds, from: rate, to: rate }).to_vec())
    }

    /// A day from 06:30 to 23:00 in `lasts`: `from` where it is quietest, `to` at the peak of the busiest kind of day.
    pub fn day(from: f64, to: f64, day: Day, lasts: Duration) -> Self {
        let points = day.points();
        let (first, last) = (points.first().map_or(0.0, |p| p.0), points.last().map_or(1.0, |p| p.0));
        let scale = lasts.as_secs_f64() / (last - first);
        let rate = |height: f64| from + (to - from) * height;
        let pairs = points.iter().zip(points.iter().skip(1));
        Self(pairs.map(|(a, b)| Piece { seconds: (b.0 - a.0) * scale, from: rate(a.1), to: rate(b.1) }).collect())
    }

    /// Arrivals until the end.
    pub fn arrivals(&self) -> f64 {
        self.0.iter().map(Piece::arrivals).sum()
    }

    /// How long it is.
    pub fn lasts(&self) -> Duration {
        Duration::from_secs_f64(self.0.iter().map(|piece| piece.seconds).sum())
    }

    /// Seconds until `count` arrivals (a fraction of one is one on its way) have come; `None` when that many never do.
    pub fn after(&self, count: f64) -> Option<f64> {
        let (mut seconds, mut left) = (0.0, count);
        for piece in &self.0 {
            let here = piece.arrivals();
            if left < here {
                return Some(seconds + piece.after(left));
            }
            left -= here;
            seconds += piece.seconds;
        }
        None
    }
}

/// A kind of day, by when its people come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// A quiet morning, a lunch peak, a smaller one after work.
    Weekday,
    /// The same with a fuller morning: the offices were closed for two days.
    Monday,
    /// The end of March: everybody who moves, most of them at lunch.
    LateMarch,
}

impl Day {
    /// Every one, by its word.
    pub const ALL: [(&str, Self); 3] =
        [("weekday", Self::Weekday), ("monday", Self::Monday), ("late-march", Self::LateMarch)];

    /// Hour of the day, and how high the rate is between the quietest (0) and the busiest (1). An estimate: nobody publishes it.
    const fn points(self) -> &'static [(f64, f64)] {
        match self {
            Self::Weekday => &[
                (6.5, 0.02),
                (8.0, 0.14),
                (10.0, 0.26),
                (11.75, 0.30),
                (12.25, 0.60),
                (12.9, 0.52),
                (13.5, 0.26),
                (16.5, 0.24),
                (18.0, 0.36),
                (20.0, 0.18),
                (23.0, 0.0),
            ],
            Self::Monday => &[
                (6.5, 0.04),
                (8.0, 0.26),
                (9.5, 0.50),
                (11.75, 0.44),
                (12.25, 0.78),
                (12.9, 0.66),
                (13.5, 0.36),
                (16.5, 0.30),
                (18.0, 0.42),
                (20.0, 0.20),
                (23.0, 0.0),
            ],
            Self::LateMarch => &[
                (6.5, 0.06),
                (8.0, 0.34),
                (9.5, 0.64),
                (11.75, 0.62),
                (12.25, 1.0),
                (12.9, 0.92),
                (13.5, 0.60),
                (16.5, 0.52),
                (18.0, 0.66),
                (20.0, 0.32),
                (23.0, 0.02),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_curve() -> impl Strategy<Value = Curve> {
        (0.0..50.0f64, 0.1..200.0f64, 1u64..600_000, 0usize..5, 1usize..9).prop_map(|(from, to, ms, shape, steps)| {
            let lasts = Duration::from_millis(ms);
            match shape {
                0 => Curve::constant(to, lasts),
                1 => Curve::ramp(from, to, lasts),
                2 => Curve::stairs(from, to, steps, lasts),
                3 => Curve::spike(from, to, lasts),
                _ => Curve::day(from, to, Day::LateMarch, lasts),
            }
        })
    }

    proptest! {
        #[test]
        fn as_many_come_as_the_area_says_in_order_and_inside(curve in any_curve()) {
            let total = curve.arrivals();
            let times: Vec<f64> = (0..).map_while(|n| curve.after(f64::from(n) + 0.5)).take(200_000).collect();
            prop_assume!(times.len() < 200_000);
            prop_assert!((times.len() as f64 - total).abs() <= 1.0, "{} of {total}", times.len());
            prop_assert!(times.is_sorted());
            let lasts = curve.lasts().as_secs_f64() + 1e-6;
            prop_assert!(times.iter().all(|t| (0.0..=lasts).contains(t)));
        }
    }

    #[test]
    fn shapes_are_what_their_names_say() {
        let minute = Duration::from_secs(60);
        let in_thirds = |curve: &Curve| {
            let mut thirds = [0usize; 3];
            (0..)
                .map_while(|n| curve.after(f64::from(n) + 0.5))
                .for_each(|t| thirds[((t / 20.0) as usize).min(2)] += 1);
            thirds
        };
        assert_eq!(in_thirds(&Curve::constant(3.0, minute)), [60, 60, 60]);
        assert_eq!(in_thirds(&Curve::spike(1.0, 10.0, minute)), [20, 200, 20]);
        assert_eq!(in_thirds(&Curve::stairs(1.0, 3.0, 3, minute)), [20, 40, 60]);
        let ramp = in_thirds(&Curve::ramp(0.0, 9.0, minute));
        assert!((29..=31).contains(&ramp[0]) && (149..=151).contains(&ramp[2]), "{ramp:?}");
    }

    #[test]
    fn lunch_is_the_peak_of_every_day_and_late_march_the_highest() {
        let lunch = |day| {
            let curve = Curve::day(0.0, 100.0, day, Duration::from_secs(990));
            let times: Vec<f64> = (0..).map_while(|n| curve.after(f64::from(n) + 0.5)).collect();
            // A minute of the run is an hour of the day.
            let hour = |h: f64| times.iter().filter(|t| (h..h + 1.0).contains(&(6.5 + **t / 60.0))).count();
            assert!((7..22).all(|h| hour(f64::from(h)) <= hour(12.0)), "{day:?}");
            hour(12.0)
        };
        assert!(lunch(Day::Weekday) < lunch(Day::Monday) && lunch(Day::Monday) < lunch(Day::LateMarch));
    }
}
