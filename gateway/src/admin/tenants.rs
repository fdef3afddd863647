//! What an operator sees of each municipality: served now or why not, and what stands in the way.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::config::code_of;
use crate::edge::Edge;
use crate::latch;
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
    latches: Vec<String>,
    switches: Vec<String>,
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
