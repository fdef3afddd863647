//! `[routes.NAME]`: declared operations. An undeclared path is refused.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use sekisho_issuance::answer::Dialect;
use sekisho_issuance::certificate::Kind;
use sekisho_issuance::checks::spec::DocumentSpec;
use sekisho_issuance::checks::{CheckPlan, ChecksSpec, LookupContext, PlanContext};
use sekisho_issuance::request::Operation;

use super::backends::Backend;
use super::dialects::{self, Dialects};
use super::listeners::bounded;
use super::lookups::{Lookups, backend_named, header, named};
use super::problems::Problems;
use super::section::{Placed, Section};
use super::source::{Findings, did_you_mean};
use super::{facts, fetch, refusals, rules};
use crate::ledger::Over;
use crate::route::{Authority, Extractor, FactName, FactRule, Household, Mode, Route, Segment};

/// What routes refer to.
pub(super) struct Around<'c> {
    pub(super) mode: Mode,
    pub(super) backends: &'c BTreeMap<Arc<str>, Backend>,
    pub(super) dialects: &'c Dialects,
    pub(super) lookups: &'c Lookups,
    pub(super) problems: &'c Problems,
    /// Every `open` route names an authority, so what a session is pinned to was proven.
    pub(super) sessions_proven: bool,
    /// Every authority says which municipality its card belongs to.
    pub(super) municipality_proven: bool,
    /// Whoever asks has shown a TLS identity.
    pub(super) clients_shown: bool,
}

impl<'c> Around<'c> {
    pub(super) fn new(
        root: &Section<'_>,
        mode: Mode,
        backends: &'c BTreeMap<Arc<str>, Backend>,
        dialects: &'c Dialects,
        lookups: &'c Lookups,
        problems: &'c Problems,
    ) -> Self {
        // Looked at before the routes are read, since each route's checks depend on how sessions are opened.
        let routes = || root.below(&["routes"]).and_then(|r| r.as_table()).into_iter().flatten();
        let opens = routes().filter_map(|(_, route)| route.get_ref().as_table()).filter(|route| {
            route.get("operation").is_some_and(|operation| operation.get_ref().as_str() == Some("open"))
        });
        let authorities: Vec<Option<&str>> = opens
            .map(|route| route.get("authority")?.get_ref().as_table()?.get("lookup")?.get_ref().as_str())
            .collect();
        let proves = |authority: &Option<&str>| {
            authority.and_then(|name| lookups.get(name)).is_some_and(|l| l.fields.has(MUNICIPALITY_FIELD))
        };
        Self {
            mode,
            backends,
            dialects,
            lookups,
            problems,
            sessions_proven: !authorities.is_empty() && authorities.iter().all(Option::is_some),
            clients_shown: root.below(&["server", "tls", "clients"]).is_some(),
            municipality_proven: !authorities.is_empty() && authorities.iter().all(proves),
        }
    }
}

/// The field of a lookup by card in which the asked card comes back.
pub(crate) const CARD_FIELD: &str = "card";
/// The field of a lookup by card that says whose the card is.
pub(crate) const MUNICIPALITY_FIELD: &str = "municipality";

/// The largest answer that a `pass` route may hand on.
const MAX_PASS_BYTES: usize = 64 << 10;

pub(super) fn read(root: &mut Section<'_>, around: &Around<'_>, found: &mut Findings) -> Vec<Arc<Route>> {
    let mut routes: Vec<Arc<Route>> = Vec::new();
    let mut places = Vec::new();
    let mut whole = true;
    for (name, mut section) in root.named(found, "routes") {
        super::label(&name, found);
        let matching = rules::TOLD_APART_BY.map(|key| (key, section.place(key)));
        let route = route(name.value, &mut section, around, found);
        section.finish(found);
        let Some(route) = route else {
            whole = false;
            continue;
        };
        for twin in routes.iter().filter(|r| same_shape(r, &route)) {
            rules::told_apart(twin, &route, &matching, &name.key, found);
        }
        routes.push(Arc::new(route));
        places.push(name);
    }
    // With a route missing, what follows would only repeat its mistake.
    if whole {
        rules::across(&routes, &places, found);
    }
    routes
}

fn same_shape(a: &Route, b: &Route) -> bool {
    let shape = |s: &Segment| match s {
        Segment::Literal(text) => Some(text.clone()),
        Segment::Param(_) => None,
    };
    a.method == b.method && a.path.iter().map(shape).eq(b.path.iter().map(shape))
}

