//! A kiosk's connection with its framing watched. At the first ambiguity the parser is fed something no parser accepts.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::framing::Framing;
use super::handshake::Stream;
use super::sending::Moved;

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.0 or 1.1.
    Http1,
    /// HTTP/2 with prior knowledge (RFC 9113, 3.3).
    Http2,
}

/// What no request may begin with: the parser answers 400 and closes, in its own words, and sees nothing that follows.
const POISON: &[u8] = b"\0\r\n\r\n";

/// A stream whose first bytes were already read.
pub(super) struct Wire {
    stream: Stream,
    first: Vec<u8>,
    taken: usize,
    framing: Option<Framing>,
    poisoned: bool,
    sending: Moved,
}

impl Wire {
    /// Reads just enough to tell the protocols apart.
    pub(super) async fn open(
        mut stream: Stream,
        agreed: Option<Protocol>,
        max_head_bytes: usize,
        sending: Moved,
    ) -> io::Result<(Protocol, Self)> {
        let mut first = Vec::with_capacity(1024);
        // "PR" begins HTTP/2's preface and no method that is ever declared here (PRI, and WebDAV's PROP*).
        while first.len() < 2 {
            if stream.read_buf(&mut first).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let begins = if first.starts_with(b"PR") { Protocol::Http2 } else { Protocol::Http1 };
        // What was agreed is kept to: its parser refuses the other.
        let protocol = agreed.unwrap_or(begins);
        let framing = (protocol == Protocol::Http1).then(|| Framing::new(max_head_bytes));
        let mut wire = Self { stream, first, taken: 0, framing, poisoned: false, sending };
        if let Some(framing) = wire.framing.as_mut()
            && framing.follow(&wire.first).is_err()
        {
            wire.poisoned = true;
            wire.first = POISON.to_vec();
        }
        Ok((protocol, wire))
    }

    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending => self.sending.held_up(),
            Poll::Ready(_) => self.sending.free(),
        }
        written
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(rest) = this.first.get(this.taken..).filter(|rest| !rest.is_empty()) {
            let part = rest.get(..buf.remaining()).unwrap_or(rest);
            buf.put_slice(part);
            this.taken += part.len();
            if this.taken == this.first.len() {
                this.first = Vec::new();
                this.taken = 0;
            }
            return Poll::Ready(Ok(()));
        }
        if this.poisoned {
            // What follows an ambiguity is never read: its place in the stream is what was ambiguous.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        let Some(framing) = this.framing.as_mut() else { return Poll::Ready(Ok(())) };
        let fresh = buf.filled().get(before..).unwrap_or_default();
        if framing.follow(fresh).is_err() {
            this.poisoned = true;
            buf.set_filled(before);
            let room = buf.remaining().min(POISON.len());
            let (now, later) = POISON.split_at(room);
            buf.put_slice(now);
            this.first = later.to_vec();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        // What TLS has sealed waits here for the socket; a plain socket has nothing to flush.
        match &flushed {
            Poll::Pending => self.sending.held_up(),
            Poll::Ready(_) => self.sending.free(),
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
