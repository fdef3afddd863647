//! Every metric the worker emits, as data: the gateway's registry includes [`ALL`]. Labels are closed enums or configured names.

use sekisho_issuance::request::Operation;

/// Two operations that may have effect at once for one resident; must stay 0.
pub const LANE_OVERLAPS: &str = "sekisho_lane_overlaps_total";
/// Seconds the oldest waiting or running attempt has been so.
pub const LANE_OLDEST: &str = "sekisho_lane_oldest_seconds";
/// Lanes held until `max_run` after a surprise.
pub const LANES_HELD: &str = "sekisho_lanes_held_total";
/// Answers that came after nobody waited for them.
pub const LATE_ANSWERS: &str = "sekisho_late_answers_destroyed_total";
/// Connections that will never be used again, by reason.
pub const CHANNEL_BURNS: &str = "sekisho_channel_burns_total";
/// Connections opened.
pub const CHANNEL_OPENS: &str = "sekisho_channel_opens_total";
/// Calls in flight per backend.
pub const BACKEND_IN_FLIGHT: &str = "sekisho_backend_in_flight";
/// The limit on them that holds now.
pub const BACKEND_LIMIT: &str = "sekisho_backend_limit";
/// 1 while a backend is suspended or drained.
pub const BACKEND_SUSPENDED: &str = "sekisho_backend_suspended";
/// Assignments and answers refused because their number or ownership is not the current one.
pub const FENCE_REJECTIONS: &str = "sekisho_fence_rejections_total";
/// Intents written and not yet known to be over.
pub const INTENTS_OPEN: &str = "sekisho_intents_open";
/// Journal failures after which nothing is begun any more.
pub const JOURNAL_POISONED: &str = "sekisho_journal_poisoned_total";

/// What kind of series a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// The values one label may take.
#[derive(Debug, Clone, Copy)]
pub enum Values {
    /// Exactly these.
    Closed(&'static [&'static str]),
    /// The names of the configured backends.
    Backends,
}

/// One metric: what the registry needs to register, document and pre-fill it with 0.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Counter or gauge.
    pub kind: Kind,
    /// One sentence.
    pub help: &'static str,
    /// Its labels and their values.
    pub labels: &'static [(&'static str, Values)],
}

/// Why a channel is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Burn {
    /// Nobody waits for the reply any more.
    Cancelled,
    /// The reply did not come in time.
    Timeout,
    /// Bytes beyond the declared end of a reply.
    StrayBytes,
    /// The connection ended within a reply.
    Cut,
    /// The connection was reset, or broke while the request was sent.
    Reset,
    /// An informational reply (1xx) came first.
    Informational,
    /// The reply is not HTTP, or frames itself in two ways.
    Unparsable,
    /// The reply is longer than its bound.
    TooLarge,
    /// A check of the reply failed.
    Surprised,
    /// Nobody judged the reply.
    Unjudged,
}

impl Burn {
    /// Every reason's label.
    pub const LABELS: &'static [&'static str] = &[
        "cancelled",
        "timeout",
        "stray_bytes",
        "cut",
        "reset",
        "informational",
        "unparsable",
        "too_large",
        "surprised",
        "unjudged",
    ];

    /// The label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Timeout => "timeout",
            Self::StrayBytes => "stray_bytes",
            Self::Cut => "cut",
            Self::Reset => "reset",
            Self::Informational => "informational",
            Self::Unparsable => "unparsable",
            Self::TooLarge => "too_large",
            Self::Surprised => "surprised",
            Self::Unjudged => "unjudged",
        }
    }
}

/// Operations that take a lane.
const LANE_OPERATIONS: &[&str] = &[Operation::Issue.name(), Operation::Inquire.name(), Operation::Amend.name()];

/// Every metric of this crate.
pub const ALL: &[Metric] = &[
    Metric {
        name: LANE_OVERLAPS,
        kind: Kind::Counter,
        help: "Operations begun while another may still have had effect for the same resident; must stay 0.",
        labels: &[("operation", Values::Closed(LANE_OPERATIONS))],
    },
    Metric {
        name: LANE_OLDEST,
        kind: Kind::Gauge,
        help: "Age of the oldest attempt that waits for a lane or runs in one.",
        labels: &[("backend", Values::Backends), ("state", Values::Closed(&["waiting", "running"]))],
    },
    Metric {
        name: LANES_HELD,
        kind: Kind::Counter,
        help: "Attempts whose lanes stayed held until max_run because their end is not known.",
        labels: &[("operation", Values::Closed(LANE_OPERATIONS))],
    },
    Metric {
        name: LATE_ANSWERS,
        kind: Kind::Counter,
        help: "Answers destroyed because they came after nobody waited: within max_run, or beyond it (which suspends the backend).",
        labels: &[("backend", Values::Backends), ("when", Values::Closed(&["within_max_run", "beyond_max_run"]))],
    },
    Metric {
        name: CHANNEL_BURNS,
        kind: Kind::Counter,
        help: "Backend connections never used again after a surprise.",
        labels: &[("backend", Values::Backends), ("reason", Values::Closed(Burn::LABELS))],
    },
    Metric {
        name: CHANNEL_OPENS,
        kind: Kind::Counter,
        help: "Backend connections opened.",
        labels: &[("backend", Values::Backends)],
    },
    Metric {
        name: BACKEND_IN_FLIGHT,
        kind: Kind::Gauge,
        help: "Slots of a backend in use, resting ones included.",
        labels: &[("backend", Values::Backends)],
    },
    Metric {
        name: BACKEND_LIMIT,
        kind: Kind::Gauge,
        help: "Slots of a backend that may be in use now.",
        labels: &[("backend", Values::Backends)],
    },
    Metric {
        name: BACKEND_SUSPENDED,
        kind: Kind::Gauge,
        help: "1 while a backend is suspended after an answer beyond max_run, or drained by an operator.",
        labels: &[("backend", Values::Backends)],
    },
    Metric {
        name: FENCE_REJECTIONS,
        kind: Kind::Counter,
        help: "Work refused because it was addressed to another ownership.",
        labels: &[("place", Values::Closed(&["assign", "write"]))],
    },
    Metric {
        name: INTENTS_OPEN,
        kind: Kind::Gauge,
        help: "Intents written and not yet known to be over.",
        labels: &[],
    },
    Metric {
        name: JOURNAL_POISONED,
        kind: Kind::Counter,
        help: "Journals that failed to write and accept nothing more.",
        labels: &[],
    },
];
