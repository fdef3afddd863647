//! What a world is made from: seed, size, speed, fault windows, and the faults that are on from the start.

use std::time::Duration;

use jiff::Timestamp;

use super::fault::FaultPlan;
use super::service::ServiceTime;

/// Lengths of the windows that faults open, and of the product's own limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// The time limit of the print wait.
    pub print_wait: Duration,
    /// How long a lag opened by a fault lasts (a render being rewritten, a file not collected, a sheet being late).
    pub lag: Duration,
    /// How long a record is locked while an update is applied.
    pub update: Duration,
    /// How long `slow` and `stall` hold an answer.
    pub slow: Duration,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            print_wait: Duration::from_millis(50),
            lag: Duration::from_millis(40),
            update: Duration::from_millis(2),
            slow: Duration::from_millis(300),
        }
    }
}

/// What a world is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct WorldConfig {
    /// Everything random follows from it.
    pub seed: u64,
    /// How many municipalities, 1 to [`Municipality::MOST`](super::Municipality::MOST).
    pub municipalities: usize,
    /// At least this many residents each (a household is never split).
    pub residents_each: usize,
    /// How long a certificate takes.
    pub service: ServiceTime,
    /// Lengths of fault windows.
    pub windows: Windows,
    /// Faults switched on from the start.
    pub faults: FaultPlan,
    /// Issue certificates to residents with private-use characters too (only their own city's font has them).
    pub printable_gaiji: bool,
    /// The time on the backend's wall; `None` = the real one.
    pub clock: Option<Timestamp>,
    /// What `GET /version` says.
    pub build: String,
    /// What `GET /version` says: the number of hosts that the installed build was made for.
    pub topology: String,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            municipalities: 3,
            residents_each: 240,
            service: ServiceTime::default(),
            windows: Windows::default(),
            faults: FaultPlan::default(),
            printable_gaiji: false,
            clock: None,
            build: "V5.2-p07".to_owned(),
            topology: "1".to_owned(),
        }
    }
}
