use std::time::Duration;

use http::HeaderMap;
use http_body_util::BodyExt;
use jiff::Timestamp;
use sekisho_issuance::binding::BindingKey;
use sekisho_issuance::certificate::DocumentBytes;
use sekisho_issuance::context::{RequestContext, TraceParent};
use sekisho_issuance::fence::Fence;
use sekisho_issuance::id::{KioskId, MunicipalityCode, RequestId, ResidentId, SessionId};
use sekisho_issuance::request::Facts;
use sekisho_worker::assignment::{Answer, Attestation};
use sekisho_worker::owner::{Settlement, StageTimes};

use super::*;
use crate::config::Config;
use crate::durable_log::scripted::{Disk, Scripted};
use crate::evidence::PersonSecret;
use crate::problem::Code;
use crate::watermark::Watermark;

mod fetch;
mod trial;

mod crash;

const CONFIG: &str = include_str!("tests.toml");

fn now() -> Timestamp {
    "2026-11-22T12:00:00+09:00".parse().unwrap()
}

fn config(mode: &str) -> Config {
    crate::config::parse(&CONFIG.replace("MODE", mode)).unwrap_or_else(|m| panic!("{m:#?}"))
}

/// A gate on a disk that does what the test says.
struct Bench {
    gate: Gate,
    log: Arc<Scripted>,
    latches: Arc<Latches>,
    registry: Arc<Registry>,
    config: Config,
    key: BindingKey,
    state: tempfile::TempDir,
}

fn bench(mode: &str) -> Bench {
    bench_with_latch_disk(mode).0
}

/// The second is the latches' own disk.
fn bench_with_latch_disk(mode: &str) -> (Bench, Arc<Scripted>) {
    let log = Scripted::new();
    bench_over(mode, log.clone(), Records::scripted(log, Memory::default(), Clock::fixed(now())))
}

/// With records of the test's own; `log` is what [`Bench::log`] shows.
fn bench_over(mode: &str, log: Arc<Scripted>, records: Arc<Records>) -> (Bench, Arc<Scripted>) {
    let folder = tempfile::tempdir().unwrap();
    let state = StateDir::open(&folder.path().join("s")).unwrap();
    let clock = Clock::fixed(now());
    let registry = Arc::new(Registry::isolated());
    let latch_disk = Scripted::new();
    let latches = Arc::new(Latches::scripted(latch_disk.clone(), clock.clone()));
    let gate = Gate::new(GateParts {
        registry: registry.clone(),
        records,
        latches: latches.clone(),
        keys: state.keys().clone(),
        epoch: state.epoch(),
        switches: Arc::new(Switches::scripted(Scripted::new(), clock.clone())),
        brackets: Brackets::scripted(Scripted::new(), clock.clone()),
        clock,
        in_force: InForce::default(),
        evidence: Arc::new(EvidenceStore::open(state.root()).unwrap()),
    });
    let config = config(mode);
    gate.in_force().set(Arc::new(self::config(mode)));
    let routes = config.routes.iter().map(|r| (r.name.clone(), r.operation)).collect();
    registry.declare(&crate::registry::Enabled { routes, ..Default::default() });
    (Bench { gate, log, latches, registry, config, key: BindingKey::new([7; 32]), state: folder }, latch_disk)
}

impl Bench {
    fn bound(&self, route: &str, resident: &str, request: u128) -> Bound {
        self.bound_at(route, resident, request, "K-1", Duration::from_secs(30))
    }

    fn bound_at(&self, route: &str, resident: &str, request: u128, kiosk: &str, timeout: Duration) -> Bound {
        let trace = TraceParent { trace_id: 1, parent_id: 1, flags: 0 };
        let id = RequestId::from_u128(request);
        let context = RequestContext::freeze(id, trace, Instant::now(), now(), timeout);
        let municipality = MunicipalityCode::new("991007").unwrap();
        let resident = ResidentId::new(resident).unwrap();
        let facts = Facts {
            kiosk: KioskId::new(kiosk).ok(),
            session: SessionId::new("S-1").ok(),
            municipality: Some(municipality),
            residents: vec![resident.clone()],
            applicant: Some(resident),
            kind: None,
            selection: Default::default(),
            card: None,
            idempotency_key: None,
        };
        let route = self.config.routes.get(route).unwrap().clone();
        let tenant = self.config.tenants.get(&municipality).cloned();
        Bound::seal(&self.key, context, facts, route, tenant, 1, None)
    }

