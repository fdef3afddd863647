//! Change brackets over real sockets: a batch changes records behind the gateway while kiosks ask.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

#[allow(dead_code, reason = "shared with other tests")]
mod backend;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use backend::{Reply, Site, exchange};
use http::Method;
use http_body_util::BodyExt;
use sekisho_gateway::bracket::Stage;
use sekisho_gateway::state_dir::AdminKey;
use sekisho_issuance::id::{MunicipalityCode, ResidentId};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower::ServiceExt;

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The admin API of `site`.
fn operators(site: &Site) -> Router {
    sekisho_gateway::admin::admin_routes(site.edge.clone(), key())
}

fn key() -> AdminKey {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), KEY).unwrap();
    AdminKey::read(file.path()).unwrap()
}

async fn say(operators: Router, method: &str, path: &str, body: Value) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {KEY}")).body(Body::from(body.to_string())).unwrap();
    let response = operators.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

fn batch(residents: &[&str]) -> Value {
    json!({ "municipality": "991007", "residents": residents, "name": "夜間異動", "reason": "転入の処理" })
}

/// `r-N` asks at `K-N`.
async fn ask(site: &Site, resident: &str, session: &str) -> Reply {
    let kiosk = resident.replace("r-", "K-");
    site.ask(Method::GET, &format!("/residents/{resident}"), Some((session, &kiosk)), None).await
}

/// Waits until `happened`; what it looks at moves by itself.
async fn until(happened: impl Fn() -> bool) {
    let asked = async {
        while !happened() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asked).await.expect("it did not happen within 20 s");
}

fn waiting(site: &Site) -> usize {
    site.edge.owner.lanes().iter().map(|lanes| lanes.waiting).sum()
}

