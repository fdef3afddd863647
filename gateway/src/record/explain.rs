//! `explain REQUEST_ID`: a request's life, told from the records alone.

use std::path::Path;

use sekisho_issuance::id::RequestId;
use serde::Serialize;

use super::{Fate, Record, RecordsError, segments};

/// What the records say about one request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Which.
    pub request: String,
    /// In one sentence.
    pub summary: String,
    /// Every record about it, in order.
    pub records: Vec<Record>,
}

/// Reads all segments; the one in use may grow meanwhile.
pub(super) fn explain(dir: &Path, request: RequestId) -> Result<Explanation, RecordsError> {
    let id = request.to_string();
    let mut records = Vec::new();
    for number in segments::list(dir)? {
        segments::read(dir, number, |entry| {
            // A cheap look before parsing: the id stands in every record about it.
            let mentions = entry.windows(id.len()).any(|w| w == id.as_bytes());
            if mentions
                && let Ok(record) = serde_json::from_slice::<Record>(entry)
                && record.request() == id
            {
                records.push(record);
            }
        })?;
    }
    let summary = summary(&records);
    Ok(Explanation { request: id, summary, records })
}

fn summary(records: &[Record]) -> String {
    let intent = records.iter().find_map(|r| if let Record::ReleaseIntent(i) = r { Some(i) } else { None });
    let result = records.iter().find_map(|r| if let Record::ReleaseResult(f) = r { Some(&f.fate) } else { None });
    let withheld = records.iter().find_map(|r| if let Record::Withheld(w) = r { Some(w) } else { None });
    let ended = records.iter().find_map(|r| if let Record::Ended(e) = r { Some(e) } else { None });
    let closed = records.iter().find_map(|r| if let Record::Closed(c) = r { Some(c.closed.as_str()) } else { None });
    let closed = match closed {
        Some("confirmed") => "; the kiosk confirmed its print",
        Some("abandoned") => "; it was abandoned at the kiosk, and what was kept of it is erased",
        _ => "",
    };
    let again = intent.and_then(|intent| intent.about.replay_of.as_ref());
    let again = again.map(|first| format!(", again, as fetched for {first}")).unwrap_or_default();
    let verified = |verified| if verified { "verified" } else { "NOT verified (observe)" };
    match (intent, result, withheld, ended) {
        (Some(intent), Some(Fate::Complete), ..) => format!("released, {}{again}{closed}", verified(intent.verified)),
        (Some(intent), Some(Fate::Cut { after_bytes }), ..) => {
            let (of, verified) = (intent.about.bytes, verified(intent.verified));
            format!("cut after {after_bytes} of {of} bytes, {verified}{again}{closed}")
        }
        (Some(_), Some(Fate::Destroyed { reason }), ..) => {
            format!("destroyed before its first byte: {reason}")
        }
        (Some(intent), None, ..) => {
            format!(
                "may have been released, {}: its intent is recorded and its result is not",
                verified(intent.verified)
            )
        }
        (None, _, Some(withheld), _) => format!("withheld: {}", withheld.reason),
        (None, _, None, Some(ended)) => format!("{}: {}", ended.outcome, ended.reason),
        (None, _, None, None) => {
            "not in the records: no answer about a resident came to the gate under this id".to_owned()
        }
    }
}
