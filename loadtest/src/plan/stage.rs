//! `[[stage]]`: how many sessions begin per second, for how long, and whether it counts.

use std::time::Duration;

use super::curve::{Curve, Day};
use super::people;
use super::quantity;
use super::section::Section;
use super::source::{Findings, did_you_mean};

/// A part of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Its name, for thresholds, faults and tables.
    pub name: String,
    /// Sessions begun per second.
    pub curve: Curve,
    /// Whether arrivals are spread at random (Poisson) or evenly.
    pub random: bool,
    /// How long it is.
    pub lasts: Duration,
    /// Shares of the population's municipalities, in its order, where they are others than the population's.
    pub cities: Option<Vec<f64>>,
    /// Whether thresholds look at it. Wrong documents count in every stage.
    pub judge: bool,
}

const SHAPES: [&str; 5] = ["linear", "poisson", "step", "spike", "day"];
/// A longer stage is a mistake.
const MOST_ARRIVALS: f64 = 20_000_000.0;
const MOST_STEPS: usize = 1000;

pub(super) fn read(root: &mut Section<'_>, cities: &[(String, f64)], found: &mut Findings<'_>) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for mut section in root.sections(found, "stage") {
        let name = section.text(found, "name", "hold");
        section.missing(found, "name", "name = \"hold\"");
        let lasts = section.duration(found, "for", "2m");
        section.missing(found, "for", "for = \"2m\"");
        if let Some(lasts) = lasts.as_ref().filter(|lasts| lasts.value.is_zero()) {
            lasts.wrong(found, "must be longer than nothing", "for = \"2m\"");
        }
        let judge = section.flag(found, "judge").unwrap_or(true);
        let cities = people::cities_of_stage(&mut section, cities, found);
        section.missing(found, "rate", "rate = \"40/s\"");
        let lasts = lasts.map_or(Duration::from_secs(1), |lasts| lasts.value);
        let rate = rate(&mut section, lasts, found);
        if let Some(name) = &name {
            let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
            if name.value.is_empty() || name.value.len() > 40 || !name.value.bytes().all(fits) {
                name.wrong(found, "must be [a-z0-9_-], at most 40", "name = \"hold\"");
            }
            if stages.iter().any(|stage| stage.name == name.value) {
                name.wrong(found, "is the name of an earlier stage", "another name");
            }
        }
        section.finish(found);
        if let Some(name) = name {
            // A stage with an unreadable rate is still one that others may name.
            let (curve, random) = rate.unwrap_or_else(|| (Curve::constant(0.0, lasts), false));
            stages.push(Stage { name: name.value.to_owned(), curve, random, lasts, cities, judge });
        }
    }
    if !root.has("stage") {
        found.mistake(
            0,
            "stage",
            "is missing: nobody would come",
            "[[stage]]\nname = \"hold\"\nrate = \"40/s\"\nfor = \"2m\"",
        );
    }
    stages
}

/// `"40/s"`, or a table that says how it changes.
fn rate(section: &mut Section<'_>, lasts: Duration, found: &mut Findings<'_>) -> Option<(Curve, bool)> {
    let placed = section.any("rate")?;
    let example = "rate = \"40/s\" or { from = \"2/s\", to = \"40/s\", shape = \"poisson\" }";
    let (curve, random) = if let Some(text) = placed.value.get_ref().as_str() {
        let Some(rate) = quantity::rate(text) else {
            placed.wrong(found, format!("must be a rate such as \"40/s\", but is `{text}`"), example);
            return None;
        };
        (Curve::constant(rate, lasts), false)
    } else if let Some(table) = placed.value.get_ref().as_table() {
        shaped(Section::new(table, placed.field.clone(), placed.span.clone()), lasts, found)?
    } else {
        placed.wrong(found, "must be a rate or a table of rates", example);
        return None;
    };
    if curve.arrivals() > MOST_ARRIVALS {
        placed.wrong(found, format!("makes {:.0} sessions; {MOST_ARRIVALS:.0} are the most", curve.arrivals()), "");
    }
    Some((curve, random))
}

