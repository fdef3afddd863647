//! A kiosk that loses an answer asks again with its key: the same answer, and the backend's own log shows one issuance, one change.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use sekisho_loadtest::cluster::{Gateway, Site, Town, TownPlan, protecting};
use sekisho_loadtest::kiosk::{Kiosk, Patience};
use sekisho_loadtest::legacy::Form;
use sekisho_loadtest::legacy::chronicle::Work;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(60);

struct Scene {
    town: Town,
    site: Site,
    gateway: Gateway,
    _dir: tempfile::TempDir,
}

/// One reply as it came, or as much of it as was read.
#[derive(Debug, Clone, PartialEq)]
struct Heard {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Heard {
    fn reason(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body.pointer("/error/reason").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body.pointer("/error/code").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }
}

/// What is asked, with everything in it: a retry is the same text.
#[derive(Debug, Clone)]
struct Question {
    session: String,
    path: String,
    body: Value,
    key: String,
}

impl Question {
    fn text(&self) -> String {
        let body = self.body.to_string();
        format!(
            "POST {} HTTP/1.1\r\nhost: issuer.example\r\nx-terminal: T-1\r\nx-session: {}\r\nidempotency-key: {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.path,
            self.session,
            self.key,
            body.len(),
        )
    }

    async fn send(&self, to: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(self.text().as_bytes()).await.unwrap();
        stream
    }

    async fn ask(&self, to: SocketAddr) -> Heard {
        let mut stream = self.send(to).await;
        let mut bytes = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
        heard(&bytes)
    }
}

fn heard(bytes: &[u8]) -> Heard {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(bytes.len());
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    Heard { status, head, body: bytes.get(end + 4..).unwrap_or_default().to_vec() }
}

impl Scene {
    async fn start(change: impl FnOnce(&mut toml::Table)) -> Self {
        let town = Town::start(TownPlan::of(7, 1, 60)).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut configuration = protecting(&town).unwrap();
        change(&mut configuration);
        let program = Path::new(env!("CARGO_BIN_EXE_sekisho-loadtest"));
        let site = Site::prepare(program, dir.path(), &configuration).unwrap();
        let gateway = site.start().await.unwrap();
        Self { town, site, gateway, _dir: dir }
    }

    fn kiosk_side(&self) -> SocketAddr {
        self.gateway.kiosk_side
    }

    async fn open(&self, person: usize) -> String {
        let mut kiosk = Kiosk::new("T-1", self.kiosk_side(), Patience(PATIENCE));
        let (exchange, opened) = kiosk.open(self.town.card(person), self.town.city_code(person)).await;
        opened.unwrap_or_else(|| panic!("{:?}", exchange.said)).session
    }

    async fn paper(&self, person: usize, key: &str) -> Question {
        let session = self.open(person).await;
        let path = format!("/certificates/{}", Form::ResidentRecord.path());
        Question { session, path, body: json!({"copies": "1", "scope": "self"}), key: key.to_owned() }
    }

    async fn change(&self, person: usize, key: &str) -> Question {
        let session = self.open(person).await;
        self.change_in(person, session, key, 1)
    }

    fn change_in(&self, person: usize, session: String, key: &str, salt: u64) -> Question {
        let path = format!("/residents/{}/address", self.town.id(person));
        Question {
            session,
            path,
            body: json!({"address": self.town.another_address(person, salt)}),
            key: key.to_owned(),
        }
    }

    /// How often the backend says that it did that for somebody.
    fn done(&self, person: usize, work: Work) -> usize {
        let executions = self.town.world().chronicle().executions();
        executions.iter().filter(|e| e.work == work && e.people.contains(&person)).count()
    }

