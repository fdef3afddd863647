//! Fonts: from the bytes of a text operator to characters and widths (ISO 32000-2, 9.5 to 9.10).

use std::cell::RefCell;
use std::collections::HashMap;

use super::Unreadable;
use super::budget::Budget;
use super::cid_font::CidFont;
use super::cmap::CharacterMap;
use super::encoding::{Encoding, glyph_char};
use super::glyph_text::GlyphText;
use super::known::Known;
use super::objects::Objects;
use super::value::{Dict, Value};
use super::words::same;

const MALFORMED: Unreadable = Unreadable("malformed_font");

/// One shown code.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    pub(super) text: GlyphText,
    /// Advance in thousandths of the font size.
    pub(super) width: f64,
    /// The single byte 32, to which word spacing applies.
    pub(super) is_space_code: bool,
    /// White space and nothing else.
    pub(super) is_blank: bool,
}

impl Shown {
    pub(super) fn new(text: GlyphText, width: f64, is_space_code: bool) -> Self {
        let is_blank = text.all(char::is_whitespace);
        Self { text, width, is_space_code, is_blank }
    }
}

enum Sort {
    Simple(Box<SimpleFont>),
    Cid(Box<CidFont>),
    /// Glyphs drawn by arbitrary content; any text in it is unreadable.
    Type3,
}

/// A font, with what its codes were found to mean.
pub(super) struct Font {
    sort: Sort,
    known: RefCell<Known>,
}

impl Font {
    pub(super) fn read(objects: &Objects<'_>, dict: &Dict<'_>, budget: &Budget) -> Result<Self, Unreadable> {
        let sort = match objects.name(dict, b"Subtype")? {
            Some(b"Type0") => Sort::Cid(Box::new(CidFont::read(objects, dict, budget)?)),
            Some(b"Type1" | b"MMType1" | b"TrueType") => {
                Sort::Simple(Box::new(SimpleFont::read(objects, dict, budget)?))
            }
            Some(b"Type3") => Sort::Type3,
            _ => return Err(MALFORMED),
        };
        Ok(Self { sort, known: RefCell::default() })
    }

    /// Hands every code of `bytes` to `each`; a code without a certain meaning is an error.
    pub(super) fn show(
        &self,
        bytes: &[u8],
        budget: &Budget,
        mut each: impl FnMut(&Shown) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        let mut known = self.known.borrow_mut();
        let mut rest = bytes;
        while !rest.is_empty() {
            let length = match &self.sort {
                Sort::Simple(_) => 1,
                Sort::Cid(font) => font.code_length(rest).ok_or(Unreadable("unmapped_code"))?,
                Sort::Type3 => return Err(Unreadable("type3_font")),
            };
            let (code, tail) = rest.split_at_checked(length).ok_or(Unreadable("unmapped_code"))?;
            rest = tail;
            let code = code.iter().fold(0u32, |code, b| code << 8 | u32::from(*b));
            each(known.get(code, length as u8, budget, || match &self.sort {
                Sort::Simple(font) => font.shown(code as u8),
                Sort::Cid(font) => font.shown(code, length as u8),
                Sort::Type3 => Err(Unreadable("type3_font")),
            })?)?;
        }
        Ok(())
    }
}

/// Refuses what is no text: nothing, a replacement character, controls. Private use characters are kept: the checks decide.
pub(super) fn plausible(text: GlyphText) -> Result<GlyphText, Unreadable> {
    // Most of what is printed.
    if let GlyphText::Char('!'..='~' | '\u{3000}'..='\u{9fff}') = text {
        return Ok(text);
    }
    if !text.all(|c| c != '\u{fffd}') {
        return Err(Unreadable("replacement_character"));
    }
    let noncharacter = |c: char| (u32::from(c) & 0xfffe) == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&c);
    let printed = |c: char| (!c.is_control() || c == '\t') && !noncharacter(c);
    if text.is_empty() || !text.all(printed) {
        return Err(Unreadable("unmapped_code"));
    }
    Ok(text)
}

/// The ToUnicode map of a font; only streams are understood.
pub(super) fn to_unicode(
    objects: &Objects<'_>,
    dict: &Dict<'_>,
    budget: &Budget,
) -> Result<Option<CharacterMap>, Unreadable> {
    let value = dict.raw(b"ToUnicode");
    if objects.resolve(value)?.is_null() {
        return Ok(None);
    }
    let stream = objects.stream(value).ok_or(Unreadable("malformed_cmap"))?;
    CharacterMap::parse(&objects.decode(stream, budget)?, budget).map(Some)
}

/// A font of single-byte codes.
struct SimpleFont {
    to_unicode: Option<CharacterMap>,
    base: Option<Encoding>,
    differences: HashMap<u8, Option<char>>,
    first: u32,
    widths: Vec<f64>,
    missing: f64,
    standard: Option<&'static [u16; 95]>,
}

