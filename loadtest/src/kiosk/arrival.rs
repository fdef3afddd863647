//! When people come: open loop, seeded, independent of how fast they are served.

use std::time::Duration;

use rand::Rng;

/// Poisson arrivals at `per_second`: the offsets from the start, as many as are asked for.
pub fn poisson(rng: &mut impl Rng, per_second: f64, count: usize) -> Vec<Duration> {
    let mut at = 0.0;
    (0..count)
        .map(|_| {
            // 1 - u lies in (0, 1], so the logarithm is finite.
            at += -(1.0 - rng.random::<f64>()).ln() / per_second.max(f64::MIN_POSITIVE);
            Duration::from_secs_f64(at.min(1e9))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn the_same_seed_gives_the_same_arrivals_and_the_rate_is_kept() {
        let draw = |seed| poisson(&mut StdRng::seed_from_u64(seed), 100.0, 5_000);
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let last = draw(7).last().unwrap().as_secs_f64();
        assert!((45.0..55.0).contains(&last), "5,000 arrivals at 100/s took {last} s");
    }
}
