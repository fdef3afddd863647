//! The text of a configuration file with line numbers, and the mistakes and notes found in it. Never stops at the first mistake.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Something wrong, with its place and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// The key's dotted path (`routes.tax.timeout`).
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead; may be empty.
    pub suggestion: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}` {}", self.line, self.key, self.message)?;
        if !self.suggestion.is_empty() {
            write!(f, "\n    try: {}", self.suggestion)?;
        }
        Ok(())
    }
}

/// Something that is allowed and that an operator must know: a check that is off, a dependent lookup, a residual risk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The line, from 1; 0 where the cause is that something is absent.
    pub line: usize,
    /// The key's dotted path.
    pub key: String,
    /// What to know.
    pub message: String,
    /// The root causes (R1-R13) that stay open because of it.
    pub open: Vec<&'static str>,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}` {}", self.line, self.key, self.message)?;
        if !self.open.is_empty() {
            write!(f, " (leaves open: {})", self.open.join(", "))?;
        }
        Ok(())
    }
}

/// Byte offsets of the line starts of one text.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.0.partition_point(|start| *start <= span.start)
    }
}

/// A key that a reader knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) expected: String,
    pub(super) example: String,
}

/// What was found so far while a file is read.
pub(super) struct Findings {
    lines: Lines,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) notes: Vec<Note>,
    /// Tables that are there but could not be read: whoever names one has made no mistake.
    pub(super) broken: BTreeSet<String>,
    /// Where the files are that the text names; `None` = it may name none.
    folder: Option<PathBuf>,
    /// Every key that a reader asked for, where somebody wants to know.
    pub(super) asked: Option<Vec<Asked>>,
    /// What was read of them, by name.
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

/// A file that a configuration names may be as long as this.
const MAX_NAMED_FILE_BYTES: u64 = 1 << 20;

impl Findings {
    pub(super) fn new(text: &str, folder: Option<&Path>) -> Self {
        Self {
            lines: Lines::of(text),
            mistakes: Vec::new(),
            notes: Vec::new(),
            broken: BTreeSet::new(),
            folder: folder.map(Path::to_owned),
            asked: None,
            files: BTreeMap::new(),
        }
    }

    /// Where something beside the configuration is.
    pub(super) fn beside(&self, name: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(name))
    }

    /// The contents of a file beside the configuration.
    pub(super) fn file(&mut self, name: &str) -> Result<Vec<u8>, String> {
        let Some(folder) = &self.folder else {
            return Err("names a file, and only a configuration file can".to_owned());
        };
        let path = folder.join(name);
        let read = std::fs::metadata(&path).and_then(|about| match about.len() {
            _ if !about.is_file() => Err(std::io::Error::other("is no plain file")),
            0..=MAX_NAMED_FILE_BYTES => std::fs::read(&path),
            _ => Err(std::io::Error::other(format!("is longer than {MAX_NAMED_FILE_BYTES} bytes"))),
        });
        let bytes = read.map_err(|error| format!("names \"{name}\", which cannot be read: {error}"))?;
        self.files.insert(name.to_owned(), bytes.clone());
        Ok(bytes)
    }

    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.lines.line(span)
    }

    pub(super) fn mistake(
        &mut self,
        span: &Range<usize>,
        key: impl Into<String>,
        message: impl Into<String>,
        suggestion: impl Into<String>,
    ) {
        let line = self.lines.line(span);
        let mistake = Mistake { line, key: key.into(), message: message.into(), suggestion: suggestion.into() };
        #[cfg(test)]
        crate::cli::must_be_said_in_japanese(&mistake);
        self.mistakes.push(mistake);
    }

    pub(super) fn note(
        &mut self,
        span: &Range<usize>,
        key: impl Into<String>,
        message: impl Into<String>,
        open: &[&'static str],
    ) {
        let line = self.lines.line(span);
        let note = Note { line, key: key.into(), message: message.into(), open: open.to_vec() };
        #[cfg(test)]
        crate::cli::must_be_said_in_japanese(&Mistake {
            line,
            key: note.key.clone(),
            message: note.message.clone(),
            suggestion: String::new(),
        });
        self.notes.push(note);
    }
}

/// The candidate that was probably meant: at most two edits away, or a third of its length.
pub(super) fn did_you_mean<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|c| (edits(written, c), c))
        .filter(|(distance, c)| *distance <= 2.max(c.len() / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// Levenshtein distance over bytes; texts beyond 64 bytes are never close.
fn edits(a: &str, b: &str) -> usize {
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let above = *cell;
            left = (diagonal + usize::from(x != y)).min(above + 1).min(left + 1);
            diagonal = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits("timeout", "timeout"), 0);
        assert_eq!(edits("timeuot", "timeout"), 2);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", ""), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
    }

    #[test]
    fn the_nearest_name_is_suggested_and_a_far_one_is_not() {
        assert_eq!(did_you_mean("timout", ["max_run", "timeout"]), Some("timeout"));
        assert_eq!(did_you_mean("zzz", ["max_run", "timeout"]), None);
    }

    #[test]
    fn lines_are_counted_from_one() {
        let lines = Lines::of("a\nb\nc");
        assert_eq!((lines.line(&(0..1)), lines.line(&(2..3)), lines.line(&(4..4))), (1, 2, 3));
    }
}
