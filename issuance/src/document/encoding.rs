//! Encodings of simple fonts (ISO 32000-2, annex D): from a code or a glyph name to a character.

/// A base encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Standard,
    MacRoman,
    WinAnsi,
}

impl Encoding {
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"StandardEncoding" => Some(Self::Standard),
            b"MacRomanEncoding" => Some(Self::MacRoman),
            b"WinAnsiEncoding" => Some(Self::WinAnsi),
            _ => None,
        }
    }

    /// The character of a code.
    pub(super) fn char(self, code: u8) -> Option<char> {
        let high = match (self, code) {
            (Self::Standard, b'\'') => return Some('\u{2019}'),
            (Self::Standard, b'`') => return Some('\u{2018}'),
            (_, 0x20..=0x7e) => return Some(char::from(code)),
            (Self::Standard, _) => STANDARD_HIGH,
            (Self::MacRoman, _) => MAC_ROMAN_HIGH,
            (Self::WinAnsi, 0x7f) => return Some('\u{2022}'),
            (Self::WinAnsi, _) => WIN_ANSI_HIGH,
        };
        high.chars().nth(usize::from(code.checked_sub(0x80)?)).filter(|c| *c != '\0')
    }
}

/// The character of a glyph name: the standard ones, `uniXXXX` and `uXXXXXX` (Adobe Glyph List specification); a suffix
/// after a full stop names a variant of the same character.
pub(super) fn glyph_char(name: &[u8]) -> Option<char> {
    let name = std::str::from_utf8(name).ok()?;
    let name = name.split_once('.').map_or(name, |(base, _)| base);
    if let Ok(index) = NAMES.binary_search_by(|(known, _)| (*known).cmp(name)) {
        return NAMES.get(index).map(|(_, char)| *char);
    }
    let hex = |digits: &str, lengths: std::ops::RangeInclusive<usize>| {
        let upper = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
        if !upper || !lengths.contains(&digits.len()) {
            return None;
        }
        char::from_u32(u32::from_str_radix(digits, 16).ok()?)
    };
    name.strip_prefix("uni").and_then(|d| hex(d, 4..=4)).or_else(|| name.strip_prefix('u').and_then(|d| hex(d, 4..=6)))
}

/// `StandardEncoding` from 0x80; NUL where there is nothing.
const STANDARD_HIGH: &str = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\u{a1}\u{a2}\u{a3}\u{2044}\u{a5}\
     \u{192}\u{a7}\u{a4}'\u{201c}\u{ab}\u{2039}\u{203a}\u{fb01}\u{fb02}\0\u{2013}\u{2020}\u{2021}\u{b7}\
     \0\u{b6}\u{2022}\u{201a}\u{201e}\u{201d}\u{bb}\u{2026}\u{2030}\0\u{bf}\0`\u{b4}\u{2c6}\u{2dc}\u{af}\
     \u{2d8}\u{2d9}\u{a8}\0\u{2da}\u{b8}\0\u{2dd}\u{2db}\u{2c7}\u{2014}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
     \0\u{c6}\0\u{aa}\0\0\0\0\u{141}\u{d8}\u{152}\u{ba}\0\0\0\0\0\u{e6}\0\0\0\u{131}\0\0\u{142}\u{f8}\
     \u{153}\u{df}\0\0\0\0";
/// `MacRomanEncoding` from 0x80.
const MAC_ROMAN_HIGH: &str = "\u{c4}\u{c5}\u{c7}\u{c9}\u{d1}\u{d6}\u{dc}\u{e1}\u{e0}\u{e2}\u{e4}\u{e3}\u{e5}\u{e7}\u{e9}\u{e8}\
     \u{ea}\u{eb}\u{ed}\u{ec}\u{ee}\u{ef}\u{f1}\u{f3}\u{f2}\u{f4}\u{f6}\u{f5}\u{fa}\u{f9}\u{fb}\u{fc}\
     \u{2020}\u{b0}\u{a2}\u{a3}\u{a7}\u{2022}\u{b6}\u{df}\u{ae}\u{a9}\u{2122}\u{b4}\u{a8}\u{2260}\u{c6}\
     \u{d8}\u{221e}\u{b1}\u{2264}\u{2265}\u{a5}\u{b5}\u{2202}\u{2211}\u{220f}\u{3c0}\u{222b}\u{aa}\u{ba}\
     \u{2126}\u{e6}\u{f8}\u{bf}\u{a1}\u{ac}\u{221a}\u{192}\u{2248}\u{2206}\u{ab}\u{bb}\u{2026}\u{a0}\u{c0}\
     \u{c3}\u{d5}\u{152}\u{153}\u{2013}\u{2014}\u{201c}\u{201d}\u{2018}\u{2019}\u{f7}\u{25ca}\u{ff}\u{178}\
     \u{2044}\u{a4}\u{2039}\u{203a}\u{fb01}\u{fb02}\u{2021}\u{b7}\u{201a}\u{201e}\u{2030}\u{c2}\u{ca}\
     \u{c1}\u{cb}\u{c8}\u{cd}\u{ce}\u{cf}\u{cc}\u{d3}\u{d4}\u{f8ff}\u{d2}\u{da}\u{db}\u{d9}\u{131}\u{2c6}\
     \u{2dc}\u{af}\u{2d8}\u{2d9}\u{2da}\u{b8}\u{2dd}\u{2db}\u{2c7}";
