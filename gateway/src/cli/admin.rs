//! The operator's commands: each is one question to the admin API of the running gateway, answered as JSON.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{FAILED, OK};
use crate::state_dir::{AdminKey, Listener, published};

/// Longer answers are cut off: an operator's terminal is no place for them.
const MAX_ANSWER_BYTES: u64 = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// Operator's commands.
#[derive(Debug, Subcommand)]
pub(super) enum AdminCommand {
    /// Suspensions: list them, look at one, clear one.
    #[command(subcommand)]
    Latch(LatchCommand),
    /// Kill switches: list them, take something out of service, put it back.
    #[command(subcommand)]
    Switch(SwitchCommand),
    /// A request's life, as the records tell it.
    Explain {
        /// The request id, as in every reply's `X-Request-Id`.
        request: String,
        #[command(flatten)]
        at: At,
    },
    /// Residents' lanes: how many wait, run and are held, and the oldest attempts.
    Lanes {
        /// Only the oldest attempts, so many.
        #[arg(long, value_name = "COUNT", num_args = 0..=1, default_missing_value = "20")]
        oldest: Option<usize>,
        #[command(flatten)]
        at: At,
    },
    /// One attempt at a backend.
    #[command(subcommand)]
    Attempt(AttemptCommand),
    /// Backends: list, drain, resume, limit.
    #[command(subcommand)]
    Backend(BackendCommand),
    /// Change brackets that were opened: list them, or say what became of one. `bracket` opens one around a command.
    #[command(subcommand)]
    Brackets(BracketsCommand),
    /// The record feed of a municipality has reached this: no route that checks against it shows anything older.
    Feed {
        /// The municipality's code.
        municipality: String,
        /// A whole number or a time; it only goes on.
        as_of: String,
        #[command(flatten)]
        at: At,
    },
    /// Every municipality: served now or why not, hours, mode, latches and switches.
    Tenants(At),
    /// Whether the gateway can answer, and each reason for a no.
    Ready(At),
}

/// `latch ...`
#[derive(Debug, Subcommand)]
pub(super) enum LatchCommand {
    /// Every latch, newest first.
    List(At),
    /// One latch, and what was kept of the answer that set it.
    Show {
        /// Its id.
        id: String,
        #[command(flatten)]
        at: At,
    },
    /// Clears a latch. All three are required: who, why, and the evidence that was looked at. Where the municipality asks for two
    /// persons the first hears what is missing, and the exit code is 1 until the second has said so too.
    Clear {
        /// Its id.
        id: String,
        #[command(flatten)]
        word: Word,
        /// The evidence id that `latch show` names.
        #[arg(long)]
        evidence: String,
        #[command(flatten)]
        at: At,
    },
}

/// `attempt ...`
#[derive(Debug, Subcommand)]
pub(super) enum AttemptCommand {
    /// Frees the lanes of a held attempt, on a person's word that it can have no effect any more.
    Abandon {
        /// Its id, from `lanes`.
        id: AttemptId,
        #[command(flatten)]
        word: Word,
        #[command(flatten)]
        at: At,
    },
}

/// An attempt's shard and number, as `lanes` writes them; numbers begin again at each start.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttemptId {
    shard: u16,
    number: u64,
}

impl FromStr for AttemptId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (shard, number) = text.split_once('-').ok_or("must be an id as `lanes` lists it, such as 1234-7")?;
        match (shard.parse(), number.parse()) {
            (Ok(shard), Ok(number)) => Ok(Self { shard, number }),
            _ => Err("must be an id as `lanes` lists it, such as 1234-7"),
        }
    }
}

/// `switch ...`
#[derive(Debug, Subcommand)]
pub(super) enum SwitchCommand {
    /// What is out of service, and every switch, newest first.
    List(At),
    /// Takes something out of service at once; what is in flight for it stays in.
    Set {
        /// `all`, `municipality/991007`, `kind/tax`, `991007/tax` or `backend/issuer`.
        scope: String,
        #[command(flatten)]
        word: Word,
        #[command(flatten)]
        at: At,
    },
    /// Clears one switch; others on the same scope hold on.
    Clear {
        /// Its id.
        id: String,
        #[command(flatten)]
        word: Word,
        #[command(flatten)]
        at: At,
    },
}

/// `backend ...`
#[derive(Debug, Subcommand)]
pub(super) enum BackendCommand {
    /// Every backend.
    List(At),
    /// Sends it no call until it is resumed.
    Drain {
        /// Its configured name.
        name: String,
        #[command(flatten)]
        at: At,
    },
    /// Sends it calls again.
    Resume {
        /// Its configured name.
        name: String,
        #[command(flatten)]
        at: At,
    },
    /// At most so many calls at once, never more than configured.
    Limit {
        /// Its configured name.
        name: String,
        /// Calls at once.
        limit: usize,
        #[command(flatten)]
        at: At,
    },
}

