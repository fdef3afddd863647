//! The kiosk side over real sockets, in front of a tiny backend.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

#[allow(dead_code, reason = "shared with other tests")]
mod backend;

use std::time::Duration;

use backend::{Authority, Site};
use http::{Method, StatusCode};
use sekisho_gateway::switch::Scope;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_session_is_opened_used_and_closed() {
    let site = Site::start().await;
    let session = site.open("K-1", "card-1").await;
    let answer = site.ask(Method::GET, "/residents/r-1", Some((&session, "K-1")), None).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.json()["id"], "r-1");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(answer.headers.contains_key("content-digest"));
    assert!(!answer.headers.contains_key("set-cookie"), "no header that the route does not list");
    assert_eq!(answer.headers["x-request-id"], answer.json()["requestId"].as_str().unwrap());
    let closed = site.ask(Method::DELETE, &format!("/sessions/{session}"), Some((&session, "K-1")), None).await;
    assert_eq!(closed.status, StatusCode::NO_CONTENT, "{}", closed.text());
    let after = site.ask(Method::GET, "/residents/r-1", Some((&session, "K-1")), None).await;
    assert_eq!((after.status, after.problem()), (StatusCode::CONFLICT, "unknown_session".to_owned()));
}

#[tokio::test]
async fn undeclared_paths_missing_facts_and_unknown_municipalities_are_4xx_problems() {
    let site = Site::start().await;
    let undeclared = site.ask(Method::GET, "/admin", None, None).await;
    assert_eq!((undeclared.status.as_u16(), undeclared.problem()), (404, "undeclared_path".to_owned()));
    let method = site.ask(Method::PUT, "/sessions", None, None).await;
    assert_eq!((method.status.as_u16(), &method.headers["allow"]), (405, &"POST".parse().unwrap()));
    let missing = site.ask(Method::POST, "/sessions", Some(("", "K-1")), Some(json!({"cityCode": "991007"}))).await;
    assert_eq!((missing.status.as_u16(), missing.json()["fact"].as_str()), (400, Some("card")));
    let body = json!({"cardSerial": "card-1", "cityCode": "131211"});
    let city = site.ask(Method::POST, "/sessions", Some(("", "K-1")), Some(body)).await;
    assert_eq!((city.status.as_u16(), city.problem()), (403, "unknown_municipality".to_owned()));
    assert_eq!(site.backend.calls(), 0, "nothing of this reached the backend");
}

#[tokio::test]
async fn a_second_card_or_resident_or_kiosk_in_a_session_is_refused_and_counted() {
    let site = Site::start().await;
    let session = site.open("K-1", "card-1").await;
    let other = site.ask(Method::GET, "/residents/r-2", Some((&session, "K-1")), None).await;
    assert_eq!((other.status.as_u16(), other.problem()), (409, "session_conflict".to_owned()));
    let kiosk = site.ask(Method::GET, "/residents/r-1", Some((&session, "K-2")), None).await;
    assert_eq!((kiosk.status.as_u16(), kiosk.problem()), (409, "session_conflict".to_owned()));
    assert_eq!(site.metric("sekisho_pins_refused_total{reason=\"resident\"}"), 1.0);
    assert_eq!(site.metric("sekisho_pins_refused_total{reason=\"kiosk\"}"), 1.0);
    let own = site.ask(Method::GET, "/residents/r-1", Some((&session, "K-1")), None).await;
    assert_eq!(own.status.as_u16(), 200, "the session lives on");
}

/// account-previous-user (R10): whoever left is gone when the next card comes, and so is what was asked for them.
#[tokio::test]
async fn what_was_asked_for_a_person_who_is_gone_does_not_leave() {
    let site = Site::start().await;
    for next_card in [true, false] {
        let session = site.open("K-1", "card-1").await;
        let waiting = site.backend.holding();
        site.backend.hold();
        let asked = tokio::spawn(site.request(Method::GET, "/residents/r-1", Some((&session, "K-1")), None));
        site.backend.until(|backend| backend.holding() == waiting + 1).await;
        let gone = match next_card {
            // Another card steps up.
            true => {
                let body = json!({"cardSerial": "card-2", "cityCode": "991007"});
                tokio::spawn(site.request(Method::POST, "/sessions", Some(("", "K-1")), Some(body)))
            }
            // The kiosk abandons the session, or its paper was taken and confirmed.
            false => {
                let path = format!("/sessions/{session}");
                tokio::spawn(site.request(Method::DELETE, &path, Some((&session, "K-1")), None))
            }
        };
        site.backend.until(|backend| backend.holding() == waiting + 2).await;
        site.backend.go_on();
        let kept = asked.await.unwrap();
        let why = kept.json()["reason"].as_str().map(str::to_owned);
        assert_eq!((kept.problem(), why.as_deref()), ("withheld".to_owned(), Some("session_over")), "{next_card}");
        assert!(!kept.text().contains("関守"), "{}", kept.text());
        assert!(gone.await.unwrap().status.is_success());
        let after = site.ask(Method::GET, "/residents/r-1", Some((&session, "K-1")), None).await;
        assert_eq!(after.problem(), "unknown_session");
    }
}

