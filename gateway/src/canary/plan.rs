//! A canary as it is configured: whose documents it asks for, how often, and how its requests are written. Asks nobody.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::Full;
use sekisho_issuance::context::TraceParent;
use sekisho_issuance::id::{IdempotencyKey, KioskId, MunicipalityCode, RequestId, SessionId};
use sekisho_issuance::request::Facts;

use crate::route::{Authority, Extractor, FactName, Route, Segment};
use crate::template::{Marks, Pattern, Place, RequestTemplate, Target, X_REQUEST_ID, fact_value};
use crate::tls::{ClientField, Peer};

/// One `[canaries.NAME]`.
#[derive(Debug)]
pub struct Canary {
    /// Its name, which is a metric label.
    pub name: Arc<str>,
    /// From the beginning of one run to that of the next.
    pub every: Duration,
    /// Two people ask within the same second; otherwise one after the other.
    pub pair: bool,
    /// What is said of each synthetic resident; at least two.
    pub people: Vec<Facts>,
    /// Opens a session, where the issuing route needs one.
    pub open: Option<Step>,
    /// Asks for the document.
    pub issue: Step,
    /// Closes the session.
    pub close: Option<Step>,
    /// Where its residents stand; nobody else may.
    pub kiosks: Vec<KioskId>,
}

/// One request of a canary, to be written for each of its residents.
#[derive(Debug)]
pub struct Step {
    /// The declared operation.
    pub route: Arc<Route>,
    request: RequestTemplate,
}

impl Canary {
    /// How long a run may take: every step its time, and the second that a pair waits for.
    pub fn longest_run(&self) -> Duration {
        let steps = [self.open.as_ref(), Some(&self.issue), self.close.as_ref()];
        let one: Duration = steps.into_iter().flatten().map(|step| step.route.timeout).sum();
        if self.pair { one + Duration::from_secs(1) } else { 2 * one }
    }

    /// The municipality of its residents, where they say one.
    pub fn municipality(&self) -> Option<MunicipalityCode> {
        self.people.iter().find_map(|facts| facts.municipality)
    }

    /// What is said of `person` in one run: a session that the kiosk chooses and a key of a retry are new each time.
    pub(super) fn facts_of(&self, person: usize) -> Option<Facts> {
        let mut facts = self.people.get(person)?.clone();
        let fresh = || format!("canary-{:032x}", rand::random::<u128>());
        facts.session = facts.session.or_else(|| SessionId::new(&fresh()).ok());
        facts.idempotency_key = facts.idempotency_key.or_else(|| IdempotencyKey::new(&fresh()).ok());
        Some(facts)
    }
}

impl Step {
    /// The request of `route`, with every fact where the route looks for it; `headers` and `body` say the rest. `facts` are those of any of
    /// the residents: an item of the selection that has a default is said only where they say it.
    pub(crate) fn of(
        route: &Arc<Route>,
        headers: Vec<(HeaderName, Pattern)>,
        body: Option<Pattern>,
        facts: &Facts,
    ) -> Result<Self, String> {
        let fact = |name: &FactName| format!("{{{}}}", name.name());
        let mut path = String::new();
        for segment in &route.path {
            path.push('/');
            match segment {
                Segment::Literal(text) => path.push_str(text),
                Segment::Param(param) => {
                    let by_rule = route.facts.iter().find(|rule| rule.from == Extractor::Path(param.clone()));
                    path.push_str(&by_rule.map_or_else(|| format!("{{{param}}}"), |rule| fact(&rule.fact)));
                }
            }
        }
        let mut request = RequestTemplate {
            method: route.method.clone(),
            path: Pattern::compile(&path, Place::Path)?,
            query: Vec::new(),
            headers,
            body,
            dialect: route.dialect.clone(),
        };
        let said =
            route.facts.iter().filter(|rule| rule.default.is_none() || fact_value(facts, &rule.fact, None).is_some());
        let said = said.map(|rule| (&rule.from, fact(&rule.fact)));
        let chosen = route.when.iter().filter_map(|when| Some((&when.from, when.values.first()?.to_string())));
        for (from, text) in said.chain(chosen) {
            match from {
                Extractor::Header(name) if request.headers.iter().all(|(said, _)| said != name) => {
                    request.headers.push((name.clone(), Pattern::compile(&text, Place::Header)?));
                }
                Extractor::Query(name) => {
                    request.query.push((name.to_string(), Pattern::compile(&text, Place::Query)?))
                }
                // A segment stands in the path by now; a body is written by whoever knows it.
                Extractor::Header(_)
                | Extractor::Path(_)
                | Extractor::Body(_)
                | Extractor::Client(_)
                | Extractor::Connection => {}
            }
        }
        Ok(Self { route: route.clone(), request })
    }

    /// The request of one resident. `Err` names the fact that is missing or cannot stand in its place.
    pub(crate) fn request(&self, facts: &Facts) -> Result<Request<Full<Bytes>>, FactName> {
        let route = &self.route;
        let target = Target {
            backend: &route.backend,
            timeout: route.timeout,
            max_response_bytes: route.max_response_bytes,
            echoed: false,
        };
        // What marks an exchange with a backend is written when it is begun, and not by who asks.
        let marks = Marks {
            request: RequestId::from_u128(0),
            nonce: None,
            trace: TraceParent { trace_id: 1, parent_id: 1, flags: 0 },
        };
        let call = self.request.render(&target, facts, None, &marks)?;
        let unfit = |_| FactName::Selection("request".into());
        let mut request =
            Request::builder().method(call.method).uri(call.target).body(Full::new(call.body)).map_err(unfit)?;
        let headers = request.headers_mut();
        *headers = call.headers;
        headers.remove(X_REQUEST_ID);
        headers.remove(crate::template::TRACEPARENT);
        headers.insert(HOST, HeaderValue::from_static("canary"));
        Ok(request)
    }

    /// What would stand at the other end of a connection: an identity that says what the route wants to hear of one, where it does.
    pub(crate) fn peer(&self, facts: &Facts) -> Option<Arc<Peer>> {
        let mut says: Vec<(ClientField, &str)> = Vec::new();
        for rule in &self.route.facts {
            let field = match rule.from {
                Extractor::Client(field) => Some(field),
                _ => rule.vouched,
            };
            says.extend(field.zip(fact_value(facts, &rule.fact, None)));
        }
        if let Authority::TrustedSource(Some(source)) = &self.route.authority
            && says.iter().all(|(field, _)| *field != source.field)
        {
            says.extend(source.values.first().map(|value| (source.field, &**value)));
        }
        (!says.is_empty()).then(|| Arc::new(Peer::of_canary(&says)))
    }
}
