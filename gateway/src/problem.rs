//! How the gateway says no: RFC 9457 with Japanese and English text, or a template in the client's own words.
//!
//! The only place with the gateway's own status codes. Never repeats a byte of a backend's answer or of a fact's value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use sekisho_issuance::id::RequestId;

use crate::body::{Body, full};
use crate::outcome::Outcome;
use crate::template::X_REQUEST_ID;

/// Every way the gateway says no. The names are stable: clients, templates and metric labels use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The request could not be read unambiguously.
    Malformed,
    /// A fact that the operation needs is not there.
    MissingFact,
    /// A fact is there but is not one.
    MalformedFact,
    /// Nothing is declared under this path.
    UndeclaredPath,
    /// The path is declared for another method.
    MethodNotAllowed,
    /// The body is longer than the route allows.
    TooLarge,
    /// Too many or too long headers.
    HeadersTooLarge,
    /// The request did not arrive in time.
    SlowRequest,
    /// The body is encoded in a way that the route does not declare.
    UnsupportedEncoding,
    /// No such session is open.
    UnknownSession,
    /// The session belongs to another card, resident or kiosk.
    SessionConflict,
    /// The municipality is not served here.
    UnknownMunicipality,
    /// The card's holder is not the resident asked for, or nobody vouches for them.
    UnprovenResident,
    /// The same key came with other facts.
    KeyReused,
    /// Outside the hours, or not enabled.
    Closed,
    /// A latch holds this municipality and kind.
    Suspended,
    /// An operator switched it off.
    SwitchedOff,
    /// Turned away early.
    Shed,
    /// The process is going down.
    Draining,
    /// Nobody would have waited for the answer any more; nothing was begun.
    Expired,
    /// The gate kept the answer in.
    Withheld,
    /// The backend said a declared no.
    Refused,
    /// The backend could not be asked; nothing was begun.
    Unavailable,
    /// Something may have happened at the backend.
    Indeterminate,
    /// We broke.
    Internal,
}

