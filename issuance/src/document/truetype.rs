//! The character map inside an embedded TrueType font, read backwards: which characters a glyph claims to show.

/// Glyph and character pairs, sorted.
#[derive(Default)]
pub(super) struct GlyphChars(Vec<(u16, char)>);

/// Enough for the directory of sixty tables.
pub(super) const DIRECTORY: usize = 1024;

/// More than any font has glyphs times the characters that share one.
const MAX_PAIRS: usize = 200_000;

impl GlyphChars {
    /// What the map costs to keep.
    pub(super) fn bytes(&self) -> usize {
        self.0.len() * size_of::<(u16, char)>()
    }

    /// The Unicode maps of a font program; empty when it has none, as most subsets do.
    pub(super) fn read(font: &[u8]) -> Self {
        Self::unicode_maps(font).unwrap_or_default()
    }

    /// How much of a font program holds its map, by the table directory in its first [`DIRECTORY`] bytes; 0 without a map.
    pub(super) fn extent(start: &[u8]) -> usize {
        cmap_table(start).map_or(0, |(offset, length)| offset.saturating_add(length))
    }

    /// The characters of a glyph.
    pub(super) fn of(&self, glyph: u16) -> impl Iterator<Item = char> + '_ {
        let start = self.0.partition_point(|(g, _)| *g < glyph);
        self.0.iter().skip(start).take_while(move |(g, _)| *g == glyph).map(|(_, char)| *char)
    }

    fn unicode_maps(font: &[u8]) -> Option<Self> {
        let (offset, _) = cmap_table(font)?;
        let cmap = font.get(offset..)?;
        let mut pairs = Vec::new();
        for i in 0..usize::from(u16_at(cmap, 2)?) {
            let record = cmap.get(4 + i * 8..12 + i * 8)?;
            let (platform, encoding) = (u16_at(record, 0)?, u16_at(record, 2)?);
            if platform == 0 && encoding != 5 || platform == 3 && matches!(encoding, 1 | 10) {
                let table = cmap.get(u32_at(record, 4)? as usize..)?;
                match u16_at(table, 0)? {
                    4 => format4(table, &mut pairs)?,
                    12 => format12(table, &mut pairs)?,
                    _ => {}
                }
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        Some(Self(pairs))
    }
}

/// Offset and length of the character map.
fn cmap_table(font: &[u8]) -> Option<(usize, usize)> {
    (0..usize::from(u16_at(font, 4)?)).find_map(|i| {
        let record = font.get(12 + i * 16..28 + i * 16)?;
        let place = (u32_at(record, 8)? as usize, u32_at(record, 12)? as usize);
        (record.get(..4)? == b"cmap").then_some(place)
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_be_bytes(*b))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}

fn push(pairs: &mut Vec<(u16, char)>, glyph: u16, code: u32) -> Option<()> {
    if glyph != 0
        && let Some(char) = char::from_u32(code)
    {
        pairs.push((glyph, char));
    }
    (pairs.len() <= MAX_PAIRS).then_some(())
}

/// Segments with deltas or offsets into a glyph array.
fn format4(table: &[u8], pairs: &mut Vec<(u16, char)>) -> Option<()> {
    let doubled = usize::from(u16_at(table, 6)?);
    for segment in (0..doubled).step_by(2) {
        let end = u16_at(table, 14 + segment)?;
        let start = u16_at(table, 16 + doubled + segment)?;
        let delta = u16_at(table, 16 + 2 * doubled + segment)?;
        let offset_at = 16 + 3 * doubled + segment;
        let offset = usize::from(u16_at(table, offset_at)?);
        for code in start..=end {
            if code == 0xffff {
                break;
            }
            let glyph = if offset == 0 {
                code.wrapping_add(delta)
            } else {
                match u16_at(table, offset_at + offset + 2 * usize::from(code - start))? {
                    0 => 0,
                    glyph => glyph.wrapping_add(delta),
                }
            };
            push(pairs, glyph, u32::from(code))?;
        }
    }
    Some(())
}

/// Groups of consecutive characters and glyphs.
fn format12(table: &[u8], pairs: &mut Vec<(u16, char)>) -> Option<()> {
    for group in 0..u32_at(table, 12)? as usize {
        let record = table.get(16 + group.checked_mul(12)?..)?;
        let (start, end, glyph) = (u32_at(record, 0)?, u32_at(record, 4)?, u32_at(record, 8)?);
        for code in start..=end.min(0x10_ffff) {
            push(pairs, u16::try_from(glyph.checked_add(code - start)?).ok()?, code)?;
        }
    }
    Some(())
}
