//! Collects the evidence of one answer and asks the route's checks and the gate's memory about it. Decides nothing.

use http::HeaderMap;
use sekisho_issuance::answer::{AnswerView, Body};
use sekisho_issuance::certificate::DocumentBytes;
use sekisho_issuance::checks::{Content, Evidence, LookupReply, Reached};
use sekisho_issuance::fence::Epoch;
use sekisho_issuance::id::ResidentId;
use sekisho_issuance::request::{Facts, Operation};
use sekisho_issuance::shard::LaneId;
use sekisho_issuance::verdict::{CheckName, FieldEvidence, Finding, Verdict};
use sekisho_worker::assignment::{Answer, Attestation, JobReport};
use sekisho_worker::owner::StageTimes;
use serde_json::{Value, json};
use std::sync::Arc;
use subtle::ConstantTimeEq;

use super::GateParts;
use super::about::about;
use crate::bound::Bound;
use crate::fetch;
use crate::record::About;
use crate::registry::{DocumentKind, name};
use crate::route::{Authority, Lookup, Mode, Named, Refusal, Route};
use crate::telemetry::Stages;
use crate::unique::{Claim, Digests, Seen};
use crate::watermark::Watermark;

/// An answer with all that its release needs.
pub struct Answered {
    /// The answer.
    pub what: What,
    /// What records say about it.
    pub(super) about: About,
    /// Pseudonym of the people it is for.
    pub(super) people: u64,
    /// Marks as they stood when it was judged; empty after an amend.
    pub(super) seen_marks: Vec<(LaneId, Option<String>)>,
    /// Marks that it sets.
    pub(super) watermarks: Vec<Watermark>,
    /// Time so far.
    pub(super) stages: Stages,
}

/// What may leave.
pub enum What {
    /// The backend's own bytes.
    Verbatim {
        /// Status.
        status: u16,
        /// All headers of the backend; the response writer picks.
        headers: HeaderMap,
        /// The bytes that were verified.
        body: DocumentBytes,
    },
    /// A declared no, to be said in our words.
    Refusal {
        /// Its code.
        code: Arc<str>,
        /// The status it came under.
        status: u16,
    },
}

/// What came back.
pub(super) struct Fetched {
    pub(super) attestation: Attestation,
    pub(super) answer: Answer,
    pub(super) job: Option<JobReport>,
    pub(super) before: Option<Answer>,
    pub(super) after: Option<Answer>,
    pub(super) turn: Turn,
}

/// Why it is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It came from the backend now.
    First,
    /// It passed once, and whom it was fetched for asks for it again: what it claimed then speaks for it.
    Again,
    /// Only to see what would become of it: nothing is claimed, kept as evidence or counted.
    Trial,
}

/// What there is to decide about.
pub(super) struct Judged {
    pub(super) answered: Answered,
    pub(super) document: DocumentKind,
    pub(super) findings: Vec<Finding>,
    pub(super) claim: Option<Claim>,
    pub(super) marks: Vec<Watermark>,
    /// What was seen instead of what was asked for, where somebody will be able to open it: JSON, never logged.
    pub(super) observed: Option<Value>,
}

/// What a route's answers are counted and suspended as.
pub(super) fn document_kind(route: &Route) -> DocumentKind {
    route.kind.map_or(DocumentKind::Answer, DocumentKind::Certificate)
}

/// Binding, fence and digest must come back as they were sent out; compared in constant time.
pub(super) fn seal(bound: &Bound, epoch: Epoch, attestation: &Attestation, body: &[u8]) -> Result<(), &'static str> {
    if !bound.binding().matches(&attestation.binding) {
        return Err("binding");
    }
    if attestation.epoch != epoch || attestation.fence.0 == 0 && bound.route().operation.speaks_of_resident() {
        return Err("fence");
    }
    let digest = blake3::hash(body);
    if bool::from(digest.as_bytes().ct_eq(&attestation.digest)) { Ok(()) } else { Err("digest") }
}

