//! `init`: writes a proposal for a configuration from recorded exchanges. Never overwrites a file, and never shows a recorded value.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::{FAILED, MISTAKES, OK};
use crate::capture::{self, CaptureKey};
use crate::config;
use crate::init::{Recorded, har, propose};

/// Recordings, and where to write.
#[derive(Debug, Args)]
#[group(id = "recorded", required = true, multiple = true, args = ["har", "capture"])]
pub(super) struct InitArgs {
    /// A HAR file; may be given several times.
    #[arg(long, value_name = "FILE")]
    har: Vec<PathBuf>,
    /// A directory that `record` wrote; may be given several times.
    #[arg(long, value_name = "DIR", requires = "key_file")]
    capture: Vec<PathBuf>,
    /// The key of the directory before it, in the same order.
    #[arg(long, value_name = "FILE")]
    key_file: Vec<PathBuf>,
    /// The configuration to write; must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn init(args: &InitArgs, out: &mut impl Write) -> u8 {
    match read(args).and_then(|exchanges| write(args, &exchanges, out)) {
        Ok(code) => code,
        Err(why) => {
            let _ = writeln!(out, "{why}");
            FAILED
        }
    }
}

fn read(args: &InitArgs) -> Result<Vec<Recorded>, String> {
    let mut exchanges = Vec::new();
    for path in &args.har {
        let about = |why: String| format!("{}: {why}", path.display());
        let length = std::fs::metadata(path).map_err(|error| about(error.to_string()))?.len();
        if length > har::MAX_HAR_BYTES as u64 {
            return Err(about(format!("is longer than {} bytes", har::MAX_HAR_BYTES)));
        }
        let bytes = std::fs::read(path).map_err(|error| about(error.to_string()))?;
        exchanges.extend(har::read(&bytes).map_err(about)?);
    }
    if args.capture.len() != args.key_file.len() {
        return Err("--capture: each directory needs its own --key-file".to_owned());
    }
    for (dir, key_file) in args.capture.iter().zip(&args.key_file) {
        let text = std::fs::read_to_string(key_file).map_err(|error| format!("{}: {error}", key_file.display()))?;
        let key = CaptureKey::parse(&text).ok_or_else(|| format!("{}: holds no key", key_file.display()))?;
        exchanges.extend(capture::read(dir, &key).map_err(|error| error.to_string())?);
    }
    if exchanges.is_empty() {
        return Err("nothing was recorded".to_owned());
    }
    Ok(exchanges)
}

fn write(args: &InitArgs, exchanges: &[Recorded], out: &mut impl Write) -> Result<u8, String> {
    let shown = args.out.display();
    let proposal = propose(exchanges);
    let mut file = std::fs::File::create_new(&args.out).map_err(|error| format!("{shown}: {error}"))?;
    file.write_all(proposal.text.as_bytes()).map_err(|error| format!("{shown}: {error}"))?;
    let mut lines = vec![format!(
        "{shown}: proposed from {} exchange(s); {} line(s) marked EDIT are yours",
        exchanges.len(),
        proposal.edits
    )];
    lines.extend(proposal.missing.iter().map(|what| format!("  not proposed: {what}")));
    let checked = config::parse_in(&proposal.text, args.out.parent());
    let code = match &checked {
        Ok(_) => OK,
        Err(mistakes) => {
            lines.extend(mistakes.iter().map(|mistake| format!("{shown}:{mistake}")));
            MISTAKES
        }
    };
    lines.push(match checked {
        Ok(_) => format!("`check` accepts it. Next: sekisho-gateway check --config {shown}"),
        Err(_) => "`check` does not accept it yet: record what is missing, or write it".to_owned(),
    });
    writeln!(out, "{}", lines.join("\n")).map_err(|error| error.to_string())?;
    Ok(code)
}
