//! A build for the wrong topology is refused for what it says of itself, before it is asked for anybody.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sekisho_loadtest::cluster::{Admin, Site, Town, protecting};
use sekisho_loadtest::incidents::{Ended, Field, Side, Visit};
use sekisho_loadtest::legacy::{Fault, FaultPlan, Form, WorldConfig};
use sekisho_loadtest::report::Step;

/// What the municipalities let serve them: the site has two hosts.
const ALLOWED: &str = r#"allow = [{ build = "V5.2-p07", topology = "2" }]"#;
const MANIFEST: &str = r#"
request = { path = "/version" }
fields  = { build = { json = "/build" }, topology = { json = "/topology" } }
every   = "1s"
timeout = "900ms"
"#;

/// The town of the incident, whose installed build was made for so many hosts, and the worked configuration with a list.
async fn town(topology: &str) -> (Town, toml::Table) {
    let faults = FaultPlan::one(Fault::TakamatsuTopology, 1.0);
    let config =
        WorldConfig { seed: 7, residents_each: 60, faults, topology: topology.to_owned(), ..WorldConfig::default() };
    let town = Town::of(config).await.unwrap();
    let mut table = protecting(&town).unwrap();
    table["backends"]["issuer"]
        .as_table_mut()
        .unwrap()
        .insert("manifest".into(), MANIFEST.parse::<toml::Table>().unwrap().into());
    for (_, tenant) in table["tenants"].as_table_mut().unwrap() {
        let list = ALLOWED.parse::<toml::Table>().unwrap();
        tenant.as_table_mut().unwrap().insert("backend".into(), list.into());
    }
    (town, table)
}

fn visit(field: &Field) -> Visit {
    let person = field.town.can_ask_for(0, Form::Tax)[0];
    Visit { person, form: Form::Tax, household: false, looks_first: false, since: None, walks_away: None }
}

/// Two people at once, over and over: the machinery of the incident.
async fn crowd(field: &Arc<Field>) -> Vec<Ended> {
    let people = field.town.can_ask_for(0, Form::Tax);
    let mut ends = Vec::new();
    for pair in people.chunks(2).take(10) {
        let visits = pair.iter().map(|person| field.visit(Side::Scene, Visit { person: *person, ..visit(field) }));
        ends.extend(futures_util::future::join_all(visits).await);
    }
    ends
}

/// takamatsu-topology (R5, R8): no check has to catch anything, since nothing is asked.
#[tokio::test]
async fn the_manifest_alone_refuses_a_build_for_another_number_of_hosts() {
    let program = Path::new(env!("CARGO_BIN_EXE_sekisho-loadtest"));
    let dir = tempfile::tempdir().unwrap();
    let (town, table) = town("1").await;
    let site = Site::prepare(program, &dir.path().join("wrong"), &table).unwrap();
    let mut gateway = site.start().await.unwrap();
    let field = Field::new(town, gateway.kiosk_side, Duration::from_secs(20), Step::silent());
    let mut admin = Admin::new(gateway.admin, site.admin_key().unwrap());
    let attested = |rows: Vec<serde_json::Value>| {
        let row = &rows[0];
        let backend = &row["backends"][0];
        [&row["attested"], &backend["build"], &backend["topology"], &row["exclusive"]]
            .map(|said| said.as_str().unwrap_or("").to_owned())
    };
    let read = async || {
        let said = attested(admin.tenants().await.ok()?);
        (!said[1].is_empty()).then_some(said)
    };
    let said = gateway.process.until(Duration::from_secs(60), read).await.unwrap();
    assert_eq!(said, ["build_not_allowed", "V5.2-p07", "1", "not declared"]);
    let ends = crowd(&field).await;
    assert!(ends.iter().all(|ended| *ended == Ended::Suspended), "{ends:?}");
    let fired = |field: &Field| field.town.fired().get("takamatsu-topology").copied().unwrap_or_default();
    assert_eq!(fired(&field), (0, 0));
    assert!(field.town.take_logs().executions.is_empty(), "the backend was asked for somebody");

    // The same traffic straight at it does what the incident did.
    field.redirect(field.town.issuer());
    crowd(&field).await;
    let (windows, harms) = fired(&field);
    assert!(windows > 0 && harms > 0, "{windows} {harms}");
    gateway.process.kill().await.unwrap();
}

#[tokio::test]
async fn the_right_build_is_served() {
    let program = Path::new(env!("CARGO_BIN_EXE_sekisho-loadtest"));
    let dir = tempfile::tempdir().unwrap();
    let (town, table) = town("2").await;
    town.repair();
    let site = Site::prepare(program, dir.path(), &table).unwrap();
    let mut gateway = site.start().await.unwrap();
    let field = Field::new(town, gateway.kiosk_side, Duration::from_secs(20), Step::silent());
    let served = async || (field.visit(Side::Everyday, visit(&field)).await == Ended::Released).then_some(());
    gateway.process.until(Duration::from_secs(60), served).await.unwrap();
}
