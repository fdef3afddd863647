//! A backend in memory that answers by a script, after as much paused time as the script says.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

use crate::backend::Address;
use crate::clock;

/// What to write back, and when.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) after: Duration,
    pub(super) bytes: String,
    /// Written after the reply, on the same connection.
    pub(super) stray: Option<(Duration, String)>,
    pub(super) close: bool,
}

impl Reply {
    pub(super) fn ok(body: &str) -> Self {
        let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        Self { after: Duration::ZERO, bytes, stray: None, close: false }
    }

    pub(super) fn raw(bytes: &str) -> Self {
        Self { after: Duration::ZERO, bytes: bytes.to_owned(), stray: None, close: true }
    }

    pub(super) fn after(mut self, time: Duration) -> Self {
        self.after = time;
        self
    }

    pub(super) fn then_stray(mut self, time: Duration, bytes: &str) -> Self {
        self.stray = Some((time, bytes.to_owned()));
        self
    }
}

/// One request as it was heard.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) path: String,
    pub(super) at: Instant,
    pub(super) connection: usize,
}

type Script = Box<dyn FnMut(usize) -> Reply + Send>;

#[derive(Default)]
struct Inner {
    scripts: HashMap<String, (usize, Script)>,
    heard: Vec<Heard>,
    connections: usize,
    busy: HashSet<usize>,
    most_busy: usize,
}

#[derive(Clone)]
pub(super) struct Scripted {
    inner: Arc<Mutex<Inner>>,
    accept: mpsc::UnboundedSender<DuplexStream>,
}

impl Scripted {
    pub(super) fn start() -> Self {
        let (accept, mut accepted) = mpsc::unbounded_channel();
        let inner = Arc::new(Mutex::new(Inner::default()));
        let shared = Arc::clone(&inner);
        tokio::spawn(async move {
            while let Some(stream) = accepted.recv().await {
                let number = {
                    let mut inner = shared.lock().unwrap();
                    inner.connections += 1;
                    inner.connections
                };
                tokio::spawn(serve(Arc::clone(&shared), stream, number));
            }
        });
        Self { inner, accept }
    }

    pub(super) fn address(&self) -> Address {
        Address::in_memory(self.accept.clone())
    }

    /// Answers calls of `path` by `script`, which is told how many came before. A path without a script is never answered.
    pub(super) fn on(&self, path: &str, script: impl FnMut(usize) -> Reply + Send + 'static) {
        self.inner.lock().unwrap().scripts.insert(path.to_owned(), (0, Box::new(script)));
    }

    pub(super) fn heard(&self, path: &str) -> Vec<Heard> {
        self.inner.lock().unwrap().heard.iter().filter(|h| h.path == path).cloned().collect()
    }

    pub(super) fn heard_all(&self) -> Vec<Heard> {
        self.inner.lock().unwrap().heard.clone()
    }

    /// The most calls that were being answered at once.
    pub(super) fn most_busy(&self) -> usize {
        self.inner.lock().unwrap().most_busy
    }
}

async fn serve(inner: Arc<Mutex<Inner>>, mut stream: DuplexStream, connection: usize) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        while !whole(&bytes) {
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
        let path = String::from_utf8_lossy(&bytes).split(' ').nth(1)?.to_owned();
        bytes.clear();
        let reply = {
            let mut inner = inner.lock().unwrap();
            inner.heard.push(Heard { path: path.clone(), at: clock::now(), connection });
            inner.busy.insert(connection);
            inner.most_busy = inner.most_busy.max(inner.busy.len());
            inner.scripts.get_mut(&path).map(|(count, script)| {
                *count += 1;
                script(*count - 1)
            })
        };
        let Some(reply) = reply else {
            // Never answers; waits for the other side to go.
            while stream.read_buf(&mut bytes).await.ok()? > 0 {}
            inner.lock().unwrap().busy.remove(&connection);
            return None;
        };
        clock::sleep_until(clock::now() + reply.after).await;
        inner.lock().unwrap().busy.remove(&connection);
        stream.write_all(reply.bytes.as_bytes()).await.ok()?;
        if let Some((after, stray)) = reply.stray {
            clock::sleep_until(clock::now() + after).await;
            stream.write_all(stray.as_bytes()).await.ok()?;
        }
        if reply.close {
            return None;
        }
    }
}

/// Whether `bytes` hold a whole request.
fn whole(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
    bytes.len() >= end + 4 + length.unwrap_or(0)
}
