//! Hands requests on as they are and says what was exchanged. Judges and keeps nothing; never part of a gateway that serves.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::init::Recorded;

/// The longest body that is handed on.
const MAX_BODY_BYTES: usize = 16 << 20;
/// How long a request's head may take.
const HEADER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// What one exchange is told to.
pub type Tell = Arc<dyn Fn(Recorded) + Send + Sync>;

/// Hands on what comes to `listener`, one connection to `to` a request, until dropped.
pub async fn pass_through(listener: TcpListener, to: Authority, tell: Tell) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(super::ACCEPT_PAUSE).await;
            continue;
        };
        let (to, tell) = (to.clone(), tell.clone());
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let (to, tell) = (to.clone(), tell.clone());
                async move { hand_on(request, &to, &tell).await }
            });
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
            if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}

type Failed = std::io::Error;

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failed {
    std::io::Error::other(error)
}

/// An exchange that failed ends the connection, as it would have without us.
async fn hand_on(request: Request<Incoming>, to: &Authority, tell: &Tell) -> Result<Response<Full<Bytes>>, Failed> {
    let exchanged = exchange(request, to).await;
    match &exchanged {
        Ok((recorded, _)) => tell(recorded.clone()),
        Err(error) => tracing::warn!(%error, "an exchange failed and was not recorded"),
    }
    exchanged.map(|(_, response)| response)
}

async fn exchange(request: Request<Incoming>, to: &Authority) -> Result<(Recorded, Response<Full<Bytes>>), Failed> {
    let (mut head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(failed)?.to_bytes();
    of_the_connection(&mut head.headers);
    head.headers.insert(HOST, HeaderValue::from_str(to.as_str()).map_err(failed)?);
    head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    // As the gateway will: whether it comes back decides whether a connection may be used again.
    let name = HeaderName::from_static("x-request-id");
    if !head.headers.contains_key(&name) {
        head.headers.insert(name, HeaderValue::from_str(&uuid::Uuid::now_v7().to_string()).map_err(failed)?);
    }
    let mut recorded = Recorded {
        server: to.clone(),
        tls: false,
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or("").to_owned(),
        headers: plain(&head.headers),
        body: body.to_vec(),
        status: 0,
        answer_headers: Vec::new(),
        answer: Vec::new(),
    };
    let mut onwards = Request::new(Full::new(body));
    *onwards.method_mut() = head.method;
    *onwards.uri_mut() = head.uri.path_and_query().map_or("/", |path| path.as_str()).parse().map_err(failed)?;
    *onwards.headers_mut() = head.headers;
    let stream = TcpStream::connect(to.as_str()).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let driving = tokio::spawn(connection);
    let (mut answer, body) = sender.send_request(onwards).await.map_err(failed)?.into_parts();
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(failed)?.to_bytes();
    driving.abort();
    of_the_connection(&mut answer.headers);
    recorded.status = answer.status.as_u16();
    recorded.answer_headers = plain(&answer.headers);
    recorded.answer = body.to_vec();
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok((recorded, response))
}

/// Takes out what speaks of one connection only.
fn of_the_connection(headers: &mut HeaderMap) {
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE, HeaderName::from_static("keep-alive")] {
        headers.remove(name);
    }
}

fn plain(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// Listens for exchanges that shall be recorded.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}
