//! Extracts what the request says about itself, once, and completes it from its session. Asks nobody.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use percent_encoding::percent_decode_str;
use sekisho_issuance::answer::{Body, Found};
use sekisho_issuance::id::{
    CardDigest, IdempotencyKey, KioskId, MAX_ID_BYTES, MunicipalityCode, ResidentId, SessionId,
};
use sekisho_issuance::request::{Facts, Operation, Selection};
use tower::Service;

use super::{Asked, Received, Reply};
use crate::problem::{Code, Problem};
use crate::route::{Extractor, FactName, Matched, Route};
use crate::session::{Claims, Refused};
use crate::tls::Peer;

/// After `guard`, so that all it parses is bounded; before `policy`, which needs to know whose municipality is meant.
pub async fn facts<S>(received: Received, mut next: S) -> Result<Reply, Problem>
where
    S: Service<Box<Asked>, Response = Reply, Error = Problem>,
{
    let asked = ask(received)?;
    next.call(asked).await
}

fn ask(mut received: Received) -> Result<Box<Asked>, Problem> {
    let (route, mut facts) = Said::of(&received).extract()?;
    received.matched.route = route;
    let mut pin = None;
    let route = &received.matched.route;
    let by_connection = route.session_is_connection();
    if by_connection {
        facts.session = Some(presence(&received, &facts)?);
    }
    if let (Some(session), true) = (&facts.session, route.operation != Operation::Open) {
        let edge = &received.known.edge;
        let config = &received.known.config;
        let claims = Claims {
            kiosk: facts.kiosk.as_ref(),
            card: facts.card.as_ref(),
            municipality: facts.municipality,
            resident: facts.applicant.as_ref(),
        };
        let recalled =
            edge.sessions.recall(config.session_scope, session, &claims, config.listeners.sessions, Instant::now());
        match recalled {
            Ok(known) => {
                facts.kiosk.get_or_insert_with(|| known.kiosk.clone());
                facts.card.get_or_insert_with(|| known.card.clone());
                facts.municipality.get_or_insert(known.municipality);
                if facts.applicant.is_none() {
                    facts.applicant = known.resident.clone();
                }
                pin = Some(known);
            }
            // It begins with this request, once somebody has said whose card it is.
            Err(Refused::Unknown) if by_connection => {}
            Err(refused) => return Err(refuse(&received, refused)),
        }
    }
    if received.known.canary.is_none()
        && facts.kiosk.as_ref().is_some_and(|kiosk| received.known.config.is_canarys(kiosk))
    {
        // Where canaries stand nobody else does, by name or by session: whoever says so would end theirs, or hear their answer.
        return Err(refuse(&received, Refused::Kiosk));
    }
    facts.kind = route.kind;
    facts.residents = facts.applicant.iter().cloned().collect();
    Ok(Box::new(Asked { received, facts, pin }))
}

/// One card at one kiosk, where the protocol has no name for it: asked for over another connection it is the same one, so that whoever lost
/// an answer with its connection may ask again. A connection never serves two.
fn presence(received: &Received, facts: &Facts) -> Result<SessionId, Problem> {
    let missing = |fact: FactName| Problem::new(Code::MissingFact).about(fact.name());
    let kiosk = facts.kiosk.as_ref().ok_or_else(|| missing(FactName::Kiosk))?;
    let card = facts.card.as_ref().ok_or_else(|| missing(FactName::Card))?;
    let city = facts.municipality.ok_or_else(|| missing(FactName::Municipality))?;
    let parts = [city.as_str().as_bytes(), kiosk.as_str().as_bytes(), card.expose().as_bytes()];
    let digest = received.known.edge.record_key().digest("card presence", &parts);
    let presence = SessionId::new(&format!("{digest:032x}")).map_err(|_| malformed("session"))?;
    match received.known.connection.is_of(&presence) {
        true => Ok(presence),
        false => Err(refuse(received, Refused::Card)),
    }
}

