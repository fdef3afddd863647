//! Reading a document into ranges of its text. What two readers may understand differently is refused here.

use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::{BytesDecl, BytesStart, Event};
use zeroize::Zeroizing;

use super::{Attribute, Chars, Element, MAX_XML_BYTES, MAX_XML_DEPTH, MAX_XML_NAMESPACES, MAX_XML_NODES, Name, Xml};
use crate::answer::charset::Charset;

pub(super) const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";

type Read<T> = Result<T, &'static str>;

pub(super) fn read(bytes: &[u8], charset: Charset) -> Read<Xml> {
    if bytes.len() > MAX_XML_BYTES {
        return Err("xml_too_large");
    }
    let bytes = match charset {
        Charset::Utf8 => bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes),
        _ => bytes,
    };
    let text = Zeroizing::new(charset.decode(bytes)?.into_owned());
    if !text.chars().all(is_char) {
        return Err("xml_forbidden_character");
    }
    let mut reading = Reading { text: &text, charset, tree: Tree::default(), open: Vec::new(), scope: Vec::new() };
    reading.run()?;
    let Tree { elements, attributes, namespaces, has_comments } = reading.tree;
    if elements.is_empty() {
        return Err("xml_without_root");
    }
    let xml = Xml { text, elements, attributes, namespaces, has_comments };
    if has_duplicate_ids(&xml) { Err("xml_duplicate_id") } else { Ok(xml) }
}

#[derive(Default)]
struct Tree {
    elements: Vec<Element>,
    attributes: Vec<Attribute>,
    namespaces: Vec<String>,
    has_comments: bool,
}

struct Reading<'t> {
    text: &'t str,
    charset: Charset,
    tree: Tree,
    open: Vec<Open<'t>>,
    /// Prefixes (empty = the default) with the number of their namespace (`None` = undone), innermost last.
    scope: Vec<(&'t str, Option<usize>)>,
}

/// An element whose end has not come yet.
struct Open<'t> {
    number: usize,
    /// How many prefixes were known before it.
    outer_scope: usize,
    has_children: bool,
    pieces: Vec<Piece<'t>>,
}

