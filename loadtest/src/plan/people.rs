//! `[population]` and `[kiosk]`: who comes, and how a person behaves.

use std::time::Duration;

use super::quantity::{Between, Think};
use super::section::{Placed, Section};
use super::source::{Findings, did_you_mean};
use super::threshold::{Step, words};
use crate::legacy::{Form, Municipality};

/// Who comes.
#[derive(Debug, Clone, PartialEq)]
pub struct Population {
    /// A file of residents, for a target that is not ours.
    pub residents: Option<String>,
    /// Municipality codes and their share of the arrivals, adding up to 1.
    pub cities: Vec<(String, f64)>,
    /// Devices; none: as many as are needed.
    pub kiosks: Option<usize>,
    /// A share of the sessions that few people make.
    pub hot: Option<Hot>,
}

/// Few people who come often.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hot {
    /// Their share of the sessions, from 0 to 1.
    pub share: f64,
    /// How many they are.
    pub residents: usize,
}

words! {
    /// How one exchange ended, as the person at the kiosk saw it. The first nine are the gateway's own words for it.
    Outcome {
        /// Paper.
        Released = "released",
        /// An answer in data.
        Answered = "answered",
        /// The backend's lawful no.
        Refused = "refused",
        /// Kept in.
        Withheld = "withheld",
        /// Turned away early.
        Shed = "shed",
        /// Too late at the gateway.
        Expired = "expired",
        /// The request was wrong.
        Rejected = "rejected",
        /// An error.
        Failed = "failed",
        /// Nobody knows what became of it.
        Indeterminate = "indeterminate",
        /// The person's patience ended.
        GaveUp = "gave_up",
        /// The connection ended before the answer did.
        Cut = "cut",
        /// No connection.
        Unreachable = "unreachable",
    }
}

impl Outcome {
    /// What a person may ask again after.
    const BAD: [Self; 9] = [
        Self::Withheld,
        Self::Shed,
        Self::Expired,
        Self::Rejected,
        Self::Failed,
        Self::Indeterminate,
        Self::GaveUp,
        Self::Cut,
        Self::Unreachable,
    ];

    /// Paper, data or a lawful no.
    pub fn is_good(self) -> bool {
        !Self::BAD.contains(&self)
    }
}

/// When a person asks again.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// After these.
    pub on: Vec<Outcome>,
    /// So often in one session.
    pub times: usize,
    /// After so long.
    pub after: Between,
}

/// How a person behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// The steps of a session, in order.
    pub steps: Vec<Step>,
    /// How long they take between steps.
    pub think: Think,
    /// The share of people who walk away in the middle.
    pub abandon: f64,
    /// When they ask again.
    pub retry: Option<Retry>,
    /// How long they wait for one answer.
    pub patience: Duration,
    /// The certificates they come for, and their shares, adding up to 1.
    pub mix: Vec<(Form, f64)>,
    /// The share that asks for the whole household, where the certificate has one.
    pub household: f64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            steps: vec![Step::Open, Step::Issue, Step::Confirm],
            think: Think { median: Duration::from_secs(1), sigma: 0.0 },
            abandon: 0.0,
            retry: None,
            patience: Duration::from_secs(30),
            mix: vec![(Form::ResidentRecord, 1.0)],
            household: 0.0,
        }
    }
}

pub(super) fn population(root: &mut Section<'_>, has_target: bool, found: &mut Findings<'_>) -> Population {
    let example = "{ cities = { \"991007\" = 70, \"991015\" = 30 } }";
    let Some(mut section) = root.section(found, "population", example) else {
        return Population {
            residents: None,
            cities: simulated_cities().into_iter().take(1).map(|city| (city, 1.0)).collect(),
            kiosks: None,
            hot: None,
        };
    };
    let residents = section.text(found, "residents", "residents.csv");
    if let Some(residents) = residents.as_ref().filter(|_| !has_target) {
        residents.wrong(found, "belongs to a target of your own; the simulated town makes its people", "[target]");
    }
    let cities = cities(&mut section, has_target, found);
    let kiosks = section.count(found, "kiosks", 1, 60_000).map(|kiosks| kiosks.value);
    let hot = section.section(found, "hot", "{ share = 0.02, residents = 5 }").map(|mut hot| {
        let read = Hot {
            share: hot.share(found, "share").map_or(0.0, |share| share.value),
            residents: hot.count(found, "residents", 1, 100_000).map_or(1, |count| count.value),
        };
        hot.missing(found, "share", "share = 0.02");
        hot.missing(found, "residents", "residents = 5");
        hot.finish(found);
        read
    });
    section.finish(found);
    Population { residents: residents.map(|residents| residents.value.to_owned()), cities, kiosks, hot }
}

