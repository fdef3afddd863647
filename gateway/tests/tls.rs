//! TLS on both sides of the gateway, over real sockets: who is let in, who is believed, and what a change of files does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

#[allow(dead_code, reason = "each test file uses its own part")]
mod backend;
mod offices;

use std::path::Path;
use std::sync::{Arc, Mutex};

use backend::{Site, exchange};
use http::Method;
use offices::{Office, Shown};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::ServerName;
use sekisho_gateway::admin::readiness;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

const TLS: &str =
    r#"tls = { identity = "side.pem", key_file = "side.key", clients = "centre.pem", handshake_timeout = "3s" }"#;

/// Writes what `TLS` names.
fn install(folder: &Path, centre: &Office, identity: &Shown) {
    std::fs::write(folder.join("side.pem"), &identity.chain).unwrap();
    std::fs::write(folder.join("side.key"), &identity.key).unwrap();
    std::fs::write(folder.join("centre.pem"), centre.pem()).unwrap();
}

/// A gateway with mTLS towards kiosks, whose facts name the kiosk as `kiosk` says.
async fn site(centre: &Office, kiosk: &str) -> Site {
    site_with(centre, |text| text.replace(r#"kiosk = { header = "X-Terminal" }"#, &format!("kiosk = {kiosk}"))).await
}

async fn site_with(centre: &Office, edit: impl FnOnce(String) -> String) -> Site {
    Site::start_with(None, |text, folder| {
        install(folder, centre, &centre.issue("localhost"));
        edit(text).replace("[state]", &format!("{TLS}\n[state]"))
    })
    .await
}

/// A connection from a kiosk that shows `identity` and trusts `centre`.
async fn dial(
    site: &Site,
    centre: &Office,
    identity: Option<&Shown>,
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut config = centre.client(identity);
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(site.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// The status of `GET /notice`, or `None` where the gateway does not talk to this kiosk.
async fn notice(site: &Site, centre: &Office, identity: Option<&Shown>) -> Option<u16> {
    let stream = dial(site, centre, identity, &["http/1.1"]).await.ok()?;
    let request = site.build(Method::GET, "/notice", None, None);
    exchange(stream, request).await.ok().map(|reply| reply.status.as_u16())
}

const BY_URI: &str = r#"{ client_cert = "san_uri" }"#;

#[tokio::test]
async fn only_a_kiosk_with_an_identity_that_the_centre_signed_and_that_holds_is_heard() {
    let (centre, stranger) = (Office::new("centre"), Office::new("stranger"));
    let site = site(&centre, BY_URI).await;
    let refused = || site.metric("sekisho_connections_refused_total{reason=\"tls_failed\"}");
    assert_eq!(notice(&site, &centre, Some(&centre.issue("urn:kiosk:K-1"))).await, Some(200));
    assert_eq!(refused(), 0.0);
    assert_eq!(notice(&site, &centre, None).await, None, "none shown");
    assert_eq!(notice(&site, &centre, Some(&stranger.issue("urn:kiosk:K-1"))).await, None, "another authority's");
    assert_eq!(notice(&site, &centre, Some(&centre.ended("urn:kiosk:K-1"))).await, None, "it has ended");
    assert_eq!(refused(), 3.0);
    let plain = TcpStream::connect(site.address).await.unwrap();
    assert!(exchange(plain, site.build(Method::GET, "/notice", None, None)).await.is_err(), "in the clear");
}

#[tokio::test]
async fn both_protocols_are_agreed_on() {
    let centre = Office::new("centre");
    let site = site(&centre, BY_URI).await;
    let kiosk = centre.issue("urn:kiosk:K-1");
    let stream = dial(&site, &centre, Some(&kiosk), &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let executor = hyper_util::rt::TokioExecutor::new();
    let handshake = hyper::client::conn::http2::handshake(executor, hyper_util::rt::TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    let driving = tokio::spawn(connection);
    let request = http::Request::get("https://localhost/notice").body(http_body_util::Full::new(bytes::Bytes::new()));
    assert_eq!(sender.send_request(request.unwrap()).await.unwrap().status().as_u16(), 200);
    driving.abort();
    // What was agreed is kept to, whatever the first bytes look like.
    let mut stream = dial(&site, &centre, Some(&kiosk), &["http/1.1"]).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
    assert!(said.starts_with(b"HTTP/1.1 4") || said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test]
async fn a_kiosk_that_claims_anothers_id_is_who_its_identity_says() {
    let centre = Office::new("centre");
    let site = site(&centre, BY_URI).await;
    let (one, two) = (centre.issue("urn:kiosk:K-1"), centre.issue("urn:kiosk:K-2"));
    let ask = async |kiosk: &Shown, method: Method, path: &str, who, body| {
        let stream = dial(&site, &centre, Some(kiosk), &[]).await.unwrap();
        exchange(stream, site.build(method, path, who, body)).await.unwrap()
    };
    let card = json!({"cardSerial": "card-1", "cityCode": "991007"});
    let opened = ask(&one, Method::POST, "/sessions", Some(("", "urn:kiosk:K-2")), Some(card)).await;
    let session = opened.json()["sessionId"].as_str().unwrap().to_owned();
    // The header says that it is the first kiosk; its identity says otherwise.
    let stolen = ask(&two, Method::GET, "/residents/r-1", Some((&session, "urn:kiosk:K-1")), None).await;
    assert_eq!((stolen.status.as_u16(), stolen.problem()), (409, "session_conflict".to_owned()));
    assert_eq!(site.metric("sekisho_pins_refused_total{reason=\"kiosk\"}"), 1.0);
    let own = ask(&one, Method::GET, "/residents/r-1", Some((&session, "whatever")), None).await;
    assert_eq!(own.status.as_u16(), 200, "{}", own.text());
}

#[tokio::test]
async fn a_header_that_contradicts_the_identity_beside_it_is_a_conflict() {
    let centre = Office::new("centre");
    let site = site(&centre, r#"{ header = "X-Terminal", client_cert = "san_uri" }"#).await;
    let one = centre.issue("urn:kiosk:K-1");
    let open = async |claimed: &str| {
        let card = json!({"cardSerial": "card-1", "cityCode": "991007"});
        let stream = dial(&site, &centre, Some(&one), &[]).await.unwrap();
        exchange(stream, site.build(Method::POST, "/sessions", Some(("", claimed)), Some(card))).await.unwrap()
    };
    let lied = open("urn:kiosk:K-2").await;
    assert_eq!((lied.status.as_u16(), lied.problem()), (409, "session_conflict".to_owned()));
    assert_eq!(site.backend.calls(), 0);
    assert_eq!(open("urn:kiosk:K-1").await.status.as_u16(), 201);
}

#[tokio::test]
async fn the_word_of_a_trusted_source_is_taken_from_it_alone() {
    let centre = Office::new("centre");
    let site = site_with(&centre, |text| {
        let source = r#"authority = { trusted_source = { client_cert = "san_uri", in = ["urn:centre:1"] } }"#;
        let inquiry = "[routes.inquiry.checks]";
        text.replacen(inquiry, &format!("{source}\n{inquiry}"), 1)
    })
    .await;
    let ask = async |identity: &str| {
        let identity = centre.issue(identity);
        let dial = || dial(&site, &centre, Some(&identity), &[]);
        let card = json!({"cardSerial": "card-1", "cityCode": "991007"});
        let open = site.build(Method::POST, "/sessions", Some(("", "K-1")), Some(card));
        let session =
            exchange(dial().await.unwrap(), open).await.unwrap().json()["sessionId"].as_str().unwrap().to_owned();
        let ask = site.build(Method::GET, "/residents/r-1", Some((&session, "K-1")), None);
        exchange(dial().await.unwrap(), ask).await.unwrap()
    };
    assert_eq!(ask("urn:centre:1").await.status.as_u16(), 200);
    assert_eq!(ask("urn:centre:2").await.problem(), "unproven_resident");
}

#[tokio::test]
async fn ambiguous_framing_is_refused_inside_tls_too() {
    let centre = Office::new("centre");
    let site = site(&centre, BY_URI).await;
    let mut stream = dial(&site, &centre, Some(&centre.issue("urn:kiosk:K-1")), &["http/1.1"]).await.unwrap();
    let smuggled = "POST /sessions HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /notice HTTP/1.1\r\nHost: a\r\n\r\n";
    stream.write_all(smuggled.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
    let said = String::from_utf8_lossy(&said);
    assert!(said.starts_with("HTTP/1.1 400") && said.matches("HTTP/1.1").count() == 1, "{said}");
    assert_eq!((site.backend.calls(), site.backend.finished("/notice")), (0, 0));
}

#[tokio::test]
async fn files_change_under_an_open_connection_and_broken_ones_change_nothing() {
    let centre = Office::new("centre");
    let site = site(&centre, BY_URI).await;
    let kiosk = centre.issue("urn:kiosk:K-1");
    let shown = |stream: &TlsStream<TcpStream>| stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let stream = dial(&site, &centre, Some(&kiosk), &[]).await.unwrap();
    let before = shown(&stream);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    let driving = tokio::spawn(connection);
    let mut ask = async || sender.send_request(site.build(Method::GET, "/notice", None, None)).await.unwrap().status();
    assert_eq!(ask().await.as_u16(), 200);

    // A new identity, and another centre: the open connection goes on, the next ones see both.
    let moved = Office::new("moved");
    install(site.dir.path(), &moved, &centre.issue("localhost"));
    site.edge.refresh_tls();
    assert_eq!(ask().await.as_u16(), 200);
    assert_eq!(notice(&site, &centre, Some(&kiosk)).await, None);
    let newer = moved.issue("urn:kiosk:K-1");
    let stream = dial(&site, &centre, Some(&newer), &[]).await.unwrap();
    let after = shown(&stream);
    assert_ne!(before, after);

    // A key that does not belong to its chain, an identity that has ended, no PEM: each keeps what is in force.
    let good = centre.issue("localhost");
    for broken in [
        Shown { key: centre.issue("localhost").key, ..good.clone() },
        centre.ended("localhost"),
        Shown { chain: "x".to_owned(), ..good.clone() },
    ] {
        install(site.dir.path(), &moved, &broken);
        site.edge.refresh_tls();
        let reasons = readiness(&site.edge).reasons;
        let said = reasons.iter().any(|r| r.reason == "tls_files_broken" && r.about.as_deref() == Some("kiosks"));
        assert!(said, "{reasons:?}");
        let stream = dial(&site, &centre, Some(&newer), &[]).await.unwrap();
        assert_eq!(shown(&stream), after);
    }
    install(site.dir.path(), &moved, &good);
    site.edge.refresh_tls();
    assert!(readiness(&site.edge).reasons.iter().all(|r| r.reason != "tls_files_broken"));
    assert_ne!(shown(&dial(&site, &centre, Some(&newer), &[]).await.unwrap()), after);
    assert_eq!(ask().await.as_u16(), 200, "the first connection is still the first");
    driving.abort();
}

#[tokio::test]
async fn a_silent_handshake_is_cut_and_one_too_many_is_closed_at_once() {
    let centre = Office::new("centre");
    let site = site_with(&centre, |text| text).await;
    let ended = async |mut stream: TcpStream| stream.read(&mut [0]).await;
    let silent = TcpStream::connect(site.address).await.unwrap();
    assert!(matches!(ended(silent).await, Ok(0) | Err(_)));
    assert_eq!(site.metric("sekisho_connections_refused_total{reason=\"tls_late\"}"), 1.0);

    site.reconfigure("handshake_timeout = \"3s\"", "handshake_timeout = \"1h\", max_handshakes = 1");
    let first = TcpStream::connect(site.address).await.unwrap();
    let second = TcpStream::connect(site.address).await.unwrap();
    // Whichever of the two came first holds the one place.
    tokio::select! {
        ended = ended(first) => assert!(matches!(ended, Ok(0) | Err(_))),
        ended = ended(second) => assert!(matches!(ended, Ok(0) | Err(_))),
    }
    assert_eq!(site.metric("sekisho_connections_refused_total{reason=\"tls_full\"}"), 1.0);
}

/// A gateway in front of a backend that speaks TLS and wants to see who asks.
async fn behind(office: &Office, clients: &Office, tls: &str, shown: Option<&Shown>) -> Site {
    behind_server(office.server(&office.issue("localhost"), clients), office, clients, tls, shown).await
}

async fn behind_server(
    server: rustls::ServerConfig,
    office: &Office,
    clients: &Office,
    tls: &str,
    shown: Option<&Shown>,
) -> Site {
    Site::start_with(Some(Arc::new(server)), |text, folder| {
        std::fs::write(folder.join("office.pem"), office.pem()).unwrap();
        std::fs::write(folder.join("clients.pem"), clients.pem()).unwrap();
        if let Some(shown) = shown {
            std::fs::write(folder.join("own.pem"), &shown.chain).unwrap();
            std::fs::write(folder.join("own.key"), &shown.key).unwrap();
        }
        let text = text.replace("address       = \"http://127.0.0.1:", "address       = \"https://127.0.0.1:");
        text.replace("max_in_flight = 4", &format!("max_in_flight = 4\ntls = {tls}"))
    })
    .await
}

#[tokio::test]
async fn a_backend_is_believed_only_with_an_identity_for_its_name_and_sees_ours() {
    let (office, clients) = (Office::new("office"), Office::new("clients"));
    let own = clients.issue("urn:gateway:1");
    let named = |rest: &str| format!("{{ servers = \"office.pem\", server_name = \"localhost\"{rest} }}");
    let ours = ", identity = \"own.pem\", key_file = \"own.key\"";
    let good = behind(&office, &clients, &named(ours), Some(&own)).await;
    let session = good.open("K-1", "card-1").await;
    let answer = good.ask(Method::GET, "/residents/r-1", Some((&session, "K-1")), None).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());

    let unheard = async |site: Site| {
        let answer = site.ask(Method::GET, "/notice", None, None).await;
        assert!(answer.status.as_u16() >= 500, "{}", answer.text());
        assert_eq!(site.backend.finished("/notice"), 0);
    };
    unheard(behind(&office, &clients, &named(""), None).await).await;
    let stranger = Office::new("stranger").issue("urn:gateway:1");
    unheard(behind(&office, &clients, &named(ours), Some(&stranger)).await).await;
    let elsewhere = named(ours).replace("localhost", "issuer.example");
    unheard(behind(&office, &clients, &elsewhere, Some(&own)).await).await;
    let other = named(ours).replace("office.pem", "clients.pem");
    unheard(behind(&office, &clients, &other, Some(&own)).await).await;
}

/// A backend whose identity is exchanged while it serves.
#[derive(Debug)]
struct Showing(Mutex<Arc<CertifiedKey>>);

impl Showing {
    fn show(&self, identity: &Shown) {
        *self.0.lock().unwrap() = Arc::new(identity.certified());
    }
}

impl ResolvesServerCert for Showing {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.lock().unwrap().clone())
    }
}

#[tokio::test]
async fn another_authority_for_a_backend_rules_its_next_channels_under_an_open_connection() {
    let (office, moved, clients) = (Office::new("office"), Office::new("moved"), Office::new("clients"));
    let (before, after) = (office.issue("localhost"), moved.issue("localhost"));
    let showing = Arc::new(Showing(Mutex::new(Arc::new(before.certified()))));
    let mut server = office.server(&before, &clients);
    server.cert_resolver = showing.clone();
    // Each call on a channel of its own: one that is open goes on, whoever is believed from now on.
    let tls = "{ servers = \"office.pem\", server_name = \"localhost\", identity = \"own.pem\", key_file = \"own.key\" }\n\
               hazards = { fresh_connections = true }";
    let own = clients.issue("urn:gateway:1");
    let site = behind_server(server, &office, &clients, tls, Some(&own)).await;
    let stream = TcpStream::connect(site.address).await.unwrap();
    let (mut kiosk, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    let driving = tokio::spawn(connection);
    // Whether the backend heard of it, and was believed.
    let mut believed = async || {
        let heard = site.backend.finished("/notice");
        kiosk.ready().await.unwrap();
        let status =
            kiosk.send_request(site.build(Method::GET, "/notice", None, None)).await.unwrap().status().as_u16();
        assert!(status == 200 || status >= 500, "{status}");
        assert_eq!(site.backend.finished("/notice") > heard, status == 200);
        status == 200
    };
    assert!(believed().await);

    // The file holds another authority; a ticket that the backend gave before is worth nothing either.
    std::fs::write(site.dir.path().join("office.pem"), moved.pem()).unwrap();
    site.edge.refresh_tls();
    assert!(!believed().await, "the old authority is not believed any more");
    showing.show(&after);
    assert!(believed().await);

    // The configuration names another file.
    std::fs::write(site.dir.path().join("first.pem"), office.pem()).unwrap();
    site.reconfigure("servers = \"office.pem\"", "servers = \"first.pem\"");
    assert!(!believed().await);
    showing.show(&before);
    assert!(believed().await);

    // What holds no authority changes nothing, and is said.
    std::fs::write(site.dir.path().join("first.pem"), "x").unwrap();
    site.edge.refresh_tls();
    assert!(believed().await);
    let broken = readiness(&site.edge).reasons;
    let said = broken.iter().any(|r| r.reason == "tls_files_broken" && r.about.as_deref() == Some("issuer"));
    assert!(said, "{broken:?}");
    driving.abort();
}
