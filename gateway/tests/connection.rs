//! A protocol without a session: a connection is one card presence, over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

#[allow(dead_code, reason = "shared with other tests")]
mod backend;

use backend::{Reply, Site};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;

/// The same routes where nothing names a session; each request says whose card is in which kiosk.
async fn without_sessions() -> Site {
    let by_header =
        "session = { header = \"X-Session\" }, kiosk = { header = \"X-Terminal\" }, resident = { path = \"id\" } }";
    let by_connection = "session = { connection = true }, kiosk = { header = \"X-Terminal\" }, card = { header = \"X-Card\" }, \
                         municipality = { header = \"X-City\" }, resident = { path = \"id\" } }\nauthority = { lookup = \"card\" }";
    let (a_table, anew) = (
        "[routes.address_change.facts]\nsession         = { header = \"X-Session\" }\n",
        "authority = { lookup = \"card\" }\n[routes.address_change.facts]\nsession = { connection = true }\ncard = { header = \"X-Card\" }\n\
         municipality = { header = \"X-City\" }\n",
    );
    Site::start_with(None, |text, _| {
        assert!(text.contains(by_header) && text.contains(a_table));
        text.replace(by_header, by_connection).replace(a_table, anew)
    })
    .await
}

fn from(site: &Site, method: Method, path: &str, kiosk: &str, card: &str) -> Request<Full<Bytes>> {
    let body = (method == Method::POST).then(|| json!({"address": "x"}));
    let mut request = site.build(method, path, Some(("", kiosk)), body);
    request.headers_mut().insert("x-card", card.parse().unwrap());
    request.headers_mut().insert("x-city", "991007".parse().unwrap());
    request
}

fn inquiry(site: &Site, card: &str, resident: &str) -> Request<Full<Bytes>> {
    from(site, Method::GET, &format!("/residents/{resident}"), "K-1", card)
}

fn status_of(reply: &Reply) -> (u16, String) {
    (reply.status.as_u16(), reply.problem())
}

async fn connect(site: &Site) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(site.address).await.unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn over(sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> (u16, serde_json::Value) {
    sender.ready().await.unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn one_connection_is_one_card_presence_and_another_card_on_it_is_refused() {
    let site = without_sessions().await;
    let mut first = connect(&site).await;
    for _ in 0..2 {
        let (status, body) = over(&mut first, inquiry(&site, "card-1", "r-1")).await;
        assert_eq!((status, body["id"].as_str()), (200, Some("r-1")), "{body}");
    }
    assert_eq!(site.edge.sessions.len(), 1);
    let (status, body) = over(&mut first, inquiry(&site, "card-2", "r-2")).await;
    assert_eq!((status, body["code"].as_str()), (409, Some("session_conflict")), "{body}");
    assert_eq!(site.metric("sekisho_pins_refused_total{reason=\"card\"}"), 1.0);
    let (status, body) = over(&mut first, inquiry(&site, "card-1", "r-2")).await;
    assert_eq!((status, body["code"].as_str()), (409, Some("session_conflict")), "{body}");
    assert_eq!(site.backend.calls(), 2, "nobody else's record was asked for");
    // The next person's card, over a connection of its own.
    let second = site.send(inquiry(&site, "card-2", "r-2")).await;
    assert_eq!((second.status.as_u16(), second.json()["id"].as_str()), (200, Some("r-2")));
    assert_eq!(site.edge.sessions.len(), 1, "whoever was at the kiosk before is gone");
}

#[tokio::test]
async fn whose_card_it_is_the_authority_says_and_not_the_kiosk() {
    let site = without_sessions().await;
    assert_eq!(status_of(&site.send(inquiry(&site, "card-1", "r-2")).await), (409, "session_conflict".to_owned()));
    let mut nobody = inquiry(&site, "card-1", "r-1");
    nobody.headers_mut().remove("x-card");
    let reply = site.send(nobody).await;
    assert_eq!((status_of(&reply), reply.json()["fact"].as_str()), ((400, "missing_fact".to_owned()), Some("card")));
    assert_eq!((site.backend.calls(), site.edge.sessions.len()), (0, 0), "no presence begins by a claim");
}

/// account-previous-user (R10), where nothing names a session.
#[tokio::test]
async fn what_was_asked_for_a_card_that_is_gone_does_not_leave() {
    let site = without_sessions().await;
    site.backend.hold();
    let asked = tokio::spawn(site.send(inquiry(&site, "card-1", "r-1")));
    site.backend.until(|backend| backend.holding() == 1).await;
    let next = tokio::spawn(site.send(inquiry(&site, "card-2", "r-2")));
    site.backend.until(|backend| backend.holding() == 2).await;
    site.backend.go_on();
    let kept = asked.await.unwrap();
    assert_eq!((kept.problem(), kept.json()["reason"].as_str()), ("withheld".to_owned(), Some("session_over")));
    assert!(!kept.text().contains("関守"), "{}", kept.text());
    assert_eq!(next.await.unwrap().json()["id"], "r-2");
}

#[tokio::test]
async fn who_lost_an_answer_with_its_connection_gets_it_over_another_and_nothing_is_done_twice() {
    let site = without_sessions().await;
    let change = |card: &str| {
        let mut request = from(&site, Method::POST, "/residents/r-1/address", "K-1", card);
        request.headers_mut().insert("idempotency-key", "key-7".parse().unwrap());
        request
    };
    site.backend.hold();
    let lost = tokio::spawn(site.send(change("card-1")));
    site.backend.until(|backend| backend.holding() == 1).await;
    lost.abort();
    assert!(lost.await.is_err(), "its connection is gone with it");
    let again = tokio::spawn(site.send(change("card-1")));
    site.backend.go_on();
    let again = again.await.unwrap();
    assert_eq!(again.status.as_u16(), 200, "{}", again.text());
    let kept = site.send(change("card-1")).await;
    assert_eq!((kept.status.as_u16(), kept.text()), (200, again.text()));
    assert_eq!(site.backend.finished("/residents/r-1/address"), 1);
    assert_eq!(status_of(&site.send(change("card-2")).await), (409, "session_conflict".to_owned()));
    assert_eq!(site.backend.finished("/residents/r-1/address"), 1, "another card's key is another's");
}
