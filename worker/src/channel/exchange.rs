//! One request and its reply on one channel. The connection is driven by the same task, so dropping the future closes it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use sekisho_issuance::certificate::{DocumentBytes, wipe};

use super::{Channel, Connection};
use crate::assignment::{Answer, Call};
use crate::backend::BackendConfig;
use crate::clock;
use crate::metric::Burn;

/// What a reply of undeclared length is first given room for.
const FIRST_ROOM_BYTES: usize = 16 * 1024;

/// A request ready to be sent: nothing is rendered once the lane is taken.
pub(crate) struct Prepared {
    request: Request<Full<Bytes>>,
    max_response_bytes: usize,
}

impl Prepared {
    /// Renders `call`; `None` where its target is not a path.
    pub(crate) fn new(call: &Call, config: &BackendConfig) -> Option<Self> {
        let uri = Uri::try_from(call.target.as_str()).ok().filter(|u| u.path().starts_with('/'))?;
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = call.headers.clone();
        request.headers_mut().insert(HOST, config.address.host_header().clone());
        Some(Self { request, max_response_bytes: call.max_response_bytes })
    }

    /// The backend is told that no second request follows.
    pub(crate) fn last_on_connection(&mut self) {
        self.request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// A complete reply, and the channel where it may serve another call.
pub(crate) struct Replied {
    pub(crate) answer: Answer,
    pub(crate) channel: Option<Channel>,
    /// What was wrong beside the bytes of the reply itself.
    pub(crate) surprise: Option<Burn>,
}

/// No usable reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) reason: Burn,
    /// Whether any byte left; if not, the backend cannot have acted.
    pub(crate) sent: bool,
}

/// Sends `prepared` and reads the whole reply. While `discard` is set, what comes is counted and destroyed, not kept.
pub(crate) async fn exchange(
    mut channel: Channel,
    prepared: Prepared,
    config: Arc<BackendConfig>,
    discard: Arc<AtomicBool>,
) -> Result<Replied, Failed> {
    let before = channel.wire.written();
    let wire = channel.wire.clone();
    let failed = |reason| Failed { reason, sent: wire.written() > before };
    let Prepared { mut request, max_response_bytes } = prepared;
    let informed = Arc::new(AtomicBool::new(false));
    let inform = Arc::clone(&informed);
    hyper::ext::on_informational(&mut request, move |_| inform.store(true, Ordering::Relaxed));

    tracing::trace!(channel = channel.number, "one request on its channel");
    let sent_at = clock::wall();
    let sending = channel.sender.send_request(request);
    let response = match drive(&mut channel.connection, pin!(sending)).await {
        Some(Ok(response)) => response,
        Some(Err(error)) => return Err(failed(reason_of(&error))),
        None => return Err(failed(Burn::Cut)),
    };
    let (head, body) = response_parts(response);
    let mut surprise = framing(&head, &body, config.close_delimited);
    let body = match collect(&mut channel.connection, body, max_response_bytes, &discard).await {
        Ok(Collected { body, trailers }) => {
            surprise = surprise.or(trailers.then_some(Burn::StrayBytes));
            body
        }
        Err(reason) => return Err(failed(reason)),
    };
    let received_at = clock::wall();
    if informed.load(Ordering::Relaxed) {
        surprise = Some(Burn::Informational);
    }
    let (channel, stray) = look_behind(channel).await;
    let surprise = surprise.or(stray.then_some(Burn::StrayBytes));
    let answer = Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: DocumentBytes::new(body),
        framing_surprise: surprise.is_some(),
        sent_at,
        received_at,
    };
    Ok(Replied { answer, channel: channel.filter(|_| surprise.is_none()), surprise })
}

struct Head {
    status: StatusCode,
    headers: HeaderMap,
}

fn response_parts(response: Response<Incoming>) -> (Head, Incoming) {
    let (parts, body) = response.into_parts();
    (Head { status: parts.status, headers: parts.headers }, body)
}