/// Numbers begin again at each start: who looked at another start's list would free lanes that nobody looked at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_is_not_abandoned_under_another_shard() {
    let site = Site::start().await;
    let operators = operators(&site);
    let session = site.open("K-1", "card-1").await;
    site.backend.cut_next();
    assert_ne!(ask(&site, "r-1", &session).await.status.as_u16(), 200);
    let held = site.edge.owner.oldest_attempts(2);
    assert_eq!(held.len(), 1, "{held:?}");
    let (number, shard) = (held[0].number, held[0].shard);
    let abandon = async |shard: u16| {
        let body = json!({ "name": "山田", "reason": "相手が終わったと言った", "shard": shard });
        say(operators.clone(), "POST", &format!("/attempts/{number}/abandon"), body).await
    };
    let (status, said) = abandon(shard ^ 1).await;
    assert_eq!(status, 409, "{said}");
    assert!(said.to_string().contains("look at `lanes` again"), "{said}");
    assert_eq!(site.edge.owner.oldest_attempts(2).len(), 1, "it is held still");
    assert_eq!(abandon(shard).await.0, 200);
    assert!(site.edge.owner.oldest_attempts(2).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bracket_waits_for_what_runs_holds_what_comes_and_its_version_rules_from_then_on() {
    let site = Site::start().await;
    let operators = operators(&site);
    let (one, two) = (site.open("K-1", "card-1").await, site.open("K-2", "card-2").await);
    assert_eq!(ask(&site, "r-1", &one).await.status.as_u16(), 200);

    site.backend.hold();
    let running = tokio::spawn(site.request(Method::GET, "/residents/r-1", Some((&one, "K-1")), None));
    site.backend.until(|b| b.holding() == 1).await;
    let opening = tokio::spawn(say(operators.clone(), "POST", "/v1/brackets", batch(&["r-1"])));
    until(|| site.edge.brackets.list().iter().any(|b| b.stage == Stage::Opening)).await;
    site.backend.go_on();
    assert_eq!(running.await.unwrap().status.as_u16(), 200, "what ran leaves: the batch had not begun");
    let (status, opened) = opening.await.unwrap();
    assert_eq!((status, opened["bracket"]["stage"].as_str()), (201, Some("open")), "{opened}");

    // The batch writes. Nobody is asked about r-1 meanwhile; everybody else is served.
    let calls = site.backend.finished("/residents/r-1");
    let held = tokio::spawn(site.request(Method::GET, "/residents/r-1", Some((&one, "K-1")), None));
    until(|| waiting(&site) == 1).await;
    assert_eq!(ask(&site, "r-2", &two).await.status.as_u16(), 200);
    site.backend.change("r-1");
    let closed = say(operators.clone(), "DELETE", "/v1/brackets/1", json!({ "version": "2" })).await;
    assert_eq!((closed.0, &closed.1["changed"]), (200, &json!(1)), "{}", closed.1);
    let served = held.await.unwrap();
    assert_eq!((served.status.as_u16(), &served.json()["version"]), (200, &json!("2")));
    assert_eq!(site.backend.finished("/residents/r-1"), calls + 1);

    // A copy of the records that lags behind the batch: what it says does not leave.
    let opened = say(operators.clone(), "POST", "/v1/brackets", batch(&["r-1"])).await;
    assert_eq!(opened.1["bracket"]["id"], json!(2));
    assert_eq!(say(operators, "DELETE", "/v1/brackets/2", json!({ "versions": { "r-1": "3" } })).await.0, 200);
    let stale = ask(&site, "r-1", &one).await;
    assert_eq!((stale.status.as_u16(), stale.problem()), (502, "withheld".to_owned()), "{}", stale.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_not_heard_of_leaves_its_residents_refused_until_somebody_says_what_it_did() {
    let site = Site::start().await;
    let operators = operators(&site);
    let (one, two) = (site.open("K-1", "card-1").await, site.open("K-2", "card-2").await);
    assert_eq!(ask(&site, "r-1", &one).await.status.as_u16(), 200);
    assert_eq!(say(operators.clone(), "POST", "/v1/brackets", batch(&["r-1"])).await.0, 201);
    let held = tokio::spawn(site.request(Method::GET, "/residents/r-1", Some((&one, "K-1")), None));
    until(|| waiting(&site) == 1).await;
    // Its lease is over: it never expires open.
    for (id, lanes) in site.edge.brackets.expire(Instant::now() + Duration::from_secs(3600)) {
        site.edge.owner.reopen(id.number(), &lanes);
    }
    let refused = held.await.unwrap();
    assert_eq!((refused.status.as_u16(), &refused.json()["reason"]), (502, &json!("bracket_unknown")));
    let calls = site.backend.calls();
    let change = site.ask(Method::POST, "/residents/r-1/address", Some((&one, "K-1")), Some(json!({}))).await;
    assert_eq!(&change.json()["reason"], &json!("missing_fact"), "a key is needed");
    let mut change = site.build(Method::POST, "/residents/r-1/address", Some((&one, "K-1")), Some(json!({})));
    change.headers_mut().insert("idempotency-key", "k-1".parse().unwrap());
    let change = site.send(change).await;
    assert_eq!(change.json()["reason"], "bracket_unknown", "nobody vouches on this route: {}", change.text());
    assert_eq!(site.backend.calls(), calls, "the backend heard nothing of it");
    assert_eq!(ask(&site, "r-2", &two).await.status.as_u16(), 200, "nobody else is refused");
    let ready = sekisho_gateway::admin::readiness(&site.edge);
    assert!(ready.ready && ready.reasons.iter().any(|why| why.reason == "bracket_unknown"), "{ready:?}");

    let nobody = say(operators.clone(), "DELETE", "/v1/brackets/1", json!({ "unchanged": true })).await;
    assert_eq!(nobody.0, 422, "a person must say it: {}", nobody.1);
    let word = json!({ "unchanged": true, "name": "関所 守", "reason": "バッチは開始前に失敗" });
    assert_eq!(say(operators, "DELETE", "/v1/brackets/1", word).await.0, 200);
    assert_eq!(ask(&site, "r-1", &one).await.status.as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_goes_away_before_it_hears_its_number_holds_nobody_up() {
    let site = Site::start().await;
    let operators = operators(&site);
    let one = site.open("K-1", "card-1").await;
    site.backend.hold();
    let running = tokio::spawn(site.request(Method::GET, "/residents/r-1", Some((&one, "K-1")), None));
    site.backend.until(|b| b.holding() == 1).await;
    let opening = tokio::spawn(say(operators.clone(), "POST", "/v1/brackets", batch(&["r-1"])));
    until(|| site.edge.brackets.list().iter().any(|b| b.stage == Stage::Opening)).await;
    opening.abort();
    let mut impatient = batch(&["r-1"]);
    impatient["wait"] = json!("0s");
    let (status, why) = say(operators, "POST", "/v1/brackets", impatient).await;
    assert_eq!(status, 409, "{why}");
    site.backend.go_on();
    assert_eq!(running.await.unwrap().status.as_u16(), 200);
    assert_eq!(ask(&site, "r-1", &one).await.status.as_u16(), 200);
    until(|| site.edge.brackets.list().iter().all(|b| b.stage == Stage::Withdrawn)).await;
}

/// Whatever a bracket waited for: once a batch was told its number, nothing from before it leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_fetched_before_a_bracket_opened_does_not_leave_inside_it() {
    let site = Site::start().await;
    let one = site.open("K-1", "card-1").await;
    site.backend.hold();
    let running = tokio::spawn(site.request(Method::GET, "/residents/r-1", Some((&one, "K-1")), None));
    site.backend.until(|b| b.holding() == 1).await;
    let (municipality, resident) = (MunicipalityCode::new("991007").unwrap(), ResidentId::new("r-1").unwrap());
    let lane = site.edge.lane(municipality, &resident);
    let word = ("夜間異動", "転入の処理");
    let opening = site.edge.brackets.begin(municipality, vec![(lane, None)], word, Duration::from_secs(60)).await;
    opening.unwrap().opened().unwrap();
    site.backend.go_on();
    let kept = running.await.unwrap();
    let (ended, said) = ((kept.status.as_u16(), &kept.json()["reason"]), kept.text());
    assert_eq!(ended, (502, &json!("bracket")), "what was fetched before does not leave inside: {said}");
}

/// What a record feed has reached holds for everybody of its municipality, also for who was never amended or looked up here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_older_than_what_the_feed_has_reached_is_withheld_and_one_as_new_leaves() {
    let fed = |config: String, _: &Path| {
        let by_lookup = "as_of    = { json = \"/version\" }              # an id";
        assert!(config.contains(by_lookup));
        config.replacen(by_lookup, "as_of    = { json = \"/version\", watermark = \"feed\" } # an id", 1)
    };
    let site = Site::start_with(None, fed).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let operators = listener.local_addr().unwrap();
    tokio::spawn(sekisho_gateway::admin::serve_admin(site.edge.clone(), key(), listener));
    let reach = async |as_of: &str| {
        let stream = tokio::net::TcpStream::connect(operators).await.unwrap();
        let mut told = site.build(Method::PUT, "/v1/feeds/991007", None, Some(json!({ "as_of": as_of })));
        told.headers_mut().insert("content-type", "application/json".parse().unwrap());
        told.headers_mut().insert("authorization", format!("Bearer {KEY}").parse().unwrap());
        exchange(stream, told).await.unwrap().status.as_u16()
    };
    let asked = async |n: usize| {
        let session = site.open(&format!("K-{n}"), &format!("card-{n}")).await;
        let answer = ask(&site, &format!("r-{n}"), &session).await;
        let version = answer.json()["version"].as_str().map(str::to_owned);
        (answer.status.as_u16(), version, answer.json()["reason"].as_str().map(str::to_owned))
    };
    let withheld = (502, None, Some("as_of".to_owned()));
    assert_eq!(asked(1).await, withheld, "nobody said what the feed has reached");
    assert_eq!(reach("1").await, 200);
    assert_eq!(asked(2).await, (200, Some("1".to_owned()), None), "as new as the feed");
    assert_eq!(reach("2").await, 200);
    assert_eq!(asked(3).await, withheld, "older than the feed");
    site.backend.change("r-4");
    assert_eq!(asked(4).await, (200, Some("2".to_owned()), None));
    assert_eq!(reach("1").await, 409, "a feed does not go back");
    assert_eq!(asked(5).await, withheld);
}

/// Residents of the storm.
const PEOPLE: usize = 12;
/// What each of a resident's three visitors does so often.
const ROUNDS: usize = 12;

fn said_version(answer: &Value) -> usize {
    answer["version"].as_str().unwrap().parse().unwrap()
}

/// Records change at terminals and behind the gateway while their people ask, and the issuer reads a record a while before it
/// answers: nothing leaves that is older than the record was when it was asked for, nobody waits for ever, and no lane stays taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_an_update_storm_nothing_stale_leaves_and_the_lanes_drain() {
    let site = storm(true).await;
    assert_eq!(site.backend.outdated(), 0, "inside brackets the issuer is not even asked");
    assert!(site.edge.brackets.list().iter().all(|bracket| bracket.stage == Stage::Closed));
}

/// The same storm without brackets: the issuer does work from old records, and what it makes of them is withheld.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_brackets_the_storm_makes_stale_answers_and_none_of_them_leaves() {
    let site = storm(false).await;
    assert!(site.backend.outdated() > 0, "the issuer was never behind: the storm shows nothing");
    assert!(site.outcomes("withheld") > 0.0);
}

async fn storm(bracketed: bool) -> Arc<Site> {
    let short = |config: String, _: &Path| {
        let config = config.replace("timeout   = \"20s\"", "timeout   = \"1s\"\nmax_run   = \"1s\"");
        config.replace("max_in_flight = 4\n", "max_in_flight = 64\n")
    };
    let site = Arc::new(Site::start_with(None, short).await);
    let operators = operators(&site);
    site.backend.lag(Duration::from_millis(3));
    if !bracketed {
        site.backend.change_meanwhile(3);
    }
    let mut visits = JoinSet::new();
    let mut sessions = Vec::new();
    for resident in 0..PEOPLE {
        sessions.push(site.open(&format!("K-{resident}"), &format!("card-{resident}")).await);
    }
    for (resident, session) in sessions.into_iter().enumerate() {
        let (id, kiosk) = (format!("r-{resident}"), format!("K-{resident}"));
        let (asking, asked, path) = (site.clone(), id.clone(), format!("/residents/{id}"));
        let who = (session.clone(), kiosk.clone());
        visits.spawn(async move {
            for _ in 0..3 * ROUNDS {
                let least = asking.backend.version(&asked);
                let answer = asking.ask(Method::GET, &path, Some((&who.0, &who.1)), None).await;
                if answer.status.as_u16() == 200 {
                    assert!(said_version(&answer.json()) >= least, "stale: {} after {least}", answer.text());
                }
                if answer.status.as_u16() != 200 && answer.problem() == "unknown_session" {
                    // What was withheld ended it; who comes next has a card too.
                    return;
                }
            }
        });
        let (changing, path) = (site.clone(), format!("/residents/{id}/address"));
        visits.spawn(async move {
            for round in 0..ROUNDS {
                let mut change = changing.build(Method::POST, &path, Some((&session, &kiosk)), Some(json!({})));
                change.headers_mut().insert("idempotency-key", format!("k-{round}").parse().unwrap());
                changing.send(change).await;
            }
        });
        if bracketed {
            let (batching, operators, ids) =
                (site.clone(), operators.clone(), [id, format!("r-{}", (resident + 1) % PEOPLE)]);
            visits.spawn(async move {
                for _ in 0..ROUNDS {
                    in_a_bracket(operators.clone(), &ids, |id| batching.backend.change(id)).await;
                }
            });
        }
    }
    let all = async {
        while let Some(visit) = visits.join_next().await {
            visit.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(100), all).await.expect("a deadlock: not over after 100 s");
    assert!(site.outcomes("answered") > 0.0);
    until(|| site.edge.owner.lanes().iter().all(|lanes| lanes.waiting + lanes.running + lanes.held == 0)).await;
    assert_eq!(site.edge.owner.overlaps(), 0);
    site
}

/// A batch as it should be: the number first, then the change, then what it made of it.
async fn in_a_bracket(operators: Router, people: &[String; 2], change: impl Fn(&str) -> usize) {
    let (status, opened) = say(operators.clone(), "POST", "/v1/brackets", batch(&[&people[0], &people[1]])).await;
    assert_eq!(status, 201, "{opened}");
    let made: HashMap<_, _> = people.iter().map(|id| (id, change(id).to_string())).collect();
    let close = format!("/v1/brackets/{}", opened["bracket"]["id"]);
    let (status, closed) = say(operators, "DELETE", &close, json!({ "versions": made })).await;
    assert_eq!(status, 200, "{closed}");
}
