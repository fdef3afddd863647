//! One incident on one path: a town with the fault, everyday traffic around it, the script in the middle, then the judge.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::catalogue::Incident;
use super::crowd::{self, Arrival, SCENE};
use super::field::{Field, Side};
use super::ledger::{Closed, Ended, Entry, Suspended};
use super::scene;
use super::script::{self, Script};
use crate::cluster::{Admin, Gateway, Site, Town, TownPlan, protecting, without_check};
use crate::dialect::Dialect;
use crate::legacy::{FaultPlan, Form};
use crate::report::{Path, Row, Step};

/// What every run of a replay has in common.
#[derive(Debug, Clone)]
pub struct Setup {
    /// This binary, which carries the gateway as a subcommand.
    pub program: PathBuf,
    /// The same seed gives the same town, people, arrivals and faults.
    pub seed: u64,
    /// Unaffected requests that a run must have.
    pub requests: usize,
    /// Everyday visits that begin in a second, however fast they are served.
    pub per_second: f64,
    /// A check that the gateway goes without, to see what the others catch.
    pub without: Option<String>,
    /// How kiosks and backend write.
    pub dialect: Dialect,
}

impl Setup {
    /// Everyday visits: some more than must stay unaffected, since the fault touches some of them as well.
    pub fn arrivals(&self) -> usize {
        self.requests + self.requests * 35 / 100
    }
}

/// A person at a kiosk waits so long.
const PATIENCE: Duration = Duration::from_secs(15);
/// Part of the everyday traffic that comes before the fault is there, and after it is gone.
const QUIET_PART: f64 = 0.1;

/// Plays one incident on one path and judges it.
pub async fn run(setup: &Setup, incident: &Incident, path: Path, step: Step) -> anyhow::Result<Row> {
    let started = Instant::now();
    let script = script::of(incident.id).with_context(|| format!("no script for {}", incident.id))?;
    let town = Town::start(TownPlan::usual(setup.seed).speaking(setup.dialect)).await?;
    let dir = tempfile::tempdir()?;
    let (target, gateway) = match path {
        Path::Direct => (town.issuer(), None),
        Path::Gateway => {
            let site = Site::prepare(&setup.program, dir.path(), &configuration(setup, &town)?)?;
            let gateway = site.start().await?;
            (gateway.kiosk_side, Some((site, gateway)))
        }
    };
    let field = Field::new(town, target, PATIENCE, step);
    let fault = traffic(setup, &script, &field).await;
    let book = field.ledger.close();
    let mut row = Row::empty(incident.id, path, setup.seed);
    let latched = match &gateway {
        Some((site, gateway)) => latched(site, gateway, &field.town, &mut row).await?,
        None => HashSet::new(),
    };
    fill(&mut row, &field.town, &book, &fault, &latched, path);
    if let Some((_, mut gateway)) = gateway {
        gateway.process.terminate(Duration::from_secs(10)).await?;
    }
    row.seconds = started.elapsed().as_secs_f64();
    Ok(row)
}

fn configuration(setup: &Setup, town: &Town) -> anyhow::Result<toml::Table> {
    let complete = protecting(town)?;
    Ok(match &setup.without {
        Some(check) => without_check(complete, check),
        None => complete,
    })
}

/// When the fault was switched on and off.
struct Span {
    from: Instant,
    to: Instant,
}

/// Everyday traffic with the script in its middle.
async fn traffic(setup: &Setup, script: &Script, field: &Arc<Field>) -> Span {
    let mut rng = StdRng::seed_from_u64(setup.seed);
    let waves = crowd::waves(&field.town, &mut rng, script);
    let elsewhere = crowd::Elsewhere::than(&field.town, &waves, script);
    let arrivals = crowd::everyday(&mut rng, elsewhere, setup.per_second, setup.arrivals());
    let last = arrivals.last().map_or(Duration::ZERO, |arrival| arrival.at);
    let lasts = last.mul_f64(1.0 - 2.0 * QUIET_PART);
    let everyday = tokio::spawn(come_and_go(Arc::clone(field), arrivals));

    tokio::time::sleep(last.mul_f64(QUIET_PART)).await;
    let from = Instant::now();
    field.town.faults(&FaultPlan::in_city(script.fault, field.town.code(SCENE), script.rate));
    let paced = Script { every: lasts.div_f64(waves.len().max(1) as f64).min(script.every), ..*script };
    scene::play(field, &paced, waves, &mut rng).await;
    tokio::time::sleep_until((from + lasts).into()).await;
    field.town.faults(&FaultPlan::in_city(script.fault, field.town.code(SCENE), 0.0));
    let to = Instant::now();
    let _ = everyday.await;
    Span { from, to }
}

