//! Character maps embedded in a document: ToUnicode (ISO 32000-2, 9.10.3) and encodings (9.7.5.4). Two answers for one code are an error.

use super::Unreadable;
use super::budget::Budget;
use super::lex::{Lexer, Token};
use super::predefined::Predefined;

const MALFORMED: Unreadable = Unreadable("malformed_cmap");
const CONTRADICTING: Unreadable = Unreadable("contradicting_maps");

/// What a range of codes leads to.
#[derive(Debug, Clone, PartialEq)]
enum Target {
    /// The text of the first code; later ones raise its last UTF-16 unit.
    Text(Vec<u16>),
    /// The CID of the first code.
    Cid(u32),
}

#[derive(Debug, Clone, PartialEq)]
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
        let mut next = || lexer.next().map_err(|_| MALFORMED)?.ok_or(MALFORMED);
        loop {
            // What one entry costs to keep.
            budget.inflate(64)?;
            let (bytes, low) = match next()? {
                Token::Keyword(keyword) if keyword == end => return Ok(()),
                token => code(&token)?,
            };
            let (high_bytes, high) = if range { code(&next()?)? } else { (bytes, low) };
            if high < low || high_bytes != bytes {
                return Err(MALFORMED);
            }
            let bytes = if text { 0 } else { bytes };
            match next()? {
                Token::String(target) if text => {
                    self.ranges.push(Range { bytes, low, high, target: Target::Text(utf16(&target)?) });
                }
                Token::Number(target) if !text => {
                    let cid = target.unsigned().filter(|cid| *cid <= 0xffff).ok_or(MALFORMED)?;
                    self.ranges.push(Range { bytes, low, high, target: Target::Cid(cid) });
                }
                Token::ArrayOpen if text && range => {
                    for code in low..=high {
                        budget.inflate(64)?;
                        let Token::String(target) = next()? else { return Err(MALFORMED) };
                        let target = Target::Text(utf16(&target)?);
                        self.ranges.push(Range { bytes, low: code, high: code, target });
                    }
                    if next()? != Token::ArrayClose {
                        return Err(MALFORMED);
                    }
                }
                _ => return Err(MALFORMED),
            }
        }
    }

    fn codespace(&mut self, lexer: &mut Lexer<'_>) -> Result<(), Unreadable> {
        let mut next = || lexer.next().map_err(|_| MALFORMED)?.ok_or(MALFORMED);
        loop {
            let (bytes, low) = match next()? {
                Token::Keyword(b"endcodespacerange") => return Ok(()),
                token => code(&token)?,
            };
            let (high_bytes, high) = code(&next()?)?;
            if bytes != high_bytes || self.codespace.len() >= 64 {
                return Err(MALFORMED);
            }
            self.codespace.push((bytes, low, high));
        }
    }

    /// Sorts, and refuses overlapping ranges that disagree.
    fn settle(&mut self, budget: &Budget) -> Result<(), Unreadable> {
        self.ranges.sort_by_key(|r| (r.bytes, r.low, std::cmp::Reverse(r.high)));
        let mut settled: Vec<Range> = Vec::with_capacity(self.ranges.len());
        for range in std::mem::take(&mut self.ranges) {
            let Some(last) = settled.last().filter(|l| l.bytes == range.bytes && range.low <= l.high) else {
                settled.push(range);
                continue;
            };
            budget.compare((range.high - range.low) as usize + 1)?;
            // What is said twice must be said the same, and must not reach further.
            let agrees = range.high <= last.high && (range.low..=range.high).all(|c| range.at(c) == last.at(c));
            if !agrees {
                return Err(CONTRADICTING);
            }
        }
        self.ranges = settled;
        Ok(())
    }

    fn find(&self, code: u32, bytes: u8) -> Option<Target> {
        let after = self.ranges.partition_point(|r| (r.bytes, r.low) <= (bytes, code));
        let range = self.ranges.get(after.checked_sub(1)?)?;
        (range.bytes == bytes && code <= range.high).then(|| range.at(code)).flatten()
    }

    /// The Unicode text of a code.
    pub(super) fn text(&self, code: u32) -> Option<String> {
        match self.find(code, 0)? {
            Target::Text(units) => String::from_utf16(&units).ok(),
            Target::Cid(_) => None,
        }
    }

    /// The CID of a code of so many bytes.
    pub(super) fn cid(&self, code: u32, bytes: u8) -> Option<u32> {
        match self.find(code, bytes) {
            Some(Target::Cid(cid)) => Some(cid),
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

impl Range {
    fn at(&self, code: u32) -> Option<Target> {
        let offset = code.checked_sub(self.low)?;
        match &self.target {
            Target::Cid(cid) => cid.checked_add(offset).map(Target::Cid),
            Target::Text(units) if offset == 0 => Some(Target::Text(units.clone())),
            Target::Text(units) => {
                let mut units = units.clone();
                let last = units.last_mut()?;
                *last = last.checked_add(u16::try_from(offset).ok()?)?;
                Some(Target::Text(units))
            }
        }
    }
}

/// A code of one to four bytes.
fn code(token: &Token<'_>) -> Result<(u8, u32), Unreadable> {
    let Token::String(bytes) = token else { return Err(MALFORMED) };
    if bytes.is_empty() || bytes.len() > 4 {
        return Err(MALFORMED);
    }
    Ok((bytes.len() as u8, bytes.iter().fold(0, |code, b| code << 8 | u32::from(*b))))
}

fn utf16(bytes: &[u8]) -> Result<Vec<u16>, Unreadable> {
    match bytes {
        // Some producers write one byte for ASCII.
        [byte] => Ok(vec![u16::from(*byte)]),
        _ if bytes.len().is_multiple_of(2) && bytes.len() <= 512 => {
            Ok(bytes.chunks_exact(2).map(|b| b.iter().fold(0, |unit, b| unit << 8 | u16::from(*b))).collect())
        }
        _ => Err(MALFORMED),
    }
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
