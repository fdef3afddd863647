//! A backend that does exactly what a test says, byte by byte, on a loopback socket.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "only tests use it")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{HeaderMap, Method};
use sekisho_issuance::binding::{Binding, BindingKey};
use sekisho_issuance::context::{RequestContext, TraceParent};
use sekisho_issuance::fence::Epoch;
use sekisho_issuance::id::RequestId;
use sekisho_issuance::request::{Facts, Operation};
use sekisho_issuance::shard::{LaneId, LaneSet};
use sekisho_worker::assignment::{Assignment, Call};
use sekisho_worker::backend::{Address, BackendConfig};
use sekisho_worker::owner::{Owner, OwnerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// One request as it arrived; the test decides what is written back.
pub(crate) struct Heard {
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) connection: usize,
    socket: Arc<tokio::sync::Mutex<TcpStream>>,
}

impl Heard {
    pub(crate) async fn write(&self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.socket.lock().await.write_all(bytes.as_ref()).await
    }

    pub(crate) async fn ok(&self, body: &str) {
        let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        self.write(bytes).await.unwrap();
    }

    /// Closes the connection with an RST.
    pub(crate) async fn reset(self) {
        let socket = self.socket.lock().await;
        socket2::SockRef::from(&*socket).set_linger(Some(Duration::ZERO)).unwrap();
        drop(socket);
    }

    pub(crate) async fn close(&self) {
        self.socket.lock().await.shutdown().await.unwrap();
    }

    /// Waits until the gateway's side closes the connection.
    pub(crate) async fn closed(&self) {
        let end = async {
            let mut byte = [0];
            while !matches!(self.socket.lock().await.read(&mut byte).await, Ok(0) | Err(_)) {}
        };
        tokio::time::timeout(Duration::from_secs(20), end).await.expect("the connection was not closed");
    }

    /// The next request on the same connection, for a backend that keeps it open.
    pub(crate) async fn next(&self) -> Option<Heard> {
        read_request(Arc::clone(&self.socket), self.connection).await
    }
}

async fn read_request(socket: Arc<tokio::sync::Mutex<TcpStream>>, connection: usize) -> Option<Heard> {
    let mut bytes = Vec::new();
    let mut guard = socket.lock().await;
    let body = |head: &str| {
        let length =
            head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        length.and_then(|l| l.trim().parse::<usize>().ok()).unwrap_or(0)
    };
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            if bytes.len() >= end + 4 + body(&head) {
                let path = head.split(' ').nth(1).unwrap().to_owned();
                drop(guard);
                return Some(Heard { path, head, connection, socket });
            }
        }
        if guard.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// A loopback backend; every request comes out of `heard`.
pub(crate) struct Fake {
    pub(crate) address: Address,
    pub(crate) heard: mpsc::UnboundedReceiver<Heard>,
    pub(crate) connections: Arc<Mutex<usize>>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (sender, heard) = mpsc::unbounded_channel();
        let connections = Arc::new(Mutex::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else { return };
                let number = {
                    let mut n = count.lock().unwrap();
                    *n += 1;
                    *n
                };
                let sender = sender.clone();
                tokio::spawn(async move {
                    let socket = Arc::new(tokio::sync::Mutex::new(socket));
                    if let Some(heard) = read_request(socket, number).await {
                        let _ = sender.send(heard);
                    }
                });
            }
        });
        Self { address, heard, connections }
    }

    pub(crate) async fn next(&mut self) -> Heard {
        tokio::time::timeout(Duration::from_secs(20), self.heard.recv()).await.expect("no request came").unwrap()
    }

    /// Whether a request came that was not taken yet.
    pub(crate) fn heard_nothing(&mut self) -> bool {
        self.heard.try_recv().is_err()
    }
}

pub(crate) fn config(fake: &Fake) -> BackendConfig {
    BackendConfig::new(fake.address.clone())
}

pub(crate) fn owner_config(state: &Path, backends: &[(&str, BackendConfig)]) -> OwnerConfig {
    let backends: HashMap<_, _> = backends.iter().map(|(name, b)| ((*name).into(), b.clone())).collect();
    OwnerConfig::new(state.to_owned(), Epoch(1), backends)
}

pub(crate) fn owner(state: &Path, backends: &[(&str, BackendConfig)]) -> Arc<Owner> {
    Owner::start(owner_config(state, backends)).unwrap()
}

pub(crate) fn call(path: &str) -> Call {
    Call {
        backend: "issuer".into(),
        method: Method::POST,
        target: path.to_owned(),
        headers: HeaderMap::new(),
        body: bytes::Bytes::from_static(b"{}"),
        max_response_bytes: 64 * 1024,
        timeout: Duration::from_secs(10),
        echoed: true,
    }
}

pub(crate) fn assignment(path: &str, residents: &[u128]) -> Assignment {
    let now = Instant::now();
    let trace = TraceParent { trace_id: 1, parent_id: 1, flags: 0 };
    let id = RequestId::from_u128(7);
    let context = RequestContext::freeze(id, trace, now, jiff::Timestamp::UNIX_EPOCH, Duration::from_secs(10));
    let facts = Facts {
        kiosk: None,
        session: None,
        municipality: None,
        residents: Vec::new(),
        applicant: None,
        kind: None,
        selection: Default::default(),
        card: None,
        idempotency_key: None,
    };
    Assignment {
        request: id,
        binding: Binding::seal(&BindingKey::new([1; 32]), &context, "route", &facts, 1),
        epoch: Epoch(1),
        operation: Operation::Issue,
        standing: sekisho_worker::standing::Standing::of(sekisho_worker::standing::Rank::New, now),
        lanes: LaneSet::new(residents.iter().map(|r| LaneId::from_u128(*r)).collect()),
        deadline: now + Duration::from_secs(10),
        max_run: Duration::from_secs(30),
        trace,
        before: None,
        before_guard: None,
        call: call(path),
        fetch: None,
        after: None,
        key: None,
    }
}