/// A kiosk that gave up on one card and took the next: what was opened for the first comes too late to end the second's session.
#[tokio::test]
async fn a_session_that_nobody_waits_for_takes_nobodys_place() {
    let site = Site::start().await;
    let body = json!({"cardSerial": "card-1", "cityCode": "991007"});
    site.backend.hold();
    let given_up = tokio::spawn(site.request(Method::POST, "/sessions", Some(("", "K-1")), Some(body)));
    site.backend.until(|backend| backend.holding() == 1).await;
    given_up.abort();
    counted(|| site.outcomes("cancelled") == 1.0).await;
    site.backend.hold_no_more();
    let session = site.open("K-1", "card-2").await;
    site.backend.go_on();
    site.backend.until(|backend| backend.finished("/sessions") == 2).await;
    for _ in 0..20 {
        let own = site.ask(Method::GET, "/residents/r-2", Some((&session, "K-1")), None).await;
        assert_eq!(own.status.as_u16(), 200, "{}", own.text());
    }
}

/// account-previous-user (R10): the backend hands the session of the one before to whoever comes next.
#[tokio::test]
async fn the_previous_users_session_is_withheld() {
    let site = Site::start().await;
    let first = site.open("K-1", "card-1").await;
    site.backend.hand_out_again(&first, "r-1");
    let body = json!({"cardSerial": "card-2", "cityCode": "991007"});
    let second = site.ask(Method::POST, "/sessions", Some(("", "K-1")), Some(body.clone())).await;
    assert_eq!((second.status.as_u16(), second.problem()), (502, "withheld".to_owned()));
    assert!(!second.text().contains("r-1") && !second.text().contains(&first), "{}", second.text());
    let latched = site.ask(Method::POST, "/sessions", Some(("", "K-1")), Some(body)).await;
    assert_eq!(latched.problem(), "suspended", "the authority was contradicted: a person must look at it");
}

/// munakata-previous-result (R4): the answer to another question, under our request id, is no opened session.
#[tokio::test]
async fn an_opened_session_that_does_not_say_whose_it_is_is_withheld() {
    let site = Site::start().await;
    let person = json!({"id": "r-9", "name": "関守　二郎", "birth": "1981-04-13", "address": "見本市本町9"});
    let ask = json!({"cardSerial": "card-1", "cityCode": "991007"});
    for (n, answer) in [person, json!([]), json!({"sessionId": "s-1"}), json!({"residentId": "r-1", "sessionId": ""})]
        .into_iter()
        .enumerate()
    {
        site.backend.open_with(answer);
        let opened = site.ask(Method::POST, "/sessions", Some(("", "K-1")), Some(ask.clone())).await;
        assert_eq!((opened.status.as_u16(), opened.problem()), (502, "withheld".to_owned()), "{n}");
        assert!(!opened.text().contains("r-9") && !opened.text().contains("関守"), "{}", opened.text());
    }
    assert!(!site.open("K-1", "card-1").await.is_empty());
}

/// What speaks of nobody has nothing to say: a body that nothing was compared with may be anybody's.
#[tokio::test]
async fn a_closed_session_hands_out_no_body_that_the_route_does_not_declare() {
    let site = Site::start().await;
    let session = site.open("K-1", "card-1").await;
    site.backend.close_with(json!({"id": "r-9", "name": "関守　二郎"}));
    let closed = site.ask(Method::DELETE, &format!("/sessions/{session}"), Some((&session, "K-1")), None).await;
    assert_eq!((closed.status.as_u16(), closed.problem()), (502, "withheld".to_owned()));
    assert!(!closed.text().contains("r-9"), "{}", closed.text());
    let after = site.ask(Method::GET, "/residents/r-1", Some((&session, "K-1")), None).await;
    assert_eq!(after.problem(), "unknown_session", "it is closed all the same");
}

