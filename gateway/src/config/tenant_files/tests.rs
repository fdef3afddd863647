use std::path::PathBuf;

use super::super::{Config, parse_in};
use super::*;
use crate::tenant::{Closed, NotServed};

const MAIN: &str = include_str!("../../edge/tests.toml");

/// A configuration beside a folder with these files, which it names.
struct Beside {
    dir: tempfile::TempDir,
}

impl Beside {
    fn with(files: &[(&str, &str)]) -> Self {
        let beside = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(beside.folder()).unwrap();
        for (name, text) in files {
            beside.write(name, text);
        }
        beside
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("tenants")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder().join(name), text).unwrap();
    }

    fn parse(&self) -> Config {
        let text = format!("{MAIN}\n[tenants]\ndir = \"tenants\"\n");
        parse_in(&text, Some(self.dir.path())).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
    }
}

fn code(text: &str) -> MunicipalityCode {
    MunicipalityCode::new(text).unwrap()
}

fn mistakes(text: &str) -> Vec<String> {
    let config = Beside::with(&[("991015.toml", text)]).parse();
    assert!(!config.tenants.contains_key(&code("991015")), "{text}");
    config.tenant_files.broken["991015.toml"].iter().map(ToString::to_string).collect()
}

const FULL: &str = r#"
name     = "手本市"
enabled  = true
contact  = "市民課 0000-00-0000"
hours    = { daily = "07:00-22:00", closed = ["12-30..01-02", "2026-12-06", "2026-12-10..2026-12-11"], maintenance = ["2026-12-08T00:00..2026-12-08T12:00"] }
[kinds]
resident_record = {}
family_register = { hours = "09:00-17:00", days = "weekdays" }
"#;

#[test]
fn a_file_says_when_and_what_a_municipality_issues() {
    let config = Beside::with(&[("991015.toml", FULL)]).parse();
    assert_eq!(config.tenant_files.broken, BTreeMap::new());
    let tenant = &config.tenants[&code("991015")];
    assert_eq!(tenant.hours.closed.first(), Some(&Closed::Yearly((12, 30), (1, 2))));
    for (moment, expected) in [
        ("2026-12-05T07:00", Ok(())),
        ("2026-12-05T06:59", Err(NotServed::Closed)),
        ("2026-12-06T12:00", Err(NotServed::Closed)),
        ("2026-12-11T12:00", Err(NotServed::Closed)),
        ("2026-12-08T11:59", Err(NotServed::Maintenance)),
        ("2026-12-08T12:00", Ok(())),
        ("2027-01-02T12:00", Err(NotServed::Closed)),
    ] {
        assert_eq!(tenant.serves(None, moment.parse().unwrap()), expected, "{moment}");
    }
    let kinds: Vec<_> = tenant.kinds.iter().flatten().map(|(kind, _)| kind.name()).collect();
    assert_eq!(kinds, ["resident_record", "family_register"]);
    assert!(config.tenants.contains_key(&code("991007")), "a table beside it");
}

#[test]
fn new_ones_are_disabled_with_the_usual_hours() {
    let config = Beside::with(&[("991015.toml", "name = \"手本市\"")]).parse();
    let tenant = &config.tenants[&code("991015")];
    assert!(!tenant.enabled);
    assert_eq!(tenant.hours.closed, [Closed::Yearly((12, 29), (1, 3))]);
}

#[test]
fn mistakes_are_told_with_their_line_and_what_to_write() {
    for (text, expected) in [
        ("enabled = true", "1: `name` is missing"),
        ("name = \"x\"\n\nenable = true", "3: `enable` is not a key of this table\n    try: enabled"),
        ("name = \"x\"\nhours = \"23:00-06:30\"", "2: `hours` must be two times of one day"),
        ("name = \"x\"\nkinds = { taxes = {} }", "2: `kinds.taxes` is no kind of certificate\n    try: tax"),
        ("name = \"x\"\nkinds = { tax = { days = \"sundays\" } }", "2: `kinds.tax.days` can only be `weekdays`"),
        ("name = \"x\"\nhours = { closed = [\"02-30\"] }", "2: `hours.closed[0]` is no span of this kind"),
        ("name = \"x\"\nhours = { maintenance = [\"2026-12-06\"] }", "2: `hours.maintenance[0]` is no span"),
        ("name = \"a\\nb\"", "1: `name` must be one line"),
    ] {
        let said = mistakes(text);
        assert!(said.iter().any(|mistake| mistake.starts_with(expected)), "{text}: {said:#?}");
    }
    let always = Beside::with(&[("131016.toml", "name = \"x\"\nhours = \"always\"")]).parse();
    assert!(always.tenant_files.broken["131016.toml"][0].message.contains("only for codes that begin with 99"));
}

/// Two thousand municipalities, and among them whatever a broken tool or a hostile hand could leave there.
#[test]
fn a_broken_or_hostile_file_changes_nothing_for_anybody_else() {
    let codes: Vec<String> = (0..20_000u32)
        .map(|n| format!("{:06}", 100_000 + n))
        .filter(|text| MunicipalityCode::new(text).is_ok())
        .take(2_000)
        .collect();
    assert_eq!(codes.len(), 2_000);
    let beside = Beside::with(&[]);
    for code in &codes {
        beside.write(&format!("{code}.toml"), &format!("name = \"市{code}\"\nenabled = true"));
    }
    let before = beside.parse();
    assert_eq!(before.tenants.len(), 2_001);
    let nest = format!("name = {}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let hostile = [("991015.toml", nest.as_str()), ("991007.toml", FULL), ("00000.toml", FULL), ("991023.toml", "\0")];
    hostile.iter().for_each(|(name, text)| beside.write(name, text));
    fs::write(beside.folder().join("991031.toml"), b"name = \"\xff\xfe\"").unwrap();
    fs::write(beside.folder().join("991040.toml"), vec![b'#'; 300 << 10]).unwrap();
    fs::create_dir(beside.folder().join("991058.toml")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, beside.folder().join("991066.toml"), rustix::fs::Mode::RUSR).unwrap();
    std::os::unix::fs::symlink("/dev/zero", beside.folder().join("991074.toml")).unwrap();
    std::os::unix::fs::symlink("nowhere", beside.folder().join("991082.toml")).unwrap();
    beside.write("notes.txt", "not ours");
    let after = beside.parse();
    assert_eq!(after.tenants, before.tenants);
    assert_eq!(after.tenant_files.broken.len(), 10, "{:?}", after.tenant_files.broken.keys());
}

#[test]
fn holidays_are_read_as_they_are_published() {
    let dir = tempfile::tempdir().unwrap();
    // Column names and holidays' names in Shift_JIS, as the list comes.
    fs::write(
        dir.path().join("h.csv"),
        b"\x8d\x91\x96\xaf,\x96\xbc\x8f\xcc\r\n2026/11/23,\x8b\xce\x98\x4a\r\n2026-12-01,x\r\n",
    )
    .unwrap();
    let text = format!("{MAIN}\n[tenants]\nholidays = \"h.csv\"\n");
    let config = parse_in(&text, Some(dir.path())).unwrap();
    let days: Vec<String> = config.tenants[&code("991007")].holidays.iter().map(ToString::to_string).collect();
    assert_eq!(days, ["2026-11-23", "2026-12-01"]);
    fs::write(dir.path().join("h.csv"), "2026/11/23\nsoon\n").unwrap();
    let mistakes = parse_in(&text, Some(dir.path())).unwrap_err();
    assert!(mistakes[0].message.contains("line 2"), "{mistakes:?}");
}
