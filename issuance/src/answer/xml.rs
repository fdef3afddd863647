//! XML as strictly as a release needs it: one meaning only, or a stable word why not. Fetches and expands nothing.

mod path;
mod read;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::Found;
use super::charset::Charset;

pub use path::{PathError, XmlPath};

/// The longest text that is parsed.
pub const MAX_XML_BYTES: usize = 8 << 20;
/// The deepest nesting that is parsed; the root has depth 1.
pub const MAX_XML_DEPTH: usize = 64;
/// The most elements and attributes together.
pub const MAX_XML_NODES: usize = 50_000;
/// The most namespace declarations.
const MAX_XML_NAMESPACES: usize = 64;

/// Parses one XML 1.0 document in `charset`. Refused: a document type, entities beyond the five, processing instructions, an encoding
/// declared otherwise, duplicate attributes and ids, more than one root, undeclared prefixes, text beside elements, a value in pieces.
pub fn xml(bytes: &[u8], charset: Charset) -> Result<Xml, &'static str> {
    read::read(bytes, charset)
}

/// A document: its text, and ranges in it. Personal data, hence no `Debug`; the text is zeroed on drop.
pub struct Xml {
    text: Zeroizing<String>,
    /// In document order, the root first.
    elements: Vec<Element>,
    attributes: Vec<Attribute>,
    namespaces: Vec<String>,
    has_comments: bool,
}

/// An element by its number in document order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ElementId(usize);

/// One place in a document: an element, or an attribute of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Element(ElementId),
    Attribute(usize),
}

struct Name {
    /// The number of its namespace; `None` = in none.
    namespace: Option<usize>,
    local: Range<usize>,
}

struct Element {
    name: Name,
    /// The number after its last descendant.
    end: usize,
    attributes: Range<usize>,
    value: Chars,
}

struct Attribute {
    name: Name,
    value: Chars,
}

/// Character data.
enum Chars {
    /// As it stands in the text.
    There(Range<usize>),
    /// With references or line ends resolved.
    Resolved(Zeroizing<String>),
}

impl Xml {
    /// The root.
    pub fn root(&self) -> ElementId {
        ElementId(0)
    }

    /// Whether a comment stands anywhere: it is read by nobody, so nobody has checked it.
    pub(crate) fn has_comments(&self) -> bool {
        self.has_comments
    }

    /// The one plain value at `path`, below `from` where the path is a relative one.
    pub fn find(&self, path: &XmlPath, from: ElementId) -> Found<'_> {
        let mut nodes = path.nodes(self, from).into_iter();
        match (nodes.next(), nodes.next()) {
            (None, _) => Found::Nothing,
            (Some(_), Some(_)) => Found::Several,
            (Some(node), None) => self.value(node).map_or(Found::NotPlain, |text| Found::Plain(Cow::Borrowed(text))),
        }
    }

    /// Every element at `path`, in document order.
    pub fn elements(&self, path: &XmlPath, from: ElementId) -> Vec<ElementId> {
        let nodes = path.nodes(self, from).into_iter();
        nodes.filter_map(|node| if let Node::Element(id) = node { Some(id) } else { None }).collect()
    }

    /// The text of an element without children, or of an attribute.
    pub(crate) fn value(&self, node: Node) -> Option<&str> {
        let chars = match node {
            Node::Element(id) => {
                let element = self.elements.get(id.0)?;
                if element.end != id.0 + 1 {
                    return None;
                }
                &element.value
            }
            Node::Attribute(at) => &self.attributes.get(at)?.value,
        };
        self.chars(chars)
    }

    fn chars<'x>(&'x self, chars: &'x Chars) -> Option<&'x str> {
        match chars {
            Chars::There(range) => self.text.get(range.clone()),
            Chars::Resolved(text) => Some(text),
        }
    }

    pub(crate) fn children(&self, of: ElementId) -> impl Iterator<Item = ElementId> {
        let end = self.elements.get(of.0).map_or(0, |element| element.end);
        let mut next = of.0 + 1;
        std::iter::from_fn(move || {
            let at = (next < end).then_some(next)?;
            next = self.elements.get(at)?.end;
            Some(ElementId(at))
        })
    }

    pub(crate) fn attributes_of(&self, of: ElementId) -> Range<usize> {
        self.elements.get(of.0).map_or(0..0, |element| element.attributes.clone())
    }

    /// Namespace and local name.
    pub(crate) fn name(&self, node: Node) -> Option<(Option<&str>, &str)> {
        let name = match node {
            Node::Element(id) => &self.elements.get(id.0)?.name,
            Node::Attribute(at) => &self.attributes.get(at)?.name,
        };
        let namespace = match name.namespace {
            None => None,
            Some(number) => Some(self.namespaces.get(number)?.as_str()),
        };
        Some((namespace, self.text.get(name.local.clone())?))
    }

    /// Every element and attribute, in document order.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Node> {
        (0..self.elements.len()).flat_map(|at| {
            let attributes = self.attributes_of(ElementId(at)).map(Node::Attribute);
            std::iter::once(Node::Element(ElementId(at))).chain(attributes)
        })
    }

    /// Whether an element holds neither text nor elements nor attributes, or is a plain value: nothing below it says more.
    pub(crate) fn is_leaf(&self, node: Node) -> bool {
        match node {
            Node::Element(id) => self.elements.get(id.0).is_some_and(|element| element.end == id.0 + 1),
            Node::Attribute(_) => true,
        }
    }

    /// Every namespace that is declared anywhere, used or not.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.iter().map(String::as_str)
    }

    /// The same as nested objects by local names, for searches that do not care where something stands.
    pub(crate) fn as_value(&self) -> Value {
        self.element_as_value(self.root())
    }

    fn element_as_value(&self, id: ElementId) -> Value {
        let mut members = Map::new();
        let mut add = |name: String, value: Value| {
            let values = match value {
                Value::Array(values) => values,
                value => vec![value],
            };
            match members.get_mut(&name) {
                Some(Value::Array(several)) => several.extend(values),
                _ => {
                    members.insert(name, Value::Array(values));
                }
            }
        };
        for at in self.attributes_of(id) {
            let node = Node::Attribute(at);
            if let (Some((_, local)), Some(text)) = (self.name(node), self.value(node)) {
                add(format!("@{local}"), text.into());
            }
        }
        for child in self.children(id) {
            if let Some((_, local)) = self.name(Node::Element(child)) {
                add(local.to_owned(), self.element_as_value(child));
            }
        }
        match self.value(Node::Element(id)) {
            Some(text) if members.is_empty() => text.into(),
            // A value with attributes is both.
            Some(text) => Value::Array(vec![text.into(), Value::Object(members)]),
            None => Value::Object(members),
        }
    }
}
