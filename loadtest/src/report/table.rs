//! The table in the terminal.

use super::row::{Path, Row};

/// A text table that grows row by row.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
}

const HEAD: [&str; 11] =
    ["incident", "path", "requests", "released", "wrong", "mixed", "stale", "dup", "withheld", "shed", "served"];
const WIDTHS: [usize; 11] = [25, 8, 8, 8, 6, 6, 6, 5, 8, 6, 8];

impl Table {
    /// Adds a row and returns its line.
    pub fn add(&mut self, row: Row) -> String {
        let line = line(&row);
        self.rows.push(row);
        line
    }

    /// What was added.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The two lines above the first row.
    pub fn head() -> String {
        let titles = cells(HEAD.map(str::to_owned));
        format!("{titles}\n{}", "─".repeat(titles.chars().count()))
    }
}

fn line(row: &Row) -> String {
    let harm = match (row.path, row.harmless()) {
        (Path::Direct, false) => format!("  {}", remarks(row)),
        (Path::Gateway, false) => format!("  HARM THROUGH THE GATEWAY {}", remarks(row)),
        _ => String::new(),
    };
    let served = format!("{:.2}%", row.served_ratio_of_unaffected * 100.0);
    let figures = [
        row.incident.clone(),
        row.path.name().to_owned(),
        row.requests.to_string(),
        row.released.to_string(),
        row.wrong_person.to_string(),
        row.mixed_page.to_string(),
        row.stale.to_string(),
        row.duplicate.to_string(),
        row.withheld.to_string(),
        row.shed.to_string(),
        served,
    ];
    format!("{}{harm}", cells(figures)).trim_end().to_owned()
}

fn remarks(row: &Row) -> String {
    let counted = [
        ("misapplied changes", row.misapplied),
        ("alarms closed by a good retry", row.alarms_closed_by_retry),
        ("wrong data", row.wrong_data),
    ];
    let named: Vec<String> = counted.iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{n} {name}")).collect();
    named.join(", ")
}

fn cells(texts: [String; 11]) -> String {
    let padded = texts.iter().zip(WIDTHS).enumerate().map(|(column, (text, width))| match column {
        0 | 1 => format!("{text:<width$}"),
        _ => format!("{text:>width$}"),
    });
    padded.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harm_through_the_gateway_cannot_be_overlooked() {
        let harmless = Row { served_ratio_of_unaffected: 1.0, ..Row::empty("stale-seal", Path::Gateway, 1) };
        let harmful = Row { wrong_person: 1, ..harmless.clone() };
        let mut table = Table::default();
        assert!(!table.add(harmless).contains("HARM"));
        assert!(table.add(harmful).contains("HARM THROUGH THE GATEWAY"));
    }
}
