//! The simulated town behind a run: the backend on its sockets, its people, and its own memory of what it printed.
//!
//! The only place where the replay touches the simulator's world.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::auditor::{Paper, Sheet, Shown};
use crate::dialect::Dialect;
use crate::kiosk::Line;
use crate::legacy::chronicle::Execution;
use crate::legacy::resident::PersonNo;
use crate::legacy::{self, Fault, FaultPlan, Form, Running, Sample, Scope as Covers, ServiceTime, World, WorldConfig};

/// What a town is made from.
#[derive(Debug, Clone)]
pub struct TownPlan {
    /// The same seed gives the same people, cards and fault draws.
    pub seed: u64,
    /// Municipalities.
    pub municipalities: usize,
    /// Residents of each.
    pub residents_each: usize,
    /// The backend's median time for one certificate.
    pub service: Duration,
    /// How its kiosks write.
    pub dialect: Dialect,
}

impl TownPlan {
    /// Six municipalities with nearly a thousand residents each.
    pub fn usual(seed: u64) -> Self {
        Self::of(seed, 6, 900)
    }

    /// The same town, whose kiosks write so.
    pub fn speaking(self, dialect: Dialect) -> Self {
        Self { dialect, ..self }
    }

    /// That many of each, and a quick backend.
    pub fn of(seed: u64, municipalities: usize, residents_each: usize) -> Self {
        Self { seed, municipalities, residents_each, service: Duration::from_millis(2), dialect: Dialect::Json }
    }
}

/// A running town.
pub struct Town {
    world: Arc<World>,
    running: Running,
    samples: Vec<Option<Sample>>,
    codes: Vec<String>,
    dialect: Dialect,
}

/// What the backend's own log says about a run.
#[derive(Debug, Default)]
pub struct FaultLog {
    /// Sessions and request ids of everybody that a fault touched, partners included.
    pub named: HashSet<String>,
    /// Municipalities and forms in which something happened; no form where it was not about a certificate.
    pub places: HashSet<(usize, Option<Form>)>,
    /// How often a fault's window opened or a fault did harm.
    pub fired: u64,
    /// Notices that a good print closed.
    pub alarms_closed_by_good_print: u64,
}

/// What the backend's logs said since the last time.
#[derive(Debug, Default)]
pub struct Logs {
    /// Request ids and sessions that a fault touched.
    pub touched: Vec<String>,
    /// Sessions of which an answer was sent twice: somebody else may have got the second.
    pub sent_twice: Vec<String>,
    /// Executions that are over.
    pub executions: Vec<Execution>,
    /// Versions that the system of record showed.
    pub shown: Vec<(String, u64, Instant)>,
    /// Request ids, and when the system of record was read for them.
    pub probes: Vec<(String, Instant)>,
}

impl Town {
    /// Makes the world and serves it on free ports.
    pub async fn start(plan: TownPlan) -> anyhow::Result<Self> {
        let config = WorldConfig {
            seed: plan.seed,
            municipalities: plan.municipalities,
            residents_each: plan.residents_each,
            service: ServiceTime { median: plan.service, ..ServiceTime::default() },
            ..WorldConfig::default()
        };
        Ok(Self { dialect: plan.dialect, ..Self::of(config).await? })
    }

    /// Makes that world and serves it on free ports.
    pub async fn of(config: WorldConfig) -> anyhow::Result<Self> {
        let world = World::new(config);
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let running = legacy::serve(Arc::clone(&world), free, free).await?;
        let samples = (0..world.register().len()).map(|no| world.sample(no)).collect();
        let codes = world.city_codes();
        Ok(Self { world, running, samples, codes, dialect: Dialect::Json })
    }

    /// The same town, whose kiosks write so.
    pub fn speaking(self, dialect: Dialect) -> Self {
        Self { dialect, ..self }
    }

    /// How its kiosks write.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Where the issuer answers.
    pub fn issuer(&self) -> SocketAddr {
        self.running.issuer
    }

