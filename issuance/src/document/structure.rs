//! The catalog and the page tree: what the document consists of, and what it must not contain.

use std::collections::HashSet;

use super::objects::Objects;
use super::value::{Dict, Value};
use super::{Limits, Unreadable};

const PAGE_TREE: Unreadable = Unreadable("page_tree");
const ACTIVE: Unreadable = Unreadable("active_content");

/// One page with what it inherits (ISO 32000-2, 7.7.3.4).
pub(super) struct PageNode<'o, 'a> {
    pub(super) dict: &'o Dict<'a>,
    pub(super) resources: Option<&'o Dict<'a>>,
    pub(super) media_box: [f64; 4],
    pub(super) crop_box: Option<[f64; 4]>,
    pub(super) rotate: f64,
}

/// Optional content groups that are plainly on.
pub(super) struct Layers(HashSet<u32>);

impl Layers {
    /// Whether what is marked with this reference is certainly printed.
    pub(super) fn is_on(&self, group: &Value<'_>) -> bool {
        matches!(group, Value::Reference(number) if self.0.contains(number))
    }
}

/// Checks everything outside the pages, and lists the layers.
pub(super) fn examine(objects: &Objects<'_>) -> Result<Layers, Unreadable> {
    for value in objects.values() {
        hazards(value)?;
    }
    let catalog = catalog(objects)?;
    if let Some(form) = objects.dict(catalog, b"AcroForm")? {
        if !objects.get(form, b"XFA")?.is_null() {
            return Err(Unreadable("xfa"));
        }
        if objects.array(form, b"Fields")?.is_some_and(|fields| !fields.is_empty()) {
            return Err(Unreadable("form_fields"));
        }
    }
    // A destination only says where a viewer opens.
    if !matches!(objects.get(catalog, b"OpenAction")?, Value::Null | Value::Array(_)) {
        return Err(ACTIVE);
    }
    layers(objects, catalog)
}

fn catalog<'o, 'a>(objects: &'o Objects<'a>) -> Result<&'o Dict<'a>, Unreadable> {
    objects.dict(objects.trailer(), b"Root")?.ok_or(Unreadable("broken_xref"))
}

