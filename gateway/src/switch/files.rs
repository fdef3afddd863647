//! Switches by file, for when nothing else can be reached: `touch STATE/off/all`. Only reads.

use std::collections::BTreeMap;
use std::path::Path;

use super::Scope;

/// What the files in `dir` take out of service, by file name: `all`, `municipality-991007`, `kind-tax`, `991007-tax`,
/// `backend-issuer`. A name that means nothing, or names nothing that is `known`, takes everything out of service, and so
/// does a directory that cannot be read: somebody wanted something stopped. Names that begin with a dot are editors'.
pub(super) fn read(dir: &Path, known: impl Fn(&Scope) -> bool) -> BTreeMap<String, Scope> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return BTreeMap::new(),
        Err(error) => return BTreeMap::from([(error.kind().to_string(), Scope::All)]),
    };
    let scope = |name: &str| Scope::parse(&name.replacen('-', "/", 1)).filter(&known).unwrap_or(Scope::All);
    entries
        .map(|entry| match entry {
            Ok(entry) => entry.file_name().to_string_lossy().into_owned(),
            Err(error) => error.kind().to_string(),
        })
        .filter(|name| !name.starts_with('.'))
        .map(|name| (name.clone(), scope(&name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_a_switch_and_what_cannot_be_understood_stops_everything() {
        let dir = tempfile::tempdir().unwrap();
        let read = || read(dir.path(), |scope| *scope != Scope::Backend("typo".into()));
        assert!(read().is_empty());
        for name in ["municipality-991007", "991007-tax", "backend-issuer", ".swp"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let scopes: Vec<String> = read().values().map(ToString::to_string).collect();
        assert_eq!(scopes, ["991007/tax", "backend/issuer", "municipality/991007"]);
        for name in ["municipality-991008", "backend-typo", "stop"] {
            std::fs::write(dir.path().join(name), "").unwrap();
            assert_eq!(read().get(name), Some(&Scope::All), "{name}");
        }
    }

    #[test]
    fn a_directory_that_is_none_stops_everything_and_one_that_is_gone_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(read(file.path(), |_| true).into_values().collect::<Vec<_>>(), [Scope::All]);
        assert!(read(&file.path().with_extension("gone"), |_| true).is_empty());
    }
}
