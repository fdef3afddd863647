//! The faults by name, and how often each fires in which municipality.
//!
//! A fault only opens a window (a lag, a skipped step); the harm is then done by the machinery that it describes.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Declares the faults once: variant, name, what it does.
macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// A fault of the simulated backend. Names of incidents are those of the incident list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $($(#[$doc])* $variant,)*
        }

        impl Fault {
            /// Every fault, incidents first.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name on the command line and in reports.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

faults! {
    /// Printing is delayed beyond the print wait; the time-out gives back the print order but leaves the job waiting for the next image.
    YokohamaLockTimeout = "yokohama-lock-timeout",
    /// The family register add-on names its output files by the second and is slow to collect them.
    KawasakiSameSecond = "kawasaki-same-second",
    /// A record update is written into the work-table row that a certificate is being rendered from.
    AdachiUpdateRace = "adachi-update-race",
    /// A record is locked by an update; the render ignores that and hands out the worker's previous result.
    MunakataPreviousResult = "munakata-previous-result",
    /// Sheets are assembled by sheet number only, while one job's sheet 2 is late.
    TokushimaMixedPage = "tokushima-mixed-page",
    /// The message that brings a changed seal registration to the issuing server gets lost.
    StaleSeal = "stale-seal",
    /// A build whose locks are local to one host runs on two hosts with one spool.
    TakamatsuTopology = "takamatsu-topology",
    /// As adachi-update-race, with an error notice that the next good print closes.
    AdachiDismissedAlarm = "adachi-dismissed-alarm",
    /// A terminal's session that was never closed is given to the next user.
    AccountPreviousUser = "account-previous-user",
    /// Tax certificates find their person by reading, birth date and sex.
    InsuranceWeakMatch = "insurance-weak-match",
    /// A request to the renderer is cancelled after it was sent; its reply stays in the pooled connection.
    CancelledRequestReuse = "cancelled-request-reuse",
    /// Requests for the same URL and body join the one that is under way and share its answer.
    CollapsedForwarding = "collapsed-forwarding",
    /// The whole response is sent a second time, 0-5 ms later, on the same connection.
    LateDuplicate = "late-duplicate",
    /// The answer takes longer.
    Slow = "slow",
    /// The answer stops in the middle for a while and then goes on.
    Stall = "stall",
    /// The connection ends in the middle of the body.
    CutBody = "cut-body",
    /// The declared length is shorter than what is sent.
    WrongLength = "wrong-length",
    /// An HTML page with status 200.
    Html200 = "html-200",
    /// The connection is reset instead of an answer.
    Reset = "reset",
    /// No answer ever.
    Hang = "hang",
    /// The answer is right but names another request.
    WrongEcho = "wrong-echo",
}

impl Fault {
    /// The twelve incidents.
    pub fn incidents() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|fault| *fault < Self::LateDuplicate)
    }

    /// A rate at which the fault does its harm and still leaves good answers between.
    pub const fn suggested_rate(self) -> f64 {
        match self {
            Self::InsuranceWeakMatch | Self::AccountPreviousUser | Self::StaleSeal => 1.0,
            Self::CollapsedForwarding => 0.5,
            Self::YokohamaLockTimeout | Self::CancelledRequestReuse => 0.05,
            _ => 0.1,
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|fault| fault.name() == text).ok_or_else(|| {
            format!(
                "no fault is called `{text}`; there are: {}",
                Self::ALL.iter().map(|f| f.name()).collect::<Vec<_>>().join(", ")
            )
        })
    }
}

/// Where a fault is switched on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// In every municipality.
    Everywhere,
    /// In one municipality, by code.
    City(String),
    /// On the record API (transport faults only).
    Records,
}

/// Faults with scope and rate, as `yokohama-lock-timeout=0.05,late-duplicate@991015,all=0.01`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FaultPlan {
    /// In the order given; a later one for the same fault and place replaces an earlier one.
    pub entries: Vec<(Fault, Scope, f64)>,
}

impl FaultPlan {
    /// One fault everywhere.
    pub fn one(fault: Fault, rate: f64) -> Self {
        Self { entries: vec![(fault, Scope::Everywhere, rate)] }
    }

    /// One fault in one municipality.
    pub fn in_city(fault: Fault, code: &str, rate: f64) -> Self {
        Self { entries: vec![(fault, Scope::City(code.to_owned()), rate)] }
    }

    /// Every fault everywhere at one rate.
    pub fn all(rate: f64) -> Self {
        Self { entries: Fault::ALL.iter().map(|fault| (*fault, Scope::Everywhere, rate)).collect() }
    }
}

