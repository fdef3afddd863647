//! What the codes of one font were found to mean, by place instead of by hash: no text can make it slow.

use std::collections::HashMap;

use super::Unreadable;
use super::budget::Budget;
use super::font::Shown;

/// Codes on one page of the index.
const PAGE: usize = 64;

/// Pages of the two-byte codes, then those of the single bytes.
const PAGES: usize = 0x1_0000 / PAGE + 0x100 / PAGE;

/// Codes of one and two bytes by page, made when a code of it is first met; longer ones, which are rare, by hash.
pub(super) struct Known {
    shown: Vec<Shown>,
    /// The place in `pages` of each page, from 1 on.
    page_of: Box<[u16; PAGES]>,
    /// The place in `shown` of each code, from 1 on.
    pages: Vec<[u32; PAGE]>,
    longer: HashMap<(u32, u8), Shown>,
}

impl Default for Known {
    fn default() -> Self {
        // A usual page has some sixty different characters.
        let (shown, pages) = (Vec::with_capacity(64), Vec::with_capacity(16));
        Self { shown, page_of: Box::new([0; PAGES]), pages, longer: HashMap::new() }
    }
}

impl Known {
    /// The meaning of a code of so many bytes; `learn` is asked once for each.
    pub(super) fn get(
        &mut self,
        code: u32,
        bytes: u8,
        budget: &Budget,
        learn: impl FnOnce() -> Result<Shown, Unreadable>,
    ) -> Result<&Shown, Unreadable> {
        const NONE: Unreadable = Unreadable("unmapped_code");
        // The length belongs to the key: one byte 41 is not two bytes 0041.
        let key = match bytes {
            1 => 0x1_0000 + code as usize,
            2 => code as usize,
            _ => {
                return match self.longer.entry((code, bytes)) {
                    std::collections::hash_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
                    std::collections::hash_map::Entry::Vacant(entry) => Ok(entry.insert(learn()?)),
                };
            }
        };
        let page = self.page_of.get_mut(key / PAGE).ok_or(NONE)?;
        if *page == 0 {
            budget.inflate(size_of::<[u32; PAGE]>())?;
            self.pages.push([0; PAGE]);
            *page = self.pages.len() as u16;
        }
        let place = self.pages.get_mut(usize::from(*page) - 1).and_then(|page| page.get_mut(key % PAGE)).ok_or(NONE)?;
        if *place == 0 {
            self.shown.push(learn()?);
            *place = self.shown.len() as u32;
        }
        self.shown.get(*place as usize - 1).ok_or(NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Limits;

    #[test]
    fn codes_of_different_lengths_never_share_a_meaning() {
        let budget = Budget::new(&Limits::default());
        let mut known = Known::default();
        let codes = [(0x41, 1), (0x41, 2), (0x41, 3), (0x41, 4), (0, 1), (0, 2), (0xff, 1), (0xffff, 2), (u32::MAX, 4)];
        let shown = |n: usize| Shown::new('x'.into(), n as f64, false);
        for (n, (code, bytes)) in codes.into_iter().enumerate() {
            assert_eq!(known.get(code, bytes, &budget, || Ok(shown(n))).unwrap().width, n as f64);
        }
        for (n, (code, bytes)) in codes.into_iter().enumerate() {
            let again = known.get(code, bytes, &budget, || panic!("learned twice"));
            assert_eq!(again.unwrap().width, n as f64);
        }
    }
}
