//! `[audit]`: how long records and evidence are kept, how large their files grow, and to whom evidence is sealed.

use std::path::PathBuf;
use std::time::Duration;

use super::section::{Placed, Section};
use super::source::Findings;
use crate::evidence::{EvidenceKey, PersonKey};

const DAY: Duration = Duration::from_secs(24 * 3600);
const EXAMPLE: &str = "evidence_key = [\"sekisho-evidence-public-1:...\", \"sekisho-evidence-public-1:...\"]";

/// The audit log's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Records are kept for at least this long; a whole segment is removed once its last record is older.
    pub keep: Duration,
    /// A segment is sealed beyond this size, or after a day. Fixed until a restart.
    pub segment_bytes: u64,
    /// Where else the signed head is written every second, for a store that forgets nothing.
    pub head_file: Option<PathBuf>,
    /// To whom evidence is sealed where a municipality names nobody.
    pub evidence_key: Option<EvidenceKey>,
    /// Sealed answers are removed after this.
    pub evidence_keep: Duration,
    /// Sealed answers that are kept at once; beyond, only the ids are, inside their record.
    pub evidence_limit_bytes: u64,
    /// The key of pseudonyms is changed this often; older ones stay for `keep`, so that records can be found.
    pub pseudonym_period: Duration,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            keep: 400 * DAY,
            segment_bytes: 64 << 20,
            head_file: None,
            evidence_key: None,
            evidence_keep: 90 * DAY,
            evidence_limit_bytes: 256 << 20,
            pseudonym_period: 180 * DAY,
        }
    }
}

pub(super) fn read(root: &mut Section<'_>, found: &mut Findings) -> Audit {
    let usual = Audit::default();
    let Some(mut section) = root.section(found, "audit") else { return usual };
    let keep = days(&mut section, "keep", "400d", (7, 3_660), found).unwrap_or(usual.keep);
    let segment = super::listeners::bounded(section.size(found, "segment", "64MiB"), found, 1 << 20, 1 << 30);
    let head_file = section.text(found, "head_file", "/var/spool/sekisho/head").and_then(|path| {
        if !path.value.starts_with('/') {
            path.wrong(found, "must be an absolute path", "head_file = \"/var/spool/sekisho/head\"");
        }
        path.value.starts_with('/').then(|| PathBuf::from(path.value))
    });
    let evidence_key = evidence_key(&mut section, found);
    let evidence_keep =
        days(&mut section, "evidence_keep", "90d", (1, 3_660), found).unwrap_or(usual.evidence_keep.min(keep));
    if evidence_keep > keep {
        let (span, key) = (section.place("evidence_keep"), section.key("evidence_keep"));
        found.mistake(
            &span,
            key,
            "is longer than `keep`: what names the evidence would be gone",
            "evidence_keep = \"90d\"",
        );
    }
    let limit = super::listeners::bounded(section.size(found, "evidence_limit", "256MiB"), found, 1 << 20, 1 << 30);
    let pseudonym_period =
        days(&mut section, "pseudonym_period", "180d", (1, 3_660), found).unwrap_or(usual.pseudonym_period);
    section.finish(found);
    Audit {
        keep,
        segment_bytes: segment.map_or(usual.segment_bytes, |bytes| bytes as u64),
        head_file,
        evidence_key,
        evidence_keep,
        evidence_limit_bytes: limit.map_or(usual.evidence_limit_bytes, |bytes| bytes as u64),
        pseudonym_period,
    }
}

/// `evidence_key`, two persons' public keys.
pub(super) fn evidence_key(section: &mut Section<'_>, found: &mut Findings) -> Option<EvidenceKey> {
    let keys = section.texts(found, "evidence_key", EXAMPLE)?;
    let read: Vec<PersonKey> = keys.value.iter().filter_map(|text| person(text, found)).collect();
    if read.len() != keys.value.len() {
        return None;
    }
    match <[PersonKey; 2]>::try_from(read) {
        Ok([first, second]) if first != second => Some(EvidenceKey { first, second }),
        _ => {
            keys.wrong(found, "must be the public keys of two different persons (`audit keygen`)", EXAMPLE);
            None
        }
    }
}

fn person(text: &Placed<&str>, found: &mut Findings) -> Option<PersonKey> {
    PersonKey::parse(text.value).map_err(|why| text.wrong(found, why.to_string(), EXAMPLE)).ok()
}

/// Whole days, which may be many.
fn days(
    section: &mut Section<'_>,
    key: &'static str,
    example: &str,
    (least, most): (u32, u32),
    found: &mut Findings,
) -> Option<Duration> {
    let text = section.text(found, key, example)?;
    let days = text.value.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    let days = days.filter(|days| (least..=most).contains(days));
    if days.is_none() {
        text.wrong(found, format!("must be days, between {least}d and {most}d"), format!("{key} = {example:?}"));
    }
    Some(DAY * days?)
}
