//! What a PromQL expression names, as far as a lint needs to know it.

use std::collections::BTreeSet;

use regex::Regex;
use sekisho_gateway::registry::{ALL, MetricDef, MetricKind};

/// Labels that Prometheus adds, and the bucket's bound.
const ALWAYS: [&str; 3] = ["job", "instance", "le"];

/// Every `sekisho_...` word.
pub(crate) fn names(text: &str) -> impl Iterator<Item = String> {
    let word = Regex::new(r"\bsekisho_[a-z0-9_]+").unwrap();
    word.find_iter(text).map(|m| m.as_str().to_owned()).collect::<BTreeSet<_>>().into_iter()
}

/// The declared name of a histogram's series.
pub(crate) fn base(name: &str) -> &str {
    let histogram = |n: &str| ALL.iter().any(|m| m.name == n && matches!(m.kind, MetricKind::Histogram { .. }));
    let stripped = ["_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s).filter(|n| histogram(n)));
    stripped.unwrap_or(name)
}

fn metric(name: &str) -> &'static MetricDef {
    ALL.iter().find(|m| m.name == base(name)).unwrap_or_else(|| panic!("{name} is not in the registry"))
}

/// Panics where `expr` names a metric or a label that is not declared, matches a value that cannot occur, or takes the
/// rate of something that is no counter.
pub(crate) fn lint(expr: &str) {
    let selector = Regex::new(r"\b(sekisho_[a-z0-9_]+)(?:\{([^}]*)\})?(\[[^\]]*\])?").unwrap();
    let matcher = Regex::new(r#"([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)""#).unwrap();
    let mut labels: BTreeSet<&str> = ALWAYS.into();
    for found in selector.captures_iter(expr) {
        let metric = metric(&found[1]);
        labels.extend(metric.labels.iter().map(|l| l.name));
        for m in matcher.captures_iter(found.get(2).map_or("", |m| m.as_str())) {
            if ALWAYS.contains(&&m[1]) {
                continue;
            }
            let label = metric.labels.iter().find(|l| l.name == &m[1]);
            let label = label.unwrap_or_else(|| panic!("{} has no label {}: {expr}", metric.name, &m[1]));
            let values = label.values.closed().filter(|_| !m[3].starts_with('$'));
            for value in m[3].split('|') {
                assert!(values.as_ref().is_none_or(|v| v.contains(&value)), "{} is never {value}: {expr}", label.name);
            }
        }
        let window = found.get(3).is_some();
        let rises = !matches!(metric.kind, MetricKind::Gauge);
        assert!(!window || rises, "a rate of {} which is a gauge: {expr}", metric.name);
    }
    let grouping = Regex::new(r"(?:by|on|group_left)\s*\(([^)]*)\)").unwrap();
    for found in grouping.captures_iter(expr) {
        for label in found[1].split(',').map(str::trim).filter(|l| !l.is_empty()) {
            assert!(labels.contains(label), "no metric of this query has a label {label}: {expr}");
        }
    }
}
