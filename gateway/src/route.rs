//! A declared operation, compiled: what a request must say, whom to ask, what to check. Frozen after loading.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderName, Method};
use sekisho_issuance::answer::{AnswerView, Body, BodyPlace, Dialect};
use sekisho_issuance::certificate::Kind;
use sekisho_issuance::checks::{CheckPlan, LookupFields, LookupReply};
use sekisho_issuance::request::Operation;
use sekisho_worker::assignment::Answer;

use crate::fetch::Fetch;
use crate::ledger::Over;
use crate::problem::{Code, Problem, ProblemTemplate};
use crate::template::RequestTemplate;
use crate::tls::{ClientField, Peer};

/// Whether what fails a check is kept in, or counted and let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Counted only.
    Observe,
    /// Kept in. The default, and the stricter (`max` of two modes is the one that holds).
    Enforce,
}

impl Mode {
    /// The name in configuration files and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

/// Where a fact stands in a request, or in an answer that facts are learned from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extractor {
    /// The one value of a header.
    Header(HeaderName),
    /// A `{segment}` of the route's path.
    Path(Arc<str>),
    /// The one value of a query parameter.
    Query(Arc<str>),
    /// A place of the body.
    Body(BodyPlace),
    /// The TLS identity of who asks, which nobody can claim without its key.
    Client(ClientField),
    /// The kiosk's connection, of which nothing is read: one connection is one card presence.
    Connection,
}

/// What a fact is called in a `facts` or `learn` table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FactName {
    /// The device.
    Kiosk,
    /// The card presence.
    Session,
    /// The municipality.
    Municipality,
    /// The applicant.
    Resident,
    /// The card.
    Card,
    /// The certificate; named by the route, never by a rule.
    Kind,
    /// The client's retry key.
    IdempotencyKey,
    /// Anything else: an item of the selection.
    Selection(Arc<str>),
}

impl FactName {
    /// Whether `text` can name a fact: `[a-z][a-z0-9_]*`, at most 40 characters.
    pub fn is_name(text: &str) -> bool {
        text.len() <= 40
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    }

    /// The fact of this name; whatever is not built in is an item of the selection.
    pub fn parse(name: &str) -> Self {
        match name {
            "kiosk" => Self::Kiosk,
            "session" => Self::Session,
            "municipality" => Self::Municipality,
            "resident" => Self::Resident,
            "card" => Self::Card,
            "kind" => Self::Kind,
            "idempotency_key" => Self::IdempotencyKey,
            other => Self::Selection(other.into()),
        }
    }

    /// Its name in configuration files and problems.
    pub fn name(&self) -> &str {
        match self {
            Self::Kiosk => "kiosk",
            Self::Session => "session",
            Self::Municipality => "municipality",
            Self::Resident => "resident",
            Self::Card => "card",
            Self::Kind => "kind",
            Self::IdempotencyKey => "idempotency_key",
            Self::Selection(item) => item,
        }
    }
}

/// One line of a `facts` or `learn` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactRule {
    /// Which fact.
    pub fact: FactName,
    /// Where it stands.
    pub from: Extractor,
    /// What of the TLS identity must say the same.
    pub vouched: Option<ClientField>,
    /// What an absent item of the selection means; only selections may have one.
    pub default: Option<Arc<str>>,
}

/// `household = { lookup = "resident", when = { scope = "household" } }`: when others than the applicant are asked for, and who names them.
#[derive(Debug, Clone)]
pub struct Household {
    /// The lookup whose reply names the members.
    pub lookup: Arc<Lookup>,
    /// The item of the selection and its value; absent = always.
    pub when: Option<(Arc<str>, Arc<str>)>,
}

/// Who vouches for the resident.
#[derive(Debug, Clone)]
pub enum Authority {
    /// A lookup by card, asked unless the session was opened with the same one.
    Lookup(Arc<Lookup>),
    /// The caller itself did the card check, known by its TLS identity where one is named; a residual risk that `check` lists.
    TrustedSource(Option<TrustedSource>),
    /// Nobody; never on a route that issues.
    None,
}

/// Who may be believed, by what their TLS identity says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedSource {
    /// What is looked at.
    pub field: ClientField,
    /// What it must say, any of these.
    pub values: Vec<Arc<str>>,
}

