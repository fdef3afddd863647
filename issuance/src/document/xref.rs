//! Cross-reference tables and streams (ISO 32000-2, 7.5.4 and 7.5.8), read exactly as declared.

use std::borrow::Cow;
use std::collections::HashMap;

use super::budget::Budget;
use super::file::{finish, object_start};
use super::filter;
use super::lex::{Lexer, Token};
use super::value::{Dict, Place, Value, parse};
use super::{Limits, Unreadable};

const BROKEN: Unreadable = Unreadable("broken_xref");

/// Where an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// At this offset of the file.
    At(usize),
    /// In an object stream.
    Inside {
        /// The object stream's number.
        stream: u32,
        /// The object's place in it.
        index: u32,
    },
}

/// One cross-reference section.
pub(super) struct Section<'a> {
    pub(super) offset: usize,
    pub(super) end: usize,
    pub(super) is_table: bool,
    pub(super) trailer: Dict<'a>,
    pub(super) previous: Option<usize>,
    pub(super) hybrid: bool,
    entries: Vec<(u32, Entry)>,
}

impl<'a> Section<'a> {
    /// Reads the section at `offset`, whichever sort it is.
    pub(super) fn read(bytes: &'a [u8], offset: usize, limits: &Limits, budget: &Budget) -> Result<Self, Unreadable> {
        let mut lexer = Lexer::new(bytes, offset);
        let (entries, trailer, is_table) = if lexer.take_tag(b"xref") {
            let (entries, trailer) = table(&mut lexer, limits, budget)?;
            (entries, trailer, true)
        } else {
            let (entries, trailer) = stream(&mut lexer, bytes, limits, budget)?;
            (entries, trailer, false)
        };
        let previous = match trailer.raw(b"Prev") {
            Value::Null => None,
            value => Some(value.unsigned().ok_or(BROKEN)? as usize),
        };
        let hybrid = !trailer.raw(b"XRefStm").is_null();
        Ok(Self { offset, end: lexer.position(), is_table, trailer, previous, hybrid, entries })
    }

    /// A cross-reference stream is an object, which need not list itself.
    pub(super) fn listed_in(&self, entries: &HashMap<u32, Entry>) -> bool {
        self.is_table || entries.values().any(|e| *e == Entry::At(self.offset))
    }
}

/// One map of all sections; an object listed twice is refused.
pub(super) fn merge(sections: &[Section<'_>], limits: &Limits) -> Result<HashMap<u32, Entry>, Unreadable> {
    let total: usize = sections.iter().map(|s| s.entries.len()).sum();
    if total > limits.max_objects {
        return Err(Unreadable("too_many_objects"));
    }
    let mut entries = HashMap::with_capacity(total);
    for (number, entry) in sections.iter().flat_map(|s| &s.entries) {
        if *number as usize > limits.max_objects.saturating_mul(4) {
            return Err(Unreadable("too_many_objects"));
        }
        if entries.insert(*number, *entry).is_some() {
            return Err(Unreadable("duplicate_object"));
        }
    }
    Ok(entries)
}

type Entries = Vec<(u32, Entry)>;

fn table<'a>(lexer: &mut Lexer<'a>, limits: &Limits, budget: &Budget) -> Result<(Entries, Dict<'a>), Unreadable> {
    let mut entries = Vec::new();
    loop {
        let start = match lexer.next().map_err(|_| BROKEN)?.ok_or(BROKEN)? {
            Token::Keyword(b"trailer") => break,
            Token::Number(start) => start.unsigned().ok_or(BROKEN)?,
            _ => return Err(BROKEN),
        };
        let Some(Token::Number(count)) = lexer.next().map_err(|_| BROKEN)? else { return Err(BROKEN) };
        let count = count.unsigned().ok_or(BROKEN)?;
        if count as usize > limits.max_objects {
            return Err(Unreadable("too_many_objects"));
        }
        lexer.skip_white();
        for number in start..start.checked_add(count).ok_or(BROKEN)? {
            let line: &[u8; 20] = lexer.rest().first_chunk().ok_or(BROKEN)?;
            lexer.advance(20);
            entries.extend(table_entry(line)?.map(|offset| (number, Entry::At(offset))));
        }
    }
    let Some(first @ Token::DictOpen) = lexer.next()? else { return Err(BROKEN) };
    match parse(lexer, first, Place::File, &budget.values)? {
        Value::Dict(trailer) => Ok((entries, trailer)),
        _ => Err(BROKEN),
    }
}

