//! All objects of a file by number, and the only ways to reach into them.

use std::borrow::Cow;

use super::budget::Budget;
use super::decrypt::Cipher;
use super::file::File;
use super::lex::{Lexer, Token};
use super::value::{Dict, Place, Value, parse};
use super::xref::Entry;
use super::{Unreadable, filter};

const MALFORMED: Unreadable = Unreadable("malformed");

/// References that lead to references; nobody writes more than one.
const MAX_HOPS: usize = 8;

struct Stored<'a> {
    value: Value<'a>,
    stream: Option<Cow<'a, [u8]>>,
}

/// Everything the file holds.
pub(super) struct Objects<'a> {
    stored: Vec<Option<Stored<'a>>>,
    trailer: Dict<'a>,
}

/// A stream: its dictionary and its bytes, decrypted but still filtered.
#[derive(Clone, Copy)]
pub(super) struct Stream<'o, 'a> {
    pub(super) dict: &'o Dict<'a>,
    pub(super) data: &'o [u8],
}

/// Object streams of a file after decoding; they must outlive the objects in them.
pub(super) struct ObjectStreams(Vec<(u32, usize, usize, Vec<u8>)>);

impl ObjectStreams {
    /// Decrypts and decodes them all.
    pub(super) fn decode(file: &File<'_>, cipher: Option<&Cipher>, budget: &Budget) -> Result<Self, Unreadable> {
        let mut decoded = Vec::new();
        for object in &file.objects {
            let Some((dict, data)) = object.value.dict().zip(object.stream) else { continue };
            if dict.raw(b"Type").name() != Some(b"ObjStm") {
                continue;
            }
            let data = match cipher {
                Some(cipher) => Cow::Owned(cipher.stream(object.number, data.len())?),
                None => Cow::Borrowed(data),
            };
            let filters = super::xref::one_or_many(dict.raw(b"Filter"));
            let parameters = super::xref::one_or_many(dict.raw(b"DecodeParms"));
            let data = filter::decode(data, &filters, &parameters, budget)?.into_owned();
            let (count, first) = dict.raw(b"N").unsigned().zip(dict.raw(b"First").unsigned()).ok_or(MALFORMED)?;
            decoded.push((object.number, count as usize, first as usize, data));
        }
        Ok(Self(decoded))
    }
}

impl<'a> Objects<'a> {
    /// Puts every object in its place; each exists exactly once, where the cross-reference says.
    pub(super) fn assemble(
        file: File<'a>,
        streams: &'a ObjectStreams,
        cipher: Option<&Cipher>,
        budget: &Budget,
    ) -> Result<Self, Unreadable> {
        let highest = file.entries.keys().chain(file.objects.iter().map(|o| &o.number)).max();
        let mut stored: Vec<Option<Stored<'a>>> = Vec::new();
        stored.resize_with(highest.map_or(0, |n| *n as usize + 1), || None);
        let inside = file.entries.values().filter(|e| matches!(e, Entry::Inside { .. })).count();
        let mut found = 0;
        for (stream, count, first, data) in &streams.0 {
            let members = members(data, *count, *first, budget)?;
            for (index, (number, value)) in members.into_iter().enumerate() {
                let expected = Entry::Inside { stream: *stream, index: index as u32 };
                match file.entries.get(&number) {
                    Some(entry) if *entry == expected => {}
                    Some(_) => return Err(Unreadable("duplicate_object")),
                    None => return Err(Unreadable("unlisted_object")),
                }
                found += 1;
                place(&mut stored, number, Stored { value, stream: None })?;
            }
        }
        if found != inside {
            return Err(Unreadable("broken_xref"));
        }
        for object in file.objects {
            let (value, stream) = match cipher {
                Some(cipher) => {
                    let stream = object.stream.map(|data| cipher.stream(object.number, data.len())).transpose()?;
                    (cipher.strings(object.number, object.value)?, stream.map(Cow::Owned))
                }
                None => (object.value, object.stream.map(Cow::Borrowed)),
            };
            place(&mut stored, object.number, Stored { value, stream })?;
        }
        Ok(Self { stored, trailer: file.trailer })
    }

