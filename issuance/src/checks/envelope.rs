//! A document inside an answer: getting it out, and whether the answer says nothing beside it that nobody checked.
//!
//! The backend's bytes leave whole, so every value around the document must be read by a check or be declared.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use zeroize::Zeroizing;

use super::shape::document_is_wrong;
use crate::answer::{Body, BodyPlace, Form, Found, Node, Tree, Xml, XmlPath};
use crate::document::{self, Document, Limits, Unreadable};
use crate::request::Facts;
use crate::verdict::Verdict;

/// Why an answer is not released although its document is good; each names something beside the document.
pub(super) const UNDECLARED: [&str; 3] = ["envelope_says_more", "envelope_value_undeclared", "envelope_names_another"];

/// Namespaces that an answer may declare without using them to say anything.
const USUAL_NAMESPACES: [&str; 6] = [
    "http://www.w3.org/XML/1998/namespace",
    "http://www.w3.org/2001/XMLSchema",
    "http://www.w3.org/2001/XMLSchema-instance",
    "http://schemas.xmlsoap.org/soap/encoding/",
    SOAP_11,
    SOAP_12,
];
const SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";
const SOAP_NAMES: [&str; 3] = ["Envelope", "Header", "Body"];

/// The compiled `[routes.NAME.document]`.
pub(super) struct Envelope {
    pub(super) place: BodyPlace,
    pub(super) least: u64,
    pub(super) most: u64,
    pub(super) beside: Vec<Beside>,
    /// What the route's checks read in the answer.
    pub(super) checked: Vec<BodyPlace>,
    pub(super) namespaces: BTreeSet<String>,
}

/// Something that may stand beside the document.
pub(super) struct Beside {
    pub(super) place: BodyPlace,
    pub(super) says: Says,
}

/// What may stand there.
pub(super) enum Says {
    OneOf(Vec<String>),
    Fact(String),
    Like(Regex),
}

impl Envelope {
    /// The document itself, decoded and read; or a stable word why there is none.
    pub(super) fn open(&self, around: &Body, limits: &Limits) -> Result<Document, &'static str> {
        let text = match around.find(&self.place) {
            Found::Plain(text) => text,
            Found::Nothing => return Err("document_missing"),
            Found::NotPlain => return Err("document_not_plain"),
            Found::Several => return Err("document_ambiguous"),
        };
        // Lines may be folded; anything else that is not of the alphabet is refused, padding included.
        let folded = text.contains([' ', '\t', '\r', '\n']);
        let unfolded: Zeroizing<Vec<u8>> = match folded {
            true => Zeroizing::new(text.bytes().filter(|b| !b.is_ascii_whitespace()).collect()),
            false => Zeroizing::new(Vec::new()),
        };
        let encoded = if folded { unfolded.as_slice() } else { text.as_bytes() };
        // Four characters are three bytes: what is too long is not decoded.
        if (encoded.len() / 4 * 3) as u64 > self.most.saturating_add(2) {
            return Err("document_size");
        }
        let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| "document_not_base64")?);
        match document_is_wrong(&bytes) {
            Some("magic") => return Err("document_magic"),
            Some(_) => return Err("document_trailing_bytes"),
            None if !(self.least..=self.most).contains(&(bytes.len() as u64)) => return Err("document_size"),
            None => {}
        }
        document::read(&bytes, limits).map_err(|Unreadable(reason)| reason)
    }

    /// Whether all that stands around the document is read by a check or says what is declared.
    pub(super) fn judge(&self, around: &Body, facts: &Facts) -> Verdict {
        let unverifiable = |reason| Verdict::Unverifiable { reason };
        if !self.undeclared(around).is_empty() {
            return unverifiable("envelope_says_more");
        }
        for beside in &self.beside {
            for value in all(around, &beside.place) {
                match &beside.says {
                    Says::OneOf(values) if values.contains(&value) => {}
                    Says::Like(expression) if expression.is_match(&value) => {}
                    Says::Fact(name) if fact(facts, name).is_some_and(|known| known == value) => {}
                    Says::Fact(_) => return unverifiable("envelope_names_another"),
                    Says::OneOf(_) | Says::Like(_) => return unverifiable("envelope_value_undeclared"),
                }
            }
        }
        Verdict::Match
    }

    /// Where something stands that no check reads and nothing declares. Names of the answer: for the eyes of who writes the checks.
    pub(super) fn undeclared(&self, around: &Body) -> Vec<String> {
        let declared: Vec<&BodyPlace> =
            std::iter::once(&self.place).chain(&self.checked).chain(self.beside.iter().map(|b| &b.place)).collect();
        match around {
            Body::Xml(xml) => self.undeclared_in_xml(xml, &declared),
            Body::Json(value) => {
                let mut found = Vec::new();
                undeclared_in_json(value, &mut String::new(), &declared, &mut found);
                found
            }
            Body::Form(form) => undeclared_in_form(form, &declared),
        }
    }

    fn undeclared_in_xml(&self, xml: &Xml, declared: &[&BodyPlace]) -> Vec<String> {
        let paths: Vec<&XmlPath> = declared
            .iter()
            .filter_map(|place| if let BodyPlace::Xml(path) = place { Some(path) } else { None })
            .collect();
        let mut known = BTreeSet::new();
        let mut names: BTreeSet<(Option<&str>, &str)> =
            [SOAP_11, SOAP_12].into_iter().flat_map(|ns| SOAP_NAMES.map(|name| (Some(ns), name))).collect();
        for path in paths {
            known.extend(path.nodes(xml, xml.root()));
            names.extend(path.names());
        }
        let mut found = Vec::new();
        if xml.has_comments() {
            found.push("<!-- -->".to_owned());
        }
        let usual = |uri: &str| USUAL_NAMESPACES.contains(&uri) || self.namespaces.contains(uri);
        found.extend(xml.namespaces().filter(|uri| !usual(uri)).map(|uri| format!("xmlns={uri:?}")));
        for node in xml.nodes() {
            let Some(name) = xml.name(node) else { continue };
            let says_nothing = xml.value(node).is_none_or(|value| value.trim_ascii().is_empty());
            let declared = known.contains(&node)
                || matches!(node, Node::Element(_)) && names.contains(&name) && (says_nothing || !xml.is_leaf(node));
            if !declared {
                let sign = if matches!(node, Node::Attribute(_)) { "@" } else { "" };
                found.push(match name {
                    (Some(namespace), local) => format!("{sign}{{{namespace}}}{local}"),
                    (None, local) => format!("{sign}{local}"),
                });
            }
        }
        found
    }
}

