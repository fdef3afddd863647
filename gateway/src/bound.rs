//! A request with its facts, its route and its seal: frozen, and the only thing that dispatch and the gate are given.

use std::sync::Arc;

use http::HeaderValue;
use sekisho_issuance::binding::{Binding, BindingKey};
use sekisho_issuance::context::RequestContext;
use sekisho_issuance::request::Facts;

use crate::canary::Visit;
use crate::route::{Mode, Route};
use crate::tenant::Tenant;

/// Who asked for what, sealed. No setter exists.
#[derive(Debug)]
pub struct Bound {
    context: RequestContext,
    facts: Arc<Facts>,
    route: Arc<Route>,
    tenant: Option<Arc<Tenant>>,
    binding: Binding,
    nonce: u128,
    correlation: Option<HeaderValue>,
    canary: Option<Arc<str>>,
}

impl Bound {
    /// Seals `facts` of `context` on `route`. `correlation` is the client's own correlation id, to be handed back as it came.
    pub fn seal(
        key: &BindingKey,
        context: RequestContext,
        facts: impl Into<Arc<Facts>>,
        route: Arc<Route>,
        tenant: Option<Arc<Tenant>>,
        nonce: u128,
        correlation: Option<HeaderValue>,
    ) -> Self {
        let facts = facts.into();
        let binding = Binding::seal(key, &context, &route.name, &facts, nonce);
        Self { context, facts, route, tenant, binding, nonce, correlation, canary: None }
    }

    /// The same as a canary's, where `visit` says so.
    pub fn asked_by(self, visit: Option<&Visit>) -> Self {
        Self { canary: visit.map(|visit| visit.canary().clone()), ..self }
    }

    /// Who, when, until when.
    pub fn context(&self) -> &RequestContext {
        &self.context
    }

    /// What was asked.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The declared operation.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// The municipality; `None` only on `pass` routes.
    pub fn tenant(&self) -> Option<&Arc<Tenant>> {
        self.tenant.as_ref()
    }

    /// The seal.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// The nonce that goes out with the attempt.
    pub fn nonce(&self) -> u128 {
        self.nonce
    }

    /// The client's own correlation id.
    pub fn correlation(&self) -> Option<&HeaderValue> {
        self.correlation.as_ref()
    }

    /// The canary that asks, where no kiosk does.
    pub fn canary(&self) -> Option<&Arc<str>> {
        self.canary.as_ref()
    }

    /// Enforce, unless route and municipality both observe.
    pub fn mode(&self) -> Mode {
        self.tenant.as_ref().map_or(self.route.mode, |t| t.mode.max(self.route.mode))
    }
}
