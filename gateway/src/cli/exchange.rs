//! Recorded exchanges for `test`: a request, what its session knew, what the authority said, and the answer.
//!
//! One JSON object a line, in a file or in each `*.jsonl` file of a directory:
//!
//! ```json
//! {"name": "first", "request": {"method": "POST", "path": "/certificates/tax", "headers": {"X-Session": "s"}, "body": {"copies": "1"}},
//!  "request_id": "...", "facts": {"kiosk": "K-1", "card": "c", "municipality": "991007", "resident": "..."},
//!  "before": {"id": "..."}, "after": {"id": "..."}, "sent_at": "2026-11-22T01:00:00Z", "received_at": "2026-11-22T01:00:01Z",
//!  "answer": {"status": 200, "headers": {"content-type": "application/pdf"}, "body_file": "first.pdf"}, "expect": "release"}
//! ```
//!
//! `request_id` is what was sent to the backend as `X-Request-Id`; `facts` is what the pinned session knew beside the request; `before`
//! and `after` are the lookup's replies (in XML or a form as text, or `{"body_file": ...}`). A body is a JSON value (`body`), text (`text`, written here in UTF-8 and
//! taken in the charset of the route) or a file beside this one (`body_file`).
//! `expect` is `release` (the default) or `withhold`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use sekisho_issuance::answer::{AnswerView, Charset, Format};
use sekisho_issuance::checks::{Evidence, Findings, LookupReply, Reached};
use sekisho_issuance::id::RequestId;
use sekisho_issuance::request::Facts;
use sekisho_issuance::verdict::Verdict;
use serde::Deserialize;
use serde_json::Value;

use super::read::beside;
use crate::config::{Config, MAX_FILE_BYTES};
use crate::dispatch::asks_for_household;
use crate::layer::facts::{Said, set};
use crate::route::{FactName, Lookup, Matched};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    name: Option<String>,
    request: RecordedRequest,
    #[serde(default)]
    request_id: Option<String>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    facts: BTreeMap<String, String>,
    #[serde(default)]
    before: Option<Value>,
    #[serde(default)]
    after: Option<Value>,
    sent_at: Timestamp,
    received_at: Timestamp,
    answer: RecordedAnswer,
    #[serde(default)]
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedRequest {
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    body_file: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedAnswer {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    body_file: Option<String>,
}

/// What the checks should say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Expect {
    /// Nothing against it.
    #[default]
    Release,
    /// Something.
    Withhold,
}

/// One exchange, with its facts found and its bodies read.
pub(super) struct Exchange {
    pub(super) name: String,
    pub(super) matched: Matched,
    pub(super) facts: Facts,
    pub(super) expect: Expect,
    request: RequestId,
    nonce: u128,
    before: Option<LookupReply>,
    after: Option<LookupReply>,
    sent_at: Timestamp,
    received_at: Timestamp,
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// Every exchange at `path`: a file, or a directory of `*.jsonl` files.
pub(super) fn load(path: &Path, config: &Config) -> Result<Vec<Exchange>, String> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let named = entries.filter_map(|entry| entry.ok().map(|e| e.path()));
        files = named.filter(|p| p.extension().is_some_and(|e| e == "jsonl")).collect::<Vec<PathBuf>>();
        files.sort();
    }
    let mut exchanges = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let place = format!("{}:{}", file.display(), n + 1);
            let recorded: Recorded = serde_json::from_str(line).map_err(|error| format!("{place}: {error}"))?;
            exchanges.push(read(recorded, file, &place, config).map_err(|error| format!("{place}: {error}"))?);
        }
    }
    if exchanges.is_empty() {
        return Err(format!("{}: holds no exchange", path.display()));
    }
    Ok(exchanges)
}

