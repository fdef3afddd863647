//! What operators type, at the shipped binary: a gateway that runs, and its commands beside it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sekisho-gateway");
/// As many residents as one batch may have.
const BATCH: usize = 100_000;

/// How often a file that another process writes is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A gateway whose backends are nowhere: nothing here asks them.
struct Running {
    gateway: Child,
    dir: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.gateway.kill();
        let _ = self.gateway.wait();
    }
}

impl Running {
    fn start() -> Self {
        Self::start_with(|_| {}).0
    }

    /// With what it logged until it served operators.
    fn start_with(prepare: impl FnOnce(&Path)) -> (Self, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let listeners = "[metrics]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";
        let state = dir.path().join("state");
        let config = include_str!("backend/gateway.toml")
            .replace("dir = \"/nonexistent\"", &format!("dir = {state:?}\n{listeners}"))
            .replace("hours   = \"always\"", "hours   = \"always\"\nlatch   = { approvers = 2 }");
        std::fs::write(dir.path().join("gateway.toml"), config + "\n[tenants]\ndir = \"tenants\"\n").unwrap();
        std::fs::create_dir(dir.path().join("tenants")).unwrap();
        prepare(dir.path());
        let (gateway, lines) = Self::spawn(dir.path());
        (Self { gateway, dir }, lines)
    }

    /// Kills it without a warning, and starts it again on what it left and what `meanwhile` made of that.
    fn crash(&mut self, meanwhile: impl FnOnce(&Path)) {
        self.gateway.kill().unwrap();
        self.gateway.wait().unwrap();
        meanwhile(&self.path("state"));
        self.gateway = Self::spawn(self.dir.path()).0;
    }

    fn spawn(dir: &Path) -> (Child, Vec<String>) {
        let mut gateway = Command::new(PROGRAM);
        gateway.args(["run", "--config"]).arg(dir.join("gateway.toml")).env("RUST_LOG", "info");
        let mut gateway = gateway.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(gateway.stderr.take().unwrap()).lines();
        let mut lines = Vec::new();
        for line in said.by_ref().map_while(Result::ok) {
            lines.push(line);
            if lines.last().is_some_and(|line| line.contains("serving operators")) {
                break;
            }
        }
        // Whatever it says later must not fill the pipe.
        std::thread::spawn(move || said.for_each(drop));
        assert!(lines.last().is_some_and(|line| line.contains("serving operators")), "it ended: {lines:#?}");
        (gateway, lines)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What a command prints, and its exit code.
    fn run(&self, words: &[&str], command: &[&str]) -> (i32, String) {
        let mut process = Command::new(PROGRAM);
        process.args(words).arg("--config").arg(self.path("gateway.toml")).current_dir(self.dir.path());
        if !command.is_empty() {
            process.arg("--").args(command);
        }
        let output = process.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(said).unwrap())
    }

    fn json(&self, words: &[&str]) -> Value {
        let (code, said) = self.run(words, &[]);
        assert_eq!(code, 0, "{words:?}: {said}");
        serde_json::from_str(&said).unwrap()
    }

    fn write(&self, name: &str, lines: impl Iterator<Item = String>) {
        std::fs::write(self.path(name), lines.map(|line| line + "\n").collect::<String>()).unwrap();
    }

    fn read(&self, path: impl AsRef<Path>) -> String {
        std::fs::read_to_string(self.dir.path().join(path)).unwrap_or_default()
    }

    /// An exported head; it is there whole or not at all.
    fn head(&self, name: &str) -> Option<Value> {
        let text = std::fs::read_to_string(self.path(name)).ok()?;
        Some(serde_json::from_str(&text).unwrap())
    }

