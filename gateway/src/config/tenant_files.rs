//! `[tenants] dir`: a file per municipality, `991007.toml`, each read on its own. A broken one touches nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use jiff::civil::Date;
use sekisho_issuance::id::MunicipalityCode;
use toml::de::DeTable;

use super::section::{Placed, Section};
use super::source::{Findings, Mistake};
use super::tenants::{self, Around, Tenants};
use crate::tenant::Holidays;

/// What came of the files of `[tenants] dir`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantFiles {
    /// The municipalities that a file speaks for.
    pub loaded: BTreeSet<MunicipalityCode>,
    /// Files that could not be taken over, by name, with every mistake in them.
    pub broken: BTreeMap<String, Vec<Mistake>>,
}

/// A longer file of one municipality is refused unread.
const MAX_FILE_BYTES: u64 = 256 << 10;
/// What is kept of the mistakes of one file.
const MAX_MISTAKES: usize = 20;
/// More files than there are municipalities in Japan, several times over.
const MAX_FILES: usize = 10_000;

/// Reads every `*.toml` of the folder into `tenants`, or says in `files` why it is none.
pub(super) fn read(
    dir: &Placed<&str>,
    around: &Around<'_>,
    found: &mut Findings,
    tenants: &mut Tenants,
    files: &mut TenantFiles,
) {
    let Some(folder) = found.beside(dir.value) else {
        dir.wrong(found, "names a folder, and only a configuration file can", "");
        return;
    };
    let names = match names(&folder) {
        Ok(names) => names,
        Err(error) => return dir.wrong(found, format!("cannot be read: {error}"), "dir = \"tenants\""),
    };
    if names.len() > MAX_FILES {
        return dir.wrong(found, format!("holds more than {MAX_FILES} files"), "");
    }
    let here: BTreeSet<MunicipalityCode> = tenants.keys().copied().collect();
    for name in names {
        let read = content(&folder.join(&name)).map_err(|error| {
            let ours = error.raw_os_error().is_none();
            let why = if ours { error.to_string() } else { format!("cannot be read: {error}") };
            vec![about(&name, &why, "")]
        });
        let digest = read.as_ref().map_or_else(|_| Vec::new(), |text| text.clone().into_bytes());
        found.files.insert(format!("{}/{name}", dir.value), digest);
        match read.and_then(|text| one(&name, &text, around, &here)) {
            Ok(tenant) => {
                files.loaded.insert(tenant.code);
                tenants.insert(tenant.code, Arc::new(tenant));
            }
            Err(mut mistakes) => {
                if let Some(more) = mistakes.len().checked_sub(MAX_MISTAKES).filter(|more| *more > 0) {
                    mistakes.truncate(MAX_MISTAKES);
                    mistakes.push(about(&name, &format!("has {more} more mistakes"), ""));
                }
                files.broken.insert(name, mistakes);
            }
        }
    }
}

/// The municipality that a file of this name is about.
pub(crate) fn code_of(name: &str) -> Option<MunicipalityCode> {
    MunicipalityCode::new(name.strip_suffix(".toml")?).ok()
}

fn one(
    name: &str,
    text: &str,
    around: &Around<'_>,
    here: &BTreeSet<MunicipalityCode>,
) -> Result<crate::tenant::Tenant, Vec<Mistake>> {
    let advice = "the six digits of the municipality's code, as 991007.toml";
    let code = code_of(name).ok_or_else(|| vec![about(name, "is no file of a municipality", advice)])?;
    if here.contains(&code) {
        return Err(vec![about(name, "is also a table of the configuration file", "remove one of the two")]);
    }
    let mut found = Findings::new(text, None);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(super::rules::NOWHERE);
        found.mistake(&span, "toml", error.message().replace('\n', " "), "");
    }
    if !found.mistakes.is_empty() {
        return Err(found.mistakes);
    }
    let section = Section::new(root.get_ref(), String::new(), super::rules::NOWHERE);
    match tenants::one(section, Some(code), around, &mut found) {
        Some(tenant) if found.mistakes.is_empty() => Ok(tenant),
        _ => Err(found.mistakes),
    }
}

/// A mistake of a whole file.
pub(crate) fn about(name: &str, message: &str, suggestion: &str) -> Mistake {
    let (key, message) = (name.to_owned(), message.to_owned());
    let mistake = Mistake { line: 0, key, message, suggestion: suggestion.to_owned() };
    #[cfg(test)]
    crate::cli::must_be_said_in_japanese(&mistake);
    mistake
}

/// Names that end in `.toml`; hidden ones are editors'.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".toml") && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Only of a plain file: a pipe would hold up the start for ever, also one that takes the file's place while it is opened.
fn content(path: &Path) -> io::Result<String> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits();
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("is no plain file"));
    }
    let file = fs::OpenOptions::new().read(true).custom_flags(nonblocking.cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("is no plain file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("is longer than {MAX_FILE_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("is not UTF-8"))
}

/// A list of days, one a line, the date first (`2026-11-23` or `2026/11/23`), as the Cabinet Office publishes it. The
/// names after it are not read, so their charset does not matter.
pub(super) fn holidays(file: &Placed<&str>, found: &mut Findings) -> Holidays {
    let bytes = match found.file(file.value) {
        Ok(bytes) => bytes,
        Err(why) => {
            file.wrong(found, why, "holidays = \"holidays.csv\"");
            return Holidays::default();
        }
    };
    let mut days = BTreeSet::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let first = line.split(|byte| matches!(byte, b',' | b'\r')).next().unwrap_or_default();
        match std::str::from_utf8(first).ok().and_then(day) {
            Some(day) => {
                days.insert(day);
            }
            // Its first line names the columns.
            None if number == 0 || first.is_empty() => {}
            None => {
                file.wrong(
                    found,
                    format!("line {}: does not begin with a date", number + 1),
                    "2026-11-23,勤労感謝の日",
                );
                break;
            }
        }
    }
    Arc::new(days)
}

fn day(text: &str) -> Option<Date> {
    let mut parts = text.trim().split(['-', '/']);
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let date = Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
    parts.next().is_none().then_some(date)
}

#[cfg(test)]
mod tests;
