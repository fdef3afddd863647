//! `check`: every mistake with its line, every check that is off with what it leaves open. Starts and touches nothing.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use sekisho_issuance::request::Operation;

use super::words::Lang;
use super::{FAILED, MISTAKES, OK};
use crate::config::{self, Config, Mistake};
use crate::route::Mode;

/// Prints what is wrong with `path`, or what it leaves open.
pub(super) fn check(path: &Path, lang: Lang, out: &mut impl Write) -> u8 {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let _ = writeln!(out, "{}: {error}", path.display());
            return FAILED;
        }
    };
    match config::parse_in(&text, Some(path.parent().unwrap_or(Path::new(".")))) {
        Ok(config) => {
            let _ = explain(path, &config, lang, out);
            let broken = &config.tenant_files.broken;
            for (file, mistake) in broken.iter().flat_map(|(file, all)| all.iter().map(move |mistake| (file, mistake)))
            {
                let _ = writeln!(out, "{file}:{}", told(mistake, lang));
            }
            if broken.is_empty() {
                return OK;
            }
            let what = "file(s) of municipalities would not be taken over; each would keep its last good policy";
            let _ = writeln!(out, "{}", lang.say(&format!("{} {what}", broken.len())));
            MISTAKES
        }
        Err(mistakes) => {
            for mistake in &mistakes {
                let _ = writeln!(out, "{}:{}", path.display(), told(mistake, lang));
            }
            let _ = writeln!(out, "{}", lang.say(&format!("{} mistake(s); nothing was started", mistakes.len())));
            MISTAKES
        }
    }
}

/// A mistake in the reader's language; what to write instead is the same in all.
fn told(mistake: &Mistake, lang: Lang) -> String {
    let Mistake { line, key, message, suggestion } = mistake;
    let words = match lang.say(message) {
        // Its parser has more to say than anybody can foresee.
        words if key == "toml" && words == *message => lang.say(&format!("is no TOML: {message}")).into_owned(),
        words => words.into_owned(),
    };
    let said = format!("{line}: `{key}` {words}");
    if suggestion.is_empty() { said } else { format!("{said}\n    {}: {}", lang.say("try"), lang.say(suggestion)) }
}

/// What a test build asks of every mistake that any test makes: that it can be said in Japanese.
#[cfg(test)]
pub(crate) fn must_be_said_in_japanese(mistake: &Mistake) {
    let Mistake { line, key, .. } = mistake;
    let told = told(&Mistake { suggestion: String::new(), ..mistake.clone() }, Lang::Ja);
    let said = told.strip_prefix(&format!("{line}: `{key}` ")).unwrap_or(&told);
    assert!(!said.is_ascii() && said != mistake.message, "words.txt does not have: {}", mistake.message);
}

fn explain(path: &Path, config: &Config, lang: Lang, out: &mut impl Write) -> std::io::Result<()> {
    let enabled = config.tenants.values().filter(|t| t.enabled).count();
    let good = format!(
        "{}: good. {} route(s), {} backend(s), {} of {} municipalities enabled, mode {}",
        path.display(),
        config.routes.iter().count(),
        config.backends.len(),
        enabled,
        config.tenants.len(),
        config.mode.name(),
    );
    writeln!(out, "{}", lang.say(&good))?;
    for route in config.routes.iter() {
        let checks: Vec<&str> = route.checks.names().into_iter().map(|check| check.name()).collect();
        let checks = if route.operation == Operation::Pass { "none (pass)".to_owned() } else { checks.join(", ") };
        let observing = if route.mode == Mode::Observe { " (observe)" } else { "" };
        writeln!(out, "  {} {}{observing}: {checks}", route.operation.name(), route.name)?;
    }
    for note in &config.notes {
        let open = match note.open.is_empty() {
            true => String::new(),
            false => format!(" ({}: {})", lang.say("leaves open"), note.open.join(", ")),
        };
        writeln!(out, "{}:{}: `{}` {}{open}", path.display(), note.line, note.key, lang.say(&note.message))?;
    }
    let mut open: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for note in &config.notes {
        for cause in &note.open {
            open.entry(cause).or_default().push(&note.key);
        }
    }
    if open.is_empty() {
        return writeln!(out, "{}", lang.say("root causes R1-R13: none is left open by a switched-off check"));
    }
    writeln!(out, "{}", lang.say("root causes left open:"))?;
    open.iter().try_for_each(|(cause, keys)| writeln!(out, "  {cause}: {}", keys.join(", ")))
}
