//! The work table: records are copied into a row, and a certificate is rendered from the row, reading it more than once.
//!
//! Right: a record update leaves rows alone. Wrong (adachi): the update job writes the new record into "the current row", which is a
//! variable that it shares with rendering, so it lands in whatever certificate took a row last.

use std::sync::{Arc, Mutex};

use super::held;
use super::paper::Extract;

#[derive(Debug, Default)]
struct Rows {
    rows: Vec<Option<Arc<Extract>>>,
    /// The shared variable.
    current: Option<usize>,
}

/// The rows of one municipality.
#[derive(Debug, Default)]
pub(super) struct WorkTable {
    inside: Mutex<Rows>,
}

/// A row that a certificate is rendered from; free again when dropped.
pub(super) struct Row<'a> {
    table: &'a WorkTable,
    at: usize,
}

impl WorkTable {
    /// Copies the extract into a free row.
    pub(super) fn take(&self, extract: Extract) -> Row<'_> {
        let mut inside = held(&self.inside);
        let free = inside.rows.iter().position(Option::is_none);
        let at = free.unwrap_or(inside.rows.len());
        let content = Some(Arc::new(extract));
        match inside.rows.get_mut(at) {
            Some(row) => *row = content,
            None => inside.rows.push(content),
        }
        inside.current = Some(at);
        Row { table: self, at }
    }

    /// The update job's mistake: the new record goes into the current row, if a certificate is using it.
    /// `rewrite` makes the new content from the old one (the row keeps its form).
    pub(super) fn rewrite_current(&self, rewrite: impl FnOnce(&Extract) -> Extract) {
        let mut inside = held(&self.inside);
        let Some(at) = inside.current else { return };
        if let Some(Some(row)) = inside.rows.get_mut(at) {
            *row = Arc::new(rewrite(row));
        }
    }
}

impl Row<'_> {
    /// What the row holds at this moment.
    pub(super) fn read(&self) -> Option<Arc<Extract>> {
        held(&self.table.inside).rows.get(self.at).cloned().flatten()
    }
}

impl Drop for Row<'_> {
    fn drop(&mut self) {
        if let Some(row) = held(&self.table.inside).rows.get_mut(self.at) {
            *row = None;
        }
    }
}
