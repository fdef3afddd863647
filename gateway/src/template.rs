//! Request templates: `{fact}` escaped for the place where it stands. Expands facts and nothing else; never reads a request.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sekisho_issuance::answer::{Charset, Dialect, Format};
use sekisho_issuance::context::TraceParent;
use sekisho_issuance::id::{RequestId, ResidentId};
use sekisho_issuance::request::Facts;
use sekisho_worker::assignment::{Call, JOB_MARK, JobCall};

use crate::route::FactName;

/// Carries our request id to a backend and back.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Carries the attempt's nonce to a backend and back.
pub const X_SEKISHO_NONCE: HeaderName = HeaderName::from_static("x-sekisho-nonce");
/// W3C Trace Context.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// RFC 3986 unreserved characters stay; everything else is encoded, so that a fact never ends its segment or value.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `value` as one path segment or query value.
pub fn encoded(value: &str) -> percent_encoding::PercentEncode<'_> {
    utf8_percent_encode(value, RESERVED)
}

/// Where a pattern stands, which decides how facts in it are escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// One segment of a path.
    Path,
    /// A query value.
    Query,
    /// A header value.
    Header,
    /// Inside a value of a body: a JSON string, an element or attribute, a form's field. Then the body is encoded.
    Body(Format, Charset),
}

/// What stands for a job's id in a template of a route that fetches.
const JOB: &str = "job";

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Fact(FactName),
    /// The id of a job that no backend has given out yet.
    Job,
}

/// Text with facts in braces, compiled for its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    place: Place,
    parts: Vec<Part>,
}

impl Pattern {
    /// Compiles `text`. In a body a brace that begins no name is text; elsewhere it is a mistake.
    pub fn compile(text: &str, place: Place) -> Result<Self, String> {
        if text.contains(JOB_MARK) {
            return Err("has a control character".to_owned());
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            literal.push_str(before);
            let name = after.split_once('}').filter(|(name, _)| FactName::is_name(name));
            match name {
                Some((name, tail)) => {
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Fact(FactName::parse(name)));
                    rest = tail;
                }
                None if matches!(place, Place::Body(..)) => {
                    literal.push('{');
                    rest = after;
                }
                None => return Err("has a `{` that begins no fact's name".to_owned()),
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { place, parts })
    }

    /// The facts it needs.
    pub fn facts(&self) -> impl Iterator<Item = &FactName> {
        self.parts.iter().filter_map(|part| match part {
            Part::Fact(name) => Some(name),
            Part::Text(_) | Part::Job => None,
        })
    }

    /// The same where `{job}` is the id that a backend gives out, and no fact.
    fn with_job(mut self) -> Self {
        for part in &mut self.parts {
            if matches!(part, Part::Fact(FactName::Selection(item)) if &**item == JOB) {
                *part = Part::Job;
            }
        }
        self
    }

    fn names_job(&self) -> bool {
        self.parts.contains(&Part::Job)
    }

    fn expand_into(&self, out: &mut String, facts: &Facts, about: Option<&ResidentId>) -> Result<(), FactName> {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Job => out.push(JOB_MARK),
                Part::Fact(name) => {
                    let value = fact_value(facts, name, about).ok_or_else(|| name.clone())?;
                    self.escape_into(out, value).ok_or_else(|| name.clone())?;
                }
            }
        }
        Ok(())
    }

    /// `None` where no escaping can make the value safe in its place.
    fn escape_into(&self, out: &mut String, value: &str) -> Option<()> {
        match self.place {
            // `.` and `..` are unreserved, yet change the path that a server sees.
            Place::Path if value == "." || value == ".." => return None,
            Place::Path | Place::Query => out.extend(utf8_percent_encode(value, RESERVED)),
            Place::Header if value.bytes().all(|b| (0x20..0x7f).contains(&b)) => out.push_str(value),
            Place::Header => return None,
            // What has no code in the charset is an error, never a question mark.
            Place::Body(_, charset) if charset.encode(value).is_none() => return None,
            Place::Body(Format::Json, _) => {
                let quoted = serde_json::Value::from(value).to_string();
                out.push_str(quoted.get(1..quoted.len().saturating_sub(1))?);
            }
            Place::Body(Format::Xml, _) if value.chars().any(char::is_control) => return None,
            Place::Body(Format::Xml, _) => xml_escaped(out, value),
            // A boundary must not stand in a value, and a template cannot promise that.
            Place::Body(Format::Multipart, _) => return None,
            Place::Body(Format::Form, charset) => {
                let bytes = charset.encode(value)?;
                out.extend(percent_encoding::percent_encode(&bytes, RESERVED));
            }
        }
        Some(())
    }
}

