//! The configuration: read once, every mistake collected, compiled and then frozen. Never half applied.

mod audit;
mod authority;
mod backends;
mod canaries;
mod clock;
mod dialects;
mod facts;
mod fetch;
mod listeners;
mod lookups;
mod manifest;
mod problems;
mod quantity;
mod reference;
mod refusals;
mod routes;
mod rules;
mod section;
mod source;
mod tenant_files;
mod tenants;
mod tls;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use sekisho_issuance::id::{KioskId, MunicipalityCode};
use sekisho_worker::tls::{BackendTls, Refreshed};
use toml::de::DeTable;

use crate::canary::Canary;
use crate::clock::Trust;
use crate::route::{FactName, Mode, Routes};
use crate::session::Scope;
use crate::tenant::Tenant;
use crate::tls::ServerTls;
use section::{Placed, Section};
use source::Findings;

pub use audit::Audit;
pub use backends::{Backend, Shield};
pub use listeners::{Listeners, Server, SessionLimits};
pub(crate) use quantity::duration;
pub use reference::{markdown, schema};
pub(crate) use routes::{CARD_FIELD, MUNICIPALITY_FIELD};
pub use source::{Mistake, Note};
pub use tenant_files::TenantFiles;
pub(crate) use tenant_files::{about, code_of};

/// The layout of the file that this build reads.
const LAYOUT: usize = 1;
/// A longer file is refused unread.
pub const MAX_FILE_BYTES: usize = 4 << 20;

/// A configuration that `check` accepts.
#[derive(Debug)]
pub struct Config {
    /// Listeners, limits and the state directory: fixed until a restart.
    pub listeners: Listeners,
    /// Enforce, unless the file says otherwise.
    pub mode: Mode,
    /// Who says that the clock is right.
    pub clock: Trust,
    /// How long records and evidence are kept, and to whom evidence is sealed.
    pub audit: Audit,
    /// Backends by name.
    pub backends: BTreeMap<Arc<str>, Backend>,
    /// Declared operations.
    pub routes: Routes,
    /// Synthetic residents whose documents are asked for on a schedule.
    pub canaries: BTreeMap<Arc<str>, Arc<Canary>>,
    /// Whether session ids are unique by themselves.
    pub session_scope: Scope,
    /// Municipalities.
    pub tenants: HashMap<MunicipalityCode, Arc<Tenant>>,
    /// The files that some of them came from, and those that could not be taken over.
    pub tenant_files: TenantFiles,
    /// What an operator must know although it is allowed.
    pub notes: Vec<Note>,
    /// BLAKE3 of the text and of the files that it names, for logs and records.
    pub digest: [u8; 32],
}

/// One side on which TLS is spoken.
#[derive(Debug, Clone, Copy)]
pub enum TlsSide<'c> {
    /// Towards kiosks.
    Kiosks(&'c ServerTls),
    /// Towards a backend, by its name.
    Backend(&'c str, &'c BackendTls),
}

impl TlsSide<'_> {
    /// Looks whether its files changed, and takes them over.
    pub fn refresh(self) -> Refreshed {
        match self {
            Self::Kiosks(tls) => tls.refresh(),
            Self::Backend(_, tls) => tls.refresh(),
        }
    }

    /// `kiosks`, or the backend's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Kiosks(_) => "kiosks",
            Self::Backend(name, _) => name,
        }
    }

    /// Why its files are not in force as they are, if so.
    pub fn broken(&self) -> Option<String> {
        match self {
            Self::Kiosks(tls) => tls.broken(),
            Self::Backend(_, tls) => tls.broken(),
        }
    }

    /// When the identity that we show there ends; `None` where we show none.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Kiosks(tls) => tls.until(),
            Self::Backend(_, tls) => tls.until(),
        }
    }
}

impl Config {
    /// Whether a canary stands at that kiosk.
    pub fn is_canarys(&self, kiosk: &KioskId) -> bool {
        self.canaries.values().any(|canary| canary.kiosks.contains(kiosk))
    }

    /// Every side on which TLS is spoken.
    pub fn tls(&self) -> impl Iterator<Item = TlsSide<'_>> {
        let kiosks = self.listeners.server.tls.as_deref().map(TlsSide::Kiosks);
        let backends = self.backends.iter().filter_map(|(name, b)| Some(TlsSide::Backend(name, b.tls.as_deref()?)));
        kiosks.into_iter().chain(backends)
    }
}

/// Reads a configuration that names no other file; `Err` holds every mistake, in the order of their lines. Never panics on any text.
pub fn parse(text: &str) -> Result<Config, Vec<Mistake>> {
    parse_in(text, None)
}

