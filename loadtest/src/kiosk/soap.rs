//! What a kiosk sends and hears in SOAP.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::line::Reply;
use super::said::{Paper, Problem, Said, word};
use crate::soap::{self, KINDS, element};

/// The message for a call that JSON kiosks make with this method, path and body: where it goes, its action, and its text.
pub(super) fn message(
    method: &Method,
    path: &str,
    terminal: &str,
    session: Option<&str>,
    body: Option<&Value>,
    key: Option<&str>,
) -> (String, &'static str, Bytes) {
    let say = |name: &str| body.and_then(|body| body.get(name)?.as_str()).unwrap_or_default();
    let steps: Vec<&str> = path.split('/').skip(1).collect();
    let (operation, asked) = match (method.as_str(), steps.as_slice()) {
        ("POST", ["sessions"]) => ("Open", element("CardNo", say("cardSerial")) + &element("City", say("cityCode"))),
        ("POST", ["certificates", form]) => {
            let kind = KINDS.iter().find(|(_, path)| path == form).map_or("00", |(kind, _)| kind);
            let key = key.map_or_else(String::new, |key| element("Key", key));
            (
                "Issue",
                element("Kind", kind) + &element("Scope", say("scope")) + &element("Copies", say("copies")) + &key,
            )
        }
        ("GET", ["residents", id]) => ("Inquiry", element("Number", id)),
        ("POST", ["residents", id, "address"]) => {
            let key = element("Key", key.unwrap_or_default());
            ("Change", element("Number", id) + &key + &element("Address", say("address")))
        }
        _ => ("Close", String::new()),
    };
    let session = session.map_or_else(String::new, |session| element("Seq", session));
    let header = element("Terminal", terminal) + &session;
    let message = soap::envelope(&header, &format!("<j:{operation}>{asked}</j:{operation}>"));
    (format!("/juki/{operation}"), operation, message)
}

/// What a message means.
pub(super) fn said(reply: &Reply) -> Said {
    let status = reply.status.as_u16();
    let Some(message) = soap::read(&reply.body) else { return Said::Other(status) };
    let Some(body) = message.child("Body").and_then(|body| body.children.first()) else { return Said::Other(status) };
    if body.name == "Fault" {
        let (code, reason) = (body.text_at(&["detail", "Code"]).to_owned(), body.text_at(&["detail", "Reason"]));
        return match (word(&code), body.text_at(&["faultcode"])) {
            (Some(word), _) if !reason.is_empty() => {
                Said::Problem(Problem { status, word: word.to_owned(), reason: reason.to_owned() })
            }
            (None, _) if !reason.is_empty() => Said::Refused(code),
            (_, "s:Client") => Said::Refused(code),
            _ => Said::Other(status),
        };
    }
    if !reply.status.is_success() {
        return Said::Other(status);
    }
    match body.child("Pdf") {
        None => Said::Data(body.to_value()),
        Some(pdf) => {
            let encoded: Vec<u8> = pdf.text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
            let document = STANDARD.decode(encoded).map(|bytes| Paper { bytes: bytes.into() });
            document.map_or(Said::Other(status), Said::Paper)
        }
    }
}
