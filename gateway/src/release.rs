//! The release gate: judges an answer against the request it was fetched for, and lets it leave or keeps it in.
//!
//! It reads the document's own bytes, never somebody's word about them. What is unknown, late or repeated stays in.

mod about;
mod again;
mod in_force;
mod judge;
mod sealing;
mod tidying;
mod trial;
mod verify;
mod withheld;

use std::sync::Arc;
use std::time::Instant;

use http::Response;
use sekisho_issuance::fence::Epoch;
use sekisho_issuance::id::KioskId;
use sekisho_issuance::request::Operation;
use sekisho_issuance::shard::LaneId;
use sekisho_issuance::verdict::{Finding, Verdict};
use sekisho_worker::owner::Attested;

use crate::body::Body;
use crate::bound::Bound;
use crate::bracket::Brackets;
use crate::clock::Clock;
use crate::durable_log::{Durable, NotDurable};
use crate::evidence::{self, EvidenceStore};
use crate::latch::{EvidenceId, Failure, Latches, Setting};
use crate::outcome::Outcome;
use crate::record::{Fate, Intent, Memory, Record, Records, RecordsError};
use crate::registry::{DocumentKind, Registry, RouteSeries, Stage, name};
use crate::response;
use crate::state_dir::{Keys, StateDir};
use crate::switch::Switches;
use crate::telemetry::Stages;

pub(crate) use again::Before;
pub use in_force::InForce;
pub use judge::{Answered, What};
pub use trial::{Genuine, Specimen, Trial};
pub use verify::{Pass, Released};
pub use withheld::{Gone, Withheld};

/// The machine may have slept this long between arrival and release.
const MAX_SLEEP: std::time::Duration = std::time::Duration::from_secs(1);

/// What a gate is made of.
pub struct GateParts {
    /// Metrics.
    pub registry: Arc<Registry>,
    /// Release records, and what they keep in mind.
    pub records: Arc<Records>,
    /// Suspensions.
    pub latches: Arc<Latches>,
    /// The keys of the state directory.
    pub keys: Keys,
    /// The ownership that answers must come from.
    pub epoch: Epoch,
    /// The clock of days and records.
    pub clock: Clock,
    /// The configuration in force: what is served, and whose word that clock is.
    pub in_force: InForce,
    /// Kill switches.
    pub switches: Arc<Switches>,
    /// Sealed evidence.
    pub evidence: Arc<EvidenceStore>,
    /// Change brackets.
    pub brackets: Arc<Brackets>,
}

/// The release gate of one process.
#[derive(Clone)]
pub struct Gate(Arc<GateParts>);

/// An answer that was kept in, and what must be durable before that is said.
struct Kept {
    withheld: Withheld,
    evidence: Durable,
    /// The sealed answer, while it is written.
    file: Option<sealing::Written>,
    setting: Option<Setting>,
}

/// What goes to the kiosk.
pub struct Outgoing {
    /// Head and body.
    pub response: Response<Body>,
    /// Under which it is counted.
    pub outcome: Outcome,
    /// Why.
    pub reason: &'static str,
}

impl Gate {
    /// Puts a gate together.
    pub fn new(parts: GateParts) -> Self {
        let records = parts.records.clone();
        let latches = parts.latches.clone();
        let switches = parts.switches.clone();
        let brackets = parts.brackets.clone();
        parts.registry.before_scrape(move |registry| {
            let unsynced = records.unsynced_for().max(latches.unsynced_for());
            registry.gauge(name::AUDIT_UNSYNCED, &[]).set(unsynced.as_secs_f64());
            registry.gauge(name::AUDIT_UNEXPORTED, &[]).set(records.unexported_for().as_secs_f64());
            let (contents, numbers) = records.memory().unique.len();
            registry.gauge(name::UNIQUE_ENTRIES, &[("memory", "content")]).set(contents as f64);
            registry.gauge(name::UNIQUE_ENTRIES, &[("memory", "issue_number")]).set(numbers as f64);
            latches.publish(registry);
            switches.publish(registry);
            brackets.publish(registry);
        });
        Self(Arc::new(parts))
    }

