//! The whole issuer held up at once: frozen, with everything that it holds answered when it thaws, or slower by a factor.

use std::sync::atomic::{AtomicU64, Ordering};

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

    /// How many times as long everything takes now.
    pub(super) fn factor(&self) -> f64 {
        f64::from_bits(self.factor.load(Ordering::Relaxed)).max(1.0)
    }

    /// Holds up an answer.
    pub(super) async fn hold(&self) {
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
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_frozen_backend_answers_all_that_it_holds_when_it_thaws() {
        let pace = Arc::new(Pace::default());
        pace.freeze(true);
        let held: Vec<_> = (0..3)
            .map(|_| {
                let pace = Arc::clone(&pace);
                tokio::spawn(async move { pace.hold().await })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(held.iter().all(|one| !one.is_finished()));
        pace.freeze(false);
        for one in held {
            one.await.unwrap();
        }
    }
}
