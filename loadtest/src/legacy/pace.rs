//! The whole issuer held up at once: frozen, with everything that it holds answered when it thaws, or slower by a factor.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// How fast the issuer answers, whatever it does.
#[derive(Debug)]
pub struct Pace {
    frozen: watch::Sender<bool>,
    factor: AtomicU64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { frozen: watch::Sender::new(false), factor: AtomicU64::new(1f64.to_bits()) }
    }
}

impl Pace {
    /// Holds every answer back, or lets all of them go.
    pub fn freeze(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }

    /// Everything takes so many times as long.
    pub fn slow(&self, factor: f64) {
        self.factor.store(factor.to_bits(), Ordering::Relaxed);
    }

    /// Holds up an answer that took so long.
    pub(super) async fn hold(&self, took: Duration) {
        let factor = f64::from_bits(self.factor.load(Ordering::Relaxed));
        if factor > 1.0 {
            tokio::time::sleep(took.mul_f64(factor - 1.0)).await;
        }
        if *self.frozen.borrow() {
            // Ends only if the world is gone, and then nobody waits.
            let _ = self.frozen.subscribe().wait_for(|frozen| !frozen).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test(start_paused = true)]
    async fn a_frozen_backend_answers_all_that_it_holds_when_it_thaws() {
        let pace = Arc::new(Pace::default());
        pace.freeze(true);
        let held: Vec<_> = (0..3)
            .map(|_| {
                let pace = Arc::clone(&pace);
                tokio::spawn(async move { pace.hold(Duration::from_millis(1)).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(held.iter().all(|one| !one.is_finished()));
        pace.freeze(false);
        for one in held {
            one.await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_backend_takes_so_many_times_as_long() {
        let pace = Pace::default();
        let before = tokio::time::Instant::now();
        pace.hold(Duration::from_millis(100)).await;
        assert_eq!(before.elapsed(), Duration::ZERO);
        pace.slow(3.0);
        pace.hold(Duration::from_millis(100)).await;
        assert_eq!(before.elapsed(), Duration::from_millis(200));
    }
}