#[tokio::test]
async fn an_id_that_two_people_were_given_is_nobodys() {
    let site = Site::start().await;
    let first = site.open("K-1", "card-1").await;
    // The resident is right, but the id is another's.
    site.backend.hand_out_again(&first, "r-2");
    let body = json!({"cardSerial": "card-2", "cityCode": "991007"});
    let second = site.ask(Method::POST, "/sessions", Some(("", "K-1")), Some(body)).await;
    assert_eq!((second.status.as_u16(), second.problem()), (502, "withheld".to_owned()));
    let revived = site.ask(Method::DELETE, &format!("/sessions/{first}"), Some((&first, "K-1")), None).await;
    assert_eq!(revived.problem(), "unknown_session");
}

#[tokio::test]
async fn another_residents_answer_is_withheld_and_ends_the_session() {
    let site = Site::start().await;
    let session = site.open("K-1", "card-1").await;
    site.backend.answer_about("r-2");
    let wrong = site.ask(Method::GET, "/residents/r-1", Some((&session, "K-1")), None).await;
    assert_eq!((wrong.status.as_u16(), wrong.problem()), (502, "withheld".to_owned()));
    assert!(!wrong.text().contains("r-2"));
    let after = site.ask(Method::GET, "/residents/r-1", Some((&session, "K-1")), None).await;
    assert_eq!(after.status.as_u16(), 409, "{}", after.text());
}

#[tokio::test]
async fn a_hang_up_destroys_the_answer_and_cancels_nothing_that_began() {
    let site = Site::start().await;
    let session = site.open("K-1", "card-1").await;
    let ended = |how: &str| {
        let labels = format!("municipality=\"991007\",mode=\"enforce\",end=\"{how}\"");
        site.metric(&format!("sekisho_documents_ended_total{{{labels}}}"))
    };
    let released_before = ended("released");
    site.backend.hold();
    let mut kiosk = TcpStream::connect(site.address).await.unwrap();
    let head = format!("GET /residents/r-1 HTTP/1.1\r\nHost: x\r\nX-Terminal: K-1\r\nX-Session: {session}\r\n\r\n");
    kiosk.write_all(head.as_bytes()).await.unwrap();
    site.backend.until(|backend| backend.holding() == 1).await;
    drop(kiosk);
    counted(|| site.outcomes("cancelled") == 1.0).await;
    site.backend.go_on();
    site.backend.until(|backend| backend.finished("/residents/r-1") == 1).await;
    counted(|| ended("destroyed") == 1.0).await;
    assert_eq!(ended("released"), released_before);
}

#[tokio::test]
async fn cleartext_http_2_is_served_with_prior_knowledge() {
    let site = Site::start().await;
    let stream = TcpStream::connect(site.address).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(executor, hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    let driving = tokio::spawn(connection);
    let request =
        http::Request::get("http://kiosk-side/notice").body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, http::Version::HTTP_2));
    driving.abort();
}

/// Sends raw bytes on one connection and returns everything that comes back.
async fn raw(site: &Site, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut back = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut back)).await;
    assert!(read.is_ok(), "the connection was left open; so far: {}", String::from_utf8_lossy(&back));
    String::from_utf8_lossy(&back).into_owned()
}

