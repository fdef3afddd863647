//! `record`: stands between kiosks and a backend for a while and keeps what they say, sealed. Needs a written consent.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use http::uri::Authority;
use jiff::Timestamp;

use super::{FAILED, MISTAKES, OK};
use crate::capture::{CaptureKey, Writer};
use crate::config::duration;
use crate::init::{MAX_EXCHANGES, Recorded};
use crate::server::pass_through::{Tell, listen, pass_through};

/// The longest time that may be recorded in one go.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// A shorter consent says neither who nor what for.
const LEAST_CONSENT_CHARS: usize = 20;

/// What to record, and who agreed.
#[derive(Debug, Args)]
pub(super) struct RecordArgs {
    /// Where kiosks connect meanwhile.
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The backend, as `http://host:port`.
    #[arg(long, value_name = "URL")]
    to: String,
    /// The directory for what is recorded; made for its owner alone.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Who agreed to what, and until when it is kept: the recording holds personal data.
    #[arg(long, value_name = "TEXT")]
    consent: String,
    /// How long is recorded, at most 24h. Afterwards requests are still handed on.
    #[arg(long = "for", value_name = "DURATION")]
    time: String,
    /// Where the key is written, for its owner alone; absent = it is shown once.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

pub(super) fn record(args: &RecordArgs) -> u8 {
    let wrong = |what: &str| {
        eprintln!("{what}");
        MISTAKES
    };
    let Some(time) = duration(&args.time).filter(|time| !time.is_zero() && *time <= LONGEST) else {
        return wrong("--for: must be a duration of at most 24h, as in --for 30m");
    };
    let to = args.to.strip_prefix("http://").map(|rest| rest.trim_end_matches('/').parse::<Authority>());
    let Some(Ok(to)) = to.filter(|to| to.as_ref().is_ok_and(|to| to.port_u16().is_some())) else {
        return wrong(
            "--to: must be `http://host:port`; record where the gateway will stand, behind whatever speaks TLS",
        );
    };
    if args.consent.trim().chars().count() < LEAST_CONSENT_CHARS {
        return wrong("--consent: says too little: write who agreed, for what, and when it is deleted");
    }
    let _log = crate::telemetry::install();
    match begin(args, to, time) {
        Ok(()) => OK,
        Err(error) => {
            eprintln!("{error}");
            FAILED
        }
    }
}

/// Writes the key for its owner alone; a file that is there is the key of something else.
fn keep(path: &Path, key: &CaptureKey) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", *key.digits())
}

fn begin(args: &RecordArgs, to: Authority, time: Duration) -> std::io::Result<()> {
    let key = CaptureKey::new();
    if let Some(path) = &args.key_file {
        keep(path, &key).map_err(|error| std::io::Error::other(format!("{}: {error}", path.display())))?;
    }
    let now = Timestamp::now();
    let until = now.checked_add(time).map_err(std::io::Error::other)?;
    let writer = Writer::begin(&args.dir, &key, &args.consent, now, until)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = listen(args.listen).await?;
        eprintln!("recording what is exchanged with {to} on {} until {until}", listener.local_addr()?);
        if args.key_file.is_none() {
            eprintln!("the key, shown once: {}", *key.digits());
        }
        drop(key);
        let deadline = tokio::time::Instant::now() + time;
        let tell = keeper(writer, deadline);
        tokio::select! {
            () = pass_through(listener, to, tell) => {}
            () = said(deadline) => {}
            ended = tokio::signal::ctrl_c() => ended?,
        }
        Ok(())
    })
}

/// Says when recording ends; what comes later is still handed on.
async fn said(deadline: tokio::time::Instant) {
    tokio::time::sleep_until(deadline).await;
    eprintln!(
        "the time is over: nothing more is recorded. Requests are still handed on; point the kiosks back, then stop this"
    );
    std::future::pending().await
}

fn keeper(writer: Writer, deadline: tokio::time::Instant) -> Tell {
    let writer = Mutex::new(writer);
    Arc::new(move |exchange: Recorded| {
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        if tokio::time::Instant::now() >= deadline || writer.written() >= MAX_EXCHANGES as u64 {
            return;
        }
        if let Err(error) = writer.add(&exchange) {
            tracing::error!(%error, "an exchange was not recorded");
        }
    })
}