fn route(name: &str, section: &mut Section<'_>, around: &Around<'_>, found: &mut Findings) -> Option<Route> {
    let matched = required(section, found, "match", "POST /certificates/resident-record").and_then(|placed| {
        let parsed = matcher(placed.value);
        if parsed.is_none() {
            let example = "match = \"POST /certificates/resident-record\"; a segment may be `{name}`";
            placed.wrong(found, "must be a method and a path", example);
        }
        parsed
    });
    let operation = required(section, found, "operation", "issue").and_then(|placed| {
        const OPERATIONS: [Operation; 6] = [
            Operation::Issue,
            Operation::Inquire,
            Operation::Amend,
            Operation::Open,
            Operation::Close,
            Operation::Pass,
        ];
        one_of(&placed, OPERATIONS.map(|o| (o.name(), o)), found)
    });
    let kind = section
        .text(found, "kind", "resident_record")
        .and_then(|placed| one_of(&placed, Kind::ALL.map(|k| (k.name(), k)), found));
    let backend = backend_named(section, around.backends, found);
    let timeout = section.duration(found, "timeout", "10s");
    if timeout.is_none() && !section.has("timeout") {
        let (span, key) = (section.span().clone(), section.key("timeout"));
        found.mistake(&span, key, "is missing", "timeout = \"10s\"");
    }
    let timeout = timeout.unwrap_or(Duration::from_secs(10));
    if timeout.is_zero() {
        found.mistake(&section.place("timeout"), section.key("timeout"), "must be longer than nothing", "\"10s\"");
    }
    let max_run = section.duration(found, "max_run", "30s").unwrap_or(timeout * 3);
    if max_run < timeout {
        let (span, key) = (section.place("max_run"), section.key("max_run"));
        let why = "is shorter than `timeout`: the lane would be free while the backend may still act";
        found.mistake(&span, key, why, "leave it out (3 x timeout)");
    }
    let mode = super::mode(section, Some(around.mode), found);
    if mode == Mode::Observe && section.has("mode") {
        found.note(&section.place("mode"), section.key("mode"), "only counts what it would withhold", &[]);
    }
    let params: Vec<Arc<str>> = matched.iter().flat_map(|(_, path)| params(path)).collect();
    let dialect = dialects::of(section, around.dialects, found);
    let when = refusals::when(section, &dialect, found);
    let facts = facts::table(section, "facts", &params, &dialect, found);
    let by_client = |rule: &&FactRule| rule.vouched.is_some() || matches!(rule.from, Extractor::Client(_));
    for rule in facts.iter().filter(by_client).filter(|_| !around.clients_shown) {
        let (place, name) = (section.place_below("facts", rule.fact.name()), rule.fact.name());
        let example = "[server] tls = { ..., clients = \"centre-ca.pem\" }";
        found.mistake(&place, format!("{}.facts.{name}", section.path()), super::authority::NO_CLIENTS, example);
    }
    let learn = facts::learned(section, &dialect, found);
    let authority = super::authority::read(section, around, found);
    let household = household(section, around, found);
    let problem = match section.text(found, "problem", "kiosk-json") {
        Some(placed) => named(&placed, around.problems, "problems", found).map(|(_, p)| p.clone()),
        None => None,
    };
    let limits = section.section(found, "body_limit").map(|mut limits| {
        let request = bounded(limits.size(found, "request", "64KiB"), found, 0, 4 << 20);
        let response = bounded(limits.size(found, "response", "4MiB"), found, 1, 16 << 20);
        limits.finish(found);
        (request, response)
    });
    let (request_limit, response_limit) = limits.unwrap_or_default();
    let request_headers = headers(section, "request_headers", found);
    let response_headers = headers(section, "response_headers", found);
    let pass_media_types = pass_media_types(section, found);
    let key = key(section, found);
    let closes = section.text(found, "closes", "confirmed");
    let closes =
        closes.and_then(|placed| one_of(&placed, [Over::Confirmed, Over::Abandoned].map(|o| (o.name(), o)), found));
    let fresh = section.flag(found, "fresh_connections").unwrap_or(operation == Some(Operation::Issue));
    let refusals = refusals::read(section, &dialect, around.dialects, found);
    let steps = fetch::Around { operation, timeout, dialect: &dialect, dialects: around.dialects };
    let fetch = fetch::read(section, &steps, found);
    let document: Option<DocumentSpec> = section.foreign(found, "document");
    let document_is_wrong = document.is_none() && section.has("document");
    let Some(known_operation) = operation else {
        // What is checked depends on it.
        section.forgive("checks");
        return None;
    };
    if document_is_wrong {
        section.forgive("checks");
        return None;
    }
    let shape = Shape {
        operation: known_operation,
        kind,
        backend: backend.clone().unwrap_or_default(),
        fresh,
        facts: &facts,
        authority: &authority,
        household: household.as_ref(),
        dialect: &dialect,
        document: document.as_ref(),
    };
    let checks = checks(section, &shape, around, found)?;
    let lookup = checks.lookup().and_then(|name| around.lookups.get(name)).cloned();
    let route = Route {
        name: name.into(),
        method: matched.as_ref().map_or(Method::GET, |(method, _)| method.clone()),
        path: matched.map(|(_, path)| path).unwrap_or_default(),
        operation: operation?,
        kind,
        independent_lookup: lookup.as_ref().is_some_and(|l| Some(&l.backend) != backend.as_ref()),
        backend: backend?,
        dialect,
        when,
        timeout,
        max_run,
        mode,
        facts,
        learn,
        authority,
        lookup,
        lookup_after: checks.needs_after(),
        household,
        echoed: checks.echoed() && !fresh,
        fetch,
        checks,
        request_headers,
        response_headers,
        refusals,
        problem: problem.unwrap_or_default(),
        pass_media_types,
        max_request_bytes: request_limit.unwrap_or(64 << 10),
        max_response_bytes: match operation? {
            Operation::Pass => response_limit.unwrap_or(MAX_PASS_BYTES).min(MAX_PASS_BYTES),
            _ => response_limit.unwrap_or(4 << 20),
        },
        key,
        closes,
    };
    rules::each(&route, section, found);
    Some(route)
}

