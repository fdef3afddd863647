//! Forms in EUC-JP as such products write and read them: leniently. Shares nothing with the reader that it is there to test.

use bytes::Bytes;
use encoding_rs::EUC_JP;

/// The content type of what is sent.
pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; charset=EUC-JP";

/// Fields in order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// These.
    pub fn of<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// One more, unless it is empty.
    pub fn and(mut self, name: &str, value: &str) -> Self {
        if !value.is_empty() {
            self.0.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// The first value of that name; empty where there is none.
    pub fn say(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// On the wire. A character that EUC-JP has no code for is written by its number, as browsers do.
    pub fn write(&self) -> Bytes {
        let pairs: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
        Bytes::from(pairs.join("&"))
    }
}

/// Reads a form; whatever cannot be read is left out.
pub fn read(bytes: &[u8]) -> Fields {
    let pairs = bytes.split(|b| *b == b'&').filter_map(|pair| {
        let at = pair.iter().position(|b| *b == b'=')?;
        Some((unescaped(pair.get(..at)?), unescaped(pair.get(at + 1..)?)))
    });
    Fields(pairs.collect())
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in EUC_JP.encode(text).0.iter() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => out.push(char::from(*byte)),
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn unescaped(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|b| char::from(*b).to_digit(16)).unwrap_or(0);
                let (high, low) = (digit(), digit());
                (high * 16 + low) as u8
            }
            byte => *byte,
        });
    }
    EUC_JP.decode(&out).0.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let fields = Fields::of([("number", "1"), ("address", "見本市 1丁目&2=番+3%")]).and("none", "");
        assert_eq!(read(&fields.write()), fields);
        assert_eq!(fields.write().iter().filter(|b| **b == b'&').count(), 1);
        assert_eq!(read(b"broken&a=%4").say("a"), "@");
    }
}
