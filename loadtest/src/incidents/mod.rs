//! The incident replay: each reported incident once straight at the backend and once through a gateway, over real
//! sockets, judged by the independent auditor.

pub mod catalogue;
mod crowd;
mod field;
mod ledger;
mod run;
mod scene;
mod script;

use catalogue::{Expected, Incident};

use crate::report::{Path, Progress, Row, Table};

pub use field::{Field, Side, Visit};
pub use ledger::{Closed, Ended, Entry, Judged, Ledger, Told};
pub use run::{Setup, run};

/// Plays `incidents` on `paths`, one after the other; `each` gets every row as soon as it is there.
pub async fn replay(
    setup: &Setup,
    incidents: &[&Incident],
    paths: &[Path],
    progress: &mut Progress,
    mut each: impl FnMut(&Row) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Row>> {
    let mut table = Table::default();
    progress.say(&Table::head());
    for incident in incidents {
        for path in paths.iter().copied() {
            progress.begin(&format!("{} ({})", incident.id, path.name()), setup.arrivals() as u64);
            let row = run(setup, incident, path, progress.step()).await?;
            progress.end();
            each(&row)?;
            let line = table.add(row);
            progress.say(&line);
        }
    }
    Ok(table.rows().to_vec())
}

/// What is wrong with a replay; nothing, if every incident does its harm directly and none through the gateway.
pub fn complaints(setup: &Setup, rows: &[Row]) -> Vec<String> {
    rows.iter().flat_map(|row| complaints_about(setup, row)).collect()
}

fn complaints_about(setup: &Setup, row: &Row) -> Vec<String> {
    let expected = catalogue::find(&row.incident).map_or(Expected::Paper, |incident| incident.expected);
    let mut complaints = Vec::new();
    let mut unless = |fine: bool, complaint: &str| {
        if !fine {
            complaints.push(format!("{} ({}): {complaint}", row.incident, row.path.name()));
        }
    };
    unless(
        // Straight at a backend whose fault poisons everything, few may stay unaffected; that is the point.
        row.path == Path::Direct || row.is_telling(setup.requests as u64),
        "too few municipalities or unaffected requests, or too few of them during the fault, to tell anything",
    );
    match row.path {
        Path::Direct => unless(row.did_expected_harm(expected), "did not do the harm that the incident describes"),
        Path::Gateway => {
            unless(row.harmless(), "did harm through the gateway");
            unless(row.served_the_unaffected(), "less than 99 % of the unaffected requests were served");
            unless(
                expected != Expected::DismissedAlarm || row.latches > 0,
                "no latch is set at the end: the alarm went away, or never came",
            );
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup() -> Setup {
        Setup {
            program: "none".into(),
            seed: 1,
            requests: 100,
            per_second: 10.0,
            without: None,
            dialect: Default::default(),
        }
    }

    fn good(path: Path) -> Row {
        Row {
            unaffected: 100,
            unaffected_during_fault: 80,
            municipalities: 3,
            served_ratio_of_unaffected: 1.0,
            wrong_person: u64::from(path == Path::Direct),
            ..Row::empty("yokohama-lock-timeout", path, 1)
        }
    }

    #[test]
    fn a_replay_fails_when_the_fault_does_no_harm_directly() {
        assert!(complaints(&setup(), &[good(Path::Direct), good(Path::Gateway)]).is_empty());
        assert_eq!(complaints(&setup(), &[Row { wrong_person: 0, ..good(Path::Direct) }]).len(), 1);
    }

    #[test]
    fn a_replay_fails_on_any_harm_or_on_bad_service_through_the_gateway() {
        let gateway = good(Path::Gateway);
        for bad in [
            Row { wrong_person: 1, ..gateway.clone() },
            Row { mixed_page: 1, ..gateway.clone() },
            Row { stale: 1, ..gateway.clone() },
            Row { duplicate: 1, ..gateway.clone() },
            Row { misapplied: 1, ..gateway.clone() },
            Row { wrong_data: 1, ..gateway.clone() },
            Row { served_ratio_of_unaffected: 0.98, ..gateway.clone() },
            Row { unaffected_during_fault: 49, ..gateway.clone() },
            Row { municipalities: 2, ..gateway.clone() },
        ] {
            assert_eq!(complaints(&setup(), std::slice::from_ref(&bad)).len(), 1, "{bad:?}");
        }
    }
}
