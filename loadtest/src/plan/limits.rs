//! `[thresholds]`: three lists of them, and when to give up early.

use std::time::Duration;

use super::people::{kind, kind_name};
use super::section::{Placed, Section};
use super::source::{Findings, did_you_mean};
use super::stage::Stage;
use super::threshold::{Concern, Label, Metric, Threshold, parse};
use crate::legacy::Form;

/// Which list a threshold stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// What citizens got; the run stops at the first.
    Safety,
    /// What they were promised.
    Service,
    /// Whether the figures can be believed.
    Honesty,
}

impl Group {
    /// Every one, by its key.
    pub const ALL: [(&str, Self); 3] =
        [("safety", Self::Safety), ("service", Self::Service), ("honesty", Self::Honesty)];
}

/// When a run is given up.
#[derive(Debug, Clone, PartialEq)]
pub struct Abort {
    /// As soon as this holds,
    pub when: Threshold,
    /// but not before.
    pub after: Duration,
}

/// What a run must have been like.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Thresholds {
    /// Every threshold.
    pub all: Vec<(Group, Threshold)>,
    /// When it is given up.
    pub abort: Option<Abort>,
}

/// What thresholds may name.
pub(super) struct Around<'p> {
    pub(super) stages: &'p [Stage],
    pub(super) cities: &'p [(String, f64)],
    pub(super) mix: &'p [(Form, f64)],
}

pub(super) fn read(root: &mut Section<'_>, around: &Around<'_>, found: &mut Findings<'_>) -> Thresholds {
    let Some(mut section) = root.section(found, "thresholds", "{ safety = [\"wrong == 0\"] }") else {
        return Thresholds::default();
    };
    let mut all = Vec::new();
    for (key, group) in Group::ALL {
        for text in section.texts(found, key, "[\"wrong == 0\"]").unwrap_or_default() {
            let Some(threshold) = one(&text, around, found) else { continue };
            if (group == Group::Safety) != (threshold.metric.concern() == Concern::Safety) {
                let right = if group == Group::Safety { "service or honesty" } else { "safety" };
                text.wrong(found, format!("does not belong to `{key}`"), format!("put it into {right}"));
            }
            all.push((group, threshold));
        }
    }
    let abort =
        section.section(found, "abort", "{ when = \"goodput < 50%\", after = \"60s\" }").and_then(|mut abort| {
            let when = abort.text(found, "when", "goodput < 50%").and_then(|text| {
                let threshold = one(&text, around, found)?;
                if threshold.metric == Metric::Unreconciled {
                    text.wrong(found, "is only known at the end", "goodput < 50%");
                }
                Some(threshold)
            });
            abort.missing(found, "when", "when = \"goodput < 50%\"");
            let after = abort.duration(found, "after", "60s").map_or(Duration::ZERO, |after| after.value);
            abort.finish(found);
            Some(Abort { when: when?, after })
        });
    section.finish(found);
    Thresholds { all, abort }
}

fn one(text: &Placed<&str>, around: &Around<'_>, found: &mut Findings<'_>) -> Option<Threshold> {
    let threshold = match parse(text.value) {
        Ok(threshold) => threshold,
        Err(unreadable) => {
            // With escapes in the string, its own offsets say nothing about the file.
            let at = found.verbatim(&text.span, text.value).map_or(text.span.start, |start| start + unreadable.at);
            let message = format!("`{}` {}", text.value, unreadable.message);
            found.mistake(at, text.field.clone(), message, unreadable.suggestion);
            return None;
        }
    };
    if let Some(stage) = &threshold.stage {
        let names = || around.stages.iter().map(|stage| stage.name.as_str());
        if !names().any(|name| name == stage) {
            let near =
                did_you_mean(stage, names()).map_or_else(|| names().collect::<Vec<_>>().join(", "), str::to_owned);
            text.wrong(found, format!("names no stage `{stage}`"), near);
        }
        if threshold.metric == Metric::Unreconciled {
            text.wrong(found, "is a figure of the whole run, not of a stage", "unreconciled == 0");
        }
    }
    for (label, value) in &threshold.only {
        let known: Vec<String> = match label {
            Label::City => around.cities.iter().map(|(code, _)| code.clone()).collect(),
            Label::Kind => around.mix.iter().map(|(form, _)| kind_name(*form)).collect(),
            Label::Rank | Label::Step => continue,
        };
        if known.iter().any(|one| one == value) {
            continue;
        }
        let message = match label {
            Label::Kind if kind(value).is_some() => format!("names `{value}`, which nobody asks for in [kiosk].mix"),
            Label::Kind => format!("knows no kind `{value}`"),
            _ => format!("names `{value}`, from where nobody comes in [population].cities"),
        };
        let near = did_you_mean(value, known.iter().map(String::as_str)).map_or(known.join(", "), str::to_owned);
        text.wrong(found, message, near);
    }
    Some(threshold)
}
