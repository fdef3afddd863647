//! A tiny backend and record system on one socket, and a gateway in front of them, all in process.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use sekisho_gateway::bracket::Brackets;
use sekisho_gateway::clock::Clock;
use sekisho_gateway::edge::{Edge, Parts};
use sekisho_gateway::latch::Latches;
use sekisho_gateway::record::{Memory, Options, Records, SEGMENT_BYTES};
use sekisho_gateway::registry::Registry;
use sekisho_gateway::release::Gate;
use sekisho_gateway::server::Threads;
use sekisho_gateway::state_dir::StateDir;
use sekisho_gateway::switch::Switches;
use sekisho_worker::journal::Disk;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

#[derive(Default)]
struct Script {
    finished: Vec<String>,
    holding: usize,
    hold: bool,
    cut: bool,
    about: Option<String>,
    authority: Authority,
    sessions: VecDeque<(String, String)>,
    opened: Option<Value>,
    closed: Option<Value>,
    minted: usize,
    version: Value,
    /// Changes of each record since the start.
    changes: HashMap<String, usize>,
    /// The issuer works from what it read this long ago.
    lag: Duration,
    /// Answers that were older than the record when they were given.
    outdated: usize,
    meanwhile: usize,
    /// Makes the certificate that `/seals/{id}` is asked for.
    printer: Option<fn(&str) -> Vec<u8>>,
}

/// What the record system says of everybody.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum Authority {
    #[default]
    Active,
    Revoked,
    Down,
}

/// What the backend did and shall do.
#[derive(Clone, Default)]
pub(crate) struct Backend {
    script: Arc<Mutex<Script>>,
    go_on: Arc<Notify>,
    /// Told of every call that came or was answered.
    moved: Arc<watch::Sender<()>>,
}

impl Backend {
    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// Calls of the issuer's side that were answered.
    pub(crate) fn calls(&self) -> usize {
        self.script().finished.iter().filter(|path| speaks_of_somebody(path)).count()
    }

    /// Calls of one path that were answered (or cut).
    pub(crate) fn finished(&self, path: &str) -> usize {
        self.script().finished.iter().filter(|p| *p == path).count()
    }

