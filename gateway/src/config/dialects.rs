//! `[dialects.NAME]`: how a legacy system writes, said once; and the places in its bodies that routes and lookups name.

use std::collections::BTreeMap;
use std::sync::Arc;

use sekisho_issuance::answer::{BodyPlace, Charset, Dialect, Format};

use super::lookups::named;
use super::section::{Placed, Section};
use super::source::{Findings, did_you_mean};

pub(super) type Dialects = BTreeMap<Arc<str>, Arc<Dialect>>;

pub(super) fn read(root: &mut Section<'_>, found: &mut Findings) -> Dialects {
    let mut dialects = Dialects::new();
    for (name, mut section) in root.named(found, "dialects") {
        super::label(&name, found);
        let charset = charset(&mut section, found).unwrap_or_default();
        let format = format(&mut section, found);
        let mut namespaces = BTreeMap::new();
        if let Some(table) = section.section(found, "namespaces") {
            for (prefix, uri) in table.entries() {
                let plain = prefix.value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
                match uri.get_ref().as_str().filter(|uri| !uri.is_empty()) {
                    _ if !plain || !prefix.value.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                        prefix.wrong(found, "is no prefix", "s = \"http://schemas.xmlsoap.org/soap/envelope/\"");
                    }
                    Some(uri) => {
                        namespaces.insert(prefix.value.to_owned(), uri.to_owned());
                    }
                    None => prefix.wrong(found, "must name a namespace", "\"urn:example:juki:1\""),
                }
            }
            if format.is_some_and(|format| format != Format::Xml) {
                found.mistake(table.span(), table.path(), "belongs to format = \"xml\"", "remove it");
            }
        }
        section.finish(found);
        let Some(format) = format else {
            found.broken.insert(name.key);
            continue;
        };
        dialects.insert(name.value.into(), Arc::new(Dialect { charset, format, namespaces }));
    }
    dialects
}

fn format(section: &mut Section<'_>, found: &mut Findings) -> Option<Format> {
    let Some(placed) = section.text(found, "format", "xml") else {
        if !section.has("format") {
            found.mistake(section.span(), section.key("format"), "is missing", "format = \"xml\"");
        }
        return None;
    };
    let format = Format::ALL.into_iter().find(|format| format.name() == placed.value);
    if format.is_none() {
        let names = Format::ALL.map(Format::name);
        let near = did_you_mean(placed.value, names)
            .map_or("one of: json, xml, form, multipart".to_owned(), |n| format!("{n:?}"));
        placed.wrong(found, format!("is `{}`, which is not known", placed.value), near);
    }
    format
}

/// The `charset` key.
pub(super) fn charset(section: &mut Section<'_>, found: &mut Findings) -> Option<Charset> {
    let placed = section.text(found, "charset", "Shift_JIS")?;
    let charset = Charset::parse(placed.value);
    if charset.is_none() {
        placed.wrong(found, "is no charset that can be read", "one of: UTF-8, Shift_JIS (= Windows-31J), EUC-JP");
    }
    charset
}

/// The `dialect` key; absent = JSON in UTF-8.
pub(super) fn of(section: &mut Section<'_>, dialects: &Dialects, found: &mut Findings) -> Arc<Dialect> {
    let placed = section.text(found, "dialect", "centre");
    let known =
        placed.and_then(|placed| named(&placed, dialects, "dialects", found).map(|(_, dialect)| dialect.clone()));
    known.unwrap_or_default()
}

/// Every place in a body that a table names (`json`, `xml`, `form`); which of them it must be is for the caller to say.
pub(super) fn places(section: &mut Section<'_>, dialect: &Dialect, found: &mut Findings) -> Vec<BodyPlace> {
    let keys =
        [("json", Format::Json, "/id"), ("xml", Format::Xml, "//j:Issue/j:Number"), ("form", Format::Form, "number")];
    let texts = keys.map(|(key, format, like)| section.text(found, key, like).map(|placed| (placed, format)));
    texts.into_iter().flatten().filter_map(|(placed, format)| place(&placed, format, dialect, found)).collect()
}

fn place(placed: &Placed<&str>, format: Format, dialect: &Dialect, found: &mut Findings) -> Option<BodyPlace> {
    let whole = format != Format::Json || !placed.value.is_empty();
    let read = dialect.place(format, placed.value).and_then(|place| match &place {
        BodyPlace::Xml(path) if path.is_relative() => Err("does not say where to begin".to_owned()),
        _ if !whole => Err("is not a JSON pointer (RFC 6901)".to_owned()),
        _ => Ok(place),
    });
    let like = match dialect.format {
        Format::Json if format == Format::Json => "\"/error/code\"",
        Format::Json => "dialect = \"NAME\", one of [dialects] that is written so",
        Format::Xml => "xml = \"//j:Issue/j:Number\", with its prefixes in the dialect's `namespaces`",
        Format::Form | Format::Multipart => "form = \"number\"",
    };
    read.map_err(|why| placed.wrong(found, why, like)).ok()
}
