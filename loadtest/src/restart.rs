//! `kill -9` at random points: the gateway dies while the backend still prints, comes back, and must neither hand out
//! something wrong nor let two calls for one resident meet at the backend.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde::Serialize;

use crate::cluster::{Admin, Gateway, Site, Town, TownPlan, brisk, protecting};
use crate::incidents::{Ended, Field, Side, Visit};
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
    /// Certificates that were handed out.
    pub released: u64,
    /// Of those: another person's, mixed, stale or delivered before.
    pub wrong: u64,
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
            ("times two calls for one resident met at the backend", self.two_in_flight),
            ("restarts lost a latch", self.lost_latches),
        ];
        let mut complaints: Vec<String> =
            zero.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{n} {what}")).collect();
        if self.printing_when_killed == 0 {
            complaints.push("the backend was never printing when the gateway died: the run says nothing".to_owned());
        }
        if self.released == 0 || self.latches == 0 {
            complaints.push("nothing was released, or no latch was ever set: the run says nothing".to_owned());
        }
        complaints
    }
}

/// The people who keep coming; few, so that they come again while their last call may still be printing.
const PEOPLE: usize = 60;
const KIOSKS: usize = 16;
/// Prints take long, so that they outlive the gateway that asked for them.
const PRINTS_FOR: Duration = Duration::from_millis(80);

/// Runs it.
pub async fn restart(plan: &RestartPlan, step: Step) -> anyhow::Result<Survived> {
    let started = Instant::now();
    let town = Town::start(TownPlan { service: PRINTS_FOR, ..TownPlan::of(plan.seed, 3, 120) }).await?;
    let dir = tempfile::tempdir()?;
    let site = Site::prepare(&plan.program, dir.path(), &brisk(protecting(&town)?))?;
    let mut gateway = site.start().await?;
    let field = Field::new(town, gateway.kiosk_side, Duration::from_secs(4), Step::silent());
    let latched = set_a_latch(&field, &site, &gateway).await?;
    let over = Arc::new(AtomicBool::new(false));
    let people: Vec<PersonNo> = field
        .town
        .cities()
        .skip(1)
        .flat_map(|city| field.town.can_ask_for(city, Form::ResidentRecord))
        .take(PEOPLE)
        .collect();
    let mut coming = tokio::task::JoinSet::new();
    for kiosk in 0..KIOSKS {
        let rng = StdRng::seed_from_u64(plan.seed ^ kiosk as u64);
        coming.spawn(keep_coming(Arc::clone(&field), people.clone(), rng, Arc::clone(&over)));
    }
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
    while coming.join_next().await.is_some() {}
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

async fn keep_coming(field: Arc<Field>, people: Vec<PersonNo>, mut rng: StdRng, over: Arc<AtomicBool>) {
    while !over.load(Ordering::Relaxed) {
        let Some(person) = people.choose(&mut rng).copied() else { return };
        let form =
            *[Form::ResidentRecord, Form::ResidentItems, Form::FamilyRegister].choose(&mut rng).unwrap_or(&Form::Tax);
        let visit =
            Visit { person, form, household: rng.random_bool(0.3), looks_first: false, since: None, walks_away: None };
        if field.visit(Side::Everyday, visit).await == Ended::Failed {
            // Nobody answers while the gateway is away; a person would not ask a thousand times a second.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn finish(survived: &mut Survived, field: &Field) {
    let book = field.ledger.close();
    let logs = field.town.take_logs();
    let judged = book.judge(logs.shown, |entry| entry.sent);
    survived.requests = book.entries.len() as u64;
    survived.released = judged.papers.judged();
    survived.wrong = judged.papers.harmful() + judged.papers.duplicate;
    survived.two_in_flight = field.town.overlaps();
}
