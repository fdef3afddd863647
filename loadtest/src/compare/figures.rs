//! Which figures of a report are compared, and which way is better. Pure.

use serde_json::Value;

/// What a figure is, and so which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A share of which more is better.
    ShareUp,
    /// A share of which less is better.
    ShareDown,
    /// A rate of which more is better.
    RateUp,
    /// A time in milliseconds.
    Time,
    /// The same, of those who were told no.
    TimeToNo,
    /// A count that may not grow at all.
    Never,
    /// How it was made.
    Told,
}

impl Kind {
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::ShareUp | Self::ShareDown => "%",
            Self::RateUp | Self::Told => "/s",
            Self::Time | Self::TimeToNo => "ms",
            Self::Never => "",
        }
    }
}

/// One figure of one report.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) value: f64,
}

/// The figures of a report, the gravest first.
pub(super) fn figures(report: &Value) -> Vec<Figure> {
    let mut all = Vec::new();
    let mut add = |name: String, kind: Kind, value: Option<f64>| {
        all.extend(value.map(|value| Figure { name, kind, value }));
    };
    let number = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_f64);
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |key: &str| report.get(key).and_then(Value::as_array).into_iter().flatten();
    for (harm, count) in report.get("harms").and_then(Value::as_object).into_iter().flatten() {
        add(format!("harm: {harm}"), Kind::Never, count.as_f64());
    }
    add("unreconciled".to_owned(), Kind::Never, number(report, "/reconciled/unreconciled"));
    for stage in list("stages").filter(|stage| stage.get("judged").and_then(Value::as_bool) == Some(true)) {
        let name = text(stage, "name");
        let seconds = number(stage, "/seconds").filter(|seconds| *seconds > 0.0);
        let a_second = |key: &str| Some(number(stage, key)? / seconds?);
        add(format!("{name}: offered"), Kind::Told, a_second("/begun"));
        add(format!("{name}: served"), Kind::RateUp, a_second("/served"));
        add(format!("{name}: goodput"), Kind::ShareUp, number(stage, "/goodput"));
        add(format!("{name}: start error p99.9"), Kind::Time, number(stage, "/start_error/p999"));
    }
    for rank in list("ranks") {
        let name = text(rank, "rank");
        let answers = number(rank, "/answers").filter(|answers| *answers > 0.0);
        add(format!("{name}: shed"), Kind::ShareDown, number(rank, "/shed").zip(answers).map(|(shed, all)| shed / all));
        let any = |of: &str| number(rank, &format!("/{of}/count")).is_some_and(|count| count > 0.0);
        if any("latency") {
            for (word, key) in [("p50", "p50"), ("p99", "p99"), ("p99.9", "p999")] {
                add(format!("{name}: latency {word}"), Kind::Time, number(rank, &format!("/latency/{key}")));
            }
        }
        if any("time_to_no") {
            add(format!("{name}: time to no p99"), Kind::TimeToNo, number(rank, "/time_to_no/p99"));
        }
    }
    for (city, share) in report.get("cities").and_then(Value::as_object).into_iter().flatten() {
        add(format!("{city}: goodput"), Kind::ShareUp, share.as_f64());
    }
    all
}
