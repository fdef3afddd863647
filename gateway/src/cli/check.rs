//! `check`: every mistake with its line, every check that is off with what it leaves open. Starts and touches nothing.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use sekisho_issuance::request::Operation;

use super::{FAILED, MISTAKES, OK};
use crate::config::{self, Config};
use crate::route::Mode;

/// Prints what is wrong with `path`, or what it leaves open.
pub(super) fn check(path: &Path, out: &mut impl Write) -> u8 {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let _ = writeln!(out, "{}: {error}", path.display());
            return FAILED;
        }
    };
    match config::parse_in(&text, Some(path.parent().unwrap_or(Path::new(".")))) {
        Ok(config) => {
            let _ = explain(path, &config, out);
            let broken = &config.tenant_files.broken;
            for (file, mistake) in broken.iter().flat_map(|(file, all)| all.iter().map(move |mistake| (file, mistake)))
            {
                let _ = writeln!(out, "{file}:{mistake}");
            }
            if broken.is_empty() {
                return OK;
            }
            let what = "file(s) of municipalities would not be taken over; each would keep its last good policy";
            let _ = writeln!(out, "{} {what}", broken.len());
            MISTAKES
        }
        Err(mistakes) => {
            for mistake in &mistakes {
                let _ = writeln!(out, "{}:{mistake}", path.display());
            }
            let _ = writeln!(out, "{} mistake(s); nothing was started", mistakes.len());
            MISTAKES
        }
    }
}

fn explain(path: &Path, config: &Config, out: &mut impl Write) -> std::io::Result<()> {
    let enabled = config.tenants.values().filter(|t| t.enabled).count();
    writeln!(
        out,
        "{}: good. {} route(s), {} backend(s), {} of {} municipalities enabled, mode {}",
        path.display(),
        config.routes.iter().count(),
        config.backends.len(),
        enabled,
        config.tenants.len(),
        config.mode.name(),
    )?;
    for route in config.routes.iter() {
        let checks: Vec<&str> = route.checks.names().into_iter().map(|check| check.name()).collect();
        let checks = if route.operation == Operation::Pass { "none (pass)".to_owned() } else { checks.join(", ") };
        let observing = if route.mode == Mode::Observe { " (observe)" } else { "" };
        writeln!(out, "  {} {}{observing}: {checks}", route.operation.name(), route.name)?;
    }
    for note in &config.notes {
        writeln!(out, "{}:{note}", path.display())?;
    }
    let mut open: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for note in &config.notes {
        for cause in &note.open {
            open.entry(cause).or_default().push(&note.key);
        }
    }
    if open.is_empty() {
        return writeln!(out, "root causes R1-R13: none is left open by a switched-off check");
    }
    writeln!(out, "root causes left open:")?;
    open.iter().try_for_each(|(cause, keys)| writeln!(out, "  {cause}: {}", keys.join(", ")))
}
