//! Canaries in front of the simulated backend: what they see, what they set off, and what they leave alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use sekisho_loadtest::cluster::{Admin, Gateway, Site, Town, TownPlan, protecting};
use sekisho_loadtest::dialect::Dialect;
use sekisho_loadtest::kiosk::Line;
use sekisho_loadtest::legacy::Form;
use sekisho_loadtest::soap;

/// Long enough for a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A gateway with one canary on `form`, whose people live in the first municipality.
struct Cage {
    town: Town,
    site: Site,
    gateway: Gateway,
    _dir: tempfile::TempDir,
}

/// What the issuing route and the two around it want to hear in each dialect.
fn steps(dialect: Dialect, kind: &str) -> (String, Option<String>, String) {
    match dialect {
        Dialect::Json => {
            let open = r#"{"terminal":"{kiosk}","cardSerial":"{card}","cityCode":"{municipality}"}"#;
            (open.to_owned(), None, r#"{"scope":"self","copies":"1"}"#.to_owned())
        }
        Dialect::Soap => {
            let message =
                |header: String, body: String| String::from_utf8(soap::envelope(&header, &body).to_vec()).unwrap();
            let terminal = soap::element("Terminal", "{kiosk}");
            let opened = terminal.clone() + &soap::element("Seq", "{session}");
            let open = soap::element("CardNo", "{card}") + &soap::element("City", "{municipality}");
            let issue = soap::element("Kind", kind) + &soap::element("Scope", "self") + &soap::element("Copies", "1");
            (
                message(terminal, format!("<j:Open>{open}</j:Open>")),
                Some(message(opened.clone(), "<j:Close></j:Close>".to_owned())),
                message(opened, format!("<j:Issue>{issue}</j:Issue>")),
            )
        }
        Dialect::Form => (
            "terminal={kiosk}&card={card}&city={municipality}".to_owned(),
            Some("terminal={kiosk}&session={session}".to_owned()),
            format!("terminal={{kiosk}}&session={{session}}&kind={kind}&scope=self&copies=1"),
        ),
    }
}

/// `[canaries.one]` on the route of `form`.
fn canary(town: &Town, form: Form, every: &str) -> toml::Table {
    let (route, kind) = match form {
        Form::Tax => ("tax", "04"),
        _ => ("family_register", "05"),
    };
    let (open, close, issue) = steps(town.dialect(), kind);
    let people: Vec<toml::Value> = town
        .can_ask_for(0, form)
        .into_iter()
        .filter(|person| town.head(*person) == *person)
        .take(2)
        .enumerate()
        .map(|(n, person)| {
            let said = [("kiosk", format!("CANARY-{n}")), ("card", town.card(person).to_owned())];
            toml::Table::from_iter(said.map(|(name, value)| (name.to_owned(), value.into()))).into()
        })
        .collect();
    let step = |route: &str, body: Option<String>| {
        let body = body.map(|body| ("body".to_owned(), body.into()));
        toml::Value::from(toml::Table::from_iter([("route".to_owned(), route.into())].into_iter().chain(body)))
    };
    let facts = toml::Table::from_iter([("municipality".to_owned(), town.code(0).into())]);
    toml::Table::from_iter([
        ("route".to_owned(), route.into()),
        ("every".to_owned(), every.into()),
        ("facts".to_owned(), facts.into()),
        ("people".to_owned(), people.into()),
        ("body".to_owned(), issue.into()),
        ("open".to_owned(), step("session_open", Some(open))),
        ("close".to_owned(), step("session_close", close)),
    ])
}

impl Cage {
    async fn with(town: Town, form: Form, edit: impl FnOnce(&mut toml::Table)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut table = protecting(&town).unwrap();
        let one = toml::Table::from_iter([("one".to_owned(), canary(&town, form, "1s").into())]);
        table.insert("canaries".to_owned(), one.into());
        edit(&mut table);
        let site = Site::prepare(Path::new(env!("CARGO_BIN_EXE_sekisho-loadtest")), dir.path(), &table).unwrap();
        let gateway = site.start().await.unwrap();
        Self { town, site, gateway, _dir: dir }
    }

    /// Waits until a scrape is as `so` says.
    async fn until(&mut self, so: impl Fn(&Scrape) -> bool) -> Scrape {
        let metrics = self.gateway.metrics;
        let read = async || Some(scrape(metrics).await).filter(&so);
        match self.gateway.process.until(PATIENCE, read).await {
            Ok(scrape) => scrape,
            Err(error) => {
                let scrape = scrape(metrics).await;
                let canaries: Vec<_> = scrape.0.iter().filter(|(name, _)| name.contains("canary")).collect();
                panic!("{error}\n{canaries:#?}\n{}", std::fs::read_to_string(self.site.log()).unwrap());
            }
        }
    }

    fn admin(&self) -> Admin {
        Admin::new(self.gateway.admin, self.site.admin_key().unwrap())
    }
}

/// Every series with its value.
struct Scrape(BTreeMap<String, f64>);

async fn scrape(metrics: std::net::SocketAddr) -> Scrape {
    let request = Request::get("/metrics").header("host", "metrics").body(Full::new(Bytes::new())).unwrap();
    let reply = Line::to(metrics).exchange(request, Duration::from_secs(10)).await.unwrap();
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    Scrape(lines.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect())
}

impl Scrape {
    fn sum(&self, name: &str, with: &str) -> f64 {
        self.0.iter().filter(|(series, _)| series.starts_with(name) && series.contains(with)).map(|(_, n)| n).sum()
    }

    fn saw(&self, expect: &str, result: &str) -> f64 {
        self.0[&format!("sekisho_canary_results_total{{canary=\"one\",expect=\"{expect}\",result=\"{result}\"}}")]
    }

    /// Everything that speaks of what kiosks got.
    fn business(&self) -> f64 {
        let names = ["sekisho_arrivals", "sekisho_requests", "sekisho_documents", "sekisho_check", "sekisho_in_flight"];
        let spent = ["sekisho_request_duration_seconds_count", "sekisho_stage_duration_seconds_count"];
        names.iter().chain(&spent).map(|name| self.sum(name, "")).sum()
    }

    fn latches(&self) -> f64 {
        self.sum("sekisho_latch_active", "")
    }
}

async fn sings(dialect: Dialect, form: Form) {
    let town = Town::start(TownPlan::of(7, 1, 60).speaking(dialect)).await.unwrap();
    let mut cage = Cage::with(town, form, |_| {}).await;
    // Two runs: the second finds what the first left behind.
    let scrape = cage.until(|scrape| scrape.saw("withhold", "passed") >= 4.0).await;
    assert!(scrape.saw("release", "passed") >= 4.0);
    for result in ["failed", "shed", "closed", "blind", "not_withheld"] {
        assert_eq!((scrape.saw("release", result), scrape.saw("withhold", result)), (0.0, 0.0), "{result}");
    }
    assert_eq!((scrape.business(), scrape.latches()), (0.0, 0.0), "{:#?}", scrape.0);
    assert_eq!(scrape.sum("sekisho_unique_hits_total", ""), 0.0, "what was only tried is no hit");
    assert!(scrape.sum("sekisho_unique_entries", "content") >= 4.0, "what was issued is remembered");
    assert!(scrape.sum("sekisho_canary_last_pass_timestamp_seconds", "") > 0.0);
    assert_eq!(scrape.sum("sekisho_canary_overdue_seconds", ""), 0.0);
    assert!(cage.admin().latches().await.unwrap().is_empty());
    assert!(cage.town.take_logs().executions.len() >= 4, "they were issued for real");
}

#[tokio::test]
async fn a_canary_sings_and_moves_no_figure_of_kiosks() {
    sings(Dialect::Json, Form::Tax).await;
}
