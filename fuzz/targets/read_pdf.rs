//! Any bytes end in a document or a reason, within bounds. What it finds goes to `issuance/tests/corpus/regressions/`,
//! which a test reads.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sekisho_fuzz::bounded;
use sekisho_issuance::document::{Limits, read};

const LIMITS: Limits = Limits {
    max_file_bytes: 1 << 20,
    max_pages: 8,
    max_objects: 2_000,
    max_inflated_bytes: 2 << 20,
    max_operators: 20_000,
    max_depth: 16,
};

fuzz_target!(|bytes: &[u8]| {
    bounded(|| {
        if let Ok(document) = read(bytes, &LIMITS) {
            assert!(!document.pages.is_empty());
            assert!(document.pages.iter().all(|page| !page.lines.is_empty()));
        }
    });
});
