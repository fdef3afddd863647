//! `[backends.X.manifest]`, compiled: what to ask, how often, and where each field stands in the answer. Guesses nothing.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use http::header::CONTENT_TYPE;
use regex::Regex;
use sekisho_issuance::answer::{Body, BodyPlace};
use sekisho_issuance::context::TraceParent;
use sekisho_issuance::id::RequestId;
use sekisho_issuance::request::Facts;
use sekisho_worker::assignment::{Answer, Call};

use super::{Field, Manifest};
use crate::template::{Marks, RequestTemplate, Target};

/// Longest value of a field.
pub(crate) const MAX_VALUE_BYTES: usize = 200;

/// What to ask a backend of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The question; it names no fact.
    pub request: RequestTemplate,
    /// How often it is asked.
    pub every: Duration,
    /// How long it may take.
    pub timeout: Duration,
    /// Longer answers are cut off.
    pub max_response_bytes: usize,
    /// Where each field stands.
    pub fields: Vec<(Field, Place)>,
}

/// Where a field stands in the answer.
#[derive(Debug, Clone)]
pub enum Place {
    /// The one value of a header.
    Header(HeaderName),
    /// A place of the body, in the request's dialect.
    Body(BodyPlace),
    /// The one group of an expression, in a line of the body's text.
    Line(Regex),
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Header(one), Self::Header(two)) => one == two,
            (Self::Body(one), Self::Body(two)) => one == two,
            (Self::Line(one), Self::Line(two)) => one.as_str() == two.as_str(),
            _ => false,
        }
    }
}

/// Why an answer is no manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRead {
    /// There was none, or the backend said that it cannot answer now: what is known grows old.
    Unanswered,
    /// It is none that is declared.
    Unreadable,
    /// It says one field in two ways.
    Contradictory,
}

impl Source {
    /// The question, to `backend`. `None` cannot happen: `check` sees to it that it names no fact.
    pub fn call(&self, backend: &Arc<str>) -> Option<Call> {
        let id = uuid::Uuid::now_v7().as_u128();
        let trace = TraceParent { trace_id: id, parent_id: (id as u64).max(1), flags: 0 };
        let marks = Marks { request: RequestId::from_u128(id), nonce: None, trace };
        // Not echoed: its connection is its own and is used once.
        let target =
            Target { backend, timeout: self.timeout, max_response_bytes: self.max_response_bytes, echoed: false };
        self.request.render(&target, &Facts::default(), None, &marks).ok()
    }

    /// Every field, or none.
    pub fn read(&self, answer: &Answer) -> Result<Manifest, NotRead> {
        match answer.status {
            500.. => return Err(NotRead::Unanswered),
            200 if !answer.framing_surprise => {}
            _ => return Err(NotRead::Unreadable),
        }
        let dialect = &self.request.dialect;
        let content_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let in_body = self.fields.iter().any(|(_, place)| matches!(place, Place::Body(_)));
        let body = in_body.then(|| dialect.read(answer.body.as_slice(), content_type)).transpose();
        let body = body.map_err(|_| NotRead::Unreadable)?;
        let in_lines = self.fields.iter().any(|(_, place)| matches!(place, Place::Line(_)));
        if in_lines && content_type.is_some_and(|said| !dialect.charset.fits_content_type(said)) {
            return Err(NotRead::Unreadable);
        }
        let text = in_lines.then(|| dialect.charset.decode(answer.body.as_slice())).transpose();
        let text = text.map_err(|_| NotRead::Unreadable)?;
        self.fields
            .iter()
            .map(|(field, place)| {
                let value = match place {
                    Place::Header(name) => crate::layer::facts::header(&answer.headers, name)
                        .map_err(|()| NotRead::Contradictory)?
                        .ok_or(NotRead::Unreadable)?
                        .into_owned(),
                    Place::Body(place) => plain(body.as_ref(), place).ok_or(NotRead::Unreadable)?,
                    Place::Line(line) => said_once(line, text.as_deref().unwrap_or_default())?,
                };
                let value = value.trim();
                let fits = !value.is_empty() && value.len() <= MAX_VALUE_BYTES && !value.chars().any(char::is_control);
                if fits { Ok((*field, Arc::from(value))) } else { Err(NotRead::Unreadable) }
            })
            .collect()
    }
}

fn plain(body: Option<&Body>, place: &BodyPlace) -> Option<String> {
    body?.find(place).plain().map(|value| value.into_owned())
}

