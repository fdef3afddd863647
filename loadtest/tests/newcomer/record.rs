//! `record` and `init` as a vendor runs them: processes, a sealed directory, a configuration that `check` accepts.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sekisho_gateway::capture::{self, CaptureKey};
use sekisho_gateway::init::Recorded;
use sekisho_loadtest::cluster::{Process, Town, TownPlan};
use sekisho_loadtest::dialect::Dialect;
use sekisho_loadtest::legacy::Form;
use serde_json::{Value, json};

use crate::visits;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sekisho-loadtest");
const CONSENT: &str = "A. Tester, municipality 991007, test residents only, deleted the same day";
const PATIENCE: Duration = Duration::from_secs(30);

/// A recorder in front of one server.
struct Recorder {
    process: Process,
    address: SocketAddr,
    dir: PathBuf,
    key_file: PathBuf,
    log: PathBuf,
}

impl Recorder {
    async fn start(dir: &Path, name: &str, to: SocketAddr, time: &str) -> Self {
        let path = |extension: &str| dir.join(format!("{name}.{extension}"));
        let (captures, key_file, log) = (path("rec"), path("key"), path("log"));
        let text = |path: &Path| path.display().to_string();
        let (to, captures_text, key_text) = (format!("http://{to}"), text(&captures), text(&key_file));
        let arguments = [
            "gateway",
            "record",
            "--listen",
            "127.0.0.1:0",
            "--to",
            &to,
            "--dir",
            &captures_text,
            "--key-file",
            &key_text,
            "--consent",
            CONSENT,
            "--for",
            time,
        ];
        let mut process = Process::start(name, Path::new(PROGRAM), &arguments, &log).unwrap();
        let listening = async || said(&log, " on ")?.split(' ').next()?.parse().ok();
        let address = process.until(PATIENCE, listening).await.unwrap();
        Self { process, address, dir: captures, key_file, log }
    }

    fn exchanges(&self) -> Vec<Recorded> {
        let key = std::fs::read_to_string(&self.key_file).unwrap();
        capture::read(&self.dir, &CaptureKey::parse(&key).unwrap()).unwrap()
    }
}

/// What a process said behind `mark`.
fn said(log: &Path, mark: &str) -> Option<String> {
    let text = std::fs::read_to_string(log).ok()?;
    text.split_once(mark).map(|(_, behind)| behind.to_owned())
}

fn gateway(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).arg("gateway").args(arguments).output().unwrap()
}

/// What it said, where it ended with `code`.
fn ended(output: &Output, code: i32) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

/// As a browser or a proxy writes it: texts as texts, what is none in base64.
fn har(exchanges: &[Recorded]) -> String {
    let headers = |headers: &[(String, String)]| -> Vec<Value> {
        headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
    };
    let body = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "mimeType": "", "text": text }),
        Err(_) => json!({ "mimeType": "", "text": STANDARD.encode(bytes), "encoding": "base64" }),
    };
    let entry = |one: &Recorded| {
        json!({
            "startedDateTime": "2026-11-22T09:00:00.000+09:00",
            "request": {
                "method": one.method, "url": format!("http://{}{}", one.server, one.path), "httpVersion": "HTTP/1.1",
                "headers": headers(&one.headers), "postData": body(&one.body),
            },
            "response": { "status": one.status, "headers": headers(&one.answer_headers), "content": body(&one.answer) },
        })
    };
    json!({ "log": { "version": "1.2", "entries": exchanges.iter().map(entry).collect::<Vec<_>>() } }).to_string()
}

/// `check` accepts the file at `path`, and nobody who was recorded is in it.
fn accepted(path: &Path, town: &Town) -> String {
    let file = path.display().to_string();
    for lang in ["en", "ja"] {
        ended(&gateway(&["check", "--lang", lang, "--config", &file]), 0);
    }
    let text = std::fs::read_to_string(path).unwrap();
    for person in town.can_ask_for(0, Form::Tax) {
        assert!(!text.contains(town.id(person)) && !text.contains(town.card(person)), "a recorded person is in it");
    }
    text
}

