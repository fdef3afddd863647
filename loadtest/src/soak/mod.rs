//! The soak: very many issuances through the gateway while every fault fires, an operator who clears each latch, and a
//! judge who also looks at what was kept in: a right document withheld by a check is a defect too.

mod figures;
mod judge;
mod operator;
mod people;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use figures::Figures;

use crate::cluster::{Admin, Site, Town, TownPlan, brisk, protecting};
use crate::incidents::Field;
use crate::legacy::FaultPlan;
use crate::report::Step;

/// What a soak is.
#[derive(Debug, Clone)]
pub struct SoakPlan {
    /// This binary, which carries the gateway as a subcommand.
    pub program: PathBuf,
    /// Requests for a certificate.
    pub requests: u64,
    /// How often each fault's window opens, per backend call.
    pub rate: f64,
    /// The same seed gives the same town and the same people.
    pub seed: u64,
    /// Kiosks that ask at the same time.
    pub kiosks: u64,
}

/// A person waits so long; longer than the gateway's own time-outs in a soak.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs it and gives the figures.
pub async fn soak(plan: &SoakPlan, step: Step) -> anyhow::Result<Figures> {
    let started = Instant::now();
    let residents_each = if plan.requests > 100_000 { 3_000 } else { 600 };
    let town = Town::start(TownPlan::of(plan.seed, 6, residents_each)).await?;
    let dir = tempfile::tempdir()?;
    let site = Site::prepare(&plan.program, dir.path(), &brisk(protecting(&town)?))?;
    let mut gateway = site.start().await?;
    let admin = Admin::new(gateway.admin, site.admin_key()?);
    let field = Field::new(town, gateway.kiosk_side, PATIENCE, step);
    field.town.faults(&FaultPlan::all(plan.rate));

    let (over, nobody_asks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let operating = tokio::spawn(operator::clear_latches(admin, Arc::clone(&over)));
    let feeding = tokio::spawn(people::feed(Arc::clone(&field), plan.seed, Arc::clone(&over)));
    let judging = tokio::spawn(judge::judge(Arc::clone(&field), Arc::clone(&nobody_asks)));
    let (left, crowd) = (Arc::new(AtomicU64::new(plan.requests)), Arc::new(people::Crowd::of(&field)));
    let mut asking = tokio::task::JoinSet::new();
    for kiosk in 0..plan.kiosks {
        let seed = plan.seed ^ (kiosk + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        asking.spawn(people::come_and_go(Arc::clone(&field), Arc::clone(&crowd), seed, Arc::clone(&left)));
    }
    while let Some(ended) = asking.join_next().await {
        ended?;
    }
    over.store(true, Ordering::Relaxed);
    let seconds = started.elapsed().as_secs_f64();
    let gateway_cpu_seconds = gateway.process.cpu().as_secs_f64();
    let amends_behind = feeding.await?;
    let latches_cleared = operating.await??;
    let faults = field.town.fired();
    field.town.repair();
    nobody_asks.store(true, Ordering::Relaxed);
    let judged = judging.await?;
    gateway.process.terminate(Duration::from_secs(20)).await?;
    Ok(Figures { amends_behind, latches_cleared, faults, seconds, gateway_cpu_seconds, ..judged })
}
