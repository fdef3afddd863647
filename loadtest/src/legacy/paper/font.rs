//! Cuts the embedded TrueType font down to the glyphs of one sheet, as modern producers do.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::super::words::GAIJI_LOOKS;

/// BIZ UD Mincho, subset of a subset; see `assets/README.md`.
static ASSET: &[u8] = include_bytes!("../../../assets/BIZUDMincho-Sekisho.ttf");

/// A character as one glyph draws it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Cluster {
    pub(super) base: char,
    pub(super) selector: Option<char>,
}

impl Cluster {
    pub(super) const fn plain(base: char) -> Self {
        Self { base, selector: None }
    }

    /// What it reads as.
    pub(super) fn text(self) -> String {
        [Some(self.base), self.selector].into_iter().flatten().collect()
    }
}

/// The asset, taken apart once.
pub(super) struct Source {
    glyphs: HashMap<char, u16>,
    head: &'static [u8],
    hhea: &'static [u8],
    maxp: &'static [u8],
    hmtx: &'static [u8],
    glyf: &'static [u8],
    offsets: Vec<usize>,
    long_metrics: u16,
}

impl Source {
    /// The asset's font; `None` only if the file in the repository is damaged (a test reads it).
    pub(super) fn get() -> Option<&'static Self> {
        static SOURCE: OnceLock<Option<Source>> = OnceLock::new();
        SOURCE.get_or_init(|| Self::parse(ASSET)).as_ref()
    }

    fn parse(file: &'static [u8]) -> Option<Self> {
        let count = be16(file, 4)?;
        let table = |tag: &[u8; 4]| {
            (0..usize::from(count)).map(|n| 12 + 16 * n).find_map(|at| {
                let entry = file.get(at..at + 16)?;
                let (start, len) = (be32(entry, 8)? as usize, be32(entry, 12)? as usize);
                entry.starts_with(tag).then(|| file.get(start..start + len)).flatten()
            })
        };
        let (head, loca, maxp) = (table(b"head")?, table(b"loca")?, table(b"maxp")?);
        let glyph_count = usize::from(be16(maxp, 4)?);
        let long = be16(head, 50)? == 1;
        let offsets = (0..=glyph_count)
            .map(|n| {
                if long { be32(loca, 4 * n).map(|o| o as usize) } else { be16(loca, 2 * n).map(|o| usize::from(o) * 2) }
            })
            .collect::<Option<Vec<_>>>()?;
        let hhea = table(b"hhea")?;
        Some(Self {
            glyphs: characters(table(b"cmap")?)?,
            head,
            hhea,
            maxp,
            hmtx: table(b"hmtx")?,
            glyf: table(b"glyf")?,
            offsets,
            long_metrics: be16(hhea, 34)?,
        })
    }

    /// Does the font have it?
    pub(super) fn has(&self, c: char) -> bool {
        self.glyph(c) != 0
    }

    fn glyph(&self, c: char) -> u16 {
        let looks = GAIJI_LOOKS.iter().find(|(private, _)| *private == c).map_or(c, |(_, like)| *like);
        self.glyphs.get(&looks).copied().unwrap_or(0)
    }

    fn metric(&self, glyph: u16) -> Option<&'static [u8]> {
        let row = usize::from(glyph.min(self.long_metrics.saturating_sub(1)));
        self.hmtx.get(4 * row..4 * row + 4)
    }

    /// Advance width in thousandths of an em.
    pub(super) fn width(&self, cluster: Cluster) -> u32 {
        let units = be16(self.head, 18).map_or(1000, u32::from).max(1);
        let advance = self.metric(self.glyph(cluster.base)).and_then(|m| be16(m, 0)).map_or(0, u32::from);
        advance * 1000 / units
    }

    /// A font with `.notdef` and these, in this order.
    pub(super) fn subset(&self, clusters: &[Cluster]) -> Option<Vec<u8>> {
        let kept: Vec<u16> =
            std::iter::once(0).chain(clusters.iter().map(|cluster| self.glyph(cluster.base))).collect();
        let (mut glyf, mut loca, mut hmtx) = (Vec::new(), Vec::new(), Vec::new());
        for glyph in &kept {
            loca.extend(u32::try_from(glyf.len()).ok()?.to_be_bytes());
            let (start, end) = (*self.offsets.get(usize::from(*glyph))?, *self.offsets.get(usize::from(*glyph) + 1)?);
            glyf.extend(self.glyf.get(start..end)?);
            glyf.resize(glyf.len().next_multiple_of(4), 0);
            hmtx.extend(self.metric(*glyph)?);
        }
        loca.extend(u32::try_from(glyf.len()).ok()?.to_be_bytes());
        let count = u16::try_from(kept.len()).ok()?.to_be_bytes();
        let mut head = self.head.to_vec();
        head.get_mut(8..12)?.fill(0);
        head.get_mut(50..52)?.copy_from_slice(&1u16.to_be_bytes());
        let mut hhea = self.hhea.to_vec();
        hhea.get_mut(34..36)?.copy_from_slice(&count);
        let mut maxp = self.maxp.to_vec();
        maxp.get_mut(4..6)?.copy_from_slice(&count);
        Some(join(&[
            (b"glyf", &glyf),
            (b"head", &head),
            (b"hhea", &hhea),
            (b"hmtx", &hmtx),
            (b"loca", &loca),
            (b"maxp", &maxp),
        ]))
    }
}

