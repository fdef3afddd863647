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
use sekisho_loadtest::cluster::{Admin, Gateway, Site, Town, TownPlan, protecting, sing};
use sekisho_loadtest::dialect::Dialect;
use sekisho_loadtest::incidents::{Ended, Field, Side, Visit};
use sekisho_loadtest::kiosk::Line;
use sekisho_loadtest::legacy::{Fault, FaultPlan, Form};
use sekisho_loadtest::report::Step;

/// Long enough for a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A gateway with one canary on `form`, whose people live in the first municipality.
struct Cage {
    town: Town,
    site: Site,
    gateway: Gateway,
    _dir: tempfile::TempDir,
}

impl Cage {
    async fn with(town: Town, form: Form, edit: impl FnOnce(&mut toml::Table)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut table = protecting(&town).unwrap();
        sing(&mut table, &town, form, "1s");
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

/// A scrape is no snapshot: what is counted together may come a scrape apart, so every "at least" is waited for.
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
    let passed = |scrape: &Scrape, expect| scrape.saw(expect, "passed") >= 4.0;
    let scrape = cage.until(|scrape| passed(scrape, "release") && passed(scrape, "withhold")).await;
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

#[tokio::test]
async fn a_canary_sings_in_soap_where_one_path_serves_every_kind() {
    sings(Dialect::Soap, Form::Tax).await;
}

#[tokio::test]
async fn a_canary_sings_in_forms_where_a_certificate_is_a_job() {
    sings(Dialect::Form, Form::FamilyRegister).await;
}

/// kawasaki-same-second (R2): the two of a pair ask within the second by which the backend names its files, and each may be handed the
/// other's. That is a mismatch of a real issuance.
#[tokio::test]
async fn a_pair_within_one_second_meets_what_kawasaki_met_and_suspends() {
    let town = Town::start(TownPlan::of(7, 1, 60)).await.unwrap();
    town.faults(&FaultPlan::one(Fault::KawasakiSameSecond, 1.0));
    let mut cage = Cage::with(town, Form::FamilyRegister, |_| {}).await;
    let seen = |scrape: &Scrape, result| scrape.saw("release", result) >= 1.0;
    let scrape = cage.until(|scrape| scrape.latches() > 0.0 && seen(scrape, "closed") && seen(scrape, "failed")).await;
    assert_eq!(scrape.saw("withhold", "not_withheld") + scrape.saw("withhold", "blind"), 0.0);
    let latches = cage.admin().open_latches().await.unwrap();
    assert_eq!(latches.len(), 1, "{latches:?}");
    assert_eq!(scrape.sum("sekisho_latch_active", "kind=\"family_register\""), 1.0);
    assert_eq!(scrape.business(), 0.0);
    assert!(cage.town.fired()["kawasaki-same-second"].1 > 0, "the backend mixed nothing up");
}

#[tokio::test]
async fn a_canary_that_nobody_serves_says_so_and_does_not_fail() {
    let town = Town::start(TownPlan::of(7, 1, 60)).await.unwrap();
    let code = town.code(0).to_owned();
    let mut cage = Cage::with(town, Form::Tax, |table| {
        let tenant = table["tenants"][&code].as_table_mut().unwrap();
        let hours: toml::Table = "maintenance = [\"2020-01-01T00:00..2099-01-01T00:00\"]".parse().unwrap();
        tenant.insert("hours".to_owned(), hours.into());
    })
    .await;
    let closed = |scrape: &Scrape, expect, times| scrape.saw(expect, "closed") >= times;
    let scrape = cage.until(|scrape| closed(scrape, "release", 4.0) && closed(scrape, "withhold", 2.0)).await;
    for result in ["passed", "failed", "shed", "blind", "not_withheld"] {
        assert_eq!((scrape.saw("release", result), scrape.saw("withhold", result)), (0.0, 0.0), "{result}");
    }
    assert_eq!((scrape.sum("sekisho_canary_overdue_seconds", ""), scrape.business()), (0.0, 0.0));
    assert!(cage.town.take_logs().executions.is_empty());
}

/// What kiosks do is counted to the last one while a canary sings beside them, and nobody else stands where it stands.
#[tokio::test]
async fn kiosks_are_counted_alone_and_do_not_stand_where_a_canary_stands() {
    let town = Town::start(TownPlan::of(7, 1, 60)).await.unwrap();
    let mut cage = Cage::with(town, Form::Tax, |_| {}).await;
    let field = Field::new(
        Town::start(TownPlan::of(7, 1, 60)).await.unwrap(),
        cage.gateway.kiosk_side,
        Duration::from_secs(20),
        Step::silent(),
    );
    let person = *cage.town.can_ask_for(0, Form::Tax).last().unwrap();
    let visit = Visit { person, form: Form::Tax, household: false, looks_first: false, since: None, walks_away: None };
    assert_eq!(field.visit(Side::Everyday, visit).await, Ended::Released);
    let before = cage.until(|scrape| scrape.saw("withhold", "passed") >= 2.0).await;
    let after = cage.until(|scrape| scrape.saw("withhold", "passed") >= before.saw("withhold", "passed") + 2.0).await;
    for scrape in [&before, &after] {
        assert_eq!(scrape.sum("sekisho_requests_total", "outcome=\"released\""), 1.0);
        assert_eq!(
            scrape.sum("sekisho_documents_ended_total", "end=\"released\""),
            scrape.sum("sekisho_documents_verified_total", "")
        );
        assert_eq!(
            scrape.sum("sekisho_check_verdicts_total", "route=\"tax\",check=\"identity\",verdict=\"match\""),
            1.0
        );
    }
    assert_eq!(before.business(), after.business());
    let body = serde_json::json!({"terminal": "CANARY-0", "cardSerial": cage.town.card(person), "cityCode": cage.town.code(0)});
    let request = Request::post("/sessions").header("host", "kiosk-side").header("content-type", "application/json");
    let request = request.body(Full::new(Bytes::from(body.to_string()))).unwrap();
    let refused = Line::to(cage.gateway.kiosk_side).exchange(request, Duration::from_secs(10)).await.unwrap();
    let said = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(
        refused.status == 409 && said.contains("session_conflict") && said.contains("kiosk"),
        "{} {said}",
        refused.status
    );
}

/// A detector broken on purpose, in the build that may go without one: everything else still holds the document, and the canary says
/// all the same that nobody saw whose it is.
#[cfg(feature = "weakened")]
#[tokio::test]
async fn a_weakened_gate_that_looks_at_nobody_alarms() {
    let town = Town::start(TownPlan::of(7, 1, 60)).await.unwrap();
    let mut cage = Cage::with(town, Form::Tax, |table| {
        *table = sekisho_loadtest::cluster::without_check(table.clone(), "identity");
    })
    .await;
    let unseen = |scrape: &Scrape| scrape.saw("withhold", "blind") + scrape.saw("withhold", "not_withheld") >= 2.0;
    let scrape = cage.until(|scrape| unseen(scrape) && scrape.saw("release", "passed") >= 2.0).await;
    assert_eq!(scrape.saw("withhold", "passed"), 0.0);
    assert_eq!((scrape.business(), scrape.latches()), (0.0, 0.0), "and nothing left or was suspended");
}
