//! The manual of the metrics, written from the declarations so that it cannot disagree with them.

use std::fmt::Write as _;

use super::{ALL, LabelValues, MetricKind, unit_name};

/// `dashboards/METRICS.md`.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Metrics\n\nWritten from `gateway/src/registry/metric.rs` by the test that compares the two (`UPDATE_EXPECT=1 cargo nextest run -p sekisho-gateway manual`).\n\
         Labels are closed sets or configured names; never a resident, a session or free text. Every series of an enabled route,\n\
         backend or municipality exists with 0 from the start, except that of a latch.\n\n| name | type | unit | labels | answers |\n|---|---|---|---|---|\n",
    );
    for metric in ALL {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram { .. } => "histogram",
        };
        let labels: Vec<String> = metric.labels.iter().map(|l| describe(l.name, l.values)).collect();
        let _ = writeln!(
            out,
            "| `{}` | {kind} | {} | {} | {} |",
            metric.name,
            unit_name(metric.unit),
            labels.join("; "),
            metric.help
        );
    }
    out.push_str("\n## Reasons\n\n| outcome | reasons |\n|---|---|\n");
    for outcome in crate::outcome::Outcome::ALL {
        let words: Vec<&str> = super::REASONS.iter().filter(|(o, _)| *o == outcome).map(|(_, w)| *w).collect();
        let _ = writeln!(out, "| {} | {} |", outcome.name(), words.join(", "));
    }
    out
}

fn describe(name: &str, values: LabelValues) -> String {
    match (values, values.closed()) {
        (LabelValues::Reasons, _) => format!("`{name}` (see below)"),
        (_, Some(words)) => format!("`{name}` = {}", words.join(", ")),
        (LabelValues::Routes, None) => format!("`{name}` = configured routes, none"),
        (LabelValues::Backends, None) => format!("`{name}` = configured backends"),
        (LabelValues::Canaries, None) => format!("`{name}` = configured canaries"),
        (LabelValues::Municipalities, None) => format!("`{name}` = enabled municipalities, none"),
        (_, None) => format!("`{name}`"),
    }
}