impl SimpleFont {
    fn read(objects: &Objects<'_>, dict: &Dict<'_>, budget: &Budget) -> Result<Self, Unreadable> {
        let descriptor = objects.dict(dict, b"FontDescriptor")?;
        let embedded = descriptor
            .is_some_and(|d| [&b"FontFile"[..], b"FontFile2", b"FontFile3"].iter().any(|k| !d.raw(k).is_null()));
        let flags = match descriptor {
            Some(descriptor) => objects.get(descriptor, b"Flags")?.unsigned().unwrap_or(0),
            None => 0,
        };
        let name = objects.name(dict, b"BaseFont")?.unwrap_or_default();
        let pictorial = name.ends_with(b"Symbol") || name.ends_with(b"ZapfDingbats");
        // Without an encoding of its own, an embedded or symbolic font has a built-in one, which only ToUnicode explains.
        let implied = (!embedded && flags & 4 == 0 && !pictorial).then_some(Encoding::Standard);
        let mut differences = HashMap::new();
        let base = match objects.get(dict, b"Encoding")? {
            Value::Null => implied,
            Value::Name(name) => Some(Encoding::named(name).ok_or(Unreadable("unknown_encoding"))?),
            Value::Dict(encoding) => {
                differences = read_differences(objects, encoding)?;
                match objects.name(encoding, b"BaseEncoding")? {
                    Some(name) => Some(Encoding::named(name).ok_or(Unreadable("unknown_encoding"))?),
                    None => implied,
                }
            }
            _ => return Err(MALFORMED),
        };
        let mut widths = Vec::new();
        for width in objects.array(dict, b"Widths")?.unwrap_or_default().iter().take(256) {
            widths.push(objects.resolve(width)?.number().ok_or(MALFORMED)?);
        }
        let missing = match descriptor {
            Some(descriptor) => objects.number(descriptor, b"MissingWidth")?.unwrap_or(0.0),
            None => 0.0,
        };
        let standard =
            widths.is_empty().then(|| if name.windows(5).any(|w| w == b"Times") { &TIMES } else { &HELVETICA });
        Ok(Self {
            to_unicode: to_unicode(objects, dict, budget)?,
            base: base.filter(|_| !pictorial),
            differences,
            first: objects.get(dict, b"FirstChar")?.unsigned().unwrap_or(0),
            widths,
            missing: if name.windows(7).any(|w| w == b"Courier") && missing == 0.0 { 600.0 } else { missing },
            standard,
        })
    }

    fn shown(&self, code: u8) -> Result<Shown, Unreadable> {
        let encoded = match self.differences.get(&code) {
            Some(char) => *char,
            None => self.base.and_then(|base| base.char(code)),
        };
        let encoded = encoded.map(GlyphText::from);
        let declared = self.to_unicode.as_ref().and_then(|map| map.text(u32::from(code)));
        let text = match (declared, encoded) {
            (Some(declared), Some(encoded)) if !same(&declared, &encoded) => {
                return Err(Unreadable("contradicting_maps"));
            }
            (Some(text), _) | (None, Some(text)) => text,
            (None, None) => return Err(Unreadable("unmapped_code")),
        };
        let listed = u32::from(code).checked_sub(self.first).and_then(|i| self.widths.get(i as usize)).copied();
        let standard = || {
            let index = usize::from(code.checked_sub(32)?);
            self.standard?.get(index).map(|w| f64::from(*w))
        };
        let width = match listed {
            Some(width) => width,
            None if self.missing != 0.0 => self.missing,
            None => standard().unwrap_or(if self.standard.is_some() { 556.0 } else { 0.0 }),
        };
        Ok(Shown::new(plausible(text)?, width, code == 32))
    }
}

/// Codes that were given other glyphs; `None` for glyph names that say nothing.
fn read_differences(objects: &Objects<'_>, encoding: &Dict<'_>) -> Result<HashMap<u8, Option<char>>, Unreadable> {
    let mut differences = HashMap::new();
    let mut code = 0u32;
    for item in objects.array(encoding, b"Differences")?.unwrap_or_default() {
        match objects.resolve(item)? {
            Value::Number(number) => code = number.unsigned().ok_or(MALFORMED)?,
            Value::Name(name) => {
                let place = u8::try_from(code).map_err(|_| MALFORMED)?;
                if differences.insert(place, glyph_char(name)).is_some() {
                    return Err(Unreadable("contradicting_maps"));
                }
                code += 1;
            }
            _ => return Err(MALFORMED),
        }
    }
    Ok(differences)
}

/// Widths of the standard sans serif font from space to tilde; the bold and oblique ones are near enough for layout.
#[rustfmt::skip]
const HELVETICA: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556, 556, 556, 556,
    556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556,
    556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// Widths of the standard serif font.
#[rustfmt::skip]
const TIMES: [u16; 95] = [
    250, 333, 408, 500, 500, 833, 778, 180, 333, 333, 500, 564, 250, 333, 250, 278, 500, 500, 500, 500, 500, 500, 500, 500,
    500, 500, 278, 278, 564, 564, 564, 444, 921, 722, 667, 667, 722, 611, 556, 722, 722, 333, 389, 722, 611, 889, 722, 722,
    556, 722, 667, 556, 611, 722, 722, 944, 722, 722, 611, 333, 278, 333, 469, 500, 333, 444, 500, 444, 500, 444, 333, 500,
    500, 278, 278, 500, 278, 778, 500, 500, 500, 500, 333, 389, 278, 500, 500, 722, 500, 500, 444, 480, 200, 480, 541,
];