/// Polls `future` and the connection it depends on; `None` when the connection is over and the future can never end.
async fn drive<F: Future>(connection: &mut Connection, mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        let over = connection.poll_without_shutdown(cx).is_ready();
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if over => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Whether the head frames the body in exactly one way that can be seen to be complete.
fn framing(head: &Head, body: &Incoming, close_delimited: bool) -> Option<Burn> {
    let lengths = head.headers.get_all(CONTENT_LENGTH).iter().count();
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    let coding = codings.next();
    let coded = coding.is_some();
    // Any other coding would still be on the bytes that are handed on.
    let undone = coding.is_none_or(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"));
    let undeclared = lengths == 0 && !coded && body.size_hint().exact().is_none();
    let ambiguous = lengths > 1 || (lengths == 1 && coded) || !undone || codings.next().is_some();
    let switched = head.status == StatusCode::SWITCHING_PROTOCOLS;
    (ambiguous || switched || (undeclared && !close_delimited)).then_some(Burn::Unparsable)
}

struct Collected {
    body: Vec<u8>,
    trailers: bool,
}

/// A body under construction; what it held is zeroed when it moves or goes.
struct Room(Vec<u8>);

impl Room {
    fn push(&mut self, data: &[u8]) {
        if self.0.capacity() - self.0.len() < data.len() {
            let wanted = (self.0.len() + data.len()).max(self.0.capacity() * 2);
            let mut larger = Vec::with_capacity(wanted);
            larger.extend_from_slice(&self.0);
            wipe(&mut self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(data);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Reads the body straight into the buffer that becomes the document: exact room where a length is declared.
async fn collect(
    connection: &mut Connection,
    mut body: Incoming,
    max: usize,
    discard: &AtomicBool,
) -> Result<Collected, Burn> {
    let declared = body.size_hint().exact();
    if declared.is_some_and(|bytes| bytes > max as u64) {
        return Err(Burn::TooLarge);
    }
    let first = declared.map_or(FIRST_ROOM_BYTES.min(max), |bytes| bytes as usize);
    let mut room = Room(Vec::with_capacity(first));
    let mut received = 0_usize;
    let mut trailers = false;
    loop {
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        match drive(connection, pin!(frame)).await {
            None => return Err(Burn::Cut),
            Some(Some(Err(error))) => return Err(reason_of(&error)),
            Some(None) => break,
            Some(Some(Ok(frame))) => {
                let Some(data) = frame.data_ref() else {
                    trailers = true;
                    continue;
                };
                received = received.saturating_add(data.len());
                if received > max {
                    return Err(Burn::TooLarge);
                }
                if discard.load(Ordering::Relaxed) {
                    wipe(&mut room.0);
                } else {
                    room.push(data);
                }
            }
        }
    }
    Ok(Collected { body: std::mem::take(&mut room.0), trailers })
}

/// Looks for bytes behind the declared end: what hyper read already, then what the kernel holds.
async fn look_behind(mut channel: Channel) -> (Option<Channel>, bool) {
    let state = poll_fn(|cx| Poll::Ready(channel.connection.poll_without_shutdown(cx))).await;
    match state {
        // hyper has just read until the kernel had nothing more; the pool looks again before the next call.
        Poll::Pending => (Some(channel), false),
        Poll::Ready(Ok(())) => {
            let Channel { connection, wire, .. } = channel;
            let mut parts = connection.into_parts();
            let more = !parts.read_buf.is_empty() || parts.io.inner_mut().has_more();
            (None, more || wire.peek() == super::Peeked::Bytes)
        }
        Poll::Ready(Err(error)) => (None, super::is_stray(&error)),
    }
}

fn reason_of(error: &hyper::Error) -> Burn {
    use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    if error.is_parse() || error.is_parse_too_large() {
        return Burn::Unparsable;
    }
    if error.is_incomplete_message() {
        return Burn::Cut;
    }
    // hyper reports a body's end and a chunk's shape as errors of its reading.
    let io = std::error::Error::source(error).and_then(|s| s.downcast_ref::<std::io::Error>());
    match io.map(std::io::Error::kind) {
        Some(UnexpectedEof) => Burn::Cut,
        Some(InvalidData | InvalidInput) => Burn::Unparsable,
        _ => Burn::Reset,
    }
}