/// The `cities` of a stage: other shares of the same municipalities, in the population's order.
pub(super) fn cities_of_stage(
    section: &mut Section<'_>,
    all: &[(String, f64)],
    found: &mut Findings<'_>,
) -> Option<Vec<f64>> {
    let weights = section.weights(found, "cities", "{ \"991007\" = 100 }")?;
    for weight in &weights {
        let code = weight.value.0;
        if !all.iter().any(|(city, _)| city == code) {
            let known = || all.iter().map(|(city, _)| city.as_str());
            let near =
                did_you_mean(code, known()).map_or_else(|| known().collect::<Vec<_>>().join(", "), str::to_owned);
            weight.wrong(found, "is not in [population].cities", near);
        }
    }
    let (at, field) = (section.place("cities"), section.field("cities"));
    let shares = shares(weights, at, &field, found, |code| Some(code.to_owned()));
    let of = |city: &str| shares.iter().find(|(code, _)| code == city).map_or(0.0, |(_, share)| *share);
    Some(all.iter().map(|(city, _)| of(city)).collect())
}

fn simulated_cities() -> Vec<String> {
    (0..Municipality::MOST).filter_map(Municipality::nth).map(|city| city.code).collect()
}

fn cities(section: &mut Section<'_>, has_target: bool, found: &mut Findings<'_>) -> Vec<(String, f64)> {
    let known = simulated_cities();
    let weights = section.weights(found, "cities", "{ \"991007\" = 100 }");
    let Some(weights) = weights else { return known.first().map(|city| (city.clone(), 1.0)).into_iter().collect() };
    for weight in &weights {
        let code = weight.value.0;
        if has_target && !(code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit())) {
            weight.wrong(found, "is no municipality's code of six digits", "\"991007\" = 100");
        }
        if !has_target && !known.iter().any(|city| city == code) {
            let near = did_you_mean(code, known.iter().map(String::as_str)).map_or(known.join(", "), str::to_owned);
            weight.wrong(found, "is not in the simulated town", near);
        }
    }
    shares(weights, section.place("cities"), &section.field("cities"), found, |code| Some(code.to_owned()))
}

/// Per cent as written, as shares that add up to 1.
fn shares<T>(
    weights: Vec<Placed<(&str, f64)>>,
    at: usize,
    field: &str,
    found: &mut Findings<'_>,
    read: impl Fn(&str) -> Option<T>,
) -> Vec<(T, f64)> {
    let sum: f64 = weights.iter().map(|weight| weight.value.1).sum();
    if !weights.is_empty() && (sum - 100.0).abs() > 0.001 {
        found.mistake(at, field, format!("adds up to {sum} per cent"), "shares that add up to 100");
    }
    weights.into_iter().filter_map(|weight| Some((read(weight.value.0)?, weight.value.1 / sum))).collect()
}

pub(super) fn behaviour(root: &mut Section<'_>, found: &mut Findings<'_>) -> Behaviour {
    let usual = Behaviour::default();
    let Some(mut section) = root.section(found, "kiosk", "{ patience = \"30s\" }") else { return usual };
    let steps = steps(&mut section, found).unwrap_or(usual.steps);
    let expected = "a time such as \"2s\" or \"lognormal 4s p99 30s\"";
    let think = section.quantity(found, "think", expected, "lognormal 4s p99 30s", Think::parse);
    let abandon = section.share(found, "abandon").map_or(0.0, |share| share.value);
    let household = section.share(found, "household").map_or(0.0, |share| share.value);
    let retry = retry(&mut section, found);
    let patience = section.duration(found, "patience", "30s");
    if let Some(patience) = patience.as_ref().filter(|patience| patience.value.is_zero()) {
        patience.wrong(found, "must be longer than nothing", "patience = \"30s\"");
    }
    let mix = mix(&mut section, found).filter(|mix| !mix.is_empty()).unwrap_or(usual.mix);
    section.finish(found);
    Behaviour {
        steps,
        think: think.map_or(usual.think, |think| think.value),
        abandon,
        retry,
        patience: patience.map_or(usual.patience, |patience| patience.value),
        mix,
        household,
    }
}

