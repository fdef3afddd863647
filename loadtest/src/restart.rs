//! `kill -9` at random points: the gateway dies while the backend still prints, comes back, and must neither hand out
//! something wrong or stale, nor let two calls for one resident meet at the backend, nor make a change twice.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde::Serialize;

use crate::cluster::{Admin, Gateway, Site, Town, TownPlan, brisk, protecting};
use crate::incidents::{Ended, Field, Side, Visit};
use crate::legacy::chronicle::Work;
use crate::legacy::resident::PersonNo;
use crate::legacy::{Fault, FaultPlan, Form};
use crate::report::Step;

/// What is done.
#[derive(Debug, Clone)]
pub struct RestartPlan {
    /// This binary, which carries the gateway as a subcommand.
    pub program: PathBuf,
    /// How often the gateway is killed.
    pub points: usize,
    /// The same seed gives the same town, people and moments.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Survived {
    /// Kills.
    pub points: usize,
    /// Requests for a certificate.
    pub requests: u64,
    /// Requests that ended in each other way, by the gateway's word and reason.
    pub ended: BTreeMap<String, u64>,
    /// Certificates that were handed out.
    pub released: u64,
    /// Of those: another person's, mixed, stale or delivered before.
    pub wrong: u64,
    /// Changes that were asked for, and those that were acknowledged.
    pub amends: (u64, u64),
    /// Changes behind the gateway, by the resident system itself.
    pub amends_behind: u64,
    /// Answers in data that were another person's or stale, and changes made to another person's record.
    pub wrong_data: u64,
    /// Changes that the backend carried out more than once.
    pub amended_twice: u64,
    /// Calls of one resident that met at the backend, by its own log.
    pub two_in_flight: u64,
    /// Calls that the backend was still working on when the gateway died.
    pub printing_when_killed: u64,
    /// Restarts after which a latch was missing.
    pub lost_latches: u64,
    /// Latches at the end.
    pub latches: usize,
    /// Wall-clock seconds.
    pub seconds: f64,
}

impl Survived {
    /// What is not as it must be.
    pub fn complaints(&self) -> Vec<String> {
        let zero = [
            ("wrong documents", self.wrong),
            ("wrong answers in data", self.wrong_data),
            ("changes were made twice", self.amended_twice),
            ("times two calls for one resident met at the backend", self.two_in_flight),
            ("restarts lost a latch", self.lost_latches),
        ];
        let mut complaints: Vec<String> =
            zero.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{n} {what}")).collect();
        if self.printing_when_killed == 0 {
            complaints.push("the backend was never printing when the gateway died: the run says nothing".to_owned());
        }
        if self.released == 0 || self.latches == 0 || self.amends.1 == 0 {
            complaints
                .push("nothing was released or changed, or no latch was ever set: the run says nothing".to_owned());
        }
        complaints
    }
}

const RESIDENTS_EACH: usize = 600;
/// So many come again and again, also while their last call may still be printing; everybody else comes now and then.
const REGULARS: usize = 30;
/// How often somebody who comes is a regular.
const REGULAR: f64 = 0.2;
const KIOSKS: usize = 24;
/// Prints take long, so that they outlive the gateway that asked for them.
const PRINTS_FOR: Duration = Duration::from_millis(80);

/// Runs it.
pub async fn restart(plan: &RestartPlan, step: Step) -> anyhow::Result<Survived> {
    let started = Instant::now();
    let town = Town::start(TownPlan { service: PRINTS_FOR, ..TownPlan::of(plan.seed, 3, RESIDENTS_EACH) }).await?;
    let dir = tempfile::tempdir()?;
    let site = Site::prepare(&plan.program, dir.path(), &brisk(protecting(&town)?))?;
    let mut gateway = site.start().await?;
    let field = Field::new(town, gateway.kiosk_side, Duration::from_secs(4), Step::silent());
    let latched = set_a_latch(&field, &site, &gateway).await?;
    let over = Arc::new(AtomicBool::new(false));
    let people: Vec<PersonNo> =
        field.town.cities().skip(1).flat_map(|city| field.town.can_ask_for(city, Form::ResidentRecord)).collect();
    let mut coming = tokio::task::JoinSet::new();
    let amends: Arc<(AtomicU64, AtomicU64)> = Arc::default();
    for kiosk in 0..KIOSKS {
        let rng = StdRng::seed_from_u64(plan.seed ^ kiosk as u64);
        coming.spawn(keep_coming(Arc::clone(&field), people.clone(), rng, Arc::clone(&amends), Arc::clone(&over)));
    }
    let behind = tokio::spawn(change_behind(
        Arc::clone(&field),
        people,
        StdRng::seed_from_u64(plan.seed ^ 0xFEED),
        Arc::clone(&over),
    ));
    let mut survived = Survived { points: plan.points, ..Survived::default() };
    let mut rng = StdRng::seed_from_u64(plan.seed);
    for _ in 0..plan.points {
        tokio::time::sleep(Duration::from_millis(rng.random_range(30..900))).await;
        gateway.process.kill().await?;
        survived.printing_when_killed += field.town.under_way() as u64;
        gateway = site.start().await.context("the gateway did not come back")?;
        field.redirect(gateway.kiosk_side);
        let still = Admin::new(gateway.admin, site.admin_key()?).open_latches().await?;
        survived.lost_latches += u64::from(!latched.iter().all(|id| still.iter().any(|latch| latch.id == *id)));
        step.done();
    }
    over.store(true, Ordering::Relaxed);
    while let Some(ended) = coming.join_next().await {
        ended?;
    }
    survived.amends_behind = behind.await?;
    survived.amends = (amends.0.load(Ordering::Relaxed), amends.1.load(Ordering::Relaxed));
    survived.latches = Admin::new(gateway.admin, site.admin_key()?).open_latches().await?.len();
    gateway.process.terminate(Duration::from_secs(20)).await?;
    finish(&mut survived, &field);
    survived.seconds = started.elapsed().as_secs_f64();
    Ok(survived)
}

