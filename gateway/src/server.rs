//! The kiosk side's listener: accepts, bounds, and hands each request to the tower. Knows HTTP's framing and nothing of its meaning.

mod descriptors;
pub mod framing;
mod handshake;
pub mod pass_through;
mod sending;
mod threads;
mod wire;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::TryFutureExt;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use jiff::Timestamp;
use sekisho_issuance::id::RequestId;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::body::Held;
use crate::config::Server as Limits;
use crate::edge::Edge;
use crate::layer::Inbound;
use crate::layer::admission::Permit;
use crate::session::OneCard;
use crate::stack::stack;
use crate::tls::Peer;
pub use descriptors::Descriptors;
use handshake::{Handshakes, Shaken};
use sending::{Sending, Watched};
pub use threads::Threads;
use wire::{Protocol, Wire};

/// HTTP/2 requests at once on one connection.
const MAX_STREAMS: u32 = 128;
/// A pause after an accept error that another try would only repeat (no more descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often such an error is said while it lasts.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Serves on `threads` until the edge drains, then waits for what is in flight, at most `drain` long. Returns how many
/// connections were cut. What runs on without its kiosk is still on `threads` then.
pub async fn serve(edge: Arc<Edge>, listener: TcpListener, threads: Arc<Threads>, descriptors: Descriptors) -> usize {
    let connections = TaskTracker::new();
    let open = Arc::new(AtomicUsize::new(0));
    let handshakes = Handshakes::default();
    let draining = edge.drain.wait();
    tokio::pin!(draining);
    let mut said = None::<Instant>;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut draining => break,
        };
        let limits = &edge.config().listeners.server;
        match accepted {
            Ok((stream, _)) => {
                let place = Place::take(&open);
                if place.number > descriptors.connections(&edge.config()) {
                    edge.count_connection_refused("full");
                    continue;
                }
                let (edge, limits, tracked) = (edge.clone(), limits.clone(), connections.token());
                let handshakes = handshakes.clone();
                // Taken from this runtime's reactor, so that the thread's own wakes it.
                let Ok(stream) = stream.into_std() else { continue };
                threads.spawn(move || async move {
                    if let Ok(stream) = TcpStream::from_std(stream) {
                        connection(edge, stream, &limits, &handshakes).await;
                    }
                    drop((place, tracked));
                });
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                if said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
                    tracing::error!(%error, "cannot accept connections");
                    said = Some(Instant::now());
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    let bound = edge.config().listeners.server.drain;
    match tokio::time::timeout(bound, connections.wait()).await {
        Ok(()) => 0,
        Err(_) => connections.len(),
    }
}

/// One open connection, counted.
struct Place {
    open: Arc<AtomicUsize>,
    number: usize,
}

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Self {
        Self { open: open.clone(), number: open.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused | Kind::Interrupted
    )
}

/// One connection to its end. Errors are the client's: it hung up, was too slow or spoke something else.
async fn connection(edge: Arc<Edge>, stream: TcpStream, limits: &Limits, handshakes: &Handshakes) {
    // Small replies must not wait for each other.
    let _ = stream.set_nodelay(true);
    let shaken = handshakes.shake(stream, limits.tls.as_deref()).await;
    let Shaken { stream, peer, agreed } = match shaken {
        Ok(shaken) => shaken,
        Err(reason) => return edge.count_connection_refused(reason),
    };
    // Nobody may hold a connection open without saying what it speaks.
    let sending = Sending::new();
    let opening = Wire::open(stream, agreed, limits.max_header_bytes, sending.socket());
    let opened = tokio::time::timeout(limits.header_timeout, opening).await;
    let Ok(Ok((protocol, wire))) = opened else { return };
    let service = Requests { edge: edge.clone(), sending: sending.clone(), peer, connection: Arc::default() };
    tokio::select! {
        () = speak(&edge, protocol, wire, service, limits) => {}
        // A kiosk that takes nothing would hold its permit and a certificate in memory for ever.
        () = sending.stalled(limits.send_timeout) => edge.count_connection_refused("stalled"),
    }
}

/// Serves what comes over `wire`, until the other side ends it or a drain does.
async fn speak(edge: &Edge, protocol: Protocol, wire: Wire, service: Requests, limits: &Limits) {
    let draining = edge.drain.wait();
    tokio::pin!(draining);
    match protocol {
        Protocol::Http1 => {
            let mut builder = http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(limits.header_timeout)
                .max_headers(limits.max_headers)
                .max_header_size(limits.max_header_bytes)
                .max_buf_size(limits.max_header_bytes.max(16 << 10))
                .keep_alive(true)
                .half_close(false);
            let connection = builder.serve_connection(TokioIo::new(wire), service);
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = &mut connection => ended,
                () = &mut draining => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            note_end(edge, ended);
        }
        Protocol::Http2 => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .max_concurrent_streams(MAX_STREAMS)
                .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
                .keep_alive_interval(limits.header_timeout)
                .keep_alive_timeout(limits.header_timeout);
            let connection = builder.serve_connection(TokioIo::new(wire), service);
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = &mut connection => ended,
                () = &mut draining => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            note_end(edge, ended);
        }
    }
}

/// What cannot be read is no arrival: the parser answers it with a bare 4xx, and only this counts it.
fn note_end(edge: &Edge, ended: hyper::Result<()>) {
    if let Err(error) = ended {
        if error.is_parse() || error.is_parse_too_large() {
            edge.count_connection_refused("unreadable");
        }
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Stamps each request with its arrival and sends it up the tower.
#[derive(Clone)]
struct Requests {
    edge: Arc<Edge>,
    sending: Arc<Sending>,
    peer: Option<Arc<Peer>>,
    connection: Arc<OneCard>,
}

impl hyper::service::Service<http::Request<Incoming>> for Requests {
    type Response = http::Response<Watched<Held<Permit>>>;
    type Error = Infallible;
    // The one box of a request: it keeps the connection's own state small.
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let arrived_at = self.edge.clock.now();
        let (edge, peer, connection) = (self.edge.clone(), self.peer.clone(), self.connection.clone());
        let (id, arrived) = (mint(arrived_at), Instant::now());
        let inbound = Inbound { edge, id, arrived, arrived_at, peer, connection, canary: None, request };
        let sending = self.sending.clone();
        Box::pin(stack().call(inbound).map_ok(move |answer| answer.map(|body| sending.answer(body))))
    }
}

/// A UUIDv7 (RFC 9562, 5.7). Its 74 random bits come from the thread's generator, which makes no system call for each.
pub(crate) fn mint(at: Timestamp) -> RequestId {
    let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
    let random = rand::random::<[u8; 10]>();
    RequestId::from_u128(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().as_u128())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_of_version_7_that_sort_by_time_and_never_meet() {
        let at = |millis| mint(Timestamp::from_millisecond(millis).unwrap());
        let id = uuid::Uuid::from_u128(at(1_800_000_000_000).as_u128());
        assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
        assert!(at(1_800_000_000_000) < at(1_800_000_000_001));
        assert_ne!(at(1_800_000_000_000), at(1_800_000_000_000));
    }
}