impl FromStr for FaultPlan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut entries = Vec::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty() && *item != "none") {
            let (what, rate) = match item.split_once('=') {
                Some((what, rate)) => {
                    let rate: f64 =
                        rate.parse().map_err(|_| format!("`{rate}` in `{item}` is not a rate from 0 to 1"))?;
                    if !(0.0..=1.0).contains(&rate) {
                        return Err(format!("`{rate}` in `{item}` is not a rate from 0 to 1"));
                    }
                    (what, Some(rate))
                }
                None => (item, None),
            };
            let (name, scope) = match what.split_once('@') {
                Some((name, "records")) => (name, Scope::Records),
                Some((name, city)) => (name, Scope::City(city.to_owned())),
                None => (what, Scope::Everywhere),
            };
            let named: Vec<Fault> = match name {
                "all" => Fault::ALL.to_vec(),
                "incidents" => Fault::incidents().collect(),
                _ => vec![name.parse()?],
            };
            entries
                .extend(named.into_iter().map(|fault| (fault, scope.clone(), rate.unwrap_or(fault.suggested_rate()))));
        }
        Ok(Self { entries })
    }
}

/// The switches of one place (a municipality, or the record API): a rate per fault and a seeded draw per call.
#[derive(Debug)]
pub(super) struct Switches {
    seed: u64,
    rates: Vec<AtomicU64>,
    draws: Vec<AtomicU64>,
}

impl Switches {
    /// All off.
    pub(super) fn new(seed: u64) -> Self {
        let zeros = || Fault::ALL.iter().map(|_| AtomicU64::new(0)).collect();
        Self { seed, rates: zeros(), draws: zeros() }
    }

    pub(super) fn set(&self, fault: Fault, rate: f64) {
        if let Some(cell) = self.rates.get(fault.index()) {
            cell.store(rate.to_bits(), Ordering::Relaxed);
        }
    }

    fn rate(&self, fault: Fault) -> f64 {
        self.rates.get(fault.index()).map_or(0.0, |cell| f64::from_bits(cell.load(Ordering::Relaxed)))
    }

    /// Is the faulty machinery installed here at all?
    pub(super) fn on(&self, fault: Fault) -> bool {
        self.rate(fault) > 0.0
    }

    /// Does the fault's window open for this call? The nth call of a place gets the same answer in every run of a seed.
    pub(super) fn fires(&self, fault: Fault) -> bool {
        let rate = self.rate(fault);
        if rate <= 0.0 {
            return false;
        }
        let n = self.draws.get(fault.index()).map_or(0, |cell| cell.fetch_add(1, Ordering::Relaxed));
        unit(mix(self.seed ^ mix(fault.index() as u64 + 1) ^ n.wrapping_mul(0xD134_2543_DE82_EF95))) < rate
    }
}

/// SplitMix64's finalizer.
pub(super) fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A number from 0 (included) to 1 (excluded).
#[allow(clippy::cast_precision_loss)] // 53 bits fit
pub(super) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_from_its_text() {
        let plan: FaultPlan = "yokohama-lock-timeout=0.05, late-duplicate@991015=1,slow@records=0.5".parse().unwrap();
        assert_eq!(plan.entries[0], (Fault::YokohamaLockTimeout, Scope::Everywhere, 0.05));
        assert_eq!(plan.entries[1], (Fault::LateDuplicate, Scope::City("991015".into()), 1.0));
        assert_eq!(plan.entries[2], (Fault::Slow, Scope::Records, 0.5));
        assert_eq!("all=0.01".parse::<FaultPlan>().unwrap(), FaultPlan::all(0.01));
        assert_eq!("none".parse::<FaultPlan>().unwrap(), FaultPlan::default());
        assert!("yokohama".parse::<FaultPlan>().is_err());
        assert!("slow=2".parse::<FaultPlan>().is_err());
    }

    #[test]
    fn draws_follow_the_rate_and_the_seed() {
        let draw = |seed| {
            let switches = Switches::new(seed);
            switches.set(Fault::Slow, 0.25);
            (0..4000).map(|_| switches.fires(Fault::Slow)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let fired = draw(1).iter().filter(|fired| **fired).count();
        assert!((900..1100).contains(&fired), "{fired} of 4000");
        assert!(!Switches::new(1).fires(Fault::Hang));
    }

    #[test]
    fn there_are_twelve_incidents() {
        assert_eq!(Fault::incidents().count(), 12);
    }
}
