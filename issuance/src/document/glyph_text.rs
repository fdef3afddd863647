//! What one code shows: mostly one character, which needs no memory of its own.

use std::rc::Rc;

/// The text of a glyph. What is one character is never kept as a string, so that equal texts are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GlyphText {
    /// One character.
    Char(char),
    /// None, or several (a ligature).
    Text(Rc<str>),
}

impl GlyphText {
    /// The text of UTF-16 units, the last of them given apart; `None` where they are none.
    pub(super) fn from_utf16(units: &[u16]) -> Option<Self> {
        match *units {
            [unit] => char::from_u32(u32::from(unit)).map(Self::Char),
            _ => String::from_utf16(units).ok().as_deref().map(Self::from),
        }
    }

    /// Hands the text to `read`.
    pub(super) fn with<T>(&self, read: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Char(char) => read(char.encode_utf8(&mut [0; 4])),
            Self::Text(text) => read(text),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }

    /// Whether every character is such.
    pub(super) fn all(&self, such: impl Fn(char) -> bool) -> bool {
        match self {
            Self::Char(char) => such(*char),
            Self::Text(text) => text.chars().all(such),
        }
    }

    /// Appends it.
    pub(super) fn push_to(&self, text: &mut String) {
        match self {
            Self::Char(char) => text.push(*char),
            Self::Text(own) => text.push_str(own),
        }
    }
}

impl From<char> for GlyphText {
    fn from(char: char) -> Self {
        Self::Char(char)
    }
}

impl From<&str> for GlyphText {
    fn from(text: &str) -> Self {
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(char), None) => Self::Char(char),
            _ => Self::Text(text.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_equal_however_they_were_made() {
        assert_eq!(GlyphText::from_utf16(&[0xd842, 0xdfb7]), Some(GlyphText::from('𠮷')));
        assert_eq!(GlyphText::from("見"), GlyphText::from('見'));
        assert_ne!(GlyphText::from("fi"), GlyphText::from('f'));
        assert_eq!(GlyphText::from_utf16(&[0xd842]), None);
        assert!(
            !GlyphText::from("\u{3000}見").all(char::is_whitespace) && GlyphText::from("").all(char::is_whitespace)
        );
    }
}