    fn gauge(&self, name: &str, with: &str) -> f64 {
        let text = self.registry.render();
        let found = text.lines().filter(|l| l.starts_with(name) && l.contains(with));
        found.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Verified, released, destroyed.
    fn documents(&self) -> (f64, f64, f64) {
        let ended = |end| self.gauge("sekisho_documents_ended_total", end);
        (self.gauge("sekisho_documents_verified_total", ""), ended("\"released\""), ended("\"destroyed\""))
    }
}

fn record_of(resident: &str, version: &str, request: &str) -> String {
    format!(r#"{{"id":"{resident}","name":"山田太郎","version":"{version}","requestId":"{request}"}}"#)
}

fn answer(status: u16, body: String) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    headers.insert("content-length", body.len().into());
    headers.insert("set-cookie", "session=another".parse().unwrap());
    headers.insert("x-served-by", "node-1".parse().unwrap());
    headers.insert("server", "legacy".parse().unwrap());
    let body = DocumentBytes::new(body.into_bytes());
    Answer { status, headers, body, framing_surprise: false, sent_at: now(), received_at: now() }
}

fn attested(bound: &Bound, answer: Answer) -> Attested {
    let lookup = |resident: &str| self::answer(200, record_of(resident, "7", "x"));
    let resident = bound.facts().applicant.as_ref().unwrap().expose();
    Attested {
        attestation: Attestation {
            binding: *bound.binding(),
            fence: Fence(1),
            epoch: Epoch(1),
            digest: *blake3::hash(answer.body.as_slice()).as_bytes(),
        },
        answer,
        job: None,
        before: Some(lookup(resident)),
        after: Some(lookup(resident)),
        out_of_time: false,
        times: StageTimes::default(),
        settlement: Settlement::of_nothing(),
    }
}

/// What the backend says of `about` to whoever asked with `bound`.
fn inquiry(bound: &Bound, about: &str) -> Attested {
    attested(bound, answer(200, record_of(about, "7", &bound.context().id().to_string())))
}

async fn body(response: Response<Body>) -> Vec<u8> {
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

/// Whether `text` has `id` as a word of its own; a digest in hexadecimal may hold its digits.
fn names(text: &str, id: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|word| word == id)
}

fn waits() -> Result<(), Gone> {
    Ok(())
}

#[tokio::test]
async fn a_right_answer_leaves_with_its_intent_its_result_and_its_counts() {
    let bench = bench("enforce");
    let bound = bench.bound("inquiry", "1001", 1);
    let released = bench.gate.decide(&bound, inquiry(&bound, "1001")).await.unwrap();
    assert_eq!(bench.documents(), (1.0, 0.0, 0.0));
    let out = bench.gate.commit(&bound, released, waits).await.unwrap();
    assert_eq!((out.outcome, out.reason), (Outcome::Answered, "verified"));
    let headers = out.response.headers().clone();
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["x-served-by"], "node-1", "allowed by the route");
    assert!(headers["content-digest"].to_str().unwrap().starts_with("sha-256=:"));
    for never in ["set-cookie", "server", "location"] {
        assert!(!headers.contains_key(never), "{never}");
    }
    let bytes = body(out.response).await;
    assert_eq!(headers["content-length"], bytes.len().to_string());
    assert_eq!(bench.documents(), (1.0, 1.0, 0.0));
    let records = bench.log.texts();
    assert!(records[0].contains("release_intent") && records[1].contains("complete"), "{records:#?}");
    assert!(!names(&records[0], "1001") && !records[0].contains("山田"), "no personal data: {}", records[0]);
}

#[tokio::test]
async fn a_name_in_a_parameter_of_the_media_type_does_not_leave() {
    let bench = bench("enforce");
    let bound = bench.bound("inquiry", "1001", 1);
    let mut attested = inquiry(&bound, "1001");
    let named = r#"application/json; name="yamada-hanako.json"; Charset=UTF-8"#;
    attested.answer.headers.insert("content-type", named.parse().unwrap());
    let released = bench.gate.decide(&bound, attested).await.unwrap();
    let out = bench.gate.commit(&bound, released, waits).await.unwrap();
    assert_eq!(out.response.headers()["content-type"], "application/json; Charset=UTF-8");
}