/// `value` as text of an element or of a quoted attribute.
pub(crate) fn xml_escaped(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

/// The text of a fact; `about` stands for `{resident}` where the question is about another than the applicant.
pub fn fact_value<'a>(facts: &'a Facts, name: &FactName, about: Option<&'a ResidentId>) -> Option<&'a str> {
    match name {
        FactName::Kiosk => facts.kiosk.as_ref().map(|k| k.as_str()),
        FactName::Session => facts.session.as_ref().map(|s| s.expose()),
        FactName::Municipality => facts.municipality.as_ref().map(|m| m.as_str()),
        FactName::Resident => about.or(facts.applicant.as_ref()).map(|r| r.expose()),
        FactName::Card => facts.card.as_ref().map(|c| c.expose()),
        FactName::Kind => facts.kind.map(|k| k.name()),
        FactName::IdempotencyKey => facts.idempotency_key.as_ref().map(|k| k.expose()),
        FactName::Selection(item) => facts.selection.get(item.as_ref()).map(String::as_str),
    }
}

/// The `request` table of a lookup, compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestTemplate {
    /// Method.
    pub method: Method,
    /// Path, beginning with a slash.
    pub path: Pattern,
    /// Query parameters.
    pub query: Vec<(String, Pattern)>,
    /// Headers.
    pub headers: Vec<(HeaderName, Pattern)>,
    /// A body.
    pub body: Option<Pattern>,
    /// What the body and its reply are written in.
    pub dialect: Arc<Dialect>,
}

/// What identifies one exchange to a backend.
#[derive(Debug, Clone, Copy)]
pub struct Marks {
    /// The request id.
    pub request: RequestId,
    /// The attempt's nonce; lookups send none.
    pub nonce: Option<u128>,
    /// The trace.
    pub trace: TraceParent,
}

impl Marks {
    /// Writes the correlation headers over whatever stands there.
    pub fn write(&self, headers: &mut HeaderMap) {
        let mut text = String::with_capacity(64);
        let _ = write!(text, "{}", self.request);
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(X_REQUEST_ID, value);
        }
        if let Some(nonce) = self.nonce {
            text.clear();
            let _ = write!(text, "{nonce:032x}");
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(X_SEKISHO_NONCE, value);
            }
        }
        if let Ok(value) = HeaderValue::from_str(&self.trace.to_header()) {
            headers.insert(TRACEPARENT, value);
        }
    }
}

/// Where a rendered request goes and within which bounds.
pub struct Target<'a> {
    /// The backend's name.
    pub backend: &'a Arc<str>,
    /// Its time.
    pub timeout: Duration,
    /// Longer answers are cut off.
    pub max_response_bytes: usize,
    /// Whether the answer says whose it is, so that its connection may be used again.
    pub echoed: bool,
}

impl RequestTemplate {
    /// The facts it needs.
    pub fn facts(&self) -> impl Iterator<Item = &FactName> {
        self.patterns().flat_map(Pattern::facts)
    }

    fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        std::iter::once(&self.path)
            .chain(self.query.iter().map(|(_, p)| p))
            .chain(self.headers.iter().map(|(_, p)| p))
            .chain(&self.body)
    }

    /// The same where `{job}` is the id that a backend gives out, and no fact.
    pub fn with_job(self) -> Self {
        let named = |(name, pattern): (String, Pattern)| (name, pattern.with_job());
        let header = |(name, pattern): (HeaderName, Pattern)| (name, pattern.with_job());
        Self {
            method: self.method,
            path: self.path.with_job(),
            query: self.query.into_iter().map(named).collect(),
            headers: self.headers.into_iter().map(header).collect(),
            body: self.body.map(Pattern::with_job),
            dialect: self.dialect,
        }
    }

    /// Whether it says which job it is about.
    pub fn names_job(&self) -> bool {
        self.patterns().any(Pattern::names_job)
    }

    /// Renders one step of a job, but for the job's id.
    pub fn render_job(&self, target: &Target<'_>, facts: &Facts, marks: &Marks) -> Result<JobCall, FactName> {
        self.rendered(target, facts, None, marks).map(|(call, headers)| JobCall::new(call, headers))
    }

    /// Renders one question about `about` (the applicant where absent). `Err` names the fact that is missing or cannot stand in its place.
    pub fn render(
        &self,
        target: &Target<'_>,
        facts: &Facts,
        about: Option<&ResidentId>,
        marks: &Marks,
    ) -> Result<Call, FactName> {
        self.rendered(target, facts, about, marks).map(|(call, _)| call)
    }

    /// The call, and the headers that lack a job's id.
    fn rendered(
        &self,
        target: &Target<'_>,
        facts: &Facts,
        about: Option<&ResidentId>,
        marks: &Marks,
    ) -> Result<(Call, Vec<(HeaderName, String)>), FactName> {
        let mut path = String::with_capacity(64);
        self.path.expand_into(&mut path, facts, about)?;
        for (at, (name, pattern)) in self.query.iter().enumerate() {
            path.push(if at == 0 { '?' } else { '&' });
            path.extend(utf8_percent_encode(name, RESERVED));
            path.push('=');
            pattern.expand_into(&mut path, facts, about)?;
        }
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 5);
        headers.insert(ACCEPT, HeaderValue::from_static(self.dialect.format.media_type()));
        let (mut text, mut open) = (String::new(), Vec::new());
        for (name, pattern) in &self.headers {
            text.clear();
            pattern.expand_into(&mut text, facts, about)?;
            if pattern.names_job() {
                open.push((name.clone(), text.clone()));
                continue;
            }
            let value = HeaderValue::from_str(&text).map_err(|_| FactName::Selection(name.as_str().into()))?;
            headers.insert(name.clone(), value);
        }
        let mut body = String::new();
        if let Some(pattern) = &self.body {
            pattern.expand_into(&mut body, facts, about)?;
            if let (false, Ok(said)) =
                (headers.contains_key(CONTENT_TYPE), HeaderValue::from_str(&self.dialect.content_type()))
            {
                headers.insert(CONTENT_TYPE, said);
            }
        }
        // Each part of it was found to have a code.
        let body = self.dialect.charset.encode(&body).ok_or_else(|| FactName::Selection("body".into()))?;
        marks.write(&mut headers);
        let call = Call {
            backend: target.backend.clone(),
            method: self.method.clone(),
            target: path,
            headers,
            body: Bytes::from(body),
            max_response_bytes: target.max_response_bytes,
            timeout: target.timeout,
            echoed: target.echoed,
        };
        Ok((call, open))
    }
}

