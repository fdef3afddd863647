//! Character maps embedded in a document: ToUnicode (ISO 32000-2, 9.10.3) and encodings (9.7.5.4). Two answers for one code are an error.

use super::Unreadable;
use super::budget::Budget;
use super::glyph_text::GlyphText;
use super::lex::{Lexer, Token};
use super::predefined::Predefined;

const MALFORMED: Unreadable = Unreadable("malformed_cmap");
const CONTRADICTING: Unreadable = Unreadable("contradicting_maps");

/// What a range of codes leads to.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// The text of the first code, a stretch of the map's UTF-16 units; later codes raise its last one.
    Text { start: u32, units: u16 },
    /// The CID of the first code.
    Cid(u32),
}

#[derive(Debug, Clone, Copy)]
struct Range {
    /// Bytes per code; 0 for ToUnicode, where producers disagree.
    bytes: u8,
    low: u32,
    high: u32,
    target: Target,
}

/// A parsed map.
#[derive(Default)]
pub(super) struct CharacterMap {
    ranges: Vec<Range>,
    /// All texts, one after the other.
    units: Vec<u16>,
    codespace: Vec<(u8, u32, u32)>,
    base: Option<&'static Predefined>,
    /// The name it gives itself.
    pub(super) name: Vec<u8>,
    pub(super) vertical: bool,
}