impl TrustedSource {
    /// Whether `peer` is one.
    pub fn is(&self, peer: Option<&Peer>) -> bool {
        let said = peer.and_then(|peer| peer.says(self.field).ok().flatten());
        said.is_some_and(|said| self.values.iter().any(|value| **value == *said))
    }
}

/// A question to an authority.
#[derive(Debug)]
pub struct Lookup {
    /// Its configured name.
    pub name: Arc<str>,
    /// Whom it asks.
    pub backend: Arc<str>,
    /// What it asks.
    pub request: RequestTemplate,
    /// How long.
    pub timeout: Duration,
    /// How its reply is read.
    pub fields: LookupFields,
    /// Longer replies are cut off.
    pub max_response_bytes: usize,
}

impl Lookup {
    /// Reads a reply; the reason is a stable word.
    pub fn read(&self, answer: &Answer) -> Result<LookupReply, &'static str> {
        let content_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        self.fields.parse_said(answer.body.as_slice(), content_type)
    }
}

/// `when = { xml = "//j:Issue/j:Kind", in = ["02"] }`: which of the requests to one method and path a route is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    /// Where the request says it.
    pub from: Extractor,
    /// What it says there.
    pub values: Vec<Arc<str>>,
}

/// The backend's lawful "no": a closed list of codes that a kiosk may hear.
#[derive(Debug, Clone)]
pub struct Refusals {
    /// Status codes under which a refusal comes.
    pub status: Vec<u16>,
    /// Where its code stands.
    pub code: BodyPlace,
    /// The codes that may be passed on.
    pub codes: Vec<Arc<str>>,
    /// Where it names the resident; a refusal that names another is a mismatch, and one that names nobody proves nothing. Absent
    /// where the route says that its refusals name nobody: then the echo alone tells.
    pub resident: Option<BodyPlace>,
    /// What it is written in.
    pub dialect: Dialect,
}

/// A refusal that was recognised.
pub struct Refusal<'b> {
    /// The declared code.
    pub code: Arc<str>,
    /// The status it came under.
    pub status: u16,
    /// The resident it names, where the route says where to look: personal data, hence no `Debug`.
    pub resident: Named,
    /// The whole of it, strictly read.
    pub said: Body<'b>,
}

/// Whom a refusal names. Personal data, hence no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum Named {
    /// The route does not say where to look.
    NotAsked,
    /// Nobody, or in no way that can be read.
    Nobody,
    /// A resident.
    Resident(String),
}

impl Refusals {
    /// Recognises a declared refusal; anything else is `None` and goes through the checks, which will say no.
    pub fn recognise<'b>(&self, answer: &AnswerView<'b>) -> Option<Refusal<'b>> {
        if answer.framing_surprise || !self.status.contains(&answer.status) {
            return None;
        }
        // What can be read in two ways is no refusal.
        let said = self.dialect.read(answer.body, answer.header("content-type")).ok()?;
        let found = said.find(&self.code).plain()?;
        let code = self.codes.iter().find(|c| ***c == *found)?.clone();
        let resident = match &self.resident {
            None => Named::NotAsked,
            Some(place) => match said.find(place).plain().filter(|text| !text.is_empty()) {
                Some(text) => Named::Resident(text.into_owned()),
                None => Named::Nobody,
            },
        };
        drop(found);
        Some(Refusal { code, status: answer.status, resident, said })
    }
}

/// One segment of a route's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Must be equal.
    Literal(Arc<str>),
    /// Any one segment, by name.
    Param(Arc<str>),
}

