//! What one reading may spend. Every loop over document data draws from here, so none can run away.

use std::cell::Cell;

use super::{Limits, Unreadable};

/// Glyph and paint comparisons of one document; a dense real page needs some ten thousand.
const MAX_COMPARISONS: usize = 20_000_000;

/// What is left.
pub(super) struct Budget {
    inflated: Cell<usize>,
    operators: Cell<usize>,
    comparisons: Cell<usize>,
    /// Nesting of forms, arrays and dictionaries.
    pub(super) depth: usize,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            inflated: Cell::new(limits.max_inflated_bytes),
            operators: Cell::new(limits.max_operators),
            comparisons: Cell::new(MAX_COMPARISONS),
            depth: limits.max_depth,
        }
    }

    /// Bytes that may still come out of streams.
    pub(super) fn inflated_left(&self) -> usize {
        self.inflated.get()
    }

    pub(super) fn inflate(&self, bytes: usize) -> Result<(), Unreadable> {
        draw(&self.inflated, bytes, "too_large")
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
