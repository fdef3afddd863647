//! One inked sheet as finished PDF objects: rendered once per content, byte for byte the same ever after.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use xxhash_rust::xxh3::xxh3_128;

use super::super::city::{Municipality, PaperStyle};
use super::super::resident::PersonNo;
use super::font::{Cluster, Source};
use super::ink::{self, Glyphs};
use super::sheet::{self, Sheet, Text};
use super::{Extract, Form};

/// A sheet without what is stamped on at issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageImage {
    /// The objects, one after the other.
    pub(super) objects: Vec<u8>,
    /// Where in `objects` each of them starts; their numbers follow each other from [`Numbers::page`].
    pub(crate) starts: Vec<usize>,
    /// Of `objects`.
    pub(crate) digest: u128,
    /// The form printed.
    pub(crate) form: Form,
    /// Sheet number from 0.
    pub(crate) index: usize,
    /// Whose data stand on it, and of which version.
    pub(crate) origins: Vec<(PersonNo, u64)>,
    /// Data of different records are mixed within one person's block.
    pub(crate) torn: bool,
}

/// Object numbers of each style: some for the file, then equally many for each page.
pub(super) struct Numbers {
    /// First number of page 0.
    first: usize,
    /// How many each page has.
    pub(super) each: usize,
}

impl Numbers {
    pub(super) const fn of(style: PaperStyle) -> Self {
        match style {
            PaperStyle::Embedded => Self { first: 5, each: 8 },
            PaperStyle::ShiftJis => Self { first: 8, each: 3 },
            PaperStyle::Ucs2 => Self { first: 9, each: 3 },
        }
    }

    /// The page dictionary's number; the page's other objects follow it.
    pub(super) const fn page(&self, index: usize) -> usize {
        self.first + self.each * index
    }

    /// The stamp's number: the last one of the page.
    pub(super) const fn stamp(&self, index: usize) -> usize {
        self.page(index) + self.each - 1
    }
}

/// The page dictionary of sheet `index`.
pub(super) fn dictionary(style: PaperStyle, index: usize) -> String {
    let numbers = Numbers::of(style);
    let (page, stamp) = (numbers.page(index), numbers.stamp(index));
    let font = if style == PaperStyle::Embedded { page + 2 } else { 5 };
    format!(
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents[{} 0 R {stamp} 0 R]\
         /Resources<</Font<</F1 {font} 0 R>>/XObject<</Im1 4 0 R>>>>>>",
        page + 1
    )
}

/// Inks sheet `index`. `None` only if the font asset is damaged.
pub(in super::super) fn render(
    city: &Municipality,
    first: &Extract,
    second: &Extract,
    index: usize,
) -> Option<PageImage> {
    let style = city.style;
    let sheet = sheet::lay_out(city, first, second, index).or_whole(city, [second, first], index);
    let mut objects = Objects { bytes: Vec::new(), starts: Vec::new(), next: Numbers::of(style).page(index) };
    match style {
        PaperStyle::Embedded => {
            let glyphs = Glyphs::of(&sheet.texts);
            objects.plain(&dictionary(style, index));
            objects.stream("", &content(&sheet, |text| glyphs.encode(text)), true);
            embedded_font(&mut objects, &glyphs)?;
        }
        PaperStyle::ShiftJis => {
            objects.plain(&dictionary(style, index));
            objects.stream("", &content(&sheet, |text| ink::shift_jis(text).unwrap_or_default()), false);
        }
        PaperStyle::Ucs2 => {
            // The page dictionary is in the object stream.
            objects.next += 1;
            objects.stream("", &content(&sheet, ink::ucs2), true);
        }
    }
    let Objects { bytes, starts, .. } = objects;
    let digest = xxh3_128(&bytes);
    Some(PageImage {
        objects: bytes,
        starts,
        digest,
        form: first.form,
        index,
        origins: sheet.origins,
        torn: sheet.torn,
    })
}

