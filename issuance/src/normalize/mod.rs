//! What clerks' systems vary, and nothing else, made equal. Ids are never touched.
//!
//! | made equal | so that | still told apart |
//! |---|---|---|
//! | width, compatibility forms (NFKC) | `ﾔﾏﾀﾞ` is `ヤマダ` | `ヤマダ` and `ヤマタ` |
//! | white space, ideographic too | `山田　太郎` is `山田太郎` | `AN NA` and `ANNA` |
//! | variation selectors | `葛󠄀` is `葛` | `葛` and `㓟` |
//! | a short table of glyph variants | `髙` is `高` | `斎` and `斉`, `渡辺` and `渡邊` |
//! | hyphens | `1‐2` is `1-2` | `1-2` and `12` |
//! | hiragana, in readings only | `やまだ` is `ヤマダ` | `キョウ` and `キヨウ`; names `みどり` and `ミドリ` |
//! | eras, in dates only | `S55.3.12` is `1980-03-12` | any other day |
//! | the number of a 丁目, in addresses only | `一丁目` is `1丁目` | `一番町` and `1番町` |

mod compare;
mod date;
mod gaiji;
mod glyph;

pub use compare::evidence;
pub use compare::{Compared, Expected, Found};
pub use date::date;
pub use gaiji::{GaijiError, GaijiTable};

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// What becomes of white space.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Space {
    /// One ASCII space for each stretch, none at the ends.
    Single,
    /// None.
    Drop,
    /// One between Latin letters or digits, where it separates words; none beside kanji and kana, where it does not.
    Words,
}

/// A line of paper as `line` expressions see it: NFKC, without variation selectors, single spaces.
pub fn line(text: &str) -> String {
    fold(text, Space::Single)
}

/// Without any white space: for labels and titles, whose letters are often spaced out.
pub fn squeeze(text: &str) -> String {
    fold(text, Space::Drop)
}

/// Text without white space inside, folded; borrowed where there is nothing to fold.
pub(crate) fn word(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_settled) { Cow::Borrowed(text) } else { Cow::Owned(fold(text, Space::Drop)) }
}

/// A person's name.
pub fn name(text: &str) -> String {
    replaced(fold(text, Space::Words), |c| glyph::plain(plain_hyphen(c)))
}

/// With every character as `plain` has it; the same string where that changes nothing.
fn replaced(text: String, plain: impl Fn(char) -> char) -> String {
    if text.chars().all(|c| plain(c) == c) { text } else { text.chars().map(plain).collect() }
}

/// Any other text.
pub fn text(text: &str) -> String {
    replaced(fold(text, Space::Words), plain_hyphen)
}

/// A reading. Small kana stay apart from large ones: キョウコ and キヨウコ are two readings, and a system that cannot
/// write small kana is better told by leaving `kana` out of `enough` than by making every such pair equal.
pub fn kana(text: &str) -> String {
    let katakana = |c: char| match c {
        'ぁ'..='ゖ' | 'ゝ' | 'ゞ' => char::from_u32(c as u32 + 0x60).unwrap_or(c),
        c if plain_hyphen(c) == '-' => 'ー',
        c => c,
    };
    replaced(fold(text, Space::Drop), katakana)
}

/// An address. Only width, white space, hyphens, glyph variants and the number before 丁目: `1-2-3` and `1丁目2番3号` stay
/// apart, since in many towns the second is no rewriting of the first.
pub fn address(text: &str) -> String {
    let chars: Vec<char> = fold(text, Space::Words).chars().map(|c| glyph::plain(plain_hyphen(c))).collect();
    let mut out = String::with_capacity(chars.len() * 3);
    let digit_at = |i: usize| chars.get(i).is_some_and(char::is_ascii_digit);
    let mut i = 0;
    while let Some(&c) = chars.get(i) {
        if c == 'ー' && i > 0 && digit_at(i - 1) && digit_at(i + 1) {
            out.push('-');
        } else if let Some((number, next)) =
            chars.get(i..).and_then(block_number).filter(|_| !kanji_digit_before(&chars, i))
        {
            out.push_str(&number.to_string());
            i += next;
            continue;
        } else {
            out.push(c);
        }
        i += 1;
    }
    out
}

/// 一 to 九十九, directly before 丁目: the number and how many characters it takes.
fn block_number(chars: &[char]) -> Option<(u32, usize)> {
    let length = chars.iter().take_while(|c| is_kanji_digit(**c)).count();
    let (digits, rest) = chars.split_at_checked(length)?;
    if !rest.starts_with(&['丁', '目']) {
        return None;
    }
    let one = |c: char| "一二三四五六七八九".chars().position(|d| d == c).map(|at| at as u32 + 1);
    let number = match *digits {
        ['十'] => 10,
        [unit] => one(unit)?,
        ['十', unit] => 10 + one(unit)?,
        [ten, '十'] => one(ten)? * 10,
        [ten, '十', unit] => one(ten)? * 10 + one(unit)?,
        _ => return None,
    };
    Some((number, length))
}

fn is_kanji_digit(c: char) -> bool {
    matches!(c, '一' | '二' | '三' | '四' | '五' | '六' | '七' | '八' | '九' | '十')
}

