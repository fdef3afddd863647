//! A backend's answer as plain values: what the checks read. No HTTP types here.

mod charset;
mod dialect;
mod form;
mod json;
mod leaves;
mod multipart;
mod pointer;
mod tree;
mod xml;

use std::borrow::Cow;

use serde_json::Value;

pub use charset::Charset;
pub use dialect::{Body, BodyPlace, Dialect, Format, Found};
pub use form::{Form, MAX_FORM_BYTES, MAX_FORM_FIELDS, form};
pub use json::{MAX_JSON_BYTES, MAX_JSON_DEPTH, json};
pub use leaves::Prefixes;
pub use multipart::multipart;
pub(crate) use pointer::Branch;
pub use pointer::{Pointer, PointerError, pointer};
pub use tree::Tree;
pub(crate) use tree::tree;
pub(crate) use xml::{ElementId, Node};
pub use xml::{MAX_XML_BYTES, MAX_XML_DEPTH, MAX_XML_NODES, PathError, Xml, XmlPath, xml};

/// The head and body of one answer, borrowed.
#[derive(Clone, Copy)]
pub struct AnswerView<'a> {
    /// The status code.
    pub status: u16,
    /// Header fields in order, names in lower case.
    pub headers: &'a [(String, Vec<u8>)],
    /// The whole body.
    pub body: &'a [u8],
    /// Bytes came after the declared end, or an informational response came first.
    pub framing_surprise: bool,
}

impl<'a> AnswerView<'a> {
    /// The one value of a header; `None` when absent, repeated or not UTF-8.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut values = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        match (values.next(), values.next()) {
            (Some((_, value)), None) => std::str::from_utf8(value).ok(),
            _ => None,
        }
    }

    /// Whether a header is there at all, repeated or not.
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }
}

/// Where a value stands in an answer: `{ header = "X-Request-Id" }` or `{ json = "/sessionId" }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extract {
    /// The one value of this header.
    Header(String),
    /// The one plain value at this place of the body.
    Body(BodyPlace),
}

impl Extract {
    /// The value as text; `None` when absent, repeated or not a plain value. `body` is the strictly parsed body.
    pub fn find<'a>(&self, answer: &AnswerView<'a>, body: Option<&'a Body>) -> Option<Cow<'a, str>> {
        match self {
            Self::Header(name) => answer.header(name).map(|value| Cow::Borrowed(value.trim_matches([' ', '\t']))),
            Self::Body(place) => body?.find(place).plain(),
        }
    }
}

/// A plain JSON value as text. A fraction is refused: it may have lost digits of what was sent.
pub fn plain_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(Cow::Owned(number.to_string())),
        Value::Bool(truth) => Some(Cow::Borrowed(if *truth { "true" } else { "false" })),
        _ => None,
    }
}