/// The page's operators.
fn content(sheet: &Sheet, encode: impl Fn(&str) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    if sheet.last {
        out.extend(b"q 62 0 0 62 470 58 cm /Im1 Do Q\n");
    }
    out.extend(b"0.5 w\n");
    for y in &sheet.rules {
        out.extend(format!("60 {y} m 535 {y} l S\n").bytes());
    }
    out.extend(b"BT\n");
    for Text { x, y, size, text } in &sheet.texts {
        out.extend(format!("/F1 {size} Tf 1 0 0 1 {x} {y} Tm ").bytes());
        ink::push_hex(&mut out, &encode(text));
        out.extend(b" Tj\n");
    }
    out.extend(b"ET\n");
    out
}

/// Objects with consecutive numbers.
struct Objects {
    bytes: Vec<u8>,
    starts: Vec<usize>,
    next: usize,
}

impl Objects {
    fn open(&mut self) {
        self.starts.push(self.bytes.len());
        self.bytes.extend(format!("{} 0 obj\n", self.next).bytes());
        self.next += 1;
    }

    fn plain(&mut self, text: &str) {
        self.open();
        self.bytes.extend(text.bytes());
        self.bytes.extend(b"\nendobj\n");
    }

    fn stream(&mut self, keys: &str, data: &[u8], compressed: bool) {
        self.open();
        stream(&mut self.bytes, keys, data, compressed);
        self.bytes.extend(b"endobj\n");
    }
}

/// A stream's dictionary and data.
pub(super) fn stream(out: &mut Vec<u8>, keys: &str, data: &[u8], compressed: bool) {
    let deflated = if compressed { deflate(data) } else { None };
    let (filter, data) = deflated.as_deref().map_or(("", data), |deflated| ("/Filter/FlateDecode", deflated));
    out.extend(format!("<</Length {}{filter}{keys}>>\nstream\n", data.len()).bytes());
    out.extend(data);
    out.extend(b"\nendstream\n");
}

fn deflate(data: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).ok()?;
    encoder.finish().ok()
}

/// Type 0 font, descendant, descriptor, font file and ToUnicode, in the numbers that follow the content.
fn embedded_font(objects: &mut Objects, glyphs: &Glyphs) -> Option<()> {
    let source = Source::get()?;
    let clusters = glyphs.clusters();
    let first = objects.next;
    let file = source.subset(clusters)?;
    let tag: String = xxh3_128(&file).to_le_bytes().iter().take(6).map(|b| char::from(b'A' + b % 26)).collect();
    let name = format!("{tag}+BIZUDMincho-Regular");
    objects.plain(&format!(
        "<</Type/Font/Subtype/Type0/BaseFont/{name}/Encoding/Identity-H/DescendantFonts[{} 0 R]/ToUnicode {} 0 R>>",
        first + 1,
        first + 4
    ));
    let widths: Vec<String> = clusters.iter().map(|cluster| source.width(*cluster).to_string()).collect();
    objects.plain(&format!(
        "<</Type/Font/Subtype/CIDFontType2/BaseFont/{name}/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>\
         /FontDescriptor {} 0 R/DW 1000/W[1[{}]]/CIDToGIDMap/Identity>>",
        first + 2,
        widths.join(" ")
    ));
    objects.plain(&format!(
        "<</Type/FontDescriptor/FontName/{name}/Flags 4/FontBBox[-100 -200 1100 900]/ItalicAngle 0/Ascent 880/Descent -120\
         /CapHeight 700/StemV 80/FontFile2 {} 0 R>>",
        first + 3
    ));
    objects.stream(&format!("/Length1 {}", file.len()), &file, true);
    objects.stream("", to_unicode(clusters).as_bytes(), true);
    Some(())
}

fn to_unicode(clusters: &[Cluster]) -> String {
    let mut map = String::from(
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n\
         /CIDSystemInfo <</Registry (Adobe) /Ordering (UCS) /Supplement 0>> def\n\
         /CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n\
         1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n",
    );
    let codes: Vec<String> = clusters
        .iter()
        .enumerate()
        .map(|(n, cluster)| {
            let text: String = cluster.text().encode_utf16().map(|unit| format!("{unit:04X}")).collect();
            format!("<{:04X}> <{text}>\n", n + 1)
        })
        .collect();
    for chunk in codes.chunks(100) {
        map.push_str(&format!("{} beginbfchar\n{}endbfchar\n", chunk.len(), chunk.concat()));
    }
    map.push_str("endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n");
    map
}