/// What is fixed for one code.
struct Row {
    name: &'static str,
    status: StatusCode,
    outcome: Outcome,
    /// The kiosk may keep the fee: never true for something that was not handed over.
    fee_may_be_taken: bool,
    /// Asking again cannot do anything twice.
    retry_safe: bool,
    ja: &'static str,
    en: &'static str,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 25] = [
        Self::Malformed,
        Self::MissingFact,
        Self::MalformedFact,
        Self::UndeclaredPath,
        Self::MethodNotAllowed,
        Self::TooLarge,
        Self::HeadersTooLarge,
        Self::SlowRequest,
        Self::UnsupportedEncoding,
        Self::UnknownSession,
        Self::SessionConflict,
        Self::UnknownMunicipality,
        Self::UnprovenResident,
        Self::KeyReused,
        Self::Closed,
        Self::Suspended,
        Self::SwitchedOff,
        Self::Shed,
        Self::Draining,
        Self::Expired,
        Self::Withheld,
        Self::Refused,
        Self::Unavailable,
        Self::Indeterminate,
        Self::Internal,
    ];

    const fn row(self) -> Row {
        use StatusCode as S;
        let (name, status, outcome, retry_safe, ja, en) = match self {
            Self::Malformed => (
                "malformed",
                S::BAD_REQUEST,
                Outcome::Rejected,
                true,
                "要求を一意に読み取れません。",
                "The request cannot be read unambiguously.",
            ),
            Self::MissingFact => (
                "missing_fact",
                S::BAD_REQUEST,
                Outcome::Rejected,
                true,
                "必要な項目がありません。",
                "A required fact is missing.",
            ),
            Self::MalformedFact => (
                "malformed_fact",
                S::BAD_REQUEST,
                Outcome::Rejected,
                true,
                "項目の形式が正しくありません。",
                "A fact is malformed.",
            ),
            Self::UndeclaredPath => (
                "undeclared_path",
                S::NOT_FOUND,
                Outcome::Rejected,
                true,
                "この宛先は設定されていません。",
                "No operation is declared under this path.",
            ),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                S::METHOD_NOT_ALLOWED,
                Outcome::Rejected,
                true,
                "この宛先ではその操作はできません。",
                "The path is declared for another method.",
            ),
            Self::TooLarge => (
                "too_large",
                S::PAYLOAD_TOO_LARGE,
                Outcome::Rejected,
                true,
                "要求が大きすぎます。",
                "The request body is too large.",
            ),
            Self::HeadersTooLarge => (
                "headers_too_large",
                S::REQUEST_HEADER_FIELDS_TOO_LARGE,
                Outcome::Rejected,
                true,
                "要求ヘッダーが大きすぎます。",
                "The request headers are too large.",
            ),
            Self::SlowRequest => (
                "slow_request",
                S::REQUEST_TIMEOUT,
                Outcome::Rejected,
                true,
                "要求が時間内に届きませんでした。",
                "The request did not arrive in time.",
            ),
            Self::UnsupportedEncoding => (
                "unsupported_encoding",
                S::UNSUPPORTED_MEDIA_TYPE,
                Outcome::Rejected,
                true,
                "要求の符号化方式に対応していません。",
                "The encoding of the request is not supported.",
            ),
            Self::UnknownSession => (
                "unknown_session",
                S::CONFLICT,
                Outcome::Rejected,
                true,
                "手続きの開始が確認できません。最初からやり直してください。",
                "No such session is open. Start again.",
            ),
            Self::SessionConflict => (
                "session_conflict",
                S::CONFLICT,
                Outcome::Rejected,
                false,
                "この手続きは別のカードまたは別の方のものです。最初からやり直してください。",
                "This session belongs to another card or resident. Start again.",
            ),
            Self::UnknownMunicipality => (
                "unknown_municipality",
                S::FORBIDDEN,
                Outcome::Rejected,
                true,
                "この市区町村は取り扱っていません。",
                "This municipality is not served here.",
            ),
            Self::UnprovenResident => (
                "unproven_resident",
                S::FORBIDDEN,
                Outcome::Rejected,
                true,
                "カードの持ち主を確認できません。",
                "The holder of the card could not be confirmed.",
            ),
            Self::KeyReused => (
                "key_reused",
                S::UNPROCESSABLE_ENTITY,
                Outcome::Rejected,
                false,
                "同じ受付キーが別の内容で使われました。",
                "The idempotency key was used with other facts.",
            ),
            Self::Closed => (
                "closed",
                S::SERVICE_UNAVAILABLE,
                Outcome::Shed,
                true,
                "ただいま取扱時間外です。",
                "Closed at this time.",
            ),
            Self::Suspended => (
                "suspended",
                S::SERVICE_UNAVAILABLE,
                Outcome::Shed,
                true,
                "この証明書の交付を停止しています。市区町村の窓口をご利用ください。",
                "Issuing this certificate is suspended. Please use the municipal counter.",
            ),
            Self::SwitchedOff => (
                "switched_off",
                S::SERVICE_UNAVAILABLE,
                Outcome::Shed,
                true,
                "現在ご利用いただけません。",
                "Switched off by the operator.",
            ),
            Self::Shed => (
                "shed",
                S::SERVICE_UNAVAILABLE,
                Outcome::Shed,
                true,
                "混み合っています。しばらくしてからもう一度お試しください。",
                "Busy. Please try again in a while.",
            ),
            Self::Draining => (
                "draining",
                S::SERVICE_UNAVAILABLE,
                Outcome::Shed,
                true,
                "ただいま切替中です。もう一度お試しください。",
                "Going down for a moment. Please try again.",
            ),
            Self::Expired => (
                "expired",
                S::GATEWAY_TIMEOUT,
                Outcome::Expired,
                true,
                "時間内に処理できませんでした。証明書は交付されていません。",
                "Not processed in time. No certificate was issued.",
            ),
            Self::Withheld => (
                "withheld",
                S::BAD_GATEWAY,
                Outcome::Withheld,
                true,
                "内容を確認できないため交付を取りやめました。証明書は交付されていません。",
                "Withheld because it could not be verified. No certificate was issued.",
            ),
            Self::Refused => (
                "refused",
                S::UNPROCESSABLE_ENTITY,
                Outcome::Refused,
                true,
                "交付できません。市区町村の窓口にお問い合わせください。",
                "Cannot be issued. Please ask at the municipal counter.",
            ),
            Self::Unavailable => (
                "unavailable",
                S::BAD_GATEWAY,
                Outcome::Failed,
                true,
                "接続先が応答しません。証明書は交付されていません。",
                "The backend cannot be reached. No certificate was issued.",
            ),
            Self::Indeterminate => (
                "indeterminate",
                S::GATEWAY_TIMEOUT,
                Outcome::Indeterminate,
                false,
                "処理の結果を確認できません。係員にお問い合わせください。",
                "The result is not known. Please ask the staff.",
            ),
            Self::Internal => (
                "internal",
                S::INTERNAL_SERVER_ERROR,
                Outcome::Failed,
                false,
                "内部エラーが発生しました。証明書は交付されていません。",
                "An internal error. No certificate was issued.",
            ),
        };
        // Nothing that the gateway says no to was handed over, so no code lets a fee be kept.
        Row { name, status, outcome, fee_may_be_taken: false, retry_safe, ja, en }
    }

    /// The stable name: last part of the type URN, key of a template's `codes`, label.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The outcome under which it is counted.
    pub const fn outcome(self) -> Outcome {
        self.row().outcome
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }
}

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
            Some(pattern) => (template.expand(pattern, self, &row, request), template.media_type.as_ref()),
            None => (self.rfc9457(&row, status, request), "application/problem+json"),
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