/// What every line that fits says, which must be the same.
fn said_once(line: &Regex, text: &str) -> Result<String, NotRead> {
    let mut said = None;
    for value in text.lines().filter_map(|text| line.captures(text)).filter_map(|found| found.get(1)) {
        match said {
            None => said = Some(value.as_str()),
            Some(before) if before == value.as_str() => {}
            Some(_) => return Err(NotRead::Contradictory),
        }
    }
    said.map(str::to_owned).ok_or(NotRead::Unreadable)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use jiff::Timestamp;
    use sekisho_issuance::certificate::DocumentBytes;

    use super::*;
    use crate::edge::tests::CONFIG;

    fn source(manifest: &str) -> Source {
        let text = format!("{CONFIG}\n[backends.issuer.manifest]\nrequest = {{ path = \"/version\" }}\n{manifest}");
        let config = crate::config::parse(&text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        config.backends["issuer"].manifest.as_deref().unwrap().clone()
    }

    fn answer(status: u16, body: &[u8]) -> Answer {
        Answer {
            status,
            headers: HeaderMap::new(),
            body: DocumentBytes::new(body.to_vec()),
            framing_surprise: false,
            sent_at: Timestamp::UNIX_EPOCH,
            received_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn lines_are_read_and_two_that_differ_are_a_contradiction() {
        let source = source(r"fields = { build = { line = '^BUILD=(\S+)$' }, topology = { line = '^NODES=(\d+)$' } }");
        let read = |body: &str| source.read(&answer(200, body.as_bytes()));
        let manifest = read("x\nBUILD=V5.2-p07\r\nNODES=2\n").unwrap();
        assert_eq!((&*manifest[&Field::Build], &*manifest[&Field::Topology]), ("V5.2-p07", "2"));
        assert!(read("BUILD=a\nBUILD=a\nNODES=2").is_ok());
        assert_eq!(read("BUILD=a\nNODES=2\nBUILD=b"), Err(NotRead::Contradictory));
        for none in ["", "BUILD=a", "BUILD=\nNODES=2", "build=a\nNODES=2"] {
            assert_eq!(read(none), Err(NotRead::Unreadable), "{none:?}");
        }
        let long = format!("BUILD={}\nNODES=2", "a".repeat(MAX_VALUE_BYTES + 1));
        assert_eq!(read(&long), Err(NotRead::Unreadable));
        assert_eq!(source.read(&answer(200, b"BUILD=\xff\nNODES=2")), Err(NotRead::Unreadable));
        let mut other = answer(200, b"BUILD=a\nNODES=2");
        other.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=EUC-JP"));
        assert_eq!(source.read(&other), Err(NotRead::Unreadable));
    }

    #[test]
    fn places_of_the_body_and_headers_are_read_once_and_only_of_a_plain_answer() {
        let source = source("fields = { build = { json = \"/build\" }, patches = { header = \"X-Patches\" } }");
        let with = |status, body: &str, patches: &[&'static str]| {
            let mut answer = answer(status, body.as_bytes());
            for value in patches {
                answer.headers.append("x-patches", HeaderValue::from_static(value));
            }
            source.read(&answer)
        };
        assert_eq!(with(200, r#"{"build":"a"}"#, &["7"]).unwrap()[&Field::Patches], "7".into());
        assert_eq!(with(200, r#"{"build":"a"}"#, &["7", "8"]), Err(NotRead::Contradictory));
        assert_eq!(with(200, r#"{"build":"a"}"#, &[]), Err(NotRead::Unreadable));
        assert_eq!(with(200, r#"{"build":"a","build":"b"}"#, &["7"]), Err(NotRead::Unreadable));
        assert_eq!(with(200, r#"{"build":{}}"#, &["7"]), Err(NotRead::Unreadable));
        assert_eq!(with(404, r#"{"build":"a"}"#, &["7"]), Err(NotRead::Unreadable));
        assert_eq!(with(503, r#"{"build":"a"}"#, &["7"]), Err(NotRead::Unanswered), "too busy to say it");
        let mut surprising = answer(200, br#"{"build":"a"}"#);
        surprising.headers.append("x-patches", HeaderValue::from_static("7"));
        surprising.framing_surprise = true;
        assert_eq!(source.read(&surprising), Err(NotRead::Unreadable));
    }
}
