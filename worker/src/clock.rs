//! The one reading of monotonic time, so that tests may pause it. Never the wall clock, except to stamp what is kept.

use std::time::{Duration, Instant};

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

/// `at + by`, or a day later where that cannot be represented: a hold may be too long, never absent.
pub(crate) fn after(at: Instant, by: Duration) -> Instant {
    at.checked_add(by).unwrap_or_else(|| at + Duration::from_secs(86_400))
}