enum Piece<'t> {
    Text(&'t str),
    Char(char),
    CData(&'t str),
    Comment,
}

impl<'t> Reading<'t> {
    fn run(&mut self) -> Read<()> {
        let mut reader = Reader::from_str(self.text);
        let config = reader.config_mut();
        config.check_comments = true;
        config.check_end_names = true;
        let mut first = true;
        loop {
            let event = reader.read_event().map_err(|_| "xml_malformed")?;
            match event {
                Event::Decl(decl) if first => self.declaration(&decl)?,
                Event::Decl(_) | Event::PI(_) => return Err("xml_processing_instruction"),
                Event::DocType(_) => return Err("xml_doctype"),
                Event::Start(start) => self.start(start)?,
                Event::Empty(start) => {
                    self.start(start)?;
                    self.end()?;
                }
                Event::End(_) => self.end()?,
                Event::Text(text) => {
                    let text = self.there(&text.into_inner())?;
                    self.piece(Piece::Text(text))?;
                }
                Event::CData(text) => {
                    let text = self.there(&text.into_inner())?;
                    self.piece(Piece::CData(text))?;
                }
                Event::Comment(_) => {
                    self.tree.has_comments = true;
                    if let Some(open) = self.open.last_mut() {
                        open.pieces.push(Piece::Comment);
                    }
                }
                Event::GeneralRef(reference) => {
                    let resolved = resolve(&reference.into_inner())?;
                    self.piece(Piece::Char(resolved))?;
                }
                Event::Eof => break,
            }
            first = false;
        }
        if self.open.is_empty() { Ok(()) } else { Err("xml_malformed") }
    }

    fn declaration(&self, decl: &BytesDecl<'_>) -> Read<()> {
        if decl.version().map_err(|_| "xml_malformed")? != "1.0" {
            return Err("xml_version");
        }
        match decl.encoding() {
            None => Ok(()),
            Some(Ok(label)) if Charset::parse(&label) == Some(self.charset) => Ok(()),
            Some(Ok(_)) => Err("xml_encoding_conflict"),
            Some(Err(_)) => Err("xml_malformed"),
        }
    }

    /// The same text, as a part of the whole.
    fn there(&self, part: &str) -> Read<&'t str> {
        let range = self.range(part)?;
        self.text.get(range).ok_or("xml_malformed")
    }

    /// Where a part of the text stands in it.
    fn range(&self, part: &str) -> Read<Range<usize>> {
        let start = (part.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize).ok_or("xml_malformed")?;
        let range = start..start + part.len();
        let same = self.text.get(range.clone()).is_some_and(|there| there == part);
        if same { Ok(range) } else { Err("xml_malformed") }
    }

    fn piece(&mut self, piece: Piece<'t>) -> Read<()> {
        match (self.open.last_mut(), &piece) {
            (Some(open), _) => {
                // Pieces are bounded by the text; each is at least one byte of it.
                open.pieces.push(piece);
                Ok(())
            }
            (None, Piece::Text(text)) if is_blank(text) => Ok(()),
            (None, _) => Err("xml_outside_root"),
        }
    }

    fn start(&mut self, start: BytesStart<'_>) -> Read<()> {
        if self.open.is_empty() && !self.tree.elements.is_empty() {
            return Err("xml_several_roots");
        }
        if self.open.len() >= MAX_XML_DEPTH {
            return Err("xml_too_deep");
        }
        if let Some(parent) = self.open.last_mut() {
            parent.has_children = true;
        }
        let outer_scope = self.scope.len();
        let mut plain = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| "xml_attribute")?;
            let (name, value) = (self.there(attribute.key.into_inner())?, self.there(&attribute.value)?);
            match (name, name.strip_prefix("xmlns:")) {
                ("xmlns", _) => self.declare("", value)?,
                (_, Some(prefix)) => self.declare(prefix, value)?,
                _ => plain.push((name, value)),
            }
        }
        let first = self.tree.attributes.len();
        for (name, value) in plain {
            let name = self.name(name, false)?;
            let value = self.attribute_value(value)?;
            self.room()?;
            self.tree.attributes.push(Attribute { name, value });
        }
        self.no_twins(first)?;
        let name = self.there(start.name().into_inner())?;
        let name = self.name(name, true)?;
        self.room()?;
        let number = self.tree.elements.len();
        let attributes = first..self.tree.attributes.len();
        self.tree.elements.push(Element { name, end: number + 1, attributes, value: Chars::There(0..0) });
        self.open.push(Open { number, outer_scope, has_children: false, pieces: Vec::new() });
        Ok(())
    }

    fn end(&mut self) -> Read<()> {
        let Open { number, outer_scope, has_children, pieces } = self.open.pop().ok_or("xml_malformed")?;
        self.scope.truncate(outer_scope);
        let value = if has_children {
            let blank = |piece: &Piece<'_>| match piece {
                Piece::Text(text) => is_blank(text),
                Piece::Comment => true,
                Piece::Char(_) | Piece::CData(_) => false,
            };
            if !pieces.iter().all(blank) {
                return Err("xml_text_beside_elements");
            }
            Chars::There(0..0)
        } else {
            self.value(&pieces)?
        };
        let end = self.tree.elements.len();
        if let Some(element) = self.tree.elements.get_mut(number) {
            (element.end, element.value) = (end, value);
        }
        Ok(())
    }

    /// The value of an element without children: one run of text, or one CDATA section, and nothing in between.
    fn value(&self, pieces: &[Piece<'t>]) -> Read<Chars> {
        match pieces {
            [] | [Piece::Comment] => return Ok(Chars::There(0..0)),
            [Piece::Text(text)] if text.contains("]]>") => return Err("xml_malformed"),
            [Piece::Text(text) | Piece::CData(text)] if !text.contains('\r') => {
                return Ok(Chars::There(self.range(text)?));
            }
            _ => {}
        }
        let mut value = Zeroizing::new(String::with_capacity(pieces.len()));
        for piece in pieces {
            match piece {
                // Some readers take the first part, some all of them.
                Piece::Comment => return Err("xml_comment_in_value"),
                Piece::CData(_) if pieces.len() > 1 => return Err("xml_value_in_pieces"),
                Piece::Text(text) if text.contains("]]>") => return Err("xml_malformed"),
                Piece::Text(text) | Piece::CData(text) => {
                    value.push_str(&text.replace("\r\n", "\n").replace('\r', "\n"))
                }
                Piece::Char(c) => value.push(*c),
            }
        }
        Ok(Chars::Resolved(value))
    }

    fn attribute_value(&self, raw: &'t str) -> Read<Chars> {
        // Line ends and tabs become spaces for some readers only.
        if raw.contains(['<', '\r', '\n', '\t']) {
            return Err("xml_attribute");
        }
        if !raw.contains('&') {
            return Ok(Chars::There(self.range(raw)?));
        }
        let mut value = Zeroizing::new(String::with_capacity(raw.len()));
        let mut rest = raw;
        while let Some((before, after)) = rest.split_once('&') {
            let (reference, tail) = after.split_once(';').ok_or("xml_entity")?;
            value.push_str(before);
            value.push(resolve(reference)?);
            rest = tail;
        }
        value.push_str(rest);
        Ok(Chars::Resolved(value))
    }

    fn declare(&mut self, prefix: &'t str, uri: &'t str) -> Read<()> {
        let reserved = prefix == "xmlns" || prefix == "xml" || uri == XML_NAMESPACE || uri == XMLNS_NAMESPACE;
        // A reference in a namespace may be compared before or after it is resolved.
        let unclear = uri.contains(['&', '<', '\r', '\n', '\t']) || uri.is_empty() && !prefix.is_empty();
        if reserved || unclear || !prefix.is_empty() && !is_name(prefix) {
            return Err("xml_namespace");
        }
        let number = if uri.is_empty() { None } else { Some(self.intern(uri)?) };
        self.scope.push((prefix, number));
        if self.scope.len() > MAX_XML_NAMESPACES * 4 { Err("xml_too_many_namespaces") } else { Ok(()) }
    }

    fn intern(&mut self, uri: &str) -> Read<usize> {
        if let Some(known) = self.tree.namespaces.iter().position(|known| known == uri) {
            return Ok(known);
        }
        if self.tree.namespaces.len() >= MAX_XML_NAMESPACES {
            return Err("xml_too_many_namespaces");
        }
        self.tree.namespaces.push(uri.to_owned());
        Ok(self.tree.namespaces.len() - 1)
    }

    /// A name with its namespace; an attribute without a prefix is in none.
    fn name(&mut self, written: &'t str, default_applies: bool) -> Read<Name> {
        let (prefix, local) = written.split_once(':').unwrap_or(("", written));
        if !is_name(local) || written.contains(':') && !is_name(prefix) {
            return Err("xml_name");
        }
        let namespace = match prefix {
            "" if !default_applies => None,
            "xml" => Some(self.intern(XML_NAMESPACE)?),
            _ => match self.scope.iter().rev().find(|(known, _)| *known == prefix) {
                Some((_, number)) => *number,
                None if prefix.is_empty() => None,
                None => return Err("xml_undeclared_prefix"),
            },
        };
        Ok(Name { namespace, local: self.range(local)? })
    }

    /// Two attributes of one expanded name (two prefixes of one namespace) are one attribute twice.
    fn no_twins(&self, first: usize) -> Read<()> {
        let attributes = self.tree.attributes.get(first..).unwrap_or_default();
        let mut names: Vec<_> =
            attributes.iter().map(|a| (a.name.namespace, self.text.get(a.name.local.clone()))).collect();
        names.sort_unstable();
        let twice = names.windows(2).any(|pair| matches!(pair, [one, other] if one == other));
        if twice { Err("xml_attribute") } else { Ok(()) }
    }

    fn room(&self) -> Read<()> {
        let nodes = self.tree.elements.len() + self.tree.attributes.len();
        if nodes >= MAX_XML_NODES { Err("xml_too_many_nodes") } else { Ok(()) }
    }
}

