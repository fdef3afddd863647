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

use sekisho_loadtest::cluster::{Admin, Gateway, Site, Town, TownPlan, protecting};
use sekisho_loadtest::dialect::Dialect;
use sekisho_loadtest::kiosk::{Kiosk, Patience, Said, Scope};
use sekisho_loadtest::legacy::chronicle::Work;
use sekisho_loadtest::legacy::{Fault, FaultPlan, Form};
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
    terminal: String,
    session: String,
    path: String,
    body: Value,
    key: String,
}

impl Question {
    fn text(&self) -> String {
        let body = self.body.to_string();
        format!(
            "POST {} HTTP/1.1\r\nhost: issuer.example\r\nx-terminal: {}\r\nx-session: {}\r\nidempotency-key: {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.path,
            self.terminal,
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

/// Everybody stands at a kiosk of their own: a card there ends the session of the one before.
fn terminal(person: usize) -> String {
    format!("T-{person}")
}

fn heard(bytes: &[u8]) -> Heard {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(bytes.len());
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    Heard { status, head, body: bytes.get(end + 4..).unwrap_or_default().to_vec() }
}

impl Scene {
    async fn start(change: impl FnOnce(&mut toml::Table)) -> Self {
        Self::speaking(Dialect::Json, change).await
    }

    async fn speaking(dialect: Dialect, change: impl FnOnce(&mut toml::Table)) -> Self {
        let town = Town::start(TownPlan::of(7, 1, 60).speaking(dialect)).await.unwrap();
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
        let mut kiosk = Kiosk::new(terminal(person), self.kiosk_side(), Patience(PATIENCE));
        let (exchange, opened) = kiosk.open(self.town.card(person), self.town.city_code(person)).await;
        opened.unwrap_or_else(|| panic!("{:?}", exchange.said)).session
    }

    async fn paper(&self, person: usize, key: &str) -> Question {
        let session = self.open(person).await;
        let path = format!("/certificates/{}", Form::ResidentRecord.path());
        Question {
            terminal: terminal(person),
            session,
            path,
            body: json!({"copies": "1", "scope": "self"}),
            key: key.to_owned(),
        }
    }

    async fn change(&self, person: usize, key: &str) -> Question {
        let session = self.open(person).await;
        self.change_in(person, session, key, 1)
    }

    fn change_in(&self, person: usize, session: String, key: &str, salt: u64) -> Question {
        let path = format!("/residents/{}/address", self.town.id(person));
        Question {
            terminal: terminal(person),
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

    /// How often the backend says that it was asked in a session, whatever it answered.
    fn asked(&self, question: &Question) -> u64 {
        self.town.world().calls_in(&question.session)
    }

    /// Waits for something that the backend tells of.
    async fn backend(&self, happened: impl Fn() -> bool) {
        let mut told = self.town.world().chronicle().happened();
        let asked = async {
            while !happened() {
                told.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.expect("it never happened");
    }

    /// Waits for something that the gateway says: another process gives no event to wait for.
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

impl Lost {
    /// Calls in the same session that losing the answer takes.
    const fn others(self) -> u64 {
        match self {
            Self::BeforeSend => 1,
            Self::AfterSend | Self::DuringBody | Self::AfterBody => 0,
        }
    }
}

impl Scene {
    async fn lose(&self, question: &Question, person: usize, stage: Lost) {
        let (pace, before) = (self.town.world().pace(), self.asked(question));
        match stage {
            Lost::BeforeSend => {
                // Somebody else's question holds the resident's lane.
                pace.freeze(true);
                let first = Question { key: format!("{}-other", question.key), ..question.clone() };
                let busy = tokio::spawn({
                    let (first, to) = (inquiry(&first, self.town.id(person)), self.kiosk_side());
                    async move { ask_text(first, to).await }
                });
                self.backend(|| self.asked(question) > before).await;
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
                self.backend(|| self.asked(question) > before).await;
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
        "GET /residents/{resident} HTTP/1.1\r\nhost: issuer.example\r\nx-terminal: {}\r\nx-session: {}\r\nconnection: close\r\n\r\n",
        question.terminal, question.session
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
        scene.lose(&question, person, stage).await;
        let again = question.ask(scene.kiosk_side()).await;
        assert_eq!((again.status, again.header("content-type")), (200, Some("application/pdf")), "{stage:?} {again:?}");
        let once_more = question.ask(scene.kiosk_side()).await;
        assert_eq!(again.body, once_more.body, "{stage:?}: not the same document");
        assert_ne!(again.header("x-request-id"), once_more.header("x-request-id"), "each has an id of its own");
        assert_eq!(scene.done(person, Work::Issue), 1, "{stage:?}: issued again");
        assert_eq!(scene.asked(&question), 1 + stage.others(), "{stage:?}: asked again");
    }
    for stage in STAGES {
        let person = people.next().unwrap();
        let question = scene.change(person, "key-1").await;
        scene.lose(&question, person, stage).await;
        let again = question.ask(scene.kiosk_side()).await;
        assert_eq!(again.status, 200, "{stage:?} {again:?}");
        assert_eq!(again.body, question.ask(scene.kiosk_side()).await.body, "{stage:?}");
        assert_eq!(scene.done(person, Work::Amend), 1, "{stage:?}: changed again");
        assert_eq!(scene.asked(&question), 1 + stage.others(), "{stage:?}: asked again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_refusal_lost_once_at_every_stage_is_said_again_and_the_backend_is_asked_once() {
    let scene = Scene::start(|_| {}).await;
    let mut people = scene.people();
    for (n, stage) in STAGES.into_iter().enumerate() {
        let person = people.next().unwrap();
        let mut question = scene.paper(person, "key-1").await;
        question.body["copies"] = "2".into();
        scene.lose(&question, person, stage).await;
        let (again, once_more) = (question.ask(scene.kiosk_side()).await, question.ask(scene.kiosk_side()).await);
        for said in [&again, &once_more] {
            assert_eq!((said.status, said.code().as_str()), (422, "ONE_COPY_ONLY"), "{stage:?} {said:?}");
        }
        assert_eq!(scene.asked(&question), 1 + stage.others(), "{stage:?}: asked again");
        assert_eq!(scene.done(person, Work::Issue), 0, "{stage:?}");
        assert_eq!(scene.counted("replayed").await, 2.0 * (n + 1) as f64, "{stage:?}");
    }
}

/// What was kept is no way around a suspension, and the suspension no way to a second issuance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_whose_kind_was_latched_since_does_not_leave_to_who_asks_again() {
    let scene = Scene::start(|_| {}).await;
    let (mut people, to) = (scene.people(), scene.kiosk_side());
    let question = scene.paper(people.next().unwrap(), "key-1").await;
    let another = scene.paper(people.next().unwrap(), "key-1").await;
    let first = question.ask(to).await;
    assert_eq!(first.status, 200);

    // Somebody else is given the answer to another request.
    scene.town.faults(&FaultPlan::one(Fault::WrongEcho, 1.0));
    let mixed_up = another.ask(to).await;
    assert_eq!((mixed_up.code().as_str(), mixed_up.reason().as_str()), ("WITHHELD", "echo"), "{mixed_up:?}");
    scene.town.repair();
    let mut admin = Admin::new(scene.gateway.admin, scene.site.admin_key().unwrap());
    let latches = admin.open_latches().await.unwrap();
    assert_eq!(latches.len(), 1, "one kind is suspended");

    for _ in 0..2 {
        let kept_in = question.ask(to).await;
        assert_eq!((kept_in.code().as_str(), kept_in.reason().as_str()), ("SUSPENDED", "suspended"), "{kept_in:?}");
    }
    admin.clear(&latches[0], "A. Operator", "looked at").await.unwrap();
    assert_eq!(question.ask(to).await.body, first.body, "kept until then");
    assert_eq!(scene.asked(&question), 1, "asked again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_at_the_same_time_waits_and_one_key_is_one_request() {
    let scene = Scene::start(|_| {}).await;
    let person = scene.people().next().unwrap();
    let question = scene.paper(person, "key-1").await;
    let asked: Vec<_> = (0..6)
        .map(|_| {
            let (question, to) = (question.clone(), scene.kiosk_side());
            tokio::spawn(async move { question.ask(to).await })
        })
        .collect();
    let mut papers = Vec::new();
    for one in asked {
        let heard = one.await.unwrap();
        assert_eq!(heard.status, 200, "{heard:?}");
        papers.push(heard.body);
    }
    assert!(papers.windows(2).all(|two| two[0] == two[1]), "not one document");
    assert_eq!((scene.done(person, Work::Issue), scene.counted("begun").await), (1, 1.0));

    let household = Question { body: json!({"copies": "1", "scope": "household"}), ..question.clone() };
    let other_kind = Question { path: format!("/certificates/{}", Form::Tax.path()), ..question.clone() };
    let other_bytes = Question { body: json!({"copies": "1", "scope": "self", "note": 1}), ..question.clone() };
    for reused in [household, other_kind, other_bytes] {
        let heard = reused.ask(scene.kiosk_side()).await;
        assert_eq!((heard.status, heard.reason().as_str()), (422, "key_reused"), "{reused:?}");
    }
    assert_eq!(question.ask(scene.kiosk_side()).await.body, papers[0], "its own answer is still there");
    assert_eq!(scene.town.world().chronicle().executions().iter().filter(|e| e.work == Work::Issue).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_is_not_given_after_an_amend_inside_a_bracket_or_while_switched_off() {
    let scene = Scene::start(|_| {}).await;
    let mut people = scene.people();
    let to = scene.kiosk_side();

    let person = people.next().unwrap();
    let question = scene.paper(person, "key-1").await;
    assert_eq!(question.ask(to).await.status, 200);
    let change = scene.change_in(person, question.session.clone(), "key-2", 1);
    assert_eq!(change.ask(to).await.status, 200);
    let stale = question.ask(to).await;
    assert_eq!((stale.code().as_str(), stale.reason().as_str()), ("WITHHELD", "superseded"), "{stale:?}");

    let person = people.next().unwrap();
    let question = scene.paper(person, "key-1").await;
    assert_eq!(question.ask(to).await.status, 200);
    let mut admin = Admin::new(scene.gateway.admin, scene.site.admin_key().unwrap());
    let bracket = admin.open_bracket(scene.town.city_code(person), scene.town.id(person)).await.unwrap();
    let bracketed = question.ask(to).await;
    assert_eq!((bracketed.code().as_str(), bracketed.reason().as_str()), ("WITHHELD", "bracket"), "{bracketed:?}");
    admin.close_bracket(bracket, 1).await.ok();

    let person = people.next().unwrap();
    let question = scene.paper(person, "key-1").await;
    let first = question.ask(to).await;
    // An answer that is leaving while the switch is set is withheld, which ends its session: another's tells when it is set.
    let another = scene.paper(people.next().unwrap(), "key-1").await;
    let off = scene.site.state().join("off");
    std::fs::create_dir_all(&off).unwrap();
    std::fs::write(off.join("kind-resident_record"), "").unwrap();
    scene.until(async || another.ask(to).await.reason() == "switched_off").await;
    assert_eq!(question.ask(to).await.reason(), "switched_off");
    std::fs::remove_file(off.join("kind-resident_record")).unwrap();
    scene.until(async || question.ask(to).await.reason() != "switched_off").await;
    assert_eq!(question.ask(to).await.body, first.body);
    assert_eq!(scene.done(person, Work::Issue), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_nothing_is_begun_again_under_a_key_that_was_used() {
    let mut scene = Scene::start(|_| {}).await;
    let mut people = scene.people();
    let (changed, issued, fresh) = (people.next().unwrap(), people.next().unwrap(), people.next().unwrap());
    let change = scene.change(changed, "key-1").await;
    let paper = scene.paper(issued, "key-1").await;
    assert_eq!(paper.ask(scene.kiosk_side()).await.status, 200, "answered, and lost");
    // The backend did it; the gateway dies before it hears so.
    scene.lose(&change, changed, Lost::AfterBody).await;
    scene.gateway.process.kill().await.unwrap();
    scene.gateway = scene.site.start().await.unwrap();
    for (person, work, lost) in [(changed, Work::Amend, &change), (issued, Work::Issue, &paper)] {
        let gone = lost.ask(scene.kiosk_side()).await;
        assert_eq!((gone.status, gone.reason().as_str()), (409, "unknown_session"));
        let again = Question { session: scene.open(person).await, ..lost.clone() };
        let unknown = again.ask(scene.kiosk_side()).await;
        let said = (unknown.code(), unknown.reason());
        assert_eq!(said, ("INDETERMINATE".into(), "outcome_unknown".into()), "{work:?} {}", unknown.head);
        assert_eq!(scene.done(person, work), 1, "{work:?}: begun again");
    }
    let another = scene.paper(fresh, "key-1").await.ask(scene.kiosk_side()).await;
    assert_eq!(another.status, 200, "another resident's key is their own: {another:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_was_cut_off_by_kill_9_is_not_made_again() {
    let mut scene = Scene::start(|_| {}).await;
    let person = scene.people().next().unwrap();
    let change = scene.change(person, "key-1").await;
    scene.town.world().pace().freeze(true);
    let stream = change.send(scene.kiosk_side()).await;
    scene.backend(|| scene.done(person, Work::Amend) == 1).await;
    scene.gateway.process.kill().await.unwrap();
    drop(stream);
    scene.town.world().pace().freeze(false);
    scene.gateway = scene.site.start().await.unwrap();
    let again = Question { session: scene.open(person).await, ..change };
    let unknown = again.ask(scene.kiosk_side()).await;
    assert_eq!((unknown.code().as_str(), unknown.reason().as_str()), ("INDETERMINATE", "outcome_unknown"));
    assert_eq!(scene.done(person, Work::Amend), 1);
}

fn ledger(table: &mut toml::Table, key: &str, value: impl Into<toml::Value>) {
    let ledger = table.get_mut("ledger").and_then(toml::Value::as_table_mut).unwrap();
    ledger.insert(key.to_owned(), value.into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_too_long_or_finds_no_room_is_gone_and_is_not_begun_again() {
    let scene = Scene::start(|table| ledger(table, "keep", "1s")).await;
    let person = scene.people().next().unwrap();
    let question = scene.paper(person, "key-1").await;
    assert_eq!(question.ask(scene.kiosk_side()).await.status, 200);
    scene.until(async || question.ask(scene.kiosk_side()).await.status == 409).await;
    assert_eq!(question.ask(scene.kiosk_side()).await.reason(), "erased");
    assert_eq!(scene.done(person, Work::Issue), 1);
    scene.until(async || scene.metrics().await.contains("\nsekisho_ledger_bytes 0\n")).await;

    let scene = Scene::start(|table| ledger(table, "max_bytes", "1B")).await;
    let question = scene.paper(person, "key-1").await;
    assert_eq!(question.ask(scene.kiosk_side()).await.status, 200, "served once");
    let gone = question.ask(scene.kiosk_side()).await;
    assert_eq!((gone.status, gone.reason().as_str()), (409, "not_kept"));
    assert_eq!(scene.done(person, Work::Issue), 1);

    let scene = Scene::start(|table| ledger(table, "max_keys", 1)).await;
    let question = scene.paper(person, "key-1").await;
    assert_eq!(question.ask(scene.kiosk_side()).await.status, 200);
    let second = Question { key: "key-2".to_owned(), ..question.clone() }.ask(scene.kiosk_side()).await;
    assert_eq!((second.status, second.code().as_str(), second.reason().as_str()), (503, "BUSY", "memory"));
    assert_eq!(question.ask(scene.kiosk_side()).await.status, 200, "who was there is not forgotten");
    assert_eq!(scene.done(person, Work::Issue), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmation_closes_the_issuance_and_an_abandon_erases_it() {
    let scene = Scene::start(|_| {}).await;
    let (mut people, to) = (scene.people(), scene.kiosk_side());
    for (word, told) in [("printed", "the kiosk confirmed its print"), ("abandoned", "it was abandoned at the kiosk")] {
        let person = people.next().unwrap();
        let question = scene.paper(person, "key-1").await;
        let paper = question.ask(to).await;
        let request = paper.header("x-request-id").unwrap().to_owned();
        let text = format!(
            "POST /sessions/{}/{word} HTTP/1.1\r\nhost: issuer.example\r\nx-terminal: {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            question.session, question.terminal
        );
        assert_eq!(ask_text(text, to).await.status, 204);
        let after = question.ask(to).await;
        assert_eq!((after.status, after.reason().as_str()), (409, "unknown_session"), "{word}");
        assert!(scene.metrics().await.contains("\nsekisho_ledger_bytes 0\n"), "{word}: still kept");
        scene.until(async || scene.explained(&request).await.contains(told)).await;
        assert_eq!(scene.done(person, Work::Issue), 1);
    }
}

impl Scene {
    /// What the records say of a request.
    async fn explained(&self, request: &str) -> String {
        let key = self.site.admin_key().unwrap();
        let text = format!(
            "GET /requests/{request} HTTP/1.1\r\nhost: admin\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
        );
        String::from_utf8_lossy(&ask_text(text, self.gateway.admin).await.body).into_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_every_dialect_who_asks_again_gets_the_same_paper() {
    for dialect in [Dialect::Json, Dialect::Soap, Dialect::Form] {
        let scene = Scene::speaking(dialect, |_| {}).await;
        let person = scene.people().find(|person| scene.town.covered(*person, Form::ResidentRecord, true).len() > 1);
        let person = person.unwrap();
        let mut kiosk = Kiosk::new("T-1", scene.kiosk_side(), Patience(PATIENCE)).speaking(dialect);
        let (exchange, opened) = kiosk.open(scene.town.card(person), scene.town.city_code(person)).await;
        let session = opened.unwrap_or_else(|| panic!("{:?}", exchange.said)).session;
        let mut papers = Vec::new();
        for _ in 0..2 {
            let path = Form::ResidentRecord.path();
            match kiosk.issue_under(&session, path, Scope::Household, Some("key-1")).await.said {
                Said::Paper(paper) => papers.push(paper.bytes),
                other => panic!("{dialect:?}: {other:?}"),
            }
        }
        assert_eq!(papers[0], papers[1], "{dialect:?}");
        assert_eq!((scene.done(person, Work::Issue), scene.counted("replayed").await), (1, 1.0), "{dialect:?}");
    }
}
