//! `[lookups.NAME]`: questions to an authority, with every fact escaped for the place where it stands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};
use sekisho_issuance::answer::{Charset, Dialect, Format};
use sekisho_issuance::checks::LookupFields;
use toml::de::DeValue;

use super::backends::Backend;
use super::dialects::{self, Dialects};
use super::listeners::bounded;
use super::section::{Placed, Section};
use super::source::{Findings, did_you_mean};
use crate::route::Lookup;
use crate::template::{Pattern, Place, RequestTemplate};

/// Replies longer than this are cut off unless the file says otherwise.
const MAX_REPLY_BYTES: usize = 256 << 10;

pub(super) type Lookups = BTreeMap<Arc<str>, Arc<Lookup>>;

pub(super) fn read(
    root: &mut Section<'_>,
    backends: &BTreeMap<Arc<str>, Backend>,
    dialects: &Dialects,
    found: &mut Findings,
) -> Lookups {
    let mut lookups = Lookups::new();
    for (name, mut section) in root.named(found, "lookups") {
        super::label(&name, found);
        let backend = backend_named(&mut section, backends, found);
        let dialect = dialects::of(&mut section, dialects, found);
        let request = match section.section(found, "request") {
            Some(request) => template(request, &dialect, found),
            None => {
                let (span, key) = (section.span().clone(), section.key("request"));
                let example = "request = { method = \"GET\", path = \"/v2/residents/{resident}\" }";
                found.mistake(&span, key, "is missing", example);
                None
            }
        };
        let timeout = section.duration(found, "timeout", "800ms").unwrap_or(Duration::from_secs(1));
        let max_response_bytes =
            bounded(section.size(found, "body_limit", "256KiB"), found, 1, 4 << 20).unwrap_or(MAX_REPLY_BYTES);
        let mut fields: LookupFields = section.foreign(found, "fields").unwrap_or_default();
        for error in fields.speak(&dialect).err().into_iter().flatten() {
            let (span, key) =
                (section.place_below("fields", &error.key), format!("{}.{}", section.key("fields"), error.key));
            found.mistake(&span, key, error.message, error.suggestion);
        }
        section.finish(found);
        let (Some(backend), Some(request)) = (backend, request) else {
            found.broken.insert(name.key);
            continue;
        };
        let name: Arc<str> = name.value.into();
        let lookup = Lookup { name: name.clone(), backend, request, timeout, fields, max_response_bytes };
        lookups.insert(name, Arc::new(lookup));
    }
    lookups
}

/// The `backend` key, which must name one.
pub(super) fn backend_named(
    section: &mut Section<'_>,
    backends: &BTreeMap<Arc<str>, Backend>,
    found: &mut Findings,
) -> Option<Arc<str>> {
    match section.text(found, "backend", "issuer") {
        Some(placed) => named(&placed, backends, "backends", found).map(|(name, _)| name.clone()),
        None => {
            if !section.has("backend") {
                let (span, key) = (section.span().clone(), section.key("backend"));
                found.mistake(&span, key, "is missing", "backend = \"issuer\"");
            }
            None
        }
    }
}

/// What `placed` names among `things`; otherwise a mistake with the nearest name.
pub(super) fn named<'m, T>(
    placed: &Placed<&str>,
    things: &'m BTreeMap<Arc<str>, T>,
    table: &str,
    found: &mut Findings,
) -> Option<(&'m Arc<str>, &'m T)> {
    let entry = things.get_key_value(placed.value);
    if entry.is_none() && !found.broken.contains(&format!("{table}.{}", placed.value)) {
        let suggestion = match did_you_mean(placed.value, things.keys().map(AsRef::as_ref)) {
            Some(known) => format!("{known:?}"),
            None => format!("[{table}.{}]", placed.value),
        };
        placed.wrong(found, format!("names `{}`, which is not in `{table}`", placed.value), suggestion);
    }
    entry
}