    /// Waits until a call made `happened` true.
    pub(crate) async fn until(&self, happened: impl Fn(&Self) -> bool) {
        let mut moved = self.moved.subscribe();
        let asked = async {
            while !happened(self) {
                moved.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(20), asked).await.expect("no call made it true within 20 s");
    }

    /// From now on the issuer waits before it answers.
    pub(crate) fn hold(&self) {
        self.script().hold = true;
    }

    /// Who comes from now on is answered at once; those who wait go on waiting.
    pub(crate) fn hold_no_more(&self) {
        self.script().hold = false;
    }

    /// How many calls wait.
    pub(crate) fn holding(&self) -> usize {
        self.script().holding
    }

    /// Lets everybody go on.
    pub(crate) fn go_on(&self) {
        self.script().hold = false;
        self.go_on.notify_waiters();
    }

    /// The next answer is cut off.
    pub(crate) fn cut_next(&self) {
        self.script().cut = true;
    }

    /// The next inquiry is answered about somebody else.
    pub(crate) fn answer_about(&self, resident: &str) {
        self.script().about = Some(resident.to_owned());
    }

    /// From now on the record system says this of everybody.
    pub(crate) fn authority(&self, says: Authority) {
        self.script().authority = says;
    }

    /// A batch changes one record behind the gateway; its new version.
    pub(crate) fn change(&self, resident: &str) -> usize {
        let mut script = self.script();
        let changes = script.changes.entry(resident.to_owned()).or_default();
        *changes += 1;
        *changes + 1
    }

    /// From now on the issuer reads a record this long before it answers.
    pub(crate) fn lag(&self, lag: Duration) {
        self.script().lag = lag;
    }

    /// Answers of the issuer that were older than the record when they were given.
    pub(crate) fn outdated(&self) -> usize {
        self.script().outdated
    }

    /// From now on every so many-th record changes while the issuer works on it.
    pub(crate) fn change_meanwhile(&self, every: usize) {
        self.script().meanwhile = every;
    }

    /// From now on `/seals/{id}` answers with this document.
    pub(crate) fn print_with(&self, printer: fn(&str) -> Vec<u8>) {
        self.script().printer = Some(printer);
    }

    /// The version of a record now.
    pub(crate) fn version(&self, resident: &str) -> usize {
        self.script().changes.get(resident).copied().unwrap_or(0) + 1
    }

    /// The next session is this one.
    pub(crate) fn hand_out_again(&self, session: &str, resident: &str) {
        self.script().sessions.push_back((session.to_owned(), resident.to_owned()));
    }

    /// The next session is opened with this body.
    pub(crate) fn open_with(&self, body: Value) {
        self.script().opened = Some(body);
    }

    /// The next session is closed with this body.
    pub(crate) fn close_with(&self, body: Value) {
        self.script().closed = Some(body);
    }

    /// From now on it says that it is this.
    #[allow(dead_code, reason = "the tests of the kiosk side ask no backend what it is")]
    pub(crate) fn is(&self, version: Value) {
        self.script().version = version;
    }

    async fn answer(&self, request: Request<hyper::body::Incoming>) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        if speaks_of_somebody(&path) {
            let waiting = self.go_on.notified();
            let hold = {
                let mut script = self.script();
                script.holding += usize::from(script.hold);
                script.hold
            };
            self.moved.send_replace(());
            if hold {
                waiting.await;
            }
        }
        let echo = head.headers.get("x-request-id").and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
        let (status, answer) = self.decide(&head.method, &path, &body, &echo);
        if let Some(resident) = path.strip_prefix("/residents/").filter(|_| head.method == Method::GET) {
            let lag = self.script().lag;
            if !lag.is_zero() {
                tokio::time::sleep(lag).await;
            }
            let changes = {
                let script = self.script();
                script.meanwhile > 0 && script.finished.len().is_multiple_of(script.meanwhile)
            };
            if changes {
                self.change(resident);
            }
            let now = self.version(resident).to_string();
            let outdated = answer["version"].as_str() != Some(now.as_str());
            self.script().outdated += usize::from(outdated);
        }
        let printed = path.strip_prefix("/seals/").and_then(|id| Some(self.script().printer?(id)));
        let cut = {
            let mut script = self.script();
            script.finished.push(path);
            std::mem::take(&mut script.cut)
        };
        self.moved.send_replace(());
        if cut {
            return Err(std::io::Error::other("cut off, as the script says"));
        }
        let builder = Response::builder().status(status).header("x-request-id", echo).header("set-cookie", "a=b");
        let (media_type, bytes) = match (printed, answer) {
            (Some(printed), _) => ("application/pdf", Bytes::from(printed)),
            (None, Value::Null) => ("text/plain", Bytes::from_static(if status == 204 { b"" } else { b"hello" })),
            (None, value) => ("application/json", Bytes::from(value.to_string())),
        };
        Ok(builder.header("content-type", media_type).body(Full::new(bytes)).unwrap())
    }

    fn decide(&self, method: &Method, path: &str, body: &[u8], echo: &str) -> (u16, Value) {
        let authority = self.script().authority;
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let person = |id: &str| json!({"id": id, "name": "関守　一郎", "birth": "1980-03-12", "address": "見本市本町1-2-3", "version": self.version(id).to_string(), "requestId": echo});
        match (method.as_str(), segments.as_slice()) {
            ("GET", ["v2", "cards", card]) => {
                let city = city_of(card);
                (200, json!({"cardSerial": card, "residentId": card.replace("card", "r"), "cityCode": city}))
            }
            ("GET", ["v2", "residents", id]) => match authority {
                Authority::Down => (500, Value::Null),
                says => {
                    let mut person = person(id);
                    person["state"] = if says == Authority::Active { "active" } else { "revoked" }.into();
                    (200, person)
                }
            },
            ("POST", ["sessions"]) => {
                let asked: Value = serde_json::from_slice(body).unwrap();
                let mut script = self.script();
                if let Some(body) = script.opened.take() {
                    return (201, body);
                }
                script.minted += 1;
                let own = (format!("s-{}", script.minted), asked["cardSerial"].as_str().unwrap().replace("card", "r"));
                let (session, resident) = script.sessions.pop_front().unwrap_or(own);
                (201, json!({"sessionId": session, "cityCode": city_of(&resident), "residentId": resident}))
            }
            ("DELETE", ["sessions", _]) => match self.script().closed.take() {
                Some(body) => (200, body),
                None => (204, Value::Null),
            },
            ("GET", ["seals", id]) => (200, person(id)),
            ("GET", ["residents", id]) => {
                let about = self.script().about.take();
                (200, person(about.as_deref().unwrap_or(id)))
            }
            ("POST", ["residents", id, "address"]) => {
                (200, json!({"residentId": id, "version": self.change(id).to_string(), "requestId": echo}))
            }
            ("GET", ["notice"]) => (200, Value::Null),
            ("GET", ["version"]) => (200, self.script().version.clone()),
            _ => (404, json!({"error": "no such thing"})),
        }
    }
}