/// The same, with the files that it names beside it in `folder`.
pub fn parse_in(text: &str, folder: Option<&Path>) -> Result<Config, Vec<Mistake>> {
    parse_into(text, &mut Findings::new(text, folder))
}

fn parse_into(text: &str, found: &mut Findings) -> Result<Config, Vec<Mistake>> {
    if text.len() > MAX_FILE_BYTES {
        found.mistake(&rules::NOWHERE, "file", format!("is longer than {MAX_FILE_BYTES} bytes"), "");
        return Err(std::mem::take(&mut found.mistakes));
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        found.mistake(&error.span().unwrap_or(rules::NOWHERE), "toml", error.message().replace('\n', " "), "");
    }
    if !found.mistakes.is_empty() {
        return Err(std::mem::take(&mut found.mistakes));
    }
    let mut root = Section::new(root.get_ref(), String::new(), rules::NOWHERE);
    match root.count(found, "version", 1, usize::MAX) {
        Some(version) if version.value != LAYOUT => {
            version.wrong(found, format!("is a layout that this build does not read ({LAYOUT})"), "version = 1");
        }
        Some(_) => {}
        None if root.has("version") => {}
        None => found.mistake(&rules::NOWHERE, "version", "is missing", "version = 1"),
    }
    let mode = mode(&mut root, None, found);
    let listeners = listeners::read(&mut root, found);
    let clock = clock::read(&mut root, found);
    let audit = audit::read(&mut root, found);
    let dialects = dialects::read(&mut root, found);
    let backends = backends::read(&mut root, &dialects, found);
    let lookups = lookups::read(&mut root, &backends, &dialects, found);
    let problems = problems::read(&mut root, found);
    let (tenants, tenant_files) = tenants::read(&mut root, mode, &backends, found);
    let around = routes::Around::new(&root, mode, &backends, &dialects, &lookups, &problems);
    let routes = routes::read(&mut root, &around, found);
    if !root.has("clock") {
        clock::needed(&clock, &routes, found);
    }
    if routes.is_empty() && !root.has("routes") {
        found.mistake(
            &rules::NOWHERE,
            "routes",
            "is missing: nothing is declared, so everything is refused",
            "[routes.NAME]",
        );
    }
    let canaries = canaries::read(&mut root, &routes, found);
    root.finish(found);
    let mut mistakes = std::mem::take(&mut found.mistakes);
    let mut notes = std::mem::take(&mut found.notes);
    notes.sort_by_key(|note| note.line);
    mistakes.sort_by_key(|mistake| mistake.line);
    match listeners {
        Some(listeners) if mistakes.is_empty() => {
            let digest = digest(text, &found.files);
            let learned = routes.iter().any(|route| route.learn.iter().any(|rule| rule.fact == FactName::Session));
            let session_scope = if learned { Scope::Backend } else { Scope::Kiosk };
            let routes = Routes::new(routes);
            Ok(Config {
                listeners,
                mode,
                clock,
                audit,
                backends,
                routes,
                canaries,
                session_scope,
                tenants,
                tenant_files,
                notes,
                digest,
            })
        }
        _ => Err(mistakes),
    }
}

/// Of the text, and of the files that it names.
fn digest(text: &str, files: &BTreeMap<String, Vec<u8>>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(text.as_bytes());
    for (name, bytes) in files {
        hasher.update(name.as_bytes()).update(blake3::hash(bytes).as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// `mode`, absent = what stands `above`; it may only be as strict or stricter. Above the whole file stands nothing, and its is
/// `enforce` when absent.
fn mode(section: &mut Section<'_>, above: Option<Mode>, found: &mut Findings) -> Mode {
    let Some(placed) = section.text(found, "mode", "enforce") else {
        return above.unwrap_or(Mode::Enforce);
    };
    let written = match placed.value {
        "observe" => Mode::Observe,
        "enforce" => Mode::Enforce,
        _ => {
            placed.wrong(found, "must be `observe` or `enforce`", "mode = \"enforce\"");
            return Mode::Enforce;
        }
    };
    let above = above.unwrap_or(Mode::Observe);
    if written < above {
        placed.wrong(found, "may only be stricter than the file's `mode`", "mode = \"enforce\"");
        return above;
    }
    written
}

/// Names of tables that become metric labels.
fn label(name: &Placed<&str>, found: &mut Findings) {
    let fits = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    if name.value.is_empty() || name.value.len() > 64 || !name.value.bytes().all(fits) {
        name.wrong(found, "becomes a metric label and must be [a-z0-9_-], at most 64", "resident_record");
    }
}

#[cfg(test)]
mod tests;