/// Counts the refusal and says no more than that there is a conflict.
pub(super) fn refuse(received: &Received, refused: Refused) -> Problem {
    received.known.edge.count_pin_refused(refused);
    match refused {
        Refused::Unknown => Problem::new(Code::UnknownSession).about("session"),
        Refused::Full => Problem::because(Code::Shed, "memory"),
        Refused::Kiosk | Refused::Card | Refused::Municipality | Refused::Resident => {
            Problem::new(Code::SessionConflict).about(refused.name())
        }
    }
}

/// What a request says, without the connection it came on.
pub(crate) struct Said<'r> {
    /// The operation and what the path says.
    pub(crate) matched: &'r Matched,
    /// Its headers.
    pub(crate) headers: &'r HeaderMap,
    /// The query, as it stands.
    pub(crate) query: &'r str,
    /// The whole body.
    pub(crate) body: &'r [u8],
    /// Who is at the other end of the connection.
    pub(crate) peer: Option<&'r Peer>,
}

impl<'r> Said<'r> {
    fn of(received: &'r Received) -> Self {
        let Received { known, matched, head, body } = received;
        let query = head.uri.query().unwrap_or("");
        Self { matched, headers: &head.headers, query, body, peer: known.peer.as_deref() }
    }

    /// The route that the request is for, and every declared fact of the request itself. A problem names the first that is missing
    /// or malformed.
    pub(crate) fn extract(&self) -> Result<(Arc<Route>, Facts), Problem> {
        extract(self)
    }

    /// The body, strictly read in the dialect of its route.
    fn read(&self, route: &Route) -> Result<Body<'_>, Problem> {
        let content_type = header(self.headers, &CONTENT_TYPE).map_err(|()| malformed("content-type"))?;
        route.dialect.read(self.body, content_type.as_deref()).map_err(|_| Problem::new(Code::Malformed).about("body"))
    }
}

fn extract(said: &Said<'_>) -> Result<(Arc<Route>, Facts), Problem> {
    let mut facts = Facts {
        kiosk: None,
        session: None,
        municipality: None,
        residents: Vec::new(),
        applicant: None,
        kind: None,
        selection: Selection::new(),
        card: None,
        idempotency_key: None,
    };
    let mut body = None;
    let mut route = &said.matched.route;
    if let (Some(choice), Some(when)) = (&said.matched.choice, &route.when) {
        // Every route of the choice looks at the same place in the same dialect.
        if matches!(when.from, Extractor::Body(_)) {
            body = Some(said.read(route)?);
        }
        let found = find(said, body.as_ref(), &when.from).map_err(|()| malformed("when"))?;
        route = found
            .and_then(|found| choice.make(&found))
            .ok_or_else(|| Problem::new(Code::UndeclaredPath).about("when"))?;
    }
    if body.is_none() && route.facts.iter().any(|rule| matches!(rule.from, Extractor::Body(_))) {
        body = Some(said.read(route)?);
    }
    for rule in &route.facts {
        let name = rule.fact.name();
        if rule.from == Extractor::Connection {
            // What is said has no name for it.
            continue;
        }
        let found = find(said, body.as_ref(), &rule.from).map_err(|_| malformed(name))?;
        let text = match (found, &rule.default) {
            (Some(text), _) => text,
            (None, Some(default)) => Cow::Borrowed(default.as_ref()),
            // Who sends no key asks for a paper once: nothing is kept for them.
            (None, None) if rule.fact == FactName::IdempotencyKey && route.operation == Operation::Issue => continue,
            (None, None) => return Err(Problem::new(Code::MissingFact).about(name)),
        };
        if let Some(field) = rule.vouched {
            let vouched = said.peer.map_or(Ok(None), |peer| peer.says(field)).map_err(|_| malformed(name))?;
            if vouched.as_deref() != Some(&*text) {
                return Err(Problem::new(Code::SessionConflict).about(name));
            }
        }
        set(&mut facts, &rule.fact, &text).ok_or_else(|| malformed(name))?;
    }
    Ok((route.clone(), facts))
}

fn malformed(fact: &str) -> Problem {
    Problem::new(Code::MalformedFact).about(fact)
}