/// `card-1` is of 991007, `card-1-990019` of 990019.
fn city_of(card: &str) -> &str {
    card.rsplit('-').next().filter(|city| city.len() == 6).unwrap_or("991007")
}

/// The calls of the issuer's own side that are about a person.
fn speaks_of_somebody(path: &str) -> bool {
    !path.starts_with("/v2/") && !matches!(path, "/notice" | "/version")
}

/// Serves `backend` on a free port until the test ends, with TLS where it is given.
async fn serve_backend(backend: Backend, tls: Option<Arc<rustls::ServerConfig>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let backend = backend.clone();
            let service = hyper::service::service_fn(move |request| {
                let backend = backend.clone();
                async move { backend.answer(request).await }
            });
            let builder = hyper::server::conn::http1::Builder::new();
            match &tls {
                None => drop(tokio::spawn(builder.serve_connection(TokioIo::new(stream), service))),
                Some(tls) => {
                    let accepting = tokio_rustls::TlsAcceptor::from(tls.clone()).accept(stream);
                    tokio::spawn(async move {
                        if let Ok(stream) = accepting.await {
                            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                        }
                    });
                }
            }
        }
    });
    address
}

/// A gateway under test.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) backend: Backend,
    pub(crate) edge: Arc<Edge>,
    pub(crate) serving: JoinHandle<usize>,
    config: String,
    pub(crate) dir: tempfile::TempDir,
}

/// A reply, whole.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    /// The problem's code.
    pub(crate) fn problem(&self) -> String {
        self.json()["code"].as_str().unwrap_or("none").to_owned()
    }
}

const CONFIG: &str = include_str!("gateway.toml");

