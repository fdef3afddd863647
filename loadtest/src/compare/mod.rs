//! Two reports of `run` side by side: what got worse, what got better, beyond a tolerance. Reads JSON; runs nothing.

mod figures;
mod text;

use serde_json::Value;

pub use text::compare_text;

use figures::{Kind, figures};

/// The only layout that is read.
const LAYOUT: u64 = 1;

/// What differs no more than this is the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Of times and rates, as a share of the first report's.
    pub relative: f64,
    /// Of shares, in percentage points.
    pub points: f64,
    /// Of times, in milliseconds, whatever their share.
    pub least_ms: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { relative: 0.1, points: 1.0, least_ms: 1.0 }
    }
}

/// How the second report stands to the first in one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Within the tolerance.
    Same,
    /// Beyond it, for the better.
    Better,
    /// Beyond it, for the worse.
    Worse,
    /// Only one of them has it.
    Missing,
    /// It says how they were made, not how good they are.
    Told,
}

/// One figure of both.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Which.
    pub name: String,
    /// Of the first report.
    pub before: Option<f64>,
    /// Of the second.
    pub after: Option<f64>,
    /// As people read it.
    pub unit: &'static str,
    /// How they stand to each other.
    pub change: Change,
}

/// The comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Every figure.
    pub rows: Vec<Compared>,
    /// In what the two runs were not alike: plan, seed, machine, versions.
    pub unlike: Vec<String>,
    /// Harmful documents in the second report.
    pub harmful: u64,
}

impl Comparison {
    /// Whether anything got worse.
    pub fn is_worse(&self) -> bool {
        self.rows.iter().any(|row| row.change == Change::Worse)
    }
}

/// Compares two reports. `Err` says which of the two cannot be read, and why.
pub fn compare(before: &Value, after: &Value, tolerance: &Tolerance) -> Result<Comparison, String> {
    for (which, report) in [("the first", before), ("the second", after)] {
        let layout = report.get("layout").and_then(Value::as_u64);
        if layout != Some(LAYOUT) || report.get("stages").is_none() {
            return Err(format!("{which} is no report of `sekisho-loadtest run --json` in layout {LAYOUT}"));
        }
    }
    let (of_before, of_after) = (figures(before), figures(after));
    let mut names: Vec<&str> = of_before.iter().map(|figure| figure.name.as_str()).collect();
    of_after.iter().filter(|figure| !of_before.iter().any(|known| known.name == figure.name)).for_each(|figure| {
        names.push(&figure.name);
    });
    let row = |name: &str| {
        let of = |all: &[figures::Figure]| all.iter().find(|figure| figure.name == name).map(|figure| figure.value);
        let kind = of_before.iter().chain(&of_after).find(|figure| figure.name == name).map(|figure| figure.kind)?;
        let (first, second) = (of(&of_before), of(&of_after));
        let change = match (first, second) {
            (Some(first), Some(second)) => changed(kind, first, second, tolerance),
            // Nobody was told no where somebody was before: no worse.
            (Some(_), None) if kind == Kind::TimeToNo => Change::Told,
            (None, Some(_)) if kind == Kind::TimeToNo => Change::Told,
            _ => Change::Missing,
        };
        Some(Compared { name: name.to_owned(), before: first, after: second, unit: kind.unit(), change })
    };
    let rows = names.into_iter().filter_map(row).collect();
    let harmful = after.get("harms").and_then(Value::as_object).into_iter().flat_map(|harms| harms.values());
    let harmful = harmful.filter_map(Value::as_u64).sum();
    Ok(Comparison { rows, unlike: unlike(before, after), harmful })
}

fn unlike(before: &Value, after: &Value) -> Vec<String> {
    let differs = |key: &&str| before.get(*key) != after.get(*key);
    let line = |key: &str| {
        let of = |report: &Value| match report.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => "-".to_owned(),
        };
        format!("{key}: {} / {}", of(before), of(after))
    };
    let keys = ["plan", "seed", "target", "machine", "version", "gateway_version", "stopped"];
    keys.iter().filter(|key| differs(key)).map(|key| line(key)).collect()
}

