//! The comparison: every proxy in front of the same backend, interleaved, several times; medians.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Serialize;

use super::measure::{Sample, Standing, Visitor, measure, median, stand};
use super::rows::{Gate, ROWS, Row, configured};
use crate::cluster::{Peer, Process, Site, Town, TownPlan, brisk, protecting};
use crate::legacy::{Form, PaperStyle};
use crate::report::Step;

/// What is compared, how often.
#[derive(Debug, Clone)]
pub struct CostPlan {
    /// This binary, which carries the gateway as a subcommand.
    pub program: PathBuf,
    /// Runs of every measurement; the median counts.
    pub runs: usize,
    /// Requests of one measurement.
    pub requests: u64,
    /// People who ask at the same time.
    pub at_once: usize,
    /// Threads of the gateway's kiosk side. Each peer has one.
    pub threads: usize,
    /// Only the rows whose name contains this.
    pub only: String,
    /// Without the peers.
    pub alone: bool,
    /// Where Envoy is, if not in `PATH`.
    pub envoy: Option<PathBuf>,
}

impl CostPlan {
    fn rows(&self) -> impl Iterator<Item = Row> {
        ROWS.into_iter().filter(|row| row.name.contains(&self.only))
    }

    fn peers(&self) -> impl Iterator<Item = Peer> {
        Peer::ALL.into_iter().filter(|_| !self.alone)
    }
}

/// CPU per request, by load and proxy.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Comparison {
    /// CPU microseconds per request: load, then proxy.
    pub cpu_us: BTreeMap<String, BTreeMap<String, f64>>,
    /// Bytes of one answer, by load.
    pub bytes: BTreeMap<String, f64>,
    /// Proxies that are not installed here.
    pub absent: Vec<String>,
}

/// One proxy under measurement.
struct Contestant {
    name: String,
    /// The rows it is for; a peer is for all.
    gate: Option<Gate>,
    process: Process,
    /// People in front of kiosks, by paper style.
    standing: BTreeMap<&'static str, Vec<Standing>>,
}

/// Starts everything, measures, and stops everything.
pub async fn compare(plan: &CostPlan, step: Step) -> anyhow::Result<Comparison> {
    // Three municipalities, one for each producer's style.
    let town = Town::start(TownPlan::of(1, PaperStyle::ALL.len(), 120)).await?;
    let dir = tempfile::tempdir()?;
    let mut comparison = Comparison::default();
    let mut contestants = Vec::new();
    for peer in plan.peers() {
        let given = plan.envoy.as_deref().filter(|_| peer == Peer::Envoy);
        let Some(program) = peer.program(given) else {
            comparison.absent.push(peer.name().to_owned());
            continue;
        };
        let (process, address) = peer.start(&program, plain(peer), &[], town.issuer(), dir.path(), None).await?;
        contestants.push(contestant(peer.name(), None, process, address, &town, plan.at_once).await?);
    }
    for (gate, place) in
        [(Gate::Probes, "gateway"), (Gate::ChecksOnly, "gateway-checks-only"), (Gate::Reused, "gateway-reused")]
    {
        if plan.rows().any(|row| row.gate == gate) {
            let configuration = configured(brisk(protecting(&town)?), gate, plan.threads)?;
            let site = Site::prepare(&plan.program, &dir.path().join(place), &configuration)?;
            let gateway = site.start().await?;
            let (process, address) = (gateway.process, gateway.kiosk_side);
            contestants.push(contestant("sekisho", Some(gate), process, address, &town, plan.at_once).await?);
        }
    }

    let mut samples: BTreeMap<(String, String), Vec<Sample>> = BTreeMap::new();
    // The first round warms everything up and is not counted.
    for round in 0..=plan.runs {
        for Row { name, load, style, gate } in plan.rows() {
            for contestant in contestants.iter_mut().filter(|it| it.gate.is_none_or(|own| own == gate)) {
                let people = contestant.standing.remove(style).unwrap_or_default();
                let requests = if round == 0 { plan.requests / 5 } else { plan.requests };
                let (sample, people) = measure(&contestant.process, people, load, requests.max(1)).await?;
                contestant.standing.insert(style, people);
                if round > 0 {
                    samples.entry((name.to_owned(), contestant.name.clone())).or_default().push(sample);
                }
                step.done();
            }
        }
    }
    for ((load, proxy), samples) in samples {
        let cpu = median(samples.iter().map(|sample| sample.cpu_us).collect());
        comparison.bytes.insert(load.clone(), median(samples.iter().map(|sample| sample.bytes).collect()));
        comparison.cpu_us.entry(load).or_default().insert(proxy, cpu);
    }
    Ok(comparison)
}

