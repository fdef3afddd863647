//! The backend that a contestant stands in front of, and its capacity: measured closed loop at the knee, straight. Each measurement has
//! one of its own, with threads of its own, so that nobody inherits what another left in it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::runtime::Runtime;

use crate::cluster::{Cores, Town};
use crate::kiosk::{Kiosk, Patience, Said, Scope};
use crate::legacy::{Form, ServiceTime, WorldConfig};

/// What a kiosk waits for one answer, and what every contestant is told.
pub(super) const DEADLINE: Duration = Duration::from_secs(3);
/// Until everybody is in their stride.
pub(super) const WARM: Duration = Duration::from_millis(500);
/// As few of them ask twice at once as in a real town.
const RESIDENTS: usize = 6_000;

/// What every backend of a contest is made from: the same people, the same knee.
#[derive(Debug, Clone)]
pub struct BenchPlan {
    /// The same seed gives the same people.
    pub seed: u64,
    /// Requests at once beyond which it gets slower.
    pub knee: usize,
    /// How long it takes.
    pub service: ServiceTime,
    /// Threads of the gateway's kiosk side.
    pub threads: usize,
    /// Where the peers' configurations are, if they are not ours.
    pub templates: Option<PathBuf>,
    /// Who runs where.
    pub cores: Cores,
}

/// One backend, served. Dropped, it is gone with all that it was at.
pub struct Bench {
    /// Its town.
    pub town: Arc<Town>,
    /// What it was made from.
    pub plan: BenchPlan,
    threads: Option<Runtime>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Ends every call that is still in it, at once.
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

impl Bench {
    /// Makes and serves one of one municipality.
    pub async fn start(plan: &BenchPlan) -> anyhow::Result<Self> {
        Self::of_cities(plan, 1).await
    }

    /// The same with so many municipalities, each with a knee of its own.
    pub(super) async fn of_cities(plan: &BenchPlan, municipalities: usize) -> anyhow::Result<Self> {
        let config = WorldConfig {
            seed: plan.seed,
            municipalities,
            residents_each: RESIDENTS,
            service: ServiceTime { knee: plan.knee, ..plan.service },
            ..WorldConfig::default()
        };
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("backend")
            .enable_all()
            .build()
            .context("cannot start the backend's thread")?;
        let town = threads.spawn(Town::of(config)).await??;
        Ok(Self { town: Arc::new(town), plan: plan.clone(), threads: Some(threads) })
    }

    /// Certificates a second with as many kiosks as the knee, each asking again as soon as it is answered, straight at the backend.
    pub async fn measure_capacity(&self, lasts: Duration) -> anyhow::Result<f64> {
        let (counting, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let made = Arc::new(AtomicU64::new(0));
        let people = self.town.can_ask_for(0, Form::ResidentRecord);
        let mut asking = Vec::new();
        for (n, person) in people.into_iter().take(self.plan.knee).enumerate() {
            let mut kiosk = Kiosk::new(format!("CAPACITY-{n:03}"), self.town.issuer(), Patience(DEADLINE));
            let (card, city) = (self.town.card(person).to_owned(), self.town.city_code(person).to_owned());
            let (counting, over, made) = (Arc::clone(&counting), Arc::clone(&over), Arc::clone(&made));
            asking.push(tokio::spawn(async move {
                let (exchange, opened) = kiosk.open(&card, &city).await;
                let opened = opened.with_context(|| format!("no session: {:?}", exchange.said))?;
                while !over.load(Ordering::Relaxed) {
                    let said = kiosk.issue(&opened.session, Form::ResidentRecord.path(), Scope::Alone).await.said;
                    ensure!(matches!(said, Said::Paper(_)), "no certificate: {said:?}");
                    if counting.load(Ordering::Relaxed) {
                        made.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Ok(())
            }));
        }
        tokio::time::sleep(WARM).await;
        counting.store(true, Ordering::Relaxed);
        let began = Instant::now();
        tokio::time::sleep(lasts).await;
        counting.store(false, Ordering::Relaxed);
        let (count, took) = (made.load(Ordering::Relaxed), began.elapsed());
        over.store(true, Ordering::Relaxed);
        for kiosk in asking {
            kiosk.await??;
        }
        ensure!(count > 0, "the backend made nothing in {took:?}");
        Ok(count as f64 / took.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> BenchPlan {
        let service = ServiceTime { median: Duration::from_millis(100), sigma: 0.0, thrash: 1.0, knee: 4 };
        BenchPlan { seed: 7, knee: 4, service, threads: 1, templates: None, cores: Cores::default() }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_contestant_that_thrashes_its_backend_does_not_change_the_next_ones_capacity() {
        let thrashed = Bench::start(&plan()).await.unwrap();
        let people = thrashed.town.can_ask_for(0, Form::ResidentRecord);
        let crowd: Vec<_> = people.into_iter().take(64).collect();
        for person in &crowd {
            let mut kiosk = Kiosk::new(format!("CROWD-{person}"), thrashed.town.issuer(), Patience(DEADLINE));
            let (card, city) = (thrashed.town.card(*person).to_owned(), thrashed.town.city_code(*person).to_owned());
            tokio::spawn(async move {
                let (_, opened) = kiosk.open(&card, &city).await;
                if let Some(opened) = opened {
                    kiosk.issue(&opened.session, Form::ResidentRecord.path(), Scope::Alone).await;
                }
            });
        }
        while thrashed.town.under_way() < crowd.len() / 2 {
            tokio::task::yield_now().await;
        }
        // 4 at once, 100 ms each; behind 32 others each would take more than 80 times as long.
        let half_a_second = Duration::from_millis(500);
        let next = Bench::start(&plan()).await.unwrap();
        let beside = next.measure_capacity(half_a_second).await.unwrap();
        assert!((15.0..=44.0).contains(&beside), "{beside}");
        let address = thrashed.town.issuer();
        drop(thrashed);
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        let after = Bench::start(&plan()).await.unwrap().measure_capacity(half_a_second).await.unwrap();
        assert!((15.0..=44.0).contains(&after), "{after}");
    }
}
