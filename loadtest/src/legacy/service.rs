//! How long the backend takes, and what too many at once do to it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::Rng;

/// The backend's time for one certificate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServiceTime {
    /// Median; zero means that it answers at once.
    pub median: Duration,
    /// Spread (of the logarithm): 0.4 makes the 99th percentile about 2.5 times the median.
    pub sigma: f64,
    /// Concurrent requests of one municipality beyond which everything gets slower.
    pub knee: usize,
    /// How much slower: time is multiplied by `1 + thrash * excess / knee`, squared.
    pub thrash: f64,
}

impl Default for ServiceTime {
    fn default() -> Self {
        Self { median: Duration::from_millis(2), sigma: 0.4, knee: 32, thrash: 1.0 }
    }
}

impl ServiceTime {
    /// Answers as fast as it can.
    pub const INSTANT: Self = Self { median: Duration::ZERO, sigma: 0.0, knee: usize::MAX, thrash: 0.0 };

    #[allow(clippy::cast_precision_loss)] // a few thousand at most
    fn draw(&self, in_service: usize) -> Duration {
        if self.median.is_zero() {
            return Duration::ZERO;
        }
        let (u, v): (f64, f64) = (rand::rng().random_range(1e-9..1.0), rand::rng().random());
        let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        let excess = in_service.saturating_sub(self.knee) as f64 / self.knee.max(1) as f64;
        self.median.mul_f64((self.sigma * normal).exp().min(20.0) * (1.0 + self.thrash * excess).powi(2))
    }
}

/// The counter of one municipality's server.
#[derive(Debug, Default)]
pub(super) struct Server {
    in_service: AtomicUsize,
}

/// A place taken at the server; given back on drop.
pub(super) struct Served<'a>(&'a Server);

impl Drop for Served<'_> {
    fn drop(&mut self) {
        self.0.in_service.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Server {
    pub(super) fn enter(&self) -> Served<'_> {
        self.in_service.fetch_add(1, Ordering::Relaxed);
        Served(self)
    }

    /// Works for as long as this takes now, so many times over.
    pub(super) async fn work(&self, time: &ServiceTime, factor: f64) {
        let time = time.draw(self.in_service.load(Ordering::Relaxed)).mul_f64(factor);
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_knee_less_gets_done() {
        let time = ServiceTime { sigma: 0.0, ..ServiceTime::default() };
        let throughput = |n: usize| n as f64 / time.draw(n).as_secs_f64();
        assert!(throughput(32) > throughput(16));
        assert!(throughput(128) < throughput(32));
        assert!(ServiceTime::INSTANT.draw(1000).is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_server_takes_so_many_times_as_long() {
        let (server, time) = (Server::default(), ServiceTime { sigma: 0.0, ..ServiceTime::default() });
        let before = tokio::time::Instant::now();
        server.work(&time, 3.0).await;
        assert_eq!(before.elapsed(), 3 * time.median);
    }
}
