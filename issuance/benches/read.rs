//! Reading a one-page certificate as three sorts of producers write it.

#![allow(missing_docs, clippy::expect_used, reason = "a benchmark may fail this way")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use sekisho_issuance::document::{Limits, read, warm};

const STYLES: [(&str, &[u8]); 5] = [
    ("embedded_subset_identity_h", include_bytes!("../tests/corpus/readable/weasyprint.pdf")),
    ("embedded_simple_subsets", include_bytes!("../tests/corpus/readable/reportlab-ttf.pdf")),
    ("unembedded_90ms_rksj", include_bytes!("../tests/corpus/readable/by-hand-sjis.pdf")),
    ("unembedded_unijis_compressed", include_bytes!("../tests/corpus/readable/reportlab-cid.pdf")),
    ("object_streams_aes_256", include_bytes!("../tests/corpus/readable/qpdf-aes-256-streams.pdf")),
];

fn reading(criterion: &mut Criterion) {
    warm();
    let mut group = criterion.benchmark_group("read");
    for (style, bytes) in STYLES {
        group.bench_function(style, |bencher| {
            bencher.iter(|| read(black_box(bytes), &Limits::default()).expect("the corpus is readable"));
        });
    }
    group.finish();
}

criterion_group!(benches, reading);
criterion_main!(benches);