    async fn until(&self, happened: impl AsyncFn() -> bool) {
        let began = Instant::now();
        while !happened().await {
            assert!(began.elapsed() < PATIENCE, "it never happened");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(self.gateway.metrics).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    async fn counted(&self, result: &str) -> f64 {
        let text = self.metrics().await;
        let series = format!("sekisho_ledger_requests_total{{result=\"{result}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&series)).map_or(0.0, |value| value.trim().parse().unwrap())
    }

    /// Residents who can have a certificate, one after the other.
    fn people(&self) -> impl Iterator<Item = usize> + use<> {
        self.town.can_ask_for(0, Form::ResidentRecord).into_iter()
    }
}

/// Where an answer is lost.
#[derive(Debug, Clone, Copy)]
enum Lost {
    /// Before the backend hears of it.
    BeforeSend,
    /// While the backend's answer is on its way.
    AfterSend,
    /// With the head read and the body not.
    DuringBody,
    /// Wholly handed to the connection, and never seen.
    AfterBody,
}

impl Scene {
    async fn lose(&self, question: &Question, person: usize, work: Work, stage: Lost) {
        let (pace, before) = (self.town.world().pace(), self.done(person, work));
        match stage {
            Lost::BeforeSend => {
                // Somebody else's question holds the resident's lane.
                pace.freeze(true);
                let first = Question { key: format!("{}-other", question.key), ..question.clone() };
                let busy = tokio::spawn({
                    let (first, to) = (inquiry(&first, self.town.id(person)), self.kiosk_side());
                    async move { ask_text(first, to).await }
                });
                self.until(async || self.done(person, Work::Inquire) == 1).await;
                let begun = self.counted("begun").await;
                let stream = question.send(self.kiosk_side()).await;
                self.until(async || self.counted("begun").await > begun).await;
                drop(stream);
                pace.freeze(false);
                assert_eq!(busy.await.unwrap().status, 200);
            }
            Lost::AfterSend => {
                pace.freeze(true);
                let stream = question.send(self.kiosk_side()).await;
                self.until(async || self.done(person, work) > before).await;
                drop(stream);
                pace.freeze(false);
            }
            Lost::DuringBody | Lost::AfterBody => {
                let mut stream = question.send(self.kiosk_side()).await;
                let mut head = Vec::new();
                while !head.windows(4).any(|w| w == b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                if matches!(stage, Lost::AfterBody) {
                    stream.read_to_end(&mut Vec::new()).await.unwrap();
                }
                stream.set_zero_linger().unwrap();
            }
        }
    }
}

fn inquiry(question: &Question, resident: &str) -> String {
    format!(
        "GET /residents/{resident} HTTP/1.1\r\nhost: issuer.example\r\nx-terminal: T-1\r\nx-session: {}\r\nconnection: close\r\n\r\n",
        question.session
    )
}

async fn ask_text(text: String, to: SocketAddr) -> Heard {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    heard(&bytes)
}

const STAGES: [Lost; 4] = [Lost::BeforeSend, Lost::AfterSend, Lost::DuringBody, Lost::AfterBody];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_answer_lost_once_at_every_stage_is_given_again_and_the_backend_acts_once() {
    let scene = Scene::start(|_| {}).await;
    let mut people = scene.people();
    for stage in STAGES {
        let person = people.next().unwrap();
        let question = scene.paper(person, "key-1").await;
        scene.lose(&question, person, Work::Issue, stage).await;
        let again = question.ask(scene.kiosk_side()).await;
        assert_eq!((again.status, again.header("content-type")), (200, Some("application/pdf")), "{stage:?} {again:?}");
        let once_more = question.ask(scene.kiosk_side()).await;
        assert_eq!(again.body, once_more.body, "{stage:?}: not the same document");
        assert_ne!(again.header("x-request-id"), once_more.header("x-request-id"), "each has an id of its own");
        assert_eq!(scene.done(person, Work::Issue), 1, "{stage:?}: issued again");
    }
    for stage in STAGES {
        let person = people.next().unwrap();
        let question = scene.change(person, "key-1").await;
        scene.lose(&question, person, Work::Amend, stage).await;
        let again = question.ask(scene.kiosk_side()).await;
        assert_eq!(again.status, 200, "{stage:?} {again:?}");
        assert_eq!(again.body, question.ask(scene.kiosk_side()).await.body, "{stage:?}");
        assert_eq!(scene.done(person, Work::Amend), 1, "{stage:?}: changed again");
    }
}
