//! `bracket`: a change bracket around a command. The command runs only while the bracket is open; if it fails, or this process dies,
//! the bracket is unknown and its residents are refused.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use serde_json::{Value, json};

use super::admin::{exchange, exchange_within, reach};
use super::{FAILED, OK};
use crate::state_dir::AdminKey;

/// Longer than the gateway waits for what is in flight.
const OPENING_PATIENCE: Duration = Duration::from_secs(660);
/// Between two looks at the command.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Whose records, who changes them and how it is known what came of it.
#[derive(Debug, Args)]
pub(super) struct BracketArgs {
    /// The configuration file of the running gateway.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The municipality's code.
    #[arg(long)]
    municipality: String,
    /// A resident whose record the command may change; may be repeated.
    #[arg(long = "resident", value_name = "ID", required_unless_present = "residents")]
    resident: Vec<String>,
    /// A file with one resident a line, with the version found after a comma where it is known.
    #[arg(long, value_name = "FILE")]
    residents: Option<PathBuf>,
    /// Your name, or the batch's.
    #[arg(long)]
    name: String,
    /// Why, in writing.
    #[arg(long)]
    reason: String,
    /// Without a sign of life for so long the bracket is unknown.
    #[arg(long, default_value = "60s")]
    lease: String,
    /// The version that every record has after the command.
    #[arg(long, conflicts_with = "versions", required_unless_present = "versions")]
    version: Option<String>,
    /// A file that the command writes: `ID,VERSION` a line for each resident, without a version where one was not changed.
    #[arg(long, value_name = "FILE")]
    versions: Option<PathBuf>,
    /// The command; `SEKISHO_BRACKET` in its environment is the bracket's number.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) fn run(args: &BracketArgs) -> u8 {
    match bracketed(args) {
        Ok(()) => OK,
        Err(error) => {
            eprintln!("{error:#}");
            FAILED
        }
    }
}

fn bracketed(args: &BracketArgs) -> anyhow::Result<()> {
    let (address, key) = reach(&args.config)?;
    let gateway = Gateway { address, key };
    let residents = residents(args)?;
    let (id, lease) = gateway.open(args, &residents)?;
    eprintln!("bracket {id} is open for {} residents", residents.len());
    let ended = gateway.renew_while(&id, lease, args);
    let versions = match ended {
        Ok(status) if status.success() => versions(args),
        Ok(status) => Err(anyhow!("the command ended with {status}")),
        Err(error) => Err(error),
    };
    match versions {
        Ok(versions) => {
            gateway.say("DELETE", &format!("/v1/brackets/{id}"), &versions).with_context(|| {
                format!("bracket {id} is not closed; say what became of its residents with `brackets close {id}`")
            })?;
            eprintln!("bracket {id} is closed");
            Ok(())
        }
        Err(error) => {
            let why = json!({ "why": "its command failed" });
            let told = gateway.say("POST", &format!("/v1/brackets/{id}/unknown"), &why);
            let now = match told {
                Ok(_) => "is unknown and its residents are refused",
                // Without a sign of life from us it will be.
                Err(_) => "will be unknown when its lease is over",
            };
            Err(error
                .context(format!("bracket {id} {now}; look what became of the records, then `brackets close {id}`")))
        }
    }
}

struct Gateway {
    address: SocketAddr,
    key: AdminKey,
}

impl Gateway {
    /// Its number and lease.
    fn open(&self, args: &BracketArgs, residents: &[Value]) -> anyhow::Result<(String, Duration)> {
        let body = json!({
            "municipality": args.municipality,
            "residents": residents,
            "name": args.name,
            "reason": args.reason,
            "lease": args.lease,
        });
        let asked = exchange_within(OPENING_PATIENCE, self.address, &self.key, "POST", "/v1/brackets", &body);
        let answer = yes(asked.with_context(|| format!("the admin listener at {}", self.address))?)?;
        let id = answer
            .pointer("/bracket/id")
            .and_then(Value::as_u64)
            .context("the gateway did not say the bracket's number")?;
        let lease = answer.pointer("/leaseMs").and_then(Value::as_u64).context("the gateway did not say the lease")?;
        Ok((id.to_string(), Duration::from_millis(lease)))
    }

    fn say(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        yes(exchange(self.address, &self.key, method, path, body)?)
    }

    /// Runs the command, and says three times a lease that it still runs.
    fn renew_while(&self, id: &str, lease: Duration, args: &BracketArgs) -> anyhow::Result<ExitStatus> {
        let (program, arguments) = args.command.split_first().context("no command")?;
        let mut child = Command::new(program)
            .args(arguments)
            .env("SEKISHO_BRACKET", id)
            .spawn()
            .with_context(|| format!("`{program}` cannot be started"))?;
        let (mut since_renewal, mut lost) = (std::time::Instant::now(), None);
        loop {
            if let Some(status) = child.try_wait()? {
                return match lost {
                    None => Ok(status),
                    Some(error) => Err(error),
                };
            }
            std::thread::sleep(LOOK_EVERY);
            if since_renewal.elapsed() >= lease / 3 {
                since_renewal = std::time::Instant::now();
                if let Err(error) = self.say("POST", &format!("/v1/brackets/{id}/renew"), &Value::Null)
                    && lost.is_none()
                {
                    // The command is not killed: half a change is worse than one that is looked at.
                    eprintln!("bracket {id} could not be renewed: {error:#}");
                    lost = Some(error.context("the bracket was lost while the command ran"));
                }
            }
        }
    }
}

fn yes((good, text): (bool, String)) -> anyhow::Result<Value> {
    let answer: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    match answer.get("error").and_then(Value::as_str) {
        _ if good => Ok(answer),
        Some(error) => bail!("{error}"),
        None => bail!("the gateway refused: {}", text.trim()),
    }
}

fn residents(args: &BracketArgs) -> anyhow::Result<Vec<Value>> {
    let mut residents: Vec<_> = args.resident.iter().map(|id| json!(id)).collect();
    if let Some(path) = &args.residents {
        for (id, version) in table(path)? {
            residents.push(version.map_or_else(|| json!(id), |version| json!({ "id": id, "version": version })));
        }
    }
    Ok(residents)
}

fn versions(args: &BracketArgs) -> anyhow::Result<Value> {
    match (&args.version, &args.versions) {
        (Some(version), _) => Ok(json!({ "version": version })),
        (None, Some(path)) => Ok(json!({ "versions": table(path)? })),
        (None, None) => bail!("neither --version nor --versions is given"),
    }
}

/// `ID` or `ID,VERSION` a line; empty lines and `#` comments are skipped.
fn table(path: &Path) -> anyhow::Result<BTreeMap<String, Option<String>>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut table = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (id, version) = line.split_once(',').unwrap_or((line, ""));
        let version = Some(version.trim()).filter(|version| !version.is_empty()).map(str::to_owned);
        if table.insert(id.trim().to_owned(), version).is_some() {
            bail!("{}:{}: this resident is named twice", path.display(), index + 1);
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_residents_names_each_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("residents.csv");
        std::fs::write(&path, "# id,version\nr1, 7\n\nr2\n").unwrap();
        let read: Vec<_> = table(&path).unwrap().into_iter().collect();
        assert_eq!(read, [("r1".to_owned(), Some("7".to_owned())), ("r2".to_owned(), None)]);
        std::fs::write(&path, "r1,7\nr1,8\n").unwrap();
        assert!(table(&path).unwrap_err().to_string().ends_with("residents.csv:2: this resident is named twice"));
    }
}
