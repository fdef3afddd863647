//! The one reading of monotonic time, so that tests may pause it. Never the wall clock, except to stamp what is kept.

use std::time::{Duration, Instant, SystemTime};

/// Monotonic now; follows tokio's paused time in tests.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Sleeps until `at`.
pub(crate) async fn sleep_until(at: Instant) {
    tokio::time::sleep_until(tokio::time::Instant::from_std(at)).await;
}

/// The wall clock, for records and `sent_at`; never compared with a deadline.
pub(crate) fn wall() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// The two clocks at one moment, to tell afterwards whether the machine slept in between: a sleeping machine's monotonic clock
/// stands still, and whoever waits for us does not.
pub(crate) struct Since {
    monotonic: Instant,
    wall: SystemTime,
}

impl Since {
    pub(crate) fn now() -> Self {
        Self { monotonic: Instant::now(), wall: SystemTime::now() }
    }

    /// Whether the wall clock ran ahead of the monotonic one by more than `by`: asleep, or set forward. Both are a reason not
    /// to begin; a clock set back is not seen here and changes no deadline.
    pub(crate) fn slept_over(&self, by: Duration) -> bool {
        let wall = self.wall.elapsed().unwrap_or(Duration::ZERO);
        wall.saturating_sub(self.monotonic.elapsed()) > by
    }
}

/// `at + by`, or a day later where that cannot be represented: a hold may be too long, never absent.
pub(crate) fn after(at: Instant, by: Duration) -> Instant {
    at.checked_add(by).unwrap_or_else(|| at + Duration::from_secs(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_slept_is_noticed_and_one_that_did_not_is_not() {
        let awake = Since::now();
        assert!(!awake.slept_over(Duration::from_secs(1)));
        let slept = Since { wall: SystemTime::now() - Duration::from_secs(5), ..Since::now() };
        assert!(slept.slept_over(Duration::from_secs(1)));
    }
}
