//! Channels inside TLS: used again like plain ones, and given up for what stands behind an answer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panic"
)]

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use sekisho_worker::backend::{Address, BackendConfig};
use sekisho_worker::owner::{Attested, Owner};
use sekisho_worker::tls::{BackendTls, Files};
use support::{assignment, owner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

mod support;

/// A backend for `localhost` that answers the n-th request of a connection with `answers[n]`, and the file that vouches for it.
async fn backend(dir: &std::path::Path, answers: &'static [&'static str]) -> BackendConfig {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let office = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &office).unwrap();
    let provider = sekisho_worker::tls::provider();
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = builder.with_no_client_auth().with_single_cert(vec![own.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                let mut room = [0; 4096];
                for answer in answers {
                    let mut head = Vec::new();
                    // Every body is `{}`.
                    while !head.ends_with(b"{}") {
                        let read = stream.read(&mut room).await.unwrap_or(0);
                        if read == 0 {
                            return;
                        }
                        head.extend_from_slice(&room[..read]);
                    }
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    stream.flush().await.unwrap();
                }
                let _ = stream.shutdown().await;
                // Open below TLS until the other side goes.
                let _ = stream.get_mut().0.read(&mut room).await;
            });
        }
    });
    let trusted = dir.join("office.pem");
    std::fs::write(&trusted, office.pem()).unwrap();
    let files = Files { identity: None, trusted: Some(trusted) };
    let mut config = BackendConfig::new(Address::parse(&format!("https://{address}")).unwrap());
    config.tls = Some(Arc::new(BackendTls::open("localhost", files).unwrap()));
    config.hazards.fresh_connections = false;
    config
}

async fn ask(owner: &Arc<Owner>) -> Attested {
    owner.assign(assignment("/certificates/tax", &[1])).await.unwrap()
}

const FIRST: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst";
const SECOND: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond";

#[tokio::test]
async fn a_channel_inside_tls_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let backend = backend(dir.path(), &[FIRST, SECOND]).await;
    let owner = owner(dir.path(), &[("issuer", backend)]);
    // A channel rests for a moment before it is used again: meanwhile others are opened.
    for _ in 0..100 {
        let attested = ask(&owner).await;
        assert!(!attested.answer.framing_surprise);
        let again = attested.answer.body.as_slice() == b"second";
        attested.settlement.passed();
        if again {
            return;
        }
    }
    panic!("no connection served a second call");
}

#[tokio::test]
async fn an_orderly_end_of_tls_is_no_surprise_and_bytes_behind_an_answer_are() {
    let dir = tempfile::tempdir().unwrap();
    let good = backend(dir.path(), &[FIRST]).await;
    let mut fresh = good.clone();
    fresh.hazards.fresh_connections = true;
    let owner = owner(dir.path(), &[("issuer", fresh)]);
    let attested = ask(&owner).await;
    assert!(!attested.answer.framing_surprise);
    attested.settlement.passed();

    const TWICE: &str =
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond";
    for close in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = backend(dir.path(), &[TWICE]).await;
        config.hazards.fresh_connections = close;
        let owner = support::owner(dir.path(), &[("issuer", config)]);
        let attested = ask(&owner).await;
        assert_eq!(attested.answer.body.as_slice(), b"first");
        assert!(attested.answer.framing_surprise, "close: {close}");
        attested.settlement.surprised("test");
    }
}
