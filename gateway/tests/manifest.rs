//! What a backend says of itself decides whether it is asked, how, and whether its answer leaves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

#[allow(dead_code, reason = "shared with the tests of the kiosk side, which use the rest")]
mod backend;

use std::time::Duration;

use backend::{Backend, Reply, Site};
use http::{Method, StatusCode};
use serde_json::{Value, json};

const MANIFEST: &str = r#"
[backends.issuer.manifest]
request = { path = "/version" }
fields  = { build = { json = "/build" }, topology = { json = "/topology" } }
every   = "1s"
timeout = "900ms"
"#;

fn version(build: &str, topology: &str) -> Value {
    json!({"product": "any", "build": build, "topology": topology})
}

/// A gateway whose municipality has this list, in front of a backend that says that it is `version`, once it was asked.
async fn site(list: &str, hazards: &str, says: Value) -> Site {
    let backend = Backend::default();
    backend.is(says);
    let site = Site::start_on(backend, None, |config, _| {
        let tenant = format!("[tenants.991007]\nbackend = {list}");
        let config = config.replace("[tenants.991007]", &tenant);
        config.replacen("[backends.issuer]", &format!("[backends.issuer]\n{hazards}"), 1) + MANIFEST
    })
    .await;
    until(&site, |_| true).await;
    site
}

/// Waits for a reading after which `so`.
async fn until(site: &Site, so: impl Fn(&Site) -> bool) {
    let manifests = site.edge.gate.in_force().manifests();
    let mut readings = manifests.readings();
    let waited = async {
        while *readings.borrow_and_update() == 0 || !so(site) {
            readings.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.expect("no reading made it true within 20 s");
}

/// The build that the issuer is known to be.
fn build(site: &Site) -> String {
    let config = site.edge.config();
    let source = config.backends["issuer"].manifest.clone().unwrap();
    let state = site.edge.gate.in_force().manifests().state("issuer", &source, std::time::Instant::now());
    let build = state.field(sekisho_gateway::manifest::Field::Build);
    build.map_or_else(|| state.name().to_owned(), ToString::to_string)
}

async fn ask_to_open(site: &Site) -> Reply {
    let body = json!({"cardSerial": "card-1", "cityCode": "991007"});
    site.ask(Method::POST, "/sessions", Some(("", "K-1")), Some(body)).await
}

fn why(reply: &Reply) -> String {
    reply.json()["reason"].as_str().unwrap_or("none").to_owned()
}

fn limit(site: &Site) -> usize {
    site.edge.owner.backend_states().iter().find(|state| &*state.name == "issuer").unwrap().limit
}

/// takamatsu-topology (R5, R8): a build that is not on the list, or for the wrong topology, is never asked for anybody.
#[tokio::test]
async fn an_old_build_or_one_for_another_topology_is_refused_before_it_is_asked() {
    let list = r#"{ allow = [{ build = "p07", topology = "2" }] }"#;
    let site = site(list, "", version("p06", "2")).await;
    let refused = ask_to_open(&site).await;
    assert_eq!((refused.status, refused.problem()), (StatusCode::SERVICE_UNAVAILABLE, "suspended".to_owned()));
    assert_eq!(why(&refused), "build_not_allowed");
    site.backend.is(version("p07", "1"));
    until(&site, |site| build(site) == "p07").await;
    assert_eq!(why(&ask_to_open(&site).await), "build_not_allowed", "made for another number of hosts");
    assert_eq!(site.backend.calls(), 0, "it was asked for nobody");
    let readiness = sekisho_gateway::admin::readiness(&site.edge);
    let said = |r: &sekisho_gateway::admin::Unready| (r.reason, r.about.clone());
    assert!(
        readiness.ready && readiness.reasons.iter().any(|r| said(r) == ("build_not_allowed", Some("991007".into())))
    );
    // Flapping so soon would be two servers; a third build is an upgrade.
    site.backend.is(version("p07", "2"));
    until(&site, |site| sekisho_gateway::admin::readiness(&site.edge).reasons.is_empty()).await;
    assert_eq!(ask_to_open(&site).await.status, StatusCode::CREATED);
}

/// Both builds are on the list: which of them made the answer nobody can tell.
#[tokio::test]
async fn an_answer_is_withheld_whose_backend_changed_while_it_was_asked() {
    let list = r#"{ allow = [{ build = "p07" }, { build = "p08" }] }"#;
    let site = site(list, "", version("p07", "2")).await;
    let session = site.open("K-1", "card-1").await;
    site.backend.hold();
    let asked = tokio::spawn(site.request(Method::GET, "/residents/r-1", Some((&session, "K-1")), None));
    site.backend.until(|backend| backend.holding() == 1).await;
    site.backend.is(version("p08", "2"));
    until(&site, |site| build(site) == "p08").await;
    site.backend.go_on();
    let withheld = asked.await.unwrap();
    assert_eq!((withheld.problem(), why(&withheld)), ("withheld".to_owned(), "manifest_changed".to_owned()));
    assert!(!withheld.text().contains("関守"), "{}", withheld.text());
    let session = site.open("K-1", "card-1").await;
    let next = site.ask(Method::GET, "/residents/r-1", Some((&session, "K-1")), None).await;
    assert_eq!(next.status, StatusCode::OK, "{}", next.text());
}

#[tokio::test]
async fn an_unpatched_build_is_served_behind_its_shield_and_an_unknown_one_is_not() {
    let list = r#"{ allow = [{ build = "p07" }], otherwise = "shield" }"#;
    let hazards = r#"hazards = [{ build = "p06", max_in_flight = 1 }, { build = "p04", tick_spacing = "1s" }]"#;
    let site = site(list, hazards, version("p06", "2")).await;
    assert_eq!((build(&site).as_str(), limit(&site)), ("p06", 1));
    assert_eq!(ask_to_open(&site).await.status, StatusCode::CREATED);
    site.backend.is(version("p05", "2"));
    until(&site, |site| build(site) == "p05").await;
    assert_eq!(why(&ask_to_open(&site).await), "build_not_allowed");
    site.backend.is(json!([]));
    until(&site, |site| build(site) == "unreadable").await;
    assert_eq!((why(&ask_to_open(&site).await).as_str(), limit(&site)), ("manifest_unreadable", 1));
    site.backend.is(version("p07", "2"));
    until(&site, |site| build(site) == "p07").await;
    assert_eq!((ask_to_open(&site).await.status, limit(&site)), (StatusCode::CREATED, 4));
}

/// A municipality without a list is served as before, and still by a backend that is treated as what it is.
#[tokio::test]
async fn who_asks_for_nothing_is_served_by_any_build() {
    let site = site(r#"{ allow = [{ build = "p07" }] }"#, "", version("p06", "2")).await;
    site.reconfigure("backend = { allow = [{ build = \"p07\" }] }", "");
    assert_eq!(ask_to_open(&site).await.status, StatusCode::CREATED);
}
