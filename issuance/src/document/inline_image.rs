//! Inline images (ISO 32000-2, 8.9.7). Their end is computed, never searched for: what looks like an end may be picture data.

use super::Unreadable;
use super::budget::Budget;
use super::filter::{ascii_hex, ascii85, inflate};
use super::lex::{Lexer, Token, is_white};
use super::value::{Dict, Place, Value, parse};

const BAD: Unreadable = Unreadable("inline_image");

/// The entries of an inline image and its bytes as stored.
pub(super) struct InlineImage<'c> {
    pub(super) dict: Dict<'c>,
    pub(super) data: &'c [u8],
}

impl<'c> InlineImage<'c> {
    /// Reads from after `BI` to after `EI`.
    pub(super) fn read(lexer: &mut Lexer<'c>, budget: &Budget) -> Result<Self, Unreadable> {
        let mut entries = Vec::new();
        let room = budget.operands();
        loop {
            let key = match lexer.next()?.ok_or(BAD)? {
                Token::Keyword(b"ID") => break,
                Token::Name(key) => key,
                _ => return Err(BAD),
            };
            let token = lexer.next()?.ok_or(BAD)?;
            entries.push((key, parse(lexer, token, Place::Content, &room)?));
        }
        let dict = Dict::new(entries)?;
        if !lexer.rest().first().copied().is_some_and(is_white) {
            return Err(BAD);
        }
        lexer.advance(1);
        let rest = lexer.rest();
        let length = match filter(&dict) {
            None => raw_length(&dict).ok_or(BAD)?,
            Some(b"FlateDecode" | b"Fl") => {
                let (data, taken) = inflate(rest, budget)?;
                budget.inflate(data.len())?;
                taken
            }
            Some(b"ASCII85Decode" | b"A85") => ascii85(rest)?.1,
            Some(b"ASCIIHexDecode" | b"AHx") => ascii_hex(rest)?.1,
            Some(_) => return Err(BAD),
        };
        let data = rest.get(..length).ok_or(BAD)?;
        budget.inflate(length)?;
        lexer.advance(length);
        match lexer.next()? {
            Some(Token::Keyword(b"EI")) => Ok(Self { dict, data }),
            _ => Err(BAD),
        }
    }
}

fn either<'d, 'c>(dict: &'d Dict<'c>, short: &[u8], long: &[u8]) -> &'d Value<'c> {
    match dict.raw(short) {
        Value::Null => dict.raw(long),
        value => value,
    }
}

/// The first filter: it alone decides where the data ends.
fn filter<'d>(dict: &'d Dict<'_>) -> Option<&'d [u8]> {
    match either(dict, b"F", b"Filter") {
        Value::Null => None,
        Value::Array(filters) => filters.first().map(|f| f.name().unwrap_or_default()),
        filter => Some(filter.name().unwrap_or_default()),
    }
}

/// Bytes of unfiltered samples, rows padded to whole bytes.
fn raw_length(dict: &Dict<'_>) -> Option<usize> {
    let width = either(dict, b"W", b"Width").unsigned()? as usize;
    let height = either(dict, b"H", b"Height").unsigned()? as usize;
    let mask = *either(dict, b"IM", b"ImageMask") == Value::Bool(true);
    let bits = if mask { 1 } else { either(dict, b"BPC", b"BitsPerComponent").unsigned()? as usize };
    let components = match either(dict, b"CS", b"ColorSpace") {
        _ if mask => 1,
        Value::Array(_) => 1,
        space => match space.name()? {
            b"G" | b"DeviceGray" => 1,
            b"RGB" | b"DeviceRGB" => 3,
            b"CMYK" | b"DeviceCMYK" => 4,
            _ => return None,
        },
    };
    width.checked_mul(bits)?.checked_mul(components)?.div_ceil(8).checked_mul(height)
}
