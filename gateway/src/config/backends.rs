//! `[backends.NAME]` and its hazards: where a backend is, and what is known to be unsafe in it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Authority;
use sekisho_worker::tls::BackendTls;

use super::dialects::Dialects;
use super::manifest;
use super::section::Section;
use super::source::Findings;
use crate::manifest::{Field, Source};

/// One backend: one server, never a second active one.
#[derive(Debug, Clone, PartialEq)]
pub struct Backend {
    /// Host and port.
    pub authority: Authority,
    /// How long connecting may take.
    pub connect: Duration,
    /// Requests at once: start and ceiling of the limit.
    pub max_in_flight: usize,
    /// What an answer should take at most: the limit is lowered while most take longer and that helps. Absent = never.
    pub objective: Option<Duration>,
    /// Starts are at least this far apart, for a backend that names its files by the tick.
    pub tick_spacing: Duration,
    /// The longest that it may still write after we gave up: how long a slot rests after a surprise.
    pub settle_after_timeout: Duration,
    /// Never use a connection twice.
    pub fresh_connections: bool,
    /// TLS, where the address begins with `https://`.
    pub tls: Option<Arc<BackendTls>>,
    /// What is known to be unsafe in one build of it.
    pub shields: Vec<Shield>,
    /// How it says what it is.
    pub manifest: Option<Arc<Source>>,
}

/// A row of `hazards` that names a build: a virtual patch of that build. What it does not say is as for every other build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shield {
    /// Of which build.
    pub build: Arc<str>,
    max_in_flight: Option<usize>,
    tick_spacing: Option<Duration>,
    settle_after_timeout: Option<Duration>,
    fresh_connections: Option<bool>,
}

impl Backend {
    /// Whether hazards are declared for this very build.
    pub fn has_shield(&self, build: &str) -> bool {
        self.shields.iter().any(|shield| &*shield.build == build)
    }

    /// As it must be treated where it is known to be `build`; not knowing, with the hazards of all its builds together.
    pub fn behind(&self, build: Option<&str>) -> Self {
        let mut backend = self.clone();
        for shield in self.shields.iter().filter(|shield| build.is_none_or(|build| &*shield.build == build)) {
            let strictest = build.is_none();
            let longest =
                |base: Duration, of: Option<Duration>| of.map_or(base, |of| if strictest { base.max(of) } else { of });
            backend.max_in_flight =
                shield.max_in_flight.map_or(backend.max_in_flight, |n| n.min(backend.max_in_flight));
            backend.tick_spacing = longest(backend.tick_spacing, shield.tick_spacing);
            backend.settle_after_timeout = longest(backend.settle_after_timeout, shield.settle_after_timeout);
            let fresh = shield.fresh_connections.unwrap_or(backend.fresh_connections);
            backend.fresh_connections = fresh || (strictest && backend.fresh_connections);
        }
        backend
    }
}

pub(super) fn read(root: &mut Section<'_>, dialects: &Dialects, found: &mut Findings) -> BTreeMap<Arc<str>, Backend> {
    let mut backends = BTreeMap::new();
    for (name, mut section) in root.named(found, "backends") {
        super::label(&name, found);
        let address = section.text(found, "address", "http://10.1.2.30:8080");
        if address.is_none() && !section.has("address") {
            let (span, key) = (section.span().clone(), section.key("address"));
            found.mistake(&span, key, "is missing", "address = \"http://10.1.2.30:8080\"");
        }
        let authority = address.and_then(|placed| {
            let authority = origin(placed.value);
            if authority.is_none() {
                let message = "must be `http://host:port` or `https://host:port` without a path";
                placed.wrong(found, message, "address = \"http://10.1.2.30:8080\"");
            }
            authority
        });
        let connect = section.duration(found, "connect", "1s").unwrap_or(Duration::from_secs(1));
        let max_in_flight = section.count(found, "max_in_flight", 1, 4096).map_or(8, |c| c.value);
        let objective = section.duration(found, "objective", "800ms").filter(|objective| !objective.is_zero());
        let manifest = manifest::source(&mut section, dialects, found);
        let hazards = hazards(&mut section, manifest.as_deref(), found);
        let mut backend = Backend {
            authority: Authority::from_static("unknown"),
            connect,
            max_in_flight,
            objective,
            tick_spacing: Duration::ZERO,
            settle_after_timeout: Duration::ZERO,
            fresh_connections: false,
            tls: None,
            shields: Vec::new(),
            manifest,
        };
        let (host, secure) = (authority.as_ref().map(|(at, _)| at.host()), authority.as_ref().is_some_and(|(_, s)| *s));
        backend.tls = super::tls::backend(&mut section, host, secure, found);
        for row in hazards {
            match row.build {
                Some(_) => backend.shields.extend(row.shield()),
                None => {
                    backend.tick_spacing = row.tick_spacing.unwrap_or_default();
                    backend.settle_after_timeout = row.settle_after_timeout.unwrap_or_default();
                    backend.fresh_connections = row.fresh_connections.unwrap_or(false);
                    backend.max_in_flight = row.max_in_flight.map_or(max_in_flight, |n| n.min(max_in_flight));
                }
            }
        }
        section.finish(found);
        match authority {
            Some((authority, _)) => {
                backends.insert(name.value.into(), Backend { authority, ..backend });
            }
            None => {
                found.broken.insert(name.key);
            }
        }
    }
    backends
}

