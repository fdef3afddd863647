//! The simulated world: residents, their records, the municipalities' machinery, and the log of what really happened.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::{DashMap, Entry};
use jiff::Timestamp;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::chronicle::{Asked, Chronicle, Party, Role};
use super::city::Municipality;
use super::config::WorldConfig;
use super::fault::{Fault, FaultPlan, Scope, Switches, mix};
use super::jobs::Jobs;
use super::machine::Machine;
use super::pace::Pace;
use super::paper::Scope as Covers;
use super::paper::{Extract, Form, PEOPLE_A_SHEET, PageImage, Press, jst_date};
use super::population;
use super::register::Register;
use super::resident::{PersonNo, Record, State};
use super::sessions::Sessions;

/// A resident to try things with.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Sample {
    /// The person's number in the world.
    pub no: PersonNo,
    /// The municipality's id of the person.
    pub resident: String,
    /// Present card.
    pub card: String,
    /// Municipality code.
    pub city: String,
    /// Name as registered.
    pub name: String,
    /// People in the household.
    pub household: usize,
    /// The lawful refusal that the person gets, if any.
    pub refusal: Option<&'static str>,
    /// Somebody registered earlier has the same reading, birth date and sex.
    pub weak_match: bool,
    /// The register knows a seal.
    pub seal: bool,
}

/// Where the rendered sheet's content came from.
#[derive(Debug, Clone)]
pub(super) struct SheetOrigin {
    pub(super) city: usize,
    pub(super) form: Form,
    pub(super) index: usize,
    pub(super) origins: Vec<(PersonNo, u64)>,
    pub(super) torn: bool,
    /// Where its objects start.
    pub(super) starts: Vec<usize>,
}

/// One municipality's installation.
pub(super) struct City {
    pub(super) no: usize,
    pub(super) municipality: Municipality,
    pub(super) switches: Switches,
    pub(super) press: Press,
    pub(super) machine: Machine,
    pub(super) people: std::ops::Range<PersonNo>,
    serial: AtomicU64,
}

/// Everything. Shared by the servers, the scripts and the auditor.
pub struct World {
    pub(super) config: WorldConfig,
    pub(super) cities: Vec<City>,
    pub(super) records_switches: Switches,
    register: Register,
    chronicle: Arc<Chronicle>,
    pub(super) sessions: Sessions,
    pub(super) jobs: Jobs,
    pub(super) sheets: DashMap<u128, SheetOrigin>,
    /// Who a weak match finds, by person.
    weak: Vec<PersonNo>,
    pub(super) made_up: AtomicUsize,
    /// Amends done, by person and idempotency key: the version that they made.
    pub(super) amended: DashMap<String, u64>,
    pace: Pace,
}

impl World {
    /// Makes the world. The same configuration makes the same people, cards and fault draws.
    pub fn new(config: WorldConfig) -> Arc<Self> {
        let today = jst_date(config.clock.unwrap_or_else(Timestamp::now));
        let mut records: Vec<Record> = Vec::new();
        let mut cities = Vec::new();
        for no in 0..config.municipalities.clamp(1, Municipality::MOST) {
            let Some(municipality) = Municipality::nth(no) else { break };
            let first = records.len();
            // Births are relative to a fixed day, so that a seed means the same people on every day.
            let day = jiff::civil::Date::constant(2026, 4, 1).min(today);
            let wanted = config.residents_each.clamp(40, 9900);
            records.extend(population::make(
                config.seed,
                no,
                &municipality,
                first,
                wanted,
                day,
                config.printable_gaiji,
            ));
            cities.push(City {
                no,
                switches: Switches::new(mix(config.seed ^ mix(no as u64 + 77))),
                press: Press::new(&municipality),
                machine: Machine::new(),
                people: first..records.len(),
                serial: AtomicU64::new(0),
                municipality,
            });
        }
        let weak = weak_index(&records);
        let world = Arc::new(Self {
            register: Register::new(config.seed, records),
            chronicle: Arc::new(Chronicle::new()),
            sessions: Sessions::default(),
            jobs: Jobs::default(),
            sheets: DashMap::new(),
            records_switches: Switches::new(mix(config.seed ^ 0x5245_434F)),
            weak,
            made_up: AtomicUsize::new(0),
            amended: DashMap::new(),
            pace: Pace::default(),
            cities,
            config,
        });
        world.apply(&world.config.faults);
        world
    }