/// Asks every check of the route, then the memory.
pub(super) fn judge(parts: &GateParts, bound: &Bound, fetched: Fetched, times: &StageTimes) -> Judged {
    let Fetched { attestation, answer, job, before, after, turn } = fetched;
    let (route, facts) = (bound.route(), bound.facts());
    let fields = answer.fields();
    let view = answer.view(&fields);
    let (asked_before, asked_after) = (lookup_before(route, facts), route.lookup.as_ref());
    // Nothing changed in most cases: the same lookup in the same words says the same, and is read once.
    let unchanged = asked_before.zip(asked_after).is_some_and(|(one, other)| Arc::ptr_eq(one, other))
        && before.as_ref().zip(after.as_ref()).is_some_and(|(before, after)| says_the_same(before, after));
    let before = before.as_ref().and_then(|b| reply(asked_before?, b));
    let after = if unchanged { None } else { after.as_ref().and_then(|a| reply(asked_after?, a)) };
    let after = if unchanged { before.as_ref() } else { after.as_ref() };
    let lanes = lanes_of(parts, facts);
    let watermarks = &parts.records.memory().watermarks;
    let seen_marks: Vec<_> = lanes.iter().map(|(lane, _)| (*lane, watermarks.get(*lane))).collect();
    let reached = Reached {
        amended: lanes
            .iter()
            .zip(&seen_marks)
            .filter_map(|((_, who), (_, mark))| Some(((*who).clone(), mark.clone()?)))
            .collect(),
        shown: asked_before.map_or_else(Vec::new, |lookup| {
            let shown =
                |(lane, who): &(LaneId, &ResidentId)| Some(((*who).clone(), watermarks.shown(*lane, &lookup.name)?));
            lanes.iter().filter_map(shown).collect()
        }),
        feed: facts.municipality.and_then(|municipality| parts.brackets.fed(municipality)),
    };
    let evidence = Evidence {
        facts,
        request: bound.context().id(),
        nonce: bound.nonce(),
        answer: view,
        sent_at: answer.sent_at,
        received_at: answer.received_at,
        before: before.as_ref(),
        after,
        reached: &reached,
        municipality_name: bound.tenant().map(|tenant| &*tenant.name),
        clock_synchronized: route.checks.reads_dates() && parts.in_force.clock_is_right(parts.clock.now()),
    };
    let people = people(parts, facts);
    let mut about = about(parts, bound, &attestation, &answer, times);
    let about_the_job = fetch::finding(bound, job.as_ref(), &answer, &view);
    // A no may come at any step of a job, but not in a reply that is another's.
    let another = about_the_job.as_ref().is_some_and(|f| matches!(f.verdict, Verdict::Mismatch { .. }));
    let refusal = route.refusals.as_ref().filter(|_| !another);
    let refusal = refusal.and_then(|r| r.recognise(&view));
    if let Some(refusal) = refusal {
        let Refusal { code, status, resident, said } = refusal;
        let observed = match &resident {
            Named::Resident(named) => Some(json!({ "resident": named })),
            Named::NotAsked | Named::Nobody => None,
        };
        let findings = refusal_findings(route, facts, &evidence, &resident, said);
        about.kind = DocumentKind::Refusal.name().into();
        about.findings = findings.iter().map(Into::into).collect();
        let what = What::Refusal { code, status };
        let answered = Answered { what, about, people, seen_marks, watermarks: Vec::new(), stages: Stages::default() };
        let (document, marks) = (DocumentKind::Refusal, Vec::new());
        return Judged { answered, document, findings, claim: None, marks, observed };
    }
    if fetch::ended_early(job.as_ref()) {
        // There is no document that the checks could be asked about.
        let findings: Vec<Finding> = about_the_job.into_iter().collect();
        about.findings = findings.iter().map(Into::into).collect();
        let what = What::Verbatim { status: answer.status, headers: answer.headers, body: answer.body };
        let answered = Answered { what, about, people, seen_marks, watermarks: Vec::new(), stages: Stages::default() };
        return Judged {
            answered,
            document: document_kind(route),
            findings,
            claim: None,
            marks: Vec::new(),
            observed: None,
        };
    }
    let found = route.checks.run(&evidence);
    let mut findings = found.findings;
    findings.extend(about_the_job);
    if !route.operation.speaks_of_resident() {
        findings.push(no_certificate(route, &view));
    }
    let digests = digests(parts, bound, &found.content_digest, found.issue_number.as_deref(), people);
    let claim = digests.and_then(|digests| remember(parts, bound, digests, &mut findings, turn));
    let marks = match route.operation {
        Operation::Amend => acknowledged(parts, facts, after, found.as_of.as_deref()),
        _ => shown(parts, &lanes, asked_before, before.as_ref(), &reached),
    };
    if route.operation == Operation::Amend && marks.is_empty() && found.as_of.is_some() {
        // What cannot be remembered cannot be acknowledged.
        findings.push(Finding {
            check: CheckName::AsOf,
            verdict: Verdict::Unverifiable { reason: "version_too_long" },
            independent: true,
        });
    }
    about.findings = findings.iter().map(Into::into).collect();
    let mismatched = findings.iter().any(|f| matches!(f.verdict, Verdict::Mismatch { .. }));
    let observed = (mismatched && turn != Turn::Trial && parts.in_force.evidence(bound).is_some()).then(|| {
        // Read once more: nobody keeps what was seen of answers that pass.
        let content = route.checks.read(view.body, view.header("content-type"));
        route.checks.explain(content, Some(&evidence)).get_mut("finds").map(Value::take).unwrap_or_default()
    });
    let what = What::Verbatim { status: answer.status, headers: answer.headers, body: answer.body };
    // An acknowledged change is not superseded by the mark that it sets itself.
    let seen_marks = if route.operation == Operation::Amend { Vec::new() } else { seen_marks };
    let answered = Answered { what, about, people, seen_marks, watermarks: marks.clone(), stages: Stages::default() };
    Judged { answered, document: document_kind(route), findings, claim, marks, observed }
}

