//! The declarations: one row per metric. A name that is not here is not emitted.

use metrics::Unit;
use sekisho_issuance::verdict::CheckName;
use sekisho_worker::metric::Burn;

use super::{DocumentKind, End, Stage};
use crate::outcome::Outcome;

/// What a metric is.
#[derive(Debug, Clone, Copy)]
pub enum MetricKind {
    /// Only rises.
    Counter,
    /// A level.
    Gauge,
    /// A distribution over fixed buckets.
    Histogram {
        /// Upper bounds.
        buckets: &'static [f64],
    },
}

/// What a label may say: a closed set, or names from the configuration.
#[derive(Debug, Clone, Copy)]
pub enum LabelValues {
    /// These words.
    Words(&'static [&'static str]),
    /// Outcomes of an arrival.
    Outcomes,
    /// Checks.
    Checks,
    /// Stages of a request.
    Stages,
    /// What a document is.
    Documents,
    /// What became of a document.
    Ends,
    /// The registry's table of reasons.
    Reasons,
    /// Configured routes, and `none`.
    Routes,
    /// Configured backends.
    Backends,
    /// Configured canaries.
    Canaries,
    /// Enabled municipalities, and `none`.
    Municipalities,
    /// A configured or built-in text that is the same for the life of the process.
    Fixed,
}

impl LabelValues {
    /// Every value, where the code knows them all.
    pub fn closed(self) -> Option<Vec<&'static str>> {
        match self {
            Self::Words(words) => Some(words.to_vec()),
            Self::Outcomes => Some(Outcome::ALL.map(Outcome::name).to_vec()),
            Self::Checks => Some(CheckName::ALL.map(CheckName::name).to_vec()),
            Self::Stages => Some(Stage::ALL.map(Stage::name).to_vec()),
            Self::Documents => Some(DocumentKind::ALL.map(DocumentKind::name).to_vec()),
            Self::Ends => Some(End::ALL.map(End::name).to_vec()),
            Self::Reasons => Some(super::REASONS.iter().map(|(_, word)| *word).collect()),
            Self::Routes | Self::Backends | Self::Canaries | Self::Municipalities | Self::Fixed => None,
        }
    }
}

/// One label.
#[derive(Debug, Clone, Copy)]
pub struct LabelDef {
    /// Its name.
    pub name: &'static str,
    /// What it may say.
    pub values: LabelValues,
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct MetricDef {
    /// Its full name.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: MetricKind,
    /// Its base unit.
    pub unit: Unit,
    /// What it answers, in one line.
    pub help: &'static str,
    /// Its labels.
    pub labels: &'static [LabelDef],
}

/// Names of metrics.
pub mod name {
    pub use sekisho_worker::metric::{
        BACKEND_IN_FLIGHT, BACKEND_LIMIT, BACKEND_SUSPENDED, CHANNEL_BURNS, CHANNEL_OPENS, FENCE_REJECTIONS,
        INTENTS_OPEN, JOURNAL_POISONED, LANE_OLDEST, LANE_OVERLAPS, LANES_HELD, LATE_ANSWERS,
    };