/// Writes tables (sorted by tag) into a font file.
fn join(tables: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let count = u16::try_from(tables.len()).unwrap_or(0);
    let mut out = Vec::new();
    out.extend(0x0001_0000u32.to_be_bytes());
    for number in [count, 64, 2, count * 16 - 64] {
        out.extend(number.to_be_bytes());
    }
    let mut offset = 12 + 16 * tables.len();
    for (tag, data) in tables {
        out.extend(*tag);
        for number in [checksum(data), u32::try_from(offset).unwrap_or(0), u32::try_from(data.len()).unwrap_or(0)] {
            out.extend(number.to_be_bytes());
        }
        offset += data.len().next_multiple_of(4);
    }
    for (_, data) in tables {
        out.extend(*data);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

fn checksum(data: &[u8]) -> u32 {
    data.chunks(4)
        .map(|chunk| chunk.iter().chain(&[0; 4]).take(4).fold(0, |word, byte| word << 8 | u32::from(*byte)))
        .fold(0, u32::wrapping_add)
}

/// Character to glyph, from a format 4 subtable (all of the asset is in the basic plane).
fn characters(cmap: &[u8]) -> Option<HashMap<char, u16>> {
    let subtable = (0..usize::from(be16(cmap, 2)?))
        .filter_map(|n| cmap.get(be32(cmap, 4 + 8 * n + 4)? as usize..))
        .find(|table| be16(table, 0) == Some(4))?;
    let segments = usize::from(be16(subtable, 6)?) / 2;
    let mut map = HashMap::new();
    for n in 0..segments {
        let end = be16(subtable, 14 + 2 * n)?;
        let start = be16(subtable, 16 + 2 * (segments + n))?;
        let delta = be16(subtable, 16 + 2 * (2 * segments + n))?;
        let range_at = 16 + 2 * (3 * segments + n);
        let range = usize::from(be16(subtable, range_at)?);
        for code in start..=end {
            let glyph = match range {
                0 => code.wrapping_add(delta),
                _ => match be16(subtable, range_at + range + 2 * usize::from(code - start)).unwrap_or(0) {
                    0 => 0,
                    glyph => glyph.wrapping_add(delta),
                },
            };
            if let (Some(c), true) = (char::from_u32(code.into()), glyph != 0 && code != 0xFFFF) {
                map.insert(c, glyph);
            }
        }
    }
    Some(map)
}

fn be16(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

fn be32(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::super::super::words;
    use super::*;

    #[test]
    fn the_asset_has_every_character_that_the_word_lists_can_print() {
        let font = Source::get().unwrap();
        let pairs = [
            words::SURNAMES,
            words::VARIANT_SURNAMES,
            words::GAIJI_SURNAMES,
            words::MEN,
            words::WOMEN,
            words::LONG_NAMES,
        ];
        let named = pairs.into_iter().flatten().flat_map(|(a, b)| a.chars().chain(b.chars()));
        let placed = words::TOWNS.iter().chain(words::BUILDINGS).flat_map(|word| word.chars());
        for c in named.chain(placed).chain(super::super::ink::STAMP_CHARACTERS.chars()) {
            assert!(super::super::wording::is_selector(c) || font.has(c), "no glyph for {c} U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn a_subset_has_the_glyphs_asked_for_and_no_more() {
        let font = Source::get().unwrap();
        let subset = font.subset(&[Cluster::plain('住'), Cluster::plain('1')]).unwrap();
        assert!(subset.len() < 2000, "{} bytes", subset.len());
        assert_eq!((font.width(Cluster::plain('住')), font.width(Cluster::plain('1'))), (1000, 500));
    }
}
