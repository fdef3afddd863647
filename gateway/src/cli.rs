//! The command line. Everything an operator does has a command; this file only says which, the work is below.

mod admin;
mod audit;
mod bracket;
mod check;
mod exchange;
mod init;
mod read;
mod record;
mod run;
mod test;
mod words;

#[cfg(test)]
pub(crate) use check::must_be_said_in_japanese;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config};
use crate::reload::NotReloaded;

/// Everything went well.
pub const OK: u8 = 0;
/// The command did its work and the answer is no: it could not start, a check failed, something was not found.
pub const FAILED: u8 = 1;
/// The command line or the configuration has mistakes.
pub const MISTAKES: u8 = 2;

/// Sekisho: no certificate leaves a legacy backend until it is proven to answer this very request.
#[derive(Debug, Parser)]
#[command(name = "sekisho-gateway", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve kiosks.
    Run(ConfigArg),
    /// Explain every mistake in a configuration, and what it leaves open.
    Check(CheckArgs),
    /// Print what a document says, and what a route's checks find in it, as JSON.
    Read(read::ReadArgs),
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
    /// Propose a configuration from recorded exchanges.
    Init(init::InitArgs),
    /// Record exchanges as a pass-through, encrypted, for a limited time and with a written consent.
    Record(record::RecordArgs),
    /// Run recorded exchanges through the checks, then every answer against every other request.
    Test(test::TestArgs),
    /// The records: prove them, look into them.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Change records behind the gateway: opens a bracket, runs the command, and says what it made of the records.
    Bracket(bracket::BracketArgs),
    #[command(flatten)]
    Admin(admin::AdminCommand),
}

/// A configuration file, as `--config F` or plainly as `F`.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct ConfigArg {
    /// The configuration file.
    #[arg(long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The configuration file.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// A configuration, and the language in which it is explained.
#[derive(Debug, Args)]
struct CheckArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// The language of what is said; absent = that of LC_ALL, LC_MESSAGES or LANG.
    #[arg(long, value_enum)]
    lang: Option<words::Lang>,
}

impl ConfigArg {
    fn path(self) -> PathBuf {
        self.config.or(self.file).unwrap_or_default()
    }
}

/// Runs the command that `args` say, the program's name first.
pub fn main_from(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { MISTAKES } else { OK });
        }
    };
    let code = match cli.command {
        Command::Run(config) => run::run(&config.path()),
        Command::Check(CheckArgs { config, lang }) => {
            let lang = words::Lang::of(lang, |name| std::env::var(name).ok());
            check::check(&config.path(), lang, &mut std::io::stdout().lock())
        }
        Command::Read(args) => read::read(&args, &mut std::io::stdout().lock()),
        Command::Schema => {
            let text = serde_json::to_string_pretty(&config::schema()).unwrap_or_default();
            if writeln!(std::io::stdout(), "{text}").is_err() { FAILED } else { OK }
        }
        Command::Init(args) => init::init(&args, &mut std::io::stdout().lock()),
        Command::Record(args) => record::record(&args),
        Command::Test(args) => test::test(&args, &mut std::io::stdout().lock()),
        Command::Audit(command) => audit::run(command, &mut std::io::stdout().lock()),
        Command::Bracket(args) => bracket::run(&args),
        Command::Admin(command) => admin::run(command, &mut std::io::stdout().lock()),
    };
    ExitCode::from(code)
}

/// Loads a configuration for a command that serves nobody; the error is ready to be shown.
fn load(path: &Path) -> Result<Config, String> {
    let shown = path.display();
    crate::reload::read(path).map_err(|error| match error {
        NotReloaded::Mistakes(mistakes) => {
            mistakes.iter().map(|mistake| format!("{shown}:{mistake}")).collect::<Vec<_>>().join("\n")
        }
        other => format!("{shown}: {other}"),
    })
}
