//! Takes recorded exchanges apart: which dialect, which values where, which certificate. Knows nothing of what they mean.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use sekisho_issuance::answer::{Body, Charset, Dialect, Format, Prefixes};
use sekisho_issuance::document::{self, Document, Limits};

use super::Recorded;
use super::jobs::{self, Job};

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Header(String),
    /// The segment of this number.
    Path(usize),
    Query(String),
    Body(String),
}

/// One value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Leaf {
    pub(super) place: Place,
    pub(super) value: String,
}

/// A certificate in an answer.
pub(super) struct Paper {
    pub(super) document: Document,
    /// Where its base64 stands; `None` = it is the whole body.
    pub(super) inside: Option<String>,
}

/// One exchange, taken apart.
pub(super) struct Seen<'e> {
    pub(super) exchange: &'e Recorded,
    /// The exchange whose answer is the one to judge: another where a job's document was fetched later.
    pub(super) last: &'e Recorded,
    /// The request's `X-Request-Id`.
    pub(super) request_id: Option<String>,
    /// What came between being accepted and being fetched.
    pub(super) job: Option<Box<Job<'e>>>,
    pub(super) segments: Vec<String>,
    pub(super) asked: Vec<Leaf>,
    pub(super) answered: Vec<Leaf>,
    /// The first element of its message, where it is XML.
    pub(super) message: Option<String>,
    pub(super) paper: Option<Paper>,
    pub(super) media_type: Option<String>,
    /// How its bodies are written; `None` = it has none that can be read.
    pub(super) dialect: Option<(Format, Charset)>,
}

impl Seen<'_> {
    /// Which `X-Request-Id` its answer may bring back: every step of a job will have the same one.
    pub(super) fn request_ids(&self) -> impl Iterator<Item = &String> {
        let fetched = self.job.as_ref().and_then(|job| job.fetched.request_id.as_ref());
        self.request_id.iter().chain(fetched)
    }
}

/// Everything that was read; a job's steps are one exchange.
pub(super) struct All<'e> {
    pub(super) seen: Vec<Seen<'e>>,
    pub(super) prefixes: Prefixes,
}

/// Headers that say nothing about anybody.
const PLUMBING: [&str; 14] = [
    "host",
    "content-length",
    "content-type",
    "accept",
    "accept-encoding",
    "accept-language",
    "connection",
    "user-agent",
    "date",
    "server",
    "transfer-encoding",
    "keep-alive",
    "cache-control",
    "traceparent",
];

pub(super) fn read(exchanges: &[Recorded]) -> All<'_> {
    let mut prefixes = Prefixes::default();
    let seen = exchanges.iter().map(|exchange| one(exchange, &mut prefixes)).collect();
    All { seen: jobs::fold(seen), prefixes }
}

fn one<'e>(exchange: &'e Recorded, prefixes: &mut Prefixes) -> Seen<'e> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let segments: Vec<String> = exchange.path.split('/').skip(1).map(decode).collect();
    let mut asked: Vec<Leaf> = headers(&exchange.headers);
    asked.extend(segments.iter().enumerate().map(|(n, value)| Leaf { place: Place::Path(n), value: value.clone() }));
    let pairs = exchange.query.split('&').filter_map(|pair| pair.split_once('='));
    asked.extend(pairs.map(|(name, value)| Leaf { place: Place::Query(decode(name)), value: decode(value) }));
    let request = body(&exchange.headers, &exchange.body);
    let answer = body(&exchange.answer_headers, &exchange.answer);
    let mut in_body = |read: &Option<(Body, Format, Charset)>| -> Vec<Leaf> {
        let leaves = read.iter().flat_map(|(body, ..)| body.leaves(prefixes)).collect::<Vec<_>>();
        leaves.into_iter().map(|(place, value)| Leaf { place: Place::Body(place), value }).collect()
    };
    asked.extend(in_body(&request));
    let mut answered = headers(&exchange.answer_headers);
    answered.extend(in_body(&answer));
    let paper = paper(exchange, &answered);
    if let Some(inside) = paper.as_ref().and_then(|paper| paper.inside.as_ref()) {
        answered.retain(|leaf| leaf.place != Place::Body(inside.clone()));
    }
    let message = request.as_ref().and_then(|(body, ..)| body.message());
    let dialect = request.or(answer).map(|(_, format, charset)| (format, charset));
    let media_type = header(&exchange.answer_headers, "content-type");
    let media_type = media_type.map(|said| said.split(';').next().unwrap_or("").trim().to_ascii_lowercase());
    let request_id = header(&exchange.headers, "x-request-id").map(str::to_owned);
    let (last, job) = (exchange, None);
    Seen { exchange, last, request_id, job, segments, asked, answered, message, paper, media_type, dialect }
}

fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn headers(headers: &[(String, String)]) -> Vec<Leaf> {
    let told = headers.iter().filter(|(name, _)| !PLUMBING.contains(&name.to_ascii_lowercase().as_str()));
    told.map(|(name, value)| Leaf { place: Place::Header(name.to_ascii_lowercase()), value: value.clone() }).collect()
}

/// A body in the dialect that its sender declares.
fn body<'b>(headers: &[(String, String)], bytes: &'b [u8]) -> Option<(Body<'b>, Format, Charset)> {
    let content_type = header(headers, "content-type").unwrap_or("");
    let essence = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace())?;
    let format = match (essence.as_str(), first) {
        ("application/x-www-form-urlencoded", _) => Format::Form,
        ("multipart/form-data", _) => Format::Multipart,
        (essence, _) if essence.ends_with("json") => Format::Json,
        (essence, _) if essence.ends_with("xml") => Format::Xml,
        (_, b'{') => Format::Json,
        (_, b'<') => Format::Xml,
        _ => return None,
    };
    let declared = content_type.split(';').skip(1).find_map(|part| part.trim().strip_prefix("charset="));
    let within = || {
        let head = String::from_utf8_lossy(bytes.get(..128).unwrap_or(bytes)).into_owned();
        let after = head.split("encoding=").nth(1)?.to_owned();
        Some(after.get(1..)?.split(['"', '\'']).next()?.to_owned())
    };
    let label = declared.map(|label| label.trim_matches('"').to_owned()).or_else(within);
    let charset = label.map_or(Some(Charset::Utf8), |label| Charset::parse(&label))?;
    let dialect = Dialect { charset, format, ..Dialect::default() };
    dialect.read(bytes, header(headers, "content-type")).ok().map(|body| (body, format, charset))
}

fn paper(exchange: &Recorded, answered: &[Leaf]) -> Option<Paper> {
    let read = |bytes: &[u8]| document::read(bytes, &Limits::default()).ok();
    if exchange.answer.starts_with(b"%PDF") {
        return read(&exchange.answer).map(|document| Paper { document, inside: None });
    }
    answered.iter().find_map(|leaf| {
        // "%PDF" in base64.
        let squeezed: String = leaf.value.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let Place::Body(place) = &leaf.place else { return None };
        let bytes = squeezed.starts_with("JVBER").then(|| STANDARD.decode(squeezed.as_bytes()).ok())??;
        read(&bytes).map(|document| Paper { document, inside: Some(place.clone()) })
    })
}
