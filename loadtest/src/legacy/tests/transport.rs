//! Transport faults are real bytes on real connections; and what the API refuses.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::{Fault, FaultPlan, ServiceTime, WorldConfig};
use super::client::Client;
use super::served;

/// Everything that comes back for one inquiry until the connection ends or is quiet for a while; `Err` if it was reset.
async fn bytes_with(fault: Fault) -> std::io::Result<Vec<u8>> {
    let faults = FaultPlan::one(fault, 1.0);
    let (world, running) =
        served(WorldConfig { faults, service: ServiceTime::INSTANT, ..WorldConfig::default() }).await;
    let person = world.samples("991007", true).remove(0);
    let mut stream = TcpStream::connect(running.issuer).await?;
    let request = format!("GET /residents/{} HTTP/1.1\r\nHost: legacy\r\nX-Request-Id: r1\r\n\r\n", person.resident);
    stream.write_all(request.as_bytes()).await?;
    let mut got = Vec::new();
    let quiet = Duration::from_millis(600);
    while let Ok(read) = tokio::time::timeout(quiet, stream.read_buf(&mut got)).await {
        if read? == 0 {
            break;
        }
    }
    assert_eq!(world.chronicle().firings()[0].victim.request, "r1");
    Ok(got)
}

/// Body length declared and body bytes received.
fn lengths(got: &[u8]) -> (usize, usize) {
    let text = String::from_utf8_lossy(got);
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let declared = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
    (declared, got.len() - head.len() - 4)
}

#[tokio::test]
async fn a_cut_body_ends_in_the_middle() {
    let (declared, got) = lengths(&bytes_with(Fault::CutBody).await.unwrap());
    assert_eq!(got, declared / 2);
}

#[tokio::test]
async fn a_wrong_length_leaves_stray_bytes() {
    let (declared, got) = lengths(&bytes_with(Fault::WrongLength).await.unwrap());
    assert_eq!(got, declared + 7);
}

#[tokio::test]
async fn a_late_duplicate_is_the_whole_response_twice() {
    let got = bytes_with(Fault::LateDuplicate).await.unwrap();
    assert_eq!(got[..got.len() / 2], got[got.len() / 2..]);
}

#[tokio::test]
async fn a_stalled_answer_arrives_whole() {
    let (declared, got) = lengths(&bytes_with(Fault::Stall).await.unwrap());
    assert_eq!(got, declared);
}

#[tokio::test]
async fn html_comes_with_status_200() {
    let got = String::from_utf8(bytes_with(Fault::Html200).await.unwrap()).unwrap();
    assert!(got.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/html"));
}

#[tokio::test]
async fn a_wrong_echo_is_another_request_id() {
    let got = String::from_utf8(bytes_with(Fault::WrongEcho).await.unwrap()).unwrap();
    assert!(got.contains("X-Request-Id: r1-0\r\n"));
}

#[tokio::test]
async fn a_hanging_backend_sends_nothing() {
    assert_eq!(bytes_with(Fault::Hang).await.unwrap(), b"");
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    assert_eq!(bytes_with(Fault::Reset).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_slow_answer_takes_longer() {
    let before = std::time::Instant::now();
    let (declared, got) = lengths(&bytes_with(Fault::Slow).await.unwrap());
    assert_eq!(got, declared);
    assert!(before.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn the_record_api_answers_and_can_be_faulty_by_itself() {
    let (world, running) = served(WorldConfig { service: ServiceTime::INSTANT, ..WorldConfig::default() }).await;
    let client = Client::new(running.records);
    let person = world.samples("991007", true).remove(0);
    let card = client.send("GET", &format!("/v2/cards/{}", person.card), &[], "").await.unwrap().json();
    assert_eq!((card["residentId"].as_str(), card["cityCode"].as_str()), (Some(&*person.resident), Some("991007")));
    let record = client.send("GET", &format!("/v2/residents/{}", person.resident), &[], "").await.unwrap().json();
    assert_eq!((record["id"].as_str(), record["version"].as_str()), (Some(&*person.resident), Some("1")));
    assert_eq!(record["household"].as_array().unwrap().len(), person.household);
    let revoked =
        client.send("POST", &format!("/v2/residents/{}/revoke", person.resident), &[], "").await.unwrap().json();
    assert_eq!(revoked["version"], "2");
    let version = client.send("GET", &format!("/v2/version/{}", person.resident), &[], "").await.unwrap().json();
    assert_eq!(version["version"], "2");

    world.apply(&"html-200@records=1".parse().unwrap());
    let html = client.send("GET", &format!("/v2/cards/{}", person.card), &[], "").await.unwrap();
    assert_eq!(html.header("Content-Type"), Some("text/html; charset=utf-8"));
}

#[tokio::test]
async fn lawful_refusals_are_said_with_their_code() {
    let (world, running) = served(WorldConfig { service: ServiceTime::INSTANT, ..WorldConfig::default() }).await;
    let client = Client::new(running.issuer);
    for person in world.samples("991007", false).into_iter().filter(|p| p.refusal.is_some()) {
        let opened = client.open("K-0001", &person.card, "991007").await.unwrap().json();
        let session = opened["sessionId"].as_str().unwrap();
        let reply = client.issue("r1", session, "K-0001", "resident-record", "self").await.unwrap();
        assert!(matches!(reply.status, 409 | 422));
        assert_eq!(reply.json()["error"]["code"], person.refusal.unwrap());
        assert_eq!(reply.json()["error"]["residentId"], person.resident.as_str());
    }
    let person = world.samples("991007", true).remove(0);
    world.register().replace_card(person.no);
    let refused = client.open("K-0001", &person.card, "991007").await.unwrap();
    assert_eq!((refused.status, refused.json()["error"]["code"].as_str()), (409, Some("CARD_CHANGED")));
    let stranger = client.issue("r1", "no-such-session", "K-0001", "tax", "self").await.unwrap();
    assert_eq!(stranger.status, 403);
}
