//! The one clock: hours, holidays and the JST day come from here, so that every test passes at any time of day.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// Japan Standard Time: UTC+9, without summer time since 1951.
const JST: Offset = Offset::constant(9);

/// Who says that the machine's clock is right.
///
/// The kernel's own word (`adjtimex`) is not asked: no kept crate offers it without `unsafe`, and in a container it is often silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Nobody: dates on paper are Unverifiable.
    Nobody,
    /// The operator, in the configuration.
    Operator,
    /// A file that the time service touches whenever the clock was set right.
    Witness {
        /// Which.
        file: PathBuf,
        /// Touched longer ago, it says nothing.
        max_age: Duration,
    },
}

impl Trust {
    /// Whether the clock is known to be right `now`.
    pub fn is_right(&self, now: Timestamp) -> bool {
        match self {
            Self::Nobody => false,
            Self::Operator => true,
            Self::Witness { file, max_age } => touched(file).is_some_and(|at| {
                // A file from the future shows that the clock was set back since.
                let age = Duration::try_from(now.duration_since(at));
                age.is_ok_and(|age| age <= *max_age)
            }),
        }
    }
}

fn touched(file: &Path) -> Option<Timestamp> {
    std::fs::metadata(file).ok()?.modified().ok()?.try_into().ok()
}

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

    /// As a test says.
    #[cfg(test)]
    pub(crate) fn of(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_right_while_its_witness_is_young() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let touched = touched(file.path()).unwrap();
        let max_age = Duration::from_secs(3600);
        let witness = Trust::Witness { file: file.path().to_owned(), max_age };
        let after = |seconds: i64| witness.is_right(touched + jiff::SignedDuration::from_secs(seconds));
        assert!(after(0) && after(3600));
        assert!(!after(3601), "the time service is silent");
        assert!(!after(-1), "the clock was set back");
        drop(file);
        assert!(!after(0), "there is no time service");
        assert!(Trust::Operator.is_right(touched) && !Trust::Nobody.is_right(touched));
    }
}