/// A `request` table.
pub(super) fn template(
    mut section: Section<'_>,
    dialect: &Arc<Dialect>,
    found: &mut Findings,
) -> Option<RequestTemplate> {
    let method = section.text(found, "method", "GET").map_or(Some(Method::GET), |placed| {
        let method = match placed.value {
            "GET" => Some(Method::GET),
            "POST" => Some(Method::POST),
            _ => None,
        };
        if method.is_none() {
            placed.wrong(found, "must be GET or POST: it only reads", "method = \"GET\"");
        }
        method
    });
    let path = match section.text(found, "path", "/v2/residents/{resident}") {
        Some(placed) if placed.value.starts_with('/') && !placed.value.contains(['?', '#', ' ']) => {
            pattern(&placed, Place::Path, found)
        }
        Some(placed) => {
            let example = "path = \"/v2/residents/{resident}\"; parameters go to `query`";
            placed.wrong(found, "must begin with `/` and hold no `?`, `#` or space", example);
            None
        }
        None => {
            let (span, key) = (section.span().clone(), section.key("path"));
            found.mistake(&span, key, "is missing", "path = \"/v2/residents/{resident}\"");
            None
        }
    };
    let query = patterns(section.section(found, "query"), Place::Query, found);
    let headers = patterns(section.section(found, "headers"), Place::Header, found)
        .into_iter()
        .filter_map(|(placed, pattern)| header(&placed, found).map(|name| (name, pattern)))
        .collect();
    if dialect.format == Format::Multipart && (section.has("body") || section.has("body_file")) {
        let (span, key) = (section.place("body"), section.key("body"));
        found.mistake(&span, key, "cannot be written in multipart", "a dialect with format = \"form\"");
    }
    let written = body(&mut section, "{\"id\":\"{resident}\"}", dialect.charset, found);
    let body = written.and_then(|text| pattern(&text.as_deref(), Place::Body(dialect.format, dialect.charset), found));
    section.finish(found);
    let query = query.into_iter().map(|(placed, pattern)| (placed.value.to_owned(), pattern)).collect();
    Some(RequestTemplate { method: method?, path: path?, query, headers, body, dialect: dialect.clone() })
}

/// `body`, or what stands in `body_file`, which is UTF-8 and is encoded when it is sent.
pub(super) fn body(
    section: &mut Section<'_>,
    example: &str,
    charset: Charset,
    found: &mut Findings,
) -> Option<Placed<String>> {
    let written =
        section.text(found, "body", example).map(|p| Placed { value: p.value.to_owned(), span: p.span, key: p.key });
    let file = section.text(found, "body_file", "inquiry.xml");
    let text = match (written, file) {
        (Some(written), Some(file)) => {
            file.wrong(found, "stands beside `body`", "one of the two");
            written
        }
        (Some(written), None) => written,
        (None, Some(file)) => {
            let read = found.file(file.value).and_then(|bytes| {
                String::from_utf8(bytes)
                    .map_err(|_| "names a file that is not UTF-8; `charset` says how it is sent".to_owned())
            });
            let value = read.map_err(|why| file.wrong(found, why, "a file beside the configuration")).ok()?;
            Placed { value, span: file.span, key: file.key }
        }
        (None, None) => return None,
    };
    // What has no code is found here, and not when the first request is sent.
    if let Some(c) = text.value.chars().find(|c| charset.encode(c.encode_utf8(&mut [0; 4])).is_none()) {
        let why = format!("has `{}`, for which {} has no code", c.escape_default(), charset.name());
        text.as_deref().wrong(found, why, "another character");
        return None;
    }
    Some(text)
}

pub(super) fn pattern(placed: &Placed<&str>, place: Place, found: &mut Findings) -> Option<Pattern> {
    Pattern::compile(placed.value, place).map_err(|why| placed.wrong(found, why, "{resident}")).ok()
}

pub(super) fn patterns<'a>(
    section: Option<Section<'a>>,
    place: Place,
    found: &mut Findings,
) -> Vec<(Placed<&'a str>, Pattern)> {
    let mut patterns = Vec::new();
    for (name, value) in section.iter().flat_map(Section::entries) {
        match value.get_ref() {
            DeValue::String(text) => {
                let placed = Placed { value: text.as_ref(), span: value.span(), key: name.key.clone() };
                patterns.extend(pattern(&placed, place, found).map(|p| (name, p)));
            }
            _ => name.wrong(found, "must be a string", "\"{resident}\""),
        }
    }
    patterns
}

/// Headers that a template or an allow-list may never name: framing, hop-by-hop, conditional, coding, and our own.
const RESERVED_HEADERS: [&str; 24] = [
    "accept-encoding",
    "connection",
    "content-digest",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "location",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
    "x-sekisho-nonce",
];

/// A header name that may be passed on.
pub(super) fn header(placed: &Placed<&str>, found: &mut Findings) -> Option<HeaderName> {
    match HeaderName::from_bytes(placed.value.to_ascii_lowercase().as_bytes()) {
        Ok(name) if RESERVED_HEADERS.contains(&name.as_str()) => {
            placed.wrong(found, format!("names `{name}`, which is never passed on"), "leave it out");
            None
        }
        Ok(name) => Some(name),
        Err(_) => {
            placed.wrong(found, "is not a header name", "\"X-Terminal\"");
            None
        }
    }
}
