//! `audit find` and `audit export`. A running gateway records that somebody looked; a copy elsewhere can be read without it.

use std::io::{Read, Write};

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;

use super::Where;
use crate::record::{self, Filter};
use crate::state_dir::{Pseudonym, pseudonym_keys};

/// A period, by the records' own times.
#[derive(Debug, Clone, Args)]
pub(super) struct Period {
    /// Not before, as 2026-11-22T12:00:00+09:00.
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Before.
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
}

/// `audit find`
#[derive(Debug, Args)]
pub(in crate::cli) struct FindArgs {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    period: Period,
    /// The request id.
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// The six digits.
    #[arg(long, value_name = "CODE")]
    municipality: Option<String>,
    /// The kind of certificate, `answer` or `refusal`.
    #[arg(long)]
    kind: Option<String>,
    /// `released`, `withheld`, `failed`, `expired`, `indeterminate` or `cancelled`; or what a canary saw: `blind`, `not_withheld`, ...
    #[arg(long)]
    outcome: Option<String>,
    /// A person's or a session's pseudonym, as records have it.
    #[arg(long, value_parser = pseudonym)]
    pseudonym: Vec<Pseudonym>,
    /// Reads a resident's number from standard input and looks for every pseudonym that it has or had. Never an argument, since
    /// those are seen by others.
    #[arg(long)]
    resident: bool,
}

/// `audit export`
#[derive(Debug, Args)]
pub(in crate::cli) struct ExportArgs {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    period: Period,
}

fn pseudonym(text: &str) -> Result<Pseudonym, String> {
    Pseudonym::parse(text).ok_or_else(|| "is no pseudonym: 16 hexadecimal digits".to_owned())
}

pub(super) fn find(args: &FindArgs, out: &mut impl Write) -> anyhow::Result<bool> {
    let state = args.place.state()?;
    let mut pseudonyms = args.pseudonym.clone();
    if args.resident {
        let mut number = zeroize::Zeroizing::new(String::new());
        std::io::stdin().take(1024).read_to_string(&mut number)?;
        let keys = pseudonym_keys(&state).context("the keys of pseudonyms")?;
        pseudonyms.extend(keys.every("resident", number.trim()));
    }
    let filter = Filter {
        request: args.request.clone(),
        from: args.period.from,
        to: args.period.to,
        municipality: args.municipality.clone(),
        kind: args.kind.clone(),
        outcome: args.outcome.clone(),
        pseudonyms,
    };
    args.place.say_that_somebody_looks("audit_find", args.request.as_deref().unwrap_or("records"));
    let shown = record::find(&state.join("records"), &filter, |record| {
        let _ = writeln!(out, "{record}");
    })?;
    Ok(shown > 0)
}

pub(super) fn export(args: &ExportArgs, out: &mut impl Write) -> anyhow::Result<bool> {
    let state = args.place.state()?;
    args.place.say_that_somebody_looks("audit_export", "records");
    let mut failed = None;
    record::export(&state.join("records"), args.period.from, args.period.to, |record| {
        if failed.is_none() {
            failed = writeln!(out, "{record}").err();
        }
    })?;
    // A pipe that was closed, or a full disk: half an export must not look like a whole one.
    failed.map_or(Ok(true), |error| Err(error).context("the export is not whole"))
}
