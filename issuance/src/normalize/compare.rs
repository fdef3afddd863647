//! Comparing what was printed with what is expected: equal, different, or impossible to tell.

use jiff::civil::Date;

use super::{Sex, address, date, is_selector, is_unknown, kana, may_exceed, name, sex, squeeze, text};
use crate::checks::spec::FieldKind;
use crate::verdict::FieldEvidence;

/// The outcome of one comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// The same, up to what clerks' systems vary.
    Equal,
    /// Readable, and something else.
    Differs,
    /// A glyph that stands for something unknown, in a text that is otherwise the same.
    Unreadable,
    /// Readable, but not understood as what it should be (a date in words).
    NotUnderstood,
}

/// A value in the form in which it is compared.
#[derive(Clone, PartialEq, Eq)]
enum Form {
    Text(String),
    Day(Option<Date>, String),
    Sex(Option<Sex>, String),
}

impl Form {
    fn of(kind: FieldKind, raw: &str) -> Self {
        match kind {
            FieldKind::Id => Self::Text(raw.trim().to_owned()),
            FieldKind::Name => Self::Text(name(raw)),
            FieldKind::Kana => Self::Text(kana(raw)),
            FieldKind::Address => Self::Text(address(raw)),
            FieldKind::Text => Self::Text(text(raw)),
            FieldKind::Date => Self::Day(date(raw), squeeze(raw)),
            FieldKind::Sex => Self::Sex(sex(raw), squeeze(raw)),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Day(_, text) | Self::Sex(_, text) => text,
        }
    }
}

/// What was printed. Personal data, hence no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    form: Form,
    unknown: bool,
}

impl Found {
    /// Normalizes a printed value once.
    pub fn new(kind: FieldKind, raw: &str) -> Self {
        let form = Form::of(kind, raw);
        let unknown = form.text().chars().any(is_unknown);
        Self { form, unknown }
    }

    /// Whether nothing was printed.
    pub fn is_empty(&self) -> bool {
        self.form.text().is_empty()
    }
}

/// What is expected. Personal data, hence no `Debug`.
pub struct Expected {
    /// The whole value, then what a form that cuts after `prefix` characters would print.
    forms: Vec<Form>,
    unknown: bool,
}

impl Expected {
    /// Normalizes an expected value once; `prefix` is the declared length after which the form cuts it.
    pub fn new(kind: FieldKind, raw: &str, prefix: Option<u32>) -> Self {
        let whole = Form::of(kind, raw);
        let unknown = whole.text().chars().any(is_unknown);
        let mut forms = vec![whole];
        let prefix = prefix.and_then(|p| usize::try_from(p).ok()).filter(|p| *p > 0);
        if let Some(prefix) = prefix.filter(|prefix| may_exceed(raw, *prefix)) {
            // The form may count white space that this source does not have, or the other way round.
            for source in [raw.trim().chars().filter(|c| !is_selector(*c)).collect(), squeeze(raw)] {
                let source: String = source;
                if let Some((cut, _)) = source.char_indices().nth(prefix) {
                    forms.push(Form::of(kind, source.split_at(cut).0));
                }
            }
        }
        Self { forms, unknown }
    }

    /// Compares.
    pub fn compare(&self, found: &Found) -> Compared {
        let outcomes = self.forms.iter().map(|form| self.compare_one(form, found));
        let rank = |c: &Compared| match c {
            Compared::Equal => 0,
            Compared::Unreadable => 1,
            Compared::NotUnderstood => 2,
            Compared::Differs => 3,
        };
        outcomes.min_by_key(rank).unwrap_or(Compared::Differs)
    }

    fn compare_one(&self, expected: &Form, found: &Found) -> Compared {
        if self.unknown || found.unknown {
            return match (expected, &found.form) {
                (Form::Text(expected), Form::Text(found)) if !could_be(expected, found) => Compared::Differs,
                _ => Compared::Unreadable,
            };
        }
        match (expected, &found.form) {
            (Form::Text(a), Form::Text(b)) => if_equal(a == b),
            (Form::Day(Some(a), _), Form::Day(Some(b), _)) => if_equal(a == b),
            (Form::Sex(Some(a), _), Form::Sex(Some(b), _)) => if_equal(a == b),
            (a, b) if a.text() == b.text() => Compared::Equal,
            _ => Compared::NotUnderstood,
        }
    }

    /// Where and how a found value differs, without either text.
    pub fn evidence(&self, field: &str, page: Option<u32>, found: &Found) -> FieldEvidence {
        let expected = self.forms.first().map_or("", Form::text);
        evidence(field, page, expected, found.form.text())
    }
}

fn if_equal(equal: bool) -> Compared {
    if equal { Compared::Equal } else { Compared::Differs }
}

/// Whether two texts may be the same when each unknown character stands for any one character.
fn could_be(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (a.chars(), b.chars());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(x), Some(y)) if x == y || is_unknown(x) || is_unknown(y) => {}
            _ => return false,
        }
    }
}

/// Where and how two normalized texts differ: lengths and script classes, never a character.
pub fn evidence(field: &str, page: Option<u32>, expected: &str, found: &str) -> FieldEvidence {
    const CLASSES: [&str; 5] = ["kanji", "kana", "digit", "latin", "other"];
    let mut differing = [false; 5];
    let (mut a, mut b) = (expected.chars(), found.chars());
    loop {
        let pair = (a.next(), b.next());
        if pair == (None, None) {
            break;
        }
        if pair.0 != pair.1 {
            for c in [pair.0, pair.1].into_iter().flatten() {
                if let Some(slot) = differing.get_mut(class(c)) {
                    *slot = true;
                }
            }
        }
    }
    let names: Vec<_> =
        CLASSES.into_iter().zip(differing).filter_map(|(name, differs)| differs.then_some(name)).collect();
    FieldEvidence {
        field: field.to_owned(),
        page,
        expected_chars: expected.chars().count(),
        found_chars: found.chars().count(),
        differs_in: names.join("+"),
    }
}

fn class(c: char) -> usize {
    match c {
        '一'..='\u{9fff}' | '㐀'..='䶿' | '々' | '〇' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' => 0,
        'ぁ'..='ヿ' | 'ｦ'..='ﾟ' => 1,
        c if c.is_numeric() => 2,
        c if c.is_alphabetic() => 3,
        _ => 4,
    }
}