async fn from_recorders(dialect: Dialect) {
    let plan = TownPlan { service: Duration::from_millis(60), ..TownPlan::of(11, 1, 40) };
    let town = Town::start(plan.speaking(dialect)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let issuer = Recorder::start(dir.path(), "issuer", town.issuer(), "30m").await;
    let records = Recorder::start(dir.path(), "records", town.records(), "30m").await;
    visits::all(&town, issuer.address, records.address, dialect).await;

    let path = |name: &str| dir.path().join(name).display().to_string();
    let from_captures = |issuer_key: &str, out: &str| {
        let (first, second, second_key) = (path("issuer.rec"), path("records.rec"), path("records.key"));
        let captures = ["--capture", &first, "--key-file", issuer_key, "--capture", &second, "--key-file", &second_key];
        gateway(&[&["init"], &captures[..], &["--out", out]].concat())
    };
    let out = path("gateway.toml");
    let proposed = ended(&from_captures(&path("issuer.key"), &out), 0);
    assert!(proposed.contains("`check` accepts it"), "{proposed}");
    let text = accepted(Path::new(&out), &town);
    assert_eq!(text.contains("[routes.tax.fetch]"), dialect == Dialect::Form, "{text}");
    // What is there already is not overwritten, and another directory's key opens nothing.
    ended(&from_captures(&path("issuer.key"), &out), 1);
    ended(&from_captures(&path("records.key"), &path("never.toml")), 1);
    assert!(!dir.path().join("never.toml").exists());

    // Whoever has the directory and not its key has nothing; both are their owner's alone.
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&issuer.dir), mode(&issuer.key_file)), (0o700, 0o600));
    let mut consents = 0;
    for entry in std::fs::read_dir(&issuer.dir).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        consents += usize::from(bytes.starts_with(CONSENT.as_bytes()));
        for person in town.can_ask_for(0, Form::Tax) {
            for known in [town.card(person), town.id(person)] {
                assert!(!bytes.windows(known.len()).any(|w| w == known.as_bytes()), "{} is readable", path.display());
            }
        }
    }
    assert_eq!(consents, 1);

    // The same exchanges as a HAR file, which keeps them without a seal.
    let exchanges = [issuer.exchanges(), records.exchanges()].concat();
    std::fs::write(path("visits.har"), har(&exchanges)).unwrap();
    let out = path("from-har.toml");
    ended(&gateway(&["init", "--har", &path("visits.har"), "--out", &out]), 0);
    let from_har = accepted(Path::new(&out), &town);
    assert_eq!(from_har, text, "a HAR file says the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_json_becomes_a_configuration_on_the_command_line() {
    from_recorders(Dialect::Json).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_soap_becomes_a_configuration_on_the_command_line() {
    from_recorders(Dialect::Soap).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_jobs_in_forms_become_a_configuration_on_the_command_line() {
    from_recorders(Dialect::Form).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_its_time_a_recorder_hands_on_and_keeps_nothing() {
    let town = Town::start(TownPlan::of(11, 1, 40)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut issuer = Recorder::start(dir.path(), "issuer", town.issuer(), "1ms").await;
    let (process, log) = (&mut issuer.process, &issuer.log);
    process.until(PATIENCE, async || said(log, "the time is over")).await.unwrap();
    visits::all(&town, issuer.address, town.records(), Dialect::Json).await;
    assert!(issuer.exchanges().is_empty());
    let path = |path: &Path| path.display().to_string();
    let (captures, key, out) = (path(&issuer.dir), path(&issuer.key_file), path(&dir.path().join("gateway.toml")));
    let nothing = gateway(&["init", "--capture", &captures, "--key-file", &key, "--out", &out]);
    assert!(ended(&nothing, 1).contains("nothing was recorded"));
}

#[test]
fn nothing_is_recorded_without_a_written_consent_or_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    let captures = dir.path().join("rec").display().to_string();
    let start = ["record", "--listen", "127.0.0.1:0", "--to", "http://127.0.0.1:9", "--dir", &captures];
    for (rest, why) in [
        (&["--for", "30m"][..], "--consent"),
        (&["--for", "30m", "--consent", "yes"], "says too little"),
        (&["--consent", CONSENT], "--for"),
        (&["--consent", CONSENT, "--for", "25h"], "at most 24h"),
    ] {
        let output = gateway(&[&start[..], rest].concat());
        let text = ended(&output, 2);
        assert!(text.contains(why), "{text}");
    }
    assert!(!dir.path().join("rec").exists());
}
