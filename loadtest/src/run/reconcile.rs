//! Our count of every answer against the gateway's own: a difference means that one of the two does not know what happened.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde::Serialize;

use super::figures::Figures;
use crate::kiosk::Line;
use crate::plan::threshold::Step;
use crate::plan::{Address, Outcome};

/// Counts by operation and outcome.
pub(super) type Counts = BTreeMap<(String, String), u64>;

/// A scrape of the gateway's counters.
#[derive(Debug, Clone, Default)]
pub(super) struct Scrape {
    pub(super) requests: Counts,
    pub(super) in_flight: u64,
    /// `sekisho_build_info`'s version, where there is one.
    pub(super) version: Option<String>,
}

/// Reads the gateway's counters.
pub(super) async fn scrape(address: &Address) -> anyhow::Result<Scrape> {
    let target = resolve(address).await?;
    let path = if address.path == "/" { "/metrics" } else { &address.path };
    let request = Request::get(path).header("host", &address.host).body(Full::new(Bytes::new()))?;
    let reply =
        Line::to(target).exchange(request, Duration::from_secs(5)).await.with_context(|| address.to_string())?;
    anyhow::ensure!(reply.status.is_success(), "{address}: {}", reply.status);
    let text = std::str::from_utf8(&reply.body).with_context(|| format!("{address} is not text"))?;
    Ok(read(text))
}

/// The first address of a host.
pub(super) async fn resolve(address: &Address) -> anyhow::Result<std::net::SocketAddr> {
    let mut found = tokio::net::lookup_host((address.host.as_str(), address.port))
        .await
        .with_context(|| format!("cannot find {address}"))?;
    found.next().with_context(|| format!("{address} has no address"))
}

fn read(text: &str) -> Scrape {
    let mut scrape = Scrape::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let label = |wanted: &str| {
            labels.trim_end_matches('}').split(',').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                (name == wanted).then(|| value.trim_matches('"').to_owned())
            })
        };
        match name {
            "sekisho_requests_total" => {
                let Ok(count) = value.parse::<f64>() else { continue };
                let key = (label("operation").unwrap_or_default(), label("outcome").unwrap_or_default());
                *scrape.requests.entry(key).or_default() += count as u64;
            }
            "sekisho_in_flight" => scrape.in_flight = value.parse::<f64>().map_or(0, |n| n.max(0.0) as u64),
            "sekisho_build_info" => scrape.version = label("version"),
            _ => {}
        }
    }
    scrape
}

/// One line of the comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// The gateway's word for the step.
    pub operation: String,
    /// How it ended.
    pub outcome: String,
    /// As we counted.
    pub ours: u64,
    /// As the gateway counted.
    pub theirs: u64,
}

/// The comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// Every operation and outcome that either of us counted.
    pub rows: Vec<Compared>,
    /// Requests whose end we do not know, because nobody waited or the connection broke: the gateway may have counted each of
    /// them under any outcome.
    pub unknown: u64,
    /// Answers that nothing explains.
    pub unreconciled: u64,
}

fn operation(step: Step) -> &'static str {
    match step {
        Step::Open => "open",
        Step::Inquire => "inquire",
        Step::Issue => "issue",
        Step::Confirm => "close",
        Step::Amend => "amend",
    }
}

/// Holds our figures against what the gateway counted meanwhile.
pub(super) fn reconcile(figures: &Figures, before: &Scrape, after: &Scrape, unended: u64) -> Reconciled {
    let mut ours: Counts = Counts::new();
    let mut unknown: BTreeMap<&str, u64> = BTreeMap::new();
    for (under, answers) in &figures.answers {
        match under.outcome {
            Outcome::GaveUp | Outcome::Cut => *unknown.entry(operation(under.step)).or_default() += answers.count,
            // Never asked.
            Outcome::Unreachable => {}
            known => *ours.entry((operation(under.step).into(), known.word().into())).or_default() += answers.count,
        }
    }
    let mut theirs = after.requests.clone();
    for (key, count) in &before.requests {
        if let Some(now) = theirs.get_mut(key) {
            *now = now.saturating_sub(*count);
        }
    }
    compare(&ours, &theirs, &unknown, unended)
}

fn compare(ours: &Counts, theirs: &Counts, unknown: &BTreeMap<&str, u64>, unended: u64) -> Reconciled {
    let mut keys: Vec<&(String, String)> = ours.keys().chain(theirs.keys()).collect();
    keys.sort();
    keys.dedup();
    let count = |of: &Counts, key: &(String, String)| of.get(key).copied().unwrap_or(0);
    let rows = keys.iter().map(|key| Compared {
        operation: key.0.clone(),
        outcome: key.1.clone(),
        ours: count(ours, key),
        theirs: count(theirs, key),
    });
    let rows: Vec<Compared> = rows.filter(|row| row.ours + row.theirs > 0).collect();
    let mut unreconciled = 0;
    let mut spare = unended;
    let mut operations: Vec<&str> = rows.iter().map(|row| row.operation.as_str()).collect();
    operations.dedup();
    for operation in operations {
        let of = || rows.iter().filter(|row| row.operation == operation);
        // What we saw and they did not count can be nothing but a mistake.
        unreconciled += of().map(|row| row.ours.saturating_sub(row.theirs)).sum::<u64>();
        let more: u64 = of().map(|row| row.theirs.saturating_sub(row.ours)).sum();
        let explained = more.min(unknown.get(operation).copied().unwrap_or(0));
        // Sessions that a stop broke off may have had one request each under way.
        let broken_off = (more - explained).min(spare);
        spare -= broken_off;
        unreconciled += more - explained - broken_off;
    }
    Reconciled { rows, unknown: unknown.values().sum::<u64>() + unended, unreconciled }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(list: &[(&str, &str, u64)]) -> Counts {
        list.iter().map(|(operation, outcome, n)| (((*operation).to_owned(), (*outcome).to_owned()), *n)).collect()
    }

    #[test]
    fn a_scrape_is_read_by_operation_and_outcome() {
        let scrape = read(
            "# HELP x\nsekisho_requests_total{route=\"a\",operation=\"issue\",outcome=\"released\",reason=\"verified\"} 3\n\
             sekisho_requests_total{route=\"b\",operation=\"issue\",outcome=\"released\",reason=\"verified\"} 4\n\
             sekisho_in_flight 2\nother 1\n",
        );
        assert_eq!(scrape.requests, counts(&[("issue", "released", 7)]));
        assert_eq!(scrape.in_flight, 2);
    }

    #[test]
    fn only_what_nothing_explains_is_unreconciled() {
        let ours = counts(&[("issue", "released", 10), ("issue", "shed", 2)]);
        let unreconciled = |theirs: &Counts, unknown: u64, unended| {
            compare(&ours, theirs, &BTreeMap::from([("issue", unknown)]), unended).unreconciled
        };
        assert_eq!(unreconciled(&ours, 0, 0), 0);
        let late = counts(&[("issue", "released", 10), ("issue", "shed", 2), ("issue", "cancelled", 3)]);
        assert_eq!([unreconciled(&late, 3, 0), unreconciled(&late, 1, 0), unreconciled(&late, 1, 2)], [0, 2, 0]);
        let swapped = counts(&[("issue", "released", 11), ("issue", "shed", 1)]);
        assert_eq!(unreconciled(&swapped, 0, 0), 2, "one too many and one too few");
        assert_eq!(unreconciled(&swapped, 5, 0), 1, "an answer that we saw cannot have been another");
        let nothing = Counts::new();
        assert_eq!(unreconciled(&nothing, 50, 0), 12);
    }
}