#[cfg(test)]
mod tests {
    use sekisho_issuance::request::Selection;

    use super::*;

    const JSON: Place = Place::Body(Format::Json, Charset::Utf8);
    const SOAP: Place = Place::Body(Format::Xml, Charset::ShiftJis);
    const FORM: Place = Place::Body(Format::Form, Charset::ShiftJis);

    fn facts(resident: &str) -> Facts {
        Facts {
            kiosk: None,
            session: None,
            municipality: None,
            residents: Vec::new(),
            applicant: Some(ResidentId::new(resident).unwrap()),
            kind: None,
            selection: Selection::new(),
            card: None,
            idempotency_key: None,
        }
    }

    fn expand(pattern: &str, place: Place, resident: &str) -> Result<String, FactName> {
        let mut out = String::new();
        Pattern::compile(pattern, place).unwrap().expand_into(&mut out, &facts(resident), None)?;
        Ok(out)
    }

    #[test]
    fn a_fact_never_leaves_its_place() {
        let hostile = "a/../b?c=d&e\"}#%";
        assert_eq!(expand("/r/{resident}", Place::Path, hostile).unwrap(), "/r/a%2F..%2Fb%3Fc%3Dd%26e%22%7D%23%25");
        assert_eq!(expand("{resident}", Place::Query, "a&b=c").unwrap(), "a%26b%3Dc");
        assert_eq!(expand(r#"{"id":"{resident}"}"#, JSON, "a\",\"b\":\"").unwrap(), r#"{"id":"a\",\"b\":\""}"#);
        assert_eq!(expand("/r/{resident}", Place::Path, ".."), Err(FactName::Resident));
        assert_eq!(expand("{resident}", Place::Header, "髙"), Err(FactName::Resident));
    }

    #[test]
    fn a_fact_stays_in_its_element_and_field_and_has_a_code_or_is_an_error() {
        let hostile = "1</j:Number><j:Number>2&\"'";
        let escaped = "<n a=\"1&lt;/j:Number&gt;&lt;j:Number&gt;2&amp;&quot;&#39;\"/>";
        assert_eq!(expand("<n a=\"{resident}\"/>", SOAP, hostile).unwrap(), escaped);
        assert_eq!(expand("id={resident}&k=1", FORM, "a&k=2 表").unwrap(), "id=a%26k%3D2%20%95%5C&k=1");
        for place in [SOAP, FORM] {
            assert_eq!(expand("{resident}", place, "葛\u{E0100}"), Err(FactName::Resident), "no question mark");
        }
    }

    #[test]
    fn a_missing_fact_is_named() {
        assert_eq!(expand("/{session}", Place::Path, "a"), Err(FactName::Session));
    }

    #[test]
    fn an_open_brace_is_a_mistake_outside_json() {
        assert!(Pattern::compile("/a/{resident", Place::Path).is_err());
        assert!(Pattern::compile("/a/{}", Place::Path).is_err());
        assert!(Pattern::compile("{\"a\": {}}", JSON).is_ok());
    }
}
