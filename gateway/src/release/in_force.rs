//! What the configuration in force says when an answer is about to leave: a reload while it was fetched holds for it too.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use sekisho_issuance::request::Operation;

use crate::bound::Bound;
use crate::config::Config;
use crate::evidence::EvidenceKey;
use crate::manifest::{Manifests, Unattested};
use crate::route::Mode;

/// The configuration in force, and what its backends attest; before there is one, nothing is served and no clock is right.
#[derive(Debug, Default)]
pub struct InForce(ArcSwapOption<Config>, Manifests);

impl InForce {
    /// Takes a configuration over, for what is in flight as well.
    pub fn set(&self, config: Arc<Config>) {
        self.0.store(Some(config));
    }

    /// Whether what was asked is still served as it was asked: its route declared, its municipality enabled, and nothing unverified
    /// where the checks are enforced by now.
    pub(super) fn serves(&self, bound: &Bound, verified: bool) -> bool {
        let config = self.0.load();
        let Some(config) = config.as_ref() else { return false };
        let Some(route) = config.routes.get(&bound.route().name) else { return false };
        if (route.operation, route.kind) != (bound.route().operation, bound.route().kind) {
            return false;
        }
        let Some(code) = bound.facts().municipality else { return verified || route.mode == Mode::Observe };
        config.tenants.get(&code).is_some_and(|tenant| {
            tenant.enabled && tenant.issues(route.kind) && (verified || tenant.mode.max(route.mode) == Mode::Observe)
        })
    }

    /// To whom evidence of an answer is sealed, and how many bytes of answers are kept at most.
    pub(super) fn evidence(&self, bound: &Bound) -> Option<(EvidenceKey, u64)> {
        let config = self.0.load();
        let audit = &config.as_ref()?.audit;
        let of_tenant = bound.tenant().and_then(|tenant| tenant.evidence_key.clone());
        Some((of_tenant.or_else(|| audit.evidence_key.clone())?, audit.evidence_limit_bytes))
    }

    /// What backends attest.
    pub fn manifests(&self) -> &Manifests {
        &self.1
    }

    /// Whether the backends that were asked are, and were all the time, what the municipality lets serve it.
    pub(super) fn vouches(&self, bound: &Bound) -> Result<(), Unattested> {
        let config = self.0.load();
        let tenant = config.as_ref().zip(bound.facts().municipality).and_then(|(config, code)| {
            let tenant = config.tenants.get(&code).filter(|_| bound.route().operation != Operation::Close)?;
            Some((&config.backends, tenant))
        });
        // Whom nobody knows, `serves` refuses.
        let Some((backends, tenant)) = tenant else { return Ok(()) };
        self.1.vouch_since(tenant, bound.route(), backends, bound.context().arrived()).map(drop)
    }

    /// Whether the clock is known to be right.
    pub(super) fn clock_is_right(&self, now: Timestamp) -> bool {
        self.0.load().as_ref().is_some_and(|config| config.clock.is_right(now))
    }
}