/// Looks at every dictionary of the file, whether or not anything refers to it.
fn hazards(value: &Value<'_>) -> Result<(), Unreadable> {
    match value {
        Value::Array(items) => items.iter().try_for_each(hazards),
        Value::Dict(dict) => {
            for (key, value) in dict.entries() {
                match key {
                    b"JavaScript" | b"JS" | b"AA" | b"RichMediaContent" if !value.is_null() => return Err(ACTIVE),
                    b"S" if is_action(value) => return Err(ACTIVE),
                    b"EmbeddedFiles" | b"EmbeddedFile" | b"EF" | b"Collection" if !value.is_null() => {
                        return Err(Unreadable("embedded_files"));
                    }
                    b"XFA" if !value.is_null() => return Err(Unreadable("xfa")),
                    b"NeedsRendering" if *value == Value::Bool(true) => return Err(Unreadable("xfa")),
                    b"Alternates" | b"OPI" if !value.is_null() => return Err(Unreadable("alternate_image")),
                    b"ActualText" if !value.is_null() => return Err(Unreadable("replaced_text")),
                    b"Alt" if value.string().is_some() && !stands_for_a_figure(dict) => {
                        return Err(Unreadable("replaced_text"));
                    }
                    _ => {}
                }
                hazards(value)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn is_action(value: &Value<'_>) -> bool {
    matches!(
        value.name(),
        Some(b"JavaScript" | b"Launch" | b"SubmitForm" | b"ImportData" | b"Rendition" | b"GoToE" | b"Movie" | b"Sound")
    )
}

/// Alternate descriptions of pictures replace no text.
fn stands_for_a_figure(dict: &Dict<'_>) -> bool {
    matches!(dict.raw(b"S").name(), Some(b"Figure" | b"Formula" | b"Link" | b"Annot"))
}

fn layers(objects: &Objects<'_>, catalog: &Dict<'_>) -> Result<Layers, Unreadable> {
    const HIDDEN: Unreadable = Unreadable("hidden_layer");
    let Some(properties) = objects.dict(catalog, b"OCProperties")? else { return Ok(Layers(HashSet::new())) };
    let mut groups = HashSet::new();
    for group in objects.array(properties, b"OCGs")?.unwrap_or_default() {
        let Value::Reference(number) = group else { return Err(HIDDEN) };
        let dict = objects.resolve(group)?.dict().ok_or(HIDDEN)?;
        // Usage may switch a layer by zoom, language or printing.
        if !objects.get(dict, b"Usage")?.is_null() {
            return Err(HIDDEN);
        }
        groups.insert(*number);
    }
    let default = objects.dict(properties, b"D")?.ok_or(HIDDEN)?;
    let base = objects.name(default, b"BaseState")?;
    let off = objects.array(default, b"OFF")?.is_some_and(|off| !off.is_empty());
    let automatic = objects.array(default, b"AS")?.is_some_and(|auto| !auto.is_empty());
    if off || automatic || !matches!(base, None | Some(b"ON")) {
        return Err(HIDDEN);
    }
    Ok(Layers(groups))
}

/// What a node hands down.
#[derive(Clone, Copy, Default)]
struct Inherited<'o, 'a> {
    resources: Option<&'o Dict<'a>>,
    media_box: Option<[f64; 4]>,
    crop_box: Option<[f64; 4]>,
    rotate: Option<f64>,
}

/// The pages in order. A node that is met twice, or a count that is wrong, is an error.
pub(super) fn pages<'o, 'a>(objects: &'o Objects<'a>, limits: &Limits) -> Result<Vec<PageNode<'o, 'a>>, Unreadable> {
    let mut walk = Walk { objects, limits, seen: HashSet::new(), pages: Vec::new() };
    walk.node(catalog(objects)?.raw(b"Pages"), Inherited::default(), limits.max_depth)?;
    Ok(walk.pages)
}

struct Walk<'o, 'a, 'l> {
    objects: &'o Objects<'a>,
    limits: &'l Limits,
    seen: HashSet<u32>,
    pages: Vec<PageNode<'o, 'a>>,
}

impl<'o, 'a> Walk<'o, 'a, '_> {
    fn node(&mut self, at: &'o Value<'a>, from: Inherited<'o, 'a>, depth: usize) -> Result<(), Unreadable> {
        let depth = depth.checked_sub(1).ok_or(PAGE_TREE)?;
        let Value::Reference(number) = at else { return Err(PAGE_TREE) };
        if !self.seen.insert(*number) {
            return Err(PAGE_TREE);
        }
        let objects = self.objects;
        let dict = objects.resolve(at)?.dict().ok_or(PAGE_TREE)?;
        let here = Inherited {
            resources: objects.dict(dict, b"Resources")?.or(from.resources),
            media_box: objects.numbers(dict.raw(b"MediaBox"))?.or(from.media_box),
            crop_box: objects.numbers(dict.raw(b"CropBox"))?.or(from.crop_box),
            rotate: objects.number(dict, b"Rotate")?.or(from.rotate),
        };
        match objects.name(dict, b"Type")? {
            Some(b"Pages") => {
                let before = self.pages.len();
                for kid in objects.array(dict, b"Kids")?.ok_or(PAGE_TREE)? {
                    self.node(kid, here, depth)?;
                }
                let count = objects.get(dict, b"Count")?.unsigned().ok_or(PAGE_TREE)?;
                if count as usize == self.pages.len() - before { Ok(()) } else { Err(PAGE_TREE) }
            }
            Some(b"Page") => {
                if self.pages.len() >= self.limits.max_pages {
                    return Err(Unreadable("too_many_pages"));
                }
                annotations(objects, dict)?;
                self.pages.push(PageNode {
                    dict,
                    resources: here.resources,
                    media_box: here.media_box.ok_or(PAGE_TREE)?,
                    crop_box: here.crop_box,
                    rotate: here.rotate.unwrap_or(0.0),
                });
                Ok(())
            }
            _ => Err(PAGE_TREE),
        }
    }
}

/// Links show nothing of their own; anything else is drawn over the page or beside it.
fn annotations(objects: &Objects<'_>, page: &Dict<'_>) -> Result<(), Unreadable> {
    for annotation in objects.array(page, b"Annots")?.unwrap_or_default() {
        let annotation = objects.resolve(annotation)?.dict().ok_or(Unreadable("annotations"))?;
        let shows = [&b"AP"[..], b"Contents"].iter().any(|key| !annotation.raw(key).is_null());
        if shows || objects.name(annotation, b"Subtype")? != Some(b"Link") {
            return Err(Unreadable("annotations"));
        }
    }
    Ok(())
}
