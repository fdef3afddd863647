//! What happens besides the sessions: `[simulated]`, `[[alongside]]` and `[[fault]]`.

use std::time::Duration;

use super::section::Section;
use super::source::{Findings, did_you_mean};
use super::stage::{Stage, moment};
use crate::legacy::Fault;

/// The backend and the gateway that the load tester starts when the plan names no target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Simulated {
    /// Residents of each municipality.
    pub residents: usize,
    /// The backend's median time for one certificate.
    pub service: Duration,
    /// Requests of one municipality at once, beyond which the backend thrashes.
    pub knee: usize,
    /// The gateway's limit for the backend.
    pub max_in_flight: usize,
    /// The gateway's time-out of every route.
    pub timeout: Option<Duration>,
    /// No gateway: kiosks ask the backend itself, to see what its faults do.
    pub straight: bool,
}

impl Default for Simulated {
    fn default() -> Self {
        Self {
            residents: 900,
            service: Duration::from_millis(20),
            knee: 32,
            max_in_flight: 32,
            timeout: None,
            straight: false,
        }
    }
}

/// Who changes records while people print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Somebody at a terminal, through the target.
    Amend,
    /// The resident system itself, behind the gateway.
    AmendBehind,
    /// The same by a batch that says so first: inside a change bracket.
    AmendInBracket,
}

/// Whose records are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Anybody's.
    Anybody,
    /// Of somebody who stands at a kiosk at this moment.
    BeingIssued,
}

/// Something that goes on beside the sessions.
#[derive(Debug, Clone, PartialEq)]
pub struct Alongside {
    /// What.
    pub what: Change,
    /// How often, per second.
    pub rate: f64,
    /// To whom.
    pub on: Whose,
}

/// What the simulated backend does wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trouble {
    /// Gives no answer, then all that it holds.
    Stall,
    /// Takes so many times as long.
    Slow(f64),
    /// One of the simulator's faults, for this share of its calls.
    Fault(Fault, f64),
}

/// A fault and when it is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduled {
    /// From the beginning of the run.
    pub at: Duration,
    /// How long.
    pub lasts: Duration,
    /// What.
    pub what: Trouble,
    /// Its name in the plan.
    pub name: String,
    /// Only in one municipality.
    pub city: Option<String>,
}

const MOST_ALONGSIDE: f64 = 1000.0;

pub(super) fn simulated(root: &mut Section<'_>, has_target: bool, found: &mut Findings<'_>) -> Simulated {
    let usual = Simulated::default();
    let Some(mut section) = root.section(found, "simulated", "{ service = \"20ms\" }") else { return usual };
    if has_target {
        let (at, field) = (root.place("simulated"), "simulated");
        found.mistake(at, field, "describes the backend that is started when there is no target", "no [target].url");
    }
    let read = Simulated {
        residents: section.count(found, "residents", 40, 9900).map_or(usual.residents, |n| n.value),
        service: section.duration(found, "service", "20ms").map_or(usual.service, |time| time.value),
        knee: section.count(found, "knee", 1, 10_000).map_or(usual.knee, |n| n.value),
        max_in_flight: section.count(found, "max_in_flight", 1, 10_000).map_or(usual.max_in_flight, |n| n.value),
        timeout: section.duration(found, "timeout", "3s").map(|time| time.value),
        straight: section.flag(found, "straight").unwrap_or(false),
    };
    section.finish(found);
    read
}

pub(super) fn alongside(root: &mut Section<'_>, has_target: bool, found: &mut Findings<'_>) -> Vec<Alongside> {
    const WHAT: [(&str, Change); 3] =
        [("amend", Change::Amend), ("amend-behind", Change::AmendBehind), ("amend-in-bracket", Change::AmendInBracket)];
    const ON: [(&str, Whose); 2] = [("anybody", Whose::Anybody), ("residents being issued", Whose::BeingIssued)];
    let mut list = Vec::new();
    for mut section in root.sections(found, "alongside") {
        let what = one_of(&mut section, "what", &WHAT, found);
        section.missing(found, "what", "what = \"amend\"");
        let rate = section.rate(found, "rate", "5/s");
        section.missing(found, "rate", "rate = \"5/s\"");
        let on = one_of(&mut section, "on", &ON, found).unwrap_or(Whose::Anybody);
        if let Some(rate) = rate.as_ref().filter(|rate| !(f64::MIN_POSITIVE..=MOST_ALONGSIDE).contains(&rate.value)) {
            rate.wrong(found, format!("must lie above 0 and not over {MOST_ALONGSIDE}/s"), "rate = \"5/s\"");
        }
        if what.is_some() && has_target {
            let message = "changes records, which is only done to simulated ones";
            found.mistake(section.place("what"), section.field("what"), message, "no [[alongside]]");
        }
        section.finish(found);
        if let (Some(what), Some(rate)) = (what, rate) {
            list.push(Alongside { what, rate: rate.value, on });
        }
    }
    list
}