pub(crate) fn set(facts: &mut Facts, name: &FactName, text: &str) -> Option<()> {
    match name {
        FactName::Kiosk => facts.kiosk = Some(KioskId::new(text).ok()?),
        FactName::Session => facts.session = Some(SessionId::new(text).ok()?),
        FactName::Municipality => facts.municipality = Some(MunicipalityCode::new(text).ok()?),
        FactName::Resident => facts.applicant = Some(ResidentId::new(text).ok()?),
        FactName::Card => facts.card = Some(CardDigest::new(text).ok()?),
        FactName::IdempotencyKey => facts.idempotency_key = Some(IdempotencyKey::new(text).ok()?),
        FactName::Selection(item) => {
            let plain = text.len() <= MAX_ID_BYTES && !text.chars().any(char::is_control);
            facts.selection.insert(item.to_string(), plain.then(|| text.to_owned())?);
        }
        // The route says the kind; `check` refuses a rule for it.
        FactName::Kind => return None,
    }
    Some(())
}

/// The one value at a place; `Ok(None)` = not there, `Err` = there, but not one plain value.
fn find<'r>(said: &Said<'r>, body: Option<&'r Body>, from: &Extractor) -> Result<Option<Cow<'r, str>>, ()> {
    match from {
        Extractor::Header(name) => header(said.headers, name),
        Extractor::Path(name) => {
            let segment = said.matched.segments.iter().find(|(param, _)| param == name);
            Ok(segment.map(|(_, value)| Cow::Borrowed(value.as_str())))
        }
        Extractor::Query(name) => query(said.query, name),
        Extractor::Client(field) => said.peer.map_or(Ok(None), |peer| peer.says(*field).map_err(|_| ())),
        Extractor::Body(place) => match body.map_or(Found::Nothing, |body| body.find(place)) {
            Found::Nothing => Ok(None),
            Found::Plain(text) => Ok(Some(text)),
            Found::NotPlain | Found::Several => Err(()),
        },
        Extractor::Connection => Ok(None),
    }
}

pub(crate) fn header<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> Result<Option<Cow<'h, str>>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            std::str::from_utf8(value.as_bytes()).map(|v| Some(Cow::Borrowed(v.trim()))).map_err(|_| ())
        }
        (Some(_), Some(_)) => Err(()),
    }
}

