//! The mistakes found in a plan, each with its place and what to write instead. Reading never stops at the first one.

use std::fmt;
use std::ops::Range;

/// Something wrong in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// The character of that line, from 1.
    pub column: usize,
    /// The field's dotted path (`stage[1].rate`).
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead; may be empty.
    pub suggestion: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: `{}` {}", self.line, self.column, self.field, self.message)?;
        if !self.suggestion.is_empty() {
            write!(f, "\n    try: {}", self.suggestion)?;
        }
        Ok(())
    }
}

/// A place that is nowhere in the file: something is missing.
pub(super) const NOWHERE: Range<usize> = 0..0;

/// What was found so far.
pub(super) struct Findings<'t> {
    text: &'t str,
    mistakes: Vec<Mistake>,
}

impl<'t> Findings<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, mistakes: Vec::new() }
    }

    pub(super) fn mistake(
        &mut self,
        at: usize,
        field: impl Into<String>,
        message: impl Into<String>,
        suggestion: impl Into<String>,
    ) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let (field, message, suggestion) = (field.into(), message.into(), suggestion.into());
        self.mistakes.push(Mistake { line, column, field, message, suggestion });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// In the order of the file.
    pub(super) fn into_sorted(mut self) -> Vec<Mistake> {
        self.mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
        self.mistakes
    }

    /// Where the content of the string value at `span` begins, if it stands there as it reads: then offsets in it are offsets in the file.
    pub(super) fn verbatim(&self, span: &Range<usize>, value: &str) -> Option<usize> {
        let written = self.text.get(span.clone())?;
        let inside = written.get(1..written.len().checked_sub(1)?)?;
        (inside == value).then_some(span.start + 1)
    }
}

/// The candidate that was probably meant: at most two edits away, or a third of its length.
pub(super) fn did_you_mean<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = candidates.into_iter().map(|candidate| (distance(written, candidate), candidate));
    let near = near.filter(|(distance, candidate)| *distance <= 2.max(candidate.len() / 3));
    near.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace) between two words; words beyond 64 bytes are never near.
fn distance(a: &str, b: &str) -> usize {
    if a.len().max(b.len()) > 64 {
        return usize::MAX;
    }
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (row, x) in a.bytes().enumerate() {
        let mut current = vec![row + 1];
        for ((y, diagonal), up) in b.bytes().zip(&above).zip(above.iter().skip(1)) {
            let left = current.last().copied().unwrap_or(0);
            current.push((diagonal + usize::from(x != y)).min(left + 1).min(up + 1));
        }
        above = current;
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_and_a_far_one_is_not() {
        assert_eq!(did_you_mean("goodputt", ["shed", "goodput"]), Some("goodput"));
        assert_eq!(did_you_mean("latancy", ["latency"]), Some("latency"));
        assert_eq!(did_you_mean("xyz", ["latency", "goodput"]), None);
        assert_eq!([distance("", "ab"), distance("kitten", "sitting"), distance("ab", "ab")], [2, 3, 0]);
    }

    #[test]
    fn places_are_counted_in_characters_from_one() {
        let mut found = Findings::new("a\n見b\n");
        found.mistake("a\n見".len(), "x", "is wrong", "");
        assert_eq!(found.into_sorted()[0].to_string(), "2:2: `x` is wrong");
    }
}
