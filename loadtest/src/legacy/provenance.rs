//! What a delivered document really says, without reading its text: every byte is traced to what was rendered.

use super::paper::{Form, Taken};
use super::resident::PersonNo;
use super::world::World;

/// The document is not, byte for byte, one that this world can have put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotOurs;

/// Where one delivered sheet came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageOrigin {
    /// Whose data stand on it, and the newest version of the record that would print the same.
    pub residents: Vec<(PersonNo, u64)>,
    /// Index of the municipality whose paper it is.
    pub city: usize,
    /// What form it is a sheet of.
    pub kind: Form,
    /// Sheet number from 1, as the page mark says.
    pub page: usize,
    /// Sheets in all, as the page mark says.
    pub pages: usize,
    /// The sheet number, from 1, that the content was laid out for.
    pub laid_out_as: usize,
    /// 発行番号
    pub issue_number: String,
    /// 発行日
    pub issue_date: String,
    /// One person's block mixes data of different records or versions.
    pub torn: bool,
}

impl World {
    /// Traces a delivered document to the records that it was rendered from.
    pub fn audit_pdf(&self, file: &[u8]) -> Result<Vec<PageOrigin>, NotOurs> {
        let starts_in = |digest: u128| self.sheets.get(&digest).map(|sheet| sheet.starts.clone());
        let taken = self.cities.iter().find_map(|city| city.press.take_apart(file, starts_in));
        let Taken { sheets, stamp } = taken.ok_or(NotOurs)?;
        let pages = sheets.len();
        let origin = |(at, digest): (usize, &u128)| {
            let sheet = self.sheets.get(digest).map(|entry| entry.value().clone()).ok_or(NotOurs)?;
            let newest =
                |(no, version): &(PersonNo, u64)| (*no, self.register().shown_until(*no, *version, sheet.form));
            Ok(PageOrigin {
                residents: sheet.origins.iter().map(newest).collect(),
                city: sheet.city,
                kind: sheet.form,
                page: at + 1,
                pages,
                laid_out_as: sheet.index + 1,
                issue_number: stamp.number.clone(),
                issue_date: stamp.date.clone(),
                torn: sheet.torn,
            })
        };
        sheets.iter().enumerate().map(origin).collect()
    }
}
