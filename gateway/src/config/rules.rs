//! Which facts each operation needs and what may stand in for them, and the other rules that no single key can break alone.

use std::ops::Range;
use std::sync::Arc;

use http::Method;
use sekisho_issuance::request::Operation;
use sekisho_issuance::verdict::CheckName;

use super::section::{Placed, Section};
use super::source::Findings;
use crate::route::{Authority, FactName, Mode, Route};

/// What one operation needs. A fact of the session counts as there when the route says where its session stands.
struct Needs {
    operation: Operation,
    /// From the request itself.
    request: &'static [FactName],
    /// From the request, or from the pinned session.
    either: &'static [FactName],
    /// From the request or from the answer (`learn`).
    learned: &'static [FactName],
    /// An idempotency key, or a declared tuple of facts (`key`).
    retry_key: bool,
}

/// The facts table. For a session the connection may stand in (`{ connection = true }`), which knows nobody: then each request says itself who
/// is at which kiosk.
const TABLE: [Needs; 6] = [
    Needs {
        operation: Operation::Issue,
        request: &[FactName::Session],
        either: &[FactName::Kiosk, FactName::Card, FactName::Municipality, FactName::Resident],
        learned: &[],
        retry_key: false,
    },
    Needs {
        operation: Operation::Inquire,
        request: &[],
        either: &[FactName::Kiosk, FactName::Municipality, FactName::Resident],
        learned: &[],
        retry_key: false,
    },
    Needs {
        operation: Operation::Amend,
        request: &[],
        either: &[FactName::Kiosk, FactName::Municipality, FactName::Resident],
        learned: &[],
        retry_key: true,
    },
    Needs {
        operation: Operation::Open,
        request: &[FactName::Kiosk, FactName::Card, FactName::Municipality],
        either: &[],
        learned: &[FactName::Session],
        retry_key: false,
    },
    Needs {
        operation: Operation::Close,
        request: &[FactName::Session],
        either: &[FactName::Kiosk, FactName::Municipality],
        learned: &[],
        retry_key: false,
    },
    Needs { operation: Operation::Pass, request: &[], either: &[], learned: &[], retry_key: false },
];

/// The rules that one route can break.
pub(super) fn each(route: &Route, section: &Section<'_>, found: &mut Findings) {
    facts(route, section, found);
    if route.operation == Operation::Pass {
        pass(route, section, found);
        return;
    }
    if !route.pass_media_types.is_empty() {
        wrong(section, "media_types", "is only for `pass` routes", "remove it", found);
    }
    if route.closes.is_some() && route.operation != Operation::Close {
        wrong(section, "closes", "is only for `close` routes", "remove it", found);
    }
    match (route.operation, route.kind) {
        (Operation::Issue, None) => wrong(section, "kind", "is missing", "kind = \"resident_record\"", found),
        (Operation::Issue, Some(_)) | (_, None) => {}
        (_, Some(_)) => wrong(section, "kind", "is only for `issue` routes", "remove it", found),
    }
    if route.operation == Operation::Issue && matches!(route.authority, Authority::None) {
        let why = "is missing: nobody but the kiosk would say who the resident is";
        wrong(section, "authority", why, "authority = { lookup = \"card\" }", found);
    }
    lookups(route, section, found);
    refusals(route, section, found);
    for warning in route.checks.warnings() {
        found.note(&section.place("checks"), section.key("checks"), warning, &[]);
    }
    for (check, causes) in route.checks.open_causes() {
        if route.operation.speaks_of_resident() || route.operation == Operation::Open {
            let place = section.place_below("checks", check.name());
            let line = found.line(&place);
            let message = match section.has_below("checks", check.name()) {
                true => format!("is off, because line {line} says so"),
                false => format!("is off: `routes.{}` does not say how to check it", route.name),
            };
            found.note(&place, format!("{}.checks.{}", section.path(), check.name()), message, causes);
        }
    }
}

fn wrong(section: &Section<'_>, key: &str, message: impl Into<String>, suggestion: &str, found: &mut Findings) {
    found.mistake(&section.place(key), section.key(key), message, suggestion);
}

