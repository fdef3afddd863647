//! Defence in depth, measured: each check switched off in turn, and what the rest still catch of each incident.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::cluster::is_refused_without;
use crate::incidents::catalogue::{INCIDENTS, Incident};
use crate::incidents::{Setup, run};
use crate::report::{Path, Step};

/// The checks of a route that can be switched off one by one.
pub const CHECKS: [&str; 11] = [
    "identity",
    "echo",
    "kind",
    "municipality",
    "pages",
    "issue_number",
    "unique",
    "issued_on",
    "version",
    "as_of",
    "shape",
];

/// What became of one incident with one check switched off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// How often the backend's fault did its thing, by the backend's own log.
    pub fired: u64,
    /// Harmful answers that left.
    pub harm: u64,
    /// Answers that were kept in, by the check that said so.
    pub withheld: BTreeMap<String, u64>,
}

/// One check and what its absence let through, in the order of the incidents.
#[derive(Debug, Clone, Serialize)]
pub struct Layer {
    /// The check that was off; `-` is the complete configuration.
    pub without: String,
    /// One outcome an incident.
    pub outcomes: Vec<Outcome>,
}

/// The whole table.
#[derive(Debug, Clone, Serialize)]
pub struct Layers {
    /// Ids of the incidents.
    pub incidents: Vec<String>,
    /// The first is the complete configuration.
    pub layers: Vec<Layer>,
}

/// Replays every incident through a gateway without each check. Fails at once where this build's gateway refuses to go without one.
pub async fn layers(setup: &Setup, only: &[String], step: Step) -> anyhow::Result<Layers> {
    if let Some(unknown) = only.iter().find(|name| !CHECKS.contains(&name.as_str())) {
        anyhow::bail!("there is no check `{unknown}`; there are {}", CHECKS.join(", "));
    }
    let chosen: Vec<&str> =
        CHECKS.into_iter().filter(|check| only.is_empty() || only.iter().any(|name| name == check)).collect();
    for check in &chosen {
        if is_refused_without(check)? {
            anyhow::bail!(
                "no gateway that serves anybody goes without `{check}`. The table needs the build that may, on loopback only:\n  \
                 cargo run --release --package sekisho-loadtest --features weakened -- layers"
            );
        }
    }
    let mut layers = Vec::new();
    for without in [None].into_iter().chain(chosen.into_iter().map(Some)) {
        let setup = Setup { without: without.map(str::to_owned), ..setup.clone() };
        let mut outcomes = Vec::new();
        for incident in &INCIDENTS {
            outcomes.push(outcome(&setup, incident).await?);
            step.done();
        }
        layers.push(Layer { without: without.unwrap_or("-").to_owned(), outcomes });
    }
    Ok(Layers { incidents: INCIDENTS.map(|incident| incident.id.to_owned()).to_vec(), layers })
}

async fn outcome(setup: &Setup, incident: &Incident) -> anyhow::Result<Outcome> {
    let row = run(setup, incident, Path::Gateway, Step::silent()).await?;
    let harm = row.harmful_documents() + row.duplicate + row.wrong_data + row.misapplied + row.alarms_closed_by_retry;
    let reason = |(reason, n): (String, u64)| (reason.rsplit('/').next().unwrap_or_default().to_owned(), n);
    Ok(Outcome { fired: row.faults_fired, harm, withheld: row.withheld_because.into_iter().map(reason).collect() })
}

impl fmt::Display for Layers {
    /// As markdown, for the architecture page.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (complete, weakened) = match self.layers.split_first() {
            Some((complete, weakened)) => (complete.outcomes.as_slice(), weakened),
            None => (&[][..], &[][..]),
        };
        let names: String = weakened.iter().map(|layer| format!(" {} |", layer.without)).collect();
        writeln!(f, "| incident | every check on |{names}")?;
        writeln!(f, "|---|---|{}", "---|".repeat(weakened.len()))?;
        for (at, incident) in self.incidents.iter().enumerate() {
            write!(f, "| `{incident}` |")?;
            let weakened = weakened.iter().filter_map(|layer| layer.outcomes.get(at));
            for outcome in complete.get(at).into_iter().chain(weakened) {
                write!(f, " {outcome} |")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    /// Harmful answers that left / answers that were kept in / faults, so that "0 left" of no fault does not look like a catch;
    /// then what kept them in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let withheld: u64 = self.withheld.values().sum();
        match self.harm {
            0 => write!(f, "0/{withheld}/{}", self.fired)?,
            harm => write!(f, "**{harm}**/{withheld}/{}", self.fired)?,
        }
        self.withheld.iter().try_for_each(|(reason, n)| write!(f, " {reason}\u{a0}{n}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_and_what_an_amend_must_tell_are_refused_and_nothing_else_keeps_a_gateway_from_starting() {
        for check in CHECKS {
            let refused = ["identity", "as_of"].contains(&check) && !cfg!(feature = "weakened");
            assert_eq!(is_refused_without(check).unwrap(), refused, "{check}");
        }
    }

    #[cfg(not(feature = "weakened"))]
    #[tokio::test]
    async fn an_ordinary_build_says_which_build_the_table_needs() {
        let setup = Setup {
            program: "none".into(),
            seed: 1,
            requests: 1,
            per_second: 1.0,
            without: None,
            dialect: Default::default(),
        };
        let error = layers(&setup, &["identity".to_owned()], Step::silent()).await.unwrap_err();
        assert!(error.to_string().contains("--features weakened"), "{error}");
    }

    #[test]
    fn the_table_is_markdown_with_a_column_a_check() {
        let outcome = |harm, withheld: &[(&str, u64)]| Outcome {
            fired: 9,
            harm,
            withheld: withheld.iter().map(|(check, n)| ((*check).to_owned(), *n)).collect(),
        };
        let layer = |without: &str, outcome| Layer { without: without.into(), outcomes: vec![outcome] };
        let table = Layers {
            incidents: vec!["stale-seal".into()],
            layers: vec![
                layer("-", outcome(0, &[("identity", 4), ("version", 1)])),
                layer("identity", outcome(3, &[("version", 2)])),
                layer("echo", outcome(0, &[])),
            ],
        };
        assert_eq!(
            table.to_string(),
            "| incident | every check on | identity | echo |\n|---|---|---|---|\n\
             | `stale-seal` | 0/5/9 identity\u{a0}4 version\u{a0}1 | **3**/2/9 version\u{a0}2 | 0/0/9 |\n"
        );
    }
}
