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

use backend::{Backend, Reply, Site};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;

/// The same routes where nothing names a session; each request says whose card is in which kiosk.
async fn without_sessions() -> Site {
    without_sessions_on(Backend::default(), |text| text).await
}

async fn without_sessions_on(backend: Backend, edit: impl FnOnce(String) -> String) -> Site {
    let by_header =
        "session = { header = \"X-Session\" }, kiosk = { header = \"X-Terminal\" }, resident = { path = \"id\" } }";
    let by_connection = "session = { connection = true }, kiosk = { header = \"X-Terminal\" }, card = { header = \"X-Card\" }, \
                         municipality = { header = \"X-City\" }, resident = { path = \"id\" } }\nauthority = { lookup = \"card\" }";
    let (a_table, anew) = (
        "[routes.address_change.facts]\nsession         = { header = \"X-Session\" }\n",
        "authority = { lookup = \"card\" }\n[routes.address_change.facts]\nsession = { connection = true }\ncard = { header = \"X-Card\" }\n\
         municipality = { header = \"X-City\" }\n",
    );
    Site::start_on(backend, None, |text, _| {
        assert!(text.contains(by_header) && text.contains(a_table));
        edit(text.replace(by_header, by_connection).replace(a_table, anew))
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

/// A certificate on paper, and a canary on it.
const SEAL: &str = r#"[routes.seal]
match     = "GET /seals/{id}"
operation = "issue"
kind      = "resident_record"
backend   = "issuer"
timeout   = "20s"
authority = { lookup = "card" }
facts     = { session = { connection = true }, kiosk = { header = "X-Terminal" }, card = { header = "X-Card" }, municipality = { header = "X-City" }, resident = { path = "id" } }
[routes.seal.checks]
echo     = { header = "X-Request-Id" }
shape    = { status = [200], media_type = "application/pdf" }
version  = { probe = "resident" }
currency = "unproven"
[routes.seal.checks.identity]
with   = "resident"
enough = [["id"]]
[routes.seal.checks.identity.fields]
id = { after = "備考" }

[clock]
trusted = true
[canaries.seal]
route  = "seal"
every  = "1s"
facts  = { municipality = "991007" }
people = [{ kiosk = "CANARY-1", card = "card-1", resident = "r-1" }, { kiosk = "CANARY-2", card = "card-2", resident = "r-2" }]

"#;

/// A page on which nothing but one remark is another's: the resident's id. It is printed today.
fn paper(resident: &str) -> Vec<u8> {
    let hex = |text: &str| text.encode_utf16().map(|unit| format!("{unit:04x}")).collect::<String>();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../issuance/tests/corpus/readable/by-hand-ucs2.pdf");
    let mut page: String = std::fs::read(path).unwrap().into_iter().map(char::from).collect();
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(9))).date().to_string();
    for (from, to) in [("Sample ABC-123 (x)", format!("{resident:18}")), ("令和8年11月22日", today)] {
        assert_eq!(from.chars().count(), to.chars().count());
        assert!(page.contains(&hex(from)), "{from}");
        page = page.replace(&hex(from), &hex(&to));
    }
    page.chars().map(|byte| u8::try_from(byte).unwrap()).collect()
}

/// A canary says itself who stands where, as a kiosk of such a protocol does: each of its people at a connection of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_whose_connection_is_its_session_sings_again_and_again_and_keeps_its_place() {
    let backend = Backend::default();
    backend.print_with(paper);
    let site = without_sessions_on(backend, |text| {
        let (seal, after) = (text.find("[routes.seal]").unwrap(), text.find("[routes.name_change]").unwrap());
        format!("{}{SEAL}{}", &text[..seal], &text[after..])
    })
    .await;
    let sang = |expect: &str, result: &str| {
        site.metric(&format!("sekisho_canary_results_total{{canary=\"seal\",expect=\"{expect}\",result=\"{result}\"}}"))
    };
    let every = ["passed", "closed", "shed", "failed", "blind", "not_withheld"];
    let all = || every.map(|result| [sang("release", result), sang("withhold", result)]);
    // Two people in each run, and each one's document tried on the other.
    let twice = async {
        while all().iter().flatten().sum::<f64>() < 8.0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), twice).await.expect("two runs within 30 s");
    let results = all();
    assert!(results[0] >= [4.0, 4.0] && results[1..] == [[0.0; 2]; 5], "{every:?} {results:?}");
    assert_eq!(site.edge.sessions.len(), 2, "the same presence in every run");
    // Nobody at a connection stands where a canary does, and an own place is kept beside it.
    let mut there = inquiry(&site, "card-1", "r-1");
    there.headers_mut().insert("x-terminal", "CANARY-1".parse().unwrap());
    assert_eq!(status_of(&site.send(there).await), (409, "session_conflict".to_owned()));
    let own = site.send(inquiry(&site, "card-1", "r-1")).await;
    assert_eq!(own.status.as_u16(), 200, "{}", own.text());
}
