//! Whom a run loads: the simulated town behind a gateway of our own, started for it, or somebody else's gateway.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml::{Table, Value};

use super::Refused;
use super::people::People;
use super::reconcile::{Scrape, resolve, scrape};
use super::residents::{has_reader, read};
use crate::auditor::TextAuditor;
use crate::cluster::{Cores, Gateway, Site, Town, protecting};
use crate::legacy::{ServiceTime, WorldConfig};
use crate::plan::{Address, Plan, Simulated};

/// What is loaded, with what is known of it.
pub(super) struct Tested {
    pub(super) target: SocketAddr,
    pub(super) shown_as: String,
    pub(super) town: Option<Arc<Town>>,
    pub(super) by_text: TextAuditor,
    /// Where the generator runs.
    pub(super) cores: Cores,
    metrics: Option<Address>,
    gateway: Option<Gateway>,
    admin_key: Option<String>,
    _dir: Option<tempfile::TempDir>,
}

impl Tested {
    /// Starts what has to be started.
    pub(super) async fn start(
        plan: &Plan,
        program: &Path,
        base: &Path,
        cores: Cores,
    ) -> anyhow::Result<(Self, People)> {
        let (tested, people) = match &plan.target.url {
            Some(url) => Self::at(plan, url, base).await?,
            None => Self::simulated(plan, program, cores).await?,
        };
        Ok((Self { cores, ..tested }, people))
    }

    /// A simulated town, with a gateway in front of it unless the plan wants none.
    async fn simulated(plan: &Plan, program: &Path, cores: Cores) -> anyhow::Result<(Self, People)> {
        let town = Arc::new(Town::of(world(plan)).await?.speaking(plan.dialect));
        let people = People::of_town(plan, &town)?;
        if plan.simulated.straight {
            let target = town.issuer();
            let shown_as = "the simulated backend itself, without a gateway".to_owned();
            let by_text = TextAuditor::default();
            let tested = Self {
                target,
                shown_as,
                town: Some(town),
                by_text,
                cores: Cores::default(),
                metrics: None,
                gateway: None,
                admin_key: None,
                _dir: None,
            };
            return Ok((tested, people));
        }
        let dir = tempfile::tempdir()?;
        let mut site = Site::prepare(program, dir.path(), &configuration(&plan.simulated, &town)?)?;
        site.core = cores.measured;
        let gateway = site.start().await?;
        let metrics = Address {
            host: gateway.metrics.ip().to_string(),
            port: gateway.metrics.port(),
            path: "/metrics".to_owned(),
        };
        let tested = Self {
            target: gateway.kiosk_side,
            shown_as: "its own gateway in front of the simulated backend".to_owned(),
            town: Some(town),
            by_text: TextAuditor::default(),
            cores: Cores::default(),
            metrics: Some(metrics),
            admin_key: Some(site.admin_key()?),
            gateway: Some(gateway),
            _dir: Some(dir),
        };
        Ok((tested, people))
    }

    /// What stands in front of a town already, and goes on standing.
    pub(super) fn standing(target: SocketAddr, name: &str, town: &Arc<Town>, metrics: Option<Address>) -> Self {
        Self {
            target,
            shown_as: name.to_owned(),
            town: Some(Arc::clone(town)),
            by_text: TextAuditor::default(),
            cores: Cores::default(),
            metrics,
            gateway: None,
            admin_key: None,
            _dir: None,
        }
    }

    /// Where operators and batches speak to the gateway, and the key, where it is ours.
    pub(super) fn operators(&self) -> Option<(SocketAddr, String)> {
        Some((self.gateway.as_ref()?.admin, self.admin_key.clone()?))
    }

    /// Somebody else's gateway, with the people that the plan's list names.
    async fn at(plan: &Plan, url: &Address, base: &Path) -> anyhow::Result<(Self, People)> {
        let list = plan.population.residents.as_ref().ok_or_else(|| {
            Refused(format!("{url} needs [population].residents: the people who may come, and what is printed of them"))
        })?;
        has_reader().map_err(Refused)?;
        let (people, listed) = read(plan, &base.join(list)).map_err(Refused)?;
        let tested = Self {
            target: resolve(url).await?,
            shown_as: url.to_string(),
            town: None,
            by_text: TextAuditor::new(listed),
            cores: Cores::default(),
            metrics: plan.target.metrics.clone(),
            gateway: None,
            admin_key: None,
            _dir: None,
        };
        Ok((tested, people))
    }

    /// The gateway's counters, where they can be read.
    pub(super) async fn counters(&self) -> anyhow::Result<Option<Scrape>> {
        match &self.metrics {
            Some(address) => scrape(address).await.map(Some),
            None => Ok(None),
        }
    }

    /// The counters once nothing is under way any more, or after `patience`.
    pub(super) async fn settled_counters(&self, patience: Duration) -> anyhow::Result<Option<Scrape>> {
        let began = tokio::time::Instant::now();
        loop {
            let scraped = self.counters().await?;
            let idle = scraped.as_ref().is_none_or(|scrape| scrape.in_flight == 0);
            if idle || began.elapsed() > patience {
                return Ok(scraped);
            }
            // Another process gives no event to wait for.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// CPU time that the gateway used so far, where it is ours.
    pub(super) fn gateway_cpu(&self) -> Option<Duration> {
        self.gateway.as_ref().map(|gateway| gateway.process.cpu())
    }

    /// Ends what was started.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(gateway) = &mut self.gateway {
            gateway.process.terminate(Duration::from_secs(10)).await?;
        }
        Ok(())
    }
}

/// The simulated town of a plan: as many municipalities as it takes to have those that the plan names.
fn world(plan: &Plan) -> WorldConfig {
    let simulated = plan.simulated;
    let service = match simulated.service {
        Duration::ZERO => ServiceTime::INSTANT,
        median => ServiceTime { median, knee: simulated.knee, ..ServiceTime::default() },
    };
    WorldConfig {
        seed: plan.seed,
        municipalities: crate::legacy::Municipality::MOST,
        residents_each: simulated.residents,
        service,
        ..WorldConfig::default()
    }
}

/// The worked configuration with the plan's limit and time-outs.
fn configuration(simulated: &Simulated, town: &Town) -> anyhow::Result<Table> {
    let mut table = protecting(town)?;
    let below = |table: &mut Table, path: &[&str], key: &str, value: Value| {
        let found = path.iter().try_fold(table, |table, name| table.get_mut(*name).and_then(Value::as_table_mut));
        if let Some(table) = found {
            table.insert(key.to_owned(), value);
        }
    };
    let limit = i64::try_from(simulated.max_in_flight)?;
    below(&mut table, &["backends", "issuer"], "max_in_flight", limit.into());
    if let Some(timeout) = simulated.timeout {
        let routes: Vec<String> = table
            .get("routes")
            .and_then(Value::as_table)
            .map(|routes| routes.keys().cloned().collect())
            .unwrap_or_default();
        for route in &routes {
            below(&mut table, &["routes", route], "timeout", format!("{}ms", timeout.as_millis()).into());
        }
    }
    Ok(table)
}
