//! How the gateway says no: RFC 9457 with Japanese and English text, or a template in the client's own words.
//!
//! Never repeats a byte of a backend's answer or of a fact's value.

mod code;
mod template;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use sekisho_issuance::id::RequestId;

use crate::body::{Body, full};
use crate::outcome::Outcome;
use crate::template::X_REQUEST_ID;

pub use code::Code;
use code::Row;
pub use template::{ProblemTemplate, TEMPLATE_NAMES};

/// One "no", ready to be rendered in the route's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    code: Code,
    reason: &'static str,
    fact: Option<Arc<str>>,
    retry_after: Option<Duration>,
    refusal: Option<(Arc<str>, u16)>,
    key: Option<Arc<str>>,
    allow: Option<Arc<str>>,
    last: bool,
}

impl Problem {
    /// A problem whose reason is its own name.
    pub fn new(code: Code) -> Self {
        Self::because(code, code.name())
    }

    /// A problem with a finer reason: a stable word, safe for labels and logs.
    pub fn because(code: Code, reason: &'static str) -> Self {
        Self { code, reason, fact: None, retry_after: None, refusal: None, key: None, allow: None, last: false }
    }

    /// Names the fact that is missing or malformed: its configured name, never its value.
    pub fn about(mut self, fact: &str) -> Self {
        self.fact = Some(fact.into());
        self
    }

    /// Says when asking again makes sense.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The backend's declared no, under the status it came with.
    pub fn refused(code: Arc<str>, status: u16) -> Self {
        let mut problem = Self::new(Code::Refused);
        problem.refusal = Some((code, status));
        problem
    }

    /// Hands the client's idempotency key back, so that staff can ask what became of the operation.
    pub fn with_key(mut self, key: &str) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The methods that the path is declared for.
    pub fn allowing(mut self, methods: &str) -> Self {
        self.allow = Some(methods.into());
        self
    }

    /// Ends the connection after this reply: what follows on it cannot be trusted to begin where it seems to.
    pub fn closing(mut self) -> Self {
        self.last = true;
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The outcome under which it is counted.
    pub fn outcome(&self) -> Outcome {
        self.code.outcome()
    }

    /// The fact it is about.
    pub fn fact(&self) -> Option<&str> {
        self.fact.as_deref()
    }

    /// Why: a stable word.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// The reply. Takes nothing but declared names, the request id and the client's own key.
    pub fn render(&self, template: &ProblemTemplate, request: RequestId) -> Response<Body> {
        let row = self.code.row();
        let default_status = match self.refusal.as_ref() {
            Some((_, status)) => StatusCode::from_u16(*status).unwrap_or(row.status),
            None => row.status,
        };
        let status = template.status.and_then(|s| StatusCode::from_u16(s).ok()).unwrap_or(default_status);
        let (body, media_type) = match &template.body {
            Some(pattern) => {
                let text = template.expand(pattern, self, &row, request);
                // All that is put in was found to have a code when the file was read.
                let bytes = template.charset.encode(&text).unwrap_or_default();
                (bytes, template.media_type.as_ref())
            }
            None => (self.rfc9457(&row, status, request).into_bytes(), "application/problem+json"),
        };
        let mut response = Response::new(full(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(value) = HeaderValue::from_str(media_type) {
            headers.insert(CONTENT_TYPE, value);
        }
        if template.body.is_none() {
            headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static("ja, en"));
        }
        if let Ok(value) = HeaderValue::from_str(&request.to_string()) {
            headers.insert(X_REQUEST_ID, value);
        }
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_millis().div_ceil(1000).max(1) as u64));
        }
        if let Some(Ok(methods)) = self.allow.as_ref().map(|m| HeaderValue::from_str(m)) {
            headers.insert(ALLOW, methods);
        }
        if self.last {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn rfc9457(&self, row: &Row, status: StatusCode, request: RequestId) -> String {
        let mut members = serde_json::Map::new();
        let mut put = |name: &str, value: serde_json::Value| members.insert(name.to_owned(), value);
        put("type", format!("urn:sekisho:problem:{}", row.name).into());
        put("title", row.en.into());
        put("titleJa", row.ja.into());
        put("status", status.as_u16().into());
        put("code", self.shown_code(row).into());
        put("reason", self.reason.into());
        if let Some(fact) = &self.fact {
            put("fact", fact.as_ref().into());
            put("detail", format!("fact `{fact}`: {}", row.en).into());
            put("detailJa", format!("項目「{fact}」: {}", row.ja).into());
        }
        put("feeMayBeTaken", row.fee_may_be_taken.into());
        put("retrySafe", row.retry_safe.into());
        if let Some(key) = &self.key {
            put("idempotencyKey", key.as_ref().into());
        }
        put("requestId", request.to_string().into());
        serde_json::Value::Object(members).to_string()
    }

    fn shown_code<'a>(&'a self, row: &Row) -> Cow<'a, str> {
        match &self.refusal {
            Some((code, _)) => Cow::Borrowed(code),
            None => Cow::Borrowed(row.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use sekisho_issuance::answer::Charset;

    use super::*;

    fn text(response: Response<Body>) -> String {
        let body = futures_util::FutureExt::now_or_never(response.into_body().collect()).unwrap().unwrap();
        String::from_utf8(body.to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn names_are_unique_and_read_back() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.name()), Some(code));
        }
    }

