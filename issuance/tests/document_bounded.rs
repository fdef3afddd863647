//! Whatever comes in, reading it ends, with a document or a reason, and says the same twice.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail this way")]

use std::path::Path;

use proptest::prelude::*;
use sekisho_issuance::document::{Limits, Unreadable, read};

fn corpus() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files = Vec::new();
    for folder in ["readable", "hostile"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "pdf") {
                files.push(path);
            }
        }
    }
    files.sort();
    files.into_iter().map(|path| std::fs::read(path).unwrap()).filter(|bytes| bytes.len() < 25_000).collect()
}

/// Tight enough that a runaway would show as a refusal, not as a slow test.
const LIMITS: Limits = Limits {
    max_file_bytes: 1 << 20,
    max_pages: 8,
    max_objects: 2_000,
    max_inflated_bytes: 2 << 20,
    max_operators: 20_000,
    max_depth: 16,
};

fn read_twice(bytes: &[u8]) -> Result<(), TestCaseError> {
    let outcome = read(bytes, &LIMITS);
    prop_assert_eq!(&outcome, &read(bytes, &LIMITS));
    if let Ok(document) = outcome {
        prop_assert!(document.pages.len() <= LIMITS.max_pages);
        for run in document.pages.iter().flat_map(|p| &p.lines).flat_map(|l| &l.runs) {
            prop_assert!(!run.text.trim().is_empty(), "an empty run");
            prop_assert!(!run.text.contains(char::REPLACEMENT_CHARACTER), "a replacement character");
            prop_assert!(run.x_mm.is_finite() && run.y_mm.is_finite() && run.width_mm >= 0.0);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_end_in_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        read_twice(&bytes)?;
    }

    #[test]
    fn damaged_documents_end_in_a_document_or_a_reason(
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let corpus = corpus();
        let mut bytes = corpus[which.index(corpus.len())].clone();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_twice(&bytes)?;
    }

    #[test]
    fn cut_or_joined_documents_end_in_a_reason(
        which in any::<(prop::sample::Index, prop::sample::Index)>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let corpus = corpus();
        let (first, second) = (&corpus[which.0.index(corpus.len())], &corpus[which.1.index(corpus.len())]);
        let cut = cut.index(first.len());
        let mut bytes = first[..cut].to_vec();
        // What ends in an end mark is whole: a file of two revisions cut between them is the first of them.
        let whole = bytes.trim_ascii_end().ends_with(b"%%EOF");
        if !whole && first[cut..].iter().any(|b| !b.is_ascii_whitespace()) {
            prop_assert!(read(&bytes, &LIMITS).is_err());
        }
        bytes.extend_from_slice(second);
        prop_assert!(read(&bytes, &LIMITS).is_err() || cut == 0);
    }

    #[test]
    fn any_content_ends_in_a_document_or_a_reason(content in "([-0-9. ]{0,9}|<[0-9A-F]{0,8}>|\\([a-z ]{0,5}\\)|/F1|/X1| BT | ET | Tj | TJ | Td | Tm | cm | q | Q | re | f | W n | S | Tf |BI /W 1 /H 1 ID |EI|[\\[\\]]){0,60}") {
        let content = format!("BT /F1 12 Tf 100 700 Td (ok) Tj ET {content}");
        read_twice(&page(content.as_bytes()))?;
    }
}

/// One page with this content.
fn page(content: &[u8]) -> Vec<u8> {
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    let mut object = |body: &[u8]| {
        offsets.push(out.len());
        out.extend(format!("{} 0 obj\n", offsets.len()).into_bytes());
        out.extend_from_slice(body);
        out.extend_from_slice(b"\nendobj\n");
    };
    object(b"<</Type/Catalog/Pages 2 0 R>>");
    object(b"<</Type/Pages/Kids[3 0 R]/Count 1>>");
    object(
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</XObject<</X1 5 0 R>>/Font<</F1<</Type/Font\
          /Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
    );
    let stream = |content: &[u8], dict: &str| {
        let head = format!("<<{dict}/Length {}>>\nstream\n", content.len()).into_bytes();
        [head.as_slice(), content, b"\nendstream"].concat()
    };
    object(&stream(content, ""));
    object(&stream(b"BT /F1 12 Tf 300 300 Td (form) Tj ET", "/Subtype/Form/BBox[0 0 595 842]"));
    let start = out.len();
    out.extend(b"xref\n0 6\n0000000000 65535 f \n");
    offsets.iter().for_each(|o| out.extend(format!("{o:010} 00000 n \n").into_bytes()));
    out.extend(format!("trailer\n<</Size 6/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n").into_bytes());
    out
}

#[test]
fn what_fuzzing_found_stays_fixed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/regressions");
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        read_twice(&bytes).unwrap();
    }
}

#[test]
fn the_page_used_above_is_readable() {
    assert_eq!(read(&page(b"BT /F1 12 Tf 100 700 Td (ok) Tj ET"), &LIMITS).map(|d| d.pages.len()), Ok(1));
    assert_eq!(read(&page(b""), &LIMITS).err(), Some(Unreadable("no_text")));
}
