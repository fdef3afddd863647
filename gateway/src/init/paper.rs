//! What stands on recorded certificates: titles, labels and the values right of them, lines of a known form. Proposes where; the checks
//! themselves read it their own way.

use std::collections::BTreeSet;

use regex::Regex;
use sekisho_issuance::certificate::Kind;
use sekisho_issuance::document::Document;
use sekisho_issuance::normalize;

/// Labels of what identifies a person, by the field that they show.
pub(super) const FIELDS: [(&str, &[&str]); 4] = [
    ("name", &["氏名", "名前", "氏名(漢字)"]),
    ("birth_date", &["生年月日", "生年月日(西暦)"]),
    ("sex", &["性別"]),
    ("address", &["住所", "現住所"]),
];
/// Labels of the day it was issued.
pub(super) const ISSUED_ON: [&str; 5] = ["発行日", "発行年月日", "交付年月日", "交付日", "証明日"];
/// Labels of its number.
pub(super) const ISSUE_NUMBER: [&str; 3] = ["発行番号", "証明番号", "交付番号"];
/// Lines that say which sheet of how many.
pub(super) const PAGES: [&str; 4] =
    [r"^(\d+)／(\d+)$", r"^[(（]?(\d+)[/／](\d+)[)）]?$", r"^(\d+)\s*枚目／全?(\d+)枚$", r"^(\d+)頁／(\d+)頁$"];
/// Lines that say which municipality certifies.
pub(super) const MUNICIPALITY: [&str; 2] = [r"^(.+[市区町村])長", r"^(.+[都道府県].+[市区町村])長"];

/// The kind whose title is a line of the first page.
pub(super) fn kind(document: &Document) -> Option<Kind> {
    let lines: BTreeSet<String> = document
        .pages
        .iter()
        .take(1)
        .flat_map(|page| &page.lines)
        .map(|line| normalize::squeeze(&line.text()))
        .collect();
    Kind::ALL.into_iter().find(|kind| lines.contains(&normalize::squeeze(kind.title())))
}

/// What stands right of `label`, wherever the label stands.
pub(super) fn right_of(document: &Document, label: &str) -> Vec<String> {
    let wanted = normalize::squeeze(label);
    let mut values = Vec::new();
    for line in document.pages.iter().flat_map(|page| &page.lines) {
        let runs: Vec<String> = line.runs.iter().map(|run| run.text.trim().to_owned()).collect();
        for (at, run) in runs.iter().enumerate() {
            // A label may be spaced out over several runs.
            let mut squeezed = String::new();
            for (more, part) in runs.iter().skip(at).enumerate() {
                squeezed.push_str(&normalize::squeeze(part));
                if squeezed == wanted {
                    values.extend(runs.get(at + more + 1).filter(|value| !value.is_empty()).cloned());
                }
                if !wanted.starts_with(&squeezed) {
                    break;
                }
            }
            let inside = run.split_once(['：', ':', ' ', '　']);
            if let Some((_, value)) =
                inside.filter(|(before, value)| normalize::squeeze(before) == wanted && !value.is_empty())
            {
                values.push(value.trim().to_owned());
            }
        }
    }
    values
}

/// The first of `patterns` that finds something on every page.
pub(super) fn line<'p>(documents: &[&Document], patterns: &[&'p str]) -> Option<&'p str> {
    patterns.iter().copied().find(|pattern| {
        let Ok(regex) = Regex::new(&normalize::pattern(pattern)) else { return false };
        let on = |page: &sekisho_issuance::document::Page| {
            page.lines.iter().any(|line| regex.is_match(&normalize::line(&line.text())))
        };
        !documents.is_empty() && documents.iter().all(|document| document.pages.iter().all(on))
    })
}

/// What `pattern` finds first.
pub(super) fn found(document: &Document, pattern: &str) -> Option<String> {
    let regex = Regex::new(&normalize::pattern(pattern)).ok()?;
    let lines = document.pages.iter().flat_map(|page| &page.lines).map(|line| normalize::line(&line.text()));
    lines.into_iter().find_map(|line| Some(regex.captures(&line)?.get(1)?.as_str().to_owned()))
}

/// The first of `labels` that stands on every document with something right of it.
pub(super) fn label<'l>(documents: &[&Document], labels: &[&'l str]) -> Option<&'l str> {
    let everywhere = |label: &&&str| documents.iter().all(|document| !right_of(document, label).is_empty());
    labels.iter().find(everywhere).filter(|_| !documents.is_empty()).copied()
}

/// Whether a record's value and a printed one say the same of `field`.
pub(super) fn same(field: &str, record: &str, printed: &str) -> bool {
    match field {
        "birth_date" => normalize::date(record).is_some_and(|date| normalize::date(printed) == Some(date)),
        "sex" => normalize::sex(record).is_some_and(|sex| normalize::sex(printed) == Some(sex)),
        "address" => normalize::address(record) == normalize::address(printed),
        _ => {
            let (record, printed) = (normalize::name(record), normalize::name(printed));
            !printed.is_empty() && (record == printed || printed.chars().count() >= 10 && record.starts_with(&printed))
        }
    }
}