/// `nnnnnnnnnn ggggg n` and two bytes of line end; `None` for a free entry.
fn table_entry(line: &[u8; 20]) -> Result<Option<usize>, Unreadable> {
    let (offset, generation, kind) = match line {
        [offset @ .., b' ', g0, g1, g2, g3, g4, b' ', kind, b' ' | b'\r', b'\r' | b'\n'] => {
            (offset, [*g0, *g1, *g2, *g3, *g4], *kind)
        }
        _ => return Err(BROKEN),
    };
    let digits = |text: &[u8]| -> Option<usize> {
        text.iter().try_fold(0usize, |n, b| b.is_ascii_digit().then(|| n * 10 + usize::from(b - b'0')))
    };
    let (offset, generation) = digits(offset).zip(digits(&generation)).ok_or(BROKEN)?;
    match kind {
        b'f' => Ok(None),
        b'n' if generation == 0 => Ok(Some(offset)),
        b'n' => Err(Unreadable("revised")),
        _ => Err(BROKEN),
    }
}

fn stream<'a>(
    lexer: &mut Lexer<'a>,
    bytes: &'a [u8],
    limits: &Limits,
    budget: &Budget,
) -> Result<(Entries, Dict<'a>), Unreadable> {
    let found = object_start(lexer, budget).map_err(|_| BROKEN)?;
    let (_, value) = found.ok_or(BROKEN)?;
    let data = finish(lexer, bytes, &value, &HashMap::new())?.ok_or(BROKEN)?;
    let Value::Dict(dict) = value else { return Err(BROKEN) };
    if dict.raw(b"Type").name() != Some(b"XRef") {
        return Err(BROKEN);
    }
    let (filters, parameters) = (one_or_many(dict.raw(b"Filter")), one_or_many(dict.raw(b"DecodeParms")));
    let data = filter::decode(Cow::Borrowed(data), &filters, &parameters, budget)?;

    let integers = |value: &Value<'_>| -> Option<Vec<u32>> { value.array()?.iter().map(Value::unsigned).collect() };
    let Some([1, w1 @ 1..=4, w2 @ 0..=4]) = integers(dict.raw(b"W")).as_deref().and_then(|w| w.first_chunk().copied())
    else {
        return Err(BROKEN);
    };
    let size = dict.raw(b"Size").unsigned().ok_or(BROKEN)?;
    let index = match dict.raw(b"Index") {
        Value::Null => vec![0, size],
        value => integers(value).ok_or(BROKEN)?,
    };
    let mut numbers = Vec::new();
    for pair in index.chunks(2) {
        let [start, count] = *pair else { return Err(BROKEN) };
        if numbers.len() + count as usize > limits.max_objects {
            return Err(Unreadable("too_many_objects"));
        }
        numbers.extend(start..start.checked_add(count).ok_or(BROKEN)?);
    }
    let width = 1 + w1 as usize + w2 as usize;
    if data.len() != numbers.len() * width {
        return Err(BROKEN);
    }
    let mut entries = Vec::with_capacity(numbers.len());
    for (number, row) in numbers.into_iter().zip(data.chunks(width)) {
        let [kind, fields @ ..] = row else { return Err(BROKEN) };
        let (second, third) = fields.split_at_checked(w1 as usize).ok_or(BROKEN)?;
        let (second, third) = (big_endian(second), big_endian(third));
        match kind {
            0 => {}
            1 if third == 0 => entries.push((number, Entry::At(second as usize))),
            1 => return Err(Unreadable("revised")),
            2 => entries.push((number, Entry::Inside { stream: second, index: third })),
            _ => return Err(BROKEN),
        }
    }
    Ok((entries, dict))
}

fn big_endian(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |n, b| n << 8 | u32::from(*b))
}

/// A value, or the items of an array, or nothing.
pub(super) fn one_or_many<'v, 'a>(value: &'v Value<'a>) -> Vec<&'v Value<'a>> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().collect(),
        value => vec![value],
    }
}