/// The lookup that was asked inside the lanes before the call.
fn lookup_before<'a>(route: &'a Route, facts: &Facts) -> Option<&'a Arc<Lookup>> {
    let household = route.household.as_ref().filter(|household| {
        let asked = |(item, value): &(Arc<str>, Arc<str>)| {
            facts.selection.get(item.as_ref()).is_some_and(|chosen| **chosen == **value)
        };
        household.when.as_ref().is_none_or(asked)
    });
    household.map(|household| &household.lookup).or(route.lookup.as_ref())
}

/// A reply that was not asked for properly, or cannot be read, is no reply: what depends on it is Unverifiable.
fn reply(lookup: &Lookup, answer: &Answer) -> Option<LookupReply> {
    let usable = answer.status == 200 && !answer.framing_surprise;
    usable.then(|| lookup.read(answer).ok()).flatten()
}

/// Whether two answers are read alike by one lookup.
fn says_the_same(one: &Answer, other: &Answer) -> bool {
    one.status == other.status
        && one.framing_surprise == other.framing_surprise
        && one.body.as_slice() == other.body.as_slice()
}

/// A no must be an answer to this request and, where it names somebody, name who was asked about. Its text is never looked at.
fn refusal_findings(
    route: &Route,
    facts: &Facts,
    evidence: &Evidence<'_>,
    resident: &Named,
    said: Body<'_>,
) -> Vec<Finding> {
    let echo =
        route.checks.judge(evidence, Content::Data(said)).findings.into_iter().find(|f| f.check == CheckName::Echo);
    let shape = Finding { check: CheckName::Shape, verdict: Verdict::Match, independent: true };
    let mut findings = vec![shape];
    findings.extend(echo);
    let known = |named: &str| facts.applicant.iter().chain(&facts.residents).any(|r| r.expose() == named);
    let verdict = match resident {
        Named::NotAsked => return findings,
        // The route says where a refusal names its resident: one that does not may be anybody's.
        Named::Nobody => Verdict::Unverifiable { reason: "refusal_names_nobody" },
        Named::Resident(named) if known(named) => Verdict::Match,
        Named::Resident(named) => {
            let expected = facts.applicant.as_ref().map_or(0, |r| r.expose().chars().count());
            mismatch("resident", expected, named.chars().count())
        }
    };
    let independent = !matches!(route.authority, Authority::None);
    findings.push(Finding { check: CheckName::Identity, verdict, independent });
    findings
}

