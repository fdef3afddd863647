//! Judging a paper of a world that we did not make: by the text that another program read from it, against a list of residents.
//!
//! Coarser than provenance: it knows names, birth dates and addresses, not versions or issue numbers.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;

use super::ruling::{Harm, Ruling};

/// Forms cut longer names; what lies beyond is not looked for.
const PRINTED_CHARACTERS: usize = 30;

/// A resident as the list says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The municipality's number of the person.
    pub id: String,
    /// As printed.
    pub name: String,
    /// Year, month and day.
    pub birth: (i32, u8, u8),
    /// As printed; empty: not looked for.
    pub address: String,
}

/// What one person's paper must show, and nobody else's.
#[derive(Debug)]
struct Marks {
    name: String,
    births: Vec<String>,
    address: String,
}

/// The list, and what was handed out so far.
#[derive(Debug, Default)]
pub struct TextAuditor {
    people: HashMap<String, Marks>,
    contents: HashMap<[u8; 32], String>,
}

impl TextAuditor {
    /// Knows these people.
    pub fn new(list: impl IntoIterator<Item = Listed>) -> Self {
        let marks = |one: Listed| {
            let name: String = one.name.chars().take(PRINTED_CHARACTERS).collect();
            let marks = Marks { name: fold(&name), births: dates(one.birth), address: fold(&one.address) };
            (one.id, marks)
        };
        Self { people: list.into_iter().map(marks).collect(), contents: HashMap::new() }
    }

    /// Judges the paper of which `text` was read and that `resident` was handed. `None`: there is no text in it to judge.
    pub fn judge(&mut self, resident: &str, text: &str, content: [u8; 32]) -> Option<Ruling> {
        let text = fold(text);
        if text.is_empty() {
            return None;
        }
        let owner = self.contents.entry(content).or_insert_with(|| resident.to_owned());
        let duplicate = owner != resident;
        let Some(own) = self.people.get(resident) else { return Some(Err(Harm::WrongPerson)) };
        if !own.is_shown(&text) {
            return Some(Err(Harm::WrongPerson));
        }
        // Somebody whose name is part of this one and who was born on the same day cannot be told from it.
        let stranger = |other: &Marks| !own.name.contains(&other.name) && other.is_shown(&text);
        if self.people.iter().any(|(id, other)| id != resident && stranger(other)) {
            return Some(Err(Harm::MixedPage));
        }
        if !text.contains(&own.address) {
            return Some(Err(Harm::Stale));
        }
        Some(if duplicate { Err(Harm::Duplicate) } else { Ok(()) })
    }
}

impl Marks {
    fn is_shown(&self, text: &str) -> bool {
        text.contains(&self.name) && self.births.iter().any(|birth| text.contains(birth))
    }
}

/// One form for what printers vary: width, compatibility forms, white space, hyphens.
fn fold(text: &str) -> String {
    let folded = text.nfkc().filter(|c| !c.is_whitespace() && !c.is_control() && !selects_a_variant(*c));
    folded.map(|c| if matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}') { '-' } else { c }).collect()
}

/// Variation selectors: a reader may drop them.
fn selects_a_variant(c: char) -> bool {
    matches!(c, '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}')
}

const ERAS: [(&str, (i32, u8, u8)); 5] = [
    ("令和", (2019, 5, 1)),
    ("平成", (1989, 1, 8)),
    ("昭和", (1926, 12, 25)),
    ("大正", (1912, 7, 30)),
    ("明治", (1868, 1, 25)),
];

/// Every way in which a date is usually printed.
fn dates(date: (i32, u8, u8)) -> Vec<String> {
    let (year, month, day) = date;
    let mut years = vec![year.to_string()];
    if let Some((era, from)) = ERAS.iter().find(|(_, from)| *from <= date) {
        let of_era = year - from.0 + 1;
        years.push(format!("{era}{of_era}"));
        years.push(format!("{era}{of_era:02}"));
        if of_era == 1 {
            years.push(format!("{era}元"));
        }
    }
    let mut all = Vec::new();
    for year in years {
        all.push(format!("{year}年{month}月{day}日"));
        all.push(format!("{year}年{month:02}月{day:02}日"));
        all.extend(['-', '/', '.'].map(|between| format!("{year}{between}{month:02}{between}{day:02}")));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(id: &str, name: &str, birth: (i32, u8, u8), address: &str) -> Listed {
        Listed { id: id.into(), name: name.into(), birth, address: address.into() }
    }

    fn auditor() -> TextAuditor {
        TextAuditor::new([
            listed("1", "関守　一郎", (1985, 4, 1), "見本市中央１丁目２番３号"),
            listed("2", "門田 和子", (1990, 12, 24), ""),
            listed("3", "関守 一", (1985, 4, 1), ""),
        ])
    }

    const OWN: &str = "住民票の写し\n氏 名  関守 一郎\n生年月日 昭和60年4月1日\n住所 見本市中央1丁目2番3号\n";

    #[test]
    fn each_harm_is_told_from_the_others_by_text_alone() {
        let judge = |resident: &str, text: &str| auditor().judge(resident, text, [1; 32]);
        assert_eq!(judge("1", OWN), Some(Ok(())));
        assert_eq!(judge("2", OWN), Some(Err(Harm::WrongPerson)));
        assert_eq!(judge("4", OWN), Some(Err(Harm::WrongPerson)), "somebody who is not on the list");
        let both = format!("{OWN}門田和子 平成2年12月24日");
        assert_eq!(judge("1", &both), Some(Err(Harm::MixedPage)));
        assert_eq!(judge("1", &OWN.replace("中央", "西")), Some(Err(Harm::Stale)));
        assert_eq!(judge("1", &OWN.replace("60年", "61年")), Some(Err(Harm::WrongPerson)), "a namesake");
        assert_eq!(judge("1", " \n\u{c}"), None);
    }

    #[test]
    fn one_content_for_two_people_is_a_duplicate() {
        let twins = [listed("1", "見本", (2000, 1, 1), ""), listed("2", "見本", (2000, 1, 1), "")];
        let mut auditor = TextAuditor::new(twins);
        let text = "見本 2000-01-01";
        assert_eq!(auditor.judge("1", text, [7; 32]), Some(Ok(())));
        assert_eq!(auditor.judge("1", text, [7; 32]), Some(Ok(())), "the same person's again");
        assert_eq!(auditor.judge("2", text, [7; 32]), Some(Err(Harm::Duplicate)));
    }

    #[test]
    fn dates_are_known_in_every_era_and_its_first_year() {
        for (date, printed) in [
            ((2019, 5, 1), "令和元年5月1日"),
            ((2019, 4, 30), "平成31年4月30日"),
            ((1989, 1, 7), "昭和64年1月7日"),
            ((1926, 12, 24), "大正15年12月24日"),
            ((1985, 4, 1), "昭和60年04月01日"),
            ((1985, 4, 1), "1985/04/01"),
        ] {
            assert!(dates(date).iter().any(|one| one == printed), "{printed}");
        }
        assert!(!dates((1989, 1, 8)).iter().any(|one| one.starts_with("昭和")));
    }
}
