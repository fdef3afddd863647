//! `test`: recorded exchanges through facts and checks, offline; then every answer against every other request.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use sekisho_issuance::request::Operation;
use sekisho_issuance::verdict::CheckName;

use super::exchange::{Exchange, Expect, against, load};
use super::{FAILED, MISTAKES, OK};
use crate::config::Config;

/// A configuration and recorded exchanges.
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A `.jsonl` file of exchanges, or a directory of them.
    #[arg(value_name = "EXCHANGES")]
    exchanges: PathBuf,
}

/// An answer in another's place may bring the right id with it (a shared print slot does), so the swap does not count on it.
const ASIDE_IN_SWAPS: [CheckName; 1] = [CheckName::Echo];

pub(super) fn test(args: &TestArgs, out: &mut impl Write) -> u8 {
    let config = match super::load(&args.config) {
        Ok(config) => config,
        Err(error) => {
            let _ = writeln!(out, "{error}");
            return MISTAKES;
        }
    };
    match run(&config, &args.exchanges, out) {
        Ok(true) => OK,
        Ok(false) => FAILED,
        Err(error) => {
            let _ = writeln!(out, "{error}");
            MISTAKES
        }
    }
}

pub(super) fn run(config: &Config, path: &Path, out: &mut impl Write) -> Result<bool, String> {
    let exchanges = load(path, config)?;
    let say = |out: &mut dyn Write, line: String| writeln!(out, "{line}").map_err(|error| error.to_string());
    let mut unexpected = 0;
    for exchange in exchanges.iter().filter(|e| checked(e)) {
        let found = exchange.judge(exchange, config);
        let against = against(&found, &[]);
        let as_expected = against.is_empty() == (exchange.expect == Expect::Release);
        unexpected += usize::from(!as_expected);
        let verdict =
            if against.is_empty() { "release".to_owned() } else { format!("withhold ({})", against.join(", ")) };
        let note = if as_expected { "" } else { "  <- not what was expected" };
        say(out, format!("{}: {verdict}{note}", exchange.name))?;
    }
    let (mut swapped, mut weak) = (0, 0);
    for asked in exchanges.iter().filter(|e| swappable(e)) {
        for answered in exchanges.iter().filter(|e| swappable(e)) {
            let Some(check) = should_catch(asked, answered) else { continue };
            swapped += 1;
            if against(&asked.judge(answered, config), &ASIDE_IN_SWAPS).is_empty() {
                weak += 1;
                let (route, asked, answered) = (&asked.matched.route.name, &asked.name, &answered.name);
                let check = check.name();
                say(
                    out,
                    format!(
                        "{asked} would be given the answer of {answered}: `routes.{route}.checks.{check}` is too weak"
                    ),
                )?;
            }
        }
    }
    let (tried, skipped) = exchanges.iter().fold((0, 0), |(t, s), e| if checked(e) { (t + 1, s) } else { (t, s + 1) });
    say(
        out,
        format!(
            "{tried} exchange(s), {unexpected} not as expected; {skipped} without anybody's data; {swapped} swapped pair(s), {weak} would pass"
        ),
    )?;
    if swapped == 0 {
        say(out, "no two exchanges are about different people or kinds: record more, or nothing is proven".to_owned())?;
    }
    Ok(unexpected == 0 && weak == 0 && swapped > 0)
}

fn checked(exchange: &Exchange) -> bool {
    exchange.matched.route.operation.speaks_of_resident() && !exchange.is_refusal()
}

/// Only what is right on its own can show that it is wrong elsewhere.
fn swappable(exchange: &Exchange) -> bool {
    checked(exchange) && exchange.expect == Expect::Release && exchange.matched.route.operation != Operation::Pass
}

/// The check that must tell an answer to `answered` from one to `asked`; `None` where both may have the same.
fn should_catch(asked: &Exchange, answered: &Exchange) -> Option<CheckName> {
    let (a, b) = (&asked.facts, &answered.facts);
    if a.municipality != b.municipality || a.residents != b.residents {
        Some(CheckName::Identity)
    } else if a.kind != b.kind {
        Some(CheckName::Kind)
    } else {
        None
    }
}