/// `WinAnsiEncoding` from 0x80, unused codes being bullets.
const WIN_ANSI_HIGH: &str = "\u{20ac}\u{2022}\u{201a}\u{192}\u{201e}\u{2026}\u{2020}\u{2021}\u{2c6}\u{2030}\u{160}\u{2039}\u{152}\
     \u{2022}\u{17d}\u{2022}\u{2022}\u{2018}\u{2019}\u{201c}\u{201d}\u{2022}\u{2013}\u{2014}\u{2dc}\u{2122}\
     \u{161}\u{203a}\u{153}\u{2022}\u{17e}\u{178}\u{a0}\u{a1}\u{a2}\u{a3}\u{a4}\u{a5}\u{a6}\u{a7}\u{a8}\
     \u{a9}\u{aa}\u{ab}\u{ac}\u{ad}\u{ae}\u{af}\u{b0}\u{b1}\u{b2}\u{b3}\u{b4}\u{b5}\u{b6}\u{b7}\u{b8}\
     \u{b9}\u{ba}\u{bb}\u{bc}\u{bd}\u{be}\u{bf}\u{c0}\u{c1}\u{c2}\u{c3}\u{c4}\u{c5}\u{c6}\u{c7}\u{c8}\
     \u{c9}\u{ca}\u{cb}\u{cc}\u{cd}\u{ce}\u{cf}\u{d0}\u{d1}\u{d2}\u{d3}\u{d4}\u{d5}\u{d6}\u{d7}\u{d8}\
     \u{d9}\u{da}\u{db}\u{dc}\u{dd}\u{de}\u{df}\u{e0}\u{e1}\u{e2}\u{e3}\u{e4}\u{e5}\u{e6}\u{e7}\u{e8}\
     \u{e9}\u{ea}\u{eb}\u{ec}\u{ed}\u{ee}\u{ef}\u{f0}\u{f1}\u{f2}\u{f3}\u{f4}\u{f5}\u{f6}\u{f7}\u{f8}\
     \u{f9}\u{fa}\u{fb}\u{fc}\u{fd}\u{fe}\u{ff}";