    pub(super) fn trailer(&self) -> &Dict<'a> {
        &self.trailer
    }

    /// Every object's value.
    pub(super) fn values(&self) -> impl Iterator<Item = &Value<'a>> {
        self.stored.iter().flatten().map(|s| &s.value)
    }

    fn stored(&self, number: u32) -> Option<&Stored<'a>> {
        self.stored.get(number as usize)?.as_ref()
    }

    /// Follows references; one to nothing is null (7.3.10).
    pub(super) fn resolve<'o>(&'o self, value: &'o Value<'a>) -> Result<&'o Value<'a>, Unreadable> {
        let mut value = value;
        for _ in 0..MAX_HOPS {
            match value {
                Value::Reference(number) => match self.stored(*number) {
                    Some(stored) => value = &stored.value,
                    None => return Ok(&Value::Null),
                },
                value => return Ok(value),
            }
        }
        Err(MALFORMED)
    }

    /// The resolved entry of a dictionary; null when absent.
    pub(super) fn get<'o>(&'o self, dict: &'o Dict<'a>, key: &[u8]) -> Result<&'o Value<'a>, Unreadable> {
        self.resolve(dict.raw(key))
    }

    /// A dictionary entry that is a dictionary, or absent; anything else is malformed.
    pub(super) fn dict<'o>(&'o self, dict: &'o Dict<'a>, key: &[u8]) -> Result<Option<&'o Dict<'a>>, Unreadable> {
        typed(self.get(dict, key)?, Value::dict)
    }

    /// An array entry, its items unresolved.
    pub(super) fn array<'o>(&'o self, dict: &'o Dict<'a>, key: &[u8]) -> Result<Option<&'o [Value<'a>]>, Unreadable> {
        typed(self.get(dict, key)?, Value::array)
    }

    /// A name entry.
    pub(super) fn name<'o>(&'o self, dict: &'o Dict<'a>, key: &[u8]) -> Result<Option<&'o [u8]>, Unreadable> {
        typed(self.get(dict, key)?, Value::name)
    }

    /// A number entry.
    pub(super) fn number(&self, dict: &Dict<'a>, key: &[u8]) -> Result<Option<f64>, Unreadable> {
        match self.get(dict, key)? {
            Value::Null => Ok(None),
            value => value.number().map(Some).ok_or(MALFORMED),
        }
    }

    /// The number that a value leads to.
    pub(super) fn resolve_number(&self, value: &Value<'_>) -> Option<f64> {
        match value {
            Value::Reference(number) => self.stored(*number)?.value.number(),
            value => value.number(),
        }
    }

    /// An array of exactly `N` numbers.
    pub(super) fn numbers<const N: usize>(&self, value: &Value<'a>) -> Result<Option<[f64; N]>, Unreadable> {
        let value = self.resolve(value)?;
        if value.is_null() {
            return Ok(None);
        }
        let items: &[Value<'a>; N] = value.array().and_then(|a| a.try_into().ok()).ok_or(MALFORMED)?;
        let mut numbers = [0.0; N];
        for (number, item) in numbers.iter_mut().zip(items) {
            *number = self.resolve(item)?.number().filter(|n| n.is_finite()).ok_or(MALFORMED)?;
        }
        Ok(Some(numbers))
    }

    /// The stream that a reference leads to, or `None` for anything else.
    pub(super) fn stream<'o>(&'o self, value: &'o Value<'a>) -> Option<Stream<'o, 'a>> {
        let mut value = value;
        for _ in 0..MAX_HOPS {
            let Value::Reference(number) = value else { return None };
            let stored = self.stored(*number)?;
            if let (Some(dict), Some(data)) = (stored.value.dict(), &stored.stream) {
                return Some(Stream { dict, data });
            }
            value = &stored.value;
        }
        None
    }

    /// The first `wanted` bytes of a stream, or more where stopping early saves nothing.
    pub(super) fn decode_start<'o>(
        &'o self,
        stream: Stream<'o, 'a>,
        wanted: usize,
        budget: &Budget,
    ) -> Result<Cow<'o, [u8]>, Unreadable> {
        let plain_flate = self.get(stream.dict, b"Filter")?.name() == Some(b"FlateDecode")
            && self.get(stream.dict, b"DecodeParms")?.is_null();
        if plain_flate && wanted <= budget.inflated_left() {
            budget.inflate(wanted)?;
            return filter::inflate_start(stream.data, wanted, budget).map(Cow::Owned);
        }
        self.decode(stream, budget)
    }

    /// A stream's bytes after all its filters, charged to the budget.
    pub(super) fn decode<'o>(&'o self, stream: Stream<'o, 'a>, budget: &Budget) -> Result<Cow<'o, [u8]>, Unreadable> {
        let mut lists = [Vec::new(), Vec::new()];
        for (list, key) in lists.iter_mut().zip([&b"Filter"[..], b"DecodeParms"]) {
            for value in super::xref::one_or_many(self.get(stream.dict, key)?) {
                list.push(self.resolve(value)?);
            }
        }
        let [filters, parameters] = &lists;
        if filters.is_empty() {
            budget.inflate(stream.data.len())?;
        }
        filter::decode(Cow::Borrowed(stream.data), filters, parameters, budget)
    }
}

fn typed<'o, 'a, T: ?Sized>(
    value: &'o Value<'a>,
    cast: impl Fn(&'o Value<'a>) -> Option<&'o T>,
) -> Result<Option<&'o T>, Unreadable> {
    if value.is_null() { Ok(None) } else { cast(value).map(Some).ok_or(MALFORMED) }
}

fn place<'a>(stored: &mut [Option<Stored<'a>>], number: u32, object: Stored<'a>) -> Result<(), Unreadable> {
    let place = stored.get_mut(number as usize).ok_or(MALFORMED)?;
    if place.is_some() {
        return Err(Unreadable("duplicate_object"));
    }
    *place = Some(object);
    Ok(())
}

/// The objects in one object stream (7.5.7): numbers and offsets first, then the values without anything between.
fn members<'d>(
    data: &'d [u8],
    count: usize,
    first: usize,
    budget: &Budget,
) -> Result<Vec<(u32, Value<'d>)>, Unreadable> {
    let mut numbers = Lexer::new(data, 0);
    let mut values = Lexer::new(data, first);
    let mut members = Vec::new();
    for _ in 0..count {
        let (Some(Token::Number(number)), Some(Token::Number(offset))) = (numbers.next()?, numbers.next()?) else {
            return Err(MALFORMED);
        };
        let (number, offset) = number.unsigned().zip(offset.unsigned()).ok_or(MALFORMED)?;
        values.skip_white();
        let mut at = Lexer::new(data, first.saturating_add(offset as usize));
        at.skip_white();
        if at.position() != values.position() {
            return Err(Unreadable("garbage"));
        }
        let token = values.next()?.ok_or(MALFORMED)?;
        members.push((number, parse(&mut values, token, Place::File, &budget.values)?));
    }
    numbers.skip_blank();
    values.skip_blank();
    if numbers.position() > first || !values.rest().is_empty() {
        return Err(Unreadable("garbage"));
    }
    Ok(members)
}
