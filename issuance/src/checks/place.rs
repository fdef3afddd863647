//! Where a value stands on paper or in an answer, compiled, and finding it.

use regex::Regex;

use super::paper::{Cell, Hit, Row, Sheet};
use crate::answer::Extract;

/// How far left of a column its text may begin.
const COLUMN_SLACK_MM: f32 = 1.5;
/// How far the second line of a value may be indented.
const INDENT_MM: f32 = 8.0;

/// One compiled place.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// Right of a known label, else below it.
    After {
        /// Its number among the plan's labels.
        label: usize,
        /// Text lines that the value may take.
        lines: u32,
    },
    /// The one group of an expression on a folded line, or else on a folded cell of it.
    Line(Regex),
    /// In a box: left, top, right, bottom.
    Box([f32; 4]),
    /// In the answer around the document, or in the data that the answer is.
    Answer(Extract),
}

/// A value that was found on a page.
#[derive(Clone)]
pub(super) struct Spot {
    /// The line on which it was pointed at, and the word there: reading order.
    pub(super) at: (usize, usize),
    /// As it stands on the paper.
    pub(super) raw: String,
    /// Text goes on directly below what was read, so that the value may be incomplete or the first of several.
    pub(super) goes_on: bool,
}

impl Place {
    /// Every value on one page, in reading order; a place in the answer is on no page.
    pub(super) fn on(&self, sheet: &Sheet<'_>) -> Vec<Spot> {
        match self {
            Self::After { label, lines } => {
                let hits = sheet.hits.iter().enumerate().filter(|(_, hit)| hit.label == *label);
                hits.map(|(index, hit)| after(sheet, index, *hit, *lines)).collect()
            }
            Self::Line(expression) => {
                groups(sheet, expression).map(|(at, [raw])| Spot { at, raw, goes_on: false }).collect()
            }
            Self::Box(area) => boxed(sheet, *area).into_iter().collect(),
            Self::Answer(_) => Vec::new(),
        }
    }
}

/// What the first `N` groups of an expression hold, for each match on the page.
pub(super) fn groups<'s, const N: usize>(
    sheet: &'s Sheet<'_>,
    expression: &'s Regex,
) -> impl Iterator<Item = ((usize, usize), [String; N])> + 's {
    let texts = move |text: &str, found: &mut Vec<[String; N]>| {
        // Most lines match nothing, and asking that first is far cheaper than asking for groups.
        if expression.is_match(text) {
            let group = |c: &regex::Captures<'_>, n: usize| c.get(n + 1).map_or("", |g| g.as_str()).to_owned();
            found.extend(expression.captures_iter(text).map(|c| std::array::from_fn(|n| group(&c, n))));
        }
    };
    sheet.rows.iter().enumerate().flat_map(move |(index, row)| {
        let mut found = Vec::new();
        texts(&row.text, &mut found);
        if found.is_empty() && row.cells.len() > 1 {
            (0..row.cells.len()).for_each(|cell| texts(&row.cell_text(cell), &mut found));
        }
        found.into_iter().enumerate().map(move |(n, groups)| ((index, n), groups))
    })
}

fn after(sheet: &Sheet<'_>, index: usize, hit: Hit, lines: u32) -> Spot {
    let at = (hit.row, hit.first);
    let nothing = Spot { at, raw: String::new(), goes_on: false };
    let Some(row) = sheet.rows.get(hit.row) else { return nothing };
    let next_label = sheet.hits.get(index + 1).filter(|next| next.row == hit.row);
    let end = next_label.map_or(row.words.len(), |next| next.first);
    let next_x = next_label.and_then(|next| row.cell_of(next.first)).map_or(f32::INFINITY, |cell| cell.x);
    let raw = row.raw(hit.next, hit.inside, end);
    if raw.is_empty() {
        return below(sheet, row, hit, lines).unwrap_or(nothing);
    }
    let start = if hit.inside.is_some() { hit.next.saturating_sub(1) } else { hit.next };
    let Some(value) = row.cell_of(start) else { return Spot { at, raw, goes_on: false } };
    // In one cell with its label, a value has no column of its own.
    let own_cell = row.cell_of(hit.first).is_none_or(|label| label.x < value.x);
    let column = Column { left: value.x - COLUMN_SLACK_MM, right: next_x, alone: true };
    let more = if own_cell { column.read(sheet, hit.row, value, lines.saturating_sub(1)) } else { Vec::new() };
    let raw = more.into_iter().fold(raw, |text, line| text + " " + &line);
    Spot { at, raw, goes_on: false }
}