#[tokio::test]
async fn ambiguous_framing_is_refused_and_the_connection_closed() {
    let site = Site::start().await;
    let smuggled = "GET /notice HTTP/1.1\r\nHost: x\r\n\r\n";
    for attack in [
        format!(
            "POST /sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"
        ),
        format!(
            "POST /sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{smuggled}"
        ),
        format!("POST /sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n{smuggled}"),
        format!("POST /sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 0\r\n\r\n{smuggled}"),
        format!("GET /notice HTTP/1.1\nHost: x\n\n{smuggled}"),
        format!("GET /notice HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n{smuggled}"),
        format!("POST /sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\n\n{smuggled}"),
        format!("POST /sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("GET /notice HTTP/1.1\r\nHost : x\r\n\r\n{smuggled}"),
    ] {
        let back = raw(&site, attack.as_bytes()).await;
        let answers = back.matches("HTTP/1.1 ").count();
        assert!(answers <= 1 && (answers == 0 || back.starts_with("HTTP/1.1 4")), "{attack:?} got {back:?}");
    }
    assert_eq!(site.backend.calls(), 0);
    let unreadable = || site.metric("sekisho_connections_refused_total{reason=\"unreadable\"}") >= 8.0;
    counted(unreadable).await;
    let good = raw(&site, b"GET /notice HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(good.starts_with("HTTP/1.1 200 "), "{good}");
}

#[tokio::test]
async fn a_slow_head_or_body_or_too_large_a_head_is_given_up() {
    let site = Site::start().await;
    let silent = raw(&site, b"").await;
    assert_eq!(silent, "");
    let slow_head = raw(&site, b"GET /notice HTTP/1.1\r\nHost:").await;
    assert!(!slow_head.contains("200"), "{slow_head}");
    let slow_body = raw(&site, b"POST /sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{").await;
    assert!(slow_body.starts_with("HTTP/1.1 408 ") && slow_body.contains("slow_request"), "{slow_body}");
    let huge = format!("GET /notice HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(40_000));
    let huge = raw(&site, huge.as_bytes()).await;
    assert!(huge.is_empty() || huge.starts_with("HTTP/1.1 4"), "{huge}");
}

#[tokio::test]
async fn a_drain_lets_what_is_in_flight_finish_and_takes_nothing_new() {
    let site = Site::start().await;
    let session = site.open("K-1", "card-1").await;
    site.backend.hold();
    let asking = tokio::spawn(site.request(Method::GET, "/residents/r-1", Some((&session, "K-1")), None));
    site.backend.until(|backend| backend.holding() == 1).await;
    site.edge.drain.begin();
    eventually_refused(&site).await;
    site.backend.go_on();
    let answer = asking.await.unwrap();
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    assert_eq!(site.serving.await.unwrap(), 0, "no connection was cut");
}

/// Waits for a count; gateway and test share one thread, so whatever makes it goes on while this one gives way.
async fn counted(so: impl Fn() -> bool) {
    let asked = async {
        while !so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asked).await.expect("it was not counted within 20 s");
}

async fn eventually_refused(site: &Site) {
    for _ in 0..200 {
        if TcpStream::connect(site.address).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the listener is still open");
}

#[tokio::test]
async fn a_change_without_an_acknowledgement_is_indeterminate_with_its_key_and_sent_once() {
    let site = Site::start().await;
    let session = site.open("K-1", "card-1").await;
    site.backend.cut_next();
    let mut request =
        site.build(Method::POST, "/residents/r-1/address", Some((&session, "K-1")), Some(json!({"address": "x"})));
    request.headers_mut().insert("idempotency-key", "key-7".parse().unwrap());
    let answer = site.send(request).await;
    assert_eq!((answer.status.as_u16(), answer.problem()), (504, "indeterminate".to_owned()));
    assert_eq!(answer.json()["idempotencyKey"], "key-7");
    assert_eq!(answer.json()["retrySafe"], false);
    assert_eq!(site.backend.finished("/residents/r-1/address"), 1, "never sent again by us");
}

#[tokio::test]
async fn what_is_in_flight_when_its_municipality_is_disabled_or_its_route_is_gone_does_not_leave() {
    let route = "match     = \"GET /residents/{id}\"";
    for (from, to) in [
        ("enabled = true", "enabled = false"),
        ("[tenants.991007]", "[tenants.991015]"),
        (route, "match = \"GET /people/{id}\""),
    ] {
        let site = Site::start().await;
        let session = site.open("K-1", "card-1").await;
        site.backend.hold();
        let asking = tokio::spawn(site.request(Method::GET, "/residents/r-1", Some((&session, "K-1")), None));
        site.backend.until(|backend| backend.holding() == 1).await;
        site.reconfigure(from, to);
        site.backend.go_on();
        let answer = asking.await.unwrap();
        if from == route {
            assert_eq!(answer.status.as_u16(), 200, "the same operation of the same name");
        } else {
            assert_eq!(
                (answer.problem(), answer.json()["reason"].as_str().unwrap_or("").to_owned()),
                ("withheld".to_owned(), "switched_off".to_owned()),
                "{to}"
            );
        }
    }
}

/// stale-seal (R7): the record system says that the seal is cancelled, so the issuer is not even asked for its certificate.
#[tokio::test]
async fn what_the_authority_says_no_to_is_never_asked_of_the_backend() {
    let site = Site::start().await;
    let session = site.open("K-1", "card-1").await;
    let who = Some((&*session, "K-1"));
    site.backend.authority(Authority::Revoked);
    let refused = site.ask(Method::GET, "/seals/r-1", who, None).await;
    assert_eq!((refused.status.as_u16(), refused.problem()), (422, "refused".to_owned()), "{}", refused.text());
    site.backend.authority(Authority::Down);
    let down = site.ask(Method::GET, "/seals/r-1", who, None).await;
    assert_eq!(down.problem(), "unavailable", "{}", down.text());
    let change = site.ask(Method::POST, "/residents/r-1/name", who, Some(json!({"name": "x"}))).await;
    assert_eq!(change.problem(), "unavailable", "its version could not be told afterwards: {}", change.text());
    assert_eq!(site.backend.finished("/seals/r-1") + site.backend.finished("/residents/r-1/name"), 0);
    site.backend.authority(Authority::Active);
    let seal = site.ask(Method::GET, "/seals/r-1", who, None).await;
    assert_eq!(seal.status.as_u16(), 200, "the session lives on: {}", seal.text());
}

/// It would hold a permit, and a certificate in memory, for as long as it likes.
#[tokio::test]
async fn a_kiosk_that_takes_nothing_of_its_answers_is_cut() {
    let site = Site::start().await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let kiosk = socket.connect(site.address).await.unwrap();
    let cut = || site.metric("sekisho_connections_refused_total{reason=\"stalled\"}") == 1.0;
    let asking = async {
        let requests = "GET /undeclared HTTP/1.1\r\nhost: t\r\n\r\n".repeat(1000);
        // Asks on and on and never reads, until no buffer on the way has room.
        while !cut() {
            if kiosk.try_write(requests.as_bytes()).is_err() {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asking).await.expect("it was never cut");
}

#[tokio::test]
async fn a_stream_whose_window_stays_shut_is_cut_with_its_connection() {
    let site = Site::start().await;
    let stream = TcpStream::connect(site.address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
        .initial_stream_window_size(0)
        .handshake(io)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://t/undeclared").body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    // Whether its head arrives before the cut is a matter of luck.
    let answer = sender.send_request(request).await;
    tokio::time::timeout(Duration::from_secs(60), connection).await.expect("it was never cut").unwrap().ok();
    assert_eq!(site.metric("sekisho_connections_refused_total{reason=\"stalled\"}"), 1.0);
    drop(answer);
}

#[tokio::test]
async fn what_is_in_flight_when_it_is_switched_off_does_not_leave_and_nothing_new_is_begun() {
    for scope in ["all", "municipality/991007", "backend/issuer", "backend/residents"] {
        let site = Site::start().await;
        let session = site.open("K-1", "card-1").await;
        site.backend.hold();
        let asked = tokio::spawn(site.request(Method::GET, "/residents/r-1", Some((&session, "K-1")), None));
        site.backend.until(|backend| backend.holding() == 1).await;
        let scope = Scope::parse(scope).unwrap();
        let switch = site.edge.switches.set(scope.clone(), "関所 守", "訓練").await.unwrap();
        site.backend.go_on();
        let answer = asked.await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.problem()), (502, "withheld".to_owned()), "{scope}");
        assert_eq!(answer.json()["reason"], "switched_off", "{scope}");
        // The session ended with the withheld answer; somebody else comes.
        let calls = site.backend.calls();
        let body = || Some(json!({"cardSerial": "card-2", "cityCode": "991007"}));
        let after = site.ask(Method::POST, "/sessions", Some(("", "K-2")), body()).await;
        assert_eq!((after.status.as_u16(), after.problem()), (503, "switched_off".to_owned()), "{scope}");
        assert_eq!(site.backend.calls(), calls, "{scope}");
        site.edge.switches.clear(&switch.id, "関所 守", "訓練終了").await.unwrap();
        let again = site.ask(Method::POST, "/sessions", Some(("", "K-2")), body()).await;
        assert_eq!(again.status.as_u16(), 201, "{scope}: {}", again.text());
    }
}

#[tokio::test]
async fn a_session_can_be_closed_where_its_municipality_is_switched_off_but_not_where_its_backend_is() {
    let site = Site::start().await;
    for (scope, kiosk, status) in [("municipality/991007", "K-1", 204), ("backend/issuer", "K-2", 503)] {
        let session = site.open(kiosk, "card-1").await;
        let switch = site.edge.switches.set(Scope::parse(scope).unwrap(), "a", "b").await.unwrap();
        let closed = site.ask(Method::DELETE, &format!("/sessions/{session}"), Some((&session, kiosk)), None).await;
        assert_eq!(closed.status.as_u16(), status, "{scope}: {}", closed.text());
        site.edge.switches.clear(&switch.id, "a", "b").await.unwrap();
    }
}