/// Glyph names of the standard Latin set (annex D) and the usual ligatures, sorted.
#[rustfmt::skip]
const NAMES: &[(&str, char)] = &[
    ("A", 'A'), ("AE", '\u{c6}'), ("Aacute", '\u{c1}'), ("Abreve", '\u{102}'), ("Acircumflex", '\u{c2}'),
    ("Adieresis", '\u{c4}'), ("Agrave", '\u{c0}'), ("Aring", '\u{c5}'), ("Atilde", '\u{c3}'), ("B", 'B'), ("C", 'C'),
    ("Ccedilla", '\u{c7}'), ("D", 'D'), ("Delta", '\u{2206}'), ("E", 'E'), ("Eacute", '\u{c9}'),
    ("Ecircumflex", '\u{ca}'), ("Edieresis", '\u{cb}'), ("Egrave", '\u{c8}'), ("Eth", '\u{d0}'),
    ("Euro", '\u{20ac}'), ("F", 'F'), ("G", 'G'), ("H", 'H'), ("I", 'I'), ("Iacute", '\u{cd}'),
    ("Icircumflex", '\u{ce}'), ("Idieresis", '\u{cf}'), ("Igrave", '\u{cc}'), ("J", 'J'), ("K", 'K'), ("L", 'L'),
    ("Lslash", '\u{141}'), ("M", 'M'), ("N", 'N'), ("Ntilde", '\u{d1}'), ("O", 'O'), ("OE", '\u{152}'),
    ("Oacute", '\u{d3}'), ("Ocircumflex", '\u{d4}'), ("Odieresis", '\u{d6}'), ("Ograve", '\u{d2}'),
    ("Omega", '\u{2126}'), ("Oslash", '\u{d8}'), ("Otilde", '\u{d5}'), ("P", 'P'), ("Q", 'Q'), ("R", 'R'),
    ("S", 'S'), ("Scaron", '\u{160}'), ("T", 'T'), ("Thorn", '\u{de}'), ("U", 'U'), ("Uacute", '\u{da}'),
    ("Ucircumflex", '\u{db}'), ("Udieresis", '\u{dc}'), ("Ugrave", '\u{d9}'), ("V", 'V'), ("W", 'W'), ("X", 'X'),
    ("Y", 'Y'), ("Yacute", '\u{dd}'), ("Ydieresis", '\u{178}'), ("Z", 'Z'), ("Zcaron", '\u{17d}'), ("a", 'a'),
    ("aacute", '\u{e1}'), ("abreve", '\u{103}'), ("acircumflex", '\u{e2}'), ("acute", '\u{b4}'),
    ("adieresis", '\u{e4}'), ("ae", '\u{e6}'), ("agrave", '\u{e0}'), ("ampersand", '&'), ("apple", '\u{f8ff}'),
    ("approxequal", '\u{2248}'), ("aring", '\u{e5}'), ("asciicircum", '^'), ("asciitilde", '~'), ("asterisk", '*'),
    ("at", '@'), ("atilde", '\u{e3}'), ("b", 'b'), ("backslash", '\u{5c}'), ("bar", '|'), ("braceleft", '{'),
    ("braceright", '}'), ("bracketleft", '['), ("bracketright", ']'), ("breve", '\u{2d8}'), ("brokenbar", '\u{a6}'),
    ("bullet", '\u{2022}'), ("c", 'c'), ("caron", '\u{2c7}'), ("ccedilla", '\u{e7}'), ("cedilla", '\u{b8}'),
    ("cent", '\u{a2}'), ("circumflex", '\u{2c6}'), ("colon", ':'), ("comma", ','), ("copyright", '\u{a9}'),
    ("currency", '\u{a4}'), ("d", 'd'), ("dagger", '\u{2020}'), ("daggerdbl", '\u{2021}'), ("degree", '\u{b0}'),
    ("dieresis", '\u{a8}'), ("divide", '\u{f7}'), ("dollar", '$'), ("dotaccent", '\u{2d9}'), ("dotlessi", '\u{131}'),
    ("e", 'e'), ("eacute", '\u{e9}'), ("ecircumflex", '\u{ea}'), ("edieresis", '\u{eb}'), ("egrave", '\u{e8}'),
    ("eight", '8'), ("ellipsis", '\u{2026}'), ("emdash", '\u{2014}'), ("endash", '\u{2013}'), ("equal", '='),
    ("eth", '\u{f0}'), ("exclam", '!'), ("exclamdown", '\u{a1}'), ("f", 'f'), ("ff", '\u{fb00}'),
    ("ffi", '\u{fb03}'), ("ffl", '\u{fb04}'), ("fi", '\u{fb01}'), ("five", '5'), ("fl", '\u{fb02}'),
    ("florin", '\u{192}'), ("four", '4'), ("fraction", '\u{2044}'), ("g", 'g'), ("germandbls", '\u{df}'),
    ("grave", '`'), ("greater", '>'), ("greaterequal", '\u{2265}'), ("guillemotleft", '\u{ab}'),
    ("guillemotright", '\u{bb}'), ("guilsinglleft", '\u{2039}'), ("guilsinglright", '\u{203a}'), ("h", 'h'),
    ("hungarumlaut", '\u{2dd}'), ("hyphen", '-'), ("i", 'i'), ("iacute", '\u{ed}'), ("icircumflex", '\u{ee}'),
    ("idieresis", '\u{ef}'), ("igrave", '\u{ec}'), ("infinity", '\u{221e}'), ("integral", '\u{222b}'), ("j", 'j'),
    ("k", 'k'), ("l", 'l'), ("less", '<'), ("lessequal", '\u{2264}'), ("logicalnot", '\u{ac}'),
    ("lozenge", '\u{25ca}'), ("lslash", '\u{142}'), ("m", 'm'), ("macron", '\u{af}'), ("minus", '\u{2212}'),
    ("mu", '\u{b5}'), ("multiply", '\u{d7}'), ("n", 'n'), ("nbspace", '\u{a0}'), ("nine", '9'),
    ("notequal", '\u{2260}'), ("ntilde", '\u{f1}'), ("numbersign", '#'), ("o", 'o'), ("oacute", '\u{f3}'),
    ("ocircumflex", '\u{f4}'), ("odieresis", '\u{f6}'), ("oe", '\u{153}'), ("ogonek", '\u{2db}'),
    ("ograve", '\u{f2}'), ("one", '1'), ("onehalf", '\u{bd}'), ("onequarter", '\u{bc}'), ("onesuperior", '\u{b9}'),
    ("ordfeminine", '\u{aa}'), ("ordmasculine", '\u{ba}'), ("oslash", '\u{f8}'), ("otilde", '\u{f5}'), ("p", 'p'),
    ("paragraph", '\u{b6}'), ("parenleft", '('), ("parenright", ')'), ("partialdiff", '\u{2202}'), ("percent", '%'),
    ("period", '.'), ("periodcentered", '\u{b7}'), ("perthousand", '\u{2030}'), ("pi", '\u{3c0}'), ("plus", '+'),
    ("plusminus", '\u{b1}'), ("product", '\u{220f}'), ("q", 'q'), ("question", '?'), ("questiondown", '\u{bf}'),
    ("quotedbl", '"'), ("quotedblbase", '\u{201e}'), ("quotedblleft", '\u{201c}'), ("quotedblright", '\u{201d}'),
    ("quoteleft", '\u{2018}'), ("quoteright", '\u{2019}'), ("quotesinglbase", '\u{201a}'), ("quotesingle", '\u{27}'),
    ("r", 'r'), ("radical", '\u{221a}'), ("registered", '\u{ae}'), ("ring", '\u{2da}'), ("s", 's'),
    ("scaron", '\u{161}'), ("section", '\u{a7}'), ("semicolon", ';'), ("seven", '7'), ("six", '6'), ("slash", '/'),
    ("space", '\u{20}'), ("sterling", '\u{a3}'), ("summation", '\u{2211}'), ("t", 't'), ("thorn", '\u{fe}'),
    ("three", '3'), ("threequarters", '\u{be}'), ("threesuperior", '\u{b3}'), ("tilde", '\u{2dc}'),
    ("trademark", '\u{2122}'), ("two", '2'), ("twosuperior", '\u{b2}'), ("u", 'u'), ("uacute", '\u{fa}'),
    ("ucircumflex", '\u{fb}'), ("udieresis", '\u{fc}'), ("ugrave", '\u{f9}'), ("underscore", '_'), ("v", 'v'),
    ("w", 'w'), ("x", 'x'), ("y", 'y'), ("yacute", '\u{fd}'), ("ydieresis", '\u{ff}'), ("yen", '\u{a5}'), ("z", 'z'),
    ("zcaron", '\u{17e}'), ("zero", '0'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_lead_to_characters() {
        assert_eq!(Encoding::WinAnsi.char(0x80), Some('\u{20ac}'));
        assert_eq!(Encoding::WinAnsi.char(0xe9), Some('\u{e9}'));
        assert_eq!(Encoding::MacRoman.char(0x8e), Some('\u{e9}'));
        assert_eq!(Encoding::MacRoman.char(0xff), Some('\u{2c7}'));
        assert_eq!(Encoding::Standard.char(0xae), Some('\u{fb01}'));
        assert_eq!(Encoding::Standard.char(0x80), None);
        for (name, char) in [("eacute", '\u{e9}'), ("one.oldstyle", '1'), ("uni6C0F", '氏'), ("u20BB7", '𠮷')] {
            assert_eq!(glyph_char(name.as_bytes()), Some(char), "{name}");
        }
        assert_eq!(glyph_char(b"g123"), None);
    }

    #[test]
    fn tables_are_whole() {
        for high in [STANDARD_HIGH, MAC_ROMAN_HIGH, WIN_ANSI_HIGH] {
            assert_eq!(high.chars().count(), 128);
        }
        assert!(NAMES.is_sorted_by(|a, b| a.0 < b.0));
    }
}
