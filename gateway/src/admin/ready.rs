//! Whether we can answer, and each polite no that we would give; also the gauges that are only known when asked.

use std::sync::atomic::Ordering;
use std::time::Instant;

use serde::Serialize;

use crate::bracket::Stage;
use crate::canary::Seen;
use crate::edge::Edge;
use crate::manifest::Unattested;
use crate::registry::name;
use crate::route::Mode;

/// `/readyz`: true while the gateway can answer, also when the answer is a no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// False only while starting or draining.
    pub ready: bool,
    /// Why some or all would hear a no.
    pub reasons: Vec<Unready>,
}

/// One reason for a no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unready {
    /// `draining`, `not_durable`, `latched`, `switched_off`, `observing`, `closed`, `maintenance`, `disabled`,
    /// `tenant_file_broken`, `backend_suspended`, `not_reloaded`, `tls_files_broken`, `bracket_unknown`,
    /// `canary_failed`, `canary_not_withheld` (neither of which says no to anybody),
    /// or why a municipality is suspended for what its backends attest.
    pub reason: &'static str,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

/// Collects every reason.
pub fn readiness(edge: &Edge) -> Readiness {
    let mut reasons = Vec::new();
    let mut say = |reason, about| reasons.push(Unready { reason, about });
    let draining = edge.drain.begun();
    if draining {
        say("draining", None);
    }
    if !edge.remembers() {
        say("not_durable", None);
    }
    for latch in edge.latches.list().into_iter().filter(|l| l.suspends && l.cleared.is_none()) {
        say("latched", Some(latch.scope.to_string()));
    }
    for scope in edge.switches.off() {
        say("switched_off", Some(scope.to_string()));
    }
    if edge.not_reloaded.load(Ordering::Relaxed) {
        say("not_reloaded", None);
    }
    for bracket in edge.brackets.list().into_iter().filter(|bracket| bracket.stage == Stage::Unknown) {
        say("bracket_unknown", Some(format!("{}: bracket {}", bracket.municipality, bracket.id)));
    }
    let config = edge.config();
    for side in config.tls().filter(|side| side.broken().is_some()) {
        say("tls_files_broken", Some(side.name().to_owned()));
    }
    let now = edge.clock.now_in_japan();
    for file in config.tenant_files.broken.keys() {
        say("tenant_file_broken", Some(file.clone()));
    }
    let (manifests, instant) = (edge.gate.in_force().manifests(), Instant::now());
    let mut tenants: Vec<_> = config.tenants.values().collect();
    tenants.sort_by_key(|t| t.code);
    for tenant in tenants {
        let code = || Some(tenant.code.to_string());
        if let Err(why) = tenant.serves(None, now) {
            say(why.name(), code());
        }
        if let (true, Err(why)) = (tenant.enabled, manifests.vouch_everywhere(tenant, &config, instant)) {
            say(why.name(), code());
        }
        if tenant.enabled && tenant.mode == Mode::Observe {
            say("observing", code());
        }
    }
    for (canary, seen) in edge.canaries.alarming() {
        let reason = if seen == Seen::Failed { "canary_failed" } else { "canary_not_withheld" };
        say(reason, Some(canary.to_string()));
    }
    for backend in edge.owner.backend_states() {
        if let Some(why) = backend.suspended {
            say("backend_suspended", Some(format!("{}: {why}", backend.name)));
        }
    }
    Readiness { ready: !draining, reasons }
}

/// Sets the gauges that are computed for a scrape.
pub(super) fn publish(edge: &Edge) {
    edge.owner.publish_gauges();
    let config = edge.config();
    let now = edge.clock.now_in_japan();
    let enabled = || config.tenants.values().filter(|t| t.enabled);
    let open = config.tenants.values().any(|tenant| tenant.serves(None, now).is_ok());
    let observing = enabled().filter(|t| t.mode == Mode::Observe).count();
    edge.registry.gauge(name::SERVICE_OPEN, &[]).set(f64::from(u8::from(open)));
    edge.registry.gauge(name::TENANT_FILES_BROKEN, &[]).set(config.tenant_files.broken.len() as f64);
    // Also where none is spoken towards kiosks: what is not there cannot be told from what was forgotten.
    for metric in [name::TLS_FILES_BROKEN, name::TLS_EXPIRY] {
        edge.registry.gauge(metric, &[("side", "kiosks")]).set(0.0);
    }
    for side in config.tls() {
        let labels = [("side", side.name())];
        edge.registry.gauge(name::TLS_FILES_BROKEN, &labels).set(f64::from(u8::from(side.broken().is_some())));
        if let Some(until) = side.until() {
            edge.registry.gauge(name::TLS_EXPIRY, &labels).set(until.as_second() as f64);
        }
    }
    let (manifests, instant) = (edge.gate.in_force().manifests(), Instant::now());
    let mut unattested = Unattested::NAMES.map(|word| (word, 0_u32));
    for why in enabled().filter_map(|tenant| manifests.vouch_everywhere(tenant, &config, instant).err()) {
        unattested.iter_mut().filter(|(word, _)| *word == why.name()).for_each(|(_, count)| *count += 1);
    }
    for (word, count) in unattested {
        edge.registry.gauge(name::TENANTS_UNATTESTED, &[("reason", word)]).set(f64::from(count));
    }
    edge.registry.gauge(name::OBSERVING, &[]).set(observing as f64);
    edge.registry.gauge(name::BUILD_INFO, &[("version", env!("CARGO_PKG_VERSION"))]).set(1.0);
}