    /// Switches faults as the plan says; those it does not name stay as they are.
    pub fn apply(&self, plan: &FaultPlan) {
        for (fault, scope, rate) in &plan.entries {
            match scope {
                Scope::Everywhere => self.cities.iter().for_each(|city| city.switches.set(*fault, *rate)),
                Scope::City(code) => self
                    .cities
                    .iter()
                    .filter(|c| c.municipality.code == *code)
                    .for_each(|c| c.switches.set(*fault, *rate)),
                Scope::Records => self.records_switches.set(*fault, *rate),
            }
        }
    }

    /// Switches every fault off everywhere and repairs what broken machinery left behind (lost sync messages, poisoned connections).
    pub fn repair(&self) {
        for fault in Fault::ALL {
            self.cities
                .iter()
                .map(|city| &city.switches)
                .chain([&self.records_switches])
                .for_each(|s| s.set(*fault, 0.0));
        }
        self.cities.iter().for_each(|city| city.machine.repair());
    }

    /// What the world was made from.
    pub fn config(&self) -> &WorldConfig {
        &self.config
    }

    /// Error notices of one municipality and how they were closed.
    pub fn notices(&self, city_code: &str) -> Vec<super::machine::Notice> {
        self.cities
            .iter()
            .find(|c| c.municipality.code == city_code)
            .map(|c| c.machine.notices().clone())
            .unwrap_or_default()
    }

    /// How fast the issuer answers.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// The system of record.
    pub fn register(&self) -> &Register {
        &self.register
    }

    /// What really happened.
    pub fn chronicle(&self) -> &Arc<Chronicle> {
        &self.chronicle
    }

    /// How often the issuer was asked for something in an open session, noes included.
    pub fn calls_in(&self, session: &str) -> u64 {
        self.sessions.get(session).map_or(0, |session| session.calls.load(Ordering::Relaxed))
    }

    /// Municipality codes, in order.
    pub fn city_codes(&self) -> Vec<String> {
        self.cities.iter().map(|city| city.municipality.code.clone()).collect()
    }

    /// The municipalities, in order.
    pub fn municipalities(&self) -> Vec<Municipality> {
        self.cities.iter().map(|city| city.municipality.clone()).collect()
    }

    /// Everybody of a municipality who may have certificates, or everybody at all.
    pub fn samples(&self, city_code: &str, only_normal: bool) -> Vec<Sample> {
        let Some(city) = self.cities.iter().find(|city| city.municipality.code == city_code) else { return Vec::new() };
        city.people.clone().filter_map(|no| self.sample(no)).filter(|s| !only_normal || s.refusal.is_none()).collect()
    }

    /// One person, described.
    pub fn sample(&self, no: PersonNo) -> Option<Sample> {
        let record = self.register.get(no)?;
        Some(Sample {
            no,
            resident: record.person.id.clone(),
            card: self.register.card(no)?,
            city: self.cities.get(record.person.city)?.municipality.code.clone(),
            name: record.person.name.clone(),
            household: record.person.household.len(),
            refusal: record.person.state.refusal(),
            weak_match: self.weakly_matched(no) != no,
            seal: record.seal.is_some(),
        })
    }

    /// Who a search by reading, birth date and sex finds instead of that person: the one registered first.
    pub fn weakly_matched(&self, no: PersonNo) -> PersonNo {
        self.weak.get(no).copied().unwrap_or(no)
    }

    /// Who must stand on each sheet of that person's certificate, in order; what the auditor expects.
    pub fn expected_sheets(&self, no: PersonNo, form: Form, scope: Covers) -> Vec<Vec<PersonNo>> {
        let people = self.covered(no, form, scope);
        people.chunks(PEOPLE_A_SHEET).map(<[PersonNo]>::to_vec).collect()
    }

    /// Everybody that a certificate covers, in printing order.
    pub fn covered(&self, no: PersonNo, form: Form, scope: Covers) -> Vec<PersonNo> {
        match (self.register.get(no), scope) {
            (Some(record), Covers::Household) if !form.one_person_only() => record
                .person
                .household
                .iter()
                .copied()
                .filter(|member| {
                    self.register.get(*member).is_some_and(|m| matches!(m.person.state, State::Normal | State::Under15))
                })
                .collect(),
            _ => vec![no],
        }
    }

    /// A printable address in that person's municipality, other than the present one; the same `salt` gives the same one.
    pub fn another_address(&self, no: PersonNo, salt: u64) -> Option<String> {
        let record = self.register.get(no)?;
        let city = self.cities.get(record.person.city)?;
        let mut rng = StdRng::seed_from_u64(mix(self.config.seed ^ mix(no as u64) ^ salt));
        (0..8).map(|_| population::address(&mut rng, &city.municipality)).find(|address| *address != record.address)
    }

