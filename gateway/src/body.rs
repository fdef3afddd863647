//! The one body type of everything the kiosk side is told. It never waits for a backend: its bytes are complete before it exists.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};

/// A complete reply, possibly with a guard that speaks when it has left or was cut.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A body of bytes that nobody needs to watch leaving.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// A body with what must be held until its last byte has left.
pub struct Held<G> {
    body: Body,
    guard: Option<G>,
}

impl<G> Held<G> {
    /// Holds `guard` as long as `body` lives.
    pub fn new(body: Body, guard: Option<G>) -> Self {
        Self { body, guard }
    }

    /// Holds nothing.
    pub fn free(body: Body) -> Self {
        Self { body, guard: None }
    }

    /// Whether something is still held.
    pub fn holds(&self) -> bool {
        self.guard.is_some()
    }
}

impl<G: Unpin> HttpBody for Held<G> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
