//! Composite fonts (ISO 32000-2, 9.7): code to CID by a character map, CID to text by ToUnicode, Adobe-Japan1 or the embedded font.
//! Wherever two of these speak, they must say the same.

use super::Unreadable;
use super::budget::Budget;
use super::cmap::CharacterMap;
use super::font::{Shown, plausible, to_unicode};
use super::glyph_text::GlyphText;
use super::objects::Objects;
use super::predefined::{Predefined, japan1_text, shows_as};
use super::truetype::{DIRECTORY, GlyphChars};
use super::value::{Dict, Value};
use super::words::same;

const MALFORMED: Unreadable = Unreadable("malformed_font");
const CONTRADICTING: Unreadable = Unreadable("contradicting_maps");

enum Codes {
    Identity,
    Predefined(&'static Predefined),
    /// With the predefined map of the same name, if it took such a name.
    Embedded(Box<CharacterMap>, Option<&'static Predefined>),
}

/// How an embedded TrueType program finds the glyph of a CID.
enum Glyphs {
    /// No TrueType program.
    None,
    Identity(GlyphChars),
    Mapped(GlyphChars, Vec<u8>),
}

/// Widths by CID, singly and by range.
#[derive(Default)]
struct Widths {
    /// Sorted; of one CID the last counts.
    each: Vec<(u32, f64)>,
    /// First, last, width; sorted, without overlap.
    ranges: Vec<(u32, u32, f64)>,
}

/// A Type 0 font with its one descendant.
pub(super) struct CidFont {
    codes: Codes,
    to_unicode: Option<CharacterMap>,
    japan1: bool,
    embedded: bool,
    glyphs: Glyphs,
    default_width: f64,
    widths: Widths,
}

impl CidFont {
    pub(super) fn read(objects: &Objects<'_>, dict: &Dict<'_>, budget: &Budget) -> Result<Self, Unreadable> {
        let descendants = objects.array(dict, b"DescendantFonts")?.ok_or(MALFORMED)?;
        let [descendant] = descendants else { return Err(MALFORMED) };
        let descendant = objects.resolve(descendant)?.dict().ok_or(MALFORMED)?;
        let is_truetype = match objects.name(descendant, b"Subtype")? {
            Some(b"CIDFontType2") => true,
            Some(b"CIDFontType0") => false,
            _ => return Err(MALFORMED),
        };
        let system = objects.dict(descendant, b"CIDSystemInfo")?.ok_or(MALFORMED)?;
        let registry = objects.get(system, b"Registry")?.string().unwrap_or_default();
        let ordering = objects.get(system, b"Ordering")?.string().unwrap_or_default();
        let descriptor = objects.dict(descendant, b"FontDescriptor")?;
        let program = |key: &[u8]| descriptor.map_or(&Value::Null, |d| d.raw(key));
        let embedded = [&b"FontFile"[..], b"FontFile2", b"FontFile3"].iter().any(|key| !program(key).is_null());
        let glyphs = match objects.stream(program(b"FontFile2")) {
            Some(stream) if is_truetype => {
                // Outlines are most of a font and are not looked at.
                let start = objects.decode_start(stream, DIRECTORY, budget)?;
                let chars = match GlyphChars::extent(&start) {
                    0 => GlyphChars::default(),
                    extent => GlyphChars::read(&objects.decode_start(stream, extent, budget)?),
                };
                budget.inflate(chars.bytes())?;
                let map = descendant.raw(b"CIDToGIDMap");
                match (objects.stream(map), objects.resolve(map)?) {
                    (Some(stream), _) => Glyphs::Mapped(chars, objects.decode(stream, budget)?.into_owned()),
                    (None, Value::Null) => Glyphs::Identity(chars),
                    (None, Value::Name(name)) if name.as_ref() == b"Identity" => Glyphs::Identity(chars),
                    _ => return Err(MALFORMED),
                }
            }
            _ => Glyphs::None,
        };
        Ok(Self {
            codes: codes(objects, dict, budget)?,
            to_unicode: to_unicode(objects, dict, budget)?,
            japan1: registry == b"Adobe" && ordering == b"Japan1",
            embedded,
            glyphs,
            default_width: objects.number(descendant, b"DW")?.unwrap_or(1000.0),
            widths: widths(objects, descendant, budget)?,
        })
    }

    /// The length of the first code; `None` when it is in no codespace.
    pub(super) fn code_length(&self, text: &[u8]) -> Option<usize> {
        match &self.codes {
            Codes::Identity => Some(2),
            Codes::Predefined(map) => Some(map.codes.length(text)),
            Codes::Embedded(map, _) => map.code_length(text),
        }
    }

    /// What a code shows.
    pub(super) fn shown(&self, code: u32, bytes: u8) -> Result<Shown, Unreadable> {
        let cid = match &self.codes {
            Codes::Identity => Some(code),
            Codes::Predefined(map) => map.cid(code, bytes),
            Codes::Embedded(map, namesake) => {
                let cid = map.cid(code, bytes);
                if namesake.is_some_and(|namesake| namesake.cid(code, bytes) != cid) {
                    return Err(CONTRADICTING);
                }
                cid
            }
        };
        let cid = cid.ok_or(Unreadable("unmapped_code"))?;
        let declared = self.to_unicode.as_ref().and_then(|map| map.text(code));
        // A font that is not there can only be replaced by the collection it names; glyph numbers mean nothing then.
        if !self.embedded && !self.japan1 {
            return Err(Unreadable("font_not_embedded"));
        }
        let text = if self.japan1 {
            match (declared, japan1_text(cid)) {
                (Some(declared), Some(known)) if !same(&declared, &known) && !shows_as(&declared, cid) => {
                    return Err(CONTRADICTING);
                }
                // Several characters share a CID; where ToUnicode says which one was meant, it knows better.
                (Some(text), _) | (None, Some(text)) => text,
                (None, None) => return Err(Unreadable("unmapped_code")),
            }
        } else {
            self.by_glyph(cid, declared)?
        };
        Ok(Shown::new(plausible(text)?, self.width(cid), bytes == 1 && code == 32))
    }

    fn by_glyph(&self, cid: u32, declared: Option<GlyphText>) -> Result<GlyphText, Unreadable> {
        let (chars, glyph) = match &self.glyphs {
            Glyphs::None => return declared.ok_or(Unreadable("unmapped_code")),
            Glyphs::Identity(chars) => (chars, u16::try_from(cid).ok()),
            Glyphs::Mapped(chars, map) => {
                (chars, map.get(cid as usize * 2..).and_then(|m| m.first_chunk()).map(|b| u16::from_be_bytes(*b)))
            }
        };
        let glyph = glyph.ok_or(Unreadable("unmapped_code"))?;
        match declared {
            Some(declared) => {
                let mut claims = chars.of(glyph).peekable();
                let silent = claims.peek().is_none();
                if silent || claims.any(|c| same(&declared, &c.into())) { Ok(declared) } else { Err(CONTRADICTING) }
            }
            None => {
                let mut claims = chars.of(glyph);
                let first = claims.next().ok_or(Unreadable("unmapped_code"))?.into();
                // Without ToUnicode, a glyph of several characters says nothing certain.
                let certain = claims.all(|c| same(&first, &c.into()));
                if certain { Ok(first) } else { Err(Unreadable("unmapped_code")) }
            }
        }
    }

    fn width(&self, cid: u32) -> f64 {
        let ranged = || {
            let after = self.widths.ranges.partition_point(|(first, ..)| *first <= cid);
            let (_, last, width) = self.widths.ranges.get(after.checked_sub(1)?)?;
            (cid <= *last).then_some(*width)
        };
        let single = || {
            let after = self.widths.each.partition_point(|(each, _)| *each <= cid);
            let (each, width) = self.widths.each.get(after.checked_sub(1)?)?;
            (*each == cid).then_some(*width)
        };
        single().or_else(ranged).unwrap_or(self.default_width)
    }
}

fn codes(objects: &Objects<'_>, dict: &Dict<'_>, budget: &Budget) -> Result<Codes, Unreadable> {
    let encoding = dict.raw(b"Encoding");
    if let Some(stream) = objects.stream(encoding) {
        let map = CharacterMap::parse(&objects.decode(stream, budget)?, budget)?;
        let mode = objects.number(stream.dict, b"WMode")?.unwrap_or(0.0);
        if map.vertical || mode != 0.0 {
            return Err(Unreadable("vertical_text"));
        }
        let declared = objects.name(stream.dict, b"CMapName")?.unwrap_or(&map.name);
        if declared != map.name.as_slice() && !map.name.is_empty() {
            return Err(CONTRADICTING);
        }
        if !matches!(objects.get(stream.dict, b"UseCMap")?, Value::Null | Value::Name(_)) {
            return Err(Unreadable("unknown_cmap"));
        }
        let namesake = Predefined::named(declared).ok();
        return Ok(Codes::Embedded(Box::new(map), namesake));
    }
    match objects.resolve(encoding)?.name() {
        Some(b"Identity-H") => Ok(Codes::Identity),
        Some(b"Identity-V") => Err(Unreadable("vertical_text")),
        Some(name) => Predefined::named(name).map(Codes::Predefined),
        None => Err(MALFORMED),
    }
}

fn widths(objects: &Objects<'_>, descendant: &Dict<'_>, budget: &Budget) -> Result<Widths, Unreadable> {
    let mut widths = Widths::default();
    let mut items = objects.array(descendant, b"W")?.unwrap_or_default().iter();
    while let Some(first) = items.next() {
        let first = objects.resolve(first)?.unsigned().ok_or(MALFORMED)?;
        match objects.resolve(items.next().ok_or(MALFORMED)?)? {
            Value::Array(each) => {
                budget.inflate(32 * each.len())?;
                widths.each.reserve(each.len());
                for (cid, width) in (first..).zip(each) {
                    widths.each.push((cid, objects.resolve(width)?.number().ok_or(MALFORMED)?));
                }
            }
            last => {
                let last = last.unsigned().ok_or(MALFORMED)?;
                let width = objects.resolve(items.next().ok_or(MALFORMED)?)?.number().ok_or(MALFORMED)?;
                budget.inflate(16)?;
                widths.ranges.push((first, last, width));
            }
        }
    }
    widths.each.sort_by_key(|(cid, _)| *cid);
    widths.ranges.sort_by_key(|(first, ..)| *first);
    let overlap = widths.ranges.windows(2).any(|pair| matches!(pair, [(_, last, _), (first, ..)] if first <= last));
    if overlap { Err(MALFORMED) } else { Ok(widths) }
}
