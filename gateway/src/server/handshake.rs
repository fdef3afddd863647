//! Turns an accepted connection into a stream of plain bytes, with TLS where it is configured. Bounded in time and number.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::wire::Protocol;
use crate::tls::{Peer, ServerTls};

/// A kiosk's connection below HTTP.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection whose other end is known as far as it ever will be.
pub(super) struct Shaken {
    pub(super) stream: Stream,
    /// Who is at the other end, where they showed it.
    pub(super) peer: Option<Arc<Peer>>,
    /// What both sides agreed to speak; `None` = its first bytes will tell.
    pub(super) agreed: Option<Protocol>,
}

/// Handshakes that go on now.
#[derive(Clone, Default)]
pub(super) struct Handshakes(Arc<AtomicUsize>);

struct Place<'h>(&'h AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Handshakes {
    /// `Err` is the reason under which the connection is counted as refused.
    pub(super) async fn shake(&self, stream: TcpStream, tls: Option<&ServerTls>) -> Result<Shaken, &'static str> {
        let Some(tls) = tls else {
            return Ok(Shaken { stream: Stream::Plain(stream), peer: None, agreed: None });
        };
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        let _place = Place(&self.0);
        if before >= tls.max_handshakes {
            return Err("tls_full");
        }
        let accepting = TlsAcceptor::from(tls.config()).accept(stream);
        let stream = match tokio::time::timeout(tls.handshake_timeout, accepting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                return Err("tls_failed");
            }
            Err(_) => return Err("tls_late"),
        };
        let session = stream.get_ref().1;
        let shown = session.peer_certificates().and_then(|chain| chain.first());
        // Accepted, but what cannot be read here could not be named: it is nobody.
        let peer = shown.map(|first| Peer::read(first).map(Arc::new).ok_or("tls_failed")).transpose()?;
        let agreed = session.alpn_protocol().map(|name| if name == b"h2" { Protocol::Http2 } else { Protocol::Http1 });
        Ok(Shaken { stream: Stream::Tls(Box::new(stream)), peer, agreed })
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