/// Where nobody is identified no certificate may leave, whatever else is checked; `pass` hands on declared media types only.
fn no_certificate(route: &Route, view: &AnswerView<'_>) -> Finding {
    let media_type = view.header("content-type").and_then(|t| t.split(';').next()).map(str::trim).unwrap_or("");
    let declared = route.pass_media_types.iter().any(|t| t.eq_ignore_ascii_case(media_type)) && view.status == 200;
    let certificate = view.body.windows(5).take(1024).any(|w| w == b"%PDF-") || holds_encoded_document(view.body);
    let good = (declared || route.operation != Operation::Pass) && !certificate && !view.framing_surprise;
    let verdict = if good { Verdict::Match } else { mismatch("media_type", 0, media_type.len()) };
    Finding { check: CheckName::Shape, verdict, independent: true }
}

/// The beginning of a PDF in base64, wherever it stands.
fn holds_encoded_document(body: &[u8]) -> bool {
    body.windows(6).any(|w| w == b"JVBERi")
}

fn mismatch(field: &str, expected_chars: usize, found_chars: usize) -> Verdict {
    let field =
        FieldEvidence { field: field.to_owned(), page: None, expected_chars, found_chars, differs_in: String::new() };
    Verdict::Mismatch { field }
}

/// The residents with their lanes, the applicant first.
pub(super) fn lanes_of<'f>(parts: &GateParts, facts: &'f Facts) -> Vec<(LaneId, &'f ResidentId)> {
    let Some(municipality) = facts.municipality else { return Vec::new() };
    let applicant_first =
        facts.applicant.iter().chain(facts.residents.iter().filter(|r| Some(*r) != facts.applicant.as_ref()));
    applicant_first.map(|resident| (LaneId::of(&parts.keys.lane, municipality, resident), resident)).collect()
}

/// The version that an amend was acknowledged with: the probe's, else what the answer says. Both are told, or the checks say no.
fn acknowledged(parts: &GateParts, facts: &Facts, after: Option<&LookupReply>, said: Option<&str>) -> Vec<Watermark> {
    let version = after.and_then(|reply| reply.version.as_deref()).or(said);
    let lane = facts.municipality.zip(facts.applicant.as_ref().or(facts.residents.first()));
    let mark = lane.zip(version).and_then(|((municipality, resident), version)| {
        let lane = LaneId::of(&parts.keys.lane, municipality, resident);
        Watermark::new(lane, version, parts.records.memory().watermarks.moment(lane, parts.clock.now()))
    });
    mark.into_iter().collect()
}

/// What the lookup showed of everybody asked for, where it is news.
fn shown(
    parts: &GateParts,
    lanes: &[(LaneId, &ResidentId)],
    lookup: Option<&Arc<Lookup>>,
    reply: Option<&LookupReply>,
    reached: &Reached,
) -> Vec<Watermark> {
    let (Some(lookup), Some(reply)) = (lookup, reply) else { return Vec::new() };
    let mark = |(lane, who): &(LaneId, &ResidentId)| {
        let version = reply.people.iter().find(|person| person.id.as_ref() == Some(*who))?.version.as_deref()?;
        let known = reached.shown.iter().any(|(known, shown)| known == *who && shown == version);
        let mark = (!known).then(|| Watermark::new(*lane, version, parts.clock.now()))??;
        Some(mark.shown_by(&lookup.name))
    };
    lanes.iter().filter_map(mark).collect()
}

