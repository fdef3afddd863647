//! SOAP 1.1 in Shift_JIS as such products write and read it: leniently. Shares nothing with the reader that it is there to test.

use bytes::Bytes;
use encoding_rs::SHIFT_JIS;
use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_xml_entity};
use quick_xml::events::Event;
use serde_json::{Map, Value};

/// Certificates by the code that the protocol has for them, and by their path in JSON.
pub const KINDS: [(&str, &str); 6] = [
    ("01", "resident-record"),
    ("02", "seal-registration"),
    ("03", "resident-items"),
    ("04", "tax"),
    ("05", "family-register"),
    ("06", "family-register-address"),
];

/// The content type of what is sent.
pub const CONTENT_TYPE: &str = "text/xml; charset=Shift_JIS";

/// An element without its attributes; names without their prefixes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Element {
    /// The local name.
    pub name: String,
    /// All text directly in it.
    pub text: String,
    /// In order.
    pub children: Vec<Element>,
}

impl Element {
    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text at the end of a way through first children; empty where there is none.
    pub fn text_at(&self, way: &[&str]) -> &str {
        way.iter().try_fold(self, |element, name| element.child(name)).map_or("", |element| &element.text)
    }

    /// As JSON has it: lists are elements of `Item`s.
    pub fn to_value(&self) -> Value {
        let list = !self.children.is_empty() && self.children.iter().all(|child| child.name == "Item");
        match () {
            () if list => self.children.iter().map(Self::to_value).collect(),
            () if self.children.is_empty() => self.text.as_str().into(),
            () => Value::Object(self.children.iter().map(|child| (lower(&child.name), child.to_value())).collect()),
        }
    }
}

/// Reads a message; `None` where it is none.
pub fn read(bytes: &[u8]) -> Option<Element> {
    let (text, _, broken) = SHIFT_JIS.decode(bytes);
    if broken {
        return None;
    }
    let mut reader = Reader::from_str(&text);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => open.push(named(start.local_name().into_inner())),
            Event::Empty(start) => open.last_mut()?.children.push(named(start.local_name().into_inner())),
            Event::End(_) => {
                let done = open.pop()?;
                open.last_mut()?.children.push(done);
            }
            Event::Text(text) => open.last_mut()?.text.push_str(&text.into_inner()),
            Event::CData(text) => open.last_mut()?.text.push_str(&text.into_inner()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref().ok()? {
                Some(c) => open.last_mut()?.text.push(c),
                None => open.last_mut()?.text.push_str(resolve_xml_entity(&reference.into_inner())?),
            },
            Event::Eof => return open.pop()?.children.pop(),
            _ => {}
        }
    }
}

fn named(name: &str) -> Element {
    Element { name: name.to_owned(), ..Element::default() }
}

/// One element with text.
pub fn element(name: &str, text: &str) -> String {
    format!("<j:{name}>{}</j:{name}>", escape(text))
}

/// What JSON has as elements: lists as `Item`s, nothing for null.
pub fn elements(value: &Value) -> String {
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| wrapped(&upper(name), value)).collect(),
        Value::Array(items) => items.iter().map(|item| wrapped("Item", item)).collect(),
        Value::String(text) => escape(text.as_str()).into_owned(),
        Value::Null => String::new(),
        plain => plain.to_string(),
    }
}

fn wrapped(name: &str, value: &Value) -> String {
    if value.is_null() { String::new() } else { format!("<j:{name}>{}</j:{name}>", elements(value)) }
}

/// A whole message. A character that Shift_JIS has no code for is written by its number.
pub fn envelope(header: &str, body: &str) -> Bytes {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"Shift_JIS\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:j=\"urn:example:juki:1\">\r\n<s:Header>{header}</s:Header>\r\n<s:Body>{body}</s:Body>\r\n</s:Envelope>\r\n"
    );
    Bytes::from(SHIFT_JIS.encode(&text).0.into_owned())
}

fn upper(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

fn lower(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
}

/// The members of an object, for those who build one from elements.
pub fn object(members: impl IntoIterator<Item = (&'static str, String)>) -> Value {
    Value::Object(members.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_again_also_what_shift_jis_has_no_code_for() {
        let said = json!({ "name": "葛\u{E0100}西 <髙橋>", "gaiji": "\u{E001}田", "list": [{ "id": "1" }, { "id": "2" }], "none": null });
        let message = envelope(&element("MessageId", "m&1"), &format!("<j:R>{}</j:R>", elements(&said)));
        let read = read(&message).unwrap();
        assert_eq!(read.text_at(&["Header", "MessageId"]), "m&1");
        let again = read.child("Body").unwrap().child("R").unwrap().to_value();
        let expected =
            json!({ "name": "葛\u{E0100}西 <髙橋>", "gaiji": "\u{E001}田", "list": [{ "id": "1" }, { "id": "2" }] });
        assert_eq!(again, expected);
    }

    #[test]
    fn half_a_character_is_no_message() {
        assert!(read(b"<a>\x95</a>").is_none());
    }
}
