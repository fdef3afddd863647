//! The rules of style that a machine can keep: who may speak HTTP, where status codes are, how long a file is, which words are not ours.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// A Rust file of the workspace: path below the root, and text.
struct Source {
    path: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let mut found = Vec::new();
    for package in ["issuance", "worker", "gateway", "loadtest"] {
        collect(&root, &root.join(package), &mut found);
    }
    assert!(found.len() > 50, "the sources were not found below {}", root.display());
    found
}

fn collect(root: &Path, dir: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            found.push(Source { path, text });
        }
    }
}

impl Source {
    /// Tests may say what production code may not.
    fn is_test(&self) -> bool {
        self.path.contains("/tests/")
            || self.path.contains("/simulation/")
            || self.path.ends_with("tests.rs")
            || self.path.contains("/benches/")
    }

    /// The part before the tests of the same file.
    fn production(&self) -> &str {
        self.text.split("#[cfg(test)]").next().unwrap_or("")
    }

    /// Code lines with their numbers, comments left out.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.production().lines().enumerate().map(|(n, line)| (n + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// Fails with every place where `wrong` says so.
fn none(what: &str, places: Vec<String>) {
    assert!(places.is_empty(), "{what}:\n  {}", places.join("\n  "));
}

fn lines_with(sources: &[Source], allowed: impl Fn(&str) -> bool, wrong: impl Fn(&str) -> bool) -> Vec<String> {
    let files = sources.iter().filter(|s| !s.is_test() && !allowed(&s.path));
    files
        .flat_map(|s| {
            s.code().filter(|(_, line)| wrong(line)).map(|(n, line)| format!("{}:{n}: {}", s.path, line.trim()))
        })
        .collect()
}

#[test]
fn redis_appears_only_in_files_that_say_so() {
    let wrong = lines_with(&sources(), |path| path.contains("redis"), |line| line.contains("redis::"));
    none("redis outside files named redis", wrong);
}

#[test]
fn hyper_appears_only_at_the_edges() {
    let edges = |path: &str| {
        path.starts_with("loadtest/")
            || path.starts_with("gateway/src/server")
            || path.starts_with("worker/src/channel")
            || path.starts_with("gateway/src/admin")
            || path.starts_with("gateway/src/cli")
    };
    none(
        "hyper away from the edges",
        lines_with(&sources(), edges, |line| line.contains("hyper::") || line.contains("hyper_util::")),
    );
}

#[test]
fn status_codes_of_the_gateway_stand_in_one_file() {
    let elsewhere = |path: &str| {
        !path.starts_with("gateway/src/")
            || path == "gateway/src/problem/code.rs"
            || path.starts_with("gateway/src/admin")
    };
    let named = |line: &str| {
        line.split("StatusCode::").skip(1).any(|tail| tail.starts_with(|c: char| c.is_ascii_uppercase()))
            // The writer's own fallback for a status that cannot be one.
            && !line.contains("unwrap_or(StatusCode::BAD_GATEWAY)")
    };
    none("a status code outside problem/code.rs", lines_with(&sources(), elsewhere, named));
}

#[test]
fn the_domain_knows_no_runtime_no_io_and_no_clock() {
    let outside = |path: &str| !path.starts_with("issuance/src/");
    let words =
        ["tokio::", "std::fs", "std::net", "http::", "hyper", "Instant::now", "SystemTime::now", "Timestamp::now"];
    none("the domain reaches outside", lines_with(&sources(), outside, |line| words.iter().any(|w| line.contains(w))));
}

#[test]
fn dependencies_point_one_way() {
    let order = ["issuance", "worker", "gateway", "loadtest"];
    let mut wrong = Vec::new();
    for source in sources() {
        let package = order.iter().position(|p| source.path.starts_with(&format!("{p}/"))).unwrap();
        for (at, other) in order.iter().enumerate().skip(package + 1) {
            if at > package && source.text.contains(&format!("sekisho_{other}::")) && !source.path.ends_with("tidy.rs")
            {
                wrong.push(format!("{} uses {other}", source.path));
            }
        }
    }
    none("a dependency against the order", wrong);
}

#[test]
fn files_begin_by_saying_what_they_are_for_and_are_rarely_long() {
    let mut wrong = Vec::new();
    let mut long = Vec::new();
    for source in sources() {
        if !source.is_test() && !source.text.starts_with("//!") && !source.text.starts_with("#!") {
            wrong.push(source.path.clone());
        }
        let lines = source.text.lines().count();
        if lines > 700 {
            wrong.push(format!("{}: {lines} lines", source.path));
        } else if lines > 450 && !source.is_test() {
            long.push(format!("{}: {lines} lines", source.path));
        }
    }
    none("files without a purpose, or far too long", wrong);
    assert!(long.len() <= 6, "rarely over 400 lines, but:\n  {}", long.join("\n  "));
}

#[test]
fn banned_words_are_not_used() {
    // Not even in prose; the others are English words too, so only names are looked at.
    let never = ["manager", "helper", "helpers", "upstream", "downstream"];
    let in_names = ["util", "utils", "common", "misc", "cert", "certs"];
    // Names of crates and packages are not ours, and `client_cert` is a word of the configuration.
    let foreign = [
        "tokio_util",
        "hyper_util",
        "http_body_util",
        "futures_util",
        "tower::util",
        "client_cert",
        "cert_resolver",
        "iter_common_name",
        "with_client_auth_cert",
        "with_single_cert",
        "poppler-utils",
    ];
    let has = |line: &str, words: &[&str]| {
        let line = foreign.iter().fold(line.to_ascii_lowercase(), |line, name| line.replace(name, ""));
        line.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| words.contains(&word))
    };
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|s| !s.path.ends_with("tidy.rs")) {
        let stem = source.path.rsplit('/').next().unwrap().trim_end_matches(".rs");
        if has(stem, &never) || has(stem, &in_names) {
            wrong.push(source.path.clone());
        }
        for (n, line) in source.text.lines().enumerate() {
            let prose = line.trim_start().starts_with("//");
            if has(line, &never) || (!prose && has(line, &in_names)) {
                wrong.push(format!("{}:{}: {}", source.path, n + 1, line.trim()));
            }
        }
    }
    none("a banned word", wrong);
}

