//! Defence in depth, measured: each check switched off in turn, and what the rest still catch of each incident.

use std::fmt;

use serde::Serialize;

use crate::cluster::is_refused_without;
use crate::incidents::catalogue::{INCIDENTS, Incident};
use crate::incidents::{Setup, run};
use crate::report::{Path, Row, Step};

/// The checks of a route that can be switched off one by one.
pub const CHECKS: [&str; 10] =
    ["identity", "echo", "kind", "municipality", "pages", "issue_number", "unique", "issued_on", "version", "shape"];

/// What became of one incident with one check switched off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The rest caught it.
    Caught,
    /// So many harmful answers left.
    Harm(u64),
    /// The gateway does not start without that check.
    Refused,
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
    /// Ids of the incidents, the columns.
    pub incidents: Vec<String>,
    /// The rows.
    pub layers: Vec<Layer>,
}

/// Replays every incident through a gateway without each check.
pub async fn layers(setup: &Setup, only: &[String], step: Step) -> anyhow::Result<Layers> {
    let chosen = CHECKS.iter().filter(|check| only.is_empty() || only.iter().any(|name| name == *check));
    let mut layers = Vec::new();
    for without in [None].into_iter().chain(chosen.map(Some)) {
        let setup = Setup { without: without.map(|check| (*check).to_owned()), ..setup.clone() };
        let refused = without.map_or(Ok(false), |check| is_refused_without(check))?;
        let mut outcomes = Vec::new();
        for incident in &INCIDENTS {
            outcomes.push(if refused { Outcome::Refused } else { outcome(&setup, incident).await? });
            step.done();
        }
        layers.push(Layer { without: without.map_or("-", |check| check).to_owned(), outcomes });
    }
    Ok(Layers { incidents: INCIDENTS.map(|incident| incident.id.to_owned()).to_vec(), layers })
}

async fn outcome(setup: &Setup, incident: &Incident) -> anyhow::Result<Outcome> {
    let row = run(setup, incident, Path::Gateway, Step::silent()).await?;
    Ok(if row.harmless() { Outcome::Caught } else { Outcome::Harm(harm(&row)) })
}

fn harm(row: &Row) -> u64 {
    row.harmful_documents() + row.duplicate + row.wrong_data + row.misapplied + row.alarms_closed_by_retry
}

impl fmt::Display for Layers {
    /// As markdown, for the architecture page.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| incident | {} |",
            self.layers.iter().map(|l| l.without.as_str()).collect::<Vec<_>>().join(" | ")
        )?;
        writeln!(f, "|---|{}", "---|".repeat(self.layers.len()))?;
        for (column, incident) in self.incidents.iter().enumerate() {
            write!(f, "| `{incident}` |")?;
            for layer in &self.layers {
                match layer.outcomes.get(column) {
                    Some(Outcome::Caught) => write!(f, " caught |")?,
                    Some(Outcome::Harm(n)) => write!(f, " **{n}** |")?,
                    Some(Outcome::Refused) => write!(f, " refused |")?,
                    None => write!(f, " |")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_identity_is_refused_and_nothing_else_keeps_a_gateway_from_starting() {
        for check in CHECKS {
            assert_eq!(is_refused_without(check).unwrap(), check == "identity", "{check}");
        }
    }

    #[test]
    fn the_table_is_markdown_with_a_column_a_check() {
        let layer = |without: &str, outcome| Layer { without: without.into(), outcomes: vec![outcome] };
        let table = Layers {
            incidents: vec!["stale-seal".into()],
            layers: vec![layer("-", Outcome::Caught), layer("identity", Outcome::Harm(3))],
        };
        assert_eq!(
            table.to_string(),
            "| incident | - | identity |\n|---|---|---|\n| `stale-seal` | caught | **3** |\n"
        );
    }
}