/// A mismatch in the first municipality, so that there is something to lose.
async fn set_a_latch(field: &Arc<Field>, site: &Site, gateway: &Gateway) -> anyhow::Result<Vec<String>> {
    field.town.faults(&FaultPlan::in_city(Fault::InsuranceWeakMatch, field.town.code(0), 1.0));
    let mistakable = field.town.can_ask_for(0, Form::Tax).into_iter().find(|person| field.town.is_mistakable(*person));
    let person = mistakable.context("nobody can be mistaken for another")?;
    let visit = Visit { person, form: Form::Tax, household: false, looks_first: false, since: None, walks_away: None };
    let ended = field.visit(Side::Scene, visit).await;
    ensure!(ended == Ended::Withheld, "another person's paper was {ended:?}");
    let open = Admin::new(gateway.admin, site.admin_key()?).open_latches().await?;
    ensure!(!open.is_empty(), "a confirmed mismatch set no latch");
    Ok(open.into_iter().map(|latch| latch.id).collect())
}

/// Sessions in which the person moves house before asking for paper.
const MOVES: f64 = 0.2;
/// The resident system changes a record this often.
const CHANGES_EVERY: Duration = Duration::from_millis(100);

async fn keep_coming(
    field: Arc<Field>,
    people: Vec<PersonNo>,
    mut rng: StdRng,
    amends: Arc<(AtomicU64, AtomicU64)>,
    over: Arc<AtomicBool>,
) {
    while !over.load(Ordering::Relaxed) {
        let some = people.get(..REGULARS).filter(|_| rng.random_bool(REGULAR)).unwrap_or(&people);
        let Some(person) = some.choose(&mut rng).copied() else { return };
        let form =
            *[Form::ResidentRecord, Form::ResidentItems, Form::FamilyRegister].choose(&mut rng).unwrap_or(&Form::Tax);
        let visit =
            Visit { person, form, household: rng.random_bool(0.3), looks_first: false, since: None, walks_away: None };
        let mut kiosk = field.free_kiosk(Side::Everyday);
        let mut ended = Ended::Failed;
        if let Ok(opened) = field.open(&mut kiosk, visit).await {
            if rng.random_bool(MOVES) {
                let address = field.town.another_address(person, rng.random());
                amends.0.fetch_add(1, Ordering::Relaxed);
                let acknowledged = field.amend(&mut kiosk, &opened, person, &address).await;
                amends.1.fetch_add(u64::from(acknowledged), Ordering::Relaxed);
            }
            ended = field.issue(&mut kiosk, &opened, visit).await;
            kiosk.close(&opened.session).await;
        }
        if ended == Ended::Failed {
            // Nobody answers while the gateway is away; a person would not ask a thousand times a second.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The resident system's own changes. Gives how many there were.
async fn change_behind(field: Arc<Field>, people: Vec<PersonNo>, mut rng: StdRng, over: Arc<AtomicBool>) -> u64 {
    let mut clock = tokio::time::interval(CHANGES_EVERY);
    let mut changes = 0;
    while !over.load(Ordering::Relaxed) {
        clock.tick().await;
        let Some(person) = people.choose(&mut rng).copied() else { break };
        let address = field.town.another_address(person, rng.random());
        if let Some((version, at)) = field.town.amend_behind(person, &address).await {
            field.ledger.known(field.town.id(person), version, at);
            changes += 1;
        }
    }
    changes
}

fn finish(survived: &mut Survived, field: &Field) {
    let book = field.ledger.close();
    let logs = field.town.take_logs();
    let mut probes: HashMap<String, Instant> = HashMap::new();
    for (request, began) in logs.probes {
        let last = probes.entry(request).or_insert(began);
        *last = began.max(*last);
    }
    let last_probe = |request: &Option<String>| request.as_ref().and_then(|id| probes.get(id)).copied();
    let judged = book.judge(logs.shown, |entry| last_probe(&entry.request_id).unwrap_or(entry.sent));
    survived.requests = book.entries.len() as u64;
    for entry in book.entries.iter().filter(|entry| entry.paper.is_none()) {
        *survived.ended.entry(format!("{:?} {}", entry.ended, entry.reason)).or_default() += 1;
    }
    survived.released = judged.papers.judged();
    survived.wrong = judged.papers.harmful() + judged.papers.duplicate;
    survived.wrong_data = judged.wrong_data + book.misapplied;
    survived.two_in_flight = field.town.overlaps();
    let mut carried_out: HashMap<String, u64> = HashMap::new();
    for amend in logs.executions.into_iter().filter(|execution| execution.work == Work::Amend) {
        *carried_out.entry(amend.request).or_default() += 1;
    }
    survived.amended_twice = carried_out.into_values().filter(|times| *times > 1).count() as u64;
}