fn one_of<T: Copy>(
    section: &mut Section<'_>,
    key: &'static str,
    all: &[(&str, T)],
    found: &mut Findings<'_>,
) -> Option<T> {
    let text = section.text(found, key, all.first().map_or("", |(word, _)| word))?;
    let known = all.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
    if known.is_none() {
        let words: Vec<&str> = all.iter().map(|(word, _)| *word).collect();
        let near = did_you_mean(text.value, words.iter().copied()).map_or(words.join(", "), str::to_owned);
        text.wrong(found, format!("knows no `{}`", text.value), near);
    }
    known
}

pub(super) fn faults(
    root: &mut Section<'_>,
    stages: &[Stage],
    cities: &[(String, f64)],
    has_target: bool,
    found: &mut Findings<'_>,
) -> Vec<Scheduled> {
    let ends: Duration = stages.iter().map(|stage| stage.lasts).sum();
    let mut list = Vec::new();
    for mut section in root.sections(found, "fault") {
        let at = section.text(found, "at", "hold+5m");
        section.missing(found, "at", "at = \"hold+5m\"");
        let lasts = section.duration(found, "for", "8s");
        section.missing(found, "for", "for = \"8s\"");
        let what = section.text(found, "what", "backend-stall");
        section.missing(found, "what", "what = \"backend-stall\"");
        let rate = section.share(found, "rate");
        let factor = section.number(found, "factor", 1.0, 1000.0);
        let city = section.text(found, "city", "991007");
        if has_target {
            let at = section.place("what");
            let message = "can only be done by the simulated backend, not by this target";
            found.mistake(at, section.field("what"), message, "no [target].url, or no [[fault]]");
        }
        let at = at.and_then(|at| match moment(at.value, stages) {
            Ok(begins) if begins < ends || stages.is_empty() => Some(begins),
            Ok(_) => {
                at.wrong(found, "lies after the end of the last stage", "");
                None
            }
            Err((message, suggestion)) => {
                at.wrong(found, message, suggestion);
                None
            }
        });
        if let Some(city) = city.as_ref().filter(|city| !cities.iter().any(|(code, _)| code == city.value)) {
            city.wrong(found, "is not in [population].cities", cities.first().map_or("", |(code, _)| code));
        }
        let named = what.as_ref().map_or("", |what| what.value);
        let trouble = match named {
            "backend-stall" => Some(Trouble::Stall),
            "backend-slow" => Some(Trouble::Slow(factor.as_ref().map_or(2.0, |factor| factor.value))),
            other => other
                .parse::<Fault>()
                .ok()
                .map(|fault| Trouble::Fault(fault, rate.as_ref().map_or(fault.suggested_rate(), |rate| rate.value))),
        };
        if let Some(what) = what.as_ref().filter(|_| trouble.is_none()) {
            let words: Vec<&str> = ["backend-stall", "backend-slow"]
                .into_iter()
                .chain(Fault::ALL.iter().map(|fault| fault.name()))
                .collect();
            let near = did_you_mean(named, words.iter().copied()).map_or(words.join(", "), str::to_owned);
            what.wrong(found, format!("knows no fault `{named}`"), near);
        }
        if let Some(factor) = factor.as_ref().filter(|_| named != "backend-slow") {
            factor.wrong(found, "belongs to `backend-slow`", "what = \"backend-slow\"");
        }
        let whole = matches!(trouble, Some(Trouble::Stall | Trouble::Slow(_)));
        if let Some(rate) = rate.as_ref().filter(|_| whole) {
            rate.wrong(found, format!("does not belong to `{named}`, which concerns every call"), "");
        }
        if let Some(city) = city.as_ref().filter(|_| whole) {
            city.wrong(found, format!("does not belong to `{named}`, which concerns the whole backend"), "");
        }
        section.finish(found);
        if let (Some(at), Some(lasts), Some(what)) = (at, lasts, trouble) {
            let (name, city) = (named.to_owned(), city.map(|city| city.value.to_owned()));
            list.push(Scheduled { at, lasts: lasts.value, what, name, city });
        }
    }
    list
}
