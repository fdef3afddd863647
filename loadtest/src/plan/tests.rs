use proptest::prelude::*;

use super::threshold::Step;
use super::*;
use crate::legacy::{Fault, Form};

/// The smallest plan there is.
const LEAST: &str = r#"
name = "least"
why = "Nothing."
[[stage]]
name = "only"
rate = "1/s"
for = "1s"
"#;

const WORKED: &str = r#"
name = "month-start-peak"
why  = "Sheds of new sessions only."
seed = 20260330
dialect = "json"

[population]
cities = { "991007" = 70, "991015" = 30 }
kiosks = 400
hot    = { share = 0.02, residents = 5 }

[kiosk]
steps    = ["open", "inquire", "issue", "confirm"]
think    = "lognormal 4s p99 30s"
abandon  = 0.03
retry    = { on = ["shed", "expired", "withheld"], times = 2, after = "5s..20s" }
patience = "30s"
mix      = { resident_record = 55, seal_registration = 35, tax = 10 }

[[stage]]
name = "warm-up"
rate = "2/s"
for  = "2m"
judge = false
[[stage]]
name = "noon"
rate = { from = "2/s", to = "40/s", shape = "poisson" }
for  = "10m"
[[stage]]
name = "hold"
rate = "40/s"
for  = "20m"

[[alongside]]
what = "amend"
rate = "5/s"
on   = "residents being issued"
[[fault]]
at = "hold+5m"
for = "8s"
what = "backend-stall"

[thresholds]
safety  = ["wrong == 0", "mixed == 0", "stale == 0", "duplicate == 0"]
service = ["goodput >= 97%", "hold: latency{rank=started} p(99) < 3s", "shed{rank=started} < 0.1%", "time_to_no p(99) < 5ms"]
honesty = ["start_error p(99.9) < 1ms", "dropped_starts == 0", "unreconciled == 0"]
abort   = { when = "goodput < 50%", after = "60s" }
"#;

