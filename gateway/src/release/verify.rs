//! The only maker of [`Released`]: what is not matched in full does not become one.

use std::sync::Arc;

use sekisho_issuance::verdict::{Finding, Verdict};

use crate::registry::{DocumentKind, End, TenantSeries};
use crate::route::Mode;
use crate::unique::{Claim, Digests};

/// Something that may leave. Nobody outside this file can make one, and only the response writer takes one apart.
///
/// ```compile_fail,E0451
/// // Its fields are private: a release cannot be forged.
/// let forged = sekisho_gateway::release::Released { value: (), pass: unreachable!() };
/// ```
#[must_use = "dropping it destroys a verified answer"]
pub struct Released<T> {
    value: T,
    pass: Pass,
}

/// Counts what becomes of one release. Dropped before anything left, it counts a destroyed document and gives the claim back.
pub struct Pass {
    series: Series,
    mode: Mode,
    verified: bool,
    claim: Option<Claim>,
    ended: bool,
}

/// Under which series it is counted.
pub(super) struct Series {
    pub(super) tenant: Arc<TenantSeries>,
    pub(super) document: DocumentKind,
}

/// All that decides.
pub(super) struct Judgement<'a> {
    /// Binding, fence and digest, as they came back.
    pub(super) seal: Result<(), &'static str>,
    /// What every check said.
    pub(super) findings: &'a [Finding],
    /// An answer about a resident that no check spoke about does not pass.
    pub(super) must_be_checked: bool,
    /// `observe` lets an answer through whose checks did not match, but never one whose seal is broken.
    pub(super) mode: Mode,
}

/// Decides; `Err` hands the value back to be kept in.
pub(super) fn verify<T>(
    value: T,
    judgement: Judgement<'_>,
    series: Series,
    claim: Option<Claim>,
) -> Result<Released<T>, T> {
    let Judgement { seal, findings, must_be_checked, mode } = judgement;
    let spoken = !findings.is_empty() || !must_be_checked;
    let matched = spoken && findings.iter().all(|f| f.verdict == Verdict::Match);
    if seal.is_err() || !(matched || mode == Mode::Observe) {
        return Err(value);
    }
    if matched {
        series.tenant.count_verified(series.document, mode);
    }
    Ok(Released { value, pass: Pass { series, mode, verified: matched, claim, ended: false } })
}

impl<T> Released<T> {
    /// What may leave.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// `false` only in `observe`.
    pub fn is_verified(&self) -> bool {
        self.pass.verified
    }

    /// What `unique` holds for it.
    pub(crate) fn digests(&self) -> Option<&Digests> {
        self.pass.claim.as_ref().map(Claim::digests)
    }

    /// For the response writer alone.
    pub(crate) fn into_parts(self) -> (T, Pass) {
        (self.value, self.pass)
    }
}

impl Pass {
    /// The first byte is leaving.
    pub(crate) fn left(mut self) {
        self.ended = true;
        self.series.tenant.count_ended(self.mode, End::Released);
        if !self.verified {
            self.series.tenant.count_unverified();
        }
        if let Some(claim) = self.claim.take() {
            claim.keep();
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.ended && self.verified {
            self.series.tenant.count_ended(self.mode, End::Destroyed);
        }
    }
}