#[test]
fn only_verify_makes_a_released() {
    let allowed = |path: &str| path == "gateway/src/release/verify.rs" || !path.starts_with("gateway/");
    let makes = |line: &str| {
        line.contains("Released {")
            && !line.contains("struct")
            && !line.contains("impl")
            && !line.contains("for Released")
    };
    none("a Released made outside verify", lines_with(&sources(), allowed, makes));
}

#[test]
fn nothing_turns_on_the_build_that_may_go_without_a_check() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut wrong = Vec::new();
    for manifest in ["", "issuance", "worker", "gateway", "loadtest", "fuzz"] {
        let path = root.join(manifest).join("Cargo.toml");
        let text = fs::read_to_string(&path).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let features = table.get("features").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        wrong.extend(
            features
                .iter()
                .filter(|(name, turned_on)| *name != "weakened" && turned_on.to_string().contains("weakened"))
                .map(|(name, _)| format!("{}: feature {name}", path.display())),
        );
        // Dependencies, and the workspace's versions of them.
        let elsewhere = table.iter().filter(|(key, _)| *key != "features");
        wrong.extend(
            elsewhere
                .filter(|(_, value)| value.to_string().contains("weakened"))
                .map(|(key, _)| format!("{}: {key}", path.display())),
        );
    }
    for script in [".ci/run", ".ci/test", ".cargo/config.toml"] {
        let text = fs::read_to_string(root.join(script)).unwrap();
        let builds = text.lines().filter(|line| line.contains("weakened") && !line.contains("cargo test"));
        wrong.extend(builds.map(|line| format!("{script}: {line}")));
    }
    let binary = fs::read_to_string(root.join("gateway/src/main.rs")).unwrap();
    assert!(
        binary.contains("#[cfg(feature = \"weakened\")]\ncompile_error!"),
        "the shipped binary would compile with it"
    );
    none("`weakened` may only be asked for by name", wrong);
}