fn facts(route: &Route, section: &Section<'_>, found: &mut Findings) {
    let Some(needs) = TABLE.iter().find(|needs| needs.operation == route.operation) else { return };
    let place = section.place("facts");
    let says = |fact: &FactName| route.facts.iter().any(|rule| rule.fact == *fact);
    let learns = |fact: &FactName| route.learn.iter().any(|rule| rule.fact == *fact);
    let by_connection = route.session_is_connection();
    let has_session = says(&FactName::Session) && !by_connection;
    let proven = matches!(route.authority, Authority::Lookup(_)) && says(&FactName::Card);
    let missing = |fact: &FactName, stand_in: &str, found: &mut Findings| {
        let (key, name) = (format!("{}.facts.{}", section.path(), fact.name()), route.operation.name());
        found.mistake(&place, key, format!("is missing, and `{name}` needs it{stand_in}"), "{ header = \"...\" }");
    };
    for fact in needs.request.iter().filter(|f| !says(f)) {
        missing(fact, "", found);
    }
    if by_connection {
        if !matches!(route.operation, Operation::Issue | Operation::Inquire | Operation::Amend) {
            let (place, key) = (section.place_below("facts", "session"), section.key("facts.session"));
            let message = "has no place here: a card presence that is a connection is neither opened nor closed";
            found.mistake(&place, key, message, "remove it");
        }
        if route.checks.echoes_session() {
            let (place, key) = (section.place_below("checks", "echo"), section.key("checks.echo"));
            let message = "waits for the session, and no backend is told of one that is a connection";
            found.mistake(&place, key, message, "{ header = \"X-Request-Id\" }, or none");
        }
        for fact in [FactName::Kiosk, FactName::Card, FactName::Municipality].iter().filter(|fact| !says(fact)) {
            missing(fact, ", since its session is the connection, which knows nobody", found);
        }
    }
    let told = |fact: &FactName| match fact {
        FactName::Resident => says(fact) || has_session || proven,
        // Said above to be missing.
        _ => says(fact) || has_session || by_connection,
    };
    for fact in needs.either.iter().filter(|fact| !told(fact)) {
        missing(fact, " (or a `session`, whose pin knows it)", found);
    }
    for fact in needs.learned.iter().filter(|f| !says(f) && !learns(f)) {
        missing(fact, " (or `learn` it from the answer)", found);
    }
    if needs.retry_key && !says(&FactName::IdempotencyKey) && route.key.is_empty() {
        missing(
            &FactName::IdempotencyKey,
            " (or `key = [\"resident\", ...]`, a tuple that makes it one change)",
            found,
        );
    }
    for name in route.key.iter().filter(|name| !says(name) && (!has_session || matches!(name, FactName::Selection(_))))
    {
        let message = format!("names `{}`, which is not among the facts", name.name());
        wrong(section, "key", message, "add it to `facts`", found);
    }
    if !route.learn.is_empty() && !matches!(route.operation, Operation::Open | Operation::Inquire) {
        wrong(section, "learn", "is only for `open` and `inquire` routes", "remove it", found);
    }
    if let Some(household) = &route.household {
        let known = household.when.as_ref().is_none_or(|(item, _)| says(&FactName::Selection(item.clone())));
        if !known {
            wrong(section, "household", "tests an item that is not among the facts", "add it to `facts`", found);
        }
        if !route.operation.speaks_of_resident() {
            wrong(section, "household", "has no place here: this operation speaks of no resident", "remove it", found);
        }
    }
}

fn pass(route: &Route, section: &Section<'_>, found: &mut Findings) {
    if !matches!(route.method, Method::GET | Method::HEAD) {
        wrong(section, "match", "must be GET or HEAD: a `pass` route changes nothing", "GET /notice", found);
    }
    for key in ["facts", "learn", "authority", "household", "refusals", "kind", "key", "closes"] {
        if section.has(key) {
            wrong(section, key, "has no place on a `pass` route, which speaks of nobody", "remove it", found);
        }
    }
    if route.pass_media_types.is_empty() && !section.has("media_types") {
        wrong(section, "media_types", "is missing", "media_types = [\"text/plain\"]", found);
    }
}

/// A no that names nobody is told from another's by the echo alone.
fn refusals(route: &Route, section: &Section<'_>, found: &mut Findings) {
    let key = section.key("refusals.resident");
    let nameless = route.refusals.as_ref().is_some_and(|refusals| refusals.resident.is_none());
    if !nameless || found.mistakes.iter().any(|mistake| mistake.key == key) {
        return;
    }
    let place = section.place_below("refusals", "resident");
    if route.checks.open_causes().iter().any(|(check, _)| *check == CheckName::Echo) {
        let example = "resident = { json = \"/error/residentId\" }";
        found.mistake(&place, key, "is `echo`, and this route checks none", example);
    } else {
        let why = "tells whom a refusal is about by the echo alone: a backend that mixes answers up behind it may tell a resident another's";
        found.note(&place, key, why, &["R4", "R12"]);
    }
}