/// One row of `hazards`, or the one table that holds for every build.
struct Hazards {
    build: Option<Arc<str>>,
    max_in_flight: Option<usize>,
    tick_spacing: Option<Duration>,
    settle_after_timeout: Option<Duration>,
    fresh_connections: Option<bool>,
}

impl Hazards {
    fn shield(self) -> Option<Shield> {
        let Self { build, max_in_flight, tick_spacing, settle_after_timeout, fresh_connections } = self;
        Some(Shield { build: build?, max_in_flight, tick_spacing, settle_after_timeout, fresh_connections })
    }
}

/// A table, or a list of tables of which at most one names no build.
fn hazards(section: &mut Section<'_>, manifest: Option<&Source>, found: &mut Findings) -> Vec<Hazards> {
    const EXAMPLE: &str = "[{ tick_spacing = \"1s\" }, { build = \"V5.2-p06\", max_in_flight = 1 }]";
    let tables = match section.is_list("hazards") {
        true => section.tables(found, "hazards", EXAMPLE),
        false => section.section(found, "hazards").into_iter().collect(),
    };
    let broken = section.has("manifest") && manifest.is_none();
    let attests =
        broken || manifest.is_some_and(|source| source.fields.iter().any(|(field, _)| *field == Field::Build));
    let mut rows: Vec<Hazards> = Vec::new();
    for mut table in tables {
        let build = table.text(found, "build", "V5.2-p06");
        if rows.iter().any(|row| row.build.as_deref() == build.as_ref().map(|build| build.value)) {
            let what = if build.is_some() {
                "names a build that another row names"
            } else {
                "is a second row without `build`"
            };
            found.mistake(table.span(), table.path(), what, "one row for each build, and one for all others");
        }
        if let Some(build) = build.as_ref().filter(|_| !attests) {
            let advice = "[backends.NAME.manifest] with fields = { build = { ... } }";
            build.wrong(found, "can never be known: this backend does not say which build it is", advice);
        }
        rows.push(Hazards {
            build: build.map(|build| build.value.into()),
            max_in_flight: table.count(found, "max_in_flight", 1, 4096).map(|count| count.value),
            tick_spacing: table.duration(found, "tick_spacing", "1s"),
            settle_after_timeout: table.duration(found, "settle_after_timeout", "30s"),
            fresh_connections: table.flag(found, "fresh_connections"),
        });
        table.finish(found);
    }
    rows
}

/// Host and port, and whether TLS is spoken there.
fn origin(text: &str) -> Option<(Authority, bool)> {
    let uri: http::Uri = text.parse().ok()?;
    let secure = uri.scheme_str() == Some("https");
    let plain = (secure || uri.scheme_str() == Some("http")) && matches!(uri.path(), "" | "/") && uri.query().is_none();
    let authority = uri.authority()?.clone();
    (plain && authority.port_u16().is_some() && !authority.as_str().contains('@')).then_some((authority, secure))
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn only_a_plain_origin_is_an_address() {
        assert!(origin("http://10.1.2.30:8080").is_some());
        assert_eq!(origin("https://10.1.2.30:8443").map(|(_, secure)| secure), Some(true));
        assert!(origin("http://issuer.example:8080/").is_some());
        for wrong in ["10.1.2.30:8080", "ftp://a:1", "http://a", "http://a:1/x", "http://a:1?x", "http://u@a:1", ""] {
            assert!(origin(wrong).is_none(), "{wrong}");
        }
    }
}