#[tokio::test]
async fn another_persons_answer_is_kept_in_and_suspends_at_once() {
    let bench = bench("enforce");
    let bound = bench.bound("inquiry", "1001", 1);
    let kept = bench.gate.decide(&bound, inquiry(&bound, "1002")).await.err().unwrap();
    assert_eq!(kept.reason(), "identity");
    let latch = bench.latches.show(kept.latch().unwrap()).unwrap();
    assert!(latch.confirmed && latch.evidence == *kept.evidence().unwrap());
    assert!(bench.latches.on_kind(bound.facts().municipality, DocumentKind::Answer).is_some());
    assert_eq!(bench.documents(), (0.0, 0.0, 0.0));
    let record = bench.log.texts().pop().unwrap();
    assert!(record.contains("withheld") && !names(&record, "1002") && !record.contains("山田"), "{record}");
}

#[tokio::test]
async fn an_answer_to_another_request_is_kept_in() {
    let bench = bench("enforce");
    let (mine, other) = (bench.bound("inquiry", "1001", 1), bench.bound("inquiry", "1001", 2));
    let kept = bench.gate.decide(&mine, inquiry(&other, "1001")).await.err().unwrap();
    assert_eq!(kept.reason(), "binding");
    let late = attested(&mine, answer(200, record_of("1001", "7", &other.context().id().to_string())));
    assert_eq!(bench.gate.decide(&mine, late).await.err().unwrap().reason(), "echo");
}

#[tokio::test]
async fn a_seal_that_does_not_come_back_whole_is_kept_in_even_in_observe() {
    for mode in ["enforce", "observe"] {
        let bench = bench(mode);
        let bound = bench.bound("inquiry", "1001", 1);
        let mut old = inquiry(&bound, "1001");
        old.attestation.epoch = Epoch(0);
        assert_eq!(bench.gate.decide(&bound, old).await.err().unwrap().reason(), "fence");
        let mut swapped = inquiry(&bound, "1001");
        swapped.attestation.digest = [0; 32];
        assert_eq!(bench.gate.decide(&bound, swapped).await.err().unwrap().reason(), "digest");
        assert_eq!(bench.gauge("sekisho_fence_rejections_total", "gate"), 1.0);
    }
}

#[tokio::test]
async fn no_byte_leaves_before_the_intent_is_durable() {
    let bench = bench("enforce");
    let bound = bench.bound("inquiry", "1001", 1);
    let released = bench.gate.decide(&bound, inquiry(&bound, "1001")).await.unwrap();
    bench.log.disk(Disk::Slow);
    let mut commit = Box::pin(bench.gate.commit(&bound, released, waits));
    assert!(futures_util::poll!(&mut commit).is_pending());
    assert!(bench.log.texts()[0].contains("release_intent"), "it is queued");
    bench.log.disk(Disk::Good);
    assert!(commit.await.is_ok());
}

#[tokio::test]
async fn when_the_intent_cannot_be_durable_nothing_leaves() {
    let bench = bench("enforce");
    let bound = bench.bound("inquiry", "1001", 1);
    let released = bench.gate.decide(&bound, inquiry(&bound, "1001")).await.unwrap();
    bench.log.disk(Disk::Broken);
    let kept = bench.gate.commit(&bound, released, waits).await.err().unwrap();
    assert_eq!(kept.reason(), "not_durable");
    assert_eq!(bench.documents(), (1.0, 0.0, 1.0));
}

#[tokio::test]
async fn when_a_latch_could_not_be_kept_nothing_leaves() {
    let (bench, latches_disk) = bench_with_latch_disk("enforce");
    let bound = bench.bound("inquiry", "1001", 1);
    let released = bench.gate.decide(&bound, inquiry(&bound, "1001")).await.unwrap();
    latches_disk.disk(Disk::Broken);
    assert_eq!(bench.gate.commit(&bound, released, waits).await.err().unwrap().reason(), "not_durable");
}

