//! One measurement: so many requests through one proxy, and the CPU time that its process used for them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::cluster::Process;
use crate::kiosk::{Kiosk, Opened, Patience, Said, Scope};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// A record as JSON.
    Record,
    /// A certificate as PDF, by the last part of its path.
    Certificate(&'static str),
}

/// Somebody with a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The card in the slot.
    pub card: String,
    /// Whose municipality.
    pub city: String,
}

/// A kiosk with a person in front of it who asks again and again.
pub struct Standing {
    kiosk: Kiosk,
    opened: Opened,
}

/// Opens one session a visitor at `target`.
pub async fn stand(target: SocketAddr, prefix: &str, visitors: &[Visitor]) -> anyhow::Result<Vec<Standing>> {
    let mut standing = Vec::with_capacity(visitors.len());
    for (n, visitor) in visitors.iter().enumerate() {
        let mut kiosk = Kiosk::new(format!("{prefix}-{n:04}"), target, Patience(Duration::from_secs(20)));
        let (exchange, opened) = kiosk.open(&visitor.card, &visitor.city).await;
        let opened = opened.with_context(|| format!("{prefix}: no session: {:?}", exchange.said))?;
        standing.push(Standing { kiosk, opened });
    }
    Ok(standing)
}

/// The outcome of one measurement.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// CPU microseconds of the proxy per request.
    pub cpu_us: f64,
    /// Bytes of one answer, on average.
    pub bytes: f64,
}

/// Everybody in `standing` asks until `requests` were answered well. An answer that is not what was asked for fails it.
pub async fn measure(
    process: &Process,
    standing: Vec<Standing>,
    load: Load,
    requests: u64,
) -> anyhow::Result<(Sample, Vec<Standing>)> {
    let left = Arc::new(AtomicU64::new(requests));
    let before = process.cpu();
    let asking = standing.into_iter().map(|person| tokio::spawn(ask_until_done(person, load, Arc::clone(&left))));
    let mut people = Vec::new();
    let mut bytes = 0;
    for task in asking.collect::<Vec<_>>() {
        let (person, got) = task.await??;
        people.push(person);
        bytes += got;
    }
    let cpu = process.cpu().saturating_sub(before);
    let per_request = |total: f64| total / requests as f64;
    Ok((Sample { cpu_us: per_request(cpu.as_secs_f64() * 1e6), bytes: per_request(bytes as f64) }, people))
}

async fn ask_until_done(mut person: Standing, load: Load, left: Arc<AtomicU64>) -> anyhow::Result<(Standing, u64)> {
    let mut bytes = 0;
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
        let said = match load {
            Load::Record => person.kiosk.inquire(&person.opened.session, &person.opened.resident).await.said,
            Load::Certificate(path) => person.kiosk.issue(&person.opened.session, path, Scope::Alone).await.said,
        };
        bytes += match (&said, load) {
            (Said::Paper(paper), Load::Certificate(_)) => paper.bytes.len() as u64,
            (Said::Data(data), Load::Record) => data.to_string().len() as u64,
            _ => 0,
        };
        let good = matches!((&said, load), (Said::Paper(_), Load::Certificate(_)) | (Said::Data(_), Load::Record));
        ensure!(good, "{load:?} was answered with {said:?}");
    }
    Ok((person, bytes))
}

/// The middle of the values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
