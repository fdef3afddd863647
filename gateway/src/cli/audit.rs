//! `audit ...`: proves the records and looks into them, also from a copy on another machine. Changes nothing.

mod look;
mod open;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{FAILED, OK};
use crate::record::{self, HEAD_FILE, Head};
use crate::state_dir::{CheckpointPublic, checkpoint_public};

/// `audit ...`
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Proves that no record was changed or cut off, against heads that were exported.
    Verify(VerifyArgs),
    /// Prints records as JSON lines: of a request, a period, a municipality, a kind, an outcome, a person.
    Find(look::FindArgs),
    /// Prints every record of a period as JSON lines, each with its place in the chain.
    Export(look::ExportArgs),
    /// Makes one person's evidence key, away from the gateway. Two persons are needed to open.
    Keygen(open::KeygenArgs),
    /// Opens sealed evidence with two persons' keys, so that victims can be named.
    Open(open::OpenArgs),
    /// Prints the head that was exported last.
    Head(Where),
    /// Prints the public key that signs heads and checkpoints.
    Key(Where),
}

/// Which records.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Where {
    /// The configuration whose state directory holds them.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A state directory, or a copy of one.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// `audit verify`
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    place: Where,
    /// A head that must be reached: a file that holds one, its JSON, or 64 hexadecimal digits. The one in the state directory always
    /// must; one that was kept elsewhere proves more.
    #[arg(long = "head", value_name = "HEAD")]
    heads: Vec<String>,
    /// A public key whose checkpoints are believed; absent = the state directory's.
    #[arg(long = "key", value_name = "HEX")]
    keys: Vec<String>,
}

impl Where {
    /// The state directory.
    fn state(&self) -> anyhow::Result<PathBuf> {
        match (&self.config, &self.state) {
            (_, Some(state)) => Ok(state.clone()),
            (Some(config), None) => Ok(crate::reload::read(config)?.listeners.state_dir),
            (None, None) => bail!("which records? `--config FILE` or `--state DIR`"),
        }
    }
}

impl Where {
    /// Has the gateway record a look at its own records. `Err` where it could not.
    fn record_a_look(&self, action: &str, about: &str, word: Option<(&str, &str)>) -> anyhow::Result<()> {
        let config = self.config.as_ref().context("a gateway is named by --config, not by --state")?;
        super::admin::record_a_look(config, action, about, word)
    }

    /// The same where it need not succeed: records must be readable while the gateway is down.
    fn say_that_somebody_looks(&self, action: &str, about: &str) {
        if self.config.is_some()
            && let Err(error) = self.record_a_look(action, about, None)
        {
            eprintln!("this look is not recorded: {error:#}");
        }
    }
}

/// Does it, prints JSON, and says by the exit code whether all is well.
pub(super) fn run(command: AuditCommand, out: &mut impl Write) -> u8 {
    let done = match command {
        AuditCommand::Verify(args) => verify(&args, out),
        AuditCommand::Find(args) => look::find(&args, out),
        AuditCommand::Export(args) => look::export(&args, out),
        AuditCommand::Keygen(args) => open::keygen(&args, out),
        AuditCommand::Open(args) => open::open(&args, out),
        AuditCommand::Head(place) => head(&place, out),
        AuditCommand::Key(place) => key(&place, out),
    };
    match done {
        Ok(true) => OK,
        Ok(false) => FAILED,
        Err(error) => {
            eprintln!("{error:#}");
            FAILED
        }
    }
}

fn verify(args: &VerifyArgs, out: &mut impl Write) -> anyhow::Result<bool> {
    let state = args.place.state()?;
    let records = state.join("records");
    let mut heads = args.heads.iter().map(|head| read_head(head)).collect::<anyhow::Result<Vec<_>>>()?;
    let own = records.join(HEAD_FILE);
    if own.exists() {
        heads.push(read_head(&own.display().to_string())?);
    }
    let mut keys = args.keys.iter().map(|key| read_key(key)).collect::<anyhow::Result<Vec<_>>>()?;
    if keys.is_empty() {
        keys.push(checkpoint_public(&state).context("name a public key with --key")?);
    }
    let found = record::verify(&records, &heads, &keys)?;
    print(out, &serde_json::to_value(&found)?)?;
    Ok(found.ok)
}

fn head(place: &Where, out: &mut impl Write) -> anyhow::Result<bool> {
    let path = place.state()?.join("records").join(HEAD_FILE);
    let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    print(out, &serde_json::from_str(&text)?)?;
    Ok(true)
}

fn key(place: &Where, out: &mut impl Write) -> anyhow::Result<bool> {
    let public = checkpoint_public(&place.state()?)?;
    print(out, &json!({ "key": public.to_string() }))?;
    Ok(true)
}

fn read_head(text: &str) -> anyhow::Result<Head> {
    if let Some(head) = Head::parse(text) {
        return Ok(head);
    }
    let path = Path::new(text);
    let content = fs::read_to_string(path).with_context(|| format!("--head {text}: is no head and no file of one"))?;
    Head::parse(&content).with_context(|| format!("{text}: does not hold a head"))
}

fn read_key(text: &str) -> anyhow::Result<CheckpointPublic> {
    CheckpointPublic::parse(text).with_context(|| format!("--key {text}: is no public key (64 hexadecimal digits)"))
}

fn print(out: &mut impl Write, value: &serde_json::Value) -> anyhow::Result<()> {
    writeln!(out, "{value:#}")?;
    Ok(())
}

#[cfg(test)]
mod tests;
