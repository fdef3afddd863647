//! What stands between kiosks and backend: started for one measurement, ended after it. Never decides what is measured.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use toml::Value;

use super::bench::{Bench, DEADLINE};
use super::settings::Setting;
use crate::cluster::{Peer, Process, Site, protecting};
use crate::run::Standing;

/// A kind of contestant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Against {
    /// HAProxy: a slot limit, a queue with a time limit, priority classes.
    Haproxy,
    /// Envoy: the adaptive concurrency filter.
    Envoy,
    /// nginx: limits without a queue.
    Nginx,
    /// Nothing: kiosks ask the backend itself.
    None,
    /// The gateway with all checks on.
    #[value(skip)]
    Sekisho,
}

impl Against {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Nginx => "nginx",
            Self::None => "none",
            Self::Sekisho => "sekisho",
        }
    }

    fn peer(self) -> Option<Peer> {
        match self {
            Self::Haproxy => Some(Peer::Haproxy),
            Self::Envoy => Some(Peer::Envoy),
            Self::Nginx => Some(Peer::Nginx),
            Self::None | Self::Sekisho => None,
        }
    }

    /// Where its program is, if it needs one and has it. `Err`: it is not installed.
    pub(super) fn program(self, envoy: Option<&Path>) -> Result<Option<PathBuf>, ()> {
        let Some(peer) = self.peer() else { return Ok(None) };
        peer.program(envoy.filter(|_| peer == Peer::Envoy)).map(Some).ok_or(())
    }
}

/// A contestant that stands.
pub(super) struct Contestant {
    pub(super) standing: Standing,
    process: Option<Process>,
}

impl Contestant {
    /// Nobody between.
    pub(super) fn nobody(bench: &Bench) -> Self {
        Self { standing: standing("none", bench.town.issuer(), None, bench), process: None }
    }

    /// A peer with these settings.
    pub(super) async fn peer(
        against: Against,
        program: &Path,
        setting: &Setting,
        bench: &Bench,
        capacity: f64,
        dir: &Path,
    ) -> anyhow::Result<Self> {
        let peer = against.peer().context("no peer")?;
        let places = setting.places(capacity);
        let template = match &bench.plan.templates {
            None => against.template().to_owned(),
            Some(own) => {
                let file = own.join(peer.file());
                std::fs::read_to_string(&file).with_context(|| file.display().to_string())?
            }
        };
        let (process, address) = peer
            .start(program, &template, &places, bench.town.issuer(), dir, bench.plan.cores.measured)
            .await
            .with_context(|| format!("{} with {setting}", against.name()))?;
        Ok(Self { standing: standing(against.name(), address, None, bench), process: Some(process) })
    }

    /// The gateway: the worked configuration with this backend's limit and the deadline as every route's time-out; without the rest after a
    /// time-out where the backend is said to need none.
    pub(super) async fn gateway(program: &Path, bench: &Bench, settles: bool, dir: &Path) -> anyhow::Result<Self> {
        let mut site = Site::prepare(program, dir, &configuration(bench, settles)?)?;
        site.core = bench.plan.cores.measured;
        let gateway = site.start().await?;
        let standing = standing("sekisho", gateway.kiosk_side, Some(gateway.metrics), bench);
        Ok(Self { standing, process: Some(gateway.process) })
    }

    /// CPU time that it used so far.
    pub(super) fn cpu(&self) -> Duration {
        self.process.as_ref().map_or(Duration::ZERO, Process::cpu)
    }

    /// Ends it.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(process) = &mut self.process {
            process.terminate(Duration::from_secs(5)).await?;
        }
        Ok(())
    }
}

fn standing(
    name: &str,
    target: std::net::SocketAddr,
    metrics: Option<std::net::SocketAddr>,
    bench: &Bench,
) -> Standing {
    let (town, cores) = (Arc::clone(&bench.town), bench.plan.cores);
    Standing { target, metrics, name: name.to_owned(), town, cores }
}

fn configuration(bench: &Bench, settles: bool) -> anyhow::Result<toml::Table> {
    let mut table = protecting(&bench.town)?;
    let section = |table: &mut toml::Table, path: &[&str], key: &str, value: Value| {
        let found = path.iter().try_fold(table, |table, name| table.get_mut(*name).and_then(Value::as_table_mut));
        found.map(|table| table.insert(key.to_owned(), value)).map(drop).with_context(|| path.join("."))
    };
    section(&mut table, &["backends", "issuer"], "max_in_flight", i64::try_from(bench.plan.knee)?.into())?;
    section(&mut table, &["server"], "threads", i64::try_from(bench.plan.threads)?.into())?;
    if !settles {
        section(&mut table, &["backends", "issuer", "hazards"], "settle_after_timeout", "0s".into())?;
    }
    let routes = table.get("routes").and_then(Value::as_table).context("routes")?;
    for route in routes.keys().cloned().collect::<Vec<_>>() {
        section(&mut table, &["routes", &route], "timeout", format!("{}ms", DEADLINE.as_millis()).into())?;
    }
    Ok(table)
}