fn lookups(route: &Route, section: &Section<'_>, found: &mut Findings) {
    let Some(lookup) = &route.lookup else { return };
    let (span, key) = (section.place("checks"), section.key("checks"));
    if lookup.backend == route.backend {
        let message =
            format!("`{}` asks `{}`, the backend it is to judge: a dependent lookup", lookup.name, lookup.backend);
        found.note(&span, key, message, &["R3", "R4"]);
    } else if lookup.timeout >= route.timeout {
        found.note(&span, key, format!("`{}` may use up all of the route's `timeout`", lookup.name), &[]);
    }
}

/// The keys in which two routes of one method and path may contradict each other.
pub(super) const TOLD_APART_BY: [&str; 5] = ["match", "when", "timeout", "body_limit", "problem"];

/// Two routes of one method and path: each says which of its requests it is for, and until that is known they are treated alike.
pub(super) fn told_apart(one: &Route, other: &Route, places: &[(&str, Range<usize>)], key: &str, found: &mut Findings) {
    let mut wrong = |what: &str, message: String, suggestion: &str| {
        let place = places.iter().find(|(key, _)| *key == what).map_or(NOWHERE, |(_, place)| place.clone());
        found.mistake(&place, format!("{key}.{what}"), message, suggestion);
    };
    let (Some(first), Some(second)) = (&one.when, &other.when) else {
        let message = format!("matches what `routes.{}` matches", one.name);
        let example = "each request must have one route; `when` tells two of one path apart";
        return wrong("match", message, example);
    };
    if first.from != second.from || one.dialect != other.dialect {
        let message = format!("looks elsewhere than `routes.{}`, so a request may be both", one.name);
        return wrong("when", message, "the same place of the same dialect, and other values");
    }
    if let Some(both) = first.values.iter().find(|value| second.values.contains(value)) {
        wrong("when", format!("names \"{both}\", as `routes.{}` does", one.name), "each value to one route");
    }
    // Nobody knows which of them it is while it is read, and a no may have to be said before.
    let alike = [
        ("match", one.path == other.path),
        ("timeout", one.timeout == other.timeout),
        ("body_limit", one.max_request_bytes == other.max_request_bytes),
        ("problem", one.problem == other.problem),
    ];
    for (what, _) in alike.into_iter().filter(|(_, alike)| !alike) {
        wrong(
            what,
            format!("differs from that of `routes.{}`, which only `when` tells apart", one.name),
            "the same in both",
        );
    }
}

/// The rules that only several routes together can break.
pub(super) fn across(routes: &[Arc<Route>], places: &[Placed<&str>], found: &mut Findings) {
    let opens: Vec<&Arc<Route>> = routes.iter().filter(|r| r.operation == Operation::Open).collect();
    for (route, place) in routes.iter().zip(places) {
        let has = |fact: FactName| route.facts.iter().any(|rule| rule.fact == fact);
        let uses_session = matches!(route.operation, Operation::Issue | Operation::Inquire | Operation::Amend)
            && has(FactName::Session)
            && !route.session_is_connection();
        if uses_session && opens.is_empty() {
            let why = "uses a session, but no route opens one";
            place.wrong(found, why, "a route with operation = \"open\"");
        }
        if route.operation == Operation::Open && matches!(route.authority, Authority::None) {
            let why = "has no `authority`: the pin would rest on the backend's word alone";
            found.note(&place.span, place.key.clone(), why, &["R10"]);
        }
        // A connection knows nobody: without an authority a presence begins with whatever the kiosk says.
        let knows_somebody = has(FactName::Session) && !route.session_is_connection();
        if route.operation == Operation::Inquire && !knows_somebody && matches!(route.authority, Authority::None) {
            let why = "answers about whomever the caller names: nothing but the caller says who may ask";
            found.note(&place.span, place.key.clone(), why, &["R10", "R11"]);
        }
        if route.mode == Mode::Observe && route.operation == Operation::Issue {
            found.note(&place.span, place.key.clone(), "is in `observe`: failing documents leave", &[]);
        }
    }
}

/// Media types in which a certificate could leave unchecked.
pub(super) fn may_hold_a_certificate(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    !essence.contains('/')
        || essence.contains('*')
        || essence.starts_with("image/")
        || essence.starts_with("multipart/")
        || [
            "application/pdf",
            "application/postscript",
            "application/octet-stream",
            "application/zip",
            "application/vnd.ms-xpsdocument",
            "application/oxps",
        ]
        .contains(&essence.as_str())
}

/// The place of nothing in particular.
pub(super) const NOWHERE: Range<usize> = 0..0;