fn parsed(text: &str, folder: &std::path::Path) -> sekisho_gateway::config::Config {
    sekisho_gateway::config::parse_in(text, Some(folder)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// One request on a connection of its own.
pub(crate) async fn exchange(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> hyper::Result<Reply> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    driving.abort();
    Ok(Reply { status: head.status, headers: head.headers, body })
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_with(None, |text, _| text).await
    }

    /// The same, with a backend that speaks TLS where it is given, and a configuration that `edit` changed; files that it names
    /// stand in the folder.
    pub(crate) async fn start_with(
        tls: Option<Arc<rustls::ServerConfig>>,
        edit: impl FnOnce(String, &std::path::Path) -> String,
    ) -> Self {
        Self::start_on(Backend::default(), tls, edit).await
    }

    /// The same, with a backend that has a past.
    pub(crate) async fn start_on(
        backend: Backend,
        tls: Option<Arc<rustls::ServerConfig>>,
        edit: impl FnOnce(String, &std::path::Path) -> String,
    ) -> Self {
        Self::start_whole(backend, tls, None, edit).await
    }

    /// The same, with its records on a disk of the test's own.
    pub(crate) async fn start_on_disk(disk: Arc<dyn Disk>) -> Self {
        Self::start_whole(Backend::default(), None, Some(disk), |text, _| text).await
    }

    async fn start_whole(
        backend: Backend,
        tls: Option<Arc<rustls::ServerConfig>>,
        disk: Option<Arc<dyn Disk>>,
        edit: impl FnOnce(String, &std::path::Path) -> String,
    ) -> Self {
        let behind = serve_backend(backend.clone(), tls).await;
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(&dir.path().join("state")).unwrap();
        let registry = Arc::new(Registry::isolated());
        let clock = Clock::system();
        let latches = Arc::new(Latches::open(&state.path("latches"), clock.clone()).unwrap());
        let switches = Arc::new(Switches::open(&state.path("switches"), &state.path("off"), clock.clone()).unwrap());
        let brackets = Arc::new(Brackets::open(&state.path("brackets"), clock.clone()).unwrap());
        let (l, s, b) = (latches.clone(), switches.clone(), brackets.clone());
        let gate = match disk {
            None => Gate::open(&state, registry.clone(), l, s, b, clock.clone(), SEGMENT_BYTES).unwrap(),
            Some(disk) => {
                let options = Options { disk, ..Options::default() };
                let records =
                    Records::open_with(&state.path("records"), Memory::default(), clock.clone(), options).unwrap();
                Gate::on(records, &state, registry.clone(), l, s, b, clock.clone()).unwrap()
            }
        };
        let config = edit(CONFIG.replace("127.0.0.1:9", &behind.to_string()), dir.path());
        let parts = Parts { clock, registry, latches, switches, brackets, gate };
        let edge = Edge::start(parsed(&config, dir.path()), &state, parts).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let threads = Threads::start(2).unwrap();
        let serving = tokio::spawn(sekisho_gateway::server::serve(
            edge.clone(),
            listener,
            threads,
            sekisho_gateway::server::Descriptors::raised(),
        ));
        Self { address, backend, edge, serving, config, dir }
    }

    /// Puts the configuration with one piece changed in force.
    pub(crate) fn reconfigure(&self, from: &str, to: &str) {
        assert!(self.config.contains(from), "{from}");
        self.edge.replace_config(parsed(&self.config.replacen(from, to, 1), self.dir.path()));
    }

    pub(crate) fn build(
        &self,
        method: Method,
        path: &str,
        who: Option<(&str, &str)>,
        body: Option<Value>,
    ) -> Request<Full<Bytes>> {
        let mut builder = Request::builder().method(method).uri(path).header("host", "kiosk-side");
        if let Some((session, kiosk)) = who {
            builder = builder.header("x-terminal", kiosk);
            if !session.is_empty() {
                builder = builder.header("x-session", session);
            }
        }
        let body = body.map_or(Bytes::new(), |body| Bytes::from(body.to_string()));
        builder.body(Full::new(body)).unwrap()
    }

    pub(crate) fn send(&self, request: Request<Full<Bytes>>) -> impl Future<Output = Reply> + Send + 'static + use<> {
        let address = self.address;
        async move {
            let stream = TcpStream::connect(address).await.unwrap();
            exchange(stream, request).await.unwrap()
        }
    }

    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        who: Option<(&str, &str)>,
        body: Option<Value>,
    ) -> impl Future<Output = Reply> + Send + 'static + use<> {
        self.send(self.build(method, path, who, body))
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        who: Option<(&str, &str)>,
        body: Option<Value>,
    ) -> Reply {
        self.request(method, path, who, body).await
    }

    /// Opens a session of `card` at `kiosk`; its id.
    pub(crate) async fn open(&self, kiosk: &str, card: &str) -> String {
        let body = json!({"cardSerial": card, "cityCode": "991007"});
        let opened = self.ask(Method::POST, "/sessions", Some(("", kiosk)), Some(body)).await;
        assert_eq!(opened.status, StatusCode::CREATED, "{}", opened.text());
        opened.json()["sessionId"].as_str().unwrap().to_owned()
    }

    /// The value of one series.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = self.edge.registry.render();
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok());
        found.unwrap_or_else(|| panic!("{series} is not in\n{text}"))
    }

    /// Ends of arrivals under one outcome, all routes together.
    pub(crate) fn outcomes(&self, outcome: &str) -> f64 {
        let (text, label) = (self.edge.registry.render(), format!("outcome=\"{outcome}\""));
        let lines = text.lines().filter(|l| l.starts_with("sekisho_requests_total{") && l.contains(&label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}
