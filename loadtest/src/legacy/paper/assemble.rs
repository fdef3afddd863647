//! Puts finished sheets together into a file and stamps them; and takes such a file apart again, byte for byte.

use jiff::civil::Date;

use super::super::city::{Municipality, PaperStyle};
use super::ink;
use super::page::{self, Numbers, PageImage};
use super::picture;
use super::wording::plain_date;

/// The most sheets a certificate of this world has.
const MOST_SHEETS: usize = 4;

/// What differs between two copies of the same certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// 発行番号
    pub(crate) number: String,
    /// 発行日
    pub(crate) date: String,
}

impl Stamp {
    /// Municipality, terminal, date and serial number, as printed.
    pub(in super::super) fn new(city_code: &str, terminal: &str, date: Date, serial: u64) -> Self {
        let terminal: String =
            terminal.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).take(12).collect();
        let number =
            format!("{city_code}-{terminal}-{:04}{:02}{:02}-{serial:08}", date.year(), date.month(), date.day());
        Self { number, date: plain_date(date) }
    }

    fn content(&self, style: PaperStyle, page: usize, pages: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(400);
        let texts = [
            (&b"BT /F1 9 Tf 1 0 0 1 300 812 Tm "[..], format!("発行番号　{}", self.number)),
            (&b"/F1 11 Tf 1 0 0 1 70 104 Tm "[..], format!("発行日　{}", self.date)),
            (&b"/F1 9 Tf 1 0 0 1 288 40 Tm "[..], format!("{}／{pages}", page + 1)),
        ];
        for (place, text) in texts {
            out.extend(place);
            let codes = match style {
                PaperStyle::Embedded => text.chars().flat_map(|c| ink::stamp_code(c).to_be_bytes()).collect(),
                PaperStyle::ShiftJis => ink::shift_jis(&text).unwrap_or_default(),
                PaperStyle::Ucs2 => ink::ucs2(&text),
            };
            ink::push_hex(&mut out, &codes);
            out.extend(b" Tj\n");
        }
        out.extend(b"ET\n");
        out
    }

    /// Reads a stamp's operators back: the stamp, and the page mark's two numbers.
    fn read(style: PaperStyle, content: &[u8]) -> Option<(Self, usize, usize)> {
        let mut rest = content.get(find(content, b"stream\n")? + 7..)?;
        let mut next = || {
            let (codes, behind) = ink::read_hex(rest)?;
            rest = behind;
            let units = || {
                codes.chunks_exact(2).map(|pair| {
                    u16::from_be_bytes([pair.first().copied().unwrap_or(0), pair.last().copied().unwrap_or(0)])
                })
            };
            match style {
                PaperStyle::Embedded => units().map(ink::stamp_character).collect::<Option<String>>(),
                PaperStyle::ShiftJis => {
                    encoding_rs::SHIFT_JIS.decode_without_bom_handling_and_without_replacement(&codes).map(Into::into)
                }
                PaperStyle::Ucs2 => char::decode_utf16(units()).collect::<Result<String, _>>().ok(),
            }
        };
        let (number, date, mark) = (next()?, next()?, next()?);
        let (page, pages) = mark.split_once('／')?;
        let stamp = Self {
            number: number.strip_prefix("発行番号　")?.to_owned(),
            date: date.strip_prefix("発行日　")?.to_owned(),
        };
        Some((stamp, page.parse::<usize>().ok()?.checked_sub(1)?, pages.parse().ok()?))
    }
}

/// What a file of ours turned out to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The digest of each sheet's objects, to be looked up among what was rendered.
    pub(crate) sheets: Vec<u128>,
    /// What was stamped on.
    pub(crate) stamp: Stamp,
}

/// Everything of a file that comes before the first sheet; the same for every file of that many sheets.
struct Prelude {
    bytes: Vec<u8>,
    /// (object number, offset)
    starts: Vec<(usize, usize)>,
}

/// One municipality's way to put files together.
pub(crate) struct Press {
    style: PaperStyle,
    preludes: Vec<Prelude>,
}