    /// Arrivals.
    pub const ARRIVALS: &str = "sekisho_arrivals_total";
    /// Ends of arrivals.
    pub const REQUESTS: &str = "sekisho_requests_total";
    /// Requests that arrived and have not ended.
    pub const IN_FLIGHT: &str = "sekisho_in_flight";
    /// Arrival to end.
    pub const REQUEST_DURATION: &str = "sekisho_request_duration_seconds";
    /// Time by stage.
    pub const STAGE_DURATION: &str = "sekisho_stage_duration_seconds";
    /// What checks said.
    pub const CHECK_VERDICTS: &str = "sekisho_check_verdicts_total";
    /// `Released<T>` made.
    pub const DOCUMENTS_VERIFIED: &str = "sekisho_documents_verified_total";
    /// Left or died.
    pub const DOCUMENTS_ENDED: &str = "sekisho_documents_ended_total";
    /// Let through unverified by `observe`.
    pub const RELEASED_UNVERIFIED: &str = "sekisho_released_unverified_total";
    /// Early noes.
    pub const SHEDS: &str = "sekisho_sheds_total";
    /// Connections turned away at the limit.
    pub const CONNECTIONS_REFUSED: &str = "sekisho_connections_refused_total";
    /// Latched.
    pub const LATCH_ACTIVE: &str = "sekisho_latch_active";
    /// Age of the oldest active latch.
    pub const LATCH_OLDEST: &str = "sekisho_latch_oldest_seconds";
    /// Kiosks suspended by a latch of their own.
    pub const KIOSKS_SUSPENDED: &str = "sekisho_kiosks_suspended";
    /// Latches that went without an operator's word.
    pub const LATCHES_CLOSED_BY_RETRY: &str = "sekisho_latches_closed_by_retry_total";
    /// Municipalities that no attested backend serves.
    pub const TENANTS_UNATTESTED: &str = "sekisho_tenants_unattested";
    /// Files of municipalities that could not be taken over.
    pub const TENANT_FILES_BROKEN: &str = "sekisho_tenant_files_broken";
    /// What is out of service.
    pub const SWITCHED_OFF: &str = "sekisho_switched_off";
    /// Change brackets that are not over.
    pub const BRACKETS: &str = "sekisho_brackets";
    /// Residents that they hold up.
    pub const BRACKETED_RESIDENTS: &str = "sekisho_bracketed_residents";
    /// Oldest record not yet durable.
    pub const AUDIT_UNSYNCED: &str = "sekisho_audit_unsynced_seconds";
    /// Oldest record that no exported head covers.
    pub const AUDIT_UNEXPORTED: &str = "sekisho_audit_unexported_seconds";
    /// Sessions refused by their pin.
    pub const PINS_REFUSED: &str = "sekisho_pins_refused_total";
    /// Content seen before.
    pub const UNIQUE_HITS: &str = "sekisho_unique_hits_total";
    /// Digests remembered.
    pub const UNIQUE_ENTRIES: &str = "sekisho_unique_entries";
    /// What canaries saw.
    pub const CANARY_RESULTS: &str = "sekisho_canary_results_total";
    /// When a canary last saw what it expects.
    pub const CANARY_LAST_PASS: &str = "sekisho_canary_last_pass_timestamp_seconds";
    /// For how long a canary should have passed and has not.
    pub const CANARY_OVERDUE: &str = "sekisho_canary_overdue_seconds";
    /// Requests with a key.
    pub const LEDGER_REQUESTS: &str = "sekisho_ledger_requests_total";
    /// Keys remembered.
    pub const LEDGER_KEYS: &str = "sekisho_ledger_keys";
    /// Answers kept.
    pub const LEDGER_BYTES: &str = "sekisho_ledger_bytes";
    /// Last reload.
    pub const RELOAD_SUCCESS: &str = "sekisho_config_reload_success";
    /// When the TLS identity that we show ends.
    pub const TLS_EXPIRY: &str = "sekisho_tls_identity_expiry_timestamp_seconds";
    /// TLS files that could not be taken over.
    pub const TLS_FILES_BROKEN: &str = "sekisho_tls_files_broken";
    /// Any enabled municipality is open.
    pub const SERVICE_OPEN: &str = "sekisho_service_open";
    /// Enabled municipalities in observe.
    pub const OBSERVING: &str = "sekisho_observing_tenants";
    /// Code and name.
    pub const TENANT_INFO: &str = "sekisho_tenant_info";
    /// Version.
    pub const BUILD_INFO: &str = "sekisho_build_info";
}

/// Buckets of the latency promises: 5 ms for a no, 1 s, 3 s and 10 s for a paper.
const REQUEST_BUCKETS: &[f64] = &[0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0];
const STAGE_BUCKETS: &[f64] = &[0.0001, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 3.0, 10.0, 30.0];

const ROUTE: LabelDef = LabelDef { name: "route", values: LabelValues::Routes };
const BACKEND: LabelDef = LabelDef { name: "backend", values: LabelValues::Backends };
const MUNICIPALITY: LabelDef = LabelDef { name: "municipality", values: LabelValues::Municipalities };
const CANARY: LabelDef = LabelDef { name: "canary", values: LabelValues::Canaries };
const EXPECT: LabelDef = words("expect", &crate::canary::Expect::NAMES);
const KIND: LabelDef = LabelDef { name: "kind", values: LabelValues::Documents };
const MODE: LabelDef = LabelDef { name: "mode", values: LabelValues::Words(&["observe", "enforce"]) };
const OPERATION: LabelDef = LabelDef {
    name: "operation",
    values: LabelValues::Words(&["issue", "inquire", "amend", "open", "close", "pass", "none"]),
};
const OUTCOME: LabelDef = LabelDef { name: "outcome", values: LabelValues::Outcomes };

const fn words(name: &'static str, values: &'static [&'static str]) -> LabelDef {
    LabelDef { name, values: LabelValues::Words(values) }
}

const fn counter(name: &'static str, help: &'static str, labels: &'static [LabelDef]) -> MetricDef {
    MetricDef { name, kind: MetricKind::Counter, unit: Unit::Count, help, labels }
}

const fn gauge(name: &'static str, unit: Unit, help: &'static str, labels: &'static [LabelDef]) -> MetricDef {
    MetricDef { name, kind: MetricKind::Gauge, unit, help, labels }
}

const fn histogram(
    name: &'static str,
    buckets: &'static [f64],
    help: &'static str,
    labels: &'static [LabelDef],
) -> MetricDef {
    MetricDef { name, kind: MetricKind::Histogram { buckets }, unit: Unit::Seconds, help, labels }
}

/// Every metric this product emits.
pub const ALL: &[MetricDef] = &[
    counter(name::ARRIVALS, "Requests that arrived; equals the sum of requests_total plus in_flight", &[]),
    counter(
        name::REQUESTS,
        "Ends of arrivals: each arrival is counted here exactly once",
        &[ROUTE, OPERATION, OUTCOME, LabelDef { name: "reason", values: LabelValues::Reasons }],
    ),
    gauge(name::IN_FLIGHT, Unit::Count, "Requests that arrived and have not ended", &[]),
    histogram(
        name::REQUEST_DURATION,
        REQUEST_BUCKETS,
        "Arrival to end; time to a no is outcome=\"shed\"",
        &[ROUTE, OUTCOME],
    ),
    histogram(
        name::STAGE_DURATION,
        STAGE_BUCKETS,
        "Where the time of requests goes",
        &[ROUTE, LabelDef { name: "stage", values: LabelValues::Stages }],
    ),
    counter(
        name::CHECK_VERDICTS,
        "What each check said; a check that is on and silent is an incident",
        &[
            ROUTE,
            LabelDef { name: "check", values: LabelValues::Checks },
            words("verdict", &["match", "mismatch", "unverifiable"]),
            MODE,
        ],
    ),
    counter(
        name::DOCUMENTS_VERIFIED,
        "Answers about a resident that passed every check, counted where they become releasable",
        &[MUNICIPALITY, KIND, MODE],
    ),
    counter(
        name::DOCUMENTS_ENDED,
        "Answers about a resident that left for a kiosk or were destroyed after verification, counted where it happens",
        &[MUNICIPALITY, MODE, LabelDef { name: "end", values: LabelValues::Ends }],
    ),
    counter(
        name::RELEASED_UNVERIFIED,
        "Answers that observe mode let through although a check did not match",
        &[MUNICIPALITY],
    ),
    counter(
        name::SHEDS,
        "Requests turned away early, by what was full and who was turned away",
        &[
            BACKEND,
            words("rank", &["control", "amend", "started", "new", "retry", "batch"]),
            words(
                "reason",
                &[
                    "hard_ceiling",
                    "backend_busy",
                    "lane_full",
                    "lane_busy",
                    "no_time_left",
                    "retry_budget",
                    "kiosk_rate",
                    "memory",
                    "draining",
                    "other",
                ],
            ),
        ],
    ),
    counter(
        name::CONNECTIONS_REFUSED,
        "Connections closed because as many as allowed were open or in their TLS handshake, because that failed or took too long, because what came was no request that can be read in one way, or because the kiosk did not take its answer",
        &[words("reason", &["full", "unreadable", "stalled", "tls_failed", "tls_late", "tls_full"])],
    ),
    counter(
        name::LANE_OVERLAPS,
        "Times that two operations were in flight for one resident; must stay 0",
        &[words("operation", &["issue", "inquire", "amend"])],
    ),
    gauge(
        name::LANE_OLDEST,
        Unit::Seconds,
        "Age of the oldest operation waiting or running",
        &[BACKEND, words("state", &["waiting", "running"])],
    ),
    gauge(name::BACKEND_IN_FLIGHT, Unit::Count, "Calls that may still have effect at the backend", &[BACKEND]),
    gauge(name::BACKEND_LIMIT, Unit::Count, "Most calls in flight at the backend", &[BACKEND]),
    gauge(
        name::LATCH_ACTIVE,
        Unit::Count,
        "1 while this kind of this municipality is suspended and no person has cleared it; no series before it ever was",
        &[MUNICIPALITY, KIND],
    ),
    gauge(name::LATCH_OLDEST, Unit::Seconds, "Age of the oldest active latch, 0 without one", &[]),
    gauge(
        name::KIOSKS_SUSPENDED,
        Unit::Count,
        "Kiosks whose own values were contradicted and which no person has cleared",
        &[],
    ),
    counter(name::LATCHES_CLOSED_BY_RETRY, "Latches that ended without an operator's word; must stay 0", &[]),
    gauge(
        name::SWITCHED_OFF,
        Unit::Count,
        "What an operator has taken out of service and nobody has put back",
        &[words("scope", &["all", "municipality", "kind", "municipality_kind", "backend"])],
    ),
    gauge(
        name::BRACKETS,
        Unit::Count,
        "Change brackets that are not over; the residents of an unknown one are refused",
        &[words("stage", &["opening", "open", "unknown"])],
    ),
    gauge(
        name::BRACKETED_RESIDENTS,
        Unit::Count,
        "Residents whom change brackets hold up or have refused",
        &[words("stage", &["opening", "open", "unknown"])],
    ),
    gauge(name::AUDIT_UNSYNCED, Unit::Seconds, "Age of the oldest record that is not yet durable", &[]),
    gauge(
        name::AUDIT_UNEXPORTED,
        Unit::Seconds,
        "Since when there are records that no exported head covers; 0 while every one is",
        &[],
    ),
    counter(
        name::CHANNEL_BURNS,
        "Backend connections that were given up because of a surprise",
        &[BACKEND, words("reason", Burn::LABELS)],
    ),
    counter(
        name::LATE_ANSWERS,
        "Answers destroyed because they came after nobody waited: within max_run, or beyond it, which suspends the backend",
        &[BACKEND, words("when", &["within_max_run", "beyond_max_run"])],
    ),
    counter(name::CHANNEL_OPENS, "Backend connections opened", &[BACKEND]),
    counter(
        name::LANES_HELD,
        "Attempts whose lanes stayed held until max_run because their end is not known",
        &[words("operation", &["issue", "inquire", "amend"])],
    ),
    gauge(
        name::BACKEND_SUSPENDED,
        Unit::Count,
        "1 while a backend is suspended after an answer beyond max_run, or drained by an operator",
        &[BACKEND],
    ),
    gauge(name::INTENTS_OPEN, Unit::Count, "Intents written and not yet known to be over", &[]),
    counter(name::JOURNAL_POISONED, "Journals that failed to write and accept nothing more", &[]),
    counter(
        name::FENCE_REJECTIONS,
        "Attempts or answers refused because their number was not current",
        &[words("place", &["assign", "write", "gate", "commit", "replay"])],
    ),
    counter(
        name::PINS_REFUSED,
        "Requests refused because their session belongs to another card, resident or kiosk",
        &[words("reason", &["card", "resident", "kiosk", "municipality", "unknown"])],
    ),
    counter(
        name::UNIQUE_HITS,
        "Content or issue numbers that were released before",
        &[words("memory", &["content", "issue_number"]), words("residents", &["same", "other"])],
    ),
    gauge(
        name::UNIQUE_ENTRIES,
        Unit::Count,
        "Digests that are remembered",
        &[words("memory", &["content", "issue_number"])],
    ),
    counter(
        name::CANARY_RESULTS,
        "What canaries saw: a right document of a synthetic resident (release), or another's tried in its place (withhold)",
        &[CANARY, EXPECT, words("result", &crate::canary::Seen::NAMES)],
    ),
    gauge(name::CANARY_LAST_PASS, Unit::Seconds, "Unix time at which the canary last passed, or 0", &[CANARY, EXPECT]),
    gauge(
        name::CANARY_OVERDUE,
        Unit::Seconds,
        "For how long the canary should have passed and has not: 0 within two of its periods of passing, or of not being served like everybody",
        &[CANARY, EXPECT],
    ),
    counter(name::LEDGER_REQUESTS, "Requests with a key, by what they met", &[words("result", &crate::ledger::MET)]),
    gauge(name::LEDGER_KEYS, Unit::Count, "Keys that are remembered", &[]),
    gauge(name::LEDGER_BYTES, Unit::Bytes, "Sealed answers that are kept for who asks again", &[]),
    gauge(name::RELOAD_SUCCESS, Unit::Count, "1 if the last load of the configuration succeeded", &[]),
    gauge(
        name::TENANTS_UNATTESTED,
        Unit::Count,
        "Enabled municipalities that are suspended because of what their backends attest, by the first reason",
        &[words("reason", &crate::manifest::Unattested::NAMES)],
    ),
    gauge(
        name::TENANT_FILES_BROKEN,
        Unit::Count,
        "Files of municipalities that could not be taken over; each keeps its last good policy",
        &[],
    ),
    gauge(
        name::TLS_EXPIRY,
        Unit::Seconds,
        "When the TLS identity that is shown to this side ends, in Unix time; 0 = none is shown",
        &[LabelDef { name: "side", values: LabelValues::Fixed }],
    ),
    gauge(
        name::TLS_FILES_BROKEN,
        Unit::Count,
        "1 while the TLS files of this side cannot be taken over; what was read before stays in force",
        &[LabelDef { name: "side", values: LabelValues::Fixed }],
    ),
    gauge(name::SERVICE_OPEN, Unit::Count, "1 while any enabled municipality is in its hours", &[]),
    gauge(name::OBSERVING, Unit::Count, "Enabled municipalities whose documents are released unverified", &[]),
    gauge(
        name::TENANT_INFO,
        Unit::Count,
        "The printed name of a municipality",
        &[MUNICIPALITY, LabelDef { name: "name", values: LabelValues::Fixed }],
    ),
    gauge(
        name::BUILD_INFO,
        Unit::Count,
        "The running version",
        &[LabelDef { name: "version", values: LabelValues::Fixed }],
    ),
];