    #[test]
    fn a_problem_is_rfc_9457_and_names_the_fact() {
        let problem = Problem::new(Code::MissingFact).about("session");
        let response = problem.render(&ProblemTemplate::default(), RequestId::from_u128(7));
        assert_eq!(response.status().as_u16(), 400);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        let body: serde_json::Value = serde_json::from_str(&text(response)).unwrap();
        assert_eq!(body["type"], "urn:sekisho:problem:missing_fact");
        assert_eq!(body["fact"], "session");
        assert_eq!(body["feeMayBeTaken"], false);
        assert_eq!(body["retrySafe"], true);
    }

    #[test]
    fn a_template_uses_the_clients_words_and_escapes_what_is_put_in() {
        let template = ProblemTemplate {
            status: Some(200),
            body: Some(r#"{"result":"NG","code":"{code}","fact":"{fact}"}"#.into()),
            media_type: "application/json".into(),
            charset: Default::default(),
            codes: [("withheld", "E901"), ("shed", "E902"), ("default", "E999")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
        };
        let shown = |p: Problem| {
            let body = text(p.render(&template, RequestId::from_u128(7)));
            serde_json::from_str::<serde_json::Value>(&body).unwrap()
        };
        assert_eq!(shown(Problem::new(Code::Withheld))["code"], "E901");
        assert_eq!(shown(Problem::new(Code::Draining))["code"], "E902", "falls back to its outcome");
        assert_eq!(shown(Problem::new(Code::Internal))["code"], "E999");
        assert_eq!(shown(Problem::refused("MOVED_OUT".into(), 409))["code"], "MOVED_OUT", "the client knows this one");
        assert_eq!(shown(Problem::new(Code::MissingFact).about("a\"},{\"b"))["fact"], "a\"},{\"b");
    }

    #[test]
    fn every_no_can_be_said_in_every_charset() {
        for charset in Charset::ALL {
            let template = ProblemTemplate {
                body: Some("<e c=\"{code}\">{message_ja}|{message_en}|{reason}</e>".into()),
                media_type: format!("text/xml; charset={}", charset.name()).into(),
                charset,
                ..ProblemTemplate::default()
            };
            for code in Code::ALL {
                let response = Problem::new(code).render(&template, RequestId::from_u128(7));
                let bytes =
                    futures_util::FutureExt::now_or_never(response.into_body().collect()).unwrap().unwrap().to_bytes();
                let said = charset.decode(&bytes).unwrap();
                assert!(said.contains(code.row().ja) && said.starts_with("<e c="), "{charset:?} {said}");
            }
        }
    }

    #[test]
    fn nothing_withheld_lets_a_fee_be_kept() {
        assert!(Code::ALL.into_iter().all(|c| !c.row().fee_may_be_taken));
    }

    #[test]
    fn an_indeterminate_operation_is_not_safe_to_repeat() {
        let problem = Problem::new(Code::Indeterminate).with_key("k-1");
        let body: serde_json::Value =
            serde_json::from_str(&text(problem.render(&ProblemTemplate::default(), RequestId::from_u128(7)))).unwrap();
        assert_eq!((body["retrySafe"].clone(), body["idempotencyKey"].clone()), (false.into(), "k-1".into()));
    }
}