impl Press {
    pub(in super::super) fn new(city: &Municipality) -> Self {
        let salt = city.code.bytes().fold(0u64, |sum, b| sum * 31 + u64::from(b));
        let preludes = (1..=MOST_SHEETS).map(|pages| prelude(city.style, salt, pages)).collect();
        Self { style: city.style, preludes }
    }

    /// The finished file. Sheets must be in order; `None` when there are none or too many.
    pub(crate) fn assemble(&self, sheets: &[&PageImage], stamp: &Stamp) -> Option<Vec<u8>> {
        let (pages, numbers) = (sheets.len(), Numbers::of(self.style));
        let prelude = self.preludes.get(pages.checked_sub(1)?)?;
        let room = sheets.iter().map(|sheet| sheet.objects.len() + 512).sum::<usize>();
        let mut out = Vec::with_capacity(prelude.bytes.len() + room + 64 * (8 + pages * numbers.each));
        let mut starts = vec![0; numbers.page(pages)];
        let mut place = |number: usize, at: usize| {
            if let Some(start) = starts.get_mut(number) {
                *start = at;
            }
        };
        out.extend_from_slice(&prelude.bytes);
        for (number, at) in &prelude.starts {
            place(*number, *at);
        }
        for (index, sheet) in sheets.iter().enumerate() {
            let first = numbers.stamp(index) - sheet.starts.len();
            for (n, start) in sheet.starts.iter().enumerate() {
                place(first + n, out.len() + start);
            }
            out.extend_from_slice(&sheet.objects);
            place(numbers.stamp(index), out.len());
            push_number(&mut out, numbers.stamp(index), 0);
            out.extend_from_slice(b" 0 obj\n");
            page::stream(&mut out, "", &stamp.content(self.style, index, pages), false);
            out.extend_from_slice(b"endobj\n");
        }
        let at = out.len();
        match self.style {
            PaperStyle::Embedded | PaperStyle::ShiftJis => table(&mut out, &starts),
            PaperStyle::Ucs2 => cross_reference_stream(&mut out, &starts, pages),
        }
        out.extend_from_slice(b"startxref\n");
        push_number(&mut out, at, 0);
        out.extend_from_slice(b"\n%%EOF\n");
        Some(out)
    }

    /// Takes a file apart if this press made it: every byte is accounted for by the sheets, the stamp and the layout. `starts_in`
    /// knows the rendered sheets by digest, and where in each its objects start.
    pub(crate) fn take_apart(&self, file: &[u8], starts_in: impl Fn(u128) -> Option<Vec<usize>>) -> Option<Taken> {
        let numbers = Numbers::of(self.style);
        let prelude_at = self.preludes.iter().position(|prelude| file.starts_with(&prelude.bytes))?;
        let pages = prelude_at + 1;
        let start_of = |number| start_of(self.style, file, number);
        let mut sheets = Vec::with_capacity(pages);
        let mut stamped = None;
        let mut expected = self.preludes.get(prelude_at)?.bytes.clone();
        let mut starts = vec![0; numbers.page(pages)];
        for (number, at) in &self.preludes.get(prelude_at)?.starts {
            *starts.get_mut(*number)? = *at;
        }
        for index in 0..pages {
            let (sheet_at, stamp_at) = (expected.len(), start_of(numbers.stamp(index))?);
            let objects = file.get(sheet_at..stamp_at)?;
            let digest = xxhash_rust::xxh3::xxh3_128(objects);
            let own = starts_in(digest)?;
            for (n, start) in own.iter().enumerate() {
                *starts.get_mut(numbers.stamp(index) - own.len() + n)? = sheet_at + start;
            }
            sheets.push(digest);
            *starts.get_mut(numbers.stamp(index))? = stamp_at;
            let (stamp, page, of) = Stamp::read(self.style, file.get(stamp_at..)?)?;
            if (page, of) != (index, pages) || stamped.as_ref().is_some_and(|other| *other != stamp) {
                return None;
            }
            expected.extend_from_slice(objects);
            push_number(&mut expected, numbers.stamp(index), 0);
            expected.extend_from_slice(b" 0 obj\n");
            page::stream(&mut expected, "", &stamp.content(self.style, index, pages), false);
            expected.extend_from_slice(b"endobj\n");
            stamped = Some(stamp);
        }
        let at = expected.len();
        match self.style {
            PaperStyle::Embedded | PaperStyle::ShiftJis => table(&mut expected, &starts),
            PaperStyle::Ucs2 => cross_reference_stream(&mut expected, &starts, pages),
        }
        expected.extend_from_slice(b"startxref\n");
        push_number(&mut expected, at, 0);
        expected.extend_from_slice(b"\n%%EOF\n");
        (expected == file).then_some(Taken { sheets, stamp: stamped? })
    }
}