fn people(parts: &GateParts, facts: &Facts) -> u64 {
    let named: Vec<&[u8]> = facts.residents.iter().chain(&facts.applicant).map(|r| r.expose().as_bytes()).collect();
    let mut sorted = named;
    sorted.sort_unstable();
    sorted.dedup();
    parts.keys.record.digest("people", &sorted) as u64
}

/// What `unique` and `issue_number` are to remember; `None` where the route asks for neither.
fn digests(parts: &GateParts, bound: &Bound, content: &[u8; 32], number: Option<&str>, people: u64) -> Option<Digests> {
    let facts = bound.facts();
    let unique = bound.route().checks.unique().is_some();
    if !unique && number.is_none() {
        return None;
    }
    let city = facts.municipality.map(String::from).unwrap_or_default();
    let key = &parts.keys.record;
    let request = bound.context().id().as_u128().to_be_bytes();
    // Without `unique` no content is ever seen again.
    let content = if unique { &content[..] } else { &request[..] };
    let session = facts.session.as_ref().map_or("", |s| s.expose());
    let kiosk = facts.kiosk.as_ref().map_or("", |k| k.as_str());
    Some(Digests {
        content: key.digest("content", &[city.as_bytes(), content]),
        people,
        session: key.digest("session", &[kiosk.as_bytes(), session.as_bytes()]) as u64,
        number: number.map(|n| key.digest("number", &[city.as_bytes(), n.as_bytes()])),
    })
}

/// Claims content and number where everything else matched (or will leave all the same, in `observe`); otherwise only looks.
fn remember(
    parts: &GateParts,
    bound: &Bound,
    digests: Digests,
    findings: &mut Vec<Finding>,
    turn: Turn,
) -> Option<Claim> {
    let unique = &parts.records.memory().unique;
    let policy = bound.route().checks.unique();
    let strict = policy.is_some_and(|p| p.strict);
    let matched = findings.iter().all(|f| f.verdict == Verdict::Match);
    let (claim, seen) = if turn != Turn::Trial && (matched || bound.mode() == Mode::Observe) {
        let claimed = match turn {
            Turn::Again => unique.claim_again(digests, parts.clock.now()).map(|claim| (claim, None)),
            Turn::First | Turn::Trial => unique.claim(digests, strict, parts.clock.now()),
        };
        match claimed {
            Ok((claim, seen)) => (Some(claim), seen),
            Err(seen) => (None, Some(seen)),
        }
    } else {
        (None, unique.peek(&digests).filter(|_| turn != Turn::Again))
    };
    let hit = |memory, residents| {
        if turn == Turn::Trial {
            return;
        }
        parts.registry.counter(name::UNIQUE_HITS, &[("memory", memory), ("residents", residents)]).increment(1);
    };
    let mut say = |check, verdict| {
        findings.retain(|f| f.check != check || f.verdict != Verdict::Match);
        findings.push(Finding { check, verdict, independent: true });
    };
    // The plan leaves both to this memory; each says Match unless something below says otherwise.
    if digests.number.is_some() {
        say(CheckName::IssueNumber, Verdict::Match);
    }
    if policy.is_some() {
        say(CheckName::Unique, Verdict::Match);
    }
    match seen {
        None => {}
        Some(Seen::OtherPeople) => {
            hit("content", "other");
            say(CheckName::Unique, mismatch("content", 0, 0));
        }
        Some(Seen::SamePeople) => {
            hit("content", "same");
            if strict {
                say(CheckName::Unique, Verdict::Unverifiable { reason: "seen_in_another_session" });
            }
        }
        Some(Seen::Number) => {
            hit("issue_number", "other");
            say(CheckName::IssueNumber, mismatch("issue_number", 0, 0));
        }
        Some(Seen::Full) => say(CheckName::Unique, Verdict::Unverifiable { reason: "memory_full" }),
    }
    claim
}
