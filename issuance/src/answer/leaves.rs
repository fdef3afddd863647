//! Every plain value of a body with the text of the place where it stands, for whoever proposes places. Judges nothing.

use std::collections::BTreeMap;

use super::{Body, ElementId, Node, Tree, Xml};

/// Prefixes by namespace, made up where none is usual.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefixes(BTreeMap<String, String>);

/// Namespaces that have a usual prefix.
const USUAL: [(&str, &str); 2] =
    [("http://schemas.xmlsoap.org/soap/envelope/", "s"), ("http://www.w3.org/2003/05/soap-envelope", "s")];

impl Prefixes {
    fn of(&mut self, namespace: &str) -> String {
        if let Some(known) = self.0.get(namespace) {
            return known.clone();
        }
        let usual = USUAL.iter().find(|(uri, _)| *uri == namespace).map(|(_, prefix)| (*prefix).to_owned());
        let free = |prefix: &String| !self.0.values().any(|known| known == prefix);
        let made = usual.into_iter().chain((0..).map(|n| if n == 0 { "n".to_owned() } else { format!("n{n}") }));
        let prefix = made.into_iter().find(free).unwrap_or_default();
        self.0.insert(namespace.to_owned(), prefix.clone());
        prefix
    }

    /// Namespaces by prefix, as a dialect declares them.
    pub fn declared(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(namespace, prefix)| (prefix.as_str(), namespace.as_str()))
    }
}

impl Body<'_> {
    /// Place and value of everything that is one plain value at one place; what stands several times is left out.
    pub fn leaves(&self, prefixes: &mut Prefixes) -> Vec<(String, String)> {
        let mut leaves = Vec::new();
        match self {
            Self::Json(value) => in_json(value, String::new(), &mut leaves),
            Self::Xml(xml) => in_xml(xml, xml.root(), String::new(), prefixes, &mut leaves),
            Self::Form(form) => leaves.extend(form.fields().map(|(name, value)| (name.to_owned(), value.to_owned()))),
        }
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        leaves.iter().for_each(|(place, _)| *times.entry(place.clone()).or_default() += 1);
        leaves.retain(|(place, _)| times.get(place) == Some(&1));
        leaves
    }

    /// The name of the first element inside a SOAP body, or of the root; `None` where it is no XML.
    pub fn message(&self) -> Option<String> {
        let Self::Xml(xml) = self else { return None };
        let local = |id| xml.name(Node::Element(id)).map(|(_, local)| local.to_owned());
        let body = xml.children(xml.root()).find(|id| local(*id).as_deref() == Some("Body"));
        body.and_then(|body| xml.children(body).next()).map_or_else(|| local(xml.root()), local)
    }
}

fn in_json(value: &Tree<'_>, at: String, leaves: &mut Vec<(String, String)>) {
    match value {
        Tree::Object(members) => {
            for (name, member) in members {
                let escaped = name.replace('~', "~0").replace('/', "~1");
                in_json(member, format!("{at}/{escaped}"), leaves);
            }
        }
        // Which element of a list is meant, its place cannot say.
        Tree::List(_) => {}
        plain => leaves.extend(plain.plain_text().map(|text| (at, text.into_owned()))),
    }
}

fn in_xml(xml: &Xml, id: ElementId, above: String, prefixes: &mut Prefixes, leaves: &mut Vec<(String, String)>) {
    let mut name = |node| {
        let (namespace, local) = xml.name(node)?;
        Some(match namespace {
            Some(namespace) => format!("{}:{local}", prefixes.of(namespace)),
            None => local.to_owned(),
        })
    };
    let Some(own) = name(Node::Element(id)) else { return };
    let at = format!("{above}/{own}");
    for attribute in xml.attributes_of(id).map(Node::Attribute) {
        if let (Some(name), Some(value)) = (name(attribute), xml.value(attribute)) {
            leaves.push((format!("{at}/@{name}"), value.to_owned()));
        }
    }
    if let Some(value) = xml.value(Node::Element(id)).filter(|value| !value.is_empty()) {
        leaves.push((at.clone(), value.to_owned()));
    }
    for child in xml.children(id) {
        in_xml(xml, child, at.clone(), prefixes, leaves);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Charset, Dialect, Format, tree, xml};
    use super::*;

    #[test]
    fn each_place_finds_its_value_again() {
        let text = r#"{"a":{"b/c":"1"},"n":7,"list":[{"x":"y"}],"t":true}"#;
        let body = Body::Json(tree(text.as_bytes()).unwrap());
        let leaves = body.leaves(&mut Prefixes::default());
        let places: Vec<&str> = leaves.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["/a/b~1c", "/n", "/t"]);
        let soap = "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns=\"urn:a\"><e:Body><Ask k=\"v\">\
                    <No>1</No><Twice>1</Twice><Twice>2</Twice><p xmlns=\"\">3</p></Ask></e:Body></e:Envelope>";
        let body = Body::Xml(xml(soap.as_bytes(), Charset::Utf8).unwrap());
        let mut prefixes = Prefixes::default();
        let leaves = body.leaves(&mut prefixes);
        assert_eq!(body.message().as_deref(), Some("Ask"));
        let namespaces = prefixes.declared().map(|(p, n)| (p.to_owned(), n.to_owned())).collect();
        let dialect = Dialect { charset: Charset::Utf8, format: Format::Xml, namespaces };
        assert_eq!(leaves.len(), 3, "{leaves:?}");
        for (place, value) in leaves {
            let place = dialect.place(Format::Xml, &place).unwrap();
            assert_eq!(body.find(&place).plain().as_deref(), Some(value.as_str()));
        }
    }
}