    /// Where the system of record answers.
    pub fn records(&self) -> SocketAddr {
        self.running.records
    }

    /// The world itself.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// Switches faults; those that the plan does not name stay as they are.
    pub fn faults(&self, plan: &FaultPlan) {
        self.world.apply(plan);
    }

    /// Switches every fault off and repairs what it left behind.
    pub fn repair(&self) {
        self.world.repair();
    }

    /// Indices of the municipalities.
    pub fn cities(&self) -> std::ops::Range<usize> {
        0..self.codes.len()
    }

    /// A municipality's code.
    pub fn code(&self, city: usize) -> &str {
        self.codes.get(city).map_or("", String::as_str)
    }

    fn sample(&self, person: PersonNo) -> Option<&Sample> {
        self.samples.get(person)?.as_ref()
    }

    /// A person's id.
    pub fn id(&self, person: PersonNo) -> &str {
        self.sample(person).map_or("", |sample| &sample.resident)
    }

    /// A person's card.
    pub fn card(&self, person: PersonNo) -> &str {
        self.sample(person).map_or("", |sample| &sample.card)
    }

    /// A person's municipality.
    pub fn city(&self, person: PersonNo) -> usize {
        let code = self.city_code(person);
        self.codes.iter().position(|known| known == code).unwrap_or(usize::MAX)
    }

    /// The code of a person's municipality.
    pub fn city_code(&self, person: PersonNo) -> &str {
        self.sample(person).map_or("", |sample| &sample.city)
    }

    /// Whether a search by reading, birth date and sex finds somebody else.
    pub fn is_mistakable(&self, person: PersonNo) -> bool {
        self.sample(person).is_some_and(|sample| sample.weak_match)
    }

    /// Everybody of a municipality who may have such a certificate.
    pub fn can_ask_for(&self, city: usize, form: Form) -> Vec<PersonNo> {
        let code = self.code(city);
        let may = |sample: &&Sample| {
            sample.city == code && sample.refusal.is_none() && (form != Form::SealRegistration || sample.seal)
        };
        self.samples.iter().flatten().filter(may).map(|sample| sample.no).collect()
    }

    /// Everyone that such a certificate must speak of.
    pub fn covered(&self, person: PersonNo, form: Form, household: bool) -> Vec<PersonNo> {
        let covers = if household { Covers::Household } else { Covers::OnePerson };
        self.world.covered(person, form, covers)
    }

    /// How many sheets such a certificate has.
    pub fn sheets(&self, person: PersonNo, form: Form, household: bool) -> usize {
        let covers = if household { Covers::Household } else { Covers::OnePerson };
        self.world.expected_sheets(person, form, covers).len()
    }

    /// An address that the person does not live at yet.
    pub fn another_address(&self, person: PersonNo, salt: u64) -> String {
        self.world.another_address(person, salt).unwrap_or_default()
    }

    /// What a delivered document is, by the world's own memory of everything that it printed.
    pub fn read(&self, bytes: &[u8]) -> Paper {
        Paper { content: *blake3::hash(bytes).as_bytes(), shown: self.shown(bytes) }
    }

    fn shown(&self, bytes: &[u8]) -> Option<Shown> {
        let pages = self.world.audit_pdf(bytes).ok()?;
        let first = pages.first()?;
        let sheets = pages.iter().map(|page| Sheet {
            people: page.residents.iter().map(|(no, version)| (self.id(*no).to_owned(), *version)).collect(),
            whole: !page.torn && page.kind == first.kind && page.laid_out_as == page.page,
        });
        Some(Shown {
            kind: first.kind.path().to_owned(),
            issue_number: first.issue_number.clone(),
            sheets: sheets.collect(),
            promised_sheets: first.pages,
        })
    }