fn query<'q>(query: &'q str, name: &str) -> Result<Option<Cow<'q, str>>, ()> {
    let mut found = None;
    for pair in query.split('&').filter(|p| !p.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if percent_decode_str(key).decode_utf8().map_err(|_| ())? != name {
            continue;
        }
        // `+` is a space to some servers and a plus to others: two readers, so no reader.
        if found.is_some() || value.contains('+') {
            return Err(());
        }
        found = Some(percent_decode_str(value).decode_utf8().map_err(|_| ())?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::tests::edge;
    use crate::layer::tests::received;
    use crate::session::Pin;

    fn problem(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (Code, Option<String>) {
        let problem = ask(received(&edge(), method, path, headers, body)).err().unwrap();
        (problem.code(), problem.fact().map(str::to_owned))
    }

    const OPEN: &str = r#"{"cardSerial":"c1","cityCode":"991007"}"#;

    #[tokio::test]
    async fn a_problem_names_the_fact_that_is_missing_or_malformed() {
        let terminal = [("x-terminal", "K-1")];
        let named = |name: &str| Some(name.to_owned());
        assert_eq!(problem("POST", "/sessions", &[], OPEN), (Code::MissingFact, named("kiosk")));
        assert_eq!(problem("POST", "/sessions", &terminal, "{}"), (Code::MissingFact, named("card")));
        let wrong_city = r#"{"cardSerial":"c1","cityCode":"991008"}"#;
        assert_eq!(problem("POST", "/sessions", &terminal, wrong_city), (Code::MalformedFact, named("municipality")));
        let twice = [("x-terminal", "K-1"), ("x-terminal", "K-2")];
        assert_eq!(problem("POST", "/sessions", &twice, OPEN), (Code::MalformedFact, named("kiosk")));
        let object = r#"{"cardSerial":{},"cityCode":"991007"}"#;
        assert_eq!(problem("POST", "/sessions", &terminal, object), (Code::MalformedFact, named("card")));
        let duplicate = r#"{"cardSerial":"c1","cardSerial":"c2","cityCode":"991007"}"#;
        assert_eq!(problem("POST", "/sessions", &terminal, duplicate), (Code::Malformed, named("body")));
    }

    #[tokio::test]
    async fn a_session_that_nobody_opened_is_unknown_and_one_of_another_resident_is_a_conflict() {
        let edge = edge();
        let headers = [("x-session", "s1"), ("x-terminal", "K-1")];
        let ask = |path: &str, headers: &[(&str, &str)]| ask(received(&edge, "GET", path, headers, ""));
        assert_eq!(ask("/residents/r1", &headers).err().unwrap().code(), Code::UnknownSession);
        let config = edge.config();
        let pin = Pin {
            kiosk: KioskId::new("K-1").unwrap(),
            card: CardDigest::new("c1").unwrap(),
            municipality: MunicipalityCode::new("991007").unwrap(),
            resident: Some(ResidentId::new("r1").unwrap()),
            proven_by: None,
        };
        let session = SessionId::new("s1").unwrap();
        edge.sessions.open(config.session_scope, &session, pin, config.listeners.sessions, Instant::now()).unwrap();
        let asked = ask("/residents/r1", &headers).ok().unwrap();
        assert_eq!(asked.facts.municipality.unwrap().as_str(), "991007");
        assert_eq!(asked.facts.card.unwrap().expose(), "c1");
        assert_eq!(ask("/residents/r2", &headers).err().unwrap().code(), Code::SessionConflict);
        let other_kiosk = [("x-session", "s1"), ("x-terminal", "K-2")];
        assert_eq!(ask("/residents/r1", &other_kiosk).err().unwrap().code(), Code::SessionConflict);
    }

    #[test]
    fn a_query_fact_said_twice_or_with_a_plus_is_no_fact() {
        assert_eq!(query("a=1&b=2", "b"), Ok(Some("2".into())));
        assert_eq!(query("a=%41", "a"), Ok(Some("A".into())));
        assert_eq!(query("a=1&%61=2", "a"), Err(()));
        assert_eq!(query("a=1+2", "a"), Err(()));
        assert_eq!(query("a=%ff", "a"), Err(()));
        assert_eq!(query("", "a"), Ok(None));
    }

    const SOAP: &str = include_str!("../../../loadtest/demo/gateway-soap.toml");

    /// What a kiosk sends: the header with its terminal and session, and one element of the body.
    fn envelope(element: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"Shift_JIS\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns=\"urn:example:juki:1\"><s:Header><Terminal>K-1</Terminal><Seq>S-1</Seq></s:Header><s:Body>{element}</s:Body></s:Envelope>"
        )
    }

    /// The route and the selected scope, or why there is none.
    fn asked(body: &[u8], content_type: &str) -> Result<(String, Option<String>), (Code, Option<String>)> {
        let config = crate::config::parse(SOAP).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        let matched = config.routes.find(&http::Method::POST, "/juki/Issue").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        let said = Said { matched: &matched, headers: &headers, query: "", body, peer: None };
        let (route, facts) = said.extract().map_err(|p| (p.code(), p.fact().map(str::to_owned)))?;
        assert_eq!(facts.session.as_ref().map(|s| s.expose()), Some("S-1"));
        assert_eq!(matched.choice.as_ref().and_then(|c| c.made()).map(|r| r.name.clone()), Some(route.name.clone()));
        Ok((route.name.to_string(), facts.selection.get("scope").cloned()))
    }

    #[test]
    fn one_url_is_several_operations_told_apart_by_an_element() {
        let issue = |inside: &str| asked(envelope(&format!("<Issue>{inside}</Issue>")).as_bytes(), "text/xml");
        assert_eq!(issue("<Kind>02</Kind>"), Ok(("seal_registration".to_owned(), None)));
        let household = Ok(("resident_record".to_owned(), Some("household".to_owned())));
        assert_eq!(issue("<Kind>01</Kind><Scope>household</Scope>"), household);
        let undeclared = Err((Code::UndeclaredPath, Some("when".to_owned())));
        for unknown in ["<Kind>99</Kind>", "<Kind/>", "", "<Kind> 02</Kind>", "<Kind xmlns=\"urn:other\">02</Kind>"] {
            assert_eq!(issue(unknown), undeclared, "{unknown}");
        }
        let ambiguous = Err((Code::MalformedFact, Some("when".to_owned())));
        assert_eq!(issue("<Kind>01</Kind><Kind>02</Kind>"), ambiguous);
        let scopes = issue("<Kind>01</Kind><Scope>self</Scope><Scope>household</Scope>");
        assert_eq!(scopes, Err((Code::MalformedFact, Some("scope".to_owned()))), "a default is for what is not said");
    }

    #[test]
    fn a_request_that_two_readers_may_read_differently_is_refused() {
        let malformed = Err((Code::Malformed, Some("body".to_owned())));
        let kind = envelope("<Issue><Kind>02</Kind></Issue>");
        assert!(asked(kind.as_bytes(), "text/xml; charset=Shift_JIS").is_ok());
        assert_eq!(asked(kind.as_bytes(), "text/xml; charset=UTF-8"), malformed);
        assert_eq!(asked(kind.replace("Shift_JIS", "UTF-8").as_bytes(), "text/xml"), malformed);
        assert_eq!(asked(kind.replace(">02<", ">0<!-- -->2<").as_bytes(), "text/xml"), malformed);
        assert_eq!(asked(format!("<!DOCTYPE x>{kind}").as_bytes(), "text/xml"), malformed);
        assert_eq!(asked(b"{}", "application/json"), malformed);
    }

    /// A session opened by a form of that format.
    fn opened(format: &str, content_type: &str, body: &[u8]) -> Result<Facts, (Code, Option<String>)> {
        let config = crate::edge::tests::CONFIG
            .replace(
                "\"X-Terminal\" }, card = { json = \"/cardSerial\" }, municipality = { json = \"/cityCode\" }",
                "\"X-Terminal\" }, card = { form = \"card\" }, municipality = { form = \"city\" }",
            )
            .replace(
                "{ session = { json = \"/sessionId\" }, resident = { json = \"/residentId\" } }",
                "{ session = { form = \"session\" } }\ndialect = \"forms\"",
            );
        let config = format!("{config}\n[dialects.forms]\ncharset = \"Shift_JIS\"\nformat = \"{format}\"\n");
        let config = crate::config::parse(&config).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        let matched = config.routes.find(&http::Method::POST, "/sessions").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        headers.insert("x-terminal", "K-1".parse().unwrap());
        let said = Said { matched: &matched, headers: &headers, query: "", body, peer: None };
        said.extract().map(|(_, facts)| facts).map_err(|p| (p.code(), p.fact().map(str::to_owned)))
    }

    #[test]
    fn facts_stand_in_forms_of_either_kind() {
        let card = |facts: Facts| facts.card.unwrap().expose().to_owned();
        let urlencoded = "application/x-www-form-urlencoded";
        let facts = opened("form", urlencoded, b"card=c%2B1&city=991007&name=%95%5C").unwrap();
        assert_eq!(card(facts), "c+1");
        let malformed = Some((Code::Malformed, Some("body".to_owned())));
        assert_eq!(opened("form", urlencoded, b"card=c1&city=991007&card=c2").err(), malformed);
        assert_eq!(opened("form", urlencoded, b"card=c1&city=991007&name=%95").err(), malformed, "half a character");
        assert_eq!(
            opened("form", urlencoded, b"city=991007").err(),
            Some((Code::MissingFact, Some("card".to_owned())))
        );
        let part = |name: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let body = format!("{}{}--b--\r\n", part("card", "c1"), part("city", "991007"));
        assert_eq!(card(opened("multipart", "multipart/form-data; boundary=b", body.as_bytes()).unwrap()), "c1");
        assert_eq!(opened("multipart", "multipart/form-data; boundary=c", body.as_bytes()).err(), malformed);
        let twice = format!("{}{body}", part("card", "c2"));
        assert_eq!(opened("multipart", "multipart/form-data; boundary=b", twice.as_bytes()).err(), malformed);
    }
}
