//! Why an arrival ended as it did: a closed table, so that `reason` can be a label.

use crate::outcome::Outcome;

/// Every (outcome, reason) pair that has a series. A word that is not here is counted as its outcome's `other`.
pub const REASONS: &[(Outcome, &str)] = &[
    (Outcome::Released, "verified"),
    (Outcome::Released, "unverified"),
    (Outcome::Released, "replayed"),
    (Outcome::Released, "other"),
    (Outcome::Answered, "verified"),
    (Outcome::Answered, "unverified"),
    (Outcome::Answered, "passed"),
    (Outcome::Answered, "replayed"),
    (Outcome::Answered, "other"),
    (Outcome::Refused, "refused"),
    (Outcome::Refused, "requirement"),
    (Outcome::Refused, "other"),
    (Outcome::Withheld, "shape"),
    (Outcome::Withheld, "echo"),
    (Outcome::Withheld, "identity"),
    (Outcome::Withheld, "kind"),
    (Outcome::Withheld, "municipality"),
    (Outcome::Withheld, "selection"),
    (Outcome::Withheld, "pages"),
    (Outcome::Withheld, "issue_number"),
    (Outcome::Withheld, "as_of"),
    (Outcome::Withheld, "version"),
    (Outcome::Withheld, "issued_on"),
    (Outcome::Withheld, "issued_at"),
    (Outcome::Withheld, "unique"),
    (Outcome::Withheld, "job"),
    (Outcome::Withheld, "binding"),
    (Outcome::Withheld, "fence"),
    (Outcome::Withheld, "digest"),
    (Outcome::Withheld, "superseded"),
    (Outcome::Withheld, "suspended"),
    (Outcome::Withheld, "switched_off"),
    (Outcome::Withheld, "session_over"),
    (Outcome::Withheld, "bracket"),
    (Outcome::Withheld, "other_machine"),
    (Outcome::Withheld, "manifest_missing"),
    (Outcome::Withheld, "manifest_unread"),
    (Outcome::Withheld, "manifest_unreadable"),
    (Outcome::Withheld, "manifest_stale"),
    (Outcome::Withheld, "manifest_contradictory"),
    (Outcome::Withheld, "build_not_allowed"),
    (Outcome::Withheld, "manifest_changed"),
    (Outcome::Withheld, "not_durable"),
    (Outcome::Withheld, "refusal"),
    (Outcome::Withheld, "unchecked"),
    (Outcome::Withheld, "other"),
    (Outcome::Shed, "hard_ceiling"),
    (Outcome::Shed, "backend_busy"),
    (Outcome::Shed, "lane_full"),
    (Outcome::Shed, "lane_busy"),
    (Outcome::Shed, "bracket"),
    (Outcome::Shed, "no_time_left"),
    (Outcome::Shed, "retry_budget"),
    (Outcome::Shed, "kiosk_rate"),
    (Outcome::Shed, "memory"),
    (Outcome::Shed, "shed"),
    (Outcome::Shed, "closed"),
    (Outcome::Shed, "disabled"),
    (Outcome::Shed, "maintenance"),
    (Outcome::Shed, "kind_closed"),
    (Outcome::Shed, "kind_not_issued"),
    (Outcome::Shed, "suspended"),
    (Outcome::Shed, "kiosk_suspended"),
    (Outcome::Shed, "switched_off"),
    (Outcome::Shed, "other_machine"),
    (Outcome::Shed, "manifest_missing"),
    (Outcome::Shed, "manifest_unread"),
    (Outcome::Shed, "manifest_unreadable"),
    (Outcome::Shed, "manifest_stale"),
    (Outcome::Shed, "manifest_contradictory"),
    (Outcome::Shed, "build_not_allowed"),
    (Outcome::Shed, "draining"),
    (Outcome::Shed, "other"),
    (Outcome::Expired, "expired"),
    (Outcome::Expired, "late"),
    (Outcome::Expired, "other"),
    (Outcome::Rejected, "malformed"),
    (Outcome::Rejected, "missing_fact"),
    (Outcome::Rejected, "malformed_fact"),
    (Outcome::Rejected, "undeclared_path"),
    (Outcome::Rejected, "method_not_allowed"),
    (Outcome::Rejected, "too_large"),
    (Outcome::Rejected, "headers_too_large"),
    (Outcome::Rejected, "slow_request"),
    (Outcome::Rejected, "unsupported_encoding"),
    (Outcome::Rejected, "unknown_session"),
    (Outcome::Rejected, "session_conflict"),
    (Outcome::Rejected, "unknown_municipality"),
    (Outcome::Rejected, "unproven_resident"),
    (Outcome::Rejected, "key_reused"),
    (Outcome::Rejected, "confirmed"),
    (Outcome::Rejected, "abandoned"),
    (Outcome::Rejected, "erased"),
    (Outcome::Rejected, "not_kept"),
    (Outcome::Rejected, "other"),
    (Outcome::Failed, "unavailable"),
    (Outcome::Failed, "unreachable"),
    (Outcome::Failed, "backend_suspended"),
    (Outcome::Failed, "lookup"),
    (Outcome::Failed, "timeout"),
    (Outcome::Failed, "reset"),
    (Outcome::Failed, "not_durable"),
    (Outcome::Failed, "internal"),
    (Outcome::Failed, "other"),
    (Outcome::Indeterminate, "indeterminate"),
    (Outcome::Indeterminate, "timeout"),
    (Outcome::Indeterminate, "reset"),
    (Outcome::Indeterminate, "withheld"),
    (Outcome::Indeterminate, "outcome_unknown"),
    (Outcome::Indeterminate, "other"),
    (Outcome::Cancelled, "hung_up"),
    (Outcome::Cancelled, "other"),
];

/// A row of [`REASONS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason(usize);

impl Reason {
    /// The row of `word` under `outcome`, else that outcome's `other`.
    pub fn of(outcome: Outcome, word: &str) -> Self {
        let exact = REASONS.iter().position(|row| *row == (outcome, word));
        let row = exact.or_else(|| REASONS.iter().position(|row| *row == (outcome, "other")));
        // Every outcome has an `other`, which a test proves.
        Self(row.unwrap_or(0))
    }

    /// The label value.
    pub fn word(self) -> &'static str {
        REASONS.get(self.0).map_or("other", |(_, word)| word)
    }

    /// Its row, for arrays of handles.
    pub(super) fn index(self) -> usize {
        self.0
    }
}
