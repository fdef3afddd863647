//! `[tenants.CODE]`: one table per municipality. Absent means not served; not `enabled` means closed.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::civil::Time;
use sekisho_issuance::id::MunicipalityCode;

use super::section::{Placed, Section};
use super::source::Findings;
use crate::route::Mode;
use crate::tenant::{Hours, Tenant};

pub(super) type Tenants = HashMap<MunicipalityCode, Arc<Tenant>>;

/// 06:30-23:00, as the convenience-store service runs.
const USUAL: Hours = Hours::Daily(Time::constant(6, 30, 0, 0), Time::constant(23, 0, 0, 0));

pub(super) fn read(root: &mut Section<'_>, mode: Mode, found: &mut Findings) -> Tenants {
    let mut tenants = Tenants::new();
    for (place, mut section) in root.named(found, "tenants") {
        let code = MunicipalityCode::new(place.value)
            .map_err(|why| place.wrong(found, format!("{why}"), "the six digits of the municipality's code, as 991007"))
            .ok();
        let name = section.text(found, "name", "見本市");
        if name.is_none() && !section.has("name") {
            let (span, key) = (section.span().clone(), section.key("name"));
            found.mistake(&span, key, "is missing", "name = \"見本市\"");
        }
        let enabled = section.flag(found, "enabled").unwrap_or(false);
        let mode = super::mode(&mut section, mode, found);
        let hours = match section.text(found, "hours", "06:30-23:00") {
            Some(text) => hours(&text, code, found),
            None => Some(USUAL),
        };
        section.finish(found);
        if !enabled {
            found.note(
                &place.span,
                place.key.clone(),
                "is not enabled: every request for it is answered \"closed\"",
                &[],
            );
        }
        if let (Some(code), Some(name), Some(hours)) = (code, name, hours) {
            tenants.insert(code, Arc::new(Tenant { code, name: name.value.into(), enabled, mode, hours }));
        }
    }
    tenants
}

fn hours(text: &Placed<&str>, code: Option<MunicipalityCode>, found: &mut Findings) -> Option<Hours> {
    if text.value == "always" {
        if code.is_none_or(|c| c.is_reserved_for_tests()) {
            return Some(Hours::Always);
        }
        text.wrong(found, "`always` is only for codes that begin with 99", "hours = \"06:30-23:00\"");
        return None;
    }
    let read = text.value.split_once('-').and_then(|(from, to)| {
        let time = |t: &str| Time::strptime("%H:%M", t).ok();
        Some((time(from)?, time(to)?)).filter(|(from, to)| from < to)
    });
    if read.is_none() {
        text.wrong(found, "must be two times of one day", "hours = \"06:30-23:00\"");
    }
    read.map(|(from, to)| Hours::Daily(from, to))
}
