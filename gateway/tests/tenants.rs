//! Two thousand municipalities, each with a file of its own: whatever one file holds, nobody else is answered otherwise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

#[allow(dead_code, reason = "shared with the tests of the kiosk side, which use the rest")]
mod backend;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use backend::Site;
use http::Method;
use sekisho_gateway::reload::{read, reload};
use sekisho_gateway::tenant::Tenant;
use sekisho_issuance::certificate::Kind;
use sekisho_issuance::id::MunicipalityCode;
use serde_json::json;

const MANIFEST: &str = r#"
[backends.issuer.manifest]
request = { path = "/version" }
fields  = { build = { json = "/build" } }
"#;

/// As many codes as there are municipalities, and more: all that begin with 99, and others.
fn codes() -> Vec<MunicipalityCode> {
    let valid = |range: std::ops::Range<u32>| range.filter_map(|n| MunicipalityCode::new(&n.to_string()).ok());
    let codes = valid(990_000..1_000_000).chain(valid(100_000..400_000)).filter(|code| code.as_str() != "991007");
    codes.take(2_000).collect()
}

/// The policy of the `n`-th: they differ in everything that a file may say.
fn policy(n: usize, code: &MunicipalityCode) -> String {
    let hours = match (n % 4, code.is_reserved_for_tests()) {
        (0 | 2, true) => "hours = \"always\"".to_owned(),
        (1, _) => "hours = { closed = [\"01-01..12-31\"] }".to_owned(),
        (3, _) => "hours = { maintenance = [\"2000-01-01T00:00..2100-01-01T00:00\"] }".to_owned(),
        _ => format!("hours = \"{:02}:{:02}-2{}:00\"", 5 + n % 7, n % 60, n % 4),
    };
    let kinds = [
        "",
        "kinds = { tax = {} }",
        "kinds = { tax = { hours = \"09:00-17:00\" }, family_register = { days = \"weekdays\" } }",
    ];
    let list = ["", "backend = { allow = [{ backend = \"issuer\", build = \"7.1\" }] }"];
    format!(
        "name = \"{n}市\"\ncontact = \"市民課 {n:04}\"\nenabled = {}\n{hours}\nshare = {}\nlatch = {{ approvers = {} }}\n{}\n{}\n",
        n % 5 != 4,
        1 + n % 9,
        1 + n % 2,
        kinds[n % 3],
        list[usize::from(n % 11 == 6)],
    )
}

struct Town {
    codes: Vec<MunicipalityCode>,
    folder: PathBuf,
    main: PathBuf,
}

impl Town {
    /// The configuration, and a file for each.
    fn write(dir: &Path, config: &str) -> Self {
        let town = Self { codes: codes(), folder: dir.join("tenants"), main: dir.join("gateway.toml") };
        assert_eq!(town.codes.len(), 2_000);
        fs::create_dir(&town.folder).unwrap();
        fs::write(&town.main, config).unwrap();
        (0..town.codes.len()).for_each(|n| fs::write(town.path(n), town.good(n)).unwrap());
        town
    }

    fn path(&self, n: usize) -> PathBuf {
        self.folder.join(format!("{}.toml", self.codes[n]))
    }

    fn good(&self, n: usize) -> String {
        policy(n, &self.codes[n])
    }
}

/// What the policy of everybody comes to: kinds at moments of all sorts, and all that stands in it.
fn decisions(site: &Site) -> BTreeMap<MunicipalityCode, (Arc<Tenant>, String)> {
    let moments = ["2026-11-24T05:30:00", "2026-11-24T12:00:00", "2026-11-22T16:59:59", "2026-12-31T12:00:00"];
    let decide = |tenant: &Arc<Tenant>| {
        let kinds = [None, Some(Kind::Tax), Some(Kind::FamilyRegister)];
        let each = kinds.iter().flat_map(|kind| moments.map(|moment| tenant.serves(*kind, moment.parse().unwrap())));
        let words: Vec<&str> = each.map(|said| said.map_or_else(|why| why.name(), |()| "open")).collect();
        (tenant.clone(), words.join(" "))
    };
    site.edge.config().tenants.iter().map(|(code, tenant)| (*code, decide(tenant))).collect()
}

