//! How a legacy system writes: its charset, its format and its namespaces. Said once, used for every body it sends or is sent.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Charset, Form, Pointer, Tree, Xml, XmlPath, form, multipart, tree, xml};

/// What a body is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// RFC 8259.
    #[default]
    Json,
    /// XML 1.0, SOAP included.
    Xml,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data`, plain fields only; its places are a form's.
    Multipart,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Json, Self::Xml, Self::Form, Self::Multipart];

    /// The name in configuration files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Xml => "xml",
            Self::Form => "form",
            Self::Multipart => "multipart",
        }
    }

    /// The key of its places in configuration files.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Multipart => "form",
            other => other.name(),
        }
    }

    /// The media type that is sent where nothing else is said.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => "text/xml",
            Self::Form => "application/x-www-form-urlencoded",
            Self::Multipart => "multipart/form-data",
        }
    }
}

/// One way of writing. The default is JSON in UTF-8.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dialect {
    /// Declared, never guessed.
    pub charset: Charset,
    /// What a body is.
    pub format: Format,
    /// Namespaces by the prefixes that paths use.
    pub namespaces: BTreeMap<String, String>,
}

/// A body, strictly read; it borrows what stands in the bytes as it is meant. Personal data, hence no `Debug`.
pub enum Body<'b> {
    /// JSON.
    Json(Tree<'b>),
    /// XML.
    Xml(Xml),
    /// A form.
    Form(Form),
}

/// What stands at a place. Personal data, hence no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum Found<'b> {
    /// Nothing.
    Nothing,
    /// One plain value.
    Plain(Cow<'b, str>),
    /// Something that is no plain value.
    NotPlain,
    /// More than one thing: which of them is meant, nobody can say.
    Several,
}

impl<'b> Found<'b> {
    /// The plain value, if it is one.
    pub fn plain(self) -> Option<Cow<'b, str>> {
        match self {
            Self::Plain(text) => Some(text),
            _ => None,
        }
    }
}

/// Where a value stands in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyPlace {
    /// At this RFC 6901 pointer.
    Json(Pointer),
    /// At this path.
    Xml(XmlPath),
    /// In this field.
    Form(String),
}

impl BodyPlace {
    /// The format that it points into.
    pub fn format(&self) -> Format {
        match self {
            Self::Json(_) => Format::Json,
            Self::Xml(_) => Format::Xml,
            Self::Form(_) => Format::Form,
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Json(pointer) => pointer.as_str(),
            Self::Xml(path) => path.as_str(),
            Self::Form(name) => name,
        }
    }

    /// The name of the member that it points at, in [`Body::as_tree`]; `None` where it is the whole or an element of an array.
    pub fn member(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Json(pointer) => pointer.member().map(Cow::Borrowed),
            Self::Xml(path) => path.member().map(Cow::Owned),
            Self::Form(name) => Some(Cow::Borrowed(name)),
        }
    }
}

impl Dialect {
    /// Reads a body. `content_type` is what its sender says of it: a charset there must be ours.
    pub fn read<'b>(&self, body: &'b [u8], content_type: Option<&str>) -> Result<Body<'b>, &'static str> {
        if content_type.is_some_and(|said| !self.charset.fits_content_type(said)) {
            return Err("charset_conflict");
        }
        match self.format {
            Format::Json if self.charset == Charset::Utf8 => tree(body).map(Body::Json),
            Format::Json => tree(self.charset.decode(body)?.as_bytes()).map(|tree| Body::Json(tree.into_owned())),
            Format::Xml => xml(body, self.charset).map(Body::Xml),
            Format::Form => form(body, self.charset).map(Body::Form),
            Format::Multipart => multipart(body, content_type.unwrap_or_default(), self.charset).map(Body::Form),
        }
    }

    /// Parses a place of this dialect. The reason says what is wrong with the text.
    pub fn place(&self, format: Format, text: &str) -> Result<BodyPlace, String> {
        if format.key() != self.format.key() {
            return Err(format!("the dialect is {}, not {}", self.format.name(), format.name()));
        }
        match format {
            Format::Json => Pointer::parse(text).map(BodyPlace::Json).map_err(|error| error.to_string()),
            Format::Xml => {
                let mut path = XmlPath::parse(text).map_err(|error| error.to_string())?;
                path.resolve(&self.namespaces).map_err(|error| {
                    let known: Vec<&str> = self.namespaces.keys().map(String::as_str).collect();
                    format!("{error} in the dialect's `namespaces` ({})", known.join(", "))
                })?;
                Ok(BodyPlace::Xml(path))
            }
            Format::Form | Format::Multipart if text.is_empty() => Err("a form's field has a name".to_owned()),
            Format::Form | Format::Multipart => Ok(BodyPlace::Form(text.to_owned())),
        }
    }

    /// The content type of what is sent in this dialect.
    pub fn content_type(&self) -> String {
        match (self.format, self.charset) {
            (Format::Json, Charset::Utf8) => "application/json".to_owned(),
            (format, charset) => format!("{}; charset={}", format.media_type(), charset.name()),
        }
    }
}

impl Body<'_> {
    /// What stands at `place`; a place of another format is nowhere in it.
    pub fn find(&self, place: &BodyPlace) -> Found<'_> {
        match (self, place) {
            (Self::Json(value), BodyPlace::Json(pointer)) => match pointer.find(value) {
                None | Some(Tree::Null) => Found::Nothing,
                Some(found) => found.plain_text().map_or(Found::NotPlain, Found::Plain),
            },
            (Self::Xml(xml), BodyPlace::Xml(path)) => xml.find(path, xml.root()),
            (Self::Form(form), BodyPlace::Form(name)) => form.find(name),
            _ => Found::Nothing,
        }
    }

    /// The whole as nested objects by plain names.
    pub(crate) fn as_tree(&self) -> Cow<'_, Tree<'_>> {
        match self {
            Self::Json(tree) => Cow::Borrowed(tree),
            Self::Xml(xml) => Cow::Owned(xml.as_value().into()),
            Self::Form(form) => {
                let text = |value| Tree::Text(Cow::Borrowed(value));
                Cow::Owned(Tree::object(form.fields().map(|(name, value)| (Cow::Borrowed(name), text(value)))))
            }
        }
    }
}
