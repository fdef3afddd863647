//! The connection of one kiosk: HTTP/1.1, kept alive, one request at a time. Sends nothing twice.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

/// Nothing a kiosk is handed may be longer.
const LONGEST_BODY_BYTES: usize = 16 * 1024 * 1024;

/// A complete answer, with the times that matter for judging how old it may be.
#[derive(Debug)]
pub struct Reply {
    /// Status code.
    pub status: StatusCode,
    /// Headers as received.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// Just before the first byte of the request was written.
    pub sent: Instant,
    /// When the last byte of the answer was there.
    pub done: Instant,
}

/// Why there is no complete answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No connection could be made: nothing was asked.
    #[error("no connection")]
    Unreachable,
    /// The person's patience ended.
    #[error("nobody waits any more")]
    GaveUp,
    /// The connection ended before the answer was complete.
    #[error("the answer was cut")]
    Cut,
}

struct Open {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Drop for Open {
    fn drop(&mut self) {
        // Ends the connection at once, also in the middle of an answer: this is how a kiosk hangs up.
        self.driver.abort();
    }
}

/// A keep-alive connection to one address, opened when first needed and dropped after any trouble.
pub struct Line {
    target: SocketAddr,
    open: Option<Open>,
}

impl Line {
    /// A line to `target`; nothing is connected yet.
    pub fn to(target: SocketAddr) -> Self {
        Self { target, open: None }
    }

    /// Where it leads.
    pub fn target(&self) -> SocketAddr {
        self.target
    }

    /// Breaks the connection, whatever is on it.
    pub fn hang_up(&mut self) {
        self.open = None;
    }

    /// Sends one request and waits for the whole answer, at most `patience`. A request that was not begun on an idle
    /// connection which the other side had closed goes out on a new one; a begun one is never sent again.
    pub async fn exchange(&mut self, request: Request<Full<Bytes>>, patience: Duration) -> Result<Reply, Trouble> {
        // Taken out for the time of the exchange: if this future is dropped, the connection goes with it.
        let reusable = self.open.take();
        let exchange = tokio::time::timeout(patience, exchange_once(self.target, reusable, request)).await;
        let (reply, open) = exchange.map_err(|_| Trouble::GaveUp)??;
        self.open = open;
        Ok(reply)
    }
}

async fn exchange_once(
    target: SocketAddr,
    reusable: Option<Open>,
    request: Request<Full<Bytes>>,
) -> Result<(Reply, Option<Open>), Trouble> {
    let mut unsent = request;
    if let Some(mut open) = reusable.filter(|open| !open.sender.is_closed()) {
        let sent = Instant::now();
        match open.sender.try_send_request(unsent).await {
            Ok(response) => return read_whole(response, sent, open).await,
            Err(mut failed) => match failed.take_message() {
                Some(request) => unsent = request,
                None => return Err(Trouble::Cut),
            },
        }
    }
    let mut open = connect(target).await?;
    let sent = Instant::now();
    let response = open.sender.send_request(unsent).await.map_err(|_| Trouble::Cut)?;
    read_whole(response, sent, open).await
}

async fn connect(target: SocketAddr) -> Result<Open, Trouble> {
    let stream = TcpStream::connect(target).await.map_err(|_| Trouble::Unreachable)?;
    stream.set_nodelay(true).map_err(|_| Trouble::Unreachable)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Trouble::Unreachable)?;
    let driver = tokio::spawn(async move {
        // How it ended shows in the exchange that was on it.
        let _ = connection.await;
    });
    let mut open = Open { sender, driver: driver.abort_handle() };
    open.sender.ready().await.map_err(|_| Trouble::Unreachable)?;
    Ok(open)
}

async fn read_whole(
    response: http::Response<hyper::body::Incoming>,
    sent: Instant,
    mut open: Open,
) -> Result<(Reply, Option<Open>), Trouble> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LONGEST_BODY_BYTES).collect().await.map_err(|_| Trouble::Cut)?.to_bytes();
    let done = Instant::now();
    let keeps = open.sender.ready().await.is_ok();
    Ok((Reply { status: head.status, headers: head.headers, body, sent, done }, keeps.then_some(open)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn get(path: &str) -> Request<Full<Bytes>> {
        Request::builder().uri(path).header("host", "t").body(Full::default()).unwrap()
    }

    async fn read_head(stream: &mut TcpStream) -> String {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).await.unwrap() == 0 {
                break;
            }
            text.extend(byte);
        }
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn a_second_request_uses_the_same_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut line = Line::to(listener.local_addr().unwrap());
        let backend = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for body in ["1", "2"] {
                read_head(&mut stream).await;
                stream
                    .write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{body}").as_bytes())
                    .await
                    .unwrap();
            }
        });
        for expected in ["1", "2"] {
            let reply = line.exchange(get("/"), Duration::from_secs(5)).await.unwrap();
            assert_eq!(reply.body, expected);
        }
        backend.await.unwrap();
    }

    #[tokio::test]
    async fn a_cut_answer_is_no_answer_and_is_not_asked_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut line = Line::to(listener.local_addr().unwrap());
        let backend = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n123").await.unwrap();
            drop(stream);
            listener
        });
        assert_eq!(line.exchange(get("/"), Duration::from_secs(5)).await.unwrap_err(), Trouble::Cut);
        let listener = backend.await.unwrap();
        let again = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(again.is_err(), "a begun request was sent twice");
    }

    #[tokio::test]
    async fn giving_up_closes_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut line = Line::to(listener.local_addr().unwrap());
        let backend = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await;
            let mut rest = Vec::new();
            // Ends only when the kiosk closes.
            let _ = stream.read_to_end(&mut rest).await;
        });
        assert_eq!(line.exchange(get("/"), Duration::from_millis(30)).await.unwrap_err(), Trouble::GaveUp);
        tokio::time::timeout(Duration::from_secs(5), backend).await.unwrap().unwrap();
    }
}
