use std::time::Instant;

use sekisho_issuance::certificate::Kind;

use super::*;
use crate::outcome::Outcome;
use crate::route::Mode;

fn enabled() -> Enabled<'static> {
    Enabled {
        routes: vec![("resident_record".into(), Operation::Issue)],
        tenants: vec![(
            MunicipalityCode::new("991007").unwrap(),
            "見本市".into(),
            Mode::Enforce,
            vec![DocumentKind::Certificate(Kind::ResidentRecord)],
        )],
        backends: vec!["issuer"],
        canaries: vec!["tax"],
    }
}

/// The value of the one series of `name` whose labels contain all of `with`.
fn value(text: &str, name: &str, with: &[&str]) -> Option<f64> {
    let mut lines = text.lines().filter(|l| l.starts_with(name) && with.iter().all(|w| l.contains(w)));
    let line = lines.next()?;
    assert!(lines.next().is_none(), "more than one series of {name} with {with:?}");
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn every_series_of_what_is_enabled_exists_with_0_from_the_start() {
    let registry = Registry::isolated();
    registry.declare(&enabled());
    let text = registry.render();
    let zero = |name: &str, with: &[&str]| assert_eq!(value(&text, name, with), Some(0.0), "{name} {with:?}");
    zero("sekisho_requests_total", &["route=\"resident_record\"", "outcome=\"withheld\"", "reason=\"identity\""]);
    zero(
        "sekisho_check_verdicts_total",
        &["route=\"resident_record\"", "check=\"identity\"", "verdict=\"mismatch\"", "mode=\"enforce\""],
    );
    zero("sekisho_documents_verified_total", &["991007", "resident_record", "enforce"]);
    zero("sekisho_documents_ended_total", &["991007", "enforce", "destroyed"]);
    zero("sekisho_sheds_total", &["issuer", "started", "lane_full"]);
    zero("sekisho_channel_burns_total", &["issuer", "timeout"]);
    zero("sekisho_lane_overlaps_total", &["amend"]);
    zero("sekisho_request_duration_seconds_count", &["resident_record", "shed"]);
    assert_eq!(value(&text, "sekisho_documents_verified_total", &["\"tax\""]), None, "not enabled, no series");
}

/// What every municipality has is multiplied by two thousand: a scrape of them all stays under 40,000 lines.
#[test]
fn two_thousand_municipalities_fit_into_one_scrape() {
    let codes = (100_000..).filter_map(|n: u32| MunicipalityCode::new(&n.to_string()).ok()).take(2_000);
    let tenants = codes.map(|code| (code, code.as_str().into(), Mode::Enforce, DocumentKind::ALL.to_vec())).collect();
    let operations = [Operation::Issue; 6].into_iter().chain([Operation::Open, Operation::Close]);
    let operations = operations.chain([Operation::Inquire, Operation::Amend, Operation::Pass]);
    let routes = operations.enumerate().map(|(n, operation)| (format!("route_{n}").into(), operation)).collect();
    let registry = Registry::isolated();
    registry.declare(&Enabled { routes, tenants, backends: vec!["issuer", "residents"], ..Default::default() });
    let text = registry.render();
    let mut families: std::collections::BTreeMap<&str, usize> = Default::default();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        *families.entry(line.split(['{', ' ']).next().unwrap()).or_default() += 1;
    }
    let lines: usize = families.values().sum();
    let mut largest: Vec<_> = families.into_iter().collect();
    largest.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    largest.truncate(6);
    println!("{lines} series lines of 2,000 municipalities, most of them {largest:?}");
    assert!(lines < 40_000, "{lines}: {largest:?}");
}

#[test]
fn every_name_that_is_rendered_is_declared() {
    let registry = Registry::isolated();
    registry.declare(&enabled());
    for name in Registry::rendered_names(&registry.render()) {
        assert!(ALL.iter().any(|m| m.name == name), "{name} is emitted but not declared");
    }
}

