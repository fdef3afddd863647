//! `residents.csv`: the people of a target that is not ours. Every mistake is said, with its line.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::people::People;
use super::people::Resident;
use crate::auditor::Listed;
use crate::plan::Plan;

/// More mistakes than that say nothing new.
const MOST_MISTAKES: usize = 20;
/// The columns that must be there, in any order; others are ignored.
const COLUMNS: [&str; 6] = ["number", "name", "birth", "address", "city", "card"];

/// Reads the file. `Err` is what to tell.
pub(super) fn read(plan: &Plan, file: &Path) -> Result<(People, Vec<Listed>), String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    parse(plan, &text).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(|mistake| format!("{}:{mistake}", file.display())).collect();
        lines.join("\n")
    })
}

fn parse(plan: &Plan, text: &str) -> Result<(People, Vec<Listed>), Vec<String>> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let head = reader.headers().cloned().map_err(|error| vec![format!("1: {error}")])?;
    let at = COLUMNS.map(|column| head.iter().position(|name| name == column));
    let missing: Vec<String> = COLUMNS
        .iter()
        .zip(at)
        .filter(|(_, at)| at.is_none())
        .map(|(column, _)| {
            format!("1: column `{column}` is missing\n    try: number,name,kana,birth,sex,address,city,card")
        })
        .collect();
    let [Some(number), Some(name), Some(birth), Some(address), Some(city), Some(card)] = at else {
        return Err(missing);
    };
    let (mut residents, mut listed, mut mistakes, mut numbers) = (Vec::new(), Vec::new(), Vec::new(), BTreeSet::new());
    for record in reader.records() {
        if mistakes.len() >= MOST_MISTAKES {
            break;
        }
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                mistakes.push(format!("{line}: {error}"));
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let field = |at: usize| record.get(at).unwrap_or_default().to_owned();
        let before = mistakes.len();
        let born = date(&field(birth));
        if born.is_none() {
            mistakes.push(format!("{line}: `birth` is no date\n    try: 1985-04-01"));
        }
        for (column, at) in [("number", number), ("name", name), ("card", card)] {
            if field(at).is_empty() {
                mistakes.push(format!("{line}: `{column}` is empty"));
            }
        }
        if !numbers.insert(field(number)) {
            mistakes.push(format!("{line}: `number` was there before"));
        }
        let of_city = plan.population.cities.iter().position(|(code, _)| *code == field(city));
        if let (Some(birth), true) = (born, before == mistakes.len()) {
            listed.push(Listed { id: field(number), name: field(name), birth, address: field(address) });
            // Somebody from elsewhere does not come, but their data must not come either.
            if let Some(city) = of_city {
                let household = BTreeSet::from([field(number)]);
                residents.push(Resident { id: field(number), card: field(card), city, household, person: None });
            }
        }
    }
    for (n, (code, _)) in plan.population.cities.iter().enumerate() {
        if mistakes.is_empty() && !residents.iter().any(|resident| resident.city == n) {
            mistakes.push(format!("1: nobody lives in {code}, from where [population].cities lets people come"));
        }
    }
    if mistakes.is_empty() { Ok((People::listed(plan, residents), listed)) } else { Err(mistakes) }
}

fn date(text: &str) -> Option<(i32, u8, u8)> {
    let date: jiff::civil::Date = text.parse().ok()?;
    Some((date.year().into(), u8::try_from(date.month()).ok()?, u8::try_from(date.day()).ok()?))
}

/// A document that cannot be read in so long is unreadable.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// Whether there is a program to read documents with. `Err` is what to do.
pub(super) fn has_reader() -> Result<(), String> {
    let found = Command::new("pdftotext").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.map(drop).map_err(|_| {
        "judging the documents of a target needs `pdftotext`, an independent reader: apt-get install poppler-utils"
            .to_owned()
    })
}

/// The visible text of a document, by a program that shares nothing with the gateway; empty where it cannot be read.
pub(super) fn text_of(document: &[u8]) -> String {
    try_text_of(document).unwrap_or_default()
}

fn try_text_of(document: &[u8]) -> Option<String> {
    use std::io::{Read, Write};
    let mut command = Command::new("pdftotext");
    command.args(["-q", "-layout", "-enc", "UTF-8", "-", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let (mut to, mut from) = (child.stdin.take()?, child.stdout.take()?);
    let document = document.to_vec();
    std::thread::spawn(move || to.write_all(&document));
    let (done, read) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = from.read_to_end(&mut text);
        let _ = done.send(text);
    });
    let text = read.recv_timeout(READ_WITHIN);
    if text.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().ok()?;
    status.success().then(|| String::from_utf8_lossy(&text.unwrap_or_default()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let text = "name = \"t\"\nwhy = \"t\"\n[target]\nurl = \"http://127.0.0.1:1\"\n\
                    [population]\nresidents = \"r.csv\"\ncities = { \"131016\" = 100 }\n\
                    [[stage]]\nname = \"a\"\nrate = \"1/s\"\nfor = \"1s\"\n";
        crate::plan::parse(text).unwrap()
    }

    #[test]
    fn a_list_is_read_whatever_the_order_of_its_columns() {
        let text = "\u{feff}card,city,number,name,kana,birth,sex,address\nC1,131016,1,\"関守, 一郎\",x,1985-04-01,男,a\nC2,131024,2,b,x,1990-01-02,女,\n";
        let (people, listed) = parse(&plan(), text).unwrap();
        assert_eq!(listed.len(), 2, "also those who do not come");
        assert_eq!(people.resident(0).map(|one| (one.id.as_str(), one.card.as_str())), Some(("1", "C1")));
        assert_eq!(people.resident(1), None);
        assert_eq!(listed[0].name, "関守, 一郎");
    }

    #[test]
    fn every_mistake_is_said_with_its_line() {
        let text = "number,name,birth,address,city,card\n1,a,1985-13-01,x,131016,C1\n2,,1985-01-01,x,131016,C2\n2,b,1985-01-01,x,131016,C3\n3,b\n";
        let mistakes = parse(&plan(), text).err().unwrap();
        for (expected, line) in [("`birth`", "2:"), ("`name` is empty", "3:"), ("was there before", "4:")] {
            assert!(mistakes.iter().any(|m| m.starts_with(line) && m.contains(expected)), "{expected}: {mistakes:?}");
        }
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
        assert_eq!(parse(&plan(), "number,name\n").err().unwrap().len(), 4);
        assert!(parse(&plan(), "number,name,birth,address,city,card\n").err().unwrap()[0].contains("nobody lives"));
    }
}