#[tokio::test]
async fn nobody_is_answered_before_the_latch_and_its_evidence_are_durable() {
    let (bench, latches_disk) = bench_with_latch_disk("enforce");
    let bound = bench.bound("inquiry", "1001", 1);
    latches_disk.disk(Disk::Slow);
    bench.log.disk(Disk::Slow);
    let mut decide = Box::pin(bench.gate.decide(&bound, inquiry(&bound, "1002")));
    assert!(futures_util::poll!(&mut decide).is_pending());
    assert!(bench.latches.on_kind(bound.facts().municipality, DocumentKind::Answer).is_some(), "it holds already");
    latches_disk.disk(Disk::Good);
    assert!(futures_util::poll!(&mut decide).is_pending(), "the evidence is not there yet");
    bench.log.disk(Disk::Good);
    assert_eq!(decide.await.err().unwrap().reason(), "identity");
}

#[tokio::test]
async fn what_is_said_while_the_intent_is_written_holds() {
    let city = MunicipalityCode::new("991007").ok();
    let reason = async |meanwhile: &dyn Fn(&Bench), waits: fn() -> Result<(), Gone>, timeout| {
        let bench = bench("enforce");
        let bound = bench.bound_at("inquiry", "1001", 1, "K-1", timeout);
        let released = bench.gate.decide(&bound, inquiry(&bound, "1001")).await.unwrap();
        bench.log.disk(Disk::Slow);
        let mut commit = Box::pin(bench.gate.commit(&bound, released, waits));
        assert!(futures_util::poll!(&mut commit).is_pending());
        meanwhile(&bench);
        bench.log.disk(Disk::Good);
        let kept = commit.await.err().unwrap();
        assert_eq!(bench.documents(), (1.0, 0.0, 1.0), "{kept:?}");
        assert!(bench.log.texts().last().unwrap().contains("destroyed"));
        kept.reason()
    };
    let long = Duration::from_secs(30);
    let latch = |bench: &Bench| {
        let failure = Failure {
            request: RequestId::from_u128(9),
            evidence: EvidenceId::of(b"x"),
            municipality: city,
            kind: DocumentKind::Answer,
            mode: crate::route::Mode::Enforce,
            people: 1,
            kiosk: None,
            at: now(),
        };
        let check = sekisho_issuance::verdict::CheckName::Identity;
        assert!(bench.latches.judge(crate::latch::Consequence::Confirmed(check), &failure).is_some());
    };
    let amend = |bench: &Bench| {
        let lane = LaneId::of(&bench.gate.0.keys.lane, city.unwrap(), &ResidentId::new("1001").unwrap());
        bench.gate.records().memory().watermarks.set(&Watermark::new(lane, "8", now()).unwrap());
    };
    assert_eq!(reason(&latch, waits, long).await, "suspended");
    assert_eq!(reason(&amend, waits, long).await, "superseded");
    assert_eq!(reason(&|_| {}, || Err(Gone::HungUp), long).await, "hung_up");
    assert_eq!(reason(&|_| {}, waits, Duration::ZERO).await, "late");
}

#[tokio::test]
async fn time_that_ran_out_before_all_was_asked_is_expiry_and_excuses_no_mismatch() {
    let ended = async |resident: &str, timeout, out_of_time: bool| {
        let bench = bench("enforce");
        let bound = bench.bound_at("inquiry", "1001", 1, "K-1", timeout);
        let mut fetched = inquiry(&bound, resident);
        (fetched.after, fetched.out_of_time) = (None, out_of_time);
        let kept = bench.gate.decide(&bound, fetched).await.err().unwrap();
        (kept.reason(), kept.problem(&bound).code(), kept.evidence().is_some())
    };
    let (long, over) = (Duration::from_secs(30), Duration::ZERO);
    assert_eq!(ended("1001", long, false).await, ("version", Code::Withheld, true));
    assert_eq!(ended("1001", over, false).await, ("late", Code::Expired, true));
    assert_eq!(ended("1001", long, true).await, ("late", Code::Expired, true), "not asked: no time was left for it");
    assert_eq!(ended("1002", long, true).await, ("identity", Code::Withheld, true));
    assert_eq!(ended("1002", over, false).await, ("identity", Code::Withheld, true));
}

