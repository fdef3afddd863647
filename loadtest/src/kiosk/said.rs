//! What an answer means to a kiosk: paper, data, a lawful no, the gateway's own no, or silence.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use super::line::{Reply, Trouble};

/// Delivered paper: from here on a person holds it.
#[derive(Debug)]
pub struct Paper {
    /// The document.
    pub bytes: Bytes,
}

/// A no that the gateway itself gave (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Status code.
    pub status: u16,
    /// The stable word: the last part of the problem type.
    pub word: String,
    /// The finer reason, where one is given.
    pub reason: String,
}

/// What a kiosk made of one exchange.
#[derive(Debug)]
pub enum Said {
    /// A certificate.
    Paper(Paper),
    /// The JSON of a success; null where a success has no body.
    Data(Value),
    /// The backend's lawful no, with its code.
    Refused(String),
    /// The gateway's no.
    Problem(Problem),
    /// An answer that none of these is: an error page, for instance.
    Other(u16),
    /// No complete answer.
    Nothing(Trouble),
}

impl Said {
    /// Reads one reply.
    pub fn of(reply: &Reply) -> Self {
        let media_type = media_type(&reply.headers);
        let json = || serde_json::from_slice::<Value>(&reply.body).ok();
        match media_type {
            "application/pdf" if reply.status.is_success() => Self::Paper(Paper { bytes: reply.body.clone() }),
            "application/problem+json" => {
                json().map_or(Self::Other(reply.status.as_u16()), |body| problem(reply.status.as_u16(), &body))
            }
            "application/json" => json().map_or(Self::Other(reply.status.as_u16()), |body| {
                if let Some(problem) = kiosk_problem(reply.status.as_u16(), &body) {
                    return Self::Problem(problem);
                }
                match body.pointer("/error/code").and_then(Value::as_str) {
                    Some(code) if matches!(reply.status.as_u16(), 409 | 422) => Self::Refused(code.to_owned()),
                    None if reply.status.is_success() => Self::Data(body),
                    _ => Self::Other(reply.status.as_u16()),
                }
            }),
            "text/xml" => super::soap::said(reply),
            "application/x-www-form-urlencoded" => super::form::said(reply),
            _ if reply.status == http::StatusCode::NO_CONTENT => Self::Data(Value::Null),
            _ => Self::Other(reply.status.as_u16()),
        }
    }

    /// The gateway's word, if it said no.
    pub fn problem_word(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => Some(&problem.word),
            _ => None,
        }
    }
}

fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// The gateway's no in the words of the worked configuration's kiosks (`[problems.kiosk-json]`).
fn kiosk_problem(status: u16, body: &Value) -> Option<Problem> {
    let reason = body.pointer("/error/reason")?.as_str()?.to_owned();
    let word = word(body.pointer("/error/code")?.as_str()?)?;
    Some(Problem { status, word: word.to_owned(), reason })
}

/// The gateway's word behind a code of the worked configurations.
pub(super) fn word(code: &str) -> Option<&'static str> {
    Some(match code {
        "WITHHELD" => "withheld",
        "BUSY" => "shed",
        "EXPIRED" => "expired",
        "CLOSED" => "closed",
        "SUSPENDED" => "suspended",
        "REJECTED" => "rejected",
        "INDETERMINATE" => "indeterminate",
        "SEKISHO" => "failed",
        // A backend's declared refusal keeps its own code.
        _ => return None,
    })
}

fn problem(status: u16, body: &Value) -> Said {
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let word = text("type").rsplit(':').next().unwrap_or_default().to_owned();
    match word.as_str() {
        // A rebuilt refusal shows the backend's declared code in place of the gateway's own.
        "refused" => Said::Refused(text("code")),
        _ => Said::Problem(Problem { status, word, reason: text("reason") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use std::time::Instant;

    fn said(status: u16, media_type: &'static str, body: &'static str) -> Said {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(media_type));
        let now = Instant::now();
        let status = StatusCode::from_u16(status).unwrap();
        Said::of(&Reply { status, headers, body: Bytes::from_static(body.as_bytes()), sent: now, done: now })
    }

    #[test]
    fn a_no_of_the_backend_means_the_same_directly_and_rebuilt() {
        let direct = said(409, "application/json", r#"{"error":{"code":"MOVED_OUT"}}"#);
        let rebuilt =
            said(409, "application/problem+json", r#"{"type":"urn:sekisho:problem:refused","code":"MOVED_OUT"}"#);
        for no in [direct, rebuilt] {
            assert!(matches!(no, Said::Refused(code) if code == "MOVED_OUT"));
        }
    }

    #[test]
    fn the_kiosks_own_words_for_a_no_are_understood() {
        let body = r#"{"error":{"code":"WITHHELD","reason":"identity"},"retrySafe":true}"#;
        assert_eq!(said(502, "application/json", body).problem_word(), Some("withheld"));
        let refusal = said(409, "application/json", r#"{"error":{"code":"MOVED_OUT","reason":"refused"}}"#);
        assert!(matches!(refusal, Said::Refused(code) if code == "MOVED_OUT"));
    }

    #[test]
    fn a_failure_of_the_backend_is_not_a_lawful_no() {
        assert!(matches!(said(503, "application/json", r#"{"error":{"code":"PRINT_TIMEOUT"}}"#), Said::Other(503)));
    }

    #[test]
    fn paper_under_an_error_status_is_not_paper() {
        assert!(matches!(said(200, "application/pdf", "%PDF"), Said::Paper(_)));
        assert!(matches!(said(500, "application/pdf", "%PDF"), Said::Other(500)));
    }

    #[test]
    fn a_problem_keeps_its_word_and_reason() {
        let body = r#"{"type":"urn:sekisho:problem:withheld","code":"E901","reason":"identity"}"#;
        assert_eq!(said(502, "application/problem+json; charset=utf-8", body).problem_word(), Some("withheld"));
    }
}
