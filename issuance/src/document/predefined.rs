//! The predefined Japanese character maps (ISO 32000-2, 9.7.5.2) and Adobe-Japan1's way to Unicode, parsed once per process.

use std::sync::OnceLock;

use hayro_cmap::{BfString, CMap, CMapName, load_embedded};

use super::Unreadable;
use super::glyph_text::GlyphText;

/// How many bytes a code takes, by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codes {
    /// Shift_JIS and its kin.
    ShiftJis,
    /// EUC-JP without the third plane.
    Euc,
    /// Always two.
    Two,
    /// Two, or four for a surrogate pair.
    Utf16,
}

impl Codes {
    /// The length of the first code of `text`.
    pub(super) fn length(self, text: &[u8]) -> usize {
        match (self, text) {
            (Self::ShiftJis, [0x81..=0x9f | 0xe0..=0xfc, ..]) | (Self::Euc, [0x8e | 0xa1..=0xfe, ..]) => 2,
            (Self::ShiftJis | Self::Euc, _) => 1,
            (Self::Utf16, [0xd8..=0xdb, ..]) => 4,
            (Self::Two | Self::Utf16, _) => 2,
        }
    }
}

/// A predefined horizontal map to Adobe-Japan1.
pub(super) struct Predefined {
    name: &'static str,
    pub(super) codes: Codes,
    map: OnceLock<Option<Map>>,
}

/// A map as it is asked: codes of one and two bytes by their place, 0 where there is no CID.
struct Map {
    one: [u16; 0x100],
    two: Box<[u16]>,
    all: CMap,
}

impl Map {
    fn load(name: &str) -> Option<Self> {
        let all = load(name)?;
        let cid = |code, bytes| all.lookup_cid_code(code, bytes).and_then(|cid| u16::try_from(cid).ok()).unwrap_or(0);
        let mut one = [0; 0x100];
        for (code, place) in (0..).zip(&mut one) {
            *place = cid(code, 1);
        }
        let two = (0..=0xffff).map(|code| cid(code, 2)).collect();
        Some(Self { one, two, all })
    }

    fn cid(&self, code: u32, bytes: u8) -> Option<u32> {
        let near = match bytes {
            1 => &self.one[..],
            2 => &self.two,
            _ => return self.all.lookup_cid_code(code, bytes).filter(|cid| *cid != 0),
        };
        near.get(code as usize).copied().filter(|cid| *cid != 0).map(u32::from)
    }
}

static PREDEFINED: [Predefined; 11] = [
    predefined("90ms-RKSJ-H", Codes::ShiftJis),
    predefined("90msp-RKSJ-H", Codes::ShiftJis),
    predefined("90pv-RKSJ-H", Codes::ShiftJis),
    predefined("83pv-RKSJ-H", Codes::ShiftJis),
    predefined("Add-RKSJ-H", Codes::ShiftJis),
    predefined("Ext-RKSJ-H", Codes::ShiftJis),
    predefined("EUC-H", Codes::Euc),
    predefined("H", Codes::Two),
    predefined("UniJIS-UCS2-H", Codes::Two),
    predefined("UniJIS-UCS2-HW-H", Codes::Two),
    predefined("UniJIS-UTF16-H", Codes::Utf16),
];

const fn predefined(name: &'static str, codes: Codes) -> Predefined {
    Predefined { name, codes, map: OnceLock::new() }
}

impl Predefined {
    /// The map of this name; vertical ones and those of other languages are not read.
    pub(super) fn named(name: &[u8]) -> Result<&'static Self, Unreadable> {
        match PREDEFINED.iter().find(|p| p.name.as_bytes() == name) {
            Some(predefined) => Ok(predefined),
            None if name == b"V" || name.ends_with(b"-V") => Err(Unreadable("vertical_text")),
            None => Err(Unreadable("unknown_cmap")),
        }
    }

    /// The CID of a code.
    pub(super) fn cid(&self, code: u32, bytes: u8) -> Option<u32> {
        self.map.get_or_init(|| Map::load(self.name)).as_ref()?.cid(code, bytes)
    }
}

fn load(name: &str) -> Option<CMap> {
    CMap::parse(load_embedded(CMapName::from_bytes(name.as_bytes()))?, load_embedded)
}

/// Adobe-Japan1 CIDs as text.
struct Japan1 {
    /// One character per CID; `None` where there is none, or several.
    chars: Vec<Option<char>>,
    strings: Vec<(u32, String)>,
}

/// More CIDs than Adobe-Japan1-7 has.
const CIDS: u32 = 23_200;

static JAPAN1: OnceLock<Option<Japan1>> = OnceLock::new();

fn load_japan1() -> Option<Japan1> {
    let map = load("Adobe-Japan1-UCS2")?;
    let mut strings = Vec::new();
    let chars = (0..CIDS)
        .map(|cid| match map.lookup_bf_string(cid)? {
            BfString::Char(char) => Some(char),
            BfString::String(string) => {
                strings.push((cid, string));
                None
            }
        })
        .collect();
    Some(Japan1 { chars, strings })
}

/// The text of an Adobe-Japan1 CID.
pub(super) fn japan1_text(cid: u32) -> Option<GlyphText> {
    let japan1 = JAPAN1.get_or_init(load_japan1).as_ref()?;
    if let Some(char) = japan1.chars.get(cid as usize).copied().flatten() {
        return Some(char.into());
    }
    japan1.strings.iter().find(|(c, _)| *c == cid).map(|(_, text)| text.as_str().into())
}

/// Whether a Unicode map of Adobe-Japan1 itself shows this character as this CID.
pub(super) fn shows_as(text: &GlyphText, cid: u32) -> bool {
    let GlyphText::Char(char) = text else { return false };
    let mut units = [0u16; 2];
    let (code, bytes) = match char.encode_utf16(&mut units) {
        [unit] => (u32::from(*unit), 2),
        [high, low] => (u32::from(*high) << 16 | u32::from(*low), 4),
        _ => return false,
    };
    ["UniJIS-UTF16-H", "UniJIS-UCS2-H", "UniJIS-UCS2-HW-H"].iter().any(|name| {
        Predefined::named(name.as_bytes())
            .is_ok_and(|map| (bytes == 2 || map.codes == Codes::Utf16) && map.cid(code, bytes) == Some(cid))
    })
}

/// Parses every map now instead of during the first document.
pub(super) fn warm() {
    for predefined in &PREDEFINED {
        predefined.map.get_or_init(|| Map::load(predefined.name));
    }
    JAPAN1.get_or_init(load_japan1);
}
