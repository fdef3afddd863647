//! `application/x-www-form-urlencoded` as strictly as a release needs it: each name once, nothing half encoded.

use super::Found;
use super::charset::Charset;
use std::borrow::Cow;

/// The longest form that is read.
pub const MAX_FORM_BYTES: usize = 8 << 20;
/// The most fields.
pub const MAX_FORM_FIELDS: usize = 1000;

/// Names with their values, in order. Personal data, hence no `Debug`.
pub struct Form(Vec<(String, String)>);

/// Reads one form: percent-decoded, then decoded from `charset`. A name that comes twice, a broken `%` sequence, an unencoded byte
/// beyond ASCII or a control character is refused: two readers of such a form may see two different things.
pub fn form(bytes: &[u8], charset: Charset) -> Result<Form, &'static str> {
    if bytes.len() > MAX_FORM_BYTES {
        return Err("form_too_large");
    }
    let mut fields: Vec<(String, String)> = Vec::new();
    for pair in bytes.split(|b| *b == b'&').filter(|_| !bytes.is_empty()) {
        let mut halves = pair.splitn(2, |b| *b == b'=');
        let (name, value) = (halves.next().unwrap_or_default(), halves.next().ok_or("form_malformed")?);
        let (name, value) = (text(name, charset)?, text(value, charset)?);
        if name.is_empty() {
            return Err("form_malformed");
        }
        if fields.len() >= MAX_FORM_FIELDS {
            return Err("form_too_many_fields");
        }
        fields.push((name, value));
    }
    unique(fields)
}

/// A form of these fields, if no name comes twice.
pub(super) fn unique(fields: Vec<(String, String)>) -> Result<Form, &'static str> {
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
        return Err("form_duplicate_name");
    }
    Ok(Form(fields))
}

fn text(encoded: &[u8], charset: Charset) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16)).ok_or("form_malformed");
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                (high * 16 + low) as u8
            }
            b'!'..=b'~' => *byte,
            _ => return Err("form_malformed"),
        });
    }
    let text = charset.decode(&bytes)?;
    // `;` and NUL separate fields for some readers; line ends are the only controls that a text field has.
    if text.chars().any(|c| c.is_control() && !matches!(c, '\r' | '\n' | '\t')) {
        return Err("form_control_character");
    }
    Ok(text.into_owned())
}

impl Form {
    /// The value of a field.
    pub fn find(&self, name: &str) -> Found<'_> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or(Found::Nothing, |(_, value)| Found::Plain(Cow::Borrowed(value)))
    }

    /// Every field.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, charset: Charset) -> Result<Vec<(String, String)>, &'static str> {
        form(text.as_bytes(), charset).map(|form| form.0)
    }

    #[test]
    fn a_form_is_percent_decoded_and_then_decoded_from_its_charset() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read("a=1&b=", Charset::Utf8), Ok(vec![pair("a", "1"), pair("b", "")]));
        assert_eq!(read("n=%95%5C+x%2B", Charset::ShiftJis), Ok(vec![pair("n", "表 x+")]));
        assert_eq!(read("n=%95\\", Charset::ShiftJis), Ok(vec![pair("n", "表")]), "a trail byte may stand unencoded");
        assert_eq!(read("", Charset::Utf8), Ok(vec![]));
    }

    #[test]
    fn what_two_readers_may_read_differently_is_refused() {
        assert_eq!(read("id=1&id=2", Charset::Utf8), Err("form_duplicate_name"));
        assert_eq!(read("id=1&%69d=2", Charset::Utf8), Err("form_duplicate_name"));
        for broken in ["id=%4", "id=%zz", "id=%+1", "id", "=1", "a=1&&b=2", "a=1&", "名=1", "a=1 2"] {
            assert_eq!(read(broken, Charset::Utf8), Err("form_malformed"), "{broken}");
        }
        assert_eq!(read("id=1%00", Charset::Utf8), Err("form_control_character"));
        assert_eq!(read("id=%95", Charset::ShiftJis), Err("charset_undecodable"));
        assert_eq!(read("id=%95%26id", Charset::ShiftJis), Err("charset_undecodable"));
    }
}
