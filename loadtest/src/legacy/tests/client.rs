//! A kiosk of few words: HTTP/1.1 over connections that it keeps, believing whatever comes back.

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// A pool of kept connections to one listener; the last one used is taken first.
pub(super) struct Client {
    to: SocketAddr,
    idle: Mutex<Vec<TcpStream>>,
}

impl Client {
    pub(super) fn new(to: SocketAddr) -> Self {
        Self { to, idle: Mutex::default() }
    }

    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<Reply> {
        let kept = self.idle.lock().unwrap().pop();
        let mut stream = match kept {
            Some(stream) => stream,
            None => TcpStream::connect(self.to).await?,
        };
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: legacy\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).await?;
        let reply = read(&mut stream).await?;
        self.idle.lock().unwrap().push(stream);
        Ok(reply)
    }

    pub(super) async fn open(&self, terminal: &str, card: &str, city: &str) -> io::Result<Reply> {
        let body = json!({ "terminal": terminal, "cardSerial": card, "cityCode": city }).to_string();
        self.send("POST", "/sessions", &[("X-Request-Id", "open")], &body).await
    }

    pub(super) async fn issue(
        &self,
        request: &str,
        session: &str,
        terminal: &str,
        form: &str,
        scope: &str,
    ) -> io::Result<Reply> {
        let headers = [("X-Session", session), ("X-Terminal", terminal), ("X-Request-Id", request)];
        let body = json!({ "copies": "1", "scope": scope }).to_string();
        self.send("POST", &format!("/certificates/{form}"), &headers, &body).await
    }
}

async fn read(stream: &mut TcpStream) -> io::Result<Reply> {
    let mut bytes = Vec::new();
    let head_len = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        // One at a time: what lies behind this answer is left for the next request, as pools do.
        bytes.push(stream.read_u8().await?);
    };
    let head = String::from_utf8(bytes[..head_len].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    let length = headers.iter().find(|(n, _)| n == "Content-Length").map_or(0, |(_, v)| v.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Reply { status, headers, body })
}