    /// The resident system changes an address behind everybody's back. Gives the new version and when it was acknowledged.
    pub async fn amend_behind(&self, person: PersonNo, address: &str) -> Option<(u64, Instant)> {
        self.change(person, "amend", &json!({ "address": address })).await
    }

    /// The resident system cancels a seal registration. Gives the new version and when it was acknowledged.
    pub async fn revoke_behind(&self, person: PersonNo) -> Option<(u64, Instant)> {
        self.change(person, "revoke", &json!({})).await
    }

    async fn change(&self, person: PersonNo, what: &str, body: &Value) -> Option<(u64, Instant)> {
        let request = Request::post(format!("/v2/residents/{}/{what}", self.id(person)))
            .header("host", "records.example")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .ok()?;
        let reply = Line::to(self.records()).exchange(request, Duration::from_secs(5)).await.ok()?;
        let body: Value = serde_json::from_slice(&reply.body).ok()?;
        Some((body.get("version")?.as_str()?.parse().ok()?, reply.done))
    }

    /// The fault log so far.
    pub fn fault_log(&self) -> FaultLog {
        let mut log = FaultLog::default();
        for firing in self.world.chronicle().firings() {
            log.fired += 1;
            for party in [Some(&firing.victim), firing.partner.as_ref()].into_iter().flatten() {
                log.named.extend([&party.session, &party.request].into_iter().filter(|id| !id.is_empty()).cloned());
            }
            let city = self.codes.iter().position(|code| *code == firing.city);
            if let Some(city) = city {
                log.places.insert((city, firing.form.and_then(Form::from_path)));
            }
        }
        log.alarms_closed_by_good_print = self
            .codes
            .iter()
            .flat_map(|code| self.world.notices(code))
            .filter(|notice| notice.closed.is_some())
            .count() as u64;
        log
    }

    /// How often each fault's window opened, and how often it did harm.
    pub fn fired(&self) -> BTreeMap<String, (u64, u64)> {
        let counts = self.world.chronicle().counts();
        counts.into_iter().map(|(fault, count)| (fault.name().to_owned(), (count.triggers, count.harms))).collect()
    }

    /// The resident system registers a new seal. Gives the new version and when it was acknowledged.
    pub async fn register_behind(&self, person: PersonNo, number: &str) -> Option<(u64, Instant)> {
        self.change(person, "amend", &json!({ "seal": number })).await
    }

    /// The backend's logs since the last call.
    pub fn take_logs(&self) -> Logs {
        let chronicle = self.world.chronicle();
        // Executions first: whatever touched one of them is in the fault log by then.
        let mut logs = Logs { executions: chronicle.take_executions(), ..Logs::default() };
        for firing in chronicle.take_firings() {
            if firing.fault == Fault::LateDuplicate.name() && firing.form.is_none() {
                logs.sent_twice.push(firing.victim.session.clone());
            }
            for party in [Some(firing.victim), firing.partner].into_iter().flatten() {
                logs.touched.extend([party.request, party.session].into_iter().filter(|id| !id.is_empty()));
            }
        }
        for reading in chronicle.take_readings() {
            logs.shown.push((self.id(reading.person).to_owned(), reading.version, reading.at));
            if !reading.request.is_empty() {
                logs.probes.push((reading.request, reading.at));
            }
        }
        logs
    }

    /// Whether a resident's record changed in that time.
    pub fn changed_between(&self, resident: &str, from: Instant, to: Instant) -> bool {
        let register = self.world.register();
        register.find(resident).is_some_and(|no| register.changed_between(no, from, to))
    }

    /// People for whom something is being executed at this moment.
    pub fn under_way(&self) -> usize {
        self.world.chronicle().under_way()
    }

    /// Times two executions for one person met.
    pub fn overlaps(&self) -> u64 {
        self.world.chronicle().overlaps().len() as u64
    }

    /// Who heads a person's household.
    pub fn head(&self, person: PersonNo) -> PersonNo {
        self.world.register().get(person).map_or(person, |record| record.person.head)
    }
}