fn required<'a>(
    section: &mut Section<'a>,
    found: &mut Findings,
    key: &'static str,
    example: &str,
) -> Option<Placed<&'a str>> {
    let placed = section.text(found, key, example);
    if placed.is_none() && !section.has(key) {
        let (span, path) = (section.span().clone(), section.key(key));
        found.mistake(&span, path, "is missing", format!("{key} = {example:?}"));
    }
    placed
}

fn one_of<T: Copy, const N: usize>(
    placed: &Placed<&str>,
    known: [(&'static str, T); N],
    found: &mut Findings,
) -> Option<T> {
    let value = known.iter().find(|(name, _)| *name == placed.value).map(|(_, value)| *value);
    if value.is_none() {
        let names = known.map(|(name, _)| name);
        let suggestion = match did_you_mean(placed.value, names) {
            Some(near) => format!("{near:?}"),
            None => format!("one of: {}", names.join(", ")),
        };
        placed.wrong(found, format!("is `{}`, which is not known", placed.value), suggestion);
    }
    value
}

/// Reads `METHOD /path/{param}`.
fn matcher(text: &str) -> Option<(Method, Vec<Segment>)> {
    let (method, path) = text.split_once(' ')?;
    let method = match method {
        "GET" => Method::GET,
        "HEAD" => Method::HEAD,
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        "DELETE" => Method::DELETE,
        _ => return None,
    };
    let rest = path.strip_prefix('/')?;
    let mut names: Vec<&str> = Vec::new();
    let segments = rest.split('/').map(|segment| match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
        Some(name) if FactName::is_name(name) && !names.contains(&name) => {
            names.push(name);
            Some(Segment::Param(name.into()))
        }
        Some(_) => None,
        None => {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
            let literal = segment.bytes().all(plain) && segment != "." && segment != "..";
            literal.then(|| Segment::Literal(segment.into()))
        }
    });
    Some((method, segments.collect::<Option<_>>()?))
}

fn params(path: &[Segment]) -> impl Iterator<Item = Arc<str>> {
    path.iter().filter_map(|segment| match segment {
        Segment::Param(name) => Some(name.clone()),
        Segment::Literal(_) => None,
    })
}

fn household(section: &mut Section<'_>, around: &Around<'_>, found: &mut Findings) -> Option<Household> {
    let mut table = section.section(found, "household")?;
    let lookup = table.text(found, "lookup", "resident");
    let mut when = None;
    if let Some(condition) = table.section(found, "when") {
        let mut entries = condition.entries();
        match (entries.next(), entries.next()) {
            (Some((item, value)), None) if value.get_ref().as_str().is_some() => {
                when = value.get_ref().as_str().map(|v| (Arc::from(item.value), Arc::from(v)));
            }
            _ => found.mistake(
                condition.span(),
                condition.path(),
                "must name one item of the selection and its value",
                "when = { scope = \"household\" }",
            ),
        }
    }
    if lookup.is_none() && !table.has("lookup") {
        found.mistake(table.span(), table.key("lookup"), "is missing", "lookup = \"resident\"");
    }
    table.finish(found);
    let (_, lookup) = named(&lookup?, around.lookups, "lookups", found)?;
    Some(Household { lookup: lookup.clone(), when })
}

/// What a plan is compiled against.
struct Shape<'r> {
    operation: Operation,
    kind: Option<Kind>,
    backend: Arc<str>,
    fresh: bool,
    facts: &'r [FactRule],
    authority: &'r Authority,
    household: Option<&'r Household>,
    dialect: &'r Dialect,
    document: Option<&'r DocumentSpec>,
}