    /// The time on the backend's wall.
    pub fn now(&self) -> Timestamp {
        self.config.clock.unwrap_or_else(Timestamp::now)
    }

    /// The certificate's content as the records say it now.
    pub(super) fn extract(&self, no: PersonNo, form: Form, scope: Covers) -> Option<Extract> {
        let requester = self.register.get(no)?;
        let head = self.register.get(requester.person.head)?.person.name.clone();
        let people = self.covered(no, form, scope).into_iter().filter_map(|member| self.register.get(member)).collect();
        Some(Extract { form, city: requester.person.city, head, requester, people })
    }

    pub(super) fn next_serial(&self, city: &City) -> u64 {
        city.serial.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Remembers what a rendered sheet was made from. The same content made again speaks for the newer versions, and is whole if it
    /// ever was.
    pub(super) fn remember(&self, city: usize, image: &PageImage) {
        let origin = SheetOrigin {
            city,
            form: image.form,
            index: image.index,
            origins: image.origins.clone(),
            torn: image.torn,
            starts: image.starts.clone(),
        };
        match self.sheets.entry(image.digest) {
            Entry::Vacant(place) => drop(place.insert(origin)),
            Entry::Occupied(mut known) => {
                let people = |origins: &[(PersonNo, u64)]| origins.iter().map(|(no, _)| *no).collect::<Vec<_>>();
                let versions = |origins: &[(PersonNo, u64)]| origins.iter().map(|(_, version)| *version).sum::<u64>();
                let same = people(&known.get().origins) == people(&origin.origins);
                let newer = same && versions(&known.get().origins) < versions(&origin.origins);
                if known.get().torn && !origin.torn || newer && known.get().torn == origin.torn {
                    known.insert(origin);
                }
            }
        }
    }

    pub(super) fn city(&self, no: usize) -> Option<&City> {
        self.cities.get(no)
    }

    pub(super) fn id_of(&self, no: PersonNo) -> String {
        self.register.get(no).map(|record| record.person.id.clone()).unwrap_or_default()
    }

    /// A call as one end of a mix-up.
    pub(super) fn party(&self, asked: &Asked) -> Party {
        Party {
            request: asked.request.clone(),
            session: asked.session.clone(),
            terminal: asked.terminal.clone(),
            resident: self.id_of(asked.person),
        }
    }

    /// A person as one end of a mix-up.
    pub(super) fn person_party(&self, no: PersonNo) -> Party {
        Party { request: String::new(), session: String::new(), terminal: String::new(), resident: self.id_of(no) }
    }

    /// Draws for this call; a fault whose window opens is logged.
    pub(super) fn fires(&self, city: &City, fault: Fault, form: Option<Form>, asked: &Asked) -> bool {
        let fires = city.switches.fires(fault);
        if fires {
            self.log(city, fault, Role::Trigger, form, self.party(asked), None);
        }
        fires
    }

    /// Draws for this call without a log entry, where the window opens only if there is something to harm.
    pub(super) fn fires_quietly(&self, city: &City, fault: Fault) -> bool {
        city.switches.fires(fault)
    }

    pub(super) fn log_trigger(&self, city: &City, fault: Fault, form: Option<Form>, asked: &Asked) {
        self.log(city, fault, Role::Trigger, form, self.party(asked), None);
    }

    /// Changes a record, and tells the issuing server's copy of the seal register. Wrong (stale-seal): the message gets lost.
    pub(super) fn change(
        &self,
        city: &City,
        asked: &Asked,
        apply: impl FnOnce(&Register) -> Option<Arc<Record>>,
    ) -> Option<Arc<Record>> {
        let before = self.register.get(asked.person)?;
        let after = apply(&self.register)?;
        city.machine.sync(before, self.fires(city, Fault::StaleSeal, None, asked));
        Some(after)
    }

    /// Notes that `asked` was given what belongs to `other`.
    pub(super) fn harmed(&self, city: &City, fault: Fault, form: Option<Form>, asked: &Asked, other: Party) {
        self.log(city, fault, Role::Harm, form, self.party(asked), Some(other));
    }

    pub(super) fn log(
        &self,
        city: &City,
        fault: Fault,
        role: Role,
        form: Option<Form>,
        victim: Party,
        partner: Option<Party>,
    ) {
        self.chronicle.log(fault, role, &city.municipality.code, form, victim, partner);
    }
}

fn weak_index(records: &[Record]) -> Vec<PersonNo> {
    let mut first = HashMap::new();
    records
        .iter()
        .map(|record| {
            let p = &record.person;
            *first.entry((p.city, p.kana.as_str(), p.birth, p.sex)).or_insert(p.no)
        })
        .collect()
}
