//! PDF objects as plain values. A repeated key, which two readers would resolve differently, is an error.

use std::borrow::Cow;

use super::Unreadable;
use super::budget::Room;
use super::lex::{Lexer, Number, Token};

/// One object. Streams are kept beside their dictionary, see [`super::objects`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Name(Cow<'a, [u8]>),
    String(Cow<'a, [u8]>),
    Array(Vec<Value<'a>>),
    Dict(Dict<'a>),
    Reference(u32),
}

/// A dictionary, sorted by key.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Dict<'a>(Vec<(Cow<'a, [u8]>, Value<'a>)>);

impl<'a> Dict<'a> {
    /// Sorts, and refuses a key that is there twice.
    pub(super) fn new(mut entries: Vec<(Cow<'a, [u8]>, Value<'a>)>) -> Result<Self, Unreadable> {
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        let repeated = entries.windows(2).any(|pair| matches!(pair, [a, b] if a.0 == b.0));
        if repeated { Err(Unreadable("repeated_key")) } else { Ok(Self(entries)) }
    }

    /// The entry as written; [`Value::Null`] when absent.
    pub(super) fn raw(&self, key: &[u8]) -> &Value<'a> {
        let found = self.0.binary_search_by(|(k, _)| k.as_ref().cmp(key)).ok();
        found.and_then(|i| self.0.get(i)).map_or(&Value::Null, |(_, value)| value)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&[u8], &Value<'a>)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value))
    }

    pub(super) fn into_entries(self) -> impl Iterator<Item = (Cow<'a, [u8]>, Value<'a>)> {
        self.0.into_iter()
    }
}

impl<'a> Value<'a> {
    pub(super) fn name(&self) -> Option<&[u8]> {
        if let Self::Name(name) = self { Some(name) } else { None }
    }

    pub(super) fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(number.value) } else { None }
    }

    pub(super) fn unsigned(&self) -> Option<u32> {
        if let Self::Number(number) = self { number.unsigned() } else { None }
    }

    pub(super) fn string(&self) -> Option<&[u8]> {
        if let Self::String(string) = self { Some(string) } else { None }
    }

    pub(super) fn dict(&self) -> Option<&Dict<'a>> {
        if let Self::Dict(dict) = self { Some(dict) } else { None }
    }

    pub(super) fn array(&self) -> Option<&[Self]> {
        if let Self::Array(array) = self { Some(array) } else { None }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

/// How values are read: references exist in files, not in content streams.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    File,
    Content,
}

const MALFORMED: Unreadable = Unreadable("malformed");

/// Reads one value whose first token has been taken.
pub(super) fn parse<'a>(
    lexer: &mut Lexer<'a>,
    first: Token<'a>,
    place: Place,
    room: &Room,
) -> Result<Value<'a>, Unreadable> {
    nested(lexer, first, place, room, room.depth)
}

/// `depth` is what may still be nested.
fn nested<'a>(
    lexer: &mut Lexer<'a>,
    first: Token<'a>,
    place: Place,
    room: &Room,
    depth: usize,
) -> Result<Value<'a>, Unreadable> {
    room.value()?;
    Ok(match first {
        Token::Number(number) => reference(lexer, number, place).unwrap_or(Value::Number(number)),
        Token::Name(name) => Value::Name(name),
        Token::String(string) => Value::String(string),
        Token::ArrayOpen => {
            let depth = depth.checked_sub(1).ok_or(Unreadable("too_deep"))?;
            let mut items = Vec::new();
            loop {
                match lexer.next()?.ok_or(MALFORMED)? {
                    Token::ArrayClose => break Value::Array(items),
                    Token::Number(number) => {
                        room.value()?;
                        items.push(reference(lexer, number, place).unwrap_or(Value::Number(number)));
                    }
                    token => items.push(nested(lexer, token, place, room, depth)?),
                }
            }
        }
        Token::DictOpen => {
            let depth = depth.checked_sub(1).ok_or(Unreadable("too_deep"))?;
            let mut entries = Vec::new();
            loop {
                let key = match lexer.next()?.ok_or(MALFORMED)? {
                    Token::DictClose => break Value::Dict(Dict::new(entries)?),
                    Token::Name(name) => name,
                    _ => return Err(MALFORMED),
                };
                let token = lexer.next()?.ok_or(MALFORMED)?;
                entries.push((key, nested(lexer, token, place, room, depth)?));
            }
        }
        Token::Keyword(b"null") => Value::Null,
        Token::Keyword(b"true") => Value::Bool(true),
        Token::Keyword(b"false") => Value::Bool(false),
        Token::Keyword(_) | Token::ArrayClose | Token::DictClose => return Err(MALFORMED),
    })
}

/// `number generation R`, generation 0; leaves the lexer alone when it is not one.
fn reference<'a>(lexer: &mut Lexer<'a>, number: Number, place: Place) -> Option<Value<'a>> {
    if place == Place::Content {
        return None;
    }
    // Most numbers in files are not references: generation 0 begins with a 0.
    let mut ahead = *lexer;
    ahead.skip_blank();
    ahead.rest().first().filter(|b| **b == b'0')?;
    let target = number.unsigned()?;
    let Ok(Some(Token::Number(generation))) = ahead.next() else { return None };
    let Ok(Some(Token::Keyword(b"R"))) = ahead.next() else { return None };
    (generation.unsigned() == Some(0)).then(|| {
        *lexer = ahead;
        Value::Reference(target)
    })
}