    /// Opens the records of `state` and puts a gate together on them. Nothing leaves before it has a configuration
    /// ([`InForce::set`]).
    pub fn open(
        state: &StateDir,
        registry: Arc<Registry>,
        latches: Arc<Latches>,
        switches: Arc<Switches>,
        brackets: Arc<Brackets>,
        clock: Clock,
        segment_bytes: u64,
    ) -> Result<Self, RecordsError> {
        let records = Records::of(state, Memory::default(), clock.clone(), segment_bytes)?;
        records.recovered("latches", None, latches.torn_bytes());
        records.recovered("switches", None, switches.torn_bytes());
        records.recovered("brackets", None, brackets.torn_bytes());
        Self::on(records, state, registry, latches, switches, brackets, clock)
    }

    /// The same on records that are open already.
    pub fn on(
        records: Arc<Records>,
        state: &StateDir,
        registry: Arc<Registry>,
        latches: Arc<Latches>,
        switches: Arc<Switches>,
        brackets: Arc<Brackets>,
        clock: Clock,
    ) -> Result<Self, RecordsError> {
        let evidence = EvidenceStore::open(state.root());
        let evidence = evidence.map_err(|error| RecordsError::Io { path: state.path(evidence::FOLDER), error })?;
        Ok(Self::new(GateParts {
            registry,
            records,
            latches,
            keys: state.keys().clone(),
            epoch: state.epoch(),
            clock,
            in_force: InForce::default(),
            switches,
            evidence: Arc::new(evidence),
            brackets,
        }))
    }

    /// The configuration that answers leave under.
    pub fn in_force(&self) -> &InForce {
        &self.0.in_force
    }

    /// Where sealed evidence is.
    pub fn evidence(&self) -> &EvidenceStore {
        &self.0.evidence
    }

    /// The records it writes.
    pub fn records(&self) -> &Arc<Records> {
        &self.0.records
    }

    /// Judges one answer and gives its settlement back. Comes back only when what it latched would survive a crash.
    pub async fn decide(&self, bound: &Bound, attested: Attested) -> Result<Released<Answered>, Withheld> {
        self.decide_with(bound, attested, None).await
    }

    /// The same, with what was found outside the route's checks: whose session an answer to `open` hands out.
    pub async fn decide_with(
        &self,
        bound: &Bound,
        attested: Attested,
        found: Option<Finding>,
    ) -> Result<Released<Answered>, Withheld> {
        let Kept { withheld, evidence, file, setting } = match self.judge(bound, attested, found) {
            Ok(released) => return Ok(released),
            Err(kept) => *kept,
        };
        let Some(setting) = setting else { return Err(withheld) };
        // What an operator must look at is kept as safely as the latch that asks for it; both are queued already.
        if evidence.await.is_err() {
            tracing::error!(request = %bound.context().id(), "the evidence of a latch could not be recorded");
        }
        if let Some(file) = file {
            file.done().await;
        }
        // A latch that is not durable still holds in memory, and on such a disk nothing is released.
        Err(withheld.latched(setting.durable().await))
    }

