//! What a certificate costs the release gate from its bytes to the findings of every check, and to the read page alone, as three
//! sorts of producers write it.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a benchmark is no product")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use sekisho_issuance::answer::AnswerView;
use sekisho_issuance::certificate::Kind;
use sekisho_issuance::checks::{
    CheckPlan, ChecksSpec, Evidence, LookupContext, LookupFields, LookupReply, PlanContext, Reached,
};
use sekisho_issuance::document::{Limits, read, warm};
use sekisho_issuance::id::{CardDigest, KioskId, MunicipalityCode, RequestId, ResidentId, SessionId};
use sekisho_issuance::request::{Facts, Operation};

// The allocator of the gateway.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REQUEST: RequestId = RequestId::from_u128(7);

/// Style, document, resident, municipality and its name, and what the authority says; all made up by the simulated backend.
const PAPERS: [(&str, &[u8], &str, &str, &str); 3] = [
    (
        "embedded subset",
        include_bytes!("papers/embedded-subset.pdf"),
        "991007",
        "見本市",
        r#"{"id":"9910070001","name":"後藤　日菜","birth":"1981-01-07","sex":"女","address":"架空県見本市青葉台九丁目２１番２７号","version":"1"}"#,
    ),
    (
        "90ms-RKSJ-H",
        include_bytes!("papers/90ms-rksj.pdf"),
        "991015",
        "手本市",
        r#"{"id":"9910150001","name":"前田　優子","birth":"1978-04-05","sex":"女","address":"架空県手本市大手町七丁目２番１８号","version":"1"}"#,
    ),
    (
        "UniJIS-UCS2-H",
        include_bytes!("papers/unijis-ucs2.pdf"),
        "991023",
        "例示市",
        r#"{"id":"9910230001","name":"伊東　美里","birth":"1984-03-09","sex":"女","address":"架空県例示市中央一丁目２６番２８号　ハイツ旭７０９号室","version":"1"}"#,
    ),
];

const LOOKUP: &str = r#"
    id = { json = "/id" }
    name = { json = "/name" }
    birth_date = { json = "/birth" }
    sex = { json = "/sex" }
    address = { json = "/address" }
    version = { json = "/version" }
"#;

const CHECKS: &str = r#"
    echo = { header = "X-Request-Id" }
    shape = { status = [200], media_type = "application/pdf", size = ["1KiB", "2MiB"] }
    pages = { line = '^(\d+)／(\d+)$' }
    municipality = { line = '^(.+[市区町村])長' }
    issued_on = { after = "発行日" }
    issue_number = { after = "発行番号" }
    version = { probe = "resident" }
    unique = { window = "48h" }
    [identity]
    with = "resident"
    enough = [["name", "birth_date", "sex", "address"]]
    [identity.fields]
    name = { after = "氏名", prefix = 30 }
    birth_date = { after = "生年月日" }
    sex = { after = "性別" }
    address = { after = "住所" }
"#;

fn plan(lookup: &LookupFields) -> CheckPlan {
    let spec: ChecksSpec = toml::from_str(CHECKS).unwrap();
    let mut context = PlanContext::new(Operation::Issue);
    context.kind = Some(Kind::ResidentRecord);
    context.lookups.insert("resident", LookupContext { fields: lookup, independent: true });
    context.resident_is_proven = true;
    context.municipality_is_proven = true;
    context.municipality_names = true;
    CheckPlan::compile(&spec, &context).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

fn facts(reply: &LookupReply, city: &str) -> Facts {
    let id: Option<ResidentId> = reply.people.first().and_then(|person| person.id.clone());
    Facts {
        kiosk: KioskId::new("K-0001").ok(),
        session: SessionId::new("S-1").ok(),
        municipality: MunicipalityCode::new(city).ok(),
        residents: id.iter().cloned().collect(),
        applicant: id,
        kind: Some(Kind::ResidentRecord),
        selection: Default::default(),
        card: CardDigest::new("C-1").ok(),
        idempotency_key: None,
    }
}

fn papers(criterion: &mut Criterion) {
    warm();
    let lookup: LookupFields = toml::from_str(LOOKUP).unwrap();
    let plan = plan(&lookup);
    for (style, body, city, name, record) in PAPERS {
        let reply = lookup.parse(record.as_bytes()).unwrap();
        let (facts, reached) = (facts(&reply, city), Reached::default());
        let headers = [
            ("content-type".to_owned(), b"application/pdf".to_vec()),
            ("content-length".to_owned(), body.len().to_string().into_bytes()),
            ("x-request-id".to_owned(), REQUEST.to_string().into_bytes()),
        ];
        let evidence = Evidence {
            facts: &facts,
            request: REQUEST,
            nonce: 1,
            answer: AnswerView { status: 200, headers: &headers, body, framing_surprise: false },
            sent_at: "2026-11-22T10:00:00+09:00".parse().unwrap(),
            received_at: "2026-11-22T10:00:03+09:00".parse().unwrap(),
            before: Some(&reply),
            after: Some(&reply),
            reached: &reached,
            municipality_name: Some(name),
            clock_synchronized: true,
        };
        let found = plan.run(&evidence);
        assert!(found.all_match(), "{:#?}", found.findings);
        criterion.bench_function(&format!("read, {style}"), |bencher| {
            bencher.iter(|| read(black_box(body), &Limits::default()));
        });
        criterion.bench_function(&format!("read and check, {style}"), |bencher| {
            bencher.iter(|| plan.run(black_box(&evidence)));
        });
    }
}

criterion_group!(benches, papers);
criterion_main!(benches);
