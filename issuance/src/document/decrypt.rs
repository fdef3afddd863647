//! Decryption with the empty user password (ISO 32000-2, 7.6), done by hayro-syntax on objects whose shape is already known.
//!
//! hayro repairs what it cannot read and inflates without a ceiling. So it is handed the file with a bare catalog and a new
//! cross-reference of plain objects appended, and asked for nothing but decrypted strings and stored stream bytes.

use std::borrow::Cow;
use std::fmt::Write as _;

use hayro_syntax::Pdf;
use hayro_syntax::object::{MaybeRef, Object, ObjectIdentifier};

use super::Unreadable;
use super::file::File;
use super::lex::Number;
use super::value::{Dict, Value};
use super::xref::Entry;

const ENCRYPTED: Unreadable = Unreadable("encrypted");

/// AES needs a 16-byte vector and at least one block, so less than this may honestly be empty.
const EMPTY_AES_BYTES: usize = 48;

/// A file's key, opened with the empty password.
pub(super) struct Cipher {
    pdf: Pdf,
    dictionary: Option<u32>,
}

impl Cipher {
    /// `None` for a file that is not encrypted; an error for one that asks for a password.
    pub(super) fn open(file: &File<'_>) -> Result<Option<Self>, Unreadable> {
        let encrypt = file.trailer.raw(b"Encrypt");
        let dictionary = match encrypt {
            Value::Null => return Ok(None),
            Value::Reference(number) => Some(*number),
            _ => None,
        };
        let pdf = Pdf::new(plain(file)?).map_err(|_| ENCRYPTED)?;
        Ok(Some(Self { pdf, dictionary }))
    }

    /// The stored bytes of a stream, decrypted. `stored` is how many there were before.
    pub(super) fn stream(&self, number: u32, stored: usize) -> Result<Vec<u8>, Unreadable> {
        let Some(Object::Stream(stream)) = self.pdf.xref().get(ObjectIdentifier::new(number, 0)) else {
            return Err(ENCRYPTED);
        };
        if stream.dict().get::<Object<'_>>(b"Type").and_then(Object::into_name).as_deref() == Some(b"XRef") {
            return Ok(Vec::new());
        }
        let data = stream.raw_data().into_owned();
        if data.is_empty() && stored >= EMPTY_AES_BYTES { Err(ENCRYPTED) } else { Ok(data) }
    }

    /// `value` with its strings decrypted.
    pub(super) fn strings<'a>(&self, number: u32, value: Value<'a>) -> Result<Value<'a>, Unreadable> {
        if self.dictionary == Some(number) {
            return Ok(Value::Null);
        }
        let object: Object<'_> = self.pdf.xref().get(ObjectIdentifier::new(number, 0)).ok_or(ENCRYPTED)?;
        merge(value, &object)
    }
}

/// Takes the strings of `object`, which hayro decrypted, into the same places of `value`.
fn merge<'a>(value: Value<'a>, object: &Object<'_>) -> Result<Value<'a>, Unreadable> {
    Ok(match (value, object) {
        (Value::String(_), Object::String(string)) => Value::String(Cow::Owned(string.as_bytes().to_vec())),
        (Value::String(_), _) => return Err(ENCRYPTED),
        (Value::Array(items), Object::Array(array)) => {
            let mut merged = Vec::with_capacity(items.len());
            let mut others = array.raw_iter();
            for item in items {
                merged.push(member(item, others.next())?);
            }
            Value::Array(merged)
        }
        (Value::Dict(dict), Object::Dict(_) | Object::Stream(_)) => {
            let other = match object {
                Object::Stream(stream) => stream.dict().clone(),
                Object::Dict(dict) => dict.clone(),
                _ => return Err(ENCRYPTED),
            };
            let mut merged = Vec::new();
            for (key, value) in dict.into_entries() {
                let other = other.get_raw::<Object<'_>>(key.as_ref());
                merged.push((key, member(value, other)?));
            }
            Value::Dict(Dict::new(merged)?)
        }
        (Value::Array(_) | Value::Dict(_), _) => return Err(ENCRYPTED),
        (plain, _) => plain,
    })
}

fn member<'a>(value: Value<'a>, other: Option<MaybeRef<Object<'_>>>) -> Result<Value<'a>, Unreadable> {
    match other {
        Some(MaybeRef::NotRef(object)) => merge(value, &object),
        Some(MaybeRef::Ref(_)) if matches!(value, Value::Reference(_)) => Ok(value),
        _ => Err(ENCRYPTED),
    }
}

/// The file's bytes, then a catalog without pages' content and a table of the plain objects only.
fn plain(file: &File<'_>) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = Vec::with_capacity(file.bytes.len() + 64 * file.objects.len() + 1024);
    bytes.extend_from_slice(file.bytes);
    let next = file.entries.keys().chain(file.objects.iter().map(|o| &o.number)).max().map_or(1, |n| n + 1);
    let mut offsets: Vec<(u32, usize)> = file.objects.iter().map(|o| (o.number, o.offset)).collect();
    let (catalog, pages, page) = (next, next + 1, next + 2);
    for (number, body) in [
        (catalog, format!("<< /Type /Catalog /Pages {pages} 0 R >>")),
        (pages, format!("<< /Type /Pages /Count 1 /Kids [{page} 0 R] >>")),
        (page, format!("<< /Type /Page /Parent {pages} 0 R >>")),
    ] {
        bytes.push(b'\n');
        offsets.push((number, bytes.len()));
        bytes.extend_from_slice(format!("{number} 0 obj\n{body}\nendobj\n").as_bytes());
    }
    let start = bytes.len();
    let mut table = String::from("xref\n0 1\n0000000000 65535 f \n");
    for (number, offset) in offsets {
        // A String takes any write.
        let _ = write!(table, "{number} 1\n{offset:010} 00000 n \n");
    }
    bytes.extend_from_slice(table.as_bytes());
    bytes.extend_from_slice(format!("trailer\n<< /Size {} /Root {catalog} 0 R /Encrypt ", next + 3).as_bytes());
    write_value(file.trailer.raw(b"Encrypt"), &mut bytes);
    if !file.trailer.raw(b"ID").is_null() {
        bytes.extend_from_slice(b" /ID ");
        write_value(file.trailer.raw(b"ID"), &mut bytes);
    }
    bytes.extend_from_slice(format!(" >>\nstartxref\n{start}\n%%EOF\n").as_bytes());
    // An encryption dictionary in an object stream could not be read before it is read.
    match file.trailer.raw(b"Encrypt") {
        Value::Reference(number) if !matches!(file.entries.get(number), Some(Entry::At(_))) => Err(ENCRYPTED),
        _ => Ok(bytes),
    }
}

fn write_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
        Value::Number(Number { value, .. }) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Reference(number) => out.extend_from_slice(format!("{number} 0 R").as_bytes()),
        Value::Name(name) => {
            out.push(b'/');
            out.extend(name.iter().flat_map(|b| format!("#{b:02x}").into_bytes()));
        }
        Value::String(string) => {
            out.push(b'<');
            out.extend(string.iter().flat_map(|b| format!("{b:02x}").into_bytes()));
            out.push(b'>');
        }
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                write_value(item, out);
                out.push(b' ');
            }
            out.push(b']');
        }
        Value::Dict(dict) => {
            out.extend_from_slice(b"<<");
            for (key, value) in dict.entries() {
                write_value(&Value::Name(Cow::Borrowed(key)), out);
                out.push(b' ');
                write_value(value, out);
                out.push(b' ');
            }
            out.extend_from_slice(b">>");
        }
    }
}
