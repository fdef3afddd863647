//! The same backend in SOAP: a message becomes the call that it stands for, and the answer to that call a message.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::front::Answer;
use super::wire::Request;
use crate::soap::{self, CONTENT_TYPE, KINDS, element, elements};

/// What is asked for in SOAP; also the first part of the name of its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operation(&'static str);

const OPERATIONS: [&str; 6] = ["Open", "Close", "Issue", "Inquiry", "Change", "Card"];

/// The call that a message stands for; `None` where the request is no message.
pub(super) fn understand(request: &Request, records: bool) -> Option<(Request, Operation)> {
    let name = request.path.strip_prefix("/juki/").filter(|_| request.method == "POST")?;
    let name = OPERATIONS.into_iter().find(|known| *known == name)?;
    let message = soap::read(&request.body).unwrap_or_default();
    let asked = message.child("Body").and_then(|body| body.child(name)).cloned().unwrap_or_default();
    let say = |key: &str| asked.text_at(&[key]).to_owned();
    let terminal = message.text_at(&["Header", "Terminal"]).to_owned();
    let number = say("Number");
    let (method, path, body) = match name {
        "Open" => {
            let body = [("terminal", terminal.clone()), ("cardSerial", say("CardNo")), ("cityCode", say("City"))];
            ("POST", "/sessions".to_owned(), soap::object(body))
        }
        "Close" => ("DELETE", format!("/sessions/{}", message.text_at(&["Header", "Seq"])), Value::Null),
        "Issue" => {
            let path = KINDS.iter().find(|(code, _)| *code == say("Kind")).map_or("none", |(_, path)| path);
            let body = soap::object([("copies", say("Copies")), ("scope", say("Scope"))]);
            ("POST", format!("/certificates/{path}"), body)
        }
        "Inquiry" if records => ("GET", format!("/v2/residents/{number}"), Value::Null),
        "Inquiry" => ("GET", format!("/residents/{number}"), Value::Null),
        "Change" => ("POST", format!("/residents/{number}/address"), soap::object([("address", say("Address"))])),
        _ => ("GET", format!("/v2/cards/{}", say("CardNo")), Value::Null),
    };
    let mut headers = vec![("x-terminal", terminal)];
    headers.extend([("x-session", message.text_at(&["Header", "Seq"]).to_owned()), ("idempotency-key", say("Key"))]);
    headers.retain(|(_, value)| !value.is_empty());
    let body = if body.is_null() { String::new() } else { body.to_string() };
    Some((request.rewritten(method, path, headers, body.into()), Operation(name)))
}

/// Writes an answer as a message: a certificate as base64 in it, and every no as a fault.
pub(super) fn envelop(answer: &mut Answer, Operation(name): Operation) {
    let header = element("MessageId", &answer.echo);
    if answer.status == 204 {
        return;
    }
    let body = if (200..300).contains(&answer.status) {
        answer.status = 200;
        let inside = match answer.media_type {
            "application/pdf" => format!("{}<j:Pdf>{}</j:Pdf>", element("Result", "00"), folded(&answer.body)),
            _ => elements(&serde_json::from_slice(&answer.body).unwrap_or_default()),
        };
        format!("<j:{name}Result>{inside}</j:{name}Result>")
    } else {
        // A lawful no is the client's affair, anything else the server's; HTTP has one status for both.
        let whose = if matches!(answer.status, 409 | 422) { "s:Client" } else { "s:Server" };
        answer.status = 500;
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |at: &str| said.pointer(at).and_then(Value::as_str).unwrap_or_default();
        format!(
            "<s:Fault><faultcode>{whose}</faultcode><faultstring>{}</faultstring><detail>{}{}</detail></s:Fault>",
            text("/message"),
            element("Code", text("/error/code")),
            element("Number", text("/error/residentId")),
        )
    };
    answer.body = soap::envelope(&header, &body);
    answer.media_type = CONTENT_TYPE;
}

/// Base64 in lines, as mail has it.
fn folded(bytes: &[u8]) -> String {
    let encoded = STANDARD.encode(bytes);
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / 32);
    let mut rest = encoded.as_str();
    while let Some((line, after)) = rest.split_at_checked(76) {
        lines.push_str(line);
        lines.push_str("\r\n");
        rest = after;
    }
    lines + rest
}