    fn judge(
        &self,
        bound: &Bound,
        attested: Attested,
        found: Option<Finding>,
    ) -> Result<Released<Answered>, Box<Kept>> {
        let began = Instant::now();
        let parts = &*self.0;
        let route = bound.route();
        let series = route_series(parts, bound);
        let Attested { attestation, answer, job, before, after, out_of_time, times, settlement } = attested;
        let mut stages = Stages::default();
        for (stage, spent) in [
            (Stage::Lane, times.lane),
            (Stage::Channel, times.channel + times.intent),
            (Stage::Lookup, times.before + times.after),
            (Stage::Backend, times.backend),
        ] {
            series.stage(stage, spent);
            stages.add(stage, spent);
        }
        let seal = judge::seal(bound, parts.epoch, &attestation, answer.body.as_slice());
        let fetched = judge::Fetched { attestation, answer, job, before, after, turn: judge::Turn::First };
        let mut judged = judge::judge(parts, bound, fetched, &times);
        if let Some(found) = found {
            judged.answered.about.findings.push((&found).into());
            judged.findings.push(found);
        }
        let spent = began.elapsed();
        series.stage(Stage::Verify, spent);
        stages.add(Stage::Verify, spent);
        judged.answered.stages = stages;
        judged.answered.about.stages_us.push((Stage::Verify.name().into(), spent.as_micros() as u64));
        let mode = bound.mode();
        for finding in &judged.findings {
            series.verdict(finding.check, &finding.verdict, mode);
        }
        let document = judged.document;
        if seal == Err("fence") {
            parts.registry.counter(name::FENCE_REJECTIONS, &[("place", "gate")]).increment(1);
        }
        let tenant = match bound.canary() {
            Some(_) => parts.registry.uncounted_tenant(),
            None => parts.registry.tenant(bound.facts().municipality),
        };
        let must_be_checked = route.operation.speaks_of_resident();
        let marks = judged.marks;
        let observed = judged.observed;
        let verified = verify::verify(
            judged.answered,
            verify::Judgement { seal, findings: &judged.findings, must_be_checked, mode },
            verify::Series { tenant, document },
            judged.claim,
        );
        match verified {
            Ok(released) => {
                if released.is_verified() {
                    // Known before the lanes are free: whoever comes next may not show anything older.
                    marks.iter().for_each(|mark| parts.records.memory().watermarks.set(mark));
                    settlement.passed();
                } else {
                    let reason = withheld::reason(seal, &judged.findings);
                    // Nobody waits here: `observe` suspends nothing, and what is queued is written all the same.
                    drop(self.suspect(bound, released.value(), observed, &judged.findings, reason, document));
                    settlement.surprised(reason);
                }
                Ok(released)
            }
            Err(answered) => {
                let reason = withheld::reason(seal, &judged.findings);
                settlement.surprised(reason);
                let mut kept = self.suspect(bound, &answered, observed, &judged.findings, reason, document);
                // Nothing speaks against it: the time was over before everything could be asked.
                let open = |f: &Finding| matches!(f.verdict, Verdict::Match | Verdict::Unverifiable { .. });
                let over = out_of_time || Instant::now() >= bound.context().deadline();
                if seal.is_ok() && judged.findings.iter().all(open) && over {
                    kept.withheld = kept.withheld.late();
                }
                Err(Box::new(kept))
            }
        }
    }

    /// Keeps evidence of an answer that did not pass, and latches where it must.
    fn suspect(
        &self,
        bound: &Bound,
        answered: &Answered,
        observed: Option<serde_json::Value>,
        findings: &[Finding],
        reason: &'static str,
        document: DocumentKind,
    ) -> Kept {
        let parts = &*self.0;
        let (sealed, file) = sealing::seal(parts, bound, answered, observed, findings, reason).unzip();
        let record = crate::record::Withheld { about: answered.about.clone(), reason: reason.to_owned(), sealed };
        let bytes = Record::Withheld(record).to_bytes().unwrap_or_default();
        let evidence = EvidenceId::of(&bytes);
        let recorded = parts.records.append_bytes(&bytes);
        // A refusal suspends what was asked for.
        let kind = if document == DocumentKind::Refusal { judge::document_kind(bound.route()) } else { document };
        let failure = Failure {
            request: bound.context().id(),
            evidence: evidence.clone(),
            municipality: bound.facts().municipality,
            kind,
            mode: bound.mode(),
            people: answered.people,
            kiosk: bound.facts().kiosk.clone(),
            at: parts.clock.now(),
        };
        let setting = parts.latches.judge(crate::latch::consequence(findings), &failure);
        let withheld = Withheld::new(reason, Some(evidence));
        Kept { withheld, evidence: recorded, file: file.flatten(), setting }
    }

