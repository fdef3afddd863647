//! The socket below hyper: counts what left, and lets the kernel's buffer be looked at while hyper owns the connection.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::backend::Address;

#[derive(Debug)]
struct Shared {
    stream: TcpStream,
    written: AtomicU64,
}

/// The half that hyper owns.
#[derive(Debug)]
pub(super) struct Wire(Arc<Shared>);

/// The half that the channel keeps.
#[derive(Debug, Clone)]
pub(super) struct WireHandle(Arc<Shared>);

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
    pub(super) async fn connect(address: &Address) -> io::Result<Self> {
        let stream = TcpStream::connect(address.target()).await?;
        stream.set_nodelay(true)?;
        Ok(Self(Arc::new(Shared { stream, written: AtomicU64::new(0) })))
    }

    pub(super) fn handle(&self) -> WireHandle {
        WireHandle(Arc::clone(&self.0))
    }

    fn count(&self, written: io::Result<usize>) -> io::Result<usize> {
        if let Ok(bytes) = &written {
            self.0.written.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
        written
    }
}

impl WireHandle {
    /// Bytes handed to the kernel over the life of the connection.
    pub(super) fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// Looks at the kernel's buffer without taking from it; does not depend on the reactor having seen it.
    pub(super) fn peek(&self) -> Peeked {
        let mut one = [MaybeUninit::uninit()];
        match socket2::SockRef::from(&self.0.stream).peek(&mut one) {
            Ok(0) => Peeked::End,
            Ok(_) => Peeked::Bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Peeked::Nothing,
            Err(_) => Peeked::End,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = &self.0.stream;
        loop {
            ready!(stream.poll_read_ready(cx))?;
            match stream.try_read_buf(buf) {
                Ok(_) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.stream.poll_write_ready(cx))?;
            match self.0.stream.try_write(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(self.count(result)),
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.stream.poll_write_ready(cx))?;
            match self.0.stream.try_write_vectored(bufs) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(self.count(result)),
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
