//! The shape of the whole file (ISO 32000-2, 7.5): every byte belongs to an object that the cross-reference lists exactly once.
//! Nothing is searched for and nothing repaired, so two readers cannot see two documents in one file.

use std::collections::HashMap;

use super::budget::Budget;
use super::lex::{Lexer, Token, is_white};
use super::value::{Dict, Place, Value, parse};
use super::xref::{self, Entry, Section};
use super::{Limits, Unreadable};

const BROKEN: Unreadable = Unreadable("broken_xref");
const GARBAGE: Unreadable = Unreadable("garbage");
const MALFORMED: Unreadable = Unreadable("malformed");

/// An object that stands in the file itself.
pub(super) struct TopLevel<'a> {
    pub(super) number: u32,
    pub(super) offset: usize,
    pub(super) value: Value<'a>,
    /// The stream's bytes as stored.
    pub(super) stream: Option<&'a [u8]>,
}

/// A file whose shape is beyond doubt.
pub(super) struct File<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) entries: HashMap<u32, Entry>,
    pub(super) trailer: Dict<'a>,
    pub(super) objects: Vec<TopLevel<'a>>,
}

impl<'a> File<'a> {
    pub(super) fn examine(bytes: &'a [u8], limits: &Limits, budget: &Budget) -> Result<Self, Unreadable> {
        let body = header(bytes)?;
        let start = trailing(bytes)?;
        let last = Section::read(bytes, start, limits, budget)?;
        if last.hybrid {
            return Err(Unreadable("hybrid_xref"));
        }
        let mut sections = vec![last];
        if let Some(previous) = sections.first().and_then(|s| s.previous) {
            if !is_linearized(bytes, body, budget)? {
                return Err(Unreadable("revised"));
            }
            let main = Section::read(bytes, previous, limits, budget)?;
            if main.previous.is_some() || main.hybrid || previous == start {
                return Err(Unreadable("revised"));
            }
            sections.push(main);
        }
        let entries = xref::merge(&sections, limits)?;
        let objects = tile(bytes, body, &sections, &entries, limits, budget)?;
        let listed = entries.values().filter(|e| matches!(e, Entry::At(_))).count();
        let unlisted = sections.iter().filter(|s| !s.listed_in(&entries)).count();
        if objects.len() != listed + unlisted {
            return Err(BROKEN);
        }
        let trailer = sections.into_iter().next().map(|s| s.trailer).ok_or(BROKEN)?;
        Ok(Self { bytes, entries, trailer, objects })
    }
}

/// `%PDF-1.n` or `%PDF-2.0` at the very first byte; returns where the body begins.
fn header(bytes: &[u8]) -> Result<usize, Unreadable> {
    let version = bytes.strip_prefix(b"%PDF-").ok_or(Unreadable("no_header"))?;
    match version {
        [b'1', b'.', b'0'..=b'7', end, ..] | [b'2', b'.', b'0', end, ..] if is_white(*end) => Ok(8),
        _ => Err(Unreadable("no_header")),
    }
}

/// The offset after the last `startxref`; only white space may follow its `%%EOF`.
fn trailing(bytes: &[u8]) -> Result<usize, Unreadable> {
    let at = bytes.windows(9).rposition(|w| w == b"startxref").ok_or(BROKEN)?;
    let mut lexer = Lexer::new(bytes, at + 9);
    let Some(Token::Number(offset)) = lexer.next().map_err(|_| BROKEN)? else { return Err(BROKEN) };
    lexer.skip_blank();
    if !lexer.take_tag(b"%%EOF") {
        return Err(BROKEN);
    }
    if !lexer.rest().iter().copied().all(is_white) {
        return Err(Unreadable("trailing_bytes"));
    }
    offset.unsigned().map(|o| o as usize).filter(|o| *o > 0 && *o < at).ok_or(BROKEN)
}

/// A linearized file (annex F) has two cross-reference sections of one revision, and says so in its first object.
fn is_linearized(bytes: &[u8], body: usize, budget: &Budget) -> Result<bool, Unreadable> {
    let mut lexer = Lexer::new(bytes, body);
    let Some((_, value)) = object_start(&mut lexer, budget)? else { return Ok(false) };
    let Some(dict) = value.dict() else { return Ok(false) };
    let length = dict.raw(b"L").unsigned().map(|l| l as usize);
    Ok(!dict.raw(b"Linearized").is_null() && length == Some(bytes.len()))
}

/// `n 0 obj` and the value after it; `None` when something else stands here.
pub(super) fn object_start<'a>(lexer: &mut Lexer<'a>, budget: &Budget) -> Result<Option<(u32, Value<'a>)>, Unreadable> {
    let Some(number) = object_number(lexer)? else { return Ok(None) };
    let first = lexer.next()?.ok_or(MALFORMED)?;
    Ok(Some((number, parse(lexer, first, Place::File, &budget.values)?)))
}

