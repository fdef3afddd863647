//! Tokens of PDF files, content streams and character maps (ISO 32000-2, 7.2). Strict: what is not a token is an error, never skipped.

use std::borrow::Cow;

use super::Unreadable;

/// A reading position over borrowed bytes.
#[derive(Clone, Copy)]
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    Number(Number),
    Name(Cow<'a, [u8]>),
    String(Cow<'a, [u8]>),
    ArrayOpen,
    ArrayClose,
    DictOpen,
    DictClose,
    Keyword(&'a [u8]),
}

/// A number; `integer` when it was written without a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number {
    pub(super) value: f64,
    pub(super) integer: bool,
}

impl Number {
    /// The value as an unsigned integer; `None` for anything else.
    pub(super) fn unsigned(self) -> Option<u32> {
        (self.integer && (0.0..=f64::from(u32::MAX)).contains(&self.value)).then_some(self.value as u32)
    }
}

const MALFORMED: Unreadable = Unreadable("malformed");

/// Powers of ten; whole numbers of as many digits are exact too.
const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

const REGULAR: u8 = 0;
const WHITE: u8 = 1;
const DELIMITER: u8 = 2;

/// White space, delimiter or regular, by byte.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses an index out of bounds")]
const CLASS: [u8; 256] = {
    let mut class = [REGULAR; 256];
    let (white, delimiters) = (b"\0\t\n\x0c\r ", b"()<>[]{}/%");
    let mut i = 0;
    while i < white.len() {
        class[white[i] as usize] = WHITE;
        i += 1;
    }
    i = 0;
    while i < delimiters.len() {
        class[delimiters[i] as usize] = DELIMITER;
        i += 1;
    }
    class
};

/// Not the value of any digit.
const NO_DIGIT: u8 = 0xff;

/// The value of each hexadecimal digit.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses an index out of bounds")]
const HEX: [u8; 256] = {
    let mut hex = [NO_DIGIT; 256];
    let mut i = 0;
    while i < 16 {
        hex[b"0123456789abcdef"[i] as usize] = i as u8;
        hex[b"0123456789ABCDEF"[i] as usize] = i as u8;
        i += 1;
    }
    hex
};

/// White space of PDF.
pub(super) fn is_white(byte: u8) -> bool {
    class(byte) == WHITE
}

fn is_regular(byte: u8) -> bool {
    class(byte) == REGULAR
}

fn class(byte: u8) -> u8 {
    CLASS.get(usize::from(byte)).copied().unwrap_or(REGULAR)
}

fn hex_value(byte: u8) -> Option<u8> {
    HEX.get(usize::from(byte)).copied().filter(|value| *value != NO_DIGIT)
}

/// The bytes of an even number of hexadecimal digits without anything between them.
fn hex_pairs(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(pairs.len());
    let mut wrong = 0;
    for [high, low] in pairs {
        let [high, low] = [high, low].map(|digit| HEX.get(usize::from(*digit)).copied().unwrap_or(NO_DIGIT));
        wrong |= high | low;
        bytes.push(high << 4 | low & 0xf);
    }
    // Only what is no digit has a high bit.
    (wrong & 0xf0 == 0).then_some(bytes)
}

impl<'a> Lexer<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at: at.min(bytes.len()) }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Moves forward; stops at the end.
    pub(super) fn advance(&mut self, by: usize) {
        self.at = self.at.saturating_add(by).min(self.bytes.len());
    }

    /// Takes exactly these bytes, or nothing.
    pub(super) fn take_tag(&mut self, tag: &[u8]) -> bool {
        let found = self.rest().starts_with(tag);
        if found {
            self.at += tag.len();
        }
        found
    }

    pub(super) fn skip_white(&mut self) {
        while self.peek().is_some_and(is_white) {
            self.at += 1;
        }
    }

    /// Skips white space and comments; `%%EOF` is not a comment here, since what follows it matters.
    pub(super) fn skip_blank(&mut self) {
        loop {
            self.skip_white();
            if self.peek() != Some(b'%') || self.rest().starts_with(b"%%EOF") {
                return;
            }
            while self.peek().is_some_and(|b| b != b'\r' && b != b'\n') {
                self.at += 1;
            }
        }
    }

    /// The next token; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Token<'a>>, Unreadable> {
        self.skip_blank();
        let Some(first) = self.peek() else { return Ok(None) };
        let token = match first {
            b'0'..=b'9' | b'+' | b'-' | b'.' => Token::Number(self.number()?),
            b'/' => self.name()?,
            b'(' => self.literal()?,
            b'<' if self.take_tag(b"<<") => Token::DictOpen,
            b'<' => self.hexadecimal()?,
            b'>' if self.take_tag(b">>") => Token::DictClose,
            b'[' | b']' => {
                self.at += 1;
                if first == b'[' { Token::ArrayOpen } else { Token::ArrayClose }
            }
            _ if is_regular(first) => Token::Keyword(self.regular()),
            _ => return Err(MALFORMED),
        };
        Ok(Some(token))
    }

    /// The next token where it is a string of one to four bytes written as pairs of hexadecimal digits: how many bytes, and their
    /// value. `None`, and nothing taken, where it is anything else.
    pub(super) fn short_code(&mut self) -> Option<(u8, u32)> {
        self.skip_blank();
        let [b'<', rest @ ..] = self.rest() else { return None };
        let mut value = 0u32;
        for (digits, &byte) in rest.iter().take(9).enumerate() {
            match hex_value(byte) {
                Some(digit) if digits < 8 => value = value << 4 | u32::from(digit),
                None if byte == b'>' && digits > 0 && digits.is_multiple_of(2) => {
                    self.at += digits + 2;
                    return Some((digits as u8 / 2, value));
                }
                _ => return None,
            }
        }
        None
    }

    fn regular(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|b| !is_regular(*b)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Most numbers are short: a sign, digits, perhaps a point. All others take the long way to the same value.
    fn number(&mut self) -> Result<Number, Unreadable> {
        let rest = self.rest();
        let (negative, signed) = match rest.first() {
            Some(b'-') => (true, 1),
            Some(b'+') => (false, 1),
            _ => (false, 0),
        };
        let (mut mantissa, mut digits, mut decimals, mut point) = (0u64, 0usize, 0usize, false);
        let mut end = rest.len();
        for (at, &byte) in rest.iter().enumerate().skip(signed) {
            match byte {
                b'0'..=b'9' => {
                    mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                    digits += 1;
                    decimals += usize::from(point);
                }
                b'.' if !point => point = true,
                _ if is_regular(byte) => return Err(MALFORMED),
                _ => {
                    end = at;
                    break;
                }
            }
        }
        // Up to here every step is exact; and a mantissa of this length has not wrapped.
        let Some(scale) = POWERS.get(decimals).filter(|_| (1..POWERS.len()).contains(&digits)) else {
            return self.long_number();
        };
        self.at += end;
        let value = mantissa as f64 / scale;
        Ok(Number { value: if negative { -value } else { value }, integer: !point })
    }

    fn long_number(&mut self) -> Result<Number, Unreadable> {
        let text = self.regular();
        let (negative, digits) = match text {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] => (false, digits),
            digits => (false, digits),
        };
        let (mut mantissa, mut scale, mut point, mut seen) = (0.0f64, 1.0f64, false, false);
        for &byte in digits {
            match byte {
                b'0'..=b'9' => {
                    seen = true;
                    mantissa = mantissa * 10.0 + f64::from(byte - b'0');
                    if point {
                        scale *= 10.0;
                    }
                }
                b'.' if !point => point = true,
                _ => return Err(MALFORMED),
            }
        }
        // Longer ones lose precision or overflow; no producer writes them.
        if !seen || digits.len() > 32 {
            return Err(MALFORMED);
        }
        let value = mantissa / scale;
        Ok(Number { value: if negative { -value } else { value }, integer: !point })
    }

    fn name(&mut self) -> Result<Token<'a>, Unreadable> {
        self.at += 1;
        let raw = self.regular();
        if !raw.contains(&b'#') {
            return Ok(Token::Name(Cow::Borrowed(raw)));
        }
        let mut name = Vec::with_capacity(raw.len());
        let mut bytes = raw.iter().copied();
        while let Some(byte) = bytes.next() {
            if byte == b'#' {
                let (high, low) = (bytes.next().and_then(hex_value), bytes.next().and_then(hex_value));
                name.push(high.zip(low).map(|(h, l)| h << 4 | l).ok_or(MALFORMED)?);
            } else {
                name.push(byte);
            }
        }
        Ok(Token::Name(Cow::Owned(name)))
    }

    fn literal(&mut self) -> Result<Token<'a>, Unreadable> {
        self.at += 1;
        let rest = self.rest();
        // The usual string has no escape, no parenthesis and no line end, and is borrowed.
        if let Some(end) = rest.iter().position(|b| matches!(b, b'\\' | b'(' | b')' | b'\r'))
            && rest.get(end) == Some(&b')')
        {
            self.at += end + 1;
            return Ok(Token::String(Cow::Borrowed(rest.get(..end).unwrap_or_default())));
        }
        let mut text = Vec::new();
        let mut depth = 1usize;
        loop {
            let byte = self.peek().ok_or(MALFORMED)?;
            self.at += 1;
            match byte {
                b'(' => depth += 1,
                b')' if depth == 1 => return Ok(Token::String(Cow::Owned(text))),
                b')' => depth -= 1,
                b'\\' => {
                    self.escape(&mut text)?;
                    continue;
                }
                b'\r' => {
                    self.take_tag(b"\n");
                    text.push(b'\n');
                    continue;
                }
                _ => {}
            }
            text.push(byte);
        }
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), Unreadable> {
        let byte = self.peek().ok_or(MALFORMED)?;
        self.at += 1;
        match byte {
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'\n' => {}
            b'\r' => {
                self.take_tag(b"\n");
            }
            b'0'..=b'7' => {
                let mut value = u16::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.peek() else { break };
                    value = value * 8 + u16::from(digit - b'0');
                    self.at += 1;
                }
                text.push((value & 0xff) as u8);
            }
            other => text.push(other),
        }
        Ok(())
    }

    fn hexadecimal(&mut self) -> Result<Token<'a>, Unreadable> {
        self.at += 1;
        let rest = self.rest();
        // The usual string has nothing but pairs of digits.
        if let Some(end) = memchr::memchr(b'>', rest)
            && let Some(text) = rest.get(..end).and_then(hex_pairs)
        {
            self.at += end + 1;
            return Ok(Token::String(Cow::Owned(text)));
        }
        let mut text = Vec::new();
        let mut high = None;
        loop {
            let byte = self.peek().ok_or(MALFORMED)?;
            self.at += 1;
            if byte == b'>' {
                break;
            }
            if is_white(byte) {
                continue;
            }
            let value = hex_value(byte).ok_or(MALFORMED)?;
            match high.take() {
                None => high = Some(value),
                Some(high) => text.push(high << 4 | value),
            }
        }
        if let Some(high) = high {
            text.push(high << 4);
        }
        Ok(Token::String(Cow::Owned(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &[u8]) -> Result<Vec<Token<'_>>, Unreadable> {
        let mut lexer = Lexer::new(text, 0);
        std::iter::from_fn(|| lexer.next().transpose()).collect()
    }

    #[test]
    fn strings_names_and_numbers_are_unescaped() {
        let string = |text: &'static [u8]| Token::String(Cow::Borrowed(text));
        assert_eq!(tokens(b"(a\\(b\\)\\101\\\n(c))").unwrap(), [string(b"a(b)A(c)")]);
        assert_eq!(tokens(b"<4 1 4>").unwrap(), [string(b"A@")]);
        assert_eq!(tokens(b"/A#42 % note\n").unwrap(), [Token::Name(Cow::Borrowed(b"AB"))]);
        assert_eq!(tokens(b"-.5").unwrap(), [Token::Number(Number { value: -0.5, integer: false })]);
    }

    #[test]
    fn no_token_is_guessed() {
        for text in [&b"1-2"[..], b"--1", b"1e5", b"(open", b"<4G>", b"/A#4", b"{", b")", b"> "] {
            assert_eq!(tokens(text), Err(MALFORMED), "{}", String::from_utf8_lossy(text));
        }
    }
}