/// Every value at a place.
fn all(around: &Body, place: &BodyPlace) -> Vec<String> {
    match (around, place) {
        (Body::Xml(xml), BodyPlace::Xml(path)) => {
            path.nodes(xml, xml.root()).into_iter().map(|node| xml.value(node).unwrap_or_default().to_owned()).collect()
        }
        _ => match around.find(place) {
            Found::Nothing => Vec::new(),
            found => vec![found.plain().unwrap_or_default().into_owned()],
        },
    }
}

fn fact<'f>(facts: &'f Facts, name: &str) -> Option<&'f str> {
    match name {
        "kiosk" => facts.kiosk.as_ref().map(|kiosk| kiosk.as_str()),
        "session" => facts.session.as_ref().map(|session| session.expose()),
        "municipality" => facts.municipality.as_ref().map(|city| city.as_str()),
        "resident" => facts.applicant.as_ref().map(|resident| resident.expose()),
        "card" => facts.card.as_ref().map(|card| card.expose()),
        item => facts.selection.get(item).map(String::as_str),
    }
}

/// A value must stand exactly where something is declared, and a name be on the way to it.
fn undeclared_in_json(value: &Tree<'_>, at: &mut String, declared: &[&BodyPlace], found: &mut Vec<String>) {
    let length = at.len();
    let mut below = |step: &str, value: &Tree<'_>| {
        at.push('/');
        at.push_str(&step.replace('~', "~0").replace('/', "~1"));
        undeclared_in_json(value, at, declared, found);
        at.truncate(length);
    };
    match value {
        Tree::Object(members) if !members.is_empty() => members.iter().for_each(|(name, value)| below(name, value)),
        Tree::List(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(index, value)| below(&index.to_string(), value));
        }
        empty => {
            let says_nothing =
                empty.plain_text().is_none_or(|text| text.is_empty()) && !matches!(empty, Tree::Number(_));
            let fits = |place: &&&BodyPlace| {
                let place = place.as_str();
                place == at || says_nothing && place.strip_prefix(&**at).is_some_and(|rest| rest.starts_with('/'))
            };
            if !declared.iter().any(|place| fits(&place)) {
                found.push(at.clone());
            }
        }
    }
}

fn undeclared_in_form(form: &Form, declared: &[&BodyPlace]) -> Vec<String> {
    let known = |name: &str| declared.iter().any(|place| place.as_str() == name);
    form.fields().filter(|(name, _)| !known(name)).map(|(name, _)| name.to_owned()).collect()
}