fn read(recorded: Recorded, file: &Path, place: &str, config: &Config) -> Result<Exchange, String> {
    let Recorded {
        name,
        request,
        request_id,
        nonce,
        facts: known,
        before,
        after,
        sent_at,
        received_at,
        answer,
        expect,
    } = recorded;
    let name = name.unwrap_or_else(|| place.to_owned());
    let method: Method = request.method.parse().map_err(|_| "request.method is none".to_owned())?;
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let mut matched =
        config.routes.find(&method, path).map_err(|problem| format!("request: {}", problem.code().name()))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let header: HeaderName = name.parse().map_err(|_| format!("request.headers: `{name}` is no header name"))?;
        let value =
            HeaderValue::from_str(value).map_err(|_| format!("request.headers: `{name}` has no header value"))?;
        headers.append(header, value);
    }
    let charset = matched.route.dialect.charset;
    let body = bytes(file, charset, request.body, request.text, request.body_file)?;
    let said = Said { matched: &matched, headers: &headers, query, body: &body, peer: None };
    let (route, mut facts) = said
        .extract()
        .map_err(|problem| format!("request: {} ({})", problem.code().name(), problem.fact().unwrap_or("?")))?;
    for (fact, value) in &known {
        set(&mut facts, &FactName::parse(fact), value).ok_or_else(|| format!("facts: `{fact}` is malformed"))?;
    }
    matched.route = route.clone();
    // A reply in JSON stands here as it is; any other as text, or in a file beside this one (`{"body_file": "before.xml"}`).
    let parse = |reply: Option<Value>, which: &str| {
        let Some((lookup, reply)) = route.lookup.as_ref().zip(reply) else { return Ok(None) };
        let said = |key: &str| reply.get(key).and_then(Value::as_str).filter(|_| route_is_not_json(lookup));
        let body = match (said("body_file"), reply.as_str()) {
            (Some(name), _) => bytes(file, charset, None, None, Some(name.to_owned()))?,
            (None, Some(text)) if route_is_not_json(lookup) => {
                let charset = lookup.request.dialect.charset;
                charset.encode(text).ok_or_else(|| format!("{which}: cannot be written in {}", charset.name()))?
            }
            _ => reply.to_string().into_bytes(),
        };
        lookup.fields.parse(&body).map(Some).map_err(|why| format!("{which}: {why}"))
    };
    let (before, after) = (parse(before, "before")?, parse(after, "after")?);
    facts.kind = route.kind;
    facts.residents = facts.applicant.iter().cloned().collect();
    let household = route.household.as_ref().filter(|h| asks_for_household(h.when.as_ref(), &facts));
    if let (Some(_), Some(reply)) = (household, &before) {
        facts.residents = reply.people.iter().filter_map(|person| person.id.clone()).collect();
        facts.residents.sort();
        facts.residents.dedup();
    }
    let id = |text: Option<String>| text.and_then(|t| RequestId::parse(&t)).unwrap_or(RequestId::from_u128(0));
    Ok(Exchange {
        name,
        facts,
        expect,
        request: id(request_id),
        nonce: nonce.and_then(|n| u128::from_str_radix(&n, 16).ok()).unwrap_or(0),
        before,
        after,
        sent_at,
        received_at,
        status: answer.status,
        headers: answer
            .headers
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.into_bytes()))
            .collect(),
        body: bytes(file, charset, answer.body, answer.text, answer.body_file)?,
        matched,
    })
}

fn route_is_not_json(lookup: &Lookup) -> bool {
    lookup.request.dialect.format != Format::Json
}

/// A body: a JSON value, text, or a file beside `file`.
fn bytes(
    file: &Path,
    charset: Charset,
    value: Option<Value>,
    text: Option<String>,
    name: Option<String>,
) -> Result<Vec<u8>, String> {
    match (value, text, name) {
        (None, None, None) => Ok(Vec::new()),
        (Some(value), None, None) => Ok(value.to_string().into_bytes()),
        (None, Some(text), None) => {
            charset.encode(&text).ok_or_else(|| format!("a text cannot be written in {}", charset.name()))
        }
        (None, None, Some(name)) => {
            let path = beside(file, &name);
            let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            if bytes.len() > MAX_FILE_BYTES { Err(format!("{}: is too long", path.display())) } else { Ok(bytes) }
        }
        _ => Err("a body is one of `body`, `text` and `body_file`".to_owned()),
    }
}

impl Exchange {
    /// What the checks say when this request is given `answer`'s answer. The authority is asked about this request's people, and the
    /// times are those of the answer: it came in place of ours.
    pub(super) fn judge(&self, answer: &Self, config: &Config) -> Findings {
        let tenant = self.facts.municipality.and_then(|code| config.tenants.get(&code));
        self.matched.route.checks.run(&Evidence {
            facts: &self.facts,
            request: self.request,
            nonce: self.nonce,
            answer: AnswerView {
                status: answer.status,
                headers: &answer.headers,
                body: &answer.body,
                framing_surprise: false,
            },
            sent_at: answer.sent_at,
            received_at: answer.received_at,
            before: self.before.as_ref(),
            after: self.after.as_ref(),
            reached: &Reached::default(),
            municipality_name: tenant.map(|t| t.name.as_ref()),
            clock_synchronized: true,
        })
    }

    /// Whether the answer is one of the refusals that the route declares.
    pub(super) fn is_refusal(&self) -> bool {
        let view =
            AnswerView { status: self.status, headers: &self.headers, body: &self.body, framing_surprise: false };
        self.matched.route.refusals.as_ref().is_some_and(|refusals| refusals.recognise(&view).is_some())
    }
}

/// The checks that did not match, by name, without those in `aside`.
pub(super) fn against(findings: &Findings, aside: &[sekisho_issuance::verdict::CheckName]) -> Vec<&'static str> {
    let failed = findings.findings.iter().filter(|f| f.verdict != Verdict::Match && !aside.contains(&f.check));
    failed.map(|f| f.check.name()).collect()
}

#[cfg(test)]
mod tests;