/// What a kiosk in each of these hears now.
async fn answers(site: &Site, town: &Town, asked: &[usize]) -> Vec<String> {
    static CARDS: AtomicUsize = AtomicUsize::new(0);
    let mut heard = Vec::new();
    for n in asked {
        let code = town.codes[*n];
        let card = format!("card-{}-{code}", CARDS.fetch_add(1, Ordering::Relaxed));
        let body = json!({"cardSerial": card, "cityCode": code.as_str()});
        let reply = site.ask(Method::POST, "/sessions", Some(("", &format!("K-{code}"))), Some(body)).await;
        let said = reply.json();
        heard.push(format!("{code} {} {} {}", reply.status, said["code"], said["reason"]));
    }
    heard
}

/// What becomes of the municipality whose file it is.
#[derive(Clone, Copy, PartialEq)]
enum Own {
    /// Its last good policy stays in force, and the file is told as broken.
    Kept,
    /// It is not served any more.
    Gone,
    /// It says so itself.
    Changed,
}

/// One thing that a broken tool or a hostile hand leaves where a municipality's file was.
type Deed = (&'static str, Own, Box<dyn Fn(&Town, usize)>);

fn content(what: &'static str, own: Own, bytes: impl Fn(&str) -> Vec<u8> + 'static) -> Deed {
    (what, own, Box::new(move |town, n| fs::write(town.path(n), bytes(&town.good(n))).unwrap()))
}

fn instead(what: &'static str, own: Own, make: impl Fn(&Town, &Path) + 'static) -> Deed {
    let deed = move |town: &Town, n: usize| {
        fs::remove_file(town.path(n)).unwrap();
        make(town, &town.path(n));
    };
    (what, own, Box::new(deed))
}

/// The file stays, and something stands beside it.
fn beside(what: &'static str, name: impl Fn(&Town, usize) -> String + 'static, text: &'static str) -> Deed {
    let deed = move |town: &Town, n: usize| {
        let text = if text.is_empty() { town.good(n) } else { text.to_owned() };
        fs::write(town.folder.join(name(town, n)), text).unwrap();
    };
    (what, Own::Changed, Box::new(deed))
}

fn deeds() -> Vec<Deed> {
    use Own::{Changed, Gone, Kept};
    vec![
        content("cut off", Kept, |good| good.as_bytes()[..good.len() - 9].to_vec()),
        content("empty", Kept, |_| Vec::new()),
        content("no TOML", Kept, |_| b"<tenant enabled='true'/>".to_vec()),
        content("binary", Kept, |_| (0..=255).cycle().take(9_000).collect()),
        content("in Shift_JIS", Kept, |_| b"name = \"\x8c\xa9\x96\x7b\x8es\"\nenabled = true".to_vec()),
        content("with a mark of UTF-16", Kept, |good| [b"\xff\xfe", good.as_bytes()].concat()),
        content("huge", Kept, |good| [good.as_bytes(), &vec![b'#'; 300 << 10]].concat()),
        content("many unknown keys", Kept, |good| {
            let keys: String = (0..12_000).map(|n| format!("enabled{n} = true\n")).collect();
            (good.to_owned() + &keys).into_bytes()
        }),
        content("nested deeply", Kept, |good| {
            format!("{good}x = {}1{}", "[".repeat(60_000), "]".repeat(60_000)).into_bytes()
        }),
        content("a key twice", Kept, |good| format!("{good}enabled = true\nenabled = false").into_bytes()),
        content("hours twice over", Kept, |good| format!("{good}[hours]\ndaily = \"06:30-23:00\"").into_bytes()),
        content("hours that end before they begin", Kept, |_| b"name = \"x\"\nhours = \"23:00-06:30\"".to_vec()),
        content("a weight beyond every share", Kept, |_| b"name = \"x\"\nshare = 1000000".to_vec()),
        content("another's table", Kept, |good| {
            format!("{good}[tenants.990019]\nname = \"x\"\nenabled = false").into_bytes()
        }),
        content("keys of the whole gateway", Kept, |good| {
            format!("mode = \"observe\"\n{good}[backends.issuer]\naddress = \"http://127.0.0.1:1\"").into_bytes()
        }),
        content("only observing", Kept, |good| format!("mode = \"observe\"\n{good}").into_bytes()),
        content("another's list of holidays", Kept, |good| format!("holidays = \"x.csv\"\n{good}").into_bytes()),
        content("disabled", Changed, |good| good.replace("enabled = true", "enabled = false").into_bytes()),
        instead("removed", Gone, |_, _| {}),
        instead("renamed", Gone, |town, _| {
            fs::write(town.folder.join("471003.toml"), "name = \"x\"\nenabled = true").unwrap();
        }),
        instead("a folder", Kept, |_, path| fs::create_dir(path).unwrap()),
        instead("a pipe", Kept, |_, path| {
            rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR).unwrap();
        }),
        instead("a socket", Kept, |_, path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
        instead("a link to a device", Kept, |_, path| symlink("/dev/zero", path).unwrap()),
        instead("a link to nowhere", Kept, |_, path| symlink("nowhere", path).unwrap()),
        instead("a link to itself", Kept, |_, path| symlink(path, path).unwrap()),
        instead("a link to the gateway's own file", Kept, |town, path| symlink(&town.main, path).unwrap()),
        instead("a link to another's file", Changed, |town, path| symlink(town.path(1_500), path).unwrap()),
        beside(
            "a wrong check digit",
            |town, n| {
                let code = town.codes[n].to_string();
                let digit = code.chars().last().and_then(|digit| digit.to_digit(10)).unwrap();
                format!("{}{}.toml", &code[..5], (digit + 1) % 10)
            },
            "",
        ),
        beside(
            "its code in wide digits",
            |town, n| {
                let wide = |digit: char| char::from_u32(digit as u32 + 0xfee0).unwrap();
                format!("{}.toml", town.codes[n].to_string().chars().map(wide).collect::<String>())
            },
            "name = \"x\"\nenabled = false",
        ),
        beside("its code with a space", |town, n| format!(" {}.toml", town.codes[n]), ""),
        beside("its code twice", |town, n| format!("{0}.{0}.toml", town.codes[n]), ""),
        beside("the code of the configuration file's own table", |_, _| "991007.toml".to_owned(), ""),
        beside("its file before an editor saved it", |town, n| format!("{}.toml~", town.codes[n]), "x"),
    ]
}

/// Takes away whatever stands there, and writes what was good.
fn restore(town: &Town, n: usize) {
    let known: std::collections::BTreeSet<PathBuf> = (0..town.codes.len()).map(|n| town.path(n)).collect();
    for entry in fs::read_dir(&town.folder).unwrap() {
        let path = entry.unwrap().path();
        if !known.contains(&path) {
            fs::remove_file(path).unwrap();
        }
    }
    let path = town.path(n);
    match fs::symlink_metadata(&path) {
        Ok(kind) if kind.is_dir() => fs::remove_dir(&path).unwrap(),
        Ok(_) => fs::remove_file(&path).unwrap(),
        Err(_) => {}
    }
    fs::write(path, town.good(n)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_stands_in_one_file_nobody_else_is_answered_otherwise() {
    let mut written = None;
    let site = Site::start_with(None, |config, dir| {
        let config = format!("{config}{MANIFEST}\n[tenants]\ndir = \"tenants\"\n");
        written = Some(Town::write(dir, &config));
        config
    })
    .await;
    let town = written.unwrap();
    let before = decisions(&site);
    assert_eq!(before.len(), 2_001);
    // Open, closed, in maintenance, disabled, not attested; some with the names of the files that are tampered with beside them.
    let sample: Vec<usize> = (0..12).chain([17, 28, 1_500]).collect();
    let heard = answers(&site, &town, &sample).await;
    assert!(
        ["201 Created", "closed", "maintenance", "disabled", "manifest"]
            .iter()
            .all(|word| { heard.iter().any(|said| said.contains(word)) }),
        "{heard:#?}"
    );

    let deeds = deeds();
    let count = deeds.len();
    for (at, (what, own, deed)) in deeds.into_iter().enumerate() {
        // Each in a municipality of its own; the one before is whole again.
        let n = 20 + at * 20;
        deed(&town, n);
        reload(&site.edge, &town.main).unwrap_or_else(|why| panic!("{what}: one file holds up everybody: {why}"));
        let mut after = decisions(&site);
        after.remove(&MunicipalityCode::new("471003").unwrap());
        let (victim, was) = (town.codes[n], before[&town.codes[n]].clone());
        let is = after.remove(&victim);
        match own {
            Own::Kept => assert_eq!(is.as_ref(), Some(&was), "{what}: its last good policy"),
            Own::Gone => assert!(is.is_none(), "{what}"),
            Own::Changed => assert!(is.is_some(), "{what}"),
        }
        let broken = site.edge.config().tenant_files.broken.clone();
        assert_eq!(broken.contains_key(&format!("{victim}.toml")), own == Own::Kept, "{what}: {:?}", broken.keys());
        assert!(broken.values().flatten().count() <= 25, "{what}: {} mistakes", broken.values().flatten().count());
        assert_eq!(after.len(), 2_000, "{what}");
        let differs: Vec<_> = after.iter().filter(|(code, policy)| before[*code] != **policy).collect();
        assert!(differs.is_empty(), "{what}: {differs:?}");
        assert_eq!(answers(&site, &town, &sample).await, heard, "{what}");
        restore(&town, n);
    }
    reload(&site.edge, &town.main).unwrap();
    assert_eq!(decisions(&site), before, "and when all is whole again");
    assert!(site.edge.config().tenant_files.broken.is_empty());
    println!("{count} deeds, 2,000 municipalities, {} of them asked over HTTP after each", sample.len());
}

/// Nobody waits for two thousand files (in a release build: under a second).
#[test]
fn two_thousand_files_are_read_in_under_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let config = include_str!("backend/gateway.toml");
    let town = Town::write(dir.path(), &format!("{config}{MANIFEST}\n[tenants]\ndir = \"tenants\"\n"));
    let started = Instant::now();
    let config = read(&town.main).unwrap();
    let took = started.elapsed();
    assert_eq!((config.tenants.len(), config.tenant_files.broken.len()), (2_001, 0));
    println!("2,000 files of municipalities read and compiled in {took:?}");
    assert!(cfg!(debug_assertions) || took.as_secs_f64() < 1.0, "{took:?}");
}

/// Its surge stays its own, and nothing half done is turned away for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_municipality_at_its_limit_begins_no_new_session_and_goes_on_with_those_it_has() {
    let site = Site::start_with(None, |config, dir| {
        fs::create_dir(dir.join("tenants")).unwrap();
        let other = "name = \"手本市\"\nenabled = true\nhours = \"always\"\n";
        fs::write(dir.join("tenants/991015.toml"), other).unwrap();
        let limited = config.replace("hours   = \"always\"", "hours   = \"always\"\nmax_in_flight = 1");
        format!("{limited}\n[tenants]\ndir = \"tenants\"\n")
    })
    .await;
    let step_up = async |n: usize, code: &str| {
        let body = json!({"cardSerial": format!("card-{n}-{code}"), "cityCode": code});
        site.ask(Method::POST, "/sessions", Some(("", &format!("K-{n}"))), Some(body)).await
    };
    let session = site.open("K-1", "card-1").await;
    site.backend.hold();
    let running = tokio::spawn(site.request(Method::GET, "/residents/r-1", Some((&session, "K-1")), None));
    site.backend.until(|b| b.holding() == 1).await;
    let turned_away = step_up(2, "991007").await;
    assert_eq!((turned_away.status.as_u16(), &turned_away.json()["reason"]), (503, &json!("hard_ceiling")));
    let further = tokio::spawn(site.request(Method::GET, "/residents/r-1", Some((&session, "K-1")), None));
    tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while site.edge.owner.lanes().iter().map(|lanes| lanes.waiting).sum::<usize>() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a step of a started session waits in its lane");
    site.backend.go_on();
    for answered in [running.await.unwrap(), further.await.unwrap()] {
        assert_eq!(answered.status.as_u16(), 200, "{}", answered.text());
    }
    assert_eq!(step_up(3, "991015").await.status.as_u16(), 201, "no limit of its own");
    assert_eq!(step_up(4, "991007").await.status.as_u16(), 201, "there is room again");
    assert_eq!(
        site.metric(
            "sekisho_requests_total{route=\"session_open\",operation=\"open\",outcome=\"shed\",reason=\"hard_ceiling\"}"
        ),
        1.0
    );
}

#[test]
fn an_unreadable_file_is_one_municipalitys_problem() {
    let dir = tempfile::tempdir().unwrap();
    let config = include_str!("backend/gateway.toml");
    let town = Town::write(dir.path(), &format!("{config}{MANIFEST}\n[tenants]\ndir = \"tenants\"\n"));
    fs::set_permissions(town.path(3), fs::Permissions::from_mode(0o000)).unwrap();
    let is_readable = fs::read(town.path(3)).is_ok();
    let config = read(&town.main).unwrap();
    // Who may read everything reads it.
    assert_eq!(config.tenants.len(), 2_000 + usize::from(is_readable));
    assert_eq!(config.tenant_files.broken.len(), usize::from(!is_readable));
}
