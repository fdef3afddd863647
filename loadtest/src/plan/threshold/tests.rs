use proptest::prelude::*;

use super::*;

#[test]
fn the_worked_examples_are_read_and_say_the_same_again() {
    for text in [
        "wrong == 0",
        "goodput >= 97%",
        "hold: latency{rank=started} p(99) < 3s",
        "shed{rank=started} < 0.1%",
        "time_to_no p(99) < 5ms",
        "start_error p(99.9) < 1ms",
        "dropped_starts == 0",
        "unreconciled == 0",
        "goodput{city=991015} >= 99.5%",
        "latency{step=issue,kind=seal_registration} max <= 1500ms",
        "session_peak: latency mean < 250us",
    ] {
        assert_eq!(parse(text).map(|t| t.to_string()), Ok(text.to_owned()));
    }
    assert_eq!(
        parse(" hold :goodput>=97% ").unwrap(),
        Threshold {
            stage: Some("hold".into()),
            metric: Metric::Goodput,
            only: vec![],
            op: Op::AtLeast,
            limit: Limit::Share(0.97)
        }
    );
}

#[test]
fn a_mistake_is_shown_where_it_is_with_what_was_meant() {
    for (text, at, suggestion) in [
        ("goodputt >= 97%", 0, "goodput"),
        ("hold: latancy p(99) < 3s", 6, "latency"),
        ("latency{rnk=started} p(99) < 3s", 8, "rank"),
        ("latency{rank=startd} p(99) < 3s", 13, "started"),
        ("latency < 3s", 8, "latency p(99) < 3s"),
        ("latency p(101) < 3s", 10, "p(99)"),
        ("latency p(99) < 3", 16, "latency p(99) < 3s"),
        ("goodput >= 0.97", 11, "goodput >= 97%"),
        ("goodput >= 97% please", 15, "goodput >= 97% "),
        ("goodput = 97%", 8, "< <= == >= > !="),
        ("goodput{rank=new} >= 97%", 8, "one of: city, kind"),
        ("wrong p(99) == 0", 6, "wrong == 0"),
        ("wrong{city=1} == 0", 6, "wrong"),
        ("wrong == -1", 9, "wrong == 0"),
        (": wrong == 0", 0, "wrong == 0"),
        ("shed{rank=new,rank=new} < 1%", 14, "shed"),
    ] {
        let unreadable = parse(text).unwrap_err();
        assert_eq!((unreadable.at, unreadable.suggestion.as_str()), (at, suggestion), "{text}: {}", unreadable.message);
    }
}

#[test]
fn comparisons_hold_as_they_read() {
    let holds = |op: &str| [1, 2, 3].map(|left| Op::named(op).unwrap().holds(left, 2));
    assert_eq!(holds("<"), [true, false, false]);
    assert_eq!(holds("<="), [true, true, false]);
    assert_eq!(holds("=="), [false, true, false]);
    assert_eq!(holds("!="), [true, false, true]);
    assert_eq!(holds(">="), [false, true, true]);
    assert_eq!(holds(">"), [false, false, true]);
}

fn any_threshold() -> impl Strategy<Value = Threshold> {
    let metric = proptest::sample::select(Metric::ALL);
    let numbers = (0u64..1_000_000, 0u32..=1_000_000, 0u64..7_000_000_000, 0u32..=1000);
    let stage = proptest::option::of("[a-z][a-z0-9-]{0,8}");
    let choice = (proptest::sample::select(Op::ALL), 0u8..3, any::<u8>(), "[0-9]{6}");
    (stage, metric, numbers, choice).prop_map(
        |(stage, metric, (count, share, us, percentile), (op, which, mask, city))| {
            let value = |label| match label {
                Label::Rank => "started".to_owned(),
                Label::Step => "issue".to_owned(),
                Label::City => city.clone(),
                Label::Kind => "resident_record".to_owned(),
            };
            let chosen = metric.labels().iter().enumerate().filter(|(n, _)| mask & (1 << n) != 0);
            let aggregate = match which {
                0 => Aggregate::Percentile(f64::from(percentile) / 10.0),
                1 => Aggregate::Max,
                _ => Aggregate::Mean,
            };
            let limit = match metric.unit() {
                Unit::Count => Limit::Count(count),
                Unit::Share => Limit::Share(f64::from(share) / 1e6),
                Unit::Time => Limit::Time(aggregate, Duration::from_micros(us)),
            };
            Threshold { stage, metric, only: chosen.map(|(_, label)| (*label, value(*label))).collect(), op, limit }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_out_is_read_as_the_same(threshold in any_threshold()) {
        let read = parse(&threshold.to_string()).unwrap();
        prop_assert_eq!(read.to_string(), threshold.to_string());
        let (Threshold { limit: a, .. }, Threshold { limit: b, .. }) = (&read, &threshold);
        match (a, b) {
            (Limit::Share(a), Limit::Share(b)) => prop_assert!((a - b).abs() < 1e-9),
            _ => prop_assert_eq!(&read, &threshold),
        }
    }

    #[test]
    fn no_text_is_too_odd_to_be_refused_in_its_own_bounds(text in "\\PC{0,60}") {
        if let Err(unreadable) = parse(&text) {
            prop_assert!(unreadable.at <= text.len() && text.is_char_boundary(unreadable.at));
        }
    }

    #[test]
    fn a_broken_threshold_is_refused_in_its_own_bounds(threshold in any_threshold(), cut in 0usize..60, with in "\\PC{0,3}") {
        let text = threshold.to_string();
        let cut = (0..=cut.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let broken = format!("{}{with}{}", &text[..cut], &text[cut..]);
        if let Err(unreadable) = parse(&broken) {
            prop_assert!(unreadable.at <= broken.len() && broken.is_char_boundary(unreadable.at));
        }
    }
}
