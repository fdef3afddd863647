//! `audit find` and `audit export`: records as they were written, one JSON object a line, with where each stands in the chain.

use std::collections::HashSet;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::head::hex;
use super::{RecordsError, segments};
use crate::state_dir::Pseudonym;

/// What is looked for; everything that is said must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The request.
    pub request: Option<String>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
    /// The six digits.
    pub municipality: Option<String>,
    /// The kind of certificate, `answer` or `refusal`.
    pub kind: Option<String>,
    /// `released`, `withheld`, how a request ended that never came to the gate, or what a canary saw.
    pub outcome: Option<String>,
    /// Any of these, as a person or a session.
    pub pseudonyms: Vec<Pseudonym>,
}

impl Filter {
    /// Whether it asks about requests, so that all that is known of each is wanted.
    fn is_about_requests(&self) -> bool {
        self.municipality.is_some() || self.kind.is_some() || self.outcome.is_some() || !self.pseudonyms.is_empty()
    }

    fn in_time(&self, record: &Value) -> bool {
        let at = record.get("at").and_then(Value::as_str).and_then(|at| at.parse::<Timestamp>().ok());
        let Some(at) = at else { return self.from.is_none() && self.to.is_none() };
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at < to)
    }

    fn holds(&self, record: &Value) -> bool {
        let text = |key: &str| record.get(key).and_then(Value::as_str);
        let is = |key: &str, wanted: &Option<String>| wanted.is_none() || text(key) == wanted.as_deref();
        let outcome = match text("record") {
            Some("release_intent") => Some("released"),
            Some("withheld") => Some("withheld"),
            Some("canary") => text("result"),
            _ => text("outcome"),
        };
        let people = record.get("people").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let named: Vec<&str> = people.chain(text("session")).collect();
        let wanted: Vec<String> = self.pseudonyms.iter().map(Pseudonym::to_string).collect();
        is("request", &self.request)
            && is("municipality", &self.municipality)
            && is("kind", &self.kind)
            && (self.outcome.is_none() || self.outcome.as_deref() == outcome)
            && (wanted.is_empty() || wanted.iter().any(|wanted| named.contains(&wanted.as_str())))
            && self.in_time(record)
    }
}

/// Shows every record that `filter` asks for; where it asks about requests, all that is known of each. How many.
pub fn find(dir: &Path, filter: &Filter, mut show: impl FnMut(&Value)) -> Result<u64, RecordsError> {
    if !filter.is_about_requests() {
        return read(dir, filter.request.as_deref(), |record| filter.holds(record), &mut show);
    }
    let mut requests = HashSet::new();
    let collect = |record: &Value| {
        if filter.holds(record)
            && let Some(request) = record.get("request").and_then(Value::as_str)
        {
            requests.insert(request.to_owned());
        }
        false
    };
    read(dir, filter.request.as_deref(), collect, &mut |_| {})?;
    let known = |record: &Value| {
        record.get("request").and_then(Value::as_str).is_some_and(|request| requests.contains(request))
    };
    read(dir, filter.request.as_deref(), known, &mut show)
}

/// Shows every record of a period, whatever it is about. How many.
pub fn export(
    dir: &Path,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    mut show: impl FnMut(&Value),
) -> Result<u64, RecordsError> {
    let filter = Filter { from, to, ..Filter::default() };
    read(dir, None, |record| filter.in_time(record), &mut show)
}

fn read(
    dir: &Path,
    mentions: Option<&str>,
    mut wanted: impl FnMut(&Value) -> bool,
    show: &mut dyn FnMut(&Value),
) -> Result<u64, RecordsError> {
    let mut shown = 0;
    for segment in segments::list(dir)? {
        segments::walk(dir, segment, |frame| {
            // A cheap look before parsing: the id stands in every record about it.
            let text = mentions.unwrap_or_default().as_bytes();
            let may = text.is_empty() || frame.entry.windows(text.len()).any(|window| window == text);
            if may
                && let Ok(record) = serde_json::from_slice::<Value>(frame.entry)
                && wanted(&record)
            {
                show(&json!({ "segment": segment, "frame": frame.number, "head": hex(frame.head), "record": record }));
                shown += 1;
            }
        })?;
    }
    Ok(shown)
}