#[test]
fn the_worker_emits_only_what_is_declared() {
    use sekisho_worker::metric::{ALL as WORKERS, Values};
    for row in WORKERS {
        let ours = ALL.iter().find(|m| m.name == row.name).unwrap_or_else(|| panic!("{} is not declared", row.name));
        assert_eq!(ours.labels.len(), row.labels.len(), "{}", row.name);
        for (label, values) in row.labels {
            let declared = ours.labels.iter().find(|l| l.name == *label).unwrap();
            if let Values::Closed(words) = values {
                let known = declared.values.closed().unwrap();
                assert!(words.iter().all(|w| known.contains(w)), "{}: {label}", row.name);
            }
        }
    }
}

#[test]
fn declarations_follow_the_conventions() {
    let mut seen = BTreeSet::new();
    for metric in ALL {
        assert!(seen.insert(metric.name), "{} is declared twice", metric.name);
        assert!(metric.name.starts_with("sekisho_") && !metric.help.is_empty());
        assert_eq!(matches!(metric.kind, MetricKind::Counter), metric.name.ends_with("_total"), "{}", metric.name);
        if metric.unit == Unit::Seconds {
            assert!(metric.name.ends_with("_seconds"), "{}", metric.name);
        }
        let by_municipality = metric.labels.iter().any(|l| matches!(l.values, LabelValues::Municipalities));
        assert!(!(by_municipality && matches!(metric.kind, MetricKind::Histogram { .. })), "{}", metric.name);
        for personal in ["resident", "session", "card", "kiosk", "request"] {
            assert!(metric.labels.iter().all(|l| l.name != personal), "{}", metric.name);
        }
    }
    for outcome in Outcome::ALL {
        assert!(REASONS.contains(&(outcome, "other")), "{outcome:?} needs a reason for the unforeseen");
    }
}

#[test]
fn an_arrival_ends_exactly_once_even_if_it_is_forgotten() {
    let registry = Arc::new(Registry::isolated());
    registry.declare(&enabled());
    let mut told = registry.arrive(Instant::now());
    told.on("resident_record");
    let forgotten = registry.arrive(Instant::now());
    assert_eq!(value(&registry.render(), "sekisho_in_flight", &[]), Some(2.0));
    told.end(Outcome::Withheld, "identity");
    drop(forgotten);
    let text = registry.render();
    assert_eq!(value(&text, "sekisho_in_flight", &[]), Some(0.0));
    assert_eq!(value(&text, "sekisho_arrivals_total", &[]), Some(2.0));
    let ends: f64 = text
        .lines()
        .filter(|l| l.starts_with("sekisho_requests_total"))
        .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    assert!((ends - 2.0).abs() < f64::EPSILON);
    assert_eq!(value(&text, "sekisho_requests_total", &["\"none\"", "failed", "internal"]), Some(1.0));
}

#[test]
fn a_word_nobody_foresaw_is_counted_as_other() {
    assert_eq!(Reason::of(Outcome::Withheld, "identity").word(), "identity");
    assert_eq!(Reason::of(Outcome::Withheld, "never heard of").word(), "other");
}

#[test]
fn a_scrape_never_shows_more_ended_than_verified() {
    let registry = Arc::new(Registry::isolated());
    registry.declare(&enabled());
    let kind = DocumentKind::Certificate(Kind::ResidentRecord);
    let series = registry.tenant(Some(MunicipalityCode::new("991007").unwrap()));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let release = {
        let (series, stop) = (series.clone(), stop.clone());
        std::thread::spawn(move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                series.count_verified(kind, Mode::Enforce);
                series.count_ended(Mode::Enforce, End::Released);
            }
        })
    };
    for _ in 0..100 {
        let text = registry.render();
        let verified = value(&text, "sekisho_documents_verified_total", &["991007", "enforce"]).unwrap();
        let ended = value(&text, "sekisho_documents_ended_total", &["991007", "enforce", "released"]).unwrap();
        assert!(ended <= verified, "{ended} ended of {verified} verified");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    release.join().unwrap();
}

#[test]
fn the_manual_is_in_step_with_the_declarations() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../dashboards/METRICS.md");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, doc::markdown()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(written, doc::markdown(), "run this test with UPDATE_EXPECT=1");
}
