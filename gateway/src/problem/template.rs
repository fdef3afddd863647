//! A no in the client's own words: what a configured template makes of it, escaped for its media type.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use sekisho_issuance::answer::Charset;
use sekisho_issuance::id::RequestId;

use super::Problem;
use super::code::Row;

/// `[problems.NAME]`, compiled; the default renders RFC 9457.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProblemTemplate {
    /// A status for every code, for clients that read only the body.
    pub status: Option<u16>,
    /// The body, with `{code}`, `{message_ja}`, `{message_en}`, `{request_id}`, `{fact}`, `{reason}`, `{fee_may_be_taken}`, `{retry_safe}`.
    pub body: Option<Arc<str>>,
    /// The media type of `body`; decides how what is put in is escaped.
    pub media_type: Arc<str>,
    /// How `body` is written.
    pub charset: Charset,
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

    pub(super) fn expand(&self, pattern: &str, problem: &Problem, row: &Row, request: RequestId) -> String {
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
                    self.escape_into(&mut out, &value);
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

    /// Escapes `value` for the inside of a string of the template's media type.
    fn escape_into(&self, out: &mut String, value: &str) {
        let essence = self.media_type.split(';').next().unwrap_or("").trim();
        if essence.ends_with("json") {
            let quoted = serde_json::Value::from(value).to_string();
            out.push_str(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or(""));
        } else if essence.ends_with("xml") || essence == "text/html" {
            crate::template::xml_escaped(out, value);
        } else if essence == "application/x-www-form-urlencoded" {
            // In a form the charset counts before the escaping; what has no code in it is left out.
            let bytes = self.charset.encode(value).unwrap_or_default();
            out.extend(percent_encoding::percent_encode(&bytes, percent_encoding::NON_ALPHANUMERIC));
        } else {
            out.extend(value.chars().map(|c| if c.is_control() { ' ' } else { c }));
        }
    }
}
