//! The steps of one person's visit to a kiosk: card in, ask, card out.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use super::line::{Line, Trouble};
use super::said::Said;
use super::{form, soap};
use crate::dialect::Dialect;
use crate::soap::CONTENT_TYPE;

/// Between two questions how a job stands, where the kiosk asks by itself.
const ASKS_EVERY: Duration = Duration::from_millis(20);

/// Of whom the paper should speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The holder of the card.
    Alone,
    /// Everyone in the household.
    Household,
}

impl Scope {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Alone => "self",
            Self::Household => "household",
        }
    }
}

/// How long a person waits for an answer before walking away.
#[derive(Debug, Clone, Copy)]
pub struct Patience(pub Duration);

/// A session as the answer to `open` described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The session.
    pub session: String,
    /// Whom the backend takes the card's holder for.
    pub resident: String,
}

/// One answer with when it was asked for and when it was complete.
#[derive(Debug)]
pub struct Exchange {
    /// What it meant.
    pub said: Said,
    /// The id under which the other side knows the request, when it told.
    pub request_id: Option<String>,
    /// Before the first byte went out.
    pub sent: Instant,
    /// When the answer was complete, or nobody waited any more.
    pub done: Instant,
}

/// A device: its terminal number, its line and its person's patience.
pub struct Kiosk {
    terminal: String,
    line: Line,
    patience: Patience,
    dialect: Dialect,
}

impl Kiosk {
    /// The kiosk `terminal`, speaking to `target`.
    pub fn new(terminal: impl Into<String>, target: SocketAddr, patience: Patience) -> Self {
        Self { terminal: terminal.into(), line: Line::to(target), patience, dialect: Dialect::Json }
    }

    /// A kiosk that writes so.
    pub fn speaking(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Its number.
    pub fn terminal(&self) -> &str {
        &self.terminal
    }

    /// Speaks to another address from now on (the gateway came back on another port).
    pub fn redirect(&mut self, target: SocketAddr) {
        if self.line.target() != target {
            self.line = Line::to(target);
        }
    }

    /// Another patience from now on.
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Card in.
    pub async fn open(&mut self, card: &str, city: &str) -> (Exchange, Option<Opened>) {
        let body = json!({"terminal": self.terminal, "cardSerial": card, "cityCode": city});
        let exchange = self.ask(Method::POST, "/sessions", None, Some(body), None).await;
        let opened = match &exchange.said {
            Said::Data(body) => opened(body),
            _ => None,
        };
        (exchange, opened)
    }

    /// Asks for a certificate; `path` is the last part, such as `resident-record`.
    pub async fn issue(&mut self, session: &str, path: &str, scope: Scope) -> Exchange {
        self.issue_under(session, path, scope, None).await
    }

    /// The same under a key: whoever loses the answer asks again with it.
    pub async fn issue_under(&mut self, session: &str, path: &str, scope: Scope, key: Option<&str>) -> Exchange {
        let body = json!({"copies": "1", "scope": scope.word()});
        let exchange = self.ask(Method::POST, &format!("/certificates/{path}"), Some(session), Some(body), key).await;
        match form::job(&exchange.said) {
            Some((job, _)) if self.dialect == Dialect::Form => self.fetch(&job, exchange).await,
            _ => exchange,
        }
    }

    /// Asks for a job until it is done, and for what came out of it; all within one patience.
    async fn fetch(&mut self, job: &str, accepted: Exchange) -> Exchange {
        let (sent, request_id) = (accepted.sent, accepted.request_id);
        let patience = self.patience.0.saturating_sub(sent.elapsed());
        let step = async {
            loop {
                tokio::time::sleep(ASKS_EVERY).await;
                let status = self.about("/cgi-bin/status.cgi", job).await;
                match form::job(&status.said) {
                    Some((named, state)) if named == job && state == "2" => break,
                    Some((named, _)) if named == job => {}
                    _ => return status,
                }
            }
            self.about("/cgi-bin/output.cgi", job).await
        };
        let last = match tokio::time::timeout(patience, step).await {
            Ok(last) => last,
            Err(_) => {
                self.line.hang_up();
                Exchange { said: Said::Nothing(Trouble::GaveUp), request_id: None, sent, done: Instant::now() }
            }
        };
        Exchange { sent, request_id, ..last }
    }

    async fn about(&mut self, cgi: &str, job: &str) -> Exchange {
        self.send(form_request(cgi, form::about(job)), Instant::now()).await
    }

    /// Looks at a record.
    pub async fn inquire(&mut self, session: &str, resident: &str) -> Exchange {
        self.ask(Method::GET, &format!("/residents/{resident}"), Some(session), None, None).await
    }

    /// Changes an address, once.
    pub async fn amend(&mut self, session: &str, resident: &str, address: &str, key: &str) -> Exchange {
        let path = format!("/residents/{resident}/address");
        self.ask(Method::POST, &path, Some(session), Some(json!({"address": address})), Some(key)).await
    }

    /// Card out.
    pub async fn close(&mut self, session: &str) -> Exchange {
        self.ask(Method::DELETE, &format!("/sessions/{session}"), Some(session), None, None).await
    }

    /// Breaks the connection.
    pub fn hang_up(&mut self) {
        self.line.hang_up();
    }

    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        session: Option<&str>,
        body: Option<Value>,
        key: Option<&str>,
    ) -> Exchange {
        let asked = Instant::now();
        if self.dialect == Dialect::Soap {
            let (path, action, message) = soap::message(&method, path, &self.terminal, session, body.as_ref(), key);
            let request = Request::post(path)
                .header("host", "issuer.example")
                .header("content-type", CONTENT_TYPE)
                .header("soapaction", format!("\"{action}\""))
                .body(Full::new(message));
            return self.send(request, asked).await;
        }
        if self.dialect == Dialect::Form {
            let (cgi, text) = form::filled_in(&method, path, &self.terminal, session, body.as_ref(), key);
            return self.send(form_request(cgi, text), asked).await;
        }
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "issuer.example")
            .header("x-terminal", &self.terminal);
        if let Some(session) = session {
            request = request.header("x-session", session);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let bytes = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        self.send(request.body(Full::new(bytes)), asked).await
    }

    async fn send(&mut self, request: http::Result<Request<Full<Bytes>>>, asked: Instant) -> Exchange {
        let Ok(request) = request else {
            // Only a session id that is no header value gets here; such a session cannot be used.
            let now = Instant::now();
            return Exchange { said: Said::Nothing(Trouble::Unreachable), request_id: None, sent: now, done: now };
        };
        match self.line.exchange(request, self.patience.0).await {
            Ok(reply) => Exchange {
                said: Said::of(&reply),
                request_id: reply.headers.get("x-request-id").and_then(|v| v.to_str().ok()).map(str::to_owned),
                sent: reply.sent,
                done: reply.done,
            },
            Err(trouble) => {
                Exchange { said: Said::Nothing(trouble), request_id: None, sent: asked, done: Instant::now() }
            }
        }
    }
}

fn opened(body: &Value) -> Option<Opened> {
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Opened { session: text("sessionId")?, resident: text("residentId")? })
}

fn form_request(cgi: &str, text: Bytes) -> http::Result<Request<Full<Bytes>>> {
    Request::post(cgi)
        .header("host", "issuer.example")
        .header("content-type", crate::form::CONTENT_TYPE)
        .body(Full::new(text))
}