impl CharacterMap {
    pub(super) fn parse(data: &[u8], budget: &Budget) -> Result<Self, Unreadable> {
        let mut map = Self::default();
        let mut lexer = Lexer::new(data, 0);
        let mut before: [Option<Token<'_>>; 2] = [None, None];
        loop {
            // `%%EOF` ends a resource (Technical Note 5099).
            lexer.skip_blank();
            if lexer.rest().starts_with(b"%%EOF") {
                break;
            }
            let Some(token) = lexer.next().map_err(|_| MALFORMED)? else { break };
            if let Token::Keyword(keyword) = token {
                match keyword {
                    b"beginbfchar" => map.entries(&mut lexer, b"endbfchar", false, budget)?,
                    b"beginbfrange" => map.entries(&mut lexer, b"endbfrange", true, budget)?,
                    b"begincidchar" => map.entries(&mut lexer, b"endcidchar", false, budget)?,
                    b"begincidrange" => map.entries(&mut lexer, b"endcidrange", true, budget)?,
                    b"beginnotdefchar" => Self::skip_to(&mut lexer, b"endnotdefchar")?,
                    b"beginnotdefrange" => Self::skip_to(&mut lexer, b"endnotdefrange")?,
                    b"begincodespacerange" => map.codespace(&mut lexer)?,
                    b"usecmap" => match &before {
                        [_, Some(Token::Name(name))] => map.base = Some(Predefined::named(name)?),
                        _ => return Err(MALFORMED),
                    },
                    b"def" => match &before {
                        [Some(Token::Name(key)), Some(Token::Name(value))] if key.as_ref() == b"CMapName" => {
                            map.name = value.to_vec();
                        }
                        [Some(Token::Name(key)), Some(Token::Number(mode))] if key.as_ref() == b"WMode" => {
                            map.vertical = mode.value != 0.0;
                        }
                        _ => {}
                    },
                    _ => {}
                }
            }
            let [_, last] = before;
            before = [last, Some(token)];
        }
        map.settle(budget)?;
        Ok(map)
    }

    fn skip_to(lexer: &mut Lexer<'_>, end: &[u8]) -> Result<(), Unreadable> {
        while lexer.next().map_err(|_| MALFORMED)?.ok_or(MALFORMED)? != Token::Keyword(end) {}
        Ok(())
    }

    /// Lines of `code target` or `low high target` up to `end`.
    fn entries(&mut self, lexer: &mut Lexer<'_>, end: &[u8], range: bool, budget: &Budget) -> Result<(), Unreadable> {
        let text = end.starts_with(b"endbf");
        loop {
            // What one entry costs to keep.
            budget.inflate(64)?;
            let (bytes, low) = match lexer.short_code() {
                Some(code) => code,
                None => match next(lexer)? {
                    Token::Keyword(keyword) if keyword == end => return Ok(()),
                    token => code(&token)?,
                },
            };
            let (high_bytes, high) = match range.then(|| lexer.short_code()) {
                None => (bytes, low),
                Some(Some(code)) => code,
                Some(None) => code(&next(lexer)?)?,
            };
            if high < low || high_bytes != bytes {
                return Err(MALFORMED);
            }
            let bytes = if text { 0 } else { bytes };
            if text && let Some(target) = lexer.short_code() {
                let target = self.short_text(target)?;
                self.ranges.push(Range { bytes, low, high, target });
                continue;
            }
            match next(lexer)? {
                Token::String(target) if text => {
                    let target = self.text_of(&target)?;
                    self.ranges.push(Range { bytes, low, high, target });
                }
                Token::Number(target) if !text => {
                    let cid = target.unsigned().filter(|cid| *cid <= 0xffff).ok_or(MALFORMED)?;
                    self.ranges.push(Range { bytes, low, high, target: Target::Cid(cid) });
                }
                Token::ArrayOpen if text && range => {
                    for code in low..=high {
                        budget.inflate(64)?;
                        let target = match lexer.short_code() {
                            Some(target) => self.short_text(target)?,
                            None => {
                                let Token::String(target) = next(lexer)? else { return Err(MALFORMED) };
                                self.text_of(&target)?
                            }
                        };
                        self.ranges.push(Range { bytes, low: code, high: code, target });
                    }
                    if next(lexer)? != Token::ArrayClose {
                        return Err(MALFORMED);
                    }
                }
                _ => return Err(MALFORMED),
            }
        }
    }

    fn codespace(&mut self, lexer: &mut Lexer<'_>) -> Result<(), Unreadable> {
        loop {
            let (bytes, low) = match next(lexer)? {
                Token::Keyword(b"endcodespacerange") => return Ok(()),
                token => code(&token)?,
            };
            let (high_bytes, high) = code(&next(lexer)?)?;
            if bytes != high_bytes || self.codespace.len() >= 64 {
                return Err(MALFORMED);
            }
            self.codespace.push((bytes, low, high));
        }
    }

    /// Sorts, and refuses overlapping ranges that disagree.
    fn settle(&mut self, budget: &Budget) -> Result<(), Unreadable> {
        self.ranges.sort_by_key(|r| (r.bytes, r.low, std::cmp::Reverse(r.high)));
        let apart = |a: &Range, b: &Range| a.bytes != b.bytes || a.high < b.low;
        if self.ranges.is_sorted_by(apart) {
            return Ok(());
        }
        let mut settled: Vec<Range> = Vec::with_capacity(self.ranges.len());
        for range in std::mem::take(&mut self.ranges) {
            let Some(last) = settled.last().filter(|l| l.bytes == range.bytes && range.low <= l.high) else {
                settled.push(range);
                continue;
            };
            budget.compare((range.high - range.low) as usize + 1)?;
            // What is said twice must be said the same, and must not reach further.
            let agrees =
                range.high <= last.high && (range.low..=range.high).all(|c| self.at(&range, c) == self.at(last, c));
            if !agrees {
                return Err(CONTRADICTING);
            }
        }
        self.ranges = settled;
        Ok(())
    }

    /// What the range of a code says of it.
    fn find(&self, code: u32, bytes: u8) -> Option<Found<'_>> {
        let after = self.ranges.partition_point(|r| (r.bytes, r.low) <= (bytes, code));
        let range = self.ranges.get(after.checked_sub(1)?)?;
        (range.bytes == bytes && code <= range.high).then(|| self.at(range, code)).flatten()
    }

