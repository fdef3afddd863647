//! One connection to a backend, known by its number and taken by one call at a time. Never shared, never reused after a surprise.

pub(crate) mod exchange;
pub(crate) mod pool;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::backend::BackendConfig;
use crate::clock;
use crate::metric::Burn;
use wire::{Peeked, Wire, WireHandle};

/// The longest head or single read that is buffered.
const MAX_BUFFER_BYTES: usize = 64 * 1024;
/// Headers in a reply.
const MAX_HEADERS: usize = 128;

type Connection = http1::Connection<TokioIo<Wire>, Full<Bytes>>;

/// A connection with nothing in flight. Dropping it closes it.
pub(crate) struct Channel {
    /// Its identity, for logs: which connection served which attempt.
    pub(crate) number: u64,
    sender: http1::SendRequest<Full<Bytes>>,
    connection: Connection,
    wire: WireHandle,
    idle_since: Instant,
    /// The runtime whose reactor it is known to.
    home: Option<tokio::runtime::Id>,
}

/// The runtime that this runs on.
fn home() -> Option<tokio::runtime::Id> {
    tokio::runtime::Handle::try_current().ok().map(|runtime| runtime.id())
}

/// What an idle channel is found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Idle {
    /// Nothing came since the last reply.
    Clean,
    /// The backend closed it.
    Closed,
    /// Something came that nobody asked for.
    Stray,
}

impl Channel {
    /// Opens a connection within the configured time, and before `deadline`.
    pub(crate) async fn open(config: &BackendConfig, deadline: Instant) -> std::io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let until = deadline.min(clock::after(clock::now(), config.connect_timeout));
        let wire = tokio::time::timeout_at(until.into(), Wire::connect(config)).await??;
        let handle = wire.handle();
        let handshake = http1::Builder::new()
            .max_buf_size(MAX_BUFFER_BYTES)
            .max_headers(MAX_HEADERS)
            .handshake(TokioIo::new(wire))
            .await;
        let (sender, connection) = handshake.map_err(std::io::Error::other)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Ok(Self { number, sender, connection, wire: handle, idle_since: clock::now(), home: home() })
    }

    /// Whether it may serve another call: asked of hyper's buffer and of the kernel's, without waiting.
    pub(crate) fn inspect(&mut self) -> Idle {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match self.connection.poll_without_shutdown(&mut cx) {
            Poll::Ready(Ok(())) => return Idle::Closed,
            Poll::Ready(Err(error)) => return if is_stray(&error) { Idle::Stray } else { Idle::Closed },
            Poll::Pending => {}
        }
        match self.wire.peek() {
            Peeked::Nothing if self.sender.is_ready() => Idle::Clean,
            Peeked::Nothing | Peeked::End => Idle::Closed,
            Peeked::Bytes => Idle::Stray,
        }
    }

    /// How long nothing happened on it.
    pub(crate) fn idle_since(&self) -> Instant {
        self.idle_since
    }
}

/// hyper's word for bytes on an idle connection: neither of the socket's errors nor an early end.
fn is_stray(error: &hyper::Error) -> bool {
    !error.is_incomplete_message() && std::error::Error::source(error).is_none()
}

/// Counts a channel that no further call may use.
pub(crate) fn burn(backend: &Arc<str>, reason: Burn) {
    metrics::counter!(crate::metric::CHANNEL_BURNS, "backend" => Arc::clone(backend), "reason" => reason.label())
        .increment(1);
}
