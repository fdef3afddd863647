//! A document prepared for checking: words and cells folded once, every known label found once.

use std::borrow::Cow;

use crate::document::{Document, Line, Page};
use crate::normalize;

/// Text without white space inside, as it stands in a cell.
pub(super) struct Word<'d> {
    pub(super) cell: usize,
    /// Where it stands in its cell, in bytes of the unfolded text.
    start: usize,
    end: usize,
    folded: Cow<'d, str>,
}

/// One cell of a line.
pub(super) struct Cell<'d> {
    pub(super) raw: &'d str,
    pub(super) x: f32,
    pub(super) right: f32,
    pub(super) y: f32,
    pub(super) height: f32,
}

/// One line.
pub(super) struct Row<'d> {
    pub(super) cells: Vec<Cell<'d>>,
    pub(super) words: Vec<Word<'d>>,
    /// Folded, words separated by one space: what `line` expressions see.
    pub(super) text: String,
}

/// A known label on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) label: usize,
    pub(super) row: usize,
    /// First word of the label.
    pub(super) first: usize,
    /// First word after it.
    pub(super) next: usize,
    /// Where the value starts inside the word before `next`, if label and value are one word (`氏名：山田`).
    pub(super) inside: Option<usize>,
}

/// One page.
pub(super) struct Sheet<'d> {
    pub(super) number: u32,
    pub(super) rows: Vec<Row<'d>>,
    /// In reading order.
    pub(super) hits: Vec<Hit>,
}

/// All pages, with every one of `labels` (squeezed) found.
pub(super) fn prepare<'d>(document: &'d Document, labels: &[String]) -> Vec<Sheet<'d>> {
    document.pages.iter().zip(1..).map(|(page, number)| Sheet::new(page, number, labels)).collect()
}

impl<'d> Sheet<'d> {
    fn new(page: &'d Page, number: u32, labels: &[String]) -> Self {
        let rows: Vec<_> = page.lines.iter().map(Row::new).collect();
        let mut hits = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            row.find(index, labels, &mut hits);
        }
        Self { number, rows, hits }
    }
}

impl<'d> Row<'d> {
    fn new(line: &'d Line) -> Self {
        let mut words = Vec::new();
        let mut cells = Vec::with_capacity(line.runs.len());
        let mut text = String::new();
        for (cell, run) in line.runs.iter().enumerate() {
            for (start, end) in spans(&run.text) {
                let folded = run.text.get(start..end).map_or(Cow::Borrowed(""), normalize::word);
                if !folded.is_empty() {
                    if !text.is_empty() {
                        text.push(' ');
                    }
                    text.push_str(&folded);
                    words.push(Word { cell, start, end, folded });
                }
            }
            let right = run.x_mm + run.width_mm;
            cells.push(Cell { raw: &run.text, x: run.x_mm, right, y: run.y_mm, height: run.height_mm });
        }
        Self { cells, words, text }
    }

    /// Finds the labels of this row, the longest where several begin at one word.
    fn find(&self, row: usize, labels: &[String], hits: &mut Vec<Hit>) {
        let mut first = 0;
        while let Some(word) = self.words.get(first) {
            // Where one begins the other, both begin alike; most labels do not.
            let alike = |text: &str| text.bytes().zip(word.folded.bytes()).take(4).all(|(a, b)| a == b);
            let found = labels.iter().enumerate().filter(|(_, text)| alike(text)).filter_map(|(label, text)| {
                let (next, inside) = self.label_at(first, text)?;
                Some((text.len(), Hit { label, row, first, next, inside }))
            });
            match found.max_by_key(|(length, _)| *length) {
                Some((_, hit)) => {
                    hits.push(hit);
                    first = hit.next;
                }
                None => first += 1,
            }
        }
    }

    /// Whether `label` stands in the words from `first` on: whole words, or up to a colon inside the last one.
    fn label_at(&self, first: usize, label: &str) -> Option<(usize, Option<usize>)> {
        let mut rest = label;
        for (index, word) in self.words.iter().enumerate().skip(first) {
            if let Some(after) = rest.strip_prefix(word.folded.as_ref()) {
                rest = after;
                if rest.is_empty() {
                    let colon = self.words.get(index + 1).is_some_and(|next| next.folded == ":");
                    return Some((index + 1 + usize::from(colon), None));
                }
                continue;
            }
            let value = word.folded.strip_prefix(rest)?.strip_prefix(':')?;
            if value.is_empty() {
                return Some((index + 1, None));
            }
            let raw = self.cells.get(word.cell)?.raw.get(word.start..word.end)?;
            let colon = raw.char_indices().find(|(at, c)| {
                matches!(c, ':' | '：') && raw.get(..*at).is_some_and(|before| normalize::word(before) == rest)
            });
            return colon.map(|(at, c)| (index + 1, Some(word.start + at + c.len_utf8())));
        }
        None
    }

    /// The text from word `from` (or from inside the word before it) up to word `to`, as it stands on the paper.
    pub(super) fn raw(&self, from: usize, inside: Option<usize>, to: usize) -> String {
        let mut out = String::new();
        let mut cell_of = None;
        let mut span: Option<(usize, usize, usize)> = None;
        let mut flush = |span: Option<(usize, usize, usize)>| {
            let Some((cell, start, end)) = span else { return };
            if let Some(text) = self.cells.get(cell).and_then(|c| c.raw.get(start..end)) {
                if cell_of.is_some() {
                    out.push(' ');
                }
                cell_of = Some(cell);
                out.push_str(text);
            }
        };
        if let (Some(start), Some(word)) = (inside, from.checked_sub(1).and_then(|w| self.words.get(w))) {
            span = Some((word.cell, start, word.end));
        }
        for word in self.words.iter().take(to).skip(from) {
            match &mut span {
                Some((cell, _, end)) if *cell == word.cell => *end = word.end,
                _ => {
                    flush(span.take());
                    span = Some((word.cell, word.start, word.end));
                }
            }
        }
        flush(span);
        out
    }

    /// The cell of a word.
    pub(super) fn cell_of(&self, word: usize) -> Option<&Cell<'d>> {
        self.words.get(word).and_then(|w| self.cells.get(w.cell))
    }

    /// Whether the line says `squeezed` and nothing else, white space aside.
    pub(super) fn is(&self, squeezed: &str) -> bool {
        let mut rest = squeezed;
        self.words.iter().all(|word| match rest.strip_prefix(word.folded.as_ref()) {
            Some(after) => {
                rest = after;
                true
            }
            None => false,
        }) && rest.is_empty()
    }

    /// The folded text of one cell.
    pub(super) fn cell_text(&self, cell: usize) -> Cow<'_, str> {
        let mut words = self.words.iter().filter(|word| word.cell == cell).map(|word| word.folded.as_ref());
        let first = words.next().unwrap_or_default();
        words.fold(Cow::Borrowed(first), |text, word| Cow::Owned(text.into_owned() + " " + word))
    }
}

/// The stretches of `text` without white space, in bytes.
fn spans(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    text.split(char::is_whitespace).filter(|part| !part.is_empty()).map(|part| {
        // `part` is a slice of `text`, so the difference of their addresses is its offset.
        let start = part.as_ptr().addr() - text.as_ptr().addr();
        (start, start + part.len())
    })
}
