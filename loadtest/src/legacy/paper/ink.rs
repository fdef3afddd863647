//! Turns text into the character codes of each producer's font.

use std::collections::BTreeSet;

use super::font::Cluster;
use super::sheet::Text;
use super::wording::is_selector;

/// Characters of the parts that are stamped on at issue; first in every embedded subset, so their codes never change.
pub(super) const STAMP_CHARACTERS: &str = "0123456789-ABCDEFGHIJKLMNOPQRSTUVWXYZ／発行番号日令和年月元平成　";

/// The glyph numbers of one embedded subset: 0 is `.notdef`, then the stamp's characters, then the sheet's own.
pub(super) struct Glyphs {
    clusters: Vec<Cluster>,
}

impl Glyphs {
    pub(super) fn of(texts: &[Text]) -> Self {
        let stamp: Vec<Cluster> = STAMP_CHARACTERS.chars().map(Cluster::plain).collect();
        let own: BTreeSet<Cluster> =
            texts.iter().flat_map(|t| clusters(&t.text)).filter(|cluster| !stamp.contains(cluster)).collect();
        Self { clusters: stamp.into_iter().chain(own).collect() }
    }

    /// Every cluster, in glyph order from glyph 1.
    pub(super) fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    fn code(&self, cluster: Cluster) -> u16 {
        let at = self.clusters.iter().position(|known| *known == cluster);
        at.and_then(|at| u16::try_from(at + 1).ok()).unwrap_or(0)
    }

    pub(super) fn encode(&self, text: &str) -> Vec<u8> {
        clusters(text).into_iter().flat_map(|cluster| self.code(cluster).to_be_bytes()).collect()
    }
}

/// The glyph number of a stamp character in every embedded subset.
pub(super) fn stamp_code(c: char) -> u16 {
    STAMP_CHARACTERS.chars().position(|known| known == c).and_then(|at| u16::try_from(at + 1).ok()).unwrap_or(0)
}

/// The stamp character of a glyph number.
pub(super) fn stamp_character(code: u16) -> Option<char> {
    STAMP_CHARACTERS.chars().nth(usize::from(code).checked_sub(1)?)
}

/// Base characters with their variation selectors.
fn clusters(text: &str) -> Vec<Cluster> {
    let mut clusters: Vec<Cluster> = Vec::new();
    for c in text.chars() {
        match clusters.last_mut() {
            Some(last) if is_selector(c) && last.selector.is_none() => last.selector = Some(c),
            _ => clusters.push(Cluster::plain(c)),
        }
    }
    clusters
}

/// Windows-31J bytes, if it can say all of it.
pub(super) fn shift_jis(text: &str) -> Option<Vec<u8>> {
    let (bytes, _, failed) = encoding_rs::SHIFT_JIS.encode(text);
    (!failed).then(|| bytes.into_owned())
}

/// Big-endian UCS-2; what is outside the basic plane becomes 〓.
pub(super) fn ucs2(text: &str) -> Vec<u8> {
    text.chars().flat_map(|c| u16::try_from(u32::from(c)).unwrap_or(0x3013).to_be_bytes()).collect()
}

/// `<0123ab>`
pub(super) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'<');
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            out.push(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'));
        }
    }
    out.push(b'>');
}

/// What stands between the next `<` and `>`, and the rest behind it.
pub(super) fn read_hex(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let start = text.iter().position(|b| *b == b'<')? + 1;
    let end = start + text.get(start..)?.iter().position(|b| *b == b'>')?;
    let digits = std::str::from_utf8(text.get(start..end)?).ok()?;
    let bytes = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok());
    Some((bytes.collect::<Option<_>>()?, text.get(end + 1..)?))
}
