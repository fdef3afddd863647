//! Page assembly: the sheets of a certificate come from page workers and are put together by number.
//!
//! Right: by job and number. Wrong (tokushima): by form and number only, so that a late sheet's place is taken by another job's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::held;
use super::paper::Form;
use super::tray::Tray;

type Shelf<T> = Arc<Tray<T>>;

/// Where printed sheets wait: one shelf for each form, number of sheets and sheet number.
pub(super) struct Assembly<T> {
    shelves: Mutex<HashMap<(Form, usize, usize), Shelf<T>>>,
}

impl<T> Default for Assembly<T> {
    fn default() -> Self {
        Self { shelves: Mutex::default() }
    }
}

impl<T: Send + 'static> Assembly<T> {
    fn shelf(&self, form: Form, of: usize, sheet: usize) -> Shelf<T> {
        Arc::clone(held(&self.shelves).entry((form, of, sheet)).or_default())
    }

    /// Puts the job's sheets on the shelves and takes as many from them; the second one comes `late`.
    pub(super) async fn by_number(
        &self,
        form: Form,
        sheets: Vec<T>,
        late: Duration,
        patience: Duration,
    ) -> Option<Vec<T>> {
        let of = sheets.len();
        let mut collected = Vec::with_capacity(of);
        for (number, sheet) in sheets.into_iter().enumerate() {
            if number == 0 {
                collected.push(sheet);
                continue;
            }
            let shelf = self.shelf(form, of, number);
            if number == 1 && !late.is_zero() {
                let shelf = Arc::clone(&shelf);
                tokio::spawn(async move {
                    tokio::time::sleep(late).await;
                    shelf.put(sheet);
                });
            } else {
                shelf.put(sheet);
            }
            collected.push(tokio::time::timeout(patience, shelf.next()).await.ok().flatten()?);
        }
        Some(collected)
    }

    /// Throws away what lies on the shelves.
    pub(super) fn clear(&self) {
        held(&self.shelves).clear();
    }
}