fn kanji_digit_before(chars: &[char], i: usize) -> bool {
    i.checked_sub(1).and_then(|before| chars.get(before)).is_some_and(|c| is_kanji_digit(*c))
}

/// The two sexes that Japanese registers know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sex {
    /// 女
    Female,
    /// 男
    Male,
}

/// 男, 男性, M, male, 1 (JIS X 0303, ISO/IEC 5218) and their counterparts; anything else is `None`.
pub fn sex(text: &str) -> Option<Sex> {
    match squeeze(text).to_ascii_lowercase().as_str() {
        "男" | "男性" | "m" | "male" | "1" => Some(Sex::Male),
        "女" | "女性" | "f" | "female" | "2" => Some(Sex::Female),
        _ => None,
    }
}

/// A character that stands for something we cannot know: private use (gaiji differ from city to city), the replacement
/// character, and 〓, which systems print in place of a glyph they lack.
pub fn is_unknown(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' | '\u{fffc}' | '\u{fffd}' | '〓')
}

/// A regular expression written against a printed line, rewritten for the line as [`line`] gives it: full-width letters
/// and signs become ASCII, and those that ASCII gives a meaning to are escaped.
pub fn pattern(source: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii() || is_settled(c);
    if source.chars().all(plain) {
        return Cow::Borrowed(source);
    }
    let mut out = String::with_capacity(source.len());
    for c in source.chars() {
        match c {
            c if plain(c) => out.push(c),
            '\u{3000}' => out.push(' '),
            '！'..='～' => match char::from_u32(c as u32 - 0xfee0) {
                Some(ascii) if ascii.is_ascii_punctuation() => out.extend(['\\', ascii]),
                Some(ascii) => out.push(ascii),
                None => {}
            },
            c if is_selector(c) => {}
            c => out.extend(c.nfkc()),
        }
    }
    Cow::Owned(out)
}

fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Whether NFKC leaves this character alone wherever it stands, unless a combining mark follows (which is not settled).
fn is_settled(c: char) -> bool {
    matches!(c,
        '!'..='~' | 'ぁ'..='ゖ' | 'ァ'..='ヾ' | '一'..='\u{9fff}' | '、'..='〃' | '々'..='】' | '㐀'..='䶿'
        | '\u{20000}'..='\u{2a6df}' | '\u{e000}'..='\u{f8ff}')
}

/// Whether a text may be longer than so many characters in some form of its own; only what folds slowly grows by folding.
fn may_exceed(text: &str, most: usize) -> bool {
    let steady = |c: char| is_settled(c) || matches!(c, ' ' | '\u{3000}' | '！'..='～') || is_selector(c);
    text.chars().nth(most).is_some() || !text.chars().all(steady)
}

fn plain_hyphen(c: char) -> char {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => '-',
        c => c,
    }
}

fn fold(text: &str, space: Space) -> String {
    let mut out = String::with_capacity(text.len());
    let mut spaces = Spaces { mode: space, pending: false };
    let mut rest = text;
    loop {
        // What stands as it is, in one piece.
        let settled = rest.find(|c| !is_settled(c)).unwrap_or(rest.len());
        let (plain, tail) = rest.split_at(settled);
        if let Some(first) = plain.chars().next() {
            spaces.before(&mut out, first);
            out.push_str(plain);
        }
        let mut chars = tail.chars();
        match chars.next() {
            None => return out,
            Some(' ' | '\u{3000}') => spaces.pending = true,
            Some(c @ '！'..='～') => spaces.push(&mut out, char::from_u32(c as u32 - 0xfee0).unwrap_or(c)),
            Some(c) if is_selector(c) => {}
            Some(_) => return fold_slowly(text, space),
        }
        rest = chars.as_str();
    }
}

/// The same for any text. Taking white space away can bring a letter and a mark together, hence the second NFKC.
fn fold_slowly(text: &str, space: Space) -> String {
    let mut out = String::with_capacity(text.len());
    let mut spaces = Spaces { mode: space, pending: false };
    for c in text.chars().filter(|c| !is_selector(*c)).nfkc() {
        if c.is_whitespace() {
            spaces.pending = true;
        } else {
            spaces.push(&mut out, c);
        }
    }
    out.nfkc().collect()
}

struct Spaces {
    mode: Space,
    pending: bool,
}

impl Spaces {
    fn push(&mut self, out: &mut String, c: char) {
        self.before(out, c);
        out.push(c);
    }

    /// Settles what becomes of white space before this character.
    fn before(&mut self, out: &mut String, c: char) {
        if std::mem::take(&mut self.pending)
            && let Some(last) = out.chars().next_back()
        {
            let word = |c: char| c.is_alphanumeric() && !is_japanese(c);
            match self.mode {
                Space::Single => out.push(' '),
                Space::Words if word(last) && word(c) => out.push(' '),
                Space::Words | Space::Drop => {}
            }
        }
    }
}

fn is_japanese(c: char) -> bool {
    matches!(c, '\u{3000}'..='\u{9fff}' | '\u{e000}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests;