/// One `[routes.NAME]`, compiled.
pub struct Route {
    /// The metric label.
    pub name: Arc<str>,
    /// The method it matches.
    pub method: Method,
    /// The path it matches.
    pub path: Vec<Segment>,
    /// What it does.
    pub operation: Operation,
    /// Which certificate it issues.
    pub kind: Option<Kind>,
    /// The backend it calls.
    pub backend: Arc<str>,
    /// What its requests and answers are written in.
    pub dialect: Arc<Dialect>,
    /// Which of the requests to its method and path it is for; absent = all.
    pub when: Option<When>,
    /// Arrival to release, all of it.
    pub timeout: Duration,
    /// How long a call may still have effect after nobody waits for it.
    pub max_run: Duration,
    /// Enforce, unless the file says observe.
    pub mode: Mode,
    /// Where the facts stand in the request.
    pub facts: Vec<FactRule>,
    /// Where facts stand in the answer.
    pub learn: Vec<FactRule>,
    /// Who vouches for the resident.
    pub authority: Authority,
    /// The lookup that the checks compare with, asked inside the lane before the call.
    pub lookup: Option<Arc<Lookup>>,
    /// Whether it is asked again after the call, still inside the lane: the version probe.
    pub lookup_after: bool,
    /// Where the route may print others than the applicant.
    pub household: Option<Household>,
    /// Whether the lookup is independent of the backend that issues.
    pub independent_lookup: bool,
    /// The further steps where its document is fetched.
    pub fetch: Option<Fetch>,
    /// What is checked.
    pub checks: CheckPlan,
    /// The answer echoes our request id or nonce, so that its channel may be used again.
    pub echoed: bool,
    /// Request headers that the backend may see, besides content type and our own.
    pub request_headers: Vec<HeaderName>,
    /// Answer headers that the kiosk may see, besides our own.
    pub response_headers: Vec<HeaderName>,
    /// The backend's "no" that a kiosk may hear.
    pub refusals: Option<Refusals>,
    /// How the gateway says no on this route.
    pub problem: Arc<ProblemTemplate>,
    /// Media types that a `pass` route may answer with; empty elsewhere.
    pub pass_media_types: Vec<Arc<str>>,
    /// Longer requests are refused.
    pub max_request_bytes: usize,
    /// Longer answers are cut off and burned.
    pub max_response_bytes: usize,
    /// The facts that together stand in for an idempotency key.
    pub key: Vec<FactName>,
    /// What a `close` says of the papers of its session.
    pub closes: Option<Over>,
}

impl Route {
    /// Whether its protocol has no session, and a connection stands in for one.
    pub fn session_is_connection(&self) -> bool {
        self.facts.iter().any(|rule| rule.fact == FactName::Session && rule.from == Extractor::Connection)
    }
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Route({})", self.name)
    }
}

/// A declared operation and what the path says.
#[derive(Debug, Clone)]
pub struct Matched {
    /// The operation.
    pub route: Arc<Route>,
    /// Decoded segments, in the order of the route's parameters.
    pub segments: Vec<(Arc<str>, String)>,
    /// Where only the request itself says which of several routes it is for; `route` is any of them until then.
    pub choice: Option<Choice>,
}

/// Routes that only the request itself tells apart.
#[derive(Debug, Clone)]
pub struct Choice {
    routes: Vec<Arc<Route>>,
    made: Arc<OnceLock<Arc<Route>>>,
}

impl Choice {
    /// The route that was chosen, once it is.
    pub fn made(&self) -> Option<&Arc<Route>> {
        self.made.get()
    }

    /// The route for what the request says; nothing else is guessed.
    pub fn make(&self, said: &str) -> Option<&Arc<Route>> {
        let fits = |route: &&Arc<Route>| {
            route.when.as_ref().is_some_and(|when| when.values.iter().any(|value| **value == *said))
        };
        let route = self.routes.iter().find(fits)?;
        Some(self.made.get_or_init(|| route.clone()))
    }
}

/// All declared operations. What is not here is refused.
#[derive(Debug, Default)]
pub struct Routes(Vec<Arc<Route>>);

impl Routes {
    /// Sorted so that a literal segment wins over a parameter.
    pub fn new(mut routes: Vec<Arc<Route>>) -> Self {
        routes.sort_by_key(|r| r.path.iter().map(|s| matches!(s, Segment::Param(_))).collect::<Vec<_>>());
        Self(routes)
    }

    /// Every route.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.0.iter()
    }

    /// The route of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Route>> {
        self.0.iter().find(|r| r.name.as_ref() == name)
    }

    /// The operation declared for `method` and `path`; a path that no route spells out is refused, never guessed.
    pub fn find(&self, method: &Method, path: &str) -> Result<Matched, Problem> {
        let mut others: Vec<&str> = Vec::new();
        for route in &self.0 {
            let Some(segments) = route.matches(path) else { continue };
            if route.method == *method {
                let segments = segments.ok_or_else(|| Problem::new(Code::MalformedFact).about("path"))?;
                let choice = route.when.as_ref().map(|_| {
                    let same = |other: &&Arc<Route>| other.method == route.method && other.path == route.path;
                    Choice { routes: self.0.iter().filter(same).cloned().collect(), made: Arc::default() }
                });
                return Ok(Matched { route: route.clone(), segments, choice });
            }
            others.push(route.method.as_str());
        }
        match others.is_empty() {
            true => Err(Problem::new(Code::UndeclaredPath)),
            false => Err(Problem::new(Code::MethodNotAllowed).allowing(&others.join(", "))),
        }
    }
}

