//! HTTP/1.1 by hand on one connection, so that what goes wrong on the wire is real bytes: cut, doubled, late, reset, or never sent.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::chronicle::{Asked, Party, Role};
use super::fault::{Fault, Switches};
use super::form::{self, Step};
use super::front::{self, Answer};
use super::jobs;
use super::records_api;
use super::soap::{self, Operation};
use super::world::World;

/// Largest request head and body; kiosks send a few hundred bytes.
const MOST_REQUEST_BYTES: usize = 64 * 1024;

/// A request as read from the connection.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    keep_alive: bool,
}

impl Request {
    /// Another call with the same echo and connection.
    pub(super) fn rewritten(&self, method: &str, path: String, headers: Vec<(&str, String)>, body: Bytes) -> Self {
        let kept = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-request-id")).cloned();
        let headers = kept.chain(headers.into_iter().map(|(name, value)| (name.to_owned(), value))).collect();
        Self { method: method.to_owned(), path, headers, body, keep_alive: self.keep_alive }
    }

    /// The same under an id that it may not have brought.
    pub(super) fn named(&self, id: &str) -> Self {
        let mut named = self.clone();
        named.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("x-request-id"));
        named.headers.push(("x-request-id".to_owned(), id.to_owned()));
        named
    }

    /// A header's value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// How a call came, and so how its answer is written.
enum Written {
    Json,
    Soap(Operation),
    Form(Step),
}

/// Which of the two listeners a connection belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Issuer,
    Records,
}

/// Serves one connection until it ends.
pub(super) async fn serve(world: Arc<World>, stream: TcpStream, side: Side) {
    let _ = stream.set_nodelay(true);
    let _ =
        Connection { world, stream, side, read: BytesMut::with_capacity(4096), late: None, answered: None }.run().await;
}

struct Connection {
    world: Arc<World>,
    stream: TcpStream,
    side: Side,
    read: BytesMut,
    /// The same response again, and when.
    late: Option<(Instant, Bytes, Bytes)>,
    /// On a connection with stray responses in it: what was answered last, which is what the next reader gets.
    answered: Option<Arc<Asked>>,
}

impl Connection {
    async fn run(mut self) -> io::Result<()> {
        loop {
            let Some(request) = self.next_request().await? else { return Ok(()) };
            let keep_alive = request.keep_alive;
            let (request, written) = match soap::understand(&request, self.side == Side::Records) {
                Some((call, operation)) => (call, Written::Soap(operation)),
                None => match form::understand(&request).filter(|_| self.side == Side::Issuer) {
                    Some((call, step)) => (call, Written::Form(step)),
                    None => (request, Written::Json),
                },
            };
            let answer = match (self.side, &written) {
                (Side::Issuer, Written::Form(step)) if *step != Step::Plain => {
                    Some(jobs::answer(&self.world, &request, step))
                }
                (Side::Issuer, _) => front::answer(&self.world, &request, Some(&self.stream)).await,
                (Side::Records, _) => Some(records_api::answer(&self.world, &request).await),
            };
            let Some(answer) = answer else { return Ok(()) };
            if self.side == Side::Issuer {
                self.world.pace().hold().await;
            }
            self.flush_late().await?;
            if !self.send(answer, written, keep_alive).await? || !keep_alive {
                self.flush_late().await?;
                return self.stream.shutdown().await;
            }
        }
    }

