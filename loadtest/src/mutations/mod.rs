//! Breaks the product on purpose, in a scratch copy, to see that a test names what was broken.

mod patch;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, ensure};

pub use patch::{Mutation, all, rotate};

/// Building included, on two slow cores.
const LONGEST_TEST_SECONDS: &str = "1200";
/// What coreutils' `timeout` ends with.
const TIMED_OUT: i32 = 124;

/// A copy of the tree with its own build directory; kept between runs, since building is what takes long.
pub struct Scratch {
    tree: PathBuf,
    target: PathBuf,
}

impl Scratch {
    /// Copies what git knows of `root` (with uncommitted changes) to `root/target/mutations`.
    pub fn prepare(root: &Path) -> anyhow::Result<Self> {
        let place = root.join("target/mutations");
        let scratch = Self { tree: place.join("tree"), target: place.join("build") };
        if scratch.tree.exists() {
            std::fs::remove_dir_all(&scratch.tree)?;
        }
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("git ls-files")?;
        ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
        for name in String::from_utf8(listed.stdout)?.split('\0').filter(|name| !name.is_empty()) {
            let (from, to) = (root.join(name), scratch.tree.join(name));
            // A file that was deleted but not yet committed is still listed.
            if from.is_file() {
                std::fs::create_dir_all(to.parent().context("a file without a directory")?)?;
                std::fs::copy(&from, &to).with_context(|| name.to_owned())?;
            }
        }
        scratch.borrow_built_dependencies(root)?;
        Ok(scratch)
    }

    /// Dependencies from a registry are the same in every copy of the tree; building them once is enough.
    fn borrow_built_dependencies(&self, root: &Path) -> anyhow::Result<()> {
        let (built, own) = (root.join("target/debug"), self.target.join("debug"));
        if own.exists() || !built.exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&own)?;
        for part in ["deps", "build", ".fingerprint"] {
            let copied = Command::new("cp").args(["-a", "--reflink=auto"]).arg(built.join(part)).arg(&own).status()?;
            ensure!(copied.success(), "cannot copy {part}");
        }
        Ok(())
    }

    /// Proves one mutation: the named test passes before, the patch compiles, the test fails after and names the invariant.
    pub fn prove(&self, mutation: &Mutation) -> anyhow::Result<()> {
        let before = self.test(mutation, &[])?;
        ensure!(
            before.status.success() && ran_something(&before),
            "the test `{}` does not pass without the mutation:\n{}",
            mutation.test,
            tail(&before)
        );
        self.apply(mutation, &[])?;
        let verdict = self.judge_mutated(mutation);
        self.apply(mutation, &["--reverse"]).context("taking the mutation back")?;
        verdict
    }

    fn judge_mutated(&self, mutation: &Mutation) -> anyhow::Result<()> {
        let built = self.test(mutation, &["--no-run"])?;
        ensure!(built.status.success(), "the mutated tree does not compile:\n{}", tail(&built));
        let after = self.test(mutation, &[])?;
        ensure!(after.status.code() != Some(TIMED_OUT), "`{}` waits forever instead of failing", mutation.test);
        ensure!(!after.status.success(), "nobody noticed: `{}` still passes", mutation.test);
        ensure!(
            plain(&text(&after)).contains(&plain(&mutation.says)),
            "the failing test does not say `{}`:\n{}",
            mutation.says,
            tail(&after)
        );
        Ok(())
    }

    fn apply(&self, mutation: &Mutation, options: &[&str]) -> anyhow::Result<()> {
        let file = mutation.file.canonicalize()?;
        // Outside any repository, or git would look for the paths in the surrounding one.
        let applied = Command::new("git")
            .args(["apply", "--whitespace=nowarn"])
            .args(options)
            .arg(file)
            .env("GIT_CEILING_DIRECTORIES", self.tree.parent().unwrap_or(&self.tree))
            .current_dir(&self.tree)
            .output()?;
        ensure!(applied.status.success(), "does not apply: {}", String::from_utf8_lossy(&applied.stderr));
        Ok(())
    }

    fn test(&self, mutation: &Mutation, options: &[&str]) -> anyhow::Result<Output> {
        // Coreutils' `timeout`, since a broken invariant may make a test wait forever: that is not noticed, but must end.
        Command::new("timeout")
            .arg(LONGEST_TEST_SECONDS)
            .arg(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["test", "--quiet", "--package", &mutation.package])
            .args(if mutation.target == "lib" { vec!["--lib"] } else { vec!["--test", &mutation.target] })
            .args(options)
            .args(["--", &mutation.test])
            .env("CARGO_TARGET_DIR", &self.target)
            .current_dir(&self.tree)
            .output()
            .context("cargo test")
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Test names and messages alike: lower case, words apart, no apostrophes.
fn plain(text: &str) -> String {
    text.to_lowercase().replace('_', " ").replace('\'', "")
}

fn ran_something(output: &Output) -> bool {
    text(output).lines().any(|line| line.starts_with("running ") && !line.starts_with("running 0 "))
}

fn tail(output: &Output) -> String {
    let text = text(output);
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(25)).map(|line| format!("  {line}\n")).collect()
}