fn below(sheet: &Sheet<'_>, row: &Row<'_>, hit: Hit, lines: u32) -> Option<Spot> {
    let label = row.cell_of(hit.first)?;
    let last = row.words.get(hit.next.saturating_sub(1))?.cell;
    let first = row.words.get(hit.first)?.cell;
    let left = first.checked_sub(1).and_then(|c| row.cells.get(c)).map_or(0.0, |before| before.right);
    let right = row.cells.get(last + 1).map_or(f32::INFINITY, |after| after.x);
    let column = Column { left, right, alone: false };
    let mut found = column.read(sheet, hit.row, label, lines.saturating_add(1));
    let goes_on = found.len() > lines as usize;
    found.truncate(lines as usize);
    Some(Spot { at: (hit.row, hit.first), raw: found.join(" "), goes_on })
}

/// A column of text below a cell.
struct Column {
    left: f32,
    right: f32,
    /// Nothing may stand left of it: a line with text there is another row of the form.
    alone: bool,
}

impl Column {
    /// Up to `most` lines of it, each close below the one before; a known label ends it.
    fn read(&self, sheet: &Sheet<'_>, above: usize, top: &Cell<'_>, most: u32) -> Vec<String> {
        let mut lines = Vec::new();
        let mut last_y = top.y;
        let height = top.height.max(2.0);
        for (index, row) in sheet.rows.iter().enumerate().skip(above + 1) {
            let inside = |cell: &Cell<'_>| cell.x >= self.left && cell.x < self.right;
            let mut cells = row.cells.iter().enumerate().filter(|(_, cell)| inside(cell)).peekable();
            let close = |y: f32| y - last_y <= 3.0 * height;
            match cells.peek() {
                _ if lines.len() >= most as usize => break,
                None if row.cells.first().is_some_and(|cell| !close(cell.y)) => break,
                None if self.alone => break,
                None => continue,
                Some((_, cell)) if !close(cell.y) => break,
                Some((_, cell)) => last_y = cell.y,
            }
            let numbers: Vec<usize> = cells.map(|(number, _)| number).collect();
            let labelled = sheet
                .hits
                .iter()
                .filter(|hit| hit.row == index)
                .any(|hit| self.alone || row.words.get(hit.first).is_some_and(|word| numbers.contains(&word.cell)));
            let begins_here = |cell: &Cell<'_>| cell.x >= self.left && cell.x <= top.x + INDENT_MM;
            if labelled || self.alone && !row.cells.first().is_some_and(begins_here) {
                break;
            }
            let texts = numbers.iter().filter_map(|n| row.cells.get(*n)).map(|cell| cell.raw.trim());
            lines.push(texts.collect::<Vec<_>>().join(" "));
        }
        lines
    }
}

/// All whole cells whose middle lies in the box, as one value.
fn boxed(sheet: &Sheet<'_>, [left, top, right, bottom]: [f32; 4]) -> Option<Spot> {
    let mut texts = Vec::new();
    let mut at = None;
    for (index, row) in sheet.rows.iter().enumerate() {
        for (number, cell) in row.cells.iter().enumerate() {
            let (x, y) = ((cell.x + cell.right) / 2.0, cell.y + cell.height / 2.0);
            if (left..=right).contains(&x) && (top..=bottom).contains(&y) {
                at.get_or_insert((index, number));
                texts.push(cell.raw.trim());
            }
        }
    }
    at.map(|at| Spot { at, raw: texts.join(" "), goes_on: false })
}
