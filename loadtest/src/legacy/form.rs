//! The same backend as an asynchronous issuing server that speaks forms: a call becomes the one that it stands for, and a certificate
//! a job. Every answer comes under status 200, a no as well: its `result` says which.

use bytes::Bytes;
use serde_json::{Value, json};

use super::front::Answer;
use super::wire::Request;
use crate::form::{CONTENT_TYPE, Fields, read};
use crate::soap::{KINDS, object};

/// What is asked for in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Anything that is answered at once.
    Plain,
    /// A certificate: accepted as a job.
    Accept,
    /// How a job stands.
    Status(String),
    /// What came out of a job.
    Output(String),
}

/// The call that a form stands for; `None` where the request is no form of this backend.
pub(super) fn understand(request: &Request) -> Option<(Request, Step)> {
    let name = request.path.strip_prefix("/cgi-bin/")?.strip_suffix(".cgi").filter(|_| request.method == "POST")?;
    let asked = read(&request.body);
    let say = |key: &str| asked.say(key).to_owned();
    let (number, terminal) = (say("number"), say("terminal"));
    let (method, path, body, step) = match name {
        "open" => {
            let body = [("terminal", terminal.clone()), ("cardSerial", say("card")), ("cityCode", say("city"))];
            ("POST", "/sessions".to_owned(), object(body), Step::Plain)
        }
        "close" => ("DELETE", format!("/sessions/{}", say("session")), Value::Null, Step::Plain),
        "issue" => {
            let path = KINDS.iter().find(|(code, _)| *code == say("kind")).map_or("none", |(_, path)| path);
            let body = object([("copies", say("copies")), ("scope", say("scope"))]);
            ("POST", format!("/certificates/{path}"), body, Step::Accept)
        }
        "status" => ("GET", String::new(), Value::Null, Step::Status(say("job"))),
        "output" => ("GET", String::new(), Value::Null, Step::Output(say("job"))),
        "inquiry" => ("GET", format!("/residents/{number}"), Value::Null, Step::Plain),
        "change" => {
            let body = object([("address", say("address"))]);
            ("POST", format!("/residents/{number}/address"), body, Step::Plain)
        }
        _ => return None,
    };
    let mut headers = vec![("x-terminal", terminal), ("x-session", say("session")), ("idempotency-key", say("key"))];
    headers.retain(|(_, value)| !value.is_empty());
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    Some((request.rewritten(method, path, headers, body), step))
}

/// Writes an answer as a form, unless it is paper.
pub(super) fn fill_in(answer: &mut Answer) {
    if answer.status == 204 || answer.media_type != "application/json" {
        return;
    }
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |at: &str| said.pointer(at).map(plain).unwrap_or_default();
    let fields = match answer.status {
        200..300 => Fields::of([("result", "00")]),
        409 | 422 => Fields::of([("result", "10")]),
        _ => Fields::of([("result", "90")]),
    };
    let number = ["/residentId", "/id", "/error/residentId"].map(text).into_iter().find(|id| !id.is_empty());
    let fields = [
        ("request", text("/requestId")),
        ("job", text("/job")),
        ("state", text("/state")),
        ("session", text("/sessionId")),
        ("number", number.unwrap_or_default()),
        ("city", text("/cityCode")),
        ("birth", text("/birth")),
        ("sex", text("/sex")),
        ("address", text("/address")),
        ("version", text("/version")),
        ("code", text("/error/code")),
        ("message", text("/message")),
    ]
    .into_iter()
    .fold(fields, |fields, (name, value)| fields.and(name, &value));
    answer.status = 200;
    answer.body = fields.write();
    answer.media_type = CONTENT_TYPE;
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// What is said about a job, before it is a form.
pub(super) fn about_job(echo: &str, id: &str, state: Option<&str>) -> Answer {
    Answer::json(200, echo, &json!({ "job": id, "state": state, "requestId": echo }))
}
