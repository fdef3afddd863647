//! What a kiosk sends and hears in forms. A certificate may come at once, or be a job that it asks for until it is done.

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value};

use super::line::Reply;
use super::said::{Problem, Said, word};
use crate::form::{Fields, read};
use crate::soap::KINDS;

/// The form for a call that JSON kiosks make with this method, path and body: where it goes, and its text.
pub(super) fn filled_in(
    method: &Method,
    path: &str,
    terminal: &str,
    session: Option<&str>,
    body: Option<&Value>,
    key: Option<&str>,
) -> (&'static str, Bytes) {
    let say = |name: &str| body.and_then(|body| body.get(name)?.as_str()).unwrap_or_default();
    let steps: Vec<&str> = path.split('/').skip(1).collect();
    let fields = Fields::of([("terminal", terminal)]).and("session", session.unwrap_or_default());
    let (cgi, fields) = match (method.as_str(), steps.as_slice()) {
        ("POST", ["sessions"]) => {
            ("/cgi-bin/open.cgi", fields.and("card", say("cardSerial")).and("city", say("cityCode")))
        }
        ("POST", ["certificates", form]) => {
            let kind = KINDS.iter().find(|(_, path)| path == form).map_or("00", |(kind, _)| kind);
            let fields = fields.and("kind", kind).and("scope", say("scope")).and("copies", say("copies"));
            ("/cgi-bin/issue.cgi", key.into_iter().fold(fields, |fields, key| fields.and("key", key)))
        }
        ("GET", ["residents", id]) => ("/cgi-bin/inquiry.cgi", fields.and("number", id)),
        ("POST", ["residents", id, "address"]) => {
            let fields = fields.and("number", id).and("key", key.unwrap_or_default());
            ("/cgi-bin/change.cgi", fields.and("address", say("address")))
        }
        _ => ("/cgi-bin/close.cgi", fields),
    };
    (cgi, fields.write())
}

/// The form that asks how a job stands, or for what came out of it.
pub(super) fn about(job: &str) -> Bytes {
    Fields::of([("job", job)]).write()
}

/// The job that an answer names, and how it says that the job stands.
pub(super) fn job(said: &Said) -> Option<(String, String)> {
    let Said::Data(data) = said else { return None };
    let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Some((text("job"), text("state"))).filter(|(job, _)| !job.is_empty())
}

/// What a form means.
pub(super) fn said(reply: &Reply) -> Said {
    let status = reply.status.as_u16();
    let fields = read(&reply.body);
    let (code, reason) = (fields.say("code"), fields.say("reason"));
    match (fields.say("result"), word(code)) {
        ("00", _) if reply.status.is_success() => {
            let names = [
                ("session", "sessionId"),
                ("number", "residentId"),
                ("number", "id"),
                ("version", "version"),
                ("job", "job"),
                ("state", "state"),
            ];
            let told = names.into_iter().filter(|(name, _)| !fields.say(name).is_empty());
            Said::Data(Value::Object(
                told.map(|(name, known)| (known.to_owned(), fields.say(name).into())).collect::<Map<_, _>>(),
            ))
        }
        (_, Some(word)) if !reason.is_empty() => {
            Said::Problem(Problem { status, word: word.to_owned(), reason: reason.to_owned() })
        }
        ("10", None) => Said::Refused(code.to_owned()),
        (_, None) if !reason.is_empty() => Said::Refused(code.to_owned()),
        _ => Said::Other(status),
    }
}
