//! Any bytes as an answer with its document in base64 inside: a document or a reason. The first byte says what the rest is:
//! the whole answer, what stands where the base64 should, or a document, which must be read as if it stood alone.

#![no_main]

use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use sekisho_fuzz::bounded;
use sekisho_gateway::config::parse;
use sekisho_gateway::route::Route;
use sekisho_issuance::checks::Content;
use sekisho_issuance::document::{Limits, read};

const BEFORE: &[u8] = b"<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
    xmlns:j=\"urn:example:juki:1\"><s:Body><j:IssueResult><j:Pdf>";
const AFTER: &[u8] = b"</j:Pdf></j:IssueResult></s:Body></s:Envelope>";

static ROUTE: LazyLock<Arc<Route>> = LazyLock::new(|| {
    let config = parse(include_str!("../../loadtest/demo/gateway-soap.toml")).unwrap();
    config.routes.iter().find(|route| &*route.name == "resident_record").unwrap().clone()
});

fn around(inside: &[u8]) -> Vec<u8> {
    [BEFORE, inside, AFTER].concat()
}

/// As senders fold it.
fn folded(bytes: &[u8]) -> Vec<u8> {
    STANDARD.encode(bytes).as_bytes().chunks(76).flat_map(|line| [line, b"\r\n"]).flatten().copied().collect()
}

fn said(answer: &[u8]) -> Content<'_> {
    ROUTE.checks.read(answer, Some("text/xml; charset=Shift_JIS"))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    bounded(|| {
        match first % 3 {
            0 => drop(said(bytes)),
            1 => drop(said(&around(bytes))),
            _ => {
                let alone = read(bytes, &Limits::default());
                let answer = around(&folded(bytes));
                let Content::Enclosed(_, inside) = said(&answer) else {
                    panic!("a good answer around it")
                };
                match (inside, alone) {
                    (Ok(inside), Ok(alone)) => assert_eq!(inside.content_digest, alone.content_digest),
                    (Ok(_), Err(_)) => panic!("read inside, and not alone"),
                    // The route bounds its size and what may stand behind its end.
                    (Err(_), _) => {}
                }
            }
        }
    });
});
