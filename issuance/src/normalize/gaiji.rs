//! One city's table from private-use characters to Unicode.
//!
//! A line is `E001 9AD9` or `E001 845B E0100`: the private-use code, then what it stands for, in hexadecimal; `#` starts a
//! comment. The same code means something else in the next city, so a table belongs to one municipality.

use std::collections::HashMap;

/// What is wrong with a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct GaijiError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: &'static str,
}

/// From private-use characters to what they stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GaijiTable(HashMap<char, String>);

impl GaijiTable {
    /// Reads a table.
    pub fn parse(text: &str) -> Result<Self, GaijiError> {
        let mut table = HashMap::new();
        for (index, row) in text.lines().enumerate() {
            let wrong = |message| GaijiError { line: index + 1, message };
            let row = row.split('#').next().unwrap_or_default();
            let mut codes = row.split_whitespace().map(|code| {
                let digits = code.trim_start_matches("U+");
                u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)
            });
            let Some(first) = codes.next() else { continue };
            let gaiji = first.filter(|c| matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}'));
            let gaiji = gaiji.ok_or(wrong("the first code is not a private-use character (E000-F8FF)"))?;
            let meaning: String = codes.collect::<Option<_>>().ok_or(wrong("not a hexadecimal code"))?;
            if meaning.is_empty() || meaning.chars().any(super::is_unknown) {
                return Err(wrong("the code stands for no Unicode character"));
            }
            if table.insert(gaiji, meaning).is_some() {
                return Err(wrong("the code is in the table twice"));
            }
        }
        Ok(Self(table))
    }

    /// Replaces what the table knows; the rest stays unknown.
    pub fn apply(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match self.0.get(&c) {
                Some(meaning) => out.push_str(meaning),
                None => out.push(c),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_maps_its_own_codes_only() {
        let table = GaijiTable::parse("# 見本市\nE001 9AD9\nU+E002 U+845B U+E0100 # 葛\n\n").unwrap();
        assert_eq!(table.apply("\u{e001}橋\u{e002}\u{e003}"), "髙橋葛\u{e0100}\u{e003}");
    }

    #[test]
    fn a_table_that_could_mislead_is_refused_with_its_line() {
        let line = |text: &str| GaijiTable::parse(text).unwrap_err().line;
        assert_eq!(line("E001 9AD8\n9AD9 9AD8"), 2);
        assert_eq!(line("E001 9AD8\nE001 9AD9"), 2);
        assert_eq!(line("E001 E002"), 1);
        assert_eq!(line("E001"), 1);
        assert_eq!(line("E001 高"), 1);
    }
}
