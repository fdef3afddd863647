//! JSON pointers (RFC 6901), parsed once when a configuration is read.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The text is not a JSON pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// It does not start with `/`.
    #[error("a JSON pointer starts with `/`, as in \"/resident/id\"")]
    NoSlash,
    /// A `~` that is neither `~0` nor `~1`.
    #[error("in a JSON pointer `~` is written `~0`, and `/` inside a key `~1`")]
    Escape,
}

/// A parsed pointer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pointer {
    text: String,
    steps: Vec<String>,
}

impl Pointer {
    /// Parses `/a/b~1c/0`; the empty text is the whole value.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        let mut parts = text.split('/');
        if parts.next() != Some("") {
            return Err(PointerError::NoSlash);
        }
        let steps = parts.map(unescape).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), steps })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name of the member that it points at; `None` where it is the whole value or an element of an array by its form.
    pub fn member(&self) -> Option<&str> {
        self.steps.last().map(String::as_str).filter(|step| index(step).is_none())
    }

    /// What it points at; an array index has no sign and no leading zero, and `-` points at nothing.
    pub fn find<'v, B: Branch>(&self, value: &'v B) -> Option<&'v B> {
        self.steps.iter().try_fold(value, |value, step| value.member(step).or_else(|| value.element(|| index(step))))
    }
}

/// A JSON value that pointers can follow.
pub trait Branch {
    /// The member of an object; `None` where it is none, or has none of that name.
    fn member(&self, name: &str) -> Option<&Self>;

    /// The element of an array; `None` where it is none, or too short. `index` is asked only of an array.
    fn element(&self, index: impl FnOnce() -> Option<usize>) -> Option<&Self>;
}

impl Branch for Value {
    fn member(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }

    fn element(&self, index: impl FnOnce() -> Option<usize>) -> Option<&Self> {
        self.as_array()?.get(index()?)
    }
}

/// Parses `text` and follows it.
pub fn pointer<'v>(value: &'v Value, text: &str) -> Option<&'v Value> {
    Pointer::parse(text).ok()?.find(value)
}

fn index(step: &str) -> Option<usize> {
    let canonical = step == "0" || !step.starts_with('0') && step.bytes().all(|b| b.is_ascii_digit());
    canonical.then(|| step.parse().ok()).flatten()
}

fn unescape(step: &str) -> Result<String, PointerError> {
    let mut out = String::with_capacity(step.len());
    let mut chars = step.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '~' => match chars.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(PointerError::Escape),
            },
            c => c,
        });
    }
    Ok(out)
}

impl TryFrom<String> for Pointer {
    type Error = PointerError;
    fn try_from(text: String) -> Result<Self, PointerError> {
        Self::parse(&text)
    }
}

impl From<Pointer> for String {
    fn from(pointer: Pointer) -> Self {
        pointer.text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_of_rfc_6901_section_5() {
        let value = json!({"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4,
            "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8});
        assert_eq!(pointer(&value, ""), Some(&value));
        assert_eq!(pointer(&value, "/foo"), Some(&json!(["bar", "baz"])));
        assert_eq!(pointer(&value, "/foo/0"), Some(&json!("bar")));
        for (text, number) in [("/", 0), ("/a~1b", 1), ("/c%d", 2), ("/e^f", 3), ("/g|h", 4), ("/i\\j", 5)] {
            assert_eq!(pointer(&value, text), Some(&json!(number)), "{text}");
        }
        assert_eq!(pointer(&value, "/k\"l"), Some(&json!(6)));
        assert_eq!(pointer(&value, "/ "), Some(&json!(7)));
        assert_eq!(pointer(&value, "/m~0n"), Some(&json!(8)));
    }

    #[test]
    fn an_index_has_one_spelling() {
        let value = json!(["a", "b"]);
        assert_eq!(pointer(&value, "/1"), Some(&json!("b")));
        for text in ["/01", "/+1", "/-", "/1 ", "/", "/2", "/99999999999999999999999"] {
            assert_eq!(pointer(&value, text), None, "{text}");
        }
    }

    #[test]
    fn malformed_pointers_say_what_to_write() {
        assert_eq!(Pointer::parse("name"), Err(PointerError::NoSlash));
        assert_eq!(Pointer::parse("/a~2"), Err(PointerError::Escape));
        assert_eq!(Pointer::parse("/a~"), Err(PointerError::Escape));
    }
}
