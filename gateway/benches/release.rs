//! What one release costs the gateway beside sockets: judging a 2 KB record and a one-page certificate, and committing to a disk that is memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a benchmark is no product")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::FutureExt;
use http::HeaderMap;
use http_body_util::BodyExt;
use jiff::Timestamp;
use sekisho_gateway::bound::Bound;
use sekisho_gateway::bracket::Brackets;
use sekisho_gateway::clock::Clock;
use sekisho_gateway::config::Config;
use sekisho_gateway::latch::Latches;
use sekisho_gateway::record::SEGMENT_BYTES;
use sekisho_gateway::registry::{Enabled, Registry};
use sekisho_gateway::release::Gate;
use sekisho_gateway::state_dir::StateDir;
use sekisho_gateway::switch::Switches;
use sekisho_issuance::binding::BindingKey;
use sekisho_issuance::certificate::{DocumentBytes, Kind};
use sekisho_issuance::context::{RequestContext, TraceParent};
use sekisho_issuance::fence::{Epoch, Fence};
use sekisho_issuance::id::{KioskId, MunicipalityCode, RequestId, ResidentId, SessionId};
use sekisho_issuance::request::Facts;
use sekisho_worker::assignment::{Answer, Attestation};
use sekisho_worker::owner::{Attested, Settlement, StageTimes};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RESIDENT: &str = "10000000001";
const REQUEST: RequestId = RequestId::from_u128(7);
const PAPERS: [(&str, &[u8]); 3] = [
    ("embedded subset", include_bytes!("../../issuance/tests/corpus/readable/reportlab-ttf.pdf")),
    ("90ms-RKSJ-H", include_bytes!("../../issuance/tests/corpus/readable/by-hand-sjis.pdf")),
    ("UniJIS-UCS2-H", include_bytes!("../../issuance/tests/corpus/readable/by-hand-ucs2.pdf")),
];

fn now() -> Timestamp {
    "2026-11-22T12:00:00+09:00".parse().unwrap()
}

struct Bench {
    gate: Gate,
    config: Arc<Config>,
    _dir: tempfile::TempDir,
}

fn bench() -> Bench {
    let memory = std::path::Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let state = StateDir::open(&dir.path().join("state")).unwrap();
    let (registry, clock) = (Arc::new(Registry::isolated()), Clock::fixed(now()));
    let latches = Arc::new(Latches::open(&state.path("latches"), clock.clone()).unwrap());
    let switches = Arc::new(Switches::open(&state.path("switches"), &state.path("off"), clock.clone()).unwrap());
    let brackets = Arc::new(Brackets::open(&state.path("brackets"), clock.clone()).unwrap());
    let gate = Gate::open(&state, registry.clone(), latches, switches, brackets, clock, SEGMENT_BYTES).unwrap();
    let config = sekisho_gateway::config::parse(include_str!("release.toml"));
    let config = Arc::new(config.unwrap_or_else(|m| panic!("{m:#?}")));
    gate.in_force().set(config.clone());
    let routes = config.routes.iter().map(|r| (r.name.clone(), r.operation)).collect();
    registry.declare(&Enabled { routes, ..Default::default() });
    Bench { gate, config, _dir: dir }
}

impl Bench {
    fn bound(&self, route: &str) -> Bound {
        let trace = TraceParent { trace_id: 1, parent_id: 1, flags: 0 };
        let context = RequestContext::freeze(REQUEST, trace, Instant::now(), now(), Duration::from_secs(3600));
        let municipality = MunicipalityCode::new("991007").unwrap();
        let resident = ResidentId::new(RESIDENT).unwrap();
        let route = self.config.routes.get(route).unwrap().clone();
        let facts = Facts {
            kiosk: KioskId::new("K-0001").ok(),
            session: SessionId::new("S-1").ok(),
            municipality: Some(municipality),
            residents: vec![resident.clone()],
            applicant: Some(resident),
            kind: route.kind.filter(|k| *k == Kind::ResidentRecord),
            selection: Default::default(),
            card: None,
            idempotency_key: None,
        };
        let tenant = self.config.tenants.get(&municipality).cloned();
        Bound::seal(&BindingKey::new([7; 32]), context, facts, route, tenant, 1, None)
    }
}

fn record(pad: usize) -> Vec<u8> {
    let pad = "x".repeat(pad);
    format!(
        r#"{{"id":"{RESIDENT}","name":"見本　花子","birth":"1980-03-12","sex":"女","address":"見本県見本市中央一丁目２番３号","version":"7","requestId":"{REQUEST}","note":"{pad}"}}"#
    )
    .into_bytes()
}

fn answer(media_type: &str, body: Vec<u8>) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", media_type.parse().unwrap());
    headers.insert("content-length", body.len().into());
    headers.insert("x-request-id", REQUEST.to_string().parse().unwrap());
    let body = DocumentBytes::new(body);
    Answer { status: 200, headers, body, framing_surprise: false, sent_at: now(), received_at: now() }
}

fn attested(bound: &Bound, answer: Answer) -> Attested {
    let lookup = || self::answer("application/json", record(200));
    let digest = *blake3::hash(answer.body.as_slice()).as_bytes();
    Attested {
        attestation: Attestation { binding: *bound.binding(), fence: Fence(1), epoch: Epoch(1), digest },
        answer,
        job: None,
        before: Some(lookup()),
        after: Some(lookup()),
        out_of_time: false,
        times: StageTimes::default(),
        settlement: Settlement::of_nothing(),
    }
}

fn releasing(criterion: &mut Criterion) {
    sekisho_issuance::document::warm();
    let bench = bench();
    let inquiry = bench.bound("inquiry");
    let certificate = bench.bound("resident_record");
    let mut answers = vec![("JSON 2 KB", &inquiry, "application/json", record(1_750))];
    answers.extend(PAPERS.map(|(style, bytes)| (style, &certificate, "application/pdf", bytes.to_vec())));
    let mut group = criterion.benchmark_group("decide");
    for (name, bound, media_type, body) in &answers {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(*name, |bencher| {
            bencher.iter_batched(
                || attested(bound, answer(media_type, body.clone())),
                |attested| {
                    let decided = bench.gate.decide(bound, black_box(attested)).now_or_never();
                    drop(decided.unwrap().unwrap_or_else(|why| panic!("{why:?}")));
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut group = criterion.benchmark_group("decide, commit and hand over");
    // The record may leave as often as it is asked for; a certificate has one issue number.
    group.bench_function("JSON 2 KB", |bencher| {
        bencher.iter_batched(
            || attested(&inquiry, answer("application/json", record(1_750))),
            |attested| {
                runtime.block_on(async {
                    let released = bench.gate.decide(&inquiry, attested).await.unwrap();
                    let out = bench.gate.commit(&inquiry, released, || Ok(())).await.unwrap();
                    out.response.into_body().collect().await.unwrap()
                })
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, releasing);
criterion_main!(benches);
