//! The only way out for an answer: takes a [`Released`] and nothing else, picks headers by allow-list, and watches the bytes leave.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use sekisho_issuance::id::RequestId;
use sha2::{Digest, Sha256};

use crate::body::Body;
use crate::bound::Bound;
use crate::clock::Clock;
use crate::problem::Problem;
use crate::record::{Fate, Record, Records};
use crate::release::{Answered, Pass, Released, What};
use crate::template::X_REQUEST_ID;

/// RFC 9530.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// The most that is handed to the connection at once, so that a cut can be told from a whole answer.
const CHUNK_BYTES: usize = 16 * 1024;

/// Never passed on, whatever a route allows: they set state, lead elsewhere, describe another hop, or are ours to say.
const NEVER: [HeaderName; 17] = [
    header::SET_COOKIE,
    header::LOCATION,
    header::CONTENT_LOCATION,
    header::REFRESH,
    header::LINK,
    header::CACHE_CONTROL,
    header::EXPIRES,
    header::AGE,
    header::ETAG,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TRAILER,
    CONTENT_DIGEST,
    X_REQUEST_ID,
];

/// Whether a route may list this header in `response_headers`.
pub fn may_be_allowed(name: &HeaderName) -> bool {
    !NEVER.contains(name) && *name != header::SERVER && *name != HeaderName::from_static("set-cookie2")
}

/// What is told when the bytes have left, were cut, or never left.
pub(crate) struct Finish {
    /// Where.
    pub(crate) records: Arc<Records>,
    /// Of which request.
    pub(crate) request: RequestId,
    /// When.
    pub(crate) clock: Clock,
}

impl Finish {
    fn say(self, fate: Fate) {
        let record = Record::result(self.request, self.clock.now(), fate);
        if self.records.append_lazy(&record).is_err() {
            tracing::error!(request = %self.request, "the result of a release could not be recorded: it may have been released");
        }
    }
}

/// Writes the head and hands the body over. Nothing of the backend's head goes along but what the route allows.
pub(crate) fn write(bound: &Bound, released: Released<Answered>, finish: Option<Finish>) -> Response<Body> {
    let (answered, pass) = released.into_parts();
    let request = bound.context().id();
    match answered.what {
        What::Refusal { code, status } => {
            let rendered = Problem::refused(code, status).render(&bound.route().problem, request);
            rendered.map(|body| Leaving::new(Source::Rendered(body), pass, finish).boxed_unsync())
        }
        What::Verbatim { status, headers, body } => {
            let bytes = body.into_zeroing_bytes();
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            let out = response.headers_mut();
            let media_type = headers.get(header::CONTENT_TYPE).and_then(media_type);
            out.extend(media_type.map(|value| (header::CONTENT_TYPE, value)));
            let allowed = bound.route().response_headers.iter().filter(|name| **name != header::CONTENT_TYPE);
            for name in allowed.filter(|name| may_be_allowed(name)) {
                // A header that comes twice could be read either way.
                let mut values = headers.get_all(name).iter();
                if let (Some(value), None) = (values.next(), values.next()) {
                    out.insert(name.clone(), value.clone());
                }
            }
            out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            if let Ok(id) = HeaderValue::from_str(&request.to_string()) {
                out.insert(X_REQUEST_ID, id);
            }
            let has_body = status != 204;
            if has_body {
                out.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
                let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(&bytes)));
                if let Ok(digest) = HeaderValue::from_str(&digest) {
                    out.insert(CONTENT_DIGEST, digest);
                }
            }
            let source = Source::Bytes(if has_body { bytes } else { Bytes::new() });
            response.map(|()| Leaving::new(source, pass, finish).boxed_unsync())
        }
    }
}

/// Type, and the charset of what is text: any other parameter (`name="..."`) is text of the backend's that nobody checked.
fn media_type(value: &HeaderValue) -> Option<HeaderValue> {
    let mut parts = value.to_str().ok()?.split(';').map(str::trim);
    let mut said = parts.next()?.to_owned();
    let textual = said.to_ascii_lowercase();
    let textual = textual.starts_with("text/") || textual.ends_with("json") || textual.ends_with("xml");
    let charset =
        parts.filter(|_| textual).find(|p| p.get(..8).is_some_and(|name| name.eq_ignore_ascii_case("charset=")));
    if let Some(charset) = charset {
        said.push_str("; ");
        said.push_str(charset);
    }
    HeaderValue::from_str(&said).ok()
}

enum Source {
    Bytes(Bytes),
    Rendered(Body),
}

/// A body that knows how much of it has left.
struct Leaving {
    source: Source,
    total: u64,
    given: u64,
    /// Until the first byte leaves.
    pass: Option<Pass>,
    /// Until the end is known.
    finish: Option<Finish>,
}

impl Leaving {
    fn new(source: Source, pass: Pass, finish: Option<Finish>) -> Self {
        let total = match &source {
            Source::Bytes(bytes) => bytes.len() as u64,
            Source::Rendered(body) => body.size_hint().exact().unwrap_or(0),
        };
        Self { source, total, given: 0, pass: Some(pass), finish }
    }

    fn gave(&mut self, bytes: usize) {
        if let Some(pass) = self.pass.take() {
            pass.left();
        }
        self.given += bytes as u64;
        if self.given >= self.total
            && let Some(finish) = self.finish.take()
        {
            finish.say(Fate::Complete);
        }
    }
}

impl HttpBody for Leaving {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match &mut self.source {
            Source::Bytes(rest) if rest.is_empty() => Poll::Ready(None),
            Source::Bytes(rest) => Poll::Ready(Some(Ok(Frame::data(rest.split_to(rest.len().min(CHUNK_BYTES)))))),
            Source::Rendered(body) => Pin::new(body).poll_frame(cx),
        };
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            let bytes = data.len();
            self.gave(bytes);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Bytes(rest) => rest.is_empty(),
            Source::Rendered(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Bytes(rest) => SizeHint::with_exact(rest.len() as u64),
            Source::Rendered(body) => body.size_hint(),
        }
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if self.total == 0
            && let Some(pass) = self.pass.take()
        {
            // An answer without a body is only its head, and nobody polls it.
            pass.left();
        }
        let Some(finish) = self.finish.take() else { return };
        finish.say(match self.given {
            0 if self.total == 0 => Fate::Complete,
            0 => Fate::Destroyed { reason: "hung_up".to_owned() },
            after_bytes => Fate::Cut { after_bytes },
        });
    }
}
