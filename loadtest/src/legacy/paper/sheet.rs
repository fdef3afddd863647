//! Lays out one sheet: which text stands where, and who is on it.

use std::sync::Arc;

use super::super::city::{Municipality, PaperStyle};
use super::super::resident::{PersonNo, Record};
use super::wording::{kana, name, register_date};
use super::{Extract, Form, PEOPLE_A_SHEET};

/// Text at a place, in points from the lower left.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) size: f32,
    pub(super) text: String,
}

/// One sheet before it is inked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sheet {
    pub(super) texts: Vec<Text>,
    /// Horizontal rules, by height.
    pub(super) rules: Vec<f32>,
    pub(super) last: bool,
    /// Whose data stand on it, and of which version.
    pub(super) origins: Vec<(PersonNo, u64)>,
    /// Data of different records (or versions) are mixed within one person's block.
    pub(super) torn: bool,
}

const LEFT: f32 = 70.0;
const VALUE: f32 = 170.0;
const ROW: f32 = 17.0;
const SIZE: f32 = 11.0;

/// Lays out sheet `index` of a certificate whose names were read as in `first` and whose addresses as in `second`.
/// The two are the same unless something rewrote the work-table row in between.
pub(super) fn lay_out(city: &Municipality, first: &Extract, second: &Extract, index: usize) -> Sheet {
    let style = city.style;
    let mut sheet = Sheet {
        texts: Vec::new(),
        rules: Vec::new(),
        last: index + 1 == first.sheets(),
        origins: Vec::new(),
        torn: false,
    };
    let title = first.form.title();
    let title_width = title.chars().count() as f32 * 18.0;
    sheet.text((595.0 - title_width) / 2.0, 780.0, 18.0, title.to_owned());

    let mut y = 750.0;
    let mut header = |sheet: &mut Sheet, label: &str, value: String| {
        sheet.row(y, label, value);
        y -= ROW;
    };
    match first.form {
        Form::FamilyRegister | Form::FamilyRegisterAddress => {
            header(&mut sheet, "本籍", first.requester.person.domicile.clone());
            header(&mut sheet, "筆頭者", name(style, &first.head));
        }
        Form::ResidentRecord | Form::ResidentItems => header(&mut sheet, "世帯主", name(style, &first.head)),
        Form::SealRegistration | Form::Tax => {}
    }
    header(&mut sheet, "住所", second.requester.address.clone());
    sheet.rules.push(y + 10.0);
    if second.requester.address != first.requester.address {
        sheet.torn = true;
        sheet.names(&second.requester);
    }

    let mut top = y - 8.0;
    let people = first.people.iter().enumerate().skip(index * PEOPLE_A_SHEET).take(PEOPLE_A_SHEET);
    for (n, person) in people {
        // A row rewritten with fewer people leaves the first one's data for the rest.
        let housed = second.people.get(n).or_else(|| second.people.first()).unwrap_or(person);
        sheet.names(person);
        // Only what is printed counts: members of a household have one address between them.
        let seal_differs = first.form == Form::SealRegistration && housed.seal != person.seal;
        if housed.address != person.address || seal_differs {
            sheet.torn = true;
            sheet.names(housed);
        }
        for (label, value) in rows(style, first.form, person, housed) {
            sheet.row(top, label, value);
            top -= ROW;
        }
        sheet.rules.push(top + 10.0);
        top -= 8.0;
    }
    if sheet.last {
        sheet.text(LEFT, 132.0, SIZE, "この写しは、原本と相違ないことを証明する。".to_owned());
        sheet.text(300.0, 82.0, 13.0, format!("{}長　{}", city.name, city.mayor));
    }
    sheet
}

impl Sheet {
    /// Read in two halves, it is torn only where that shows: what prints exactly as one of `reads` alone would is that one's sheet.
    pub(super) fn or_whole(self, city: &Municipality, reads: [&Extract; 2], index: usize) -> Self {
        if !self.torn {
            return self;
        }
        let mut whole = reads.into_iter().map(|read| lay_out(city, read, read, index));
        whole.find(|whole| whole.prints_like(&self)).unwrap_or(self)
    }

    fn prints_like(&self, other: &Self) -> bool {
        self.texts == other.texts && self.rules == other.rules && self.last == other.last
    }

    fn text(&mut self, x: f32, y: f32, size: f32, text: String) {
        self.texts.push(Text { x, y, size, text });
    }

    fn row(&mut self, y: f32, label: &str, value: String) {
        self.text(LEFT, y, SIZE, label.to_owned());
        self.text(VALUE, y, SIZE, value);
    }

    fn names(&mut self, record: &Arc<Record>) {
        let origin = (record.person.no, record.version);
        if !self.origins.contains(&origin) {
            self.origins.push(origin);
        }
    }
}

/// The labelled rows of one person. Names, dates and sex come from `person`, what depends on the address from `housed`.
fn rows(style: PaperStyle, form: Form, person: &Record, housed: &Record) -> Vec<(&'static str, String)> {
    let p = &person.person;
    let mut rows = vec![("氏名", name(style, &p.name))];
    if matches!(form, Form::ResidentRecord | Form::SealRegistration | Form::FamilyRegister) {
        rows.push(("フリガナ", kana(style, &p.kana)));
    }
    rows.push(("生年月日", register_date(style, p.birth)));
    rows.push(("性別", p.sex.text().to_owned()));
    if matches!(form, Form::ResidentRecord | Form::FamilyRegister) {
        rows.push(("続柄", p.relation.to_owned()));
    }
    rows.push(("住所", housed.address.clone()));
    match form {
        Form::SealRegistration => {
            let (number, registered) = match &housed.seal {
                Some(seal) => (seal.number.clone(), register_date(style, seal.registered)),
                None => ("－".to_owned(), "－".to_owned()),
            };
            rows.push(("印鑑登録番号", number));
            rows.push(("登録年月日", registered));
        }
        Form::Tax => {
            rows.push(("所得金額", yen(p.income)));
            rows.push(("課税額", yen(p.income / 20)));
        }
        Form::ResidentRecord | Form::ResidentItems | Form::FamilyRegister | Form::FamilyRegisterAddress => {}
    }
    rows
}

/// 3,450,000円
fn yen(amount: u64) -> String {
    let digits = amount.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text.push('円');
    text
}