fn checks(
    section: &mut Section<'_>,
    shape: &Shape<'_>,
    around: &Around<'_>,
    found: &mut Findings,
) -> Option<CheckPlan> {
    let spec: ChecksSpec = match section.foreign(found, "checks") {
        Some(spec) => spec,
        None if section.has("checks") => return None,
        None => ChecksSpec::default(),
    };
    if shape.operation == Operation::Pass && section.has("checks") {
        let (span, key) = (section.place("checks"), section.key("checks"));
        found.mistake(&span, key, "has no place on a `pass` route, which speaks of nobody", "remove it");
    }
    let tables: Vec<(String, String)> = spec
        .gaiji_files()
        // One that cannot be read is said where it is named.
        .filter_map(|name| Some((name.to_owned(), String::from_utf8(found.file(name).ok()?).ok()?)))
        .collect();
    let mut context = PlanContext::new(shape.operation);
    context.gaiji = tables.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    context.kind = shape.kind;
    context.dialect = shape.dialect.clone();
    context.document = shape.document;
    context.fresh_connections = shape.fresh;
    context.municipality_names = true;
    let has_session = shape.facts.iter().any(|rule| rule.fact == FactName::Session);
    // A pinned resident was proven when the session was opened; a pinned municipality was part of that proof.
    context.resident_is_proven = !matches!(shape.authority, Authority::None) || (has_session && around.sessions_proven);
    context.municipality_is_proven = context.resident_is_proven && around.municipality_proven;
    for (name, lookup) in around.lookups {
        let independent = lookup.backend != shape.backend;
        context.lookups.insert(name, LookupContext { fields: &lookup.fields, independent });
    }
    // Who is on the paper is proven by identity: everybody found must be everybody asked for.
    let whose = shape.household.and_then(|household| household.when.as_ref()).map(|(item, _)| item);
    context.selection.extend(shape.facts.iter().filter_map(|rule| match &rule.fact {
        FactName::Selection(item) if Some(item) != whose => Some(item.as_ref()),
        _ => None,
    }));
    match CheckPlan::compile(&spec, &context) {
        Ok(plan) => Some(plan),
        Err(errors) => {
            for error in errors {
                // What is said of the document's own table has its name in front.
                let (table, below) = error.key.split_once('.').unwrap_or((&error.key, ""));
                let (table, below) = if table == "document" { (table, below) } else { ("checks", &*error.key) };
                let key = format!("{}.{below}", section.key(table));
                let key = key.trim_end_matches('.').to_owned();
                let span = section.place_below(table, below);
                found.mistake(&span, key, error.message, error.suggestion);
            }
            None
        }
    }
}

fn headers(section: &mut Section<'_>, key: &'static str, found: &mut Findings) -> Vec<http::HeaderName> {
    let list = section.texts(found, key, "[\"Accept-Language\"]");
    list.into_iter().flat_map(|l| l.value).filter_map(|placed| header(&placed, found)).collect()
}

fn pass_media_types(section: &mut Section<'_>, found: &mut Findings) -> Vec<Arc<str>> {
    let list = section.texts(found, "media_types", "[\"text/plain\"]");
    let mut types = Vec::new();
    for placed in list.into_iter().flat_map(|l| l.value) {
        if rules::may_hold_a_certificate(placed.value) {
            let why = "may hold a certificate, which only a checked route hands on";
            placed.wrong(found, why, "media_types = [\"text/plain\", \"application/json\"]");
        } else {
            types.push(placed.value.to_ascii_lowercase().into());
        }
    }
    types
}

fn key(section: &mut Section<'_>, found: &mut Findings) -> Vec<FactName> {
    let list = section.texts(found, "key", "[\"resident\", \"address\"]");
    list.into_iter().flat_map(|l| l.value).map(|placed| FactName::parse(placed.value)).collect()
}
