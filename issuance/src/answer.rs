//! A backend's answer as plain values: what the checks read. No HTTP types here.

/// The head and body of one answer, borrowed.
#[derive(Clone, Copy)]
pub struct AnswerView<'a> {
    /// The status code.
    pub status: u16,
    /// Header fields in order, names in lower case.
    pub headers: &'a [(String, Vec<u8>)],
    /// The whole body.
    pub body: &'a [u8],
    /// Bytes came after the declared end, or an informational response came first.
    pub framing_surprise: bool,
}

impl AnswerView<'_> {
    /// The one value of a header; `None` when absent, repeated or not UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        match (values.next(), values.next()) {
            (Some((_, value)), None) => std::str::from_utf8(value).ok(),
            _ => None,
        }
    }
}