type Segments = Vec<(Arc<str>, String)>;

impl Route {
    /// Every backend that an answer of this route needs: its own, and those that vouch for it.
    pub fn backends(&self) -> impl Iterator<Item = &str> {
        let authority = match &self.authority {
            Authority::Lookup(lookup) => Some(lookup),
            Authority::TrustedSource(_) | Authority::None => None,
        };
        let lookups = [self.lookup.as_ref(), self.household.as_ref().map(|household| &household.lookup), authority];
        std::iter::once(&*self.backend).chain(lookups.into_iter().flatten().map(|lookup| &*lookup.backend))
    }

    /// `None` = another path; `Some(None)` = this path with a segment that is no plain value.
    fn matches(&self, path: &str) -> Option<Option<Segments>> {
        let mut segments = Some(Segments::new());
        let mut parts = path.strip_prefix('/')?.split('/');
        for segment in &self.path {
            let part = parts.next()?;
            match segment {
                Segment::Literal(text) if text.as_ref() == part => {}
                Segment::Literal(_) => return None,
                Segment::Param(name) => match (decode(part), segments.as_mut()) {
                    (Some(value), Some(known)) => known.push((name.clone(), value)),
                    _ => segments = None,
                },
            }
        }
        parts.next().is_none().then_some(segments)
    }

    /// The path to ask the backend for: literals as declared, parameters encoded anew, so that both sides read the same one.
    pub fn target(&self, matched: &Matched, query: Option<&str>) -> String {
        let mut target = String::with_capacity(64);
        let mut values = matched.segments.iter();
        for segment in &self.path {
            target.push('/');
            match segment {
                Segment::Literal(text) => target.push_str(text),
                Segment::Param(_) => {
                    target.extend(values.next().map(|(_, value)| crate::template::encoded(value)).into_iter().flatten())
                }
            }
        }
        if let Some(query) = query.filter(|q| !q.is_empty()) {
            target.push('?');
            target.push_str(query);
        }
        target
    }
}

/// A path segment as a value; nothing that changes the path another server would see.
fn decode(part: &str) -> Option<String> {
    let text = percent_encoding::percent_decode_str(part).decode_utf8().ok()?;
    let plain = !text.is_empty()
        && text != "."
        && text != ".."
        && !text.contains(['/', '\\'])
        && !text.chars().any(char::is_control);
    plain.then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::tests::CONFIG;

    fn find(method: &str, path: &str) -> Result<(String, Vec<String>), Code> {
        let config = crate::config::parse(CONFIG).unwrap();
        let found = config.routes.find(&method.parse().unwrap(), path);
        found
            .map(|m| (m.route.name.to_string(), m.segments.into_iter().map(|(_, v)| v).collect()))
            .map_err(|p| p.code())
    }

    #[test]
    fn what_is_not_declared_is_refused() {
        assert_eq!(find("POST", "/sessions"), Ok(("session_open".to_owned(), vec![])));
        assert_eq!(find("GET", "/residents/r%201"), Ok(("inquiry".to_owned(), vec!["r 1".to_owned()])));
        for path in
            ["/", "", "/sessions/", "//sessions", "/Sessions", "/sessions/..", "/session%73", "/sessions;a", "*"]
        {
            assert!(matches!(find("POST", path), Err(Code::UndeclaredPath | Code::MethodNotAllowed)), "{path}");
        }
        assert_eq!(find("PUT", "/sessions"), Err(Code::MethodNotAllowed));
    }

    #[test]
    fn a_segment_that_another_server_would_read_differently_is_no_value() {
        for path in [
            "/residents/..",
            "/residents/%2e%2e",
            "/residents/a%2Fb",
            "/residents/a%5Cb",
            "/residents/%00",
            "/residents/%ff",
            "/residents/",
        ] {
            assert_eq!(find("GET", path), Err(Code::MalformedFact), "{path}");
        }
    }
}