fn changed(kind: Kind, first: f64, second: f64, tolerance: &Tolerance) -> Change {
    // Positive: worse.
    let (worse_by, allowed) = match kind {
        Kind::ShareUp => ((first - second) * 100.0, tolerance.points),
        Kind::ShareDown => ((second - first) * 100.0, tolerance.points),
        Kind::RateUp => (first - second, first * tolerance.relative),
        Kind::Time | Kind::TimeToNo => (second - first, (first * tolerance.relative).max(tolerance.least_ms)),
        Kind::Never => (second - first, 0.0),
        Kind::Told => return Change::Told,
    };
    // What a sum of floating point leaves over is no difference.
    let allowed = allowed + 1e-9;
    match worse_by {
        by if by > allowed => Change::Worse,
        by if by < -allowed => Change::Better,
        _ => Change::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report(goodput: f64, p99: f64, wrong: u64) -> Value {
        json!({
            "layout": 1, "plan": "p", "seed": 1, "seconds": 10.0,
            "harms": { "wrong_person": wrong },
            "stages": [{ "name": "hold", "judged": true, "seconds": 10.0, "begun": 100, "served": 90, "goodput": goodput,
                         "start_error": { "p999": 0.5 } }],
            "ranks": [{ "rank": "started", "answers": 100, "shed": 10,
                        "latency": { "count": 90, "p50": 10.0, "p99": p99, "p999": p99 }, "time_to_no": { "count": 0, "p99": 0.0 } }],
        })
    }

    fn worse(before: &Value, after: &Value) -> Vec<String> {
        let comparison = compare(before, after, &Tolerance::default()).unwrap();
        comparison.rows.into_iter().filter(|row| row.change == Change::Worse).map(|row| row.name).collect()
    }

    #[test]
    fn a_report_is_no_worse_than_itself() {
        let one = report(0.9, 100.0, 0);
        assert_eq!(worse(&one, &one), Vec::<String>::new());
        assert_eq!(compare(&one, &one, &Tolerance::default()).unwrap().unlike, Vec::<String>::new());
    }

    #[test]
    fn what_is_worse_beyond_the_tolerance_is_and_what_is_within_is_not() {
        let before = report(0.9, 100.0, 0);
        assert_eq!(worse(&before, &report(0.895, 109.0, 0)), Vec::<String>::new());
        assert_eq!(worse(&before, &report(0.88, 100.0, 0)), ["hold: goodput"]);
        assert_eq!(worse(&before, &report(0.9, 112.0, 0)), ["started: latency p99", "started: latency p99.9"]);
        assert_eq!(worse(&before, &report(0.95, 50.0, 0)), Vec::<String>::new(), "better is not worse");
    }

    #[test]
    fn a_tenth_of_nearly_nothing_is_nothing() {
        assert_eq!(worse(&report(0.9, 0.2, 0), &report(0.9, 1.1, 0)), Vec::<String>::new());
    }

    #[test]
    fn one_harmful_document_more_is_worse_whatever_is_tolerated() {
        let comparison = compare(
            &report(0.9, 1.0, 0),
            &report(0.9, 1.0, 1),
            &Tolerance { relative: 9.0, points: 99.0, least_ms: 1e9 },
        )
        .unwrap();
        assert!(comparison.is_worse());
        assert_eq!(comparison.harmful, 1);
    }

    #[test]
    fn what_is_no_report_is_refused() {
        assert!(
            compare(&json!({"layout": 2}), &report(0.9, 1.0, 0), &Tolerance::default())
                .unwrap_err()
                .contains("the first")
        );
    }

    #[test]
    fn another_plan_or_seed_is_said() {
        let mut other = report(0.9, 1.0, 0);
        other["seed"] = json!(2);
        let comparison = compare(&report(0.9, 1.0, 0), &other, &Tolerance::default()).unwrap();
        assert_eq!(comparison.unlike, ["seed: 1 / 2"]);
    }
}
