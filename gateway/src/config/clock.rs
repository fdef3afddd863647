//! `[clock]`: who says that this machine's clock is right. Dates on paper are judged by it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::section::Section;
use super::source::Findings;
use crate::clock::Trust;
use crate::route::Route;

/// Time services poll at least this often.
const MAX_AGE: Duration = Duration::from_secs(2 * 3600);
const EXAMPLE: &str = "[clock]\nwitness = \"/run/systemd/timesync/synchronized\"";

pub(super) fn read(root: &mut Section<'_>, found: &mut Findings) -> Trust {
    let Some(mut section) = root.section(found, "clock") else { return Trust::Nobody };
    let trusted = section.flag(found, "trusted");
    let witness = section.text(found, "witness", "/run/systemd/timesync/synchronized");
    let max_age = section.duration(found, "max_age", "2h");
    let (span, key, place) = (section.span().clone(), section.path().to_owned(), section.place("trusted"));
    section.finish(found);
    match (trusted, witness) {
        (Some(true), None) => {
            let why = "takes the operator's word that this machine's clock is right";
            found.note(&place, format!("{key}.trusted"), why, &[]);
            Trust::Operator
        }
        (None, Some(file)) if file.value.starts_with('/') => {
            Trust::Witness { file: PathBuf::from(file.value), max_age: max_age.unwrap_or(MAX_AGE) }
        }
        (None, Some(file)) => {
            file.wrong(found, "must be an absolute path", EXAMPLE);
            Trust::Nobody
        }
        _ => {
            let why = "must say either `trusted = true` or which file its time service touches (`witness`)";
            found.mistake(&span, key, why, EXAMPLE);
            Trust::Nobody
        }
    }
}

/// A route that reads dates from paper needs somebody who knows the time.
pub(super) fn needed(trust: &Trust, routes: &[Arc<Route>], found: &mut Findings) {
    if let (Trust::Nobody, Some(route)) = (trust, routes.iter().find(|route| route.checks.reads_dates())) {
        let why = format!(
            "is missing: nothing says whether this machine's clock is right, and `routes.{}` checks dates",
            route.name
        );
        found.mistake(&super::rules::NOWHERE, "clock", why, EXAMPLE);
    }
}