/// `[problems.NAME]`, compiled; the default renders RFC 9457.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProblemTemplate {
    /// A status for every code, for clients that read only the body.
    pub status: Option<u16>,
    /// The body, with `{code}`, `{message_ja}`, `{message_en}`, `{request_id}`, `{fact}`, `{reason}`, `{fee_may_be_taken}`, `{retry_safe}`.
    pub body: Option<Arc<str>>,
    /// The media type of `body`; decides how what is put in is escaped.
    pub media_type: Arc<str>,
    /// The client's own codes, by our code, by a refusal's code, or `default`.
    pub codes: BTreeMap<String, String>,
}

/// The names that may stand in braces in a template's body.
pub const TEMPLATE_NAMES: [&str; 8] =
    ["code", "message_ja", "message_en", "request_id", "fact", "reason", "fee_may_be_taken", "retry_safe"];

impl ProblemTemplate {
    /// The client's code: for a refusal by its own code, which the client knows when the file has no other word for it;
    /// else by our code's name, by the outcome, `default`, our name.
    fn client_code<'a>(&'a self, problem: &'a Problem, row: &Row) -> Cow<'a, str> {
        if let Some((code, _)) = &problem.refusal {
            return Cow::Borrowed(self.codes.get(code.as_ref()).map_or(code.as_ref(), String::as_str));
        }
        let found = self
            .codes
            .get(row.name)
            .or_else(|| self.codes.get(row.outcome.name()))
            .or_else(|| self.codes.get("default"));
        match found {
            Some(code) => Cow::Borrowed(code),
            None => problem.shown_code(row),
        }
    }

    fn expand(&self, pattern: &str, problem: &Problem, row: &Row, request: RequestId) -> String {
        let id = request.to_string();
        let code = self.client_code(problem, row);
        let mut out = String::with_capacity(pattern.len() + 64);
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let value = after.split_once('}').and_then(|(name, tail)| {
                let value: Cow<'_, str> = match name {
                    "code" => code.clone(),
                    "message_ja" => row.ja.into(),
                    "message_en" => row.en.into(),
                    "request_id" => id.as_str().into(),
                    "fact" => problem.fact.as_deref().unwrap_or("").into(),
                    "reason" => problem.reason.into(),
                    "fee_may_be_taken" => row.fee_may_be_taken.to_string().into(),
                    "retry_safe" => row.retry_safe.to_string().into(),
                    _ => return None,
                };
                Some((value, tail))
            });
            match value {
                Some((value, tail)) => {
                    escape_into(&mut out, &value, &self.media_type);
                    rest = tail;
                }
                // A brace that begins no known name is text: JSON is full of them.
                None => {
                    out.push('{');
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        out
    }
}

/// Escapes `value` for the inside of a string of `media_type`.
fn escape_into(out: &mut String, value: &str, media_type: &str) {
    let essence = media_type.split(';').next().unwrap_or("").trim();
    if essence.ends_with("json") {
        let quoted = serde_json::Value::from(value).to_string();
        out.push_str(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or(""));
    } else if essence.ends_with("xml") || essence == "text/html" {
        for c in value.chars() {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&#39;"),
                c => out.push(c),
            }
        }
    } else if essence == "application/x-www-form-urlencoded" {
        out.extend(percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC));
    } else {
        out.extend(value.chars().map(|c| if c.is_control() { ' ' } else { c }));
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

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
