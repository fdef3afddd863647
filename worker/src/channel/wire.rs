//! The socket below hyper: counts what left, and lets the kernel's buffer be looked at while hyper owns the connection.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::backend::BackendConfig;

#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    written: AtomicU64,
}

/// The socket as bytes come and go on it.
#[derive(Debug)]
pub(super) struct Tcp(Arc<Socket>);

/// The half that hyper owns.
#[derive(Debug)]
pub(super) enum Wire {
    Tcp(Tcp),
    Tls(Box<TlsStream<Tcp>>),
    /// For tests in paused time, which a socket would not wait for.
    #[cfg(test)]
    Memory(tokio::io::DuplexStream, Arc<AtomicU64>),
}

/// The half that the channel keeps.
#[derive(Debug, Clone)]
pub(super) enum WireHandle {
    Tcp(Arc<Socket>),
    Tls(Arc<Socket>),
    #[cfg(test)]
    Memory(Arc<AtomicU64>),
}

/// What the kernel holds for an idle connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peeked {
    /// Nothing, and it is open.
    Nothing,
    /// The other side closed it, or it is broken.
    End,
    /// Bytes nobody asked for.
    Bytes,
}

impl Wire {
    pub(super) async fn connect(config: &BackendConfig) -> io::Result<Self> {
        #[cfg(test)]
        if let Some(stream) = config.address.memory() {
            return Ok(Self::Memory(stream?, Arc::default()));
        }
        let stream = TcpStream::connect(config.address.target()).await?;
        stream.set_nodelay(true)?;
        let tcp = Tcp(Arc::new(Socket { stream, written: AtomicU64::new(0) }));
        match (&config.tls, config.address.is_tls()) {
            (None, false) => Ok(Self::Tcp(tcp)),
            (Some(tls), true) => {
                let connector = TlsConnector::from(tls.config());
                Ok(Self::Tls(Box::new(connector.connect(tls.name(), tcp).await?)))
            }
            // Whoever asks for TLS never speaks in the clear, and the other way round.
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "the address and `tls` do not go together")),
        }
    }

    pub(super) fn handle(&self) -> WireHandle {
        match self {
            Self::Tcp(Tcp(socket)) => WireHandle::Tcp(Arc::clone(socket)),
            Self::Tls(stream) => WireHandle::Tls(Arc::clone(&stream.get_ref().0.0)),
            #[cfg(test)]
            Self::Memory(_, written) => WireHandle::Memory(Arc::clone(written)),
        }
    }

    /// Whether decrypted bytes stand behind an answer, where the kernel's cannot tell: they may be TLS's own.
    pub(super) fn has_more(&mut self) -> bool {
        let Self::Tls(stream) = self else { return false };
        let mut one = [MaybeUninit::uninit()];
        let mut buf = ReadBuf::uninit(&mut one);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let _ = Pin::new(stream).poll_read(&mut cx, &mut buf);
        !buf.filled().is_empty()
    }
}

impl WireHandle {
    /// Bytes handed to the kernel over the life of the connection.
    pub(super) fn written(&self) -> u64 {
        match self {
            Self::Tcp(socket) | Self::Tls(socket) => socket.written.load(Ordering::Relaxed),
            #[cfg(test)]
            Self::Memory(written) => written.load(Ordering::Relaxed),
        }
    }

    /// Looks at the kernel's buffer without taking from it; does not depend on the reactor having seen it.
    pub(super) fn peek(&self) -> Peeked {
        let (socket, plain) = match self {
            Self::Tcp(socket) => (socket, true),
            Self::Tls(socket) => (socket, false),
            #[cfg(test)]
            Self::Memory(_) => return Peeked::Nothing,
        };
        let mut one = [MaybeUninit::uninit()];
        match socket2::SockRef::from(&socket.stream).peek(&mut one) {
            Ok(0) => Peeked::End,
            // A farewell or a key of TLS's own, or what nobody asked for: it is not used again, and nothing is said against it.
            Ok(_) if !plain => Peeked::End,
            Ok(_) => Peeked::Bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Peeked::Nothing,
            Err(_) => Peeked::End,
        }
    }
}

fn count(counter: &AtomicU64, written: io::Result<usize>) -> io::Result<usize> {
    if let Ok(bytes) = &written {
        counter.fetch_add(*bytes as u64, Ordering::Relaxed);
    }
    written
}

impl AsyncRead for Tcp {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let socket = &self.0;
        loop {
            ready!(socket.stream.poll_read_ready(cx))?;
            match socket.stream.try_read_buf(buf) {
                Ok(_) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = &self.0;
        loop {
            ready!(socket.stream.poll_write_ready(cx))?;
            match socket.stream.try_write_vectored(bufs) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(count(&socket.written, result)),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(socket2::SockRef::from(&self.0.stream).shutdown(std::net::Shutdown::Write))
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(test)]
            Self::Memory(stream, _) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            #[cfg(test)]
            Self::Memory(stream, written) => {
                let result = ready!(Pin::new(stream).poll_write_vectored(cx, bufs));
                Poll::Ready(count(written, result))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(test)]
            Self::Memory(stream, _) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