    /// Makes the release durable, looks again, and hands the answer to the response writer. `still` says whether the kiosk waits and its session
    /// is open.
    pub async fn commit(
        &self,
        bound: &Bound,
        released: Released<Answered>,
        still: impl Fn() -> Result<(), Gone>,
    ) -> Result<Outgoing, Withheld> {
        let began = Instant::now();
        let parts = &*self.0;
        let route = bound.route();
        let answered = released.value();
        let mut stages = answered.stages;
        let again = answered.about.replay_of.is_some();
        let (outcome, reason) = match (&answered.what, route.operation) {
            (What::Refusal { .. }, _) => (Outcome::Refused, "refused"),
            (_, Operation::Issue) if again => (Outcome::Released, "replayed"),
            (_, Operation::Amend) if again => (Outcome::Answered, "replayed"),
            (_, Operation::Issue) => {
                (Outcome::Released, if released.is_verified() { "verified" } else { "unverified" })
            }
            (_, Operation::Open | Operation::Close | Operation::Pass) => (Outcome::Answered, "passed"),
            _ => (Outcome::Answered, if released.is_verified() { "verified" } else { "unverified" }),
        };
        let recorded = route.operation.speaks_of_resident();
        if recorded {
            let intent = Intent {
                about: answered.about.clone(),
                verified: released.is_verified(),
                unique: released.digests().map(Into::into),
                watermarks: answered.watermarks.clone(),
            };
            if let Err(NotDurable) = parts.records.append(&Record::ReleaseIntent(intent)).await {
                return Err(Withheld::new("not_durable", None));
            }
        }
        if let Err(why) = self.look_again(bound, answered, released.is_verified(), still) {
            if recorded {
                self.destroyed(bound, why.reason());
            }
            return Err(why);
        }
        let finish = recorded.then(|| response::Finish {
            records: parts.records.clone(),
            request: bound.context().id(),
            clock: parts.clock.clone(),
        });
        let mut response = response::write(bound, released, finish);
        let spent = began.elapsed();
        route_series(parts, bound).stage(Stage::Release, spent);
        stages.add(Stage::Release, spent);
        response.extensions_mut().insert(stages);
        Ok(Outgoing { response, outcome, reason })
    }

    /// After the intent is durable and before the first byte: whatever was said meanwhile holds.
    fn look_again(
        &self,
        bound: &Bound,
        answered: &Answered,
        verified: bool,
        still: impl Fn() -> Result<(), Gone>,
    ) -> Result<(), Withheld> {
        let parts = &*self.0;
        let (facts, kind) = (bound.facts(), judge::document_kind(bound.route()));
        if parts.latches.on_kind(facts.municipality, kind).is_some()
            || parts.latches.on_kiosk(facts.kiosk.as_ref() as Option<&KioskId>).is_some()
        {
            return Err(Withheld::new("suspended", None));
        }
        if !parts.latches.is_durable() {
            return Err(Withheld::new("not_durable", None));
        }
        if !parts.switches.serve(bound.route(), facts) || !parts.in_force.serves(bound, verified) {
            return Err(Withheld::new("switched_off", None));
        }
        // Who opens or closes a session hears nothing of the record.
        let speaks = bound.route().operation.speaks_of_resident();
        if speaks && parts.brackets.keep_in(judge::lanes_of(parts, facts).into_iter().map(|(lane, _)| lane)) {
            return Err(Withheld::new("bracket", None));
        }
        if let Err(why) = parts.in_force.vouches(bound) {
            return Err(Withheld::new(why.name(), None));
        }
        let seen: &[(LaneId, Option<String>)] = &answered.seen_marks;
        if !parts.records.memory().watermarks.unchanged(seen) {
            parts.registry.counter(name::FENCE_REJECTIONS, &[("place", "commit")]).increment(1);
            return Err(Withheld::new("superseded", None));
        }
        if Instant::now() >= bound.context().deadline() || slept(bound, &parts.clock) {
            return Err(Withheld::new("late", None).late());
        }
        still().map_err(Withheld::from)
    }

    fn destroyed(&self, bound: &Bound, reason: &str) {
        let fate = Fate::Destroyed { reason: reason.to_owned() };
        let result = Record::result(bound.context().id(), self.0.clock.now(), fate);
        if self.0.records.append_lazy(&result).is_err() {
            tracing::error!(request = %bound.context().id(), "the result of a release could not be recorded");
        }
    }
}

/// Under which series an answer is counted: a canary's under none of the kiosks'.
fn route_series(parts: &GateParts, bound: &Bound) -> Arc<RouteSeries> {
    match bound.canary() {
        Some(_) => parts.registry.uncounted_route(),
        None => parts.registry.route(&bound.route().name),
    }
}

/// Whether the machine slept since the request arrived: its monotonic clock stood still meanwhile, so the deadline says nothing, and
/// what was verified may be of another day. A clock set forward looks the same, and costs those in flight their answer.
fn slept(bound: &Bound, clock: &Clock) -> bool {
    let context = bound.context();
    let wall = std::time::Duration::try_from(clock.now().duration_since(context.arrived_at())).unwrap_or_default();
    wall.saturating_sub(context.arrived().elapsed()) > MAX_SLEEP
}

#[cfg(test)]
mod tests;