fn mistakes(text: &str) -> Vec<String> {
    parse(text).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn the_worked_plan_is_read() {
    let plan = parse(WORKED).unwrap();
    assert_eq!((plan.name.as_str(), plan.seed), ("month-start-peak", 20_260_330));
    assert_eq!(plan.population.cities, [("991007".to_owned(), 0.7), ("991015".to_owned(), 0.3)]);
    assert_eq!(plan.behaviour.steps, [Step::Open, Step::Inquire, Step::Issue, Step::Confirm]);
    assert_eq!(plan.behaviour.mix.first(), Some(&(Form::ResidentRecord, 0.55)));
    assert_eq!(plan.lasts(), Duration::from_secs(32 * 60));
    assert_eq!([plan.stages[0].judge, plan.stages[1].judge], [false, true]);
    assert_eq!([plan.stages[1].random, plan.stages[2].random], [true, false]);
    assert_eq!(plan.alongside[0].on, Whose::BeingIssued);
    assert_eq!((plan.faults[0].at, plan.faults[0].what), (Duration::from_secs(17 * 60), Trouble::Stall));
    assert_eq!(plan.thresholds.all.len(), 11);
    assert!(plan.thresholds.abort.is_some());
    assert_eq!(plan.target.url, None);
    assert!(plan.target.allows("127.0.0.1") && !plan.target.allows("gateway.example"));
}

#[test]
fn the_least_plan_is_one() {
    let plan = parse(LEAST).unwrap();
    assert_eq!(plan.behaviour, Behaviour::default());
    assert_eq!(plan.population.cities, [("991007".to_owned(), 1.0)]);
}

#[test]
fn every_mistake_is_said_at_once_with_its_place_and_what_to_write() {
    let text = r#"name = "x"
sed = 3
[[stage]]
name = "hold"
rate = "40"
for = 20
[population]
cities = { "991007" = 70, "991016" = 20 }
[kiosk]
retry = { on = ["shedd"], times = 0, after = "20s..5s" }
[thresholds]
service = ["goodput >= 97%", "hodl: latency p(99) < 3s", "latency{rank=stated} p(99) < 3s"]
"#;
    let all = mistakes(text);
    for expected in [
        "1:1: `why` is missing",
        "2:1: `sed` is not a key of this table\n    try: seed = ...",
        "5:8: `stage[0].rate` must be a rate such as \"40/s\", but is `40`",
        "6:7: `stage[0].for` must be a duration with its unit (us, ms, s, m, h) in quotes, but is an integer\n    try: for = \"2m\"",
        "8:1: `population.cities` adds up to 90 per cent\n    try: shares that add up to 100",
        "8:27: `population.cities.991016` is not in the simulated town\n    try: 991015",
        "10:17: `kiosk.retry.on[0]` is nothing that a person asks again after: `shedd`\n    try: shed",
        "10:35: `kiosk.retry.times` must lie between 1 and 100",
        "10:46: `kiosk.retry.after` must be a time",
        "12:30: `thresholds.service[1]` names no stage `hodl`\n    try: hold",
        "12:72: `thresholds.service[2]` `latency{rank=stated} p(99) < 3s` knows no rank `stated`\n    try: started",
    ] {
        assert!(all.iter().any(|mistake| mistake.starts_with(expected)), "{expected}\nnot in\n{}", all.join("\n"));
    }
    assert_eq!(all.len(), 11, "{}", all.join("\n"));
}

#[test]
fn a_host_that_is_not_allowed_is_refused() {
    let with = |target: &str| mistakes(&format!("{LEAST}[target]\n{target}"));
    assert!(with("url = \"http://prod.example\"")[0].contains("`prod.example` is not in target.allow"));
    assert!(with("url = \"http://127.0.0.1:1\"\nallow = [\"stage.example\"]")[0].contains("not in target.allow"));
    assert!(with("url = \"https://127.0.0.1\"")[0].contains("TLS"));
    let metrics = with("url = \"http://127.0.0.1:1\"\nmetrics = \"http://prod.example/metrics\"");
    assert!(metrics[0].contains("target.metrics") && metrics[0].contains("prod.example"), "{metrics:?}");
    assert_eq!(with("url = \"http://stage.example:1\"\nallow = [\"stage.example\"]"), Vec::<String>::new());
}

#[test]
fn a_fault_that_the_target_cannot_do_is_a_mistake_and_not_a_silent_nothing() {
    let fault = "[[fault]]\nat = \"only\"\nfor = \"1s\"\nwhat = \"backend-stall\"\n";
    let ours = parse(&format!("{LEAST}{fault}")).unwrap();
    assert_eq!(ours.faults.len(), 1);
    let theirs = mistakes(&format!("{LEAST}{fault}[target]\nurl = \"http://127.0.0.1:1\"\n"));
    assert!(theirs[0].contains("only be done by the simulated backend"), "{theirs:?}");
    let mut aimed = ours;
    assert!(aimed.aim("http://127.0.0.1:1").unwrap_err().contains("backend-stall"));
}

#[test]
fn faults_are_those_of_the_simulator_at_their_moment() {
    let fault = |rest: &str| parse(&format!("{LEAST}[[fault]]\nfor = \"1s\"\n{rest}"));
    let slow = fault("at = \"only+500ms\"\nwhat = \"backend-slow\"\nfactor = 3").unwrap();
    assert_eq!((slow.faults[0].at, slow.faults[0].what), (Duration::from_millis(500), Trouble::Slow(3.0)));
    let reset = fault("at = \"0s\"\nwhat = \"reset\"\nrate = \"5%\"\ncity = \"991007\"").unwrap();
    assert_eq!(reset.faults[0].what, Trouble::Fault(Fault::Reset, 0.05));
    for wrong in [
        "at = \"onyl\"\nwhat = \"reset\"",
        "at = \"only+2s\"\nwhat = \"reset\"",
        "at = \"only\"\nwhat = \"rest\"",
        "at = \"only\"\nwhat = \"reset\"\nfactor = 2",
        "at = \"only\"\nwhat = \"backend-stall\"\nrate = 0.5",
        "at = \"only\"\nwhat = \"reset\"\ncity = \"991015\"",
    ] {
        assert_eq!(fault(wrong).unwrap_err().len(), 1, "{wrong}");
    }
}

#[test]
fn safety_thresholds_stand_in_safety_and_others_do_not() {
    let with = |list: &str| mistakes(&format!("{LEAST}[thresholds]\n{list}"));
    assert!(with("service = [\"wrong == 0\"]")[0].contains("does not belong to `service`"));
    assert!(with("safety = [\"goodput >= 1%\"]")[0].contains("does not belong to `safety`"));
    assert!(with("honesty = [\"only: unreconciled == 0\"]")[0].contains("whole run"));
    assert!(with("service = [\"goodput{city=991015} >= 1%\"]")[0].contains("nobody comes"));
}

#[test]
fn a_stage_may_have_its_own_shares_of_the_same_municipalities() {
    let with = |cities: &str| {
        let text = format!("{LEAST}cities = {cities}\n[population]\ncities = {{ \"991007\" = 70, \"991015\" = 30 }}\n");
        parse(&text).map(|plan| plan.stages[0].cities.clone()).map_err(|mistakes| mistakes.len())
    };
    assert_eq!(with("{ \"991015\" = 95, \"991007\" = 5 }"), Ok(Some(vec![0.05, 0.95])));
    assert_eq!(with("{ \"991015\" = 100 }"), Ok(Some(vec![0.0, 1.0])));
    assert_eq!(with("{ \"991023\" = 100 }"), Err(1));
    assert_eq!(with("{ \"991015\" = 50 }"), Err(1));
}

#[test]
fn a_session_without_a_certificate_is_none() {
    let with = |steps: &str| mistakes(&format!("{LEAST}[kiosk]\nsteps = {steps}"));
    for wrong in [
        "[]",
        "[\"open\"]",
        "[\"issue\", \"open\"]",
        "[\"open\", \"confirm\", \"issue\"]",
        "[\"open\", \"open\", \"issue\"]",
        "[\"open\", \"amend\", \"issue\"]",
    ] {
        assert_eq!(with(wrong).len(), 1, "{wrong}: {:?}", with(wrong));
    }
    assert!(with("[\"open\", \"issue\", \"issue\"]").is_empty());
}

proptest! {
    #[test]
    fn no_text_is_too_odd_to_be_refused(text in "\\PC{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn a_plan_with_something_cut_out_is_read_or_refused_line_by_line(from in 0usize..1500, length in 1usize..40) {
        let mut text: Vec<char> = WORKED.chars().collect();
        let from = from.min(text.len());
        let to = (from + length).min(text.len());
        text.drain(from..to);
        let text: String = text.into_iter().collect();
        for mistake in parse(&text).err().unwrap_or_default() {
            prop_assert!(mistake.line <= text.lines().count() + 1);
        }
    }
}

#[test]
fn every_plan_that_ships_is_one_named_after_its_file_with_safety_first() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let listed = std::fs::read_to_string(dir.join("README.md")).unwrap();
    let mut names = Vec::new();
    let in_dir = |dir: std::path::PathBuf| std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let files = in_dir(dir.join("incidents")).chain(in_dir(dir));
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "toml")) {
        let plan = parse(&std::fs::read_to_string(&file).unwrap());
        let plan = plan.unwrap_or_else(|mistakes| panic!("{}: {mistakes:#?}", file.display()));
        assert_eq!(Some(plan.name.as_str()), file.file_stem().and_then(|stem| stem.to_str()));
        assert!(plan.why.contains("reader should see") || plan.name == "smoke", "{}", plan.name);
        assert!(plan.lasts() <= Duration::from_secs(300), "{} takes {:?}", plan.name, plan.lasts());
        let safe = plan.thresholds.all.iter().filter(|(group, _)| *group == Group::Safety).count();
        assert_eq!(safe, 4, "{}", plan.name);
        assert!(listed.contains(&format!("| `{}` |", plan.name)), "{} is not in plans/README.md", plan.name);
        names.push(plan.name);
    }
    for incident in &crate::incidents::catalogue::INCIDENTS {
        assert!(names.iter().any(|name| name == incident.id), "{} has no plan", incident.id);
    }
    for expected in [
        "smoke",
        "month-start-peak",
        "spike-10x",
        "one-city-surge",
        "backend-stall",
        "backend-slow",
        "retry-storm",
        "hot-resident",
        "weekday",
    ] {
        assert!(names.iter().any(|name| name == expected), "{expected}");
    }
}
