//! What hyper lets through and we do not: bytes of a request that two readers could frame differently.
//!
//! Follows HTTP/1 framing beside the parser. At the first ambiguity it stops passing bytes on; it never repairs any.

/// Why a request was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambiguous {
    /// A line ended without a carriage return, or a carriage return without a line end.
    BareLineEnd,
    /// A header line continued on the next.
    FoldedHeader,
    /// Length said twice, or both by length and by chunks, or in a coding that is not plain `chunked`.
    Length,
    /// A header line that is none: no name, white space before the colon, or a control character.
    Header,
    /// Chunk sizes or their line ends that cannot be followed.
    Chunk,
    /// A head longer than allowed.
    TooLong,
}

/// Where in a request the next byte belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Head,
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailer,
}

/// Follows the requests of one HTTP/1 connection.
pub struct Framing {
    at: At,
    /// The current head, chunk size line or trailer line, so far.
    line: Vec<u8>,
    head_len: usize,
    max_head_bytes: usize,
    length: Option<u64>,
    chunked: bool,
    request_line_seen: bool,
}

/// The longest chunk size line; extensions are not worth more.
const MAX_CHUNK_LINE: usize = 64;

impl Framing {
    /// At the beginning of a connection.
    pub fn new(max_head_bytes: usize) -> Self {
        Self {
            at: At::Head,
            line: Vec::new(),
            head_len: 0,
            max_head_bytes,
            length: None,
            chunked: false,
            request_line_seen: false,
        }
    }

    /// Follows `bytes` and says how many of them are beyond doubt; fewer than all means the rest must not be passed on.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<(), Ambiguous> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.at {
                At::Body(left) | At::ChunkData(left) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    let left = left - taken as u64;
                    self.at = match (self.at, left) {
                        (At::Body(_), 0) => At::Head,
                        (At::Body(_), left) => At::Body(left),
                        (_, 0) => At::ChunkEnd,
                        (_, left) => At::ChunkData(left),
                    };
                    rest.get(taken..).unwrap_or_default()
                }
                At::Head | At::ChunkSize | At::ChunkEnd | At::Trailer => self.line(rest)?,
            };
        }
        Ok(())
    }

    /// Takes bytes up to the next line end; returns what follows.
    fn line<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Ambiguous> {
        let end = bytes.iter().position(|b| *b == b'\n');
        let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
        self.head_len += part.len();
        if self.head_len > self.max_head_bytes {
            return Err(Ambiguous::TooLong);
        }
        // The usual case, a whole line in one read, is looked at where it stands.
        if end.is_some() && self.line.is_empty() {
            self.whole_line(part)?;
            return Ok(rest);
        }
        self.line.extend_from_slice(part);
        if end.is_some() {
            let line = std::mem::take(&mut self.line);
            self.whole_line(&line)?;
        }
        Ok(rest)
    }

    fn whole_line(&mut self, line: &[u8]) -> Result<(), Ambiguous> {
        let Some(text) = line.strip_suffix(b"\r\n") else { return Err(Ambiguous::BareLineEnd) };
        if text.iter().any(|b| *b == b'\r' || *b == 0) {
            return Err(Ambiguous::BareLineEnd);
        }
        match self.at {
            At::Head => self.head_line(text),
            At::ChunkSize => {
                let size = chunk_size(text)?;
                self.at = if size == 0 { At::Trailer } else { At::ChunkData(size) };
                Ok(())
            }
            At::ChunkEnd if text.is_empty() => {
                self.at = At::ChunkSize;
                self.head_len = 0;
                Ok(())
            }
            At::ChunkEnd => Err(Ambiguous::Chunk),
            At::Trailer if text.is_empty() => {
                self.next_request();
                Ok(())
            }
            At::Trailer => header(text).map(|_| ()),
            At::Body(_) | At::ChunkData(_) => Ok(()),
        }
    }

    fn head_line(&mut self, text: &[u8]) -> Result<(), Ambiguous> {
        if !self.request_line_seen {
            // RFC 9112 2.2: empty lines before a request line are ignored.
            self.request_line_seen = !text.is_empty();
            return Ok(());
        }
        if text.is_empty() {
            let (length, chunked) = (self.length, self.chunked);
            self.next_request();
            self.at = match (length, chunked) {
                (Some(_), true) => return Err(Ambiguous::Length),
                (Some(0) | None, false) => At::Head,
                (Some(length), false) => At::Body(length),
                (None, true) => At::ChunkSize,
            };
            return Ok(());
        }
        let (name, value) = header(text)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            let digits =
                std::str::from_utf8(value).ok().filter(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit()));
            let length = digits.and_then(|v| v.parse().ok()).ok_or(Ambiguous::Length)?;
            if self.length.replace(length).is_some() {
                return Err(Ambiguous::Length);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Ambiguous::Length);
            }
            self.chunked = true;
        }
        Ok(())
    }

    fn next_request(&mut self) {
        self.at = At::Head;
        self.head_len = 0;
        self.length = None;
        self.chunked = false;
        self.request_line_seen = false;
    }
}

