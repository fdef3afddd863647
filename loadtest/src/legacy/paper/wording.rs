//! How dates, names and readings are written by each producer.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};

use super::super::city::PaperStyle;

/// Characters of the name field; the rest of a longer name is not printed.
const NAME_FIELD_CHARS: usize = 30;

/// The civil date in Japan.
pub(in super::super) fn jst_date(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::fixed(Offset::constant(9))).date()
}

/// Era and year of a date.
fn era(date: Date) -> (&'static str, i16) {
    let starts = [
        ("令和", Date::constant(2019, 5, 1)),
        ("平成", Date::constant(1989, 1, 8)),
        ("昭和", Date::constant(1926, 12, 25)),
        ("大正", Date::constant(1912, 7, 30)),
    ];
    let (name, first) =
        starts.into_iter().find(|(_, first)| date >= *first).unwrap_or(("明治", Date::constant(1868, 1, 25)));
    (name, date.year() - first.year() + 1)
}

/// 令和8年11月22日; the first year of an era is 元年.
pub(super) fn plain_date(date: Date) -> String {
    let (era, year) = era(date);
    let year = if year == 1 { "元".to_owned() } else { year.to_string() };
    format!("{era}{year}年{}月{}日", date.month(), date.day())
}

/// A date of a register entry, in the producer's digits.
pub(super) fn register_date(style: PaperStyle, date: Date) -> String {
    let plain = plain_date(date);
    match style {
        PaperStyle::Embedded => plain,
        PaperStyle::ShiftJis => plain.chars().map(wide_digit).collect(),
        PaperStyle::Ucs2 => {
            let (era, year) = era(date);
            let year = if year == 1 { "元".to_owned() } else { kanji_number(year) };
            format!("{era}{year}年{}月{}日", kanji_number(date.month().into()), kanji_number(date.day().into()))
        }
    }
}

fn wide_digit(c: char) -> char {
    if c.is_ascii_digit() { char::from_u32(u32::from(c) + 0xFEE0).unwrap_or(c) } else { c }
}

/// 1 to 99 as 一 ... 九十九.
fn kanji_number(n: i16) -> String {
    let digit = |d: i16| usize::try_from(d).ok().and_then(|d| "〇一二三四五六七八九".chars().nth(d)).unwrap_or('〇');
    let mut text = String::new();
    if n >= 20 {
        text.push(digit(n / 10));
    }
    if n >= 10 {
        text.push('十');
    }
    if n % 10 != 0 {
        text.push(digit(n % 10));
    }
    text
}

/// A name as the field holds it: cut, and without what the producer's character set cannot say.
pub(super) fn name(style: PaperStyle, name: &str) -> String {
    let kept = name.chars().filter(|c| style == PaperStyle::Embedded || !is_selector(*c));
    let shown = kept.map(|c| if style != PaperStyle::Embedded && is_private(c) { '〓' } else { c });
    let mut left = NAME_FIELD_CHARS;
    shown
        .take_while(|c| {
            // A selector belongs to the character before it.
            let room = left > 0 || is_selector(*c);
            left = left.saturating_sub(usize::from(!is_selector(*c)));
            room
        })
        .collect()
}

/// A reading in the producer's width.
pub(super) fn kana(style: PaperStyle, kana: &str) -> String {
    match style {
        PaperStyle::ShiftJis => kana.chars().map(half_width).collect(),
        PaperStyle::Embedded | PaperStyle::Ucs2 => kana.to_owned(),
    }
}

pub(super) fn is_selector(c: char) -> bool {
    ('\u{E0100}'..='\u{E01EF}').contains(&c)
}

pub(super) fn is_private(c: char) -> bool {
    ('\u{E000}'..='\u{F8FF}').contains(&c)
}

fn half_width(c: char) -> String {
    const FULL: &str = "。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン゛゜";
    let plain = |c: char| {
        let at = FULL.chars().position(|full| full == c)?;
        char::from_u32(0xFF61 + u32::try_from(at).ok()?)
    };
    if c == '　' {
        return " ".to_owned();
    }
    if let Some(half) = plain(c) {
        return half.to_string();
    }
    // ガ follows カ; パ is two after ハ.
    let base = |back: u32| char::from_u32(u32::from(c).wrapping_sub(back)).and_then(plain);
    match (c, base(1), base(2)) {
        ('パ' | 'ピ' | 'プ' | 'ペ' | 'ポ', _, Some(half)) => format!("{half}\u{FF9F}"),
        ('ヴ', _, _) => "\u{FF73}\u{FF9E}".to_owned(),
        (_, Some(half), _) if ('ガ'..='ボ').contains(&c) => format!("{half}\u{FF9E}"),
        _ => c.to_string(),
    }
}

/// Can every producer print this address in its field?
pub(in super::super) fn printable(address: &str) -> bool {
    let fits = (1..=34).contains(&address.chars().count());
    fits && address.chars().all(|c| {
        let known = super::font::Source::get().is_some_and(|font| font.has(c));
        known && !c.is_ascii() && !is_private(c) && super::ink::shift_jis(&c.to_string()).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_in_their_era() {
        assert_eq!(plain_date(Date::constant(2026, 11, 22)), "令和8年11月22日");
        assert_eq!(plain_date(Date::constant(2019, 5, 1)), "令和元年5月1日");
        assert_eq!(plain_date(Date::constant(2019, 4, 30)), "平成31年4月30日");
        assert_eq!(plain_date(Date::constant(1989, 1, 7)), "昭和64年1月7日");
        assert_eq!(register_date(PaperStyle::ShiftJis, Date::constant(1980, 3, 12)), "昭和５５年３月１２日");
        assert_eq!(register_date(PaperStyle::Ucs2, Date::constant(1980, 3, 12)), "昭和五十五年三月十二日");
        assert_eq!(register_date(PaperStyle::Ucs2, Date::constant(1989, 10, 20)), "平成元年十月二十日");
    }

    #[test]
    fn readings_become_half_width_where_the_producer_has_it_so() {
        assert_eq!(kana(PaperStyle::ShiftJis, "ヤマダ　ジョンパウロ"), "ﾔﾏﾀﾞ ｼﾞｮﾝﾊﾟｳﾛ");
        assert_eq!(kana(PaperStyle::Ucs2, "ヤマダ"), "ヤマダ");
    }

    #[test]
    fn a_long_name_is_cut_and_a_selector_stays_with_its_character() {
        assert_eq!(name(PaperStyle::ShiftJis, &"A".repeat(40)).len(), 30);
        assert_eq!(name(PaperStyle::Embedded, "辻\u{E0100}　誠"), "辻\u{E0100}　誠");
        assert_eq!(name(PaperStyle::Ucs2, "辻\u{E0100}　誠"), "辻　誠");
        assert_eq!(name(PaperStyle::Ucs2, "\u{E001}田"), "〓田");
    }
}
