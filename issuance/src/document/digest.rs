//! What the same paper always hashes to: text, places and pictures, never metadata, ids or dates of the file.

use super::{Document, Page};
use crate::certificate::wipe;

impl Page {
    /// BLAKE3 of this page's size, text, places and pictures: equal pages have equal digests.
    pub fn digest(&self) -> [u8; 32] {
        let texts: usize = self.lines.iter().flat_map(|line| &line.runs).map(|run| run.text.len() + 24).sum();
        // In one piece: hashing many small ones costs several times as much.
        let mut said = Vec::with_capacity(64 + texts + 8 * self.lines.len() + 48 * self.pictures.len());
        said.extend_from_slice(b"sekisho page 1");
        for size in [self.width_mm, self.height_mm] {
            said.extend_from_slice(&tenths(size));
        }
        said.extend_from_slice(&length(self.lines.len()));
        for line in &self.lines {
            said.extend_from_slice(&length(line.runs.len()));
            for run in &line.runs {
                said.extend_from_slice(&length(run.text.len()));
                said.extend_from_slice(run.text.as_bytes());
                for place in [run.x_mm, run.y_mm, run.width_mm, run.height_mm] {
                    said.extend_from_slice(&tenths(place));
                }
            }
        }
        said.extend_from_slice(&length(self.pictures.len()));
        for picture in &self.pictures {
            said.extend_from_slice(&picture.digest);
            for place in [picture.x_mm, picture.y_mm, picture.width_mm, picture.height_mm] {
                said.extend_from_slice(&tenths(place));
            }
        }
        let digest = blake3::hash(&said).into();
        wipe(&mut said);
        digest
    }
}

impl Document {
    /// A document of these pages, with its digest.
    pub fn from_pages(pages: Vec<Page>) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"sekisho document 1");
        hasher.update(&length(pages.len()));
        for page in &pages {
            hasher.update(&page.digest());
        }
        Self { pages, content_digest: hasher.finalize().into() }
    }
}

/// Tenths of a millimetre: finer than any printer's feed, coarser than a producer's rounding.
fn tenths(mm: f32) -> [u8; 4] {
    // `as` saturates, and NaN becomes 0.
    ((mm * 10.0).round() as i32).to_be_bytes()
}

fn length(n: usize) -> [u8; 8] {
    (n as u64).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use crate::document::{Document, Line, Page, Run};

    fn page(text: &str, x_mm: f32) -> Page {
        let run = Run { text: text.into(), x_mm, y_mm: 10.0, width_mm: 20.0, height_mm: 4.0 };
        Page { width_mm: 210.0, height_mm: 297.0, lines: vec![Line { runs: vec![run] }], pictures: Vec::new() }
    }

    #[test]
    fn digest_tells_texts_and_places_apart_but_not_roundings() {
        let digest = |pages: Vec<Page>| Document::from_pages(pages).content_digest;
        assert_eq!(digest(vec![page("見本 花子", 30.0)]), digest(vec![page("見本 花子", 30.001)]));
        assert_ne!(digest(vec![page("見本 花子", 30.0)]), digest(vec![page("見本 花", 30.0)]));
        assert_ne!(digest(vec![page("見本 花子", 30.0)]), digest(vec![page("見本 花子", 35.0)]));
        assert_ne!(digest(vec![page("a", 1.0), page("b", 1.0)]), digest(vec![page("b", 1.0), page("a", 1.0)]));
    }
}