fn prelude(style: PaperStyle, salt: u64, pages: usize) -> Prelude {
    let numbers = Numbers::of(style);
    let kids: Vec<String> = (0..pages).map(|index| format!("{} 0 R", numbers.page(index))).collect();
    let producer = match style {
        PaperStyle::Embedded => "Madoguchi Print 3.2",
        PaperStyle::ShiftJis => "CHOHYO 98",
        PaperStyle::Ucs2 => "FormServer V5",
    };
    let catalog = "<</Type/Catalog/Pages 2 0 R>>".to_owned();
    let tree = format!("<</Type/Pages/Count {pages}/Kids[{}]>>", kids.join(" "));
    let info = format!("<</Producer({producer})>>");
    let picture = picture::official_seal(salt);
    let picture_keys = format!(
        "/Type/XObject/Subtype/Image/Width {0}/Height {0}/BitsPerComponent 8/ColorSpace/DeviceGray",
        picture::SIDE
    );
    let version = match style {
        PaperStyle::Embedded => "1.7",
        PaperStyle::ShiftJis => "1.4",
        PaperStyle::Ucs2 => "1.5",
    };
    let mut made = Prelude { bytes: format!("%PDF-{version}\n%").into_bytes(), starts: Vec::new() };
    made.bytes.extend([0xE2, 0xE3, 0xCF, 0xD3, b'\n']);
    let dictionaries: Vec<(usize, String)> =
        [(1, catalog), (2, tree), (3, info)].into_iter().chain(predefined_font(style)).collect();
    if style == PaperStyle::Ucs2 {
        let packed: Vec<_> = dictionaries
            .into_iter()
            .chain((0..pages).map(|index| (numbers.page(index), page::dictionary(style, index))))
            .collect();
        let mut index = String::new();
        let mut body = String::new();
        for (number, text) in &packed {
            index.push_str(&format!("{number} {} ", body.len()));
            body.push_str(text);
            body.push('\n');
        }
        let keys = format!("/Type/ObjStm/N {}/First {}", packed.len(), index.len());
        made.object(8, |out| page::stream(out, &keys, format!("{index}{body}").as_bytes(), true));
    } else {
        for (number, text) in dictionaries {
            made.object(number, |out| out.extend(format!("{text}\n").bytes()));
        }
    }
    // The embedded style is large enough without a picture as big as the others'.
    made.object(4, |out| page::stream(out, &picture_keys, &picture, style == PaperStyle::Embedded));
    made
}

impl Prelude {
    fn object(&mut self, number: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.starts.push((number, self.bytes.len()));
        self.bytes.extend(format!("{number} 0 obj\n").bytes());
        write(&mut self.bytes);
        self.bytes.extend(b"endobj\n");
    }
}

