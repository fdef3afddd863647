//! The one clock: hours, holidays and the JST day come from here, so that every test passes at any time of day.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// Japan Standard Time: UTC+9, without summer time since 1951.
const JST: Offset = Offset::constant(9);

/// Wall-clock time by injection. Deadlines use the monotonic clock, never this one.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    /// Always `at`; for tests.
    pub fn fixed(at: Timestamp) -> Self {
        Self(Arc::new(move || at))
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// Now, on a wall in Japan.
    pub fn now_in_japan(&self) -> DateTime {
        self.now().to_zoned(TimeZone::fixed(JST)).datetime()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
