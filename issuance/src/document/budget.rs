//! What one reading may spend. Every loop over document data draws from here, so none can run away.

use std::cell::Cell;

use super::filter::Inflater;
use super::{Limits, Unreadable};

/// Glyph and paint comparisons of one document; a dense real page needs some ten thousand.
const MAX_COMPARISONS: usize = 50_000_000;

/// Objects, entries and array items of one file; each costs some forty bytes.
const MAX_VALUES: usize = 400_000;

/// Values before one operator; a long line of single glyphs has a few hundred.
const MAX_OPERAND_VALUES: usize = 20_000;

/// How many values may be parsed, and how deeply nested.
pub(super) struct Room {
    left: Cell<usize>,
    pub(super) depth: usize,
}

impl Room {
    pub(super) fn value(&self) -> Result<(), Unreadable> {
        draw(&self.left, 1, "too_complex")
    }
}

/// What is left.
pub(super) struct Budget {
    inflated: Cell<usize>,
    operators: Cell<usize>,
    comparisons: Cell<usize>,
    /// What streams are inflated with.
    pub(super) inflater: Inflater,
    /// Values of the file.
    pub(super) values: Room,
    /// Nesting of forms, arrays and dictionaries.
    pub(super) depth: usize,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            inflated: Cell::new(limits.max_inflated_bytes),
            operators: Cell::new(limits.max_operators),
            comparisons: Cell::new(MAX_COMPARISONS),
            inflater: Inflater::default(),
            values: Room { left: Cell::new(MAX_VALUES), depth: limits.max_depth },
            depth: limits.max_depth,
        }
    }

    /// Bytes that may still come out of streams, or be kept because of them.
    pub(super) fn inflated_left(&self) -> usize {
        self.inflated.get()
    }

    pub(super) fn inflate(&self, bytes: usize) -> Result<(), Unreadable> {
        draw(&self.inflated, bytes, "too_large")
    }

    /// Room for the operands of one operator.
    pub(super) fn operands(&self) -> Room {
        Room { left: Cell::new(MAX_OPERAND_VALUES), depth: self.depth }
    }

    pub(super) fn operator(&self) -> Result<(), Unreadable> {
        draw(&self.operators, 1, "too_complex")
    }

    pub(super) fn compare(&self, times: usize) -> Result<(), Unreadable> {
        draw(&self.comparisons, times, "too_complex")
    }
}

fn draw(from: &Cell<usize>, amount: usize, reason: &'static str) -> Result<(), Unreadable> {
    from.set(from.get().checked_sub(amount).ok_or(Unreadable(reason))?);
    Ok(())
}
