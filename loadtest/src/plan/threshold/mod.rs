//! What a run must have been like: `hold: latency{rank=started} p(99) < 3s`. The words; `parse` reads them.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

pub use parse::{Unreadable, parse};

/// Declares a closed set of words once.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$word_doc])* $variant,)*
        }

        impl $name {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// The one with that word.
            pub fn named(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.word() == word)
            }
        }
    };
}
pub(crate) use words;

words! {
    /// What is measured.
    Metric {
        /// Documents and answers about somebody else.
        Wrong = "wrong",
        /// Documents with something of another person or job.
        Mixed = "mixed",
        /// Documents and answers older than what was known.
        Stale = "stale",
        /// Documents handed out before, to somebody else.
        Duplicate = "duplicate",
        /// Starts for which no kiosk was free.
        DroppedStarts = "dropped_starts",
        /// Answers that the gateway counted otherwise than we did.
        Unreconciled = "unreconciled",
        /// Share of sessions that got their paper, or the backend's lawful no.
        Goodput = "goodput",
        /// Share of answers that were an early no.
        Shed = "shed",
        /// Share of answers that were kept in.
        Withheld = "withheld",
        /// Share of answers that came too late at the gateway.
        Expired = "expired",
        /// Share of requests that ended in an error, or in nothing at all.
        Failed = "failed",
        /// From when a step should have begun until its answer was complete; early noes do not count.
        Latency = "latency",
        /// From the first byte sent until an early no was complete.
        TimeToNo = "time_to_no",
        /// How much later than intended a session was begun.
        StartError = "start_error",
    }
}

/// What a metric is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of events.
    Count,
    /// A share, compared with per cent.
    Share,
    /// A distribution of times.
    Time,
}

/// Which exit code a broken threshold gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// What citizens got.
    Safety,
    /// Whether the generator measured what it says.
    Generator,
    /// Everything else.
    Service,
}

impl Metric {
    /// What it is counted in.
    pub const fn unit(self) -> Unit {
        match self {
            Self::Wrong | Self::Mixed | Self::Stale | Self::Duplicate | Self::DroppedStarts | Self::Unreconciled => {
                Unit::Count
            }
            Self::Goodput | Self::Shed | Self::Withheld | Self::Expired | Self::Failed => Unit::Share,
            Self::Latency | Self::TimeToNo | Self::StartError => Unit::Time,
        }
    }

    /// Whom it speaks of.
    pub const fn concern(self) -> Concern {
        match self {
            Self::Wrong | Self::Mixed | Self::Stale | Self::Duplicate => Concern::Safety,
            Self::DroppedStarts | Self::StartError => Concern::Generator,
            _ => Concern::Service,
        }
    }

    /// The labels that it can be narrowed by.
    pub const fn labels(self) -> &'static [Label] {
        match self {
            Self::Shed | Self::Withheld | Self::Expired | Self::Failed | Self::Latency | Self::TimeToNo => {
                &[Label::Rank, Label::Step, Label::City, Label::Kind]
            }
            Self::Goodput => &[Label::City, Label::Kind],
            _ => &[],
        }
    }
}

words! {
    /// A narrowing of a metric.
    Label {
        /// Who is let in first: new, retry, started, amend.
        Rank = "rank",
        /// The step of a session: open, inquire, issue, confirm, amend.
        Step = "step",
        /// The municipality's code.
        City = "city",
        /// The kind of certificate.
        Kind = "kind",
    }
}

words! {
    /// Who asks, as admission should see it.
    Rank {
        /// Begins a session.
        New = "new",
        /// Begins one again after a no.
        Retry = "retry",
        /// The next step of a session.
        Started = "started",
        /// Changes a record.
        Amend = "amend",
    }
}

words! {
    /// A step of a session.
    Step {
        /// Card in.
        Open = "open",
        /// A look at the record.
        Inquire = "inquire",
        /// The certificate.
        Issue = "issue",
        /// Paper taken, card out.
        Confirm = "confirm",
        /// A change of address.
        Amend = "amend",
    }
}

words! {
    /// A comparison.
    Op {
        /// At most.
        AtMost = "<=",
        /// At least.
        AtLeast = ">=",
        /// Equal.
        Equal = "==",
        /// Not equal.
        Unequal = "!=",
        /// Below.
        Below = "<",
        /// Above.
        Above = ">",
    }
}

impl Op {
    /// Whether it holds.
    pub fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Self::AtMost => left <= right,
            Self::AtLeast => left >= right,
            Self::Equal => left == right,
            Self::Unequal => left != right,
            Self::Below => left < right,
            Self::Above => left > right,
        }
    }
}

/// Which time of a distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregate {
    /// The percentile, 0 to 100.
    Percentile(f64),
    /// The longest.
    Max,
    /// The mean.
    Mean,
}

/// What it is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// So many.
    Count(u64),
    /// A share from 0 to 1.
    Share(f64),
    /// A time, and which one of the distribution.
    Time(Aggregate, Duration),
}

/// One line of `[thresholds]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// Only this stage; none: every judged one.
    pub stage: Option<String>,
    /// What is measured.
    pub metric: Metric,
    /// Only where these labels have these values.
    pub only: Vec<(Label, String)>,
    /// How it is compared.
    pub op: Op,
    /// With what.
    pub limit: Limit,
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(stage) = &self.stage {
            write!(f, "{stage}: ")?;
        }
        f.write_str(self.metric.word())?;
        if !self.only.is_empty() {
            let only: Vec<_> = self.only.iter().map(|(label, value)| format!("{}={value}", label.word())).collect();
            write!(f, "{{{}}}", only.join(","))?;
        }
        let op = self.op.word();
        match self.limit {
            Limit::Count(count) => write!(f, " {op} {count}"),
            // Four decimals of a per cent, without the noise of the division by 100.
            Limit::Share(share) => write!(f, " {op} {}%", (share * 1e6).round() / 1e4),
            Limit::Time(aggregate, time) => {
                match aggregate {
                    Aggregate::Percentile(p) => write!(f, " p({p})")?,
                    Aggregate::Max => f.write_str(" max")?,
                    Aggregate::Mean => f.write_str(" mean")?,
                }
                write!(f, " {op} ")?;
                let us = time.as_micros();
                match us {
                    0 => f.write_str("0s"),
                    _ if us.is_multiple_of(1_000_000) => write!(f, "{}s", us / 1_000_000),
                    _ if us.is_multiple_of(1_000) => write!(f, "{}ms", us / 1_000),
                    _ => write!(f, "{us}us"),
                }
            }
        }
    }
}