    fn at(&self, range: &Range, code: u32) -> Option<Found<'_>> {
        let offset = code.checked_sub(range.low)?;
        match range.target {
            Target::Cid(cid) => cid.checked_add(offset).map(Found::Cid),
            Target::Text { start, units } => {
                let start = start as usize;
                let text = self.units.get(start..start + usize::from(units))?;
                match text.split_last() {
                    None => (offset == 0).then_some(Found::Text(text, None)),
                    Some((last, before)) => {
                        let last = last.checked_add(u16::try_from(offset).ok()?)?;
                        Some(Found::Text(before, Some(last)))
                    }
                }
            }
        }
    }

    /// Keeps the text of a string.
    fn text_of(&mut self, bytes: &[u8]) -> Result<Target, Unreadable> {
        let start = self.units.len();
        match bytes {
            // Some producers write one byte for ASCII.
            [byte] => self.units.push(u16::from(*byte)),
            _ if bytes.len().is_multiple_of(2) && bytes.len() <= 512 => {
                self.units.extend(bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)));
            }
            _ => return Err(MALFORMED),
        }
        let units = (self.units.len() - start) as u16;
        u32::try_from(start).map(|start| Target::Text { start, units }).map_err(|_| MALFORMED)
    }

    /// Keeps the text of a string of one to four bytes.
    fn short_text(&mut self, (bytes, value): (u8, u32)) -> Result<Target, Unreadable> {
        let [.., a, b, c, d] = value.to_be_bytes();
        match bytes {
            1 => self.text_of(&[d]),
            2 => self.text_of(&[c, d]),
            4 => self.text_of(&[a, b, c, d]),
            _ => Err(MALFORMED),
        }
    }

    /// The Unicode text of a code.
    pub(super) fn text(&self, code: u32) -> Option<GlyphText> {
        match self.find(code, 0)? {
            Found::Text([], Some(unit)) => GlyphText::from_utf16(&[unit]),
            Found::Text(before, last) => {
                let units: Vec<u16> = before.iter().copied().chain(last).collect();
                GlyphText::from_utf16(&units)
            }
            Found::Cid(_) => None,
        }
    }

    /// The CID of a code of so many bytes.
    pub(super) fn cid(&self, code: u32, bytes: u8) -> Option<u32> {
        match self.find(code, bytes) {
            Some(Found::Cid(cid)) => Some(cid),
            _ => self.base?.cid(code, bytes),
        }
    }

    /// The length of the first code of `text` by the codespace ranges (9.7.6.3); `None` if it is in none.
    pub(super) fn code_length(&self, text: &[u8]) -> Option<usize> {
        let own = (1..=4u8).find(|&length| {
            let Some(code) = text.get(..usize::from(length)) else { return false };
            let fits = |low: u32, high: u32| {
                let bytes = |v: u32| v.to_be_bytes().into_iter().skip(4 - usize::from(length));
                code.iter().zip(bytes(low).zip(bytes(high))).all(|(b, (l, h))| (l..=h).contains(b))
            };
            self.codespace.iter().any(|&(bytes, low, high)| bytes == length && fits(low, high))
        });
        own.map(usize::from).or_else(|| self.base.map(|base| base.codes.length(text)))
    }
}

/// What a map says of one code.
#[derive(PartialEq)]
enum Found<'m> {
    /// UTF-16 units, the last one apart.
    Text(&'m [u16], Option<u16>),
    Cid(u32),
}

fn next<'a>(lexer: &mut Lexer<'a>) -> Result<Token<'a>, Unreadable> {
    lexer.next().map_err(|_| MALFORMED)?.ok_or(MALFORMED)
}

/// A code of one to four bytes.
fn code(token: &Token<'_>) -> Result<(u8, u32), Unreadable> {
    let Token::String(bytes) = token else { return Err(MALFORMED) };
    if bytes.is_empty() || bytes.len() > 4 {
        return Err(MALFORMED);
    }
    Ok((bytes.len() as u8, bytes.iter().fold(0, |code, b| code << 8 | u32::from(*b))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Limits;

    fn parse(text: &str) -> Result<CharacterMap, Unreadable> {
        CharacterMap::parse(text.as_bytes(), &Budget::new(&Limits::default()))
    }

    #[test]
    fn ranges_arrays_and_surrogates_are_read() {
        let map = parse(
            "1 beginbfrange <10> <12> <4E00> endbfrange 1 beginbfrange <20> <21> [<0041> <00420043>] endbfrange
             1 beginbfchar <30> <D842DFB7> endbfchar",
        )
        .unwrap();
        let texts = [0x12, 0x20, 0x21, 0x30, 0x13].map(|code| map.text(code));
        assert_eq!(texts, [Some("丂".into()), Some("A".into()), Some("BC".into()), Some("𠮷".into()), None]);
    }

    #[test]
    fn two_texts_for_one_code_are_refused() {
        let same = "2 beginbfchar <01> <0041> <01> <0041> endbfchar";
        let different = "2 beginbfchar <01> <0041> <01> <0042> endbfchar";
        assert!(parse(same).is_ok());
        assert_eq!(parse(different).err(), Some(CONTRADICTING));
    }
}
