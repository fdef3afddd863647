//! What the release gate pays for its checks, beside reading the document.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark is no product"
)]

#[path = "../tests/checks/scene.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod scene;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sekisho_issuance::checks::Content;
use sekisho_issuance::normalize;

fn judge(c: &mut Criterion) {
    let plan = scene::plan(&format!("[echo]\nheader = \"X-Request-Id\"\n{}", scene::CHECKS));
    for (name, people, sheets) in [
        ("judge one person on one page", vec![scene::taro()], scene::certificate(&[&[scene::taro()]])),
        (
            "judge two people on two pages",
            vec![scene::taro(), scene::hanako()],
            scene::certificate(&[&[scene::taro()], &[scene::hanako()]]),
        ),
    ] {
        let mut scene = scene::asked(&people);
        scene.headers.push(("x-request-id".to_owned(), scene::REQUEST.to_string().into_bytes()));
        let document = scene::document(sheets);
        assert!(plan.judge(&scene.evidence(), Content::Document(document.clone())).all_match());
        c.bench_function(name, |b| {
            b.iter_batched(
                || document.clone(),
                |document| plan.judge(black_box(&scene.evidence()), Content::Document(document)),
                BatchSize::SmallInput,
            );
        });
    }
}

fn pieces(c: &mut Criterion) {
    c.bench_function("normalize a name", |b| b.iter(|| normalize::name(black_box("髙橋　太郎"))));
    c.bench_function("read an era date", |b| b.iter(|| normalize::date(black_box("昭和５５年３月１２日"))));
    let body = br#"{"id":"1001","name":"x","birth":"1980-03-12","sex":"m","address":"y","version":"7","household":[]}"#;
    let fields = scene::lookup_fields(scene::LOOKUP);
    c.bench_function("parse a lookup reply", |b| b.iter(|| fields.parse(black_box(body))));
}

criterion_group!(benches, judge, pieces);
criterion_main!(benches);
