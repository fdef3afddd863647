//! Why an answer stays in, and what the kiosk hears of it: a code, never a byte of the answer.

use sekisho_issuance::request::Operation;
use sekisho_issuance::verdict::{Finding, Verdict};

use crate::bound::Bound;
use crate::latch::{EvidenceId, LatchId};
use crate::problem::{Code, Problem};

/// An answer that was kept in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withheld {
    code: Code,
    reason: &'static str,
    evidence: Option<EvidenceId>,
    latch: Option<LatchId>,
}

/// Why nobody is there for an answer any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// The kiosk hung up.
    HungUp,
    /// The session was closed or abandoned, is too old, or another card is present.
    SessionOver,
}

impl From<Gone> for Withheld {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::HungUp => Self::under(Code::Expired, "hung_up"),
            Gone::SessionOver => Self::new("session_over", None),
        }
    }
}

impl Withheld {
    pub(super) fn new(reason: &'static str, evidence: Option<EvidenceId>) -> Self {
        Self { code: Code::Withheld, reason, evidence, latch: None }
    }

    pub(super) fn under(code: Code, reason: &'static str) -> Self {
        Self { code, reason, evidence: None, latch: None }
    }

    /// Nobody can wait for it any more: the kiosk hears of the time, not of a check.
    pub(super) fn late(self) -> Self {
        Self { code: Code::Expired, reason: "late", ..self }
    }

    pub(super) fn latched(mut self, latch: Result<LatchId, LatchId>) -> Self {
        if let Err(latch) = &latch {
            tracing::error!(%latch, "a latch could not be made durable; it holds until this process ends");
        }
        self.latch = Some(latch.unwrap_or_else(|latch| latch));
        self
    }

    /// Whether it stays in only because nobody waits for it any more.
    pub(crate) fn is_unheard(&self) -> bool {
        self.code == Code::Expired
    }

    /// A stable word.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// What was kept of it.
    pub fn evidence(&self) -> Option<&EvidenceId> {
        self.evidence.as_ref()
    }

    /// The latch that it set.
    pub fn latch(&self) -> Option<&LatchId> {
        self.latch.as_ref()
    }

    /// What the kiosk hears. A change whose acknowledgement is withheld may have been made: that is said, with its key.
    pub fn problem(&self, bound: &Bound) -> Problem {
        if bound.route().operation != Operation::Amend {
            return Problem::because(self.code, self.reason);
        }
        let problem = Problem::because(Code::Indeterminate, "withheld");
        let key = bound.facts().idempotency_key.as_ref();
        key.map_or(problem.clone(), |key| problem.with_key(key.expose()))
    }
}

/// The word for it: the seal, else the check that confirms most, else the first that did not match.
pub(super) fn reason(seal: Result<(), &'static str>, findings: &[Finding]) -> &'static str {
    if let Err(broken) = seal {
        return broken;
    }
    let failed = || findings.iter().filter(|f| f.verdict != Verdict::Match);
    failed().find(|f| f.is_confirmed()).or_else(|| failed().next()).map_or("unchecked", |f| f.check.name())
}
