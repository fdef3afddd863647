//! `facts` and `learn`: where the facts of a request stand.

use std::sync::Arc;

use http::HeaderName;
use sekisho_issuance::answer::Dialect;

use super::dialects;
use super::section::{Placed, Section};
use super::source::{Findings, did_you_mean};
use crate::route::{Extractor, FactName, FactRule};
use crate::tls::ClientField;

const EXAMPLE: &str = "{ header = \"X-Session\" }, { path = \"id\" }, { query = \"id\" }, { json = \"/id\" }, { xml = \"//j:Id\" }, { form = \"id\" } or { client_cert = \"san_uri\" }; a `session` may be { connection = true }";

/// The `facts` table; `params` are the names of the path's segments.
pub(super) fn table(
    section: &mut Section<'_>,
    key: &'static str,
    params: &[Arc<str>],
    dialect: &Dialect,
    found: &mut Findings,
) -> Vec<FactRule> {
    let Some(table) = section.section(found, key) else { return Vec::new() };
    let mut rules = Vec::new();
    for (name, value) in table.entries() {
        if !FactName::is_name(name.value) {
            name.wrong(found, "is not a fact's name ([a-z][a-z0-9_]*)", "");
            continue;
        }
        let fact = FactName::parse(name.value);
        if fact == FactName::Kind {
            name.wrong(found, "is said by the route itself", "kind = \"resident_record\" in the route");
            continue;
        }
        let Some(entry) = value.get_ref().as_table() else {
            name.wrong(found, "must say where it stands", EXAMPLE);
            continue;
        };
        let mut entry = Section::new(entry, name.key.clone(), value.span());
        let mut vouched = None;
        let from = extractor(&mut entry, &name, params, dialect, &mut vouched, found);
        let default = entry.text(found, "default", "self");
        if let Some(default) = &default
            && !matches!(fact, FactName::Selection(_))
        {
            default.wrong(found, "is only for items of the selection: an identity has no default", "remove it");
        }
        entry.finish(found);
        if let Some(from) = from {
            if from == Extractor::Connection && fact != FactName::Session {
                name.wrong(found, "stands in no connection: only a `session` may", EXAMPLE);
            }
            rules.push(FactRule { fact, from, vouched, default: default.map(|d| d.value.into()) });
        }
    }
    rules
}

/// The `learn` table: facts that only the answer holds.
pub(super) fn learned(section: &mut Section<'_>, dialect: &Dialect, found: &mut Findings) -> Vec<FactRule> {
    let span = section.place("learn");
    let key = section.key("learn");
    let rules = table(section, "learn", &[], dialect, found);
    for rule in &rules {
        let key = format!("{key}.{}", rule.fact.name());
        if !matches!(rule.fact, FactName::Session | FactName::Resident) {
            found.mistake(&span, key, "cannot be learned from an answer", "only `session` and `resident` can");
        } else if rule.vouched.is_some() || !matches!(rule.from, Extractor::Body(_) | Extractor::Header(_)) {
            found.mistake(&span, key, "must stand in the answer", "{ json = \"/sessionId\" }");
        }
    }
    rules
}

fn extractor(
    entry: &mut Section<'_>,
    name: &Placed<&str>,
    params: &[Arc<str>],
    dialect: &Dialect,
    vouched: &mut Option<ClientField>,
    found: &mut Findings,
) -> Option<Extractor> {
    let before = found.mistakes.len();
    let mut from = Vec::new();
    if let Some(placed) = entry.text(found, "header", "X-Session") {
        match HeaderName::from_bytes(placed.value.to_ascii_lowercase().as_bytes()) {
            Ok(header) => from.push(Extractor::Header(header)),
            Err(_) => placed.wrong(found, "is not a header name", "\"X-Session\""),
        }
    }
    if let Some(placed) = entry.text(found, "path", "id") {
        if params.iter().any(|p| p.as_ref() == placed.value) {
            from.push(Extractor::Path(placed.value.into()));
        } else {
            let suggestion = match did_you_mean(placed.value, params.iter().map(AsRef::as_ref)) {
                Some(near) => format!("{near:?}"),
                None => format!("a segment `{{{}}}` in `match`", placed.value),
            };
            placed.wrong(found, "names no segment of `match`", suggestion);
        }
    }
    if let Some(placed) = entry.text(found, "query", "id") {
        from.push(Extractor::Query(placed.value.into()));
    }
    from.extend(dialects::places(entry, dialect, found).into_iter().map(Extractor::Body));
    if entry.flag(found, "connection").unwrap_or(false) {
        from.push(Extractor::Connection);
    }
    let client = client_field(entry, found);
    if client.is_some() && from.contains(&Extractor::Connection) {
        name.wrong(found, "must name exactly one place", EXAMPLE);
    }
    if from.is_empty() {
        from.extend(client.map(Extractor::Client));
    } else {
        *vouched = client;
    }
    if from.len() != 1 && found.mistakes.len() == before {
        name.wrong(found, "must name exactly one place", EXAMPLE);
    }
    (from.len() == 1).then(|| from.pop()).flatten()
}

/// What of a kiosk's TLS identity is meant by `client_cert`.
pub(super) fn client_field(entry: &mut Section<'_>, found: &mut Findings) -> Option<ClientField> {
    let placed = entry.text(found, "client_cert", "san_uri")?;
    let field = ClientField::ALL.into_iter().find(|(name, _)| *name == placed.value);
    if field.is_none() {
        let names = ClientField::ALL.map(|(name, _)| name);
        let suggestion = match did_you_mean(placed.value, names) {
            Some(near) => format!("{near:?}"),
            None => format!("one of: {}", names.join(", ")),
        };
        placed.wrong(found, "names nothing of a TLS identity", suggestion);
    }
    field.map(|(_, field)| field)
}
