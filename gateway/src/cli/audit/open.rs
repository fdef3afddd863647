//! `audit keygen` and `audit open`: two persons, each with a key of their own, see who was asked about and who was shown.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::Args;
use sekisho_issuance::id::RequestId;
use serde_json::{Value, json};

use super::Where;
use crate::evidence::{FOLDER, PersonSecret, Sealed};
use crate::record::{self, Filter, Record};

/// `audit keygen`
#[derive(Debug, Args)]
pub(in crate::cli) struct KeygenArgs {
    /// The new file for the private key; it stays with one person, off this network.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// `audit open`
#[derive(Debug, Args)]
pub(in crate::cli) struct OpenArgs {
    /// The request whose answer was withheld.
    request: String,
    #[command(flatten)]
    place: Where,
    /// The first person's key file.
    #[arg(long, value_name = "FILE")]
    first_key: PathBuf,
    /// The second person's key file.
    #[arg(long, value_name = "FILE")]
    second_key: PathBuf,
    /// The first person's name.
    #[arg(long, value_name = "NAME")]
    first_name: String,
    /// The second person's name.
    #[arg(long, value_name = "NAME")]
    second_name: String,
    /// Why, in writing.
    #[arg(long)]
    reason: String,
    /// Where the answer itself is written, for its reader alone; absent = only who was asked about and what was seen is shown.
    #[arg(long, value_name = "FILE")]
    answer: Option<PathBuf>,
    /// Opens a copy where no gateway runs that could record it; write down yourselves that you did.
    #[arg(long)]
    unrecorded: bool,
}

pub(super) fn keygen(args: &KeygenArgs, out: &mut impl Write) -> anyhow::Result<bool> {
    let key = PersonSecret::make(&args.out).with_context(|| format!("{}", args.out.display()))?;
    super::print(out, &json!({ "public": key.to_string(), "private": args.out.display().to_string() }))?;
    Ok(true)
}

pub(super) fn open(args: &OpenArgs, out: &mut impl Write) -> anyhow::Result<bool> {
    let request = RequestId::parse(&args.request).context("REQUEST: is no request id")?;
    let names = [args.first_name.trim(), args.second_name.trim()];
    ensure!(names.iter().all(|name| !name.is_empty()), "both persons must say who they are");
    ensure!(names[0] != names[1], "two different persons are needed, and both are {}", names[0]);
    ensure!(!args.reason.trim().is_empty(), "--reason: must say why");
    let key = |path: &PathBuf| PersonSecret::read(path).with_context(|| format!("{}", path.display()));
    let (first, second) = (key(&args.first_key)?, key(&args.second_key)?);
    let state = args.place.state()?;
    let sealed = find(&state, request)?;
    if !args.unrecorded {
        let word = format!("{} and {}", names[0], names[1]);
        args.place
            .record_a_look("audit_open", &args.request, Some((&word, args.reason.trim())))
            .context("not opened, since the gateway could not record it; on a copy elsewhere say --unrecorded")?;
    }
    let ids = sealed.open_ids(&first, &second, request)?;
    let ids: Value = serde_json::from_slice(&ids)?;
    let mut written = Value::Null;
    if let Some(path) = &args.answer {
        let Some(kept) = &sealed.answer else { bail!("the answer itself was not kept; run again without --answer") };
        let answer = kept
            .open(&state.join(FOLDER), &first, &second, request)
            .with_context(|| format!("{}/{FOLDER}/{}", state.display(), kept.file))?;
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("{}", path.display()))?;
        file.write_all(&answer)?;
        written = json!(path.display().to_string());
    }
    super::print(out, &json!({ "evidence": ids, "answer": written }))?;
    Ok(true)
}

/// What was sealed when the answer to `request` was kept in.
fn find(state: &std::path::Path, request: RequestId) -> anyhow::Result<Sealed> {
    let filter = Filter { request: Some(request.to_string()), ..Filter::default() };
    let (mut withheld, mut sealed) = (false, None);
    record::find(&state.join("records"), &filter, |shown| {
        let record = shown.get("record").cloned().and_then(|record| serde_json::from_value::<Record>(record).ok());
        if let Some(Record::Withheld(record)) = record {
            withheld = true;
            sealed = record.sealed.or(sealed.take());
        }
    })?;
    match sealed {
        Some(sealed) => Ok(sealed),
        None if withheld => {
            bail!("nothing was sealed: no `evidence_key` was configured, or nothing spoke for somebody else")
        }
        None => bail!("no answer to that request was withheld"),
    }
}