    /// Reads the next request; meanwhile a late duplicate may become due.
    async fn next_request(&mut self) -> io::Result<Option<Request>> {
        loop {
            match parse(&mut self.read) {
                Ok(Some(request)) => return Ok(Some(request)),
                Ok(None) if self.read.len() <= MOST_REQUEST_BYTES => {}
                Ok(None) | Err(()) => {
                    let refusal = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                    self.stream.write_all(refusal.as_bytes()).await?;
                    return Ok(None);
                }
            }
            if let Some((due, ..)) = self.late {
                tokio::select! {
                    biased;
                    () = tokio::time::sleep_until(due) => self.flush_late().await?,
                    read = self.stream.read_buf(&mut self.read) => if read? == 0 { return Ok(None) },
                }
            } else if self.stream.read_buf(&mut self.read).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Sends the duplicate, when there is one, at its time.
    async fn flush_late(&mut self) -> io::Result<()> {
        let Some((due, head, body)) = self.late.take() else { return Ok(()) };
        tokio::time::sleep_until(due).await;
        self.stream.write_all_buf(&mut head.chain(body)).await
    }

    /// Sends the answer, or what a transport fault makes of it. False: the connection is to end.
    async fn send(&mut self, mut answer: Answer, written: Written, keep_alive: bool) -> io::Result<bool> {
        if let (Some(before), Some(now)) = (self.answered.take(), answer.asked.clone()) {
            if let Some(city) = self.world.city(now.city) {
                self.world.harmed(city, Fault::LateDuplicate, answer.form, &now, self.world.party(&before));
            }
            self.answered = Some(now);
        }
        let mishap = self.mishap(&answer);
        let slow = self.world.config.windows.slow;
        match mishap {
            Some(Fault::Hang) => {
                // Until the other side gives up; whatever it still sends is swallowed.
                let mut sink = [0; 512];
                while self.stream.read(&mut sink).await? != 0 {}
                return Ok(false);
            }
            Some(Fault::Reset) => {
                self.stream.set_zero_linger()?;
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            Some(Fault::Slow) => tokio::time::sleep(slow).await,
            Some(Fault::Html200) => {
                answer.status = 200;
                answer.media_type = "text/html; charset=utf-8";
                answer.body =
                    Bytes::from_static("<html><body><h1>ただいま混み合っています</h1></body></html>".as_bytes());
            }
            Some(Fault::WrongEcho) => answer.echo = format!("{}-0", answer.echo),
            _ => {}
        }
        match written {
            _ if mishap == Some(Fault::Html200) => {}
            Written::Json => {}
            Written::Soap(operation) => soap::envelop(&mut answer, operation),
            Written::Form(_) => form::fill_in(&mut answer),
        }
        let declared = match mishap {
            Some(Fault::WrongLength) => answer.body.len() - answer.body.len().min(7),
            _ => answer.body.len(),
        };
        let head = head(&answer, declared, keep_alive);
        match mishap {
            Some(Fault::CutBody) => {
                let half = answer.body.slice(..answer.body.len() / 2);
                self.stream.write_all_buf(&mut head.clone().chain(half)).await?;
                return Ok(false);
            }
            Some(Fault::Stall) => {
                let mut half = answer.body.clone();
                let rest = half.split_off(half.len() / 2);
                self.stream.write_all_buf(&mut head.clone().chain(half)).await?;
                tokio::time::sleep(slow).await;
                self.stream.write_all(&rest).await?;
            }
            _ => self.stream.write_all_buf(&mut head.clone().chain(answer.body.clone())).await?,
        }
        if mishap == Some(Fault::LateDuplicate) {
            let late = Duration::from_micros(self.world.chronicle().now_us() % 5000);
            self.late = Some((Instant::now() + late, head, answer.body));
            self.answered = answer.asked;
        }
        Ok(true)
    }

    /// The transport fault that strikes this answer, if any; at most one.
    fn mishap(&self, answer: &Answer) -> Option<Fault> {
        const TRANSPORT: [Fault; 9] = [
            Fault::LateDuplicate,
            Fault::Slow,
            Fault::Stall,
            Fault::CutBody,
            Fault::WrongLength,
            Fault::Html200,
            Fault::Reset,
            Fault::Hang,
            Fault::WrongEcho,
        ];
        let (switches, city): (&Switches, _) = match (self.side, &answer.asked) {
            (Side::Records, _) => (&self.world.records_switches, "records"),
            (Side::Issuer, Some(asked)) => {
                let city = self.world.city(asked.city)?;
                (&city.switches, city.municipality.code.as_str())
            }
            (Side::Issuer, None) => return None,
        };
        let fault = TRANSPORT.into_iter().find(|fault| switches.fires(*fault))?;
        let victim = answer.asked.as_ref().map_or_else(
            || Party {
                request: answer.echo.clone(),
                session: String::new(),
                terminal: String::new(),
                resident: String::new(),
            },
            |asked| self.world.party(asked),
        );
        self.world.chronicle().log(fault, Role::Trigger, city, answer.form, victim, None);
        Some(fault)
    }
}

fn head(answer: &Answer, declared: usize, keep_alive: bool) -> Bytes {
    let reason = match answer.status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        422 => "Unprocessable Content",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Error",
    };
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", answer.status);
    if answer.status != 204 {
        head.push_str(&format!("Content-Type: {}\r\nContent-Length: {declared}\r\n", answer.media_type));
    }
    if !answer.echo.is_empty() {
        head.push_str(&format!("X-Request-Id: {}\r\n", answer.echo));
    }
    if let Some(job) = &answer.job {
        head.push_str(&format!("X-Job: {job}\r\n"));
    }
    let connection = if keep_alive { "" } else { "Connection: close\r\n" };
    head.push_str(&format!("Date: {}\r\n{connection}\r\n", httpdate::fmt_http_date(SystemTime::now())));
    Bytes::from(head)
}

/// Takes a whole request off the buffer; `None` when there is more to come.
fn parse(buffer: &mut BytesMut) -> Result<Option<Request>, ()> {
    let mut headers = [httparse::EMPTY_HEADER; 48];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head_len) = parsed.parse(buffer).map_err(|_| ())? else { return Ok(None) };
    let header = |name: &str| {
        parsed
            .headers
            .iter()
            .find(|h| h.name.eq_ignore_ascii_case(name))
            .and_then(|h| std::str::from_utf8(h.value).ok())
    };
    let chunked = header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let rest = buffer.get(head_len..).unwrap_or_default();
    let (body, body_len) = if chunked {
        match unchunk(rest)? {
            Some(found) => found,
            None => return Ok(None),
        }
    } else {
        let length: usize = header("content-length").map_or(Ok(0), |value| value.trim().parse().map_err(|_| ()))?;
        match rest.get(..length) {
            Some(body) => (Bytes::copy_from_slice(body), length),
            None => return Ok(None),
        }
    };
    let close = header("connection").is_some_and(|value| value.to_ascii_lowercase().contains("close"));
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: parsed.path.unwrap_or_default().to_owned(),
        keep_alive: parsed.version == Some(1) && !close,
        headers: parsed
            .headers
            .iter()
            .filter_map(|h| Some((h.name.to_owned(), std::str::from_utf8(h.value).ok()?.to_owned())))
            .collect(),
        body,
    };
    buffer.advance(head_len + body_len);
    Ok(Some(request))
}

/// A chunked body and how many bytes it took; `None` when there is more to come.
fn unchunk(mut rest: &[u8]) -> Result<Option<(Bytes, usize)>, ()> {
    let (mut body, mut used) = (Vec::new(), 0);
    loop {
        let Some(line_len) = rest.windows(2).position(|w| w == b"\r\n") else { return Ok(None) };
        let line = std::str::from_utf8(rest.get(..line_len).unwrap_or_default()).map_err(|_| ())?;
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16).map_err(|_| ())?;
        if size > MOST_REQUEST_BYTES {
            return Err(());
        }
        let (start, end) = (line_len + 2, line_len + 2 + size);
        let Some(chunk) = rest.get(start..end) else { return Ok(None) };
        let Some(behind) = rest.get(end + 2..) else { return Ok(None) };
        body.extend_from_slice(chunk);
        used += end + 2;
        if size == 0 {
            return Ok(Some((body.into(), used)));
        }
        rest = behind;
    }
}