/// A header line's name and trimmed value.
fn header(text: &[u8]) -> Result<(&[u8], &[u8]), Ambiguous> {
    if matches!(text.first(), Some(b' ' | b'\t')) {
        return Err(Ambiguous::FoldedHeader);
    }
    let colon = text.iter().position(|b| *b == b':').ok_or(Ambiguous::Header)?;
    let (name, value) = text.split_at(colon);
    let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    if name.is_empty() || !name.iter().all(token) {
        return Err(Ambiguous::Header);
    }
    let value = value.get(1..).unwrap_or_default().trim_ascii();
    if value.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
        return Err(Ambiguous::Header);
    }
    Ok((name, value))
}

fn chunk_size(text: &[u8]) -> Result<u64, Ambiguous> {
    let digits = text.split(|b| *b == b';').next().unwrap_or_default();
    let digits = std::str::from_utf8(digits).map_err(|_| Ambiguous::Chunk)?;
    let plain = !digits.is_empty() && digits.len() <= 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if !plain || text.len() > MAX_CHUNK_LINE {
        return Err(Ambiguous::Chunk);
    }
    u64::from_str_radix(digits, 16).map_err(|_| Ambiguous::Chunk)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn follow(text: &[u8]) -> Result<(), Ambiguous> {
        Framing::new(4096).follow(text)
    }

    #[test]
    fn plain_requests_one_after_another_pass_however_they_are_cut() {
        let text = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n1\n2\r3GET /b HTTP/1.1\r\nHost: x\r\n\r\n\
                     POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nab\ncd\r\n0\r\nTrail: 1\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        for cut in 0..text.len() {
            let mut framing = Framing::new(4096);
            let (a, b) = text.split_at(cut);
            assert_eq!(framing.follow(a).and_then(|()| framing.follow(b)), Ok(()), "cut at {cut}");
            assert_eq!(framing.at, At::Head);
        }
    }

    #[test]
    fn what_two_readers_could_frame_differently_is_stopped() {
        let head = |lines: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        for (lines, why) in [
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Ambiguous::Length),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Ambiguous::Length),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Ambiguous::Length),
            ("Content-Length: 5, 5\r\n", Ambiguous::Length),
            ("Content-Length: +5\r\n", Ambiguous::Length),
            ("Content-Length: 0x5\r\n", Ambiguous::Length),
            ("Transfer-Encoding: gzip, chunked\r\n", Ambiguous::Length),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Ambiguous::Length),
            ("Transfer-Encoding: \x0bchunked\r\n", Ambiguous::Header),
            ("X: a\r\n b\r\n", Ambiguous::FoldedHeader),
            ("X: a\n", Ambiguous::BareLineEnd),
            ("X: a\rY: b\r\n", Ambiguous::BareLineEnd),
            ("Content-Length : 5\r\n", Ambiguous::Header),
            (": 5\r\n", Ambiguous::Header),
            ("no colon\r\n", Ambiguous::Header),
        ] {
            assert_eq!(follow(head(lines).as_bytes()), Err(why), "{lines:?}");
        }
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (body, why) in [
            ("5\nabcde\r\n", Ambiguous::BareLineEnd),
            ("5\r\nabcdeX\r\n", Ambiguous::Chunk),
            ("-5\r\n", Ambiguous::Chunk),
            ("fffffffff\r\n", Ambiguous::Chunk),
            ("\r\n", Ambiguous::Chunk),
        ] {
            assert_eq!(follow(format!("{chunked}{body}").as_bytes()), Err(why), "{body:?}");
        }
        assert_eq!(
            follow(format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(5000)).as_bytes()),
            Err(Ambiguous::TooLong)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_one_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..300) {
            let cut = cut.min(bytes.len());
            let mut framing = Framing::new(4096);
            let (a, b) = bytes.split_at(cut);
            let pieces = framing.follow(a).and_then(|()| framing.follow(b));
            prop_assert_eq!(pieces, follow(&bytes));
        }
    }
}
