//! A subset of XPath, parsed once: `/a:B/c:D`, `//c:D`, `c:D` (below an element), each possibly with `/@attr`. No predicate, no function.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ElementId, Node, Xml};

/// The text is no path of this subset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing to look for.
    #[error("a path names at least one element, as in \"//j:Person/j:Name\"")]
    Empty,
    /// A step that is no name.
    #[error("`{0}` is no element's name: a step is `Name` or `prefix:Name`, and `@name` may only be the last")]
    Step(String),
    /// A prefix without a namespace.
    #[error("the prefix `{0}` has no namespace")]
    Prefix(String),
}

/// A parsed path. Prefixes mean nothing until [`XmlPath::resolve`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct XmlPath {
    text: String,
    start: Start,
    steps: Vec<QName>,
    attribute: Option<QName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// `/`: the first step is the root.
    Root,
    /// `//`: the first step is any element.
    Anywhere,
    /// The first step is a child of the element that one is at.
    Here,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct QName {
    prefix: Option<String>,
    local: String,
    namespace: Option<String>,
}

impl XmlPath {
    /// Parses a path.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let (start, rest) = match (text.strip_prefix("//"), text.strip_prefix('/')) {
            (Some(rest), _) => (Start::Anywhere, rest),
            (None, Some(rest)) => (Start::Root, rest),
            (None, None) => (Start::Here, text),
        };
        let mut parts: Vec<&str> = rest.split('/').collect();
        let attribute = match parts.last().and_then(|last| last.strip_prefix('@')) {
            Some(name) => {
                parts.pop();
                Some(QName::parse(name)?)
            }
            None => None,
        };
        if rest.is_empty() || parts.is_empty() && (start != Start::Here || attribute.is_none()) {
            return Err(PathError::Empty);
        }
        let steps = parts.into_iter().map(QName::parse).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), start, steps, attribute })
    }

    /// Gives the prefixes their meaning.
    pub fn resolve(&mut self, namespaces: &BTreeMap<String, String>) -> Result<(), PathError> {
        for name in self.steps.iter_mut().chain(&mut self.attribute) {
            name.namespace = match &name.prefix {
                None => None,
                Some(prefix) if prefix == "xml" => Some(super::read::XML_NAMESPACE.to_owned()),
                Some(prefix) => {
                    let known = namespaces.get(prefix).ok_or_else(|| PathError::Prefix(prefix.clone()))?;
                    Some(known.clone())
                }
            };
        }
        Ok(())
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it starts at the element that one is at.
    pub fn is_relative(&self) -> bool {
        self.start == Start::Here
    }

    /// The local name of what it points at; of an attribute with its `@`.
    pub fn member(&self) -> Option<String> {
        match &self.attribute {
            Some(name) => Some(format!("@{}", name.local)),
            None => self.steps.last().map(|step| step.local.clone()),
        }
    }

    /// Every name on the way, each with its namespace.
    pub(crate) fn names(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        self.steps.iter().chain(&self.attribute).map(|name| (name.namespace.as_deref(), name.local.as_str()))
    }

    /// All nodes that it points at, in document order.
    pub(crate) fn nodes(&self, xml: &Xml, from: ElementId) -> Vec<Node> {
        let mut steps = self.steps.iter();
        let is = |id: ElementId, step: &QName| step.is(xml.name(Node::Element(id)));
        let mut at: Vec<ElementId> = match self.start {
            Start::Here => vec![from],
            Start::Root => match steps.next() {
                Some(step) => Some(xml.root()).filter(|root| is(*root, step)).into_iter().collect(),
                None => Vec::new(),
            },
            Start::Anywhere => match steps.next() {
                Some(step) => (0..xml.elements.len()).map(ElementId).filter(|id| is(*id, step)).collect(),
                None => Vec::new(),
            },
        };
        for step in steps {
            // Matches may lie in one another, but no two share a child.
            at = at.into_iter().flat_map(|id| xml.children(id)).filter(|id| is(*id, step)).collect();
        }
        at.sort_unstable_by_key(|id| id.0);
        match &self.attribute {
            None => at.into_iter().map(Node::Element).collect(),
            Some(name) => {
                let attributes = at.into_iter().flat_map(|id| xml.attributes_of(id)).map(Node::Attribute);
                attributes.filter(|node| name.is(xml.name(*node))).collect()
            }
        }
    }
}

impl QName {
    fn parse(text: &str) -> Result<Self, PathError> {
        let (prefix, local) = match text.split_once(':') {
            Some((prefix, local)) => (Some(prefix), local),
            None => (None, text),
        };
        if !super::read::is_name(local) || prefix.is_some_and(|prefix| !super::read::is_name(prefix)) {
            return Err(PathError::Step(text.to_owned()));
        }
        Ok(Self { prefix: prefix.map(str::to_owned), local: local.to_owned(), namespace: None })
    }

    fn is(&self, name: Option<(Option<&str>, &str)>) -> bool {
        name == Some((self.namespace.as_deref(), self.local.as_str()))
    }
}

impl TryFrom<String> for XmlPath {
    type Error = PathError;
    fn try_from(text: String) -> Result<Self, PathError> {
        Self::parse(&text)
    }
}

impl From<XmlPath> for String {
    fn from(path: XmlPath) -> Self {
        path.text
    }
}