/// `brackets ...`
#[derive(Debug, Subcommand)]
pub(super) enum BracketsCommand {
    /// Every bracket, newest first.
    List(At),
    /// One bracket.
    Show {
        /// Its number.
        id: String,
        #[command(flatten)]
        at: At,
    },
    /// Says what became of everybody in a bracket, and frees its residents.
    Close {
        /// Its number.
        id: String,
        #[command(flatten)]
        word: Word,
        /// The version that every record has now.
        #[arg(long, conflicts_with = "unchanged", required_unless_present = "unchanged")]
        version: Option<String>,
        /// Nobody's record was changed.
        #[arg(long)]
        unchanged: bool,
        #[command(flatten)]
        at: At,
    },
    /// Says that nobody knows what a bracket's batch did; its residents are refused.
    Unknown {
        /// Its number.
        id: String,
        /// Why.
        #[arg(long)]
        why: String,
        #[command(flatten)]
        at: At,
    },
}

/// Which gateway: the one that runs on this configuration's state directory.
#[derive(Debug, Args)]
pub(super) struct At {
    /// The configuration file of the running gateway.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Who, and why.
#[derive(Debug, Args)]
pub(super) struct Word {
    /// Your name.
    #[arg(long)]
    name: String,
    /// Why, in writing.
    #[arg(long)]
    reason: String,
}

struct Question {
    at: At,
    method: &'static str,
    path: String,
    body: Value,
}

fn get(at: At, path: impl Into<String>) -> Question {
    Question { at, method: "GET", path: path.into(), body: Value::Null }
}

fn post(at: At, path: String, body: Value) -> Question {
    Question { at, method: "POST", path, body }
}

fn segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

impl From<AdminCommand> for Question {
    fn from(command: AdminCommand) -> Self {
        match command {
            AdminCommand::Latch(LatchCommand::List(at)) => get(at, "/latches"),
            AdminCommand::Latch(LatchCommand::Show { id, at }) => get(at, format!("/latches/{}", segment(&id))),
            AdminCommand::Latch(LatchCommand::Clear { id, word, evidence, at }) => {
                let body = json!({ "name": word.name, "reason": word.reason, "evidence": evidence });
                post(at, format!("/latches/{}/clear", segment(&id)), body)
            }
            AdminCommand::Explain { request, at } => get(at, format!("/requests/{}", segment(&request))),
            AdminCommand::Lanes { oldest: None, at } => get(at, "/lanes"),
            AdminCommand::Lanes { oldest: Some(count), at } => get(at, format!("/lanes?oldest={count}")),
            AdminCommand::Attempt(AttemptCommand::Abandon { id: AttemptId { shard, number }, word, at }) => {
                let body = json!({ "name": word.name, "reason": word.reason, "shard": shard });
                post(at, format!("/attempts/{number}/abandon"), body)
            }
            AdminCommand::Switch(SwitchCommand::List(at)) => get(at, "/switches"),
            AdminCommand::Switch(SwitchCommand::Set { scope, word, at }) => {
                post(at, "/switches".to_owned(), json!({ "scope": scope, "name": word.name, "reason": word.reason }))
            }
            AdminCommand::Switch(SwitchCommand::Clear { id, word, at }) => {
                let body = json!({ "name": word.name, "reason": word.reason });
                post(at, format!("/switches/{}/clear", segment(&id)), body)
            }
            AdminCommand::Backend(BackendCommand::List(at)) => get(at, "/backends"),
            AdminCommand::Backend(BackendCommand::Drain { name, at }) => {
                post(at, format!("/backends/{}/drain", segment(&name)), Value::Null)
            }
            AdminCommand::Backend(BackendCommand::Resume { name, at }) => {
                post(at, format!("/backends/{}/resume", segment(&name)), Value::Null)
            }
            AdminCommand::Backend(BackendCommand::Limit { name, limit, at }) => {
                post(at, format!("/backends/{}/limit", segment(&name)), json!({ "limit": limit }))
            }
            AdminCommand::Brackets(BracketsCommand::List(at)) => get(at, "/v1/brackets"),
            AdminCommand::Brackets(BracketsCommand::Show { id, at }) => {
                get(at, format!("/v1/brackets/{}", segment(&id)))
            }
            AdminCommand::Brackets(BracketsCommand::Close { id, word, version, unchanged, at }) => {
                let made = if unchanged { json!(null) } else { json!(version) };
                let body = json!({ "name": word.name, "reason": word.reason, "unchanged": unchanged, "version": made });
                Question { at, method: "DELETE", path: format!("/v1/brackets/{}", segment(&id)), body }
            }
            AdminCommand::Brackets(BracketsCommand::Unknown { id, why, at }) => {
                post(at, format!("/v1/brackets/{}/unknown", segment(&id)), json!({ "why": why }))
            }
            AdminCommand::Feed { municipality, as_of, at } => Question {
                at,
                method: "PUT",
                path: format!("/v1/feeds/{}", segment(&municipality)),
                body: json!({ "as_of": as_of }),
            },
            AdminCommand::Tenants(at) => get(at, "/tenants"),
            AdminCommand::Ready(at) => get(at, "/ready"),
        }
    }
}

/// Asks, prints the JSON, and says by the exit code whether the answer was yes.
pub(super) fn run(command: AdminCommand, out: &mut impl Write) -> u8 {
    match ask(command.into()) {
        Ok((good, text)) => {
            let _ = writeln!(out, "{}", text.trim_end());
            if good { OK } else { FAILED }
        }
        Err(error) => {
            eprintln!("{error:#}");
            FAILED
        }
    }
}

/// Has the running gateway record that somebody looks into its records. `Err` where it does not run, or could not record it.
pub(super) fn record_a_look(
    config: &Path,
    action: &str,
    about: &str,
    word: Option<(&str, &str)>,
) -> anyhow::Result<()> {
    let at = At { config: config.to_owned() };
    let (name, reason) = word.unzip();
    let body = json!({ "action": action, "about": about, "name": name, "reason": reason });
    let (good, text) = ask(post(at, "/audit/looks".to_owned(), body))?;
    if good { Ok(()) } else { bail!("{}", text.trim_end()) }
}

/// Where the gateway of this configuration listens for operators, and the key to it.
pub(super) fn reach(config: &Path) -> anyhow::Result<(SocketAddr, AdminKey)> {
    let read = crate::reload::read(config)?;
    if read.listeners.admin.is_none() {
        bail!("{}: has no [admin] listener", config.display());
    }
    let state = &read.listeners.state_dir;
    let address = published(state, Listener::Admin).context("the gateway does not seem to run")?;
    Ok((address, AdminKey::read(&state.join("admin.key"))?))
}

fn ask(question: Question) -> anyhow::Result<(bool, String)> {
    let (address, key) = reach(&question.at.config)?;
    exchange(address, &key, question.method, &question.path, &question.body)
        .with_context(|| format!("the admin listener at {address}"))
}

/// HTTP/1.0, so that the answer ends with the connection and needs no client library.
pub(super) fn exchange(
    address: SocketAddr,
    key: &AdminKey,
    method: &str,
    path: &str,
    body: &Value,
) -> anyhow::Result<(bool, String)> {
    exchange_within(PATIENCE, address, key, method, path, body)
}

/// The same, for an answer that may take so long.
pub(super) fn exchange_within(
    patience: Duration,
    address: SocketAddr,
    key: &AdminKey,
    method: &str,
    path: &str,
    body: &Value,
) -> anyhow::Result<(bool, String)> {
    let mut connection = TcpStream::connect_timeout(&address, PATIENCE)?;
    connection.set_read_timeout(Some(patience))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        key.expose(),
        body.len(),
    );
    connection.write_all(request.as_bytes())?;
    let mut answer = String::new();
    connection.take(MAX_ANSWER_BYTES).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse::<u16>().ok()).context("no HTTP status")?;
    // 202: taken, and not done yet.
    Ok(((200..300).contains(&status) && status != 202, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_reaches_the_api_and_its_no_is_a_failure() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "0123456789abcdef0123456789abcdef").unwrap();
        let key = AdminKey::read(file.path()).unwrap();
        let guard = runtime.enter();
        let edge = crate::edge::tests::edge();
        drop(guard);
        let address = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(crate::admin::serve_admin(edge, key.clone(), listener));
            address
        });
        let (good, text) = exchange(address, &key, "GET", "/latches", &Value::Null).unwrap();
        assert_eq!((good, text.as_str()), (true, r#"{"latches":[]}"#));
        let word = json!({ "name": "x", "reason": "y", "evidence": "z" });
        let (good, text) = exchange(address, &key, "POST", "/latches/L%2D1/clear", &word).unwrap();
        assert!(!good && text.contains("there is no latch L-1"), "{text}");
    }
}
