//! What happens to the backend in a measurement, and which part of the measurement counts. Pure.

use std::ops::Range;
use std::time::Duration;

/// Until queues are as full as they get.
pub(super) const WARM: Duration = Duration::from_millis(2500);
/// Beyond the window, so that whatever belongs into it was heard of.
const TAIL: Duration = Duration::from_millis(200);
const STALL: Duration = Duration::from_secs(8);
const SLOW: Duration = Duration::from_secs(15);
/// After a stall.
const RECOVERS_WITHIN: Duration = Duration::from_secs(1);
/// `settle_after_timeout` of the worked configuration: so long a slot rests after a time-out.
const SETTLES: Duration = Duration::from_secs(1);

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Scenario {
    /// Nothing but too many people.
    #[default]
    Overload,
    /// The backend freezes for 8 s, then answers all that it holds; what counts begins 1 s after that.
    Stall,
    /// The same where a slot rests 1 s after a time-out (`settle_after_timeout`); what counts begins 2 s after the freeze.
    StallSettle,
    /// The backend takes twice as long for 15 s; these count.
    Slow,
    /// Three cities, of which one comes at twenty times its share; the success of the others counts. The gateway alone.
    OneCity,
}

impl Scenario {
    /// The name in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overload => "overload",
            Self::Stall => "stall",
            Self::StallSettle => "stall-settle",
            Self::Slow => "slow",
            Self::OneCity => "one-city",
        }
    }

    /// Whether the backend is said to need a rest after a time-out, so that slots of the gateway rest as in the worked configuration. No peer
    /// can be told so.
    pub(super) fn settles(self) -> bool {
        self == Self::StallSettle
    }

    /// What counts of a measurement.
    pub(super) fn window(self, counted: Duration) -> Range<Duration> {
        let from = |start: Duration, lasts: Duration| start..start + lasts;
        match self {
            Self::Overload | Self::OneCity => from(WARM, counted),
            Self::Stall => from(WARM + STALL + RECOVERS_WITHIN, counted),
            Self::StallSettle => from(WARM + STALL + SETTLES + RECOVERS_WITHIN, counted),
            Self::Slow => from(WARM, SLOW),
        }
    }

    /// How long people come.
    pub(super) fn lasts(self, counted: Duration) -> Duration {
        self.window(counted).end + TAIL
    }

    /// The plan's `[[fault]]`.
    pub(super) fn fault(self) -> String {
        let (what, lasts) = match self {
            Self::Overload | Self::OneCity => return String::new(),
            Self::Stall | Self::StallSettle => ("\"backend-stall\"", STALL),
            Self::Slow => ("\"backend-slow\"\nfactor = 2", SLOW),
        };
        format!("[[fault]]\nat = \"load+{}ms\"\nfor = \"{}ms\"\nwhat = {what}\n", WARM.as_millis(), lasts.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_lies_within_what_is_measured_and_where_it_belongs() {
        let counted = Duration::from_secs(3);
        for scenario in [Scenario::Overload, Scenario::Stall, Scenario::StallSettle, Scenario::Slow] {
            assert!(scenario.window(counted).end < scenario.lasts(counted));
        }
        assert!(Scenario::StallSettle.settles() && !Scenario::Stall.settles() && !Scenario::Overload.settles());
        assert_eq!(Scenario::Stall.window(counted).start, Duration::from_millis(11_500), "1 s after the thaw");
        assert_eq!(Scenario::StallSettle.window(counted).start, Duration::from_millis(12_500), "settle + 1 s after it");
        assert_eq!(Scenario::Slow.window(counted).end, Duration::from_millis(17_500), "as long as it is slow");
    }
}
