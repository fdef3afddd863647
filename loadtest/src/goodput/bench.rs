//! The backend that everybody stands in front of, and its capacity: measured closed loop at the knee, straight. Assumes nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::cluster::Town;
use crate::kiosk::{Kiosk, Patience, Said, Scope};
use crate::legacy::{Form, ServiceTime, WorldConfig};

/// What a kiosk waits for one answer, and what every contestant is told.
pub(super) const DEADLINE: Duration = Duration::from_secs(3);
/// Until everybody is in their stride.
const WARM: Duration = Duration::from_millis(500);
/// As few of them ask twice at once as in a real town.
const RESIDENTS: usize = 6_000;

/// The backend, served.
pub struct Bench {
    /// Its town: one municipality, so that it has one knee.
    pub town: Arc<Town>,
    /// Requests at once beyond which it gets slower.
    pub knee: usize,
    /// Certificates a second that it makes at its knee, as measured.
    pub capacity: f64,
    /// Threads of the gateway's kiosk side.
    pub threads: usize,
    /// Where the peers' configurations are, if they are not ours.
    pub templates: Option<PathBuf>,
}

impl Bench {
    /// Makes and serves it.
    pub async fn start(seed: u64, knee: usize, service: ServiceTime, threads: usize) -> anyhow::Result<Self> {
        let config = WorldConfig {
            seed,
            municipalities: 1,
            residents_each: RESIDENTS,
            service: ServiceTime { knee, ..service },
            ..WorldConfig::default()
        };
        let town = Arc::new(Town::of(config).await?);
        Ok(Self { town, knee, capacity: 0.0, threads, templates: None })
    }

    /// Certificates a second with as many kiosks as the knee, each asking again as soon as it is answered, straight at the backend.
    pub async fn measure_capacity(&self, lasts: Duration) -> anyhow::Result<f64> {
        let (counting, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let made = Arc::new(AtomicU64::new(0));
        let people = self.town.can_ask_for(0, Form::ResidentRecord);
        let mut asking = Vec::new();
        for (n, person) in people.into_iter().take(self.knee).enumerate() {
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
