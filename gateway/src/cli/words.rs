//! What `check` says, in English and Japanese: one table, English first; a second one for what the readers of TOML and of tables say.
//! What is in neither is said in English, and a test build does not bear it.

use std::borrow::Cow;

use clap::ValueEnum;

/// English, a tab, Japanese; `{}` stands for what is said in both alike.
const TABLE: &str = include_str!("words.txt");
/// The same of sentences that are not ours.
const READERS: &str = include_str!("words-readers.txt");

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Lang {
    /// Japanese.
    Ja,
    /// English.
    En,
}

impl Lang {
    /// What was asked for, else what the environment says, else English.
    pub(super) fn of(asked: Option<Self>, environment: impl Fn(&str) -> Option<String>) -> Self {
        // The order of POSIX: the first that is set and not empty decides.
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(environment).find(|said| !said.is_empty());
        let japanese = set.is_some_and(|said| said.starts_with("ja"));
        asked.unwrap_or(if japanese { Self::Ja } else { Self::En })
    }

    /// `english` in this language.
    pub(super) fn say<'t>(self, english: &'t str) -> Cow<'t, str> {
        if self == Self::En {
            return Cow::Borrowed(english);
        }
        // What our own code says is ours, however well a reader's sentence fits.
        let words = in_table(TABLE, english).or_else(|| in_table(READERS, english));
        words.map_or(Cow::Borrowed(english), Cow::Owned)
    }
}

/// `english` in the words of the row that leaves least open, where several fit. What stands in it may be a row of its own.
fn in_table(table: &str, english: &str) -> Option<String> {
    let rows = table.lines().filter_map(|line| line.split_once('\t'));
    let fitting = rows.filter_map(|(pattern, words)| Some((pattern.len(), words, holes(pattern, english)?)));
    let (_, words, holes) = fitting.max_by_key(|(length, ..)| *length)?;
    let holes: Vec<Cow<'_, str>> =
        holes.into_iter().map(|hole| in_table(TABLE, hole).map_or(Cow::Borrowed(hole), Cow::Owned)).collect();
    Some(fill(words, &holes))
}

/// What stands in `text` where `pattern` has `{}`; `None` where it does not fit.
fn holes<'t>(pattern: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let mut parts = pattern.split("{}").peekable();
    let mut rest = text.strip_prefix(parts.next()?)?;
    let mut holes = Vec::new();
    while let Some(part) = parts.next() {
        let at = match parts.peek() {
            // The last part is the end.
            None => rest.len().checked_sub(part.len()).filter(|at| rest.get(*at..) == Some(part))?,
            Some(_) => rest.find(part)?,
        };
        holes.push(rest.get(..at)?);
        rest = rest.get(at + part.len()..)?;
    }
    rest.is_empty().then_some(holes)
}

fn fill(words: &str, holes: &[Cow<'_, str>]) -> String {
    let mut holes = holes.iter();
    let mut parts = words.split("{}");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + holes.next().map_or("", AsRef::as_ref) + part)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn sources(folder: &Path) -> String {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let text = |path: PathBuf| match path.is_dir() {
            true => sources(&path),
            false if path.extension().is_some_and(|extension| extension == "rs") => {
                std::fs::read_to_string(path).unwrap()
            }
            false => String::new(),
        };
        entries.map(text).collect()
    }

    #[test]
    fn each_row_has_as_many_holes_in_both_languages_and_is_said_by_something() {
        let sources =
            ["src", "../issuance/src"].map(|folder| sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)));
        // A sentence may go over two lines.
        let sources: String = sources
            .concat()
            .split("\\\n")
            .enumerate()
            .map(|(n, part)| if n == 0 { part } else { part.trim_start() })
            .collect();
        for line in TABLE.lines() {
            let (english, japanese) = line.split_once('\t').unwrap_or_else(|| panic!("{line}"));
            assert_eq!(english.matches("{}").count(), japanese.matches("{}").count(), "{line}");
            assert!(!japanese.is_ascii(), "{line}");
            let first = english.replace('"', "\\\"");
            let first = first.split(['{', '}', ',']).map(str::trim).max_by_key(|part| part.len()).unwrap();
            // What a value must be stands apart from the rest of its sentence.
            let first = first.strip_prefix("must be ").unwrap_or(first);
            assert!(sources.contains(first), "nobody says {first:?}: {line}");
        }
    }

    #[test]
    fn each_row_of_other_readers_has_as_many_holes_in_both_languages() {
        for line in READERS.lines() {
            let (english, japanese) = line.split_once('\t').unwrap_or_else(|| panic!("{line}"));
            assert_eq!(english.matches("{}").count(), japanese.matches("{}").count(), "{line}");
            assert!(!japanese.is_ascii(), "{line}");
        }
    }

    #[test]
    fn the_language_is_the_asked_one_then_the_environments_then_english() {
        let environment = |said: &'static str| move |name: &str| (name == "LANG").then(|| said.to_owned());
        assert_eq!(Lang::of(None, environment("ja_JP.UTF-8")), Lang::Ja);
        assert_eq!(Lang::of(Some(Lang::En), environment("ja_JP.UTF-8")), Lang::En);
        assert_eq!(Lang::of(None, environment("C.UTF-8")), Lang::En);
        let both = |name: &str| Some(if name == "LC_ALL" { "C" } else { "ja" }.to_owned());
        assert_eq!(Lang::of(None, both), Lang::En);
    }

    #[test]
    fn what_stands_in_a_message_stands_in_its_translation() {
        let said = Lang::Ja.say("is `issu`, which is not known");
        assert_eq!(said, "の値 `issu` は知られていません");
        assert_eq!(Lang::Ja.say("is missing"), "がありません");
        let within = "the prefix `j` has no namespace in the dialect's `namespaces` (s)";
        assert_eq!(Lang::Ja.say(within), "接頭辞 `j` に名前空間がありません(書き方の `namespaces`: s)");
        assert_eq!(Lang::Ja.say("was never heard of"), "was never heard of");
        assert_eq!(Lang::En.say("is missing"), "is missing");
    }
}