fn shaped(mut section: Section<'_>, lasts: Duration, found: &mut Findings<'_>) -> Option<(Curve, bool)> {
    let from = section.rate(found, "from", "2/s");
    section.missing(found, "from", "from = \"2/s\"");
    let to = section.rate(found, "to", "40/s");
    let shape = section.text(found, "shape", "poisson");
    let arrivals = section.text(found, "arrivals", "poisson");
    let steps = section.count(found, "steps", 2, MOST_STEPS);
    let day = section.text(found, "day", "weekday");
    let word = shape.as_ref().map_or("linear", |shape| shape.value);
    if let Some(shape) = shape.as_ref().filter(|shape| !SHAPES.contains(&shape.value)) {
        let near =
            did_you_mean(shape.value, SHAPES).map_or_else(|| format!("one of: {}", SHAPES.join(", ")), str::to_owned);
        shape.wrong(found, format!("knows no shape `{}`", shape.value), near);
    }
    let random = match arrivals.as_ref().map(|arrivals| arrivals.value) {
        None => word == "poisson",
        Some("poisson") => true,
        Some("even") => false,
        Some(other) => {
            let near = did_you_mean(other, ["even", "poisson"]).unwrap_or("even");
            if let Some(arrivals) = &arrivals {
                arrivals.wrong(found, format!("must be `even` or `poisson`, but is `{other}`"), near);
            }
            false
        }
    };
    if let Some(steps) = steps.as_ref().filter(|_| word != "step") {
        steps.wrong(found, "belongs to shape = \"step\"", "shape = \"step\"");
    }
    if let Some(day) = day.as_ref().filter(|_| word != "day") {
        day.wrong(found, "belongs to shape = \"day\"", "shape = \"day\"");
    }
    let kind = match &day {
        None => Day::Weekday,
        Some(day) => Day::ALL.iter().find(|(word, _)| *word == day.value).map_or_else(
            || {
                let words: Vec<&str> = Day::ALL.iter().map(|(word, _)| *word).collect();
                let near = did_you_mean(day.value, words.iter().copied()).map_or(words.join(", "), str::to_owned);
                day.wrong(found, format!("knows no day `{}`", day.value), near);
                Day::Weekday
            },
            |(_, kind)| *kind,
        ),
    };
    if to.is_none() && !section.has("to") && matches!(word, "step" | "spike" | "day") {
        section.missing(found, "to", "to = \"40/s\"");
    }
    section.finish(found);
    let from = from?.value;
    let to = to.map_or(from, |to| to.value);
    let curve = match word {
        "step" => Curve::stairs(from, to, steps.map_or(4, |steps| steps.value), lasts),
        "spike" => Curve::spike(from, to, lasts),
        "day" => Curve::day(from, to, kind, lasts),
        _ => Curve::ramp(from, to, lasts),
    };
    Some((curve, random))
}

/// Reads `"hold+5m"`, `"hold"` or `"90s"`: seconds from the beginning of the run. `Err` says what is wrong, and what to write instead.
pub(super) fn moment(text: &str, stages: &[Stage]) -> Result<Duration, (String, String)> {
    if let Some(from_start) = quantity::duration(text) {
        return Ok(from_start);
    }
    let (name, after) = text
        .split_once('+')
        .map_or((text.trim(), Some(Duration::ZERO)), |(name, after)| (name.trim(), quantity::duration(after.trim())));
    let Some(after) = after else {
        return Err((format!("`{text}` is no moment"), "at = \"hold+5m\"".to_owned()));
    };
    let mut begins = Duration::ZERO;
    for stage in stages {
        if stage.name == name {
            return Ok(begins + after);
        }
        begins += stage.lasts;
    }
    let near = did_you_mean(name, stages.iter().map(|stage| stage.name.as_str())).unwrap_or("90s");
    Err((format!("names no stage `{name}`"), format!("at = \"{near}\"")))
}