#[tokio::test]
async fn what_was_verified_before_the_machine_slept_does_not_leave_after_it() {
    let bench = bench("enforce");
    let like = bench.bound("inquiry", "1001", 1);
    let arrived_at = now() - jiff::SignedDuration::from_hours(1);
    let context = like.context();
    let context =
        RequestContext::freeze(context.id(), context.trace(), Instant::now(), arrived_at, Duration::from_secs(30));
    let (facts, tenant) = (like.facts().clone(), like.tenant().cloned());
    let bound = Bound::seal(&bench.key, context, facts, like.route().clone(), tenant, 1, None);
    let released = bench.gate.decide(&bound, inquiry(&bound, "1001")).await.unwrap();
    assert_eq!(bench.gate.commit(&bound, released, waits).await.err().unwrap().reason(), "late");
}

#[tokio::test]
async fn a_document_that_nobody_takes_is_destroyed_and_one_that_is_cut_is_recorded_so() {
    let bench = bench("enforce");
    let take = async |request| {
        let bound = bench.bound("inquiry", "1001", request);
        let id = bound.context().id().to_string();
        let long = record_of("1001", "7", &id).replace('}', &format!(r#","pad":"{}"}}"#, "x".repeat(40_000)));
        let released = bench.gate.decide(&bound, attested(&bound, answer(200, long))).await.unwrap();
        bench.gate.commit(&bound, released, waits).await.unwrap().response
    };
    drop(take(1).await);
    assert!(bench.log.texts().pop().unwrap().contains("destroyed"));
    assert_eq!(bench.documents(), (1.0, 0.0, 1.0));
    let mut body = take(2).await.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    drop(body);
    let said = bench.log.texts().pop().unwrap();
    assert!(
        said.contains(r#""result":"cut""#) && said.contains(&format!(r#""after_bytes":{}"#, first.len())),
        "{said}"
    );
    assert_eq!(bench.documents(), (2.0, 1.0, 1.0));
}

#[tokio::test]
async fn an_amend_is_remembered_before_its_lane_is_free_and_an_older_answer_is_kept_in() {
    let bench = bench("enforce");
    let bound = bench.bound("amend", "1001", 1);
    let id = bound.context().id().to_string();
    let mut amended =
        attested(&bound, answer(200, format!(r#"{{"residentId":"1001","version":"8","requestId":"{id}"}}"#)));
    (amended.before, amended.after) = (None, None);
    let released = bench.gate.decide(&bound, amended).await.unwrap();
    let bound = bench.bound("inquiry", "1001", 2);
    let stale = bench.gate.decide(&bound, inquiry(&bound, "1001")).await.err().unwrap();
    assert_eq!(stale.reason(), "as_of");
    let bound = bench.bound("amend", "1001", 1);
    assert_eq!(bench.gate.commit(&bound, released, || Err(Gone::HungUp)).await.err().unwrap().reason(), "hung_up");
    let intents: Vec<_> = bench.log.texts().into_iter().filter(|r| r.contains("release_intent")).collect();
    assert!(intents[0].contains(r#""version":"8""#), "durable although the kiosk hung up: {intents:?}");
}

#[tokio::test]
async fn an_amend_is_acknowledged_only_with_a_version_that_can_be_remembered() {
    let bench = bench("enforce");
    let bound = bench.bound("probed_amend", "1001", 1);
    let amended = |after: &str| {
        let id = bound.context().id().to_string();
        let mut amended = attested(&bound, answer(200, format!(r#"{{"residentId":"1001","requestId":"{id}"}}"#)));
        amended.after = Some(answer(200, record_of("1001", after, "x")));
        amended
    };
    let kept = bench.gate.decide(&bound, amended("7")).await.err().unwrap();
    assert_eq!(kept.reason(), "version", "the authority does not show the change");
    assert!(bench.gate.decide(&bound, amended("8")).await.is_ok(), "it changes by the amend itself");
    let bound = bench.bound("inquiry", "1001", 2);
    assert_eq!(bench.gate.decide(&bound, inquiry(&bound, "1001")).await.err().unwrap().reason(), "as_of");

    let bound = bench.bound("amend", "1002", 3);
    let id = bound.context().id().to_string();
    let mut endless = attested(
        &bound,
        answer(200, format!(r#"{{"residentId":"1002","version":"8{}","requestId":"{id}"}}"#, " ".repeat(64))),
    );
    (endless.before, endless.after) = (None, None);
    assert_eq!(bench.gate.decide(&bound, endless).await.err().unwrap().reason(), "as_of");
}

#[tokio::test]
async fn a_lookup_that_goes_back_behind_what_it_showed_vouches_for_nothing_even_after_a_restart() {
    let bench = bench("enforce");
    let shows = |bound: &Bound, version: &str| {
        let mut shows = attested(bound, answer(200, record_of("1001", version, &bound.context().id().to_string())));
        (shows.before, shows.after) =
            (Some(answer(200, record_of("1001", version, "x"))), Some(answer(200, record_of("1001", version, "x"))));
        shows
    };
    let bound = bench.bound("inquiry", "1001", 1);
    let released = bench.gate.decide(&bound, shows(&bound, "8")).await.unwrap();
    bench.gate.commit(&bound, released, waits).await.unwrap();
    let intent = bench.log.texts().into_iter().find(|r| r.contains("release_intent")).unwrap();
    assert!(intent.contains(r#""shown_by":"resident""#), "{intent}");
    let bound = bench.bound("inquiry", "1001", 2);
    assert_eq!(bench.gate.decide(&bound, shows(&bound, "7")).await.err().unwrap().reason(), "version");
    let released = bench.gate.decide(&bound, shows(&bound, "8")).await.unwrap();
    assert!(released.value().watermarks.is_empty(), "no news");
}

#[tokio::test]
async fn a_withheld_acknowledgement_of_a_change_is_indeterminate() {
    let bench = bench("enforce");
    let bound = bench.bound("amend", "1001", 1);
    let kept = bench.gate.decide(&bound, attested(&bound, answer(200, "{}".to_owned()))).await.err().unwrap();
    assert_eq!(kept.problem(&bound).code(), Code::Indeterminate);
}

#[tokio::test]
async fn observe_lets_leave_counts_it_and_records_the_latch_without_suspending() {
    let bench = bench("observe");
    let bound = bench.bound("inquiry", "1001", 1);
    let released = bench.gate.decide(&bound, inquiry(&bound, "1002")).await.unwrap();
    assert!(!released.is_verified());
    let out = bench.gate.commit(&bound, released, waits).await.unwrap();
    assert_eq!(out.reason, "unverified");
    body(out.response).await;
    assert_eq!(bench.documents(), (0.0, 1.0, 0.0));
    assert_eq!(bench.gauge("sekisho_released_unverified_total", ""), 1.0);
    assert_eq!(bench.latches.list().len(), 1);
    assert!(bench.latches.on_kind(bound.facts().municipality, DocumentKind::Answer).is_none());
    assert!(bench.log.texts().iter().any(|r| r.contains("release_intent") && r.contains(r#""verified":false"#)));
}

fn refusal(resident: &str, code: &str) -> String {
    format!(
        r#"{{"error":{{"code":"{code}","residentId":"{resident}"}},"message":"山田花子さんは転出しました","requestId":"X"}}"#
    )
}

#[tokio::test]
async fn a_lawful_no_is_said_in_our_words_only() {
    let bench = bench("enforce");
    let bound = bench.bound("inquiry", "1001", 1);
    let no = refusal("1001", "MOVED_OUT").replace("\"X\"", &format!("\"{}\"", bound.context().id()));
    let released = bench.gate.decide(&bound, attested(&bound, answer(409, no))).await.unwrap();
    let out = bench.gate.commit(&bound, released, waits).await.unwrap();
    assert_eq!((out.outcome, out.reason), (Outcome::Refused, "refused"));
    let said = String::from_utf8(body(out.response).await).unwrap();
    assert!(said.contains("MOVED_OUT") && !said.contains("山田") && !names(&said, "1001"), "{said}");
    assert_eq!(bench.documents(), (1.0, 1.0, 0.0));
}

#[tokio::test]
async fn a_no_about_somebody_else_or_an_undeclared_one_is_kept_in() {
    let bench = bench("enforce");
    let bound = bench.bound("inquiry", "1001", 1);
    let id = format!("\"{}\"", bound.context().id());
    let other = attested(&bound, answer(409, refusal("1002", "MOVED_OUT").replace("\"X\"", &id)));
    assert_eq!(bench.gate.decide(&bound, other).await.err().unwrap().reason(), "identity");
    let late = attested(&bound, answer(409, refusal("1001", "MOVED_OUT")));
    assert_eq!(bench.gate.decide(&bound, late).await.err().unwrap().reason(), "echo");
    let unknown = attested(&bound, answer(409, refusal("1001", "SECRET").replace("\"X\"", &id)));
    assert_eq!(bench.gate.decide(&bound, unknown).await.err().unwrap().reason(), "shape");
    let doubled = refusal("1001", "MOVED_OUT").replace("\"X\"", &format!("{id},\"error\":{{}}"));
    let doubled = attested(&bound, answer(409, doubled));
    assert_eq!(bench.gate.decide(&bound, doubled).await.err().unwrap().reason(), "shape", "read either way");
}

#[tokio::test]
async fn a_no_that_does_not_say_about_whom_is_kept_in() {
    let bench = bench("enforce");
    let bound = bench.bound("inquiry", "1001", 1);
    let no = refusal("1001", "MOVED_OUT").replace("\"X\"", &format!("\"{}\"", bound.context().id()));
    for (named, leaves) in
        [("1001", true), ("\"1002\"", false), ("1002", false), ("null", false), ("[\"1001\"]", false)]
    {
        let said = no.replace("\"1001\"", named);
        let decided = bench.gate.decide(&bound, attested(&bound, answer(409, said))).await;
        assert_eq!(decided.err().map(|kept| kept.reason()), (!leaves).then_some("identity"), "{named}");
    }
    let silent = attested(&bound, answer(409, no.replace("residentId", "about")));
    assert_eq!(bench.gate.decide(&bound, silent).await.err().unwrap().reason(), "identity");
}

/// Where a legacy fault names nobody, it is the answer to the request that it echoes, or it stays in.
#[tokio::test]
async fn a_no_that_is_declared_to_name_nobody_leaves_only_with_the_echo_of_its_request() {
    let bench = bench("enforce");
    let bound = bench.bound("amend", "1001", 1);
    let no =
        |echo: &str| format!(r#"{{"error":{{"code":"MOVED_OUT"}},"message":"山田花子さん","requestId":"{echo}"}}"#);
    let own = bound.context().id().to_string();
    let released = bench.gate.decide(&bound, attested(&bound, answer(409, no(&own)))).await.unwrap();
    let out = bench.gate.commit(&bound, released, waits).await.unwrap();
    assert_eq!((out.outcome, out.reason), (Outcome::Refused, "refused"));
    let said = String::from_utf8(body(out.response).await).unwrap();
    assert!(said.contains("MOVED_OUT") && !said.contains("山田"), "{said}");
    for another in [no("another"), no(""), no(&own).replace("requestId", "id")] {
        let kept = bench.gate.decide(&bound, attested(&bound, answer(409, another.clone()))).await.err().unwrap();
        assert_eq!(kept.reason(), "echo", "{another}");
    }
}

#[tokio::test]
async fn unexplained_failures_of_several_people_at_several_kiosks_suspend() {
    let bench = bench("enforce");
    let broken = async |resident: &str, kiosk: &str, request| {
        let bound = bench.bound_at("inquiry", resident, request, kiosk, Duration::from_secs(30));
        let mut page = answer(200, "<html>error</html>".to_owned());
        page.headers.insert("content-type", "text/html".parse().unwrap());
        bench.gate.decide(&bound, attested(&bound, page)).await.err().unwrap()
    };
    assert!(broken("1001", "K-1", 1).await.latch().is_none());
    assert!(broken("1002", "K-1", 2).await.latch().is_none());
    assert!(broken("1003", "K-1", 3).await.latch().is_none(), "one kiosk alone");
    let last = broken("1004", "K-2", 4).await;
    assert!(!bench.latches.show(last.latch().unwrap()).unwrap().confirmed);
}

#[tokio::test]
async fn a_silent_authority_keeps_the_answer_in_and_suspends_nobody() {
    let bench = bench("enforce");
    for (i, kiosk) in ["K-1", "K-2", "K-3", "K-4"].into_iter().enumerate() {
        let bound = bench.bound_at("inquiry", &format!("100{i}"), 1 + i as u128, kiosk, Duration::from_secs(30));
        let mut silent = inquiry(&bound, &format!("100{i}"));
        (silent.before, silent.after) = (None, None);
        let kept = bench.gate.decide(&bound, silent).await.err().unwrap();
        assert!(kept.latch().is_none(), "{kept:?}");
    }
}

#[tokio::test]
async fn pass_hands_on_declared_media_types_and_never_a_certificate() {
    let bench = bench("enforce");
    let bound = bench.bound("notice", "1001", 1);
    let text = |media_type: &str, body: &str| {
        let mut answer = answer(200, body.to_owned());
        answer.headers.insert("content-type", media_type.parse().unwrap());
        let mut attested = attested(&bound, answer);
        attested.attestation.fence = Fence(0);
        attested
    };
    assert!(bench.gate.decide(&bound, text("text/plain; charset=utf-8", "お知らせ")).await.is_ok());
    assert!(bench.gate.decide(&bound, text("application/pdf", "x")).await.is_err());
    assert!(bench.gate.decide(&bound, text("text/plain", "%PDF-1.7 ...")).await.is_err());
}

/// Two people open what this process sealed and cannot read: who was asked about, who was seen, and the answer itself.
#[tokio::test]
async fn a_mismatch_is_sealed_so_that_two_people_can_name_the_victim() {
    let keys = tempfile::tempdir().unwrap();
    let at = |name: &str| keys.path().join(name);
    let (first, second) = (PersonSecret::make(&at("1")).unwrap(), PersonSecret::make(&at("2")).unwrap());
    let bench = bench("enforce");
    let text = format!("{}\n[audit]\nevidence_key = [\"{first}\", \"{second}\"]\n", CONFIG.replace("MODE", "enforce"));
    bench.gate.in_force().set(Arc::new(crate::config::parse(&text).unwrap_or_else(|m| panic!("{m:#?}"))));
    let bound = bench.bound("inquiry", "1001", 0x0190_0000_0000_7000_8000_0000_0000_0001);
    let other = inquiry(&bound, "1002");
    let body = other.answer.body.as_slice().to_vec();
    let kept = bench.gate.decide(&bound, other).await.err().unwrap();
    assert!(kept.latch().is_some());
    let record = bench.log.texts().pop().unwrap();
    assert!(!names(&record, "1002") && !names(&record, "1001"), "{record}");
    let Record::Withheld(record) = serde_json::from_str(&record).unwrap() else { panic!("{record}") };
    let sealed = record.sealed.unwrap();
    let (first, second) = (PersonSecret::read(&at("1")).unwrap(), PersonSecret::read(&at("2")).unwrap());
    let request = bound.context().id();
    let ids: serde_json::Value = serde_json::from_slice(&sealed.open_ids(&first, &second, request).unwrap()).unwrap();
    assert_eq!(ids["asked"]["applicant"], "1001");
    assert!(ids["observed"].to_string().contains("1002"), "{ids}");
    assert!(sealed.open_ids(&second, &first, request).is_err() && sealed.open_ids(&first, &first, request).is_err());
    let folder = bench.state.path().join("s").join(evidence::FOLDER);
    let answer = sealed.answer.unwrap();
    let on_disk = std::fs::read(folder.join(&answer.file)).unwrap();
    assert!(!on_disk.windows(4).any(|w| w == b"1002"), "only sealed bytes are on the disk");
    assert_eq!(*answer.open(&folder, &first, &second, request).unwrap(), body);
    // Its time over, it goes; the id of the request says when it was made.
    let made = Timestamp::from_millisecond((request.as_u128() >> 80) as i64).unwrap();
    let store = bench.gate.evidence();
    let keep = Duration::from_secs(3600);
    assert_eq!(store.forget(made + jiff::SignedDuration::from_secs(3600), keep).unwrap(), 0);
    assert_eq!(store.forget(made + jiff::SignedDuration::from_secs(3601), keep).unwrap(), 1);
    // What matches is never sealed.
    let right = bench.bound("inquiry", "1001", 7);
    assert!(bench.gate.decide(&right, inquiry(&right, "1001")).await.is_ok());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}