/// Open loop: everybody comes when they come, however long the others take.
async fn come_and_go(field: Arc<Field>, arrivals: Vec<Arrival>) {
    let start = tokio::time::Instant::now();
    let mut visits = tokio::task::JoinSet::new();
    for arrival in arrivals {
        tokio::time::sleep_until(start + arrival.at).await;
        let field = Arc::clone(&field);
        visits.spawn(async move { field.visit(Side::Everyday, arrival.visit).await });
    }
    while visits.join_next().await.is_some() {}
}

/// Asks the gateway what is latched, and whether an alarm went away by itself.
async fn latched(site: &Site, gateway: &Gateway, town: &Town, row: &mut Row) -> anyhow::Result<Suspended> {
    let mut admin = Admin::new(gateway.admin, site.admin_key()?);
    let latches = admin.latches().await?;
    let (cleared, open): (Vec<_>, Vec<_>) = latches.iter().partition(|latch| latch.cleared.is_some());
    row.latches = open.len() as u64;
    // Nobody clears a latch in this replay, so whatever is cleared was cleared by itself.
    row.alarms_closed_by_retry = cleared.len() as u64;
    Ok(open.iter().filter_map(|latch| place(town, &latch.scope)).collect())
}

/// `991007/seal_registration` as municipality and form; `991007/answer` as municipality without one.
fn place(town: &Town, scope: &str) -> Option<(usize, Option<Form>)> {
    let (code, kind) = scope.split_once('/')?;
    let city = town.cities().find(|city| town.code(*city) == code)?;
    Some((city, Form::from_path(&kind.replace('_', "-"))))
}

fn fill(row: &mut Row, town: &Town, book: &Closed, fault: &Span, latched: &Suspended, path: Path) {
    let log = town.fault_log();
    // A latch excuses what it suspends only where the backend's own log says that something happened.
    let suspended: Suspended = latched.iter().filter(|place| log.places.contains(place)).copied().collect();
    let unaffected = book.unaffected(&log.named, &suspended);
    let is_served = |entry: &&&Entry| matches!(entry.ended, Ended::Released | Ended::Refused);
    let served = unaffected.iter().filter(is_served).count();
    for entry in unaffected.iter().filter(|entry| !is_served(entry)) {
        *row.unserved
            .entry(format!("{} {}: {}", town.code(entry.city), entry.form.path(), entry.reason))
            .or_default() += 1;
    }
    for entry in book.entries.iter().filter(|entry| entry.ended == Ended::Withheld) {
        *row.withheld_because.entry(entry.reason.clone()).or_default() += 1;
    }
    let logs = town.take_logs();
    let mut probes: HashMap<String, Instant> = HashMap::new();
    for (request, began) in logs.probes {
        let last = probes.entry(request).or_insert(began);
        *last = began.max(*last);
    }
    let probe = |entry: &Entry| entry.request_id.as_ref().and_then(|id| probes.get(id)).copied().unwrap_or(entry.sent);
    let judged = book.judge(logs.shown, probe);
    row.requests = book.entries.len() as u64;
    row.released = book.ended(Ended::Released);
    row.wrong_person = judged.papers.wrong_person;
    row.mixed_page = judged.papers.mixed_page;
    row.stale = judged.papers.stale;
    row.duplicate = judged.papers.duplicate;
    row.withheld = book.ended(Ended::Withheld);
    row.suspended = book.ended(Ended::Suspended);
    row.shed = book.ended(Ended::Shed) + row.suspended;
    row.served_ratio_of_unaffected = served as f64 / (unaffected.len().max(1) as f64);
    row.unaffected = unaffected.len() as u64;
    row.unaffected_during_fault = unaffected.iter().filter(|e| e.overlaps(fault.from, fault.to)).count() as u64;
    row.municipalities = book.entries.iter().map(|entry| entry.city).collect::<HashSet<_>>().len() as u64;
    row.faults_fired = log.fired;
    row.refused = book.ended(Ended::Refused);
    row.failed = book.ended(Ended::Failed);
    row.wrong_data = judged.wrong_data;
    row.misapplied = book.misapplied;
    if path == Path::Direct {
        row.alarms_closed_by_retry = log.alarms_closed_by_good_print;
    }
}