/// A peer's configuration as plain as its manual allows.
fn plain(peer: Peer) -> &'static str {
    match peer {
        Peer::Nginx => include_str!("../../peers/nginx.conf"),
        Peer::Haproxy => include_str!("../../peers/haproxy.cfg"),
        Peer::Envoy => include_str!("../../peers/envoy.yaml"),
    }
}

/// Measurements of a whole comparison, for the progress bar.
pub fn steps(plan: &CostPlan) -> u64 {
    ((plan.runs + 1) * plan.rows().count() * (plan.peers().count() + 1)) as u64
}

async fn contestant(
    name: &str,
    gate: Option<Gate>,
    process: Process,
    address: SocketAddr,
    town: &Town,
    at_once: usize,
) -> anyhow::Result<Contestant> {
    let mut standing = BTreeMap::new();
    for (city, style) in town.cities().zip(["embedded", "shift-jis", "ucs2"]) {
        let visitors: Vec<Visitor> = town
            .can_ask_for(city, Form::ResidentRecord)
            .into_iter()
            .take(at_once)
            .map(|person| Visitor { card: town.card(person).to_owned(), city: town.city_code(person).to_owned() })
            .collect();
        // A terminal has one session at the backend: no two contestants may have the same terminals.
        let terminals = match gate {
            Some(Gate::ChecksOnly) => format!("{name}-checks-{style}"),
            Some(Gate::Reused) => format!("{name}-reused-{style}"),
            _ => format!("{name}-{style}"),
        };
        standing.insert(style, stand(address, &terminals, &visitors).await?);
    }
    Ok(Contestant { name: name.to_owned(), gate, process, standing })
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let proxies = ["nginx", "haproxy", "envoy", "sekisho"];
        writeln!(f, "CPU microseconds per request of each proxy process (median):\n")?;
        write!(f, "{:<38} {:>6}", "", "bytes")?;
        for proxy in proxies {
            write!(f, " {proxy:>9}")?;
        }
        writeln!(f, " {:>11}", "x haproxy")?;
        for (load, cpu) in &self.cpu_us {
            write!(f, "{load:<38} {:>6.0}", self.bytes.get(load).copied().unwrap_or_default())?;
            for proxy in proxies {
                match cpu.get(proxy) {
                    Some(cpu) => write!(f, " {cpu:>9.0}")?,
                    None => write!(f, " {:>9}", "-")?,
                }
            }
            match (cpu.get("sekisho"), cpu.get("haproxy")) {
                (Some(own), Some(haproxy)) if *haproxy > 0.0 => writeln!(f, " {:>10.1}x", own / haproxy)?,
                _ => writeln!(f)?,
            }
        }
        for absent in &self.absent {
            writeln!(f, "{absent} is not installed here and was left out")?;
        }
        write!(
            f,
            "\nThe peers forward bytes, on one thread each and on connections to the backend that they keep. Every row of Sekisho\n\
             includes all checks of its route, a lane, two durable records (the intent before the backend hears anything, the\n\
             release before the kiosk does) and a log line; records that wait at the same time share a sync, so more people at\n\
             once cost less each. Except in the row `checks only`, it asks the resident-record system before and after each\n\
             answer, which makes three exchanges of one. Of a certificate every page is read, and its backend connection is\n\
             opened for it alone, except in the row `reused connection`."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_is_told_where_to_listen() {
        for peer in Peer::ALL {
            let in_use: String = plain(peer).lines().filter(|line| !line.trim_start().starts_with('#')).collect();
            assert!(in_use.contains("{listen}") || in_use.contains("{port}"), "{}", peer.name());
        }
    }
}
