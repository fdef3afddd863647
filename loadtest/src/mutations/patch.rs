//! One mutation: a patch whose first lines say which invariant it breaks and which test must notice.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// A patch file with its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    /// Where it is.
    pub file: PathBuf,
    /// The number its name begins with.
    pub number: u32,
    /// The invariant it breaks.
    pub invariant: String,
    /// What the failing test must say (its name counts, and so does its message).
    pub says: String,
    /// The package of the test.
    pub package: String,
    /// Where it is there: `lib`, or the name of a file or directory under `tests`. Only that is built.
    pub target: String,
    /// The test that must notice, as `cargo test` filters it.
    pub test: String,
}

impl Mutation {
    /// Reads `NN-name.patch`, whose header has `Invariant:`, `Says:`, `Package:`, `Target:` and `Test:`.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        Self::parse(file, &text).with_context(|| file.display().to_string())
    }

    fn parse(file: &Path, text: &str) -> anyhow::Result<Self> {
        let header = text.lines().take_while(|line| !line.starts_with("diff ") && !line.starts_with("--- "));
        let header: Vec<&str> = header.collect();
        let field = |name: &str| {
            let found = header.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            found.map(|value| value.trim().to_owned()).with_context(|| format!("the header has no `{name}:`"))
        };
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let number = stem.split('-').next().and_then(|number| number.parse().ok());
        let mutation = Self {
            file: file.to_owned(),
            number: number.context("the name must begin with a number, as in 01-release-gate.patch")?,
            invariant: field("Invariant")?,
            says: field("Says")?,
            package: field("Package")?,
            target: field("Target")?,
            test: field("Test")?,
        };
        ensure!(!mutation.says.is_empty() && !mutation.test.is_empty(), "the header names no words or no test");
        Ok(mutation)
    }
}

/// Every `*.patch` in `dir`, by number.
pub fn all(dir: &Path) -> anyhow::Result<Vec<Mutation>> {
    let entries = std::fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    let files =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "patch"));
    let mut found = files.map(|file| Mutation::read(&file)).collect::<anyhow::Result<Vec<_>>>()?;
    found.sort_by_key(|mutation| mutation.number);
    Ok(found)
}

/// `count` of them, another few every day, so that each has its turn.
pub fn rotate(mutations: &[Mutation], day: u64, count: usize) -> Vec<Mutation> {
    if mutations.is_empty() {
        return Vec::new();
    }
    let start = usize::try_from(day % mutations.len() as u64).unwrap_or(0) * count % mutations.len();
    mutations.iter().cycle().skip(start).take(count.min(mutations.len())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Releases without a verdict.\n\nInvariant: release gate\nSays: kept in\nPackage: p\nTarget: lib\nTest: gate::t\n\ndiff --git a/x b/x\nTest: no\n";

    #[test]
    fn the_header_says_what_must_notice() {
        let mutation = Mutation::parse(Path::new("mutations/03-gate.patch"), TEXT).unwrap();
        assert_eq!((mutation.number, mutation.test.as_str()), (3, "gate::t"));
        assert!(Mutation::parse(Path::new("03-gate.patch"), "diff --git a/x b/x\nTest: t\n").is_err());
        assert!(Mutation::parse(Path::new("gate.patch"), TEXT).is_err());
    }

    /// A patch that went stale proves nothing any more, and its turn may come long after.
    #[test]
    fn every_mutation_still_fits_the_tree() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for mutation in all(&root.join("mutations")).unwrap() {
            let mut git = std::process::Command::new("git");
            let fits = git.args(["apply", "--check"]).arg(&mutation.file).current_dir(root).output().unwrap();
            assert!(fits.status.success(), "{:?}: {}", mutation.file, String::from_utf8_lossy(&fits.stderr));
        }
    }

    #[test]
    fn every_mutation_has_its_turn() {
        let one = Mutation::parse(Path::new("1-a.patch"), TEXT).unwrap();
        let seven: Vec<Mutation> = (1..=7).map(|number| Mutation { number, ..one.clone() }).collect();
        let turns: std::collections::BTreeSet<u32> =
            (0..7).flat_map(|day| rotate(&seven, day, 3)).map(|mutation| mutation.number).collect();
        assert_eq!(turns.len(), 7);
        assert_eq!(rotate(&seven, 5, 3).len(), 3);
    }
}