fn steps(section: &mut Section<'_>, found: &mut Findings<'_>) -> Option<Vec<Step>> {
    const OF_A_SESSION: [Step; 4] = [Step::Open, Step::Inquire, Step::Issue, Step::Confirm];
    let example = "steps = [\"open\", \"inquire\", \"issue\", \"confirm\"]";
    let written = section.texts(found, "steps", example)?;
    let mut steps = Vec::new();
    for text in written {
        match Step::named(text.value).filter(|step| OF_A_SESSION.contains(step)) {
            Some(step) => steps.push(step),
            None => {
                let words = OF_A_SESSION.map(Step::word);
                let near = did_you_mean(text.value, words).map_or_else(|| words.join(", "), str::to_owned);
                text.wrong(found, format!("knows no step `{}`", text.value), near);
            }
        }
    }
    let confirm_inside = steps.iter().rev().skip(1).any(|step| *step == Step::Confirm);
    let opens = steps.iter().filter(|step| **step == Step::Open).count();
    if steps.first() != Some(&Step::Open) || opens != 1 || confirm_inside || !steps.contains(&Step::Issue) {
        let message = "must begin with its only `open`, hold an `issue`, and have `confirm` at the end only";
        found.mistake(section.place("steps"), section.field("steps"), message, example);
    }
    Some(steps)
}

fn retry(section: &mut Section<'_>, found: &mut Findings<'_>) -> Option<Retry> {
    let mut retry = section.section(found, "retry", "{ on = [\"shed\"], times = 2, after = \"5s..20s\" }")?;
    let written = retry.texts(found, "on", "on = [\"shed\", \"expired\", \"withheld\"]").unwrap_or_default();
    retry.missing(found, "on", "on = [\"shed\", \"expired\", \"withheld\"]");
    let mut on = Vec::new();
    for text in written {
        match Outcome::named(text.value).filter(|outcome| Outcome::BAD.contains(outcome)) {
            Some(outcome) => on.push(outcome),
            None => {
                let words = Outcome::BAD.map(Outcome::word);
                let near = did_you_mean(text.value, words).map_or_else(|| words.join(", "), str::to_owned);
                text.wrong(found, format!("is nothing that a person asks again after: `{}`", text.value), near);
            }
        }
    }
    let times = retry.count(found, "times", 1, 100).map_or(1, |times| times.value);
    let expected = "a time such as \"5s\" or \"5s..20s\"";
    let after = retry.quantity(found, "after", expected, "5s..20s", Between::parse);
    retry.missing(found, "after", "after = \"5s..20s\"");
    retry.finish(found);
    Some(Retry { on, times, after: after?.value })
}

fn mix(section: &mut Section<'_>, found: &mut Findings<'_>) -> Option<Vec<(Form, f64)>> {
    let weights = section.weights(found, "mix", "{ resident_record = 90, tax = 10 }")?;
    for weight in &weights {
        if kind(weight.value.0).is_none() {
            let words: Vec<String> = Form::ALL.iter().map(|form| kind_name(*form)).collect();
            let near =
                did_you_mean(weight.value.0, words.iter().map(String::as_str)).map_or(words.join(", "), str::to_owned);
            weight.wrong(found, "is no kind of certificate", near);
        }
    }
    Some(shares(weights, section.place("mix"), &section.field("mix"), found, kind))
}

/// A kind of certificate as plans name it: `resident_record`.
pub fn kind(name: &str) -> Option<Form> {
    Form::ALL.into_iter().find(|form| kind_name(*form) == name)
}

/// Its name in plans, figures and metrics.
pub fn kind_name(form: Form) -> String {
    form.path().replace('-', "_")
}
