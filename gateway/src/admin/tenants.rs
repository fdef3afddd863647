//! What an operator sees of each municipality: served now or why not, and what stands in the way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde::Serialize;

use crate::config::{Config, code_of};
use crate::edge::Edge;
use crate::latch;
use crate::manifest::{Field, Manifests, Source};
use crate::switch;
use crate::tenant::{Hours, Tenant};

/// One municipality.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    code: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<String>,
    /// `open`, or the reason for a no.
    state: &'static str,
    mode: &'static str,
    hours: String,
    /// Kinds of certificates; absent = every kind that a route has.
    #[serde(skip_serializing_if = "Option::is_none")]
    kinds: Option<Vec<&'static str>>,
    /// `table`, `file`, or `kept` where its file is broken and the last good policy holds.
    policy: &'static str,
    /// `unasked`, `allowed`, `shielded`, or why its backends may not serve it.
    attested: &'static str,
    /// Whether this machine alone serves it: `not declared`, `declared, not proven`, `proven`.
    exclusive: &'static str,
    /// What its backends are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    backends: Vec<Attesting>,
    latches: Vec<String>,
    switches: Vec<String>,
}

/// A backend that attests what it is.
#[derive(Debug, Clone, Serialize)]
struct Attesting {
    backend: String,
    /// `read`, or why it is not known.
    manifest: &'static str,
    #[serde(flatten)]
    fields: BTreeMap<&'static str, String>,
}

fn attesting(config: &Config, manifests: &Manifests, now: Instant) -> Vec<Attesting> {
    let sources = config.backends.iter().filter_map(|(name, backend)| Some((name, backend.manifest.as_ref()?)));
    let row = |(name, source): (&std::sync::Arc<str>, &std::sync::Arc<Source>)| {
        let state = manifests.state(name, source, now);
        let fields = Field::ALL.into_iter().filter_map(|field| Some((field.name(), state.field(field)?.to_string())));
        Attesting { backend: name.to_string(), manifest: state.name(), fields: fields.collect() }
    };
    sources.map(row).collect()
}

/// Every municipality, by code; one whose file is broken and that has no policy is there as well.
pub(super) fn list(edge: &Edge) -> Vec<Row> {
    let (config, now) = (edge.config(), edge.clock.now_in_japan());
    let broken: BTreeSet<_> = config.tenant_files.broken.keys().filter_map(|name| code_of(name)).collect();
    let mut latches: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for latch in edge.latches.list().into_iter().filter(|latch| latch.suspends && latch.cleared.is_none()) {
        if let latch::Scope::Kind(Some(code), kind) = latch.scope {
            latches.entry(code).or_default().push(format!("{} {}", latch.id, kind.name()));
        }
    }
    let off = edge.switches.off();
    let (manifests, instant) = (edge.gate.in_force().manifests(), Instant::now());
    let backends = attesting(&config, manifests, instant);
    // Proof is the word of every backend that makes documents.
    let alone = |tenant: &Tenant| match (&tenant.machine, manifests.are_exclusive(&config, instant)) {
        (None, _) => "not declared",
        (Some(_), true) => "proven",
        (Some(_), false) => "declared, not proven",
    };
    let row = |tenant: &Tenant| {
        let concerns = |scope: &&switch::Scope| match scope {
            switch::Scope::All | switch::Scope::Kind(_) | switch::Scope::Backend(_) => true,
            switch::Scope::Municipality(code) | switch::Scope::Here(code, _) => *code == tenant.code,
        };
        Row {
            code: tenant.code.to_string(),
            name: tenant.name.to_string(),
            contact: tenant.contact.as_deref().map(str::to_owned),
            state: tenant.serves(None, now).map_or_else(|why| why.name(), |()| "open"),
            mode: tenant.mode.name(),
            hours: hours(&tenant.hours),
            kinds: tenant.kinds.as_ref().map(|kinds| kinds.keys().map(|kind| kind.name()).collect()),
            policy: match (broken.contains(&tenant.code), config.tenant_files.loaded.contains(&tenant.code)) {
                (true, _) => "kept",
                (false, true) => "file",
                (false, false) => "table",
            },
            attested: manifests
                .vouch_everywhere(tenant, &config, instant)
                .map_or_else(|why| why.name(), |standing| standing.name()),
            exclusive: alone(tenant),
            backends: backends.clone(),
            latches: latches.get(&tenant.code).cloned().unwrap_or_default(),
            switches: off.iter().filter(concerns).map(ToString::to_string).collect(),
        }
    };
    let mut rows: Vec<Row> = config.tenants.values().map(|tenant| row(tenant)).collect();
    let unknown = broken.iter().filter(|code| !config.tenants.contains_key(*code));
    rows.extend(unknown.map(|code| Row {
        code: code.to_string(),
        name: String::new(),
        contact: None,
        state: "tenant_file_broken",
        mode: "",
        hours: String::new(),
        kinds: None,
        policy: "none",
        attested: "",
        exclusive: "",
        backends: Vec::new(),
        latches: latches.get(code).cloned().unwrap_or_default(),
        switches: Vec::new(),
    }));
    rows.sort_by(|a, b| a.code.cmp(&b.code));
    rows
}

fn hours(hours: &Hours) -> String {
    match hours.daily {
        None => "always".to_owned(),
        Some((from, to)) => format!("{}-{}", from.strftime("%H:%M"), to.strftime("%H:%M")),
    }
}