/// An id that stands twice lets one reader follow a reference to the first and another to the second.
fn has_duplicate_ids(xml: &Xml) -> bool {
    let mut ids: Vec<&str> = xml
        .attributes
        .iter()
        .filter(|a| xml.text.get(a.name.local.clone()).is_some_and(|local| local.eq_ignore_ascii_case("id")))
        .filter_map(|a| xml.chars(&a.value))
        .collect();
    ids.sort_unstable();
    ids.windows(2).any(|pair| matches!(pair, [one, other] if one == other))
}

/// What stands between `&` and `;`: one of the five, or a character by its number.
fn resolve(reference: &str) -> Read<char> {
    let resolved = match reference {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => {
            let number = reference.strip_prefix('#').ok_or("xml_entity")?;
            let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |hex| (hex, 16));
            let plain = digits.len() <= 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let code = plain.then(|| u32::from_str_radix(digits, radix).ok()).flatten();
            code.and_then(char::from_u32).filter(|c| is_char(*c)).ok_or("xml_entity")?
        }
    };
    Ok(resolved)
}

/// A character that may stand in a document.
fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
}

/// A name without a colon.
pub(super) fn is_name(text: &str) -> bool {
    let first = |c: char| c == '_' || c.is_alphabetic();
    let then = |c: char| first(c) || matches!(c, '-' | '.' | '\u{b7}') || c.is_alphanumeric();
    text.starts_with(first) && text.chars().all(then)
}
