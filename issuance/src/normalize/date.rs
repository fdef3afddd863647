//! Dates as Japanese papers and systems write them, to one calendar day. A date that an era never had is no date.

use jiff::civil::Date;

/// First and last day of each era, both inclusive. A change of 1912 and 1926 took effect on the day itself, so papers name
/// that day by either era. Before 1873 the calendar was another one: such days are not converted.
const ERAS: [(&[&str], i16, Day, Day); 5] = [
    (&["令和", "令", "R"], 2018, (2019, 5, 1), (9999, 12, 31)),
    (&["平成", "平", "H"], 1988, (1989, 1, 8), (2019, 4, 30)),
    (&["昭和", "昭", "S"], 1925, (1926, 12, 25), (1989, 1, 7)),
    (&["大正", "大", "T"], 1911, (1912, 7, 30), (1926, 12, 25)),
    (&["明治", "明", "M"], 1867, (1873, 1, 1), (1912, 7, 30)),
];

type Day = (i16, i8, i8);

/// Reads `昭和５５年３月１２日`, `昭和五十五年三月十二日`, `S55.3.12`, `西暦1980年3月12日`, `1980-03-12`, `19800312`, with 元年
/// and a closing 生; `None` for anything else, including a day that its era did not have.
pub fn date(text: &str) -> Option<Date> {
    let folded = super::replaced(super::squeeze(text), super::plain_hyphen);
    let folded = folded.strip_suffix("生まれ").or_else(|| folded.strip_suffix('生')).unwrap_or(&folded);
    if folded.len() == 8 && folded.bytes().all(|b| b.is_ascii_digit()) {
        let (year, rest) = folded.split_at_checked(4)?;
        let (month, day) = rest.split_at_checked(2)?;
        return Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok();
    }
    for (names, offset, first, last) in ERAS {
        let rest = names.iter().find_map(|name| strip_prefix_ignoring_case(folded, name));
        let Some((year, month, day)) = rest.and_then(parts) else { continue };
        let year = if year == "元" { 1 } else { number(year).filter(|y| (1..=999).contains(y))? };
        let day: Day = (offset + year, i8::try_from(number(month)?).ok()?, i8::try_from(number(day)?).ok()?);
        let in_era = first <= day && day <= last;
        return in_era.then(|| Date::new(day.0, day.1, day.2).ok()).flatten();
    }
    let (year, month, day) = parts(folded.strip_prefix("西暦").unwrap_or(folded))?;
    let year = number(year).filter(|y| (1873..=9999).contains(y))?;
    Date::new(year, i8::try_from(number(month)?).ok()?, i8::try_from(number(day)?).ok()?).ok()
}

fn strip_prefix_ignoring_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Year, month and day between 年, 月 and 日, or between two equal separators.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    if let Some((year, rest)) = text.split_once('年') {
        let (month, day) = rest.split_once('月')?;
        return Some((year, month, day.strip_suffix('日')?));
    }
    let separator = text.chars().find(|c| matches!(c, '.' | '/' | '-'))?;
    let mut parts = text.split(separator);
    let found = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some(found)
}

/// 1 to 4 ASCII digits, or kanji numerals by place (一九八〇) or by unit (五十五, 千九百八十).
fn number(text: &str) -> Option<i16> {
    if text.is_empty() || text.len() > 24 {
        return None;
    }
    if text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    let by_unit = text.chars().any(|c| unit(c).is_some());
    let (mut total, mut current): (i16, Option<i16>) = (0, None);
    let mut smallest = i16::MAX;
    for c in text.chars() {
        if let Some(unit) = unit(c) {
            if unit >= smallest {
                return None;
            }
            smallest = unit;
            total = total.checked_add(current.take().unwrap_or(1).checked_mul(unit)?)?;
        } else if by_unit {
            if current.replace(digit(c).filter(|d| *d > 0)?).is_some() {
                return None;
            }
        } else {
            current = Some(current.unwrap_or(0).checked_mul(10)?.checked_add(digit(c)?)?);
        }
    }
    total.checked_add(current.unwrap_or(0))
}

fn unit(c: char) -> Option<i16> {
    match c {
        '千' => Some(1000),
        '百' => Some(100),
        '十' | '拾' => Some(10),
        _ => None,
    }
}

fn digit(c: char) -> Option<i16> {
    Some(match c {
        '〇' | '零' => 0,
        '一' | '壱' => 1,
        '二' | '弐' => 2,
        '三' | '参' => 3,
        '四' => 4,
        '五' => 5,
        '六' => 6,
        '七' => 7,
        '八' => 8,
        '九' => 9,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn same(texts: &[&str], iso: &str) {
        for text in texts {
            assert_eq!(date(text).map(|d| d.to_string()).as_deref(), Some(iso), "{text}");
        }
    }

    #[track_caller]
    fn none(texts: &[&str]) {
        for text in texts {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn every_usual_form_is_one_day_and_its_neighbour_another() {
        same(
            &[
                "昭和55年3月12日",
                "昭和５５年３月１２日",
                "昭和　５５年　３月１２日生",
                "昭和五十五年三月十二日",
                "昭和五五年三月一二日",
                "昭和五拾五年参月拾弐日",
                "S55.3.12",
                "Ｓ５５．０３．１２",
                "s55/3/12",
                "S55-03-12",
                "S55－03－12",
                "昭55.3.12",
                "㍼55年3月12日",
                "1980-03-12",
                "1980/3/12",
                "1980.3.12",
                "19800312",
                "1980年3月12日",
                "西暦1980年3月12日",
                "一九八〇年三月十二日",
                "千九百八十年三月十二日",
            ],
            "1980-03-12",
        );
        same(&["昭和55年3月13日", "S55.3.13"], "1980-03-13");
    }

    #[test]
    fn the_first_year_of_an_era_has_a_name_of_its_own() {
        same(&["令和元年5月1日", "令和1年5月1日", "R1.5.1", "R元.5.1"], "2019-05-01");
        same(&["昭和元年12月25日"], "1926-12-25");
    }

    #[test]
    fn a_day_that_its_era_did_not_have_is_no_date() {
        none(&["平成31年5月1日", "令和元年4月30日", "昭和64年1月8日", "平成元年1月7日", "大正15年12月26日"]);
        none(&["昭和元年12月24日", "明治45年7月31日", "大正元年7月29日", "平成32年1月1日", "令和0年1月1日"]);
        none(&["明治5年12月3日", "昭和55年2月30日", "1980-13-01", "1980-00-10", "19800230"]);
        same(&["平成31年4月30日"], "2019-04-30");
        same(&["昭和64年1月7日"], "1989-01-07");
        same(&["平成元年1月8日"], "1989-01-08");
        same(&["大正15年12月25日", "昭和元年12月25日"], "1926-12-25");
        same(&["明治45年7月30日", "大正元年7月30日"], "1912-07-30");
        same(&["明治6年1月1日"], "1873-01-01");
    }

    #[test]
    fn a_text_that_needs_guessing_is_no_date() {
        none(&[
            "",
            "不詳",
            "昭和55年3月",
            "55.3.12",
            "12/3/1980",
            "1980-3/12",
            "昭和55年3月12",
            "S55.3.12.1",
            "X55.3.12",
        ]);
        none(&["昭和-5年3月12日", "昭和55年+3月12日", "昭和五十十年三月十二日", "1980-03-12T00:00:00", "198003120"]);
    }
}