/// `n 0 obj`.
fn object_number(lexer: &mut Lexer<'_>) -> Result<Option<u32>, Unreadable> {
    let Some(Token::Number(number)) = lexer.next()? else { return Ok(None) };
    let Some(Token::Number(generation)) = lexer.next()? else { return Ok(None) };
    let Some(Token::Keyword(b"obj")) = lexer.next()? else { return Ok(None) };
    if generation.unsigned() != Some(0) {
        return Err(Unreadable("revised"));
    }
    number.unsigned().map(Some).ok_or(MALFORMED)
}

/// Walks the file from its first byte to its last; everything is an object, a listed section or white space.
fn tile<'a>(
    bytes: &'a [u8],
    body: usize,
    sections: &[Section<'a>],
    entries: &HashMap<u32, Entry>,
    limits: &Limits,
    budget: &Budget,
) -> Result<Vec<TopLevel<'a>>, Unreadable> {
    let mut lexer = Lexer::new(bytes, body);
    let mut objects: Vec<TopLevel<'a>> = Vec::with_capacity(entries.len());
    let mut ends = 0;
    loop {
        lexer.skip_blank();
        let offset = lexer.position();
        let rest = lexer.rest();
        if rest.is_empty() {
            break;
        }
        if let Some(section) = sections.iter().find(|s| s.is_table && s.offset == offset) {
            lexer = Lexer::new(bytes, section.end);
        } else if rest.starts_with(b"startxref") {
            lexer.advance(9);
            let Some(Token::Number(_)) = lexer.next()? else { return Err(GARBAGE) };
            lexer.skip_blank();
            if !lexer.take_tag(b"%%EOF") {
                return Err(GARBAGE);
            }
            ends += 1;
        } else {
            if rest.starts_with(b"xref") || rest.starts_with(b"trailer") {
                return Err(Unreadable("revised"));
            }
            let (number, value) = object_start(&mut lexer, budget)?.ok_or(GARBAGE)?;
            if objects.len() >= limits.max_objects {
                return Err(Unreadable("too_many_objects"));
            }
            let is_section = sections.iter().any(|s| s.offset == offset);
            match entries.get(&number) {
                Some(Entry::At(listed)) if *listed == offset => {}
                None if is_section => {}
                Some(_) => return Err(duplicate_or_broken(number, &objects, bytes, entries)),
                None => return Err(Unreadable("unlisted_object")),
            }
            let stream = finish(&mut lexer, bytes, &value, entries)?;
            objects.push(TopLevel { number, offset, value, stream });
        }
    }
    // A linearized file may end twice: after its first-page section and at its end.
    if (1..=sections.len()).contains(&ends) { Ok(objects) } else { Err(Unreadable("revised")) }
}

/// An object that is not where the cross-reference says: there are two of it, or the cross-reference is wrong.
fn duplicate_or_broken(number: u32, seen: &[TopLevel<'_>], bytes: &[u8], entries: &HashMap<u32, Entry>) -> Unreadable {
    let elsewhere = match entries.get(&number) {
        Some(Entry::At(offset)) => matches!(
            object_number(&mut Lexer::new(bytes, *offset)),
            Ok(Some(found)) if found == number
        ),
        Some(Entry::Inside { .. }) => true,
        None => false,
    };
    if elsewhere || seen.iter().any(|o| o.number == number) { Unreadable("duplicate_object") } else { BROKEN }
}

/// Reads up to `endobj`; returns the bytes of a stream, whose declared length must be right.
pub(super) fn finish<'a>(
    lexer: &mut Lexer<'a>,
    bytes: &'a [u8],
    value: &Value<'a>,
    entries: &HashMap<u32, Entry>,
) -> Result<Option<&'a [u8]>, Unreadable> {
    match lexer.next()? {
        Some(Token::Keyword(b"endobj")) => return Ok(None),
        Some(Token::Keyword(b"stream")) => {}
        _ => return Err(MALFORMED),
    }
    let dict = value.dict().ok_or(MALFORMED)?;
    // A file stored elsewhere (7.11) is never fetched.
    if !dict.raw(b"F").is_null() {
        return Err(Unreadable("external_data"));
    }
    if !(lexer.take_tag(b"\r\n") || lexer.take_tag(b"\n")) {
        return Err(MALFORMED);
    }
    let length = match dict.raw(b"Length") {
        Value::Reference(number) => {
            let Some(Entry::At(offset)) = entries.get(number) else { return Err(MALFORMED) };
            let mut lexer = Lexer::new(bytes, *offset);
            match (object_number(&mut lexer)?, lexer.next()?) {
                (Some(found), Some(Token::Number(length))) if found == *number => length.unsigned(),
                _ => None,
            }
        }
        value => value.unsigned(),
    };
    let length = length.ok_or(MALFORMED)? as usize;
    let stream = lexer.rest().get(..length).ok_or(MALFORMED)?;
    lexer.advance(length);
    lexer.skip_white();
    if !lexer.take_tag(b"endstream") {
        return Err(MALFORMED);
    }
    match lexer.next()? {
        Some(Token::Keyword(b"endobj")) => Ok(Some(stream)),
        _ => Err(MALFORMED),
    }
}