/// The font objects 5 to 7 of the styles that leave the font to the printer.
fn predefined_font(style: PaperStyle) -> Vec<(usize, String)> {
    let map = match style {
        PaperStyle::Embedded => return Vec::new(),
        PaperStyle::ShiftJis => "90ms-RKSJ-H",
        PaperStyle::Ucs2 => "UniJIS-UCS2-H",
    };
    vec![
        (5, format!("<</Type/Font/Subtype/Type0/BaseFont/Ryumin-Light-{map}/Encoding/{map}/DescendantFonts[6 0 R]>>")),
        (
            6,
            "<</Type/Font/Subtype/CIDFontType0/BaseFont/Ryumin-Light/CIDSystemInfo<</Registry(Adobe)/Ordering(Japan1)/Supplement 4>>\
             /FontDescriptor 7 0 R/DW 1000/W[1 95 500 231 632 500]>>"
                .to_owned(),
        ),
        (
            7,
            "<</Type/FontDescriptor/FontName/Ryumin-Light/Flags 6/FontBBox[-170 -331 1024 903]/ItalicAngle 0/Ascent 723\
             /Descent -241/CapHeight 709/StemV 69>>"
                .to_owned(),
        ),
    ]
}

/// Decimal digits, at least `width` of them.
fn push_number(out: &mut Vec<u8>, mut number: usize, width: usize) {
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        if number == 0 && used >= width.max(1) {
            break;
        }
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        used += 1;
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

fn table(out: &mut Vec<u8>, starts: &[usize]) {
    out.extend_from_slice(b"xref\n0 ");
    push_number(out, starts.len(), 0);
    out.extend_from_slice(b"\n0000000000 65535 f \n");
    for start in starts.iter().skip(1) {
        push_number(out, *start, 10);
        out.extend_from_slice(b" 00000 n \n");
    }
    out.extend_from_slice(b"trailer\n<</Size ");
    push_number(out, starts.len(), 0);
    out.extend_from_slice(b"/Root 1 0 R/Info 3 0 R>>\n");
}

/// Three fields of 1, 4 and 1 bytes an object; the stream itself is the last object.
fn cross_reference_stream(out: &mut Vec<u8>, starts: &[usize], pages: usize) {
    let own = out.len();
    let size = starts.len() + 1;
    let numbers = Numbers::of(PaperStyle::Ucs2);
    push_number(out, starts.len(), 0);
    out.extend_from_slice(b" 0 obj\n<</Type/XRef/W[1 4 1]/Root 1 0 R/Info 3 0 R/Size ");
    push_number(out, size, 0);
    out.extend_from_slice(b"/Length ");
    push_number(out, 6 * size, 0);
    out.extend_from_slice(b">>\nstream\n");
    let packed = [1, 2, 3, 5, 6, 7].into_iter().chain((0..pages).map(|index| numbers.page(index)));
    let packed: Vec<usize> = packed.collect();
    for (number, start) in starts.iter().copied().chain([own]).enumerate() {
        let place = packed.iter().position(|p| *p == number);
        let (kind, value, last) = match (number, place) {
            (0, _) => (0, 0, 255),
            (_, Some(place)) => (2, 8, u8::try_from(place).unwrap_or(0)),
            (_, None) => (1, start, 0),
        };
        out.push(kind);
        out.extend_from_slice(&u32::try_from(value).unwrap_or(0).to_be_bytes());
        out.push(last);
    }
    out.extend_from_slice(b"\nendstream\nendobj\n");
}

/// Where the file's own cross-reference says that an object starts.
fn start_of(style: PaperStyle, file: &[u8], number: usize) -> Option<usize> {
    let tail = file.get(file.len().checked_sub(40)?..)?;
    let tail = std::str::from_utf8(tail.get(find(tail, b"startxref\n")? + 10..)?).ok()?;
    let at: usize = tail.lines().next()?.parse().ok()?;
    let section = file.get(at..)?;
    match style {
        PaperStyle::Embedded | PaperStyle::ShiftJis => {
            let first = find(section, b" f \n")? + 4 + 20 * number.checked_sub(1)?;
            std::str::from_utf8(section.get(first..first + 10)?).ok()?.parse().ok()
        }
        PaperStyle::Ucs2 => {
            let first = find(section, b"stream\n")? + 7 + 6 * number;
            let entry: [u8; 4] = section.get(first + 1..first + 5)?.try_into().ok()?;
            usize::try_from(u32::from_be_bytes(entry)).ok()
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