    /// Waits until the head in a file covers more frames than `seen`; how many.
    fn head_beyond(&self, name: &str, seen: u64) -> u64 {
        let began = Instant::now();
        loop {
            let frames = self.head(name).map_or(0, |head| head["frames"].as_u64().unwrap());
            if frames > seen {
                return frames;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{name} stays at {frames} frames");
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

const WORD: [&str; 4] = ["--name", "山田", "--reason", "試験"];

#[test]
fn what_the_manual_names_can_be_typed_and_answers_in_json() {
    let running = Running::start();
    let tenants = running.json(&["tenants"]);
    let row = &tenants["tenants"][0];
    assert_eq!((&row["code"], &row["state"], &row["hours"]), (&json!("991007"), &json!("open"), &json!("always")));
    for key in ["latches", "switches", "attested", "exclusive", "mode", "policy"] {
        assert!(!row[key].is_null(), "{key}: {row}");
    }
    let lanes = running.json(&["lanes"]);
    assert!(lanes["backends"].is_array() && lanes["oldest"] == json!([]), "{lanes}");
    for oldest in [&["lanes", "--oldest"][..], &["lanes", "--oldest", "3"]] {
        assert_eq!(running.json(oldest), json!({ "oldest": [] }));
    }
    let abandon = |id: &str| running.run(&[&["attempt", "abandon", id][..], &WORD].concat(), &[]);
    let (code, said) = abandon("17-4");
    assert!(code == 1 && said.contains("no such held attempt"), "{code} {said}");
    let (code, said) = abandon("17");
    assert!(code == 2 && said.contains("as `lanes` lists it"), "{code} {said}");
    let unsaid = running.run(&["attempt", "abandon", "17-4", "--name", "山田"], &[]);
    assert!(unsaid.0 == 2 && unsaid.1.contains("--reason"), "{unsaid:?}");

    let issuer = || running.json(&["backend", "list"])["backends"][0].clone();
    running.json(&["backend", "drain", "issuer"]);
    assert_eq!(issuer()["suspended"], "drained");
    running.json(&["backend", "resume", "issuer"]);
    running.json(&["backend", "limit", "issuer", "2"]);
    assert_eq!((&issuer()["suspended"], &issuer()["limit"]), (&Value::Null, &json!(2)));

    let set = running.json(&[&["switch", "set", "991007/tax"][..], &WORD].concat());
    let id = set["switch"]["id"].as_str().unwrap();
    assert_eq!(running.json(&["tenants"])["tenants"][0]["switches"], json!(["991007/tax"]));
    running.json(&[&["switch", "clear", id][..], &WORD].concat());
    assert_eq!(running.json(&["tenants"])["tenants"][0]["switches"], json!([]));
}

#[test]
fn a_broken_file_of_a_municipality_is_said_in_the_log_in_readiness_and_in_metrics() {
    let good = "name = \"例示市\"\nenabled = true\nhours = \"always\"\n";
    let (running, log) = Running::start_with(|dir| {
        std::fs::write(dir.join("tenants/991023.toml"), good).unwrap();
        std::fs::write(dir.join("tenants/991015.toml"), "name = 1\n").unwrap();
    });
    let about: Vec<_> = log.iter().filter(|line| line.contains("991015.toml")).collect();
    assert!(about.iter().any(|line| line.contains("WARN") || line.contains("ERROR")), "{log:#?}");
    assert!(about.iter().all(|line| !line.contains("991023")), "{about:?}");
    let why = json!({ "reason": "tenant_file_broken", "about": "991015.toml" });
    assert!(running.json(&["ready"])["reasons"].as_array().unwrap().contains(&why));
    let address = running.read("state/metrics.addr");
    let mut stream = TcpStream::connect(address.trim()).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut scrape = String::new();
    stream.read_to_string(&mut scrape).unwrap();
    assert!(scrape.contains("\nsekisho_tenant_files_broken 1\n"));
    let row = |code: &str| {
        let listed = running.json(&["tenants"]);
        let row = listed["tenants"].as_array().unwrap().iter().find(|row| row["code"] == code).cloned();
        row.map(|row| row["state"].as_str().unwrap().to_owned())
    };
    let states = [row("991007"), row("991015"), row("991023")].map(Option::unwrap);
    assert_eq!(states, ["open", "tenant_file_broken", "open"]);
}

/// Who only keeps copies of `head_file` has to see that records were cut: it must go on while nobody types anything.
#[test]
fn the_exported_head_goes_on_by_itself_while_kiosks_are_served() {
    let (running, _) = Running::start_with(|dir| {
        let path = dir.join("gateway.toml");
        let config = std::fs::read_to_string(&path).unwrap();
        let head = dir.join("kept-elsewhere");
        std::fs::write(path, format!("{config}[audit]\nhead_file = {head:?}\n")).unwrap();
    });
    let kiosks = running.read("state/listen.addr");
    let ask = || {
        let mut stream = TcpStream::connect(kiosks.trim()).unwrap();
        stream.write_all(b"GET /notice HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        assert!(said.starts_with("HTTP/1.1 5"), "{said}");
    };
    let mut seen = 0;
    // The process's own start is a record and every head that covers news another: some of these would move without any request.
    for _ in 0..4 {
        ask();
        seen = running.head_beyond("kept-elsewhere", seen);
    }
    assert!(seen >= 5, "four requests and the start were recorded: {seen}");
    let (code, said) = running.run(&["audit", "verify", "--head", "kept-elsewhere"], &[]);
    assert_eq!(code, 0, "{said}");
}

/// Each journal that a crash may cut in the middle of a write.
const JOURNALS: [(&str, &str); 5] = [
    ("brackets", "brackets"),
    ("intents", "intents.journal"),
    ("latches", "latches"),
    ("records", "records/00000001.records"),
    ("switches", "switches"),
];

#[test]
fn whatever_a_crash_tore_is_recorded_at_the_next_start_and_only_then() {
    let mut running = Running::start();
    let recovered = |running: &Running| {
        let (code, said) = running.run(&["audit", "export"], &[]);
        assert_eq!(code, 0, "{said}");
        let records = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let recovered = records.filter(|line| line["record"]["record"] == "recovered");
        recovered.map(|line| (line["record"]["file"].clone(), line["record"]["torn_bytes"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(recovered(&running), []);
    running.crash(|state| {
        for (at, (_, file)) in JOURNALS.iter().enumerate() {
            let path = state.join(file);
            let mut bytes = std::fs::read(&path).unwrap();
            let whole = sekisho_worker::journal::verify(&path).unwrap().bytes;
            bytes.truncate(usize::try_from(whole).unwrap());
            bytes.extend(vec![0xAB; 17 + at]);
            std::fs::write(path, bytes).unwrap();
        }
    });
    let mut found = recovered(&running);
    found.sort_by_key(|(file, _)| file.to_string());
    let torn: Vec<_> = JOURNALS.iter().enumerate().map(|(at, (name, _))| (json!(name), json!(17 + at))).collect();
    assert_eq!(found, torn);
    running.crash(|_| {});
    assert_eq!(recovered(&running).len(), JOURNALS.len(), "what was whole is not said to have been torn");
}

/// `bracket ... -- COMMAND`, as a batch would be wrapped.
#[test]
fn a_command_runs_inside_its_bracket_and_one_that_fails_leaves_it_unknown() {
    let running = Running::start();
    let bracket = [&["bracket", "--municipality", "991007", "--resident", "r-1", "--version", "2"][..], &WORD].concat();
    let listed = || running.json(&["brackets", "list"])["brackets"].clone();
    let inside = format!(
        "echo $SEKISHO_BRACKET > ran; '{PROGRAM}' brackets show $SEKISHO_BRACKET --config '{}' > stood",
        running.path("gateway.toml").display()
    );
    let (code, said) = running.run(&bracket, &["sh", "-c", &inside]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(running.read("ran"), "1\n");
    let stood: Value = serde_json::from_str(&running.read("stood")).unwrap();
    assert_eq!(stood["bracket"]["stage"], "open", "the command runs only inside");
    assert_eq!(listed()[0]["stage"], "closed");

    for command in [&["sh", "-c", "exit 3"][..], &["/nonexistent/batch"]] {
        let (code, said) = running.run(&bracket, command);
        assert!(code == 1 && said.contains("is unknown and its residents are refused"), "{code} {said}");
        let newest = listed()[0].clone();
        assert_eq!(newest["stage"], "unknown");
        let id = newest["id"].to_string();
        let close = [&["brackets", "close", &id, "--unchanged"][..], &WORD].concat();
        running.json(&close);
        assert_eq!(listed()[0]["stage"], "closed");
    }
}

/// The night in which everybody of a large city is changed.
#[test]
fn a_batch_of_a_hundred_thousand_residents_is_one_bracket() {
    let running = Running::start();
    running.write("residents", (0..BATCH).map(|n| format!("r{n:06},1")));
    let batch = |residents: &str| {
        let words = ["bracket", "--municipality", "991007", "--residents", residents, "--versions", "versions"];
        let began = Instant::now();
        // Every other record is changed.
        let write = format!("awk -F, '{{ print $1 (NR % 2 ? \",2\" : \"\") }}' {residents} > versions");
        let ended = running.run(&[&words[..], &WORD].concat(), &["sh", "-c", &write]);
        println!("{residents}: {:?}", began.elapsed());
        ended
    };
    let (code, said) = batch("residents");
    assert!(code == 0 && said.contains("open for 100000 residents"), "{code} {said}");
    let closed = &running.json(&["brackets", "list"])["brackets"][0];
    assert_eq!((&closed["stage"], &closed["residents"]), (&json!("closed"), &json!(BATCH)), "{closed}");

    running.write("more", (0..=BATCH).map(|n| format!("r{n:06},1")));
    let (code, said) = batch("more");
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("100000"), "it says how many it may be: {said}");
}
