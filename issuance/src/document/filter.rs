//! Stream filters with a ceiling (ISO 32000-2, 7.4). Damaged data is an error; nothing is cut short or guessed.

use std::borrow::Cow;
use std::cell::RefCell;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use super::Unreadable;
use super::budget::Budget;
use super::lex::is_white;
use super::value::{Dict, Value};

const BAD: Unreadable = Unreadable("bad_stream");
const UNSUPPORTED: Unreadable = Unreadable("unsupported_filter");

/// More in a row only ever served to hide a bomb.
const MAX_FILTERS: usize = 4;

/// Applies the filters that `filters` and `parameters` (both already resolved) declare.
pub(super) fn decode<'d>(
    data: Cow<'d, [u8]>,
    filters: &[&Value<'_>],
    parameters: &[&Value<'_>],
    budget: &Budget,
) -> Result<Cow<'d, [u8]>, Unreadable> {
    if filters.len() > MAX_FILTERS {
        return Err(UNSUPPORTED);
    }
    let none = Dict::default();
    let mut data = data;
    for (index, filter) in filters.iter().enumerate() {
        let parameters = parameters.get(index).and_then(|p| p.dict()).unwrap_or(&none);
        let ceiling = budget.inflated_left();
        let decoded = match filter.name().ok_or(BAD)? {
            b"FlateDecode" | b"Fl" => unpredict(inflate(&data, budget)?.0, parameters)?,
            b"LZWDecode" | b"LZW" => unpredict(lzw(&data, parameters, ceiling)?, parameters)?,
            b"ASCII85Decode" | b"A85" => ascii85(&data)?.0,
            b"ASCIIHexDecode" | b"AHx" => ascii_hex(&data)?.0,
            b"RunLengthDecode" | b"RL" => run_length(&data, ceiling)?,
            _ => return Err(UNSUPPORTED),
        };
        budget.inflate(decoded.len())?;
        data = Cow::Owned(decoded);
    }
    Ok(data)
}

const FLAGS: u32 =
    inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;

/// The decompressor of one reading, for one stream after the other: to make one costs as much as to read a short stream.
#[derive(Default)]
pub(super) struct Inflater(RefCell<Option<Box<DecompressorOxide>>>);

impl Inflater {
    /// Lends the decompressor, at its beginning.
    fn begin<T>(&self, work: impl FnOnce(&mut DecompressorOxide) -> T) -> T {
        let mut state = self.0.take().unwrap_or_default();
        state.init();
        let done = work(&mut state);
        self.0.replace(Some(state));
        done
    }
}

/// zlib data (RFC 1950) and how many bytes it took.
pub(super) fn inflate(data: &[u8], budget: &Budget) -> Result<(Vec<u8>, usize), Unreadable> {
    budget.inflater.begin(|state| inflate_all(state, data, budget.inflated_left()))
}

fn inflate_all(state: &mut DecompressorOxide, data: &[u8], ceiling: usize) -> Result<(Vec<u8>, usize), Unreadable> {
    let mut out = vec![0; data.len().saturating_mul(4).clamp(256, 1 << 16).min(ceiling)];
    let (mut taken, mut made) = (0, 0);
    loop {
        let input = data.get(taken..).unwrap_or_default();
        let (status, read, written) = decompress(state, input, &mut out, made, FLAGS);
        taken += read;
        made += written;
        match status {
            TINFLStatus::Done => {
                out.truncate(made);
                return Ok((out, taken));
            }
            TINFLStatus::HasMoreOutput if out.len() < ceiling => {
                out.resize(out.len().saturating_mul(2).min(ceiling), 0);
            }
            TINFLStatus::HasMoreOutput => return Err(Unreadable("too_large")),
            _ => return Err(BAD),
        }
    }
}

/// The first `wanted` bytes of zlib data, or all if there are fewer; what follows is not looked at.
pub(super) fn inflate_start(data: &[u8], wanted: usize, budget: &Budget) -> Result<Vec<u8>, Unreadable> {
    let mut out = vec![0; wanted];
    match budget.inflater.begin(|state| decompress(state, data, &mut out, 0, FLAGS)) {
        (TINFLStatus::Done | TINFLStatus::HasMoreOutput, _, made) => {
            out.truncate(made);
            Ok(out)
        }
        _ => Err(BAD),
    }
}

/// Undoes PNG prediction (RFC 2083, section 6).
fn unpredict(data: Vec<u8>, parameters: &Dict<'_>) -> Result<Vec<u8>, Unreadable> {
    let parameter = |key: &[u8], default: u32| match parameters.raw(key) {
        Value::Null => Ok(default as usize),
        value => value.unsigned().map(|v| v as usize).ok_or(BAD),
    };
    let predictor = parameter(b"Predictor", 1)?;
    if predictor <= 1 {
        return Ok(data);
    }
    let (colors, bits) = (parameter(b"Colors", 1)?, parameter(b"BitsPerComponent", 8)?);
    let columns = parameter(b"Columns", 1)?;
    if predictor < 10 || colors > 32 || !matches!(bits, 1 | 2 | 4 | 8 | 16) || columns == 0 || columns > 1 << 20 {
        return Err(UNSUPPORTED);
    }
    let step = (colors * bits).div_ceil(8).max(1);
    let width = (colors * bits * columns).div_ceil(8);
    if width == 0 {
        return Err(BAD);
    }
    let mut out = Vec::with_capacity(data.len());
    let mut above = vec![0u8; width];
    for row in data.chunks(width + 1) {
        let [kind, row @ ..] = row else { return Err(BAD) };
        let start = out.len();
        for (i, &byte) in row.iter().enumerate() {
            let left = i.checked_sub(step).and_then(|i| out.get(start + i)).copied().unwrap_or(0);
            let up = above.get(i).copied().unwrap_or(0);
            let corner = i.checked_sub(step).and_then(|i| above.get(i)).copied().unwrap_or(0);
            let predicted = match kind {
                0 => 0,
                1 => left,
                2 => up,
                3 => ((u16::from(left) + u16::from(up)) / 2) as u8,
                4 => paeth(left, up, corner),
                _ => return Err(BAD),
            };
            out.push(byte.wrapping_add(predicted));
        }
        above.clear();
        above.extend_from_slice(out.get(start..).unwrap_or_default());
    }
    Ok(out)
}

fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let (a, b, c) = (i16::from(left), i16::from(up), i16::from(corner));
    let estimate = a + b - c;
    let (pa, pb, pc) = ((estimate - a).abs(), (estimate - b).abs(), (estimate - c).abs());
    if pa <= pb && pa <= pc {
        left
    } else if pb <= pc {
        up
    } else {
        corner
    }
}

/// LZW as PDF uses it: most significant bit first, 9 to 12 bits, 256 clears, 257 ends.
fn lzw(data: &[u8], parameters: &Dict<'_>, ceiling: usize) -> Result<Vec<u8>, Unreadable> {
    let early = match parameters.raw(b"EarlyChange") {
        Value::Null => 1,
        value => value.unsigned().filter(|v| *v <= 1).ok_or(BAD)? as usize,
    };
    let mut out: Vec<u8> = Vec::new();
    // Each entry is a slice of what has been written: start and length.
    let mut table: Vec<(usize, usize)> = Vec::new();
    let (mut bits, mut held, mut width) = (0u32, 0u32, 9u32);
    let mut previous: Option<(usize, usize)> = None;
    for &byte in data {
        bits = bits << 8 | u32::from(byte);
        held += 8;
        if held < width {
            continue;
        }
        held -= width;
        let code = (bits >> held & ((1 << width) - 1)) as usize;
        bits &= (1 << held) - 1;
        match code {
            256 => {
                table.clear();
                previous = None;
                width = 9;
                continue;
            }
            257 => return Ok(out),
            _ => {}
        }
        let start = out.len();
        if code < 256 {
            out.push(code as u8);
        } else {
            // The entry being defined right now is the previous one plus its own first byte.
            let (from, length) = match table.get(code - 258) {
                Some(entry) => *entry,
                None if code - 258 == table.len() => previous.map(|(from, length)| (from, length + 1)).ok_or(BAD)?,
                None => return Err(BAD),
            };
            if out.len().saturating_add(length) > ceiling {
                return Err(Unreadable("too_large"));
            }
            for i in from..from + length {
                let byte = out.get(i).copied().ok_or(BAD)?;
                out.push(byte);
            }
        }
        if let Some((from, length)) = previous
            && table.len() < 4096 - 258
        {
            table.push((from, length + 1));
        }
        previous = Some((start, out.len() - start));
        width = match table.len() + 258 + early {
            0..=511 => 9,
            512..=1023 => 10,
            1024..=2047 => 11,
            _ => 12,
        };
    }
    Err(BAD)
}

/// Base 85 and how many bytes it took, `~>` included.
pub(super) fn ascii85(data: &[u8]) -> Result<(Vec<u8>, usize), Unreadable> {
    let mut out = Vec::with_capacity((data.len() / 5 * 4).min(1 << 16));
    let mut group = [0u8; 5];
    let mut filled = 0;
    for (at, &byte) in data.iter().enumerate() {
        match byte {
            b'z' if filled == 0 => out.extend_from_slice(&[0; 4]),
            b'!'..=b'u' => {
                if let Some(place) = group.get_mut(filled) {
                    *place = byte - b'!';
                }
                filled += 1;
                if filled == 5 {
                    out.extend_from_slice(&base85(group)?);
                    filled = 0;
                }
            }
            b'~' if data.get(at + 1) == Some(&b'>') => {
                match filled {
                    0 => {}
                    1 => return Err(BAD),
                    n => {
                        group.iter_mut().skip(n).for_each(|digit| *digit = 84);
                        out.extend(base85(group)?.into_iter().take(n - 1));
                    }
                }
                return Ok((out, at + 2));
            }
            _ if is_white(byte) => {}
            _ => return Err(BAD),
        }
    }
    Err(BAD)
}

fn base85(group: [u8; 5]) -> Result<[u8; 4], Unreadable> {
    let value = group.iter().fold(0u64, |value, digit| value * 85 + u64::from(*digit));
    u32::try_from(value).map(u32::to_be_bytes).map_err(|_| BAD)
}

/// Hexadecimal digits and how many bytes they took, `>` included.
pub(super) fn ascii_hex(data: &[u8]) -> Result<(Vec<u8>, usize), Unreadable> {
    let mut out = Vec::with_capacity((data.len() / 2).min(1 << 16));
    let mut high = None;
    for (at, &byte) in data.iter().enumerate() {
        if byte == b'>' {
            out.extend(high.map(|high: u8| high << 4));
            return Ok((out, at + 1));
        }
        if is_white(byte) {
            continue;
        }
        let digit = char::from(byte).to_digit(16).ok_or(BAD)? as u8;
        match high.take() {
            None => high = Some(digit),
            Some(high) => out.push(high << 4 | digit),
        }
    }
    Err(BAD)
}

fn run_length(data: &[u8], ceiling: usize) -> Result<Vec<u8>, Unreadable> {
    let mut out = Vec::new();
    let mut rest = data;
    loop {
        let [length, tail @ ..] = rest else { return Err(BAD) };
        rest = match *length {
            128 => return Ok(out),
            0..128 => {
                let (copied, tail) = tail.split_at_checked(usize::from(*length) + 1).ok_or(BAD)?;
                out.extend_from_slice(copied);
                tail
            }
            _ => {
                let [byte, tail @ ..] = tail else { return Err(BAD) };
                out.extend(std::iter::repeat_n(*byte, 257 - usize::from(*length)));
                tail
            }
        };
        if out.len() > ceiling {
            return Err(Unreadable("too_large"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Limits;

    fn decoded(filter: &'static [u8], data: &[u8], left: usize) -> Result<Vec<u8>, Unreadable> {
        let budget = Budget::new(&Limits { max_inflated_bytes: left, ..Limits::default() });
        let filter = Value::Name(Cow::Borrowed(filter));
        decode(Cow::Borrowed(data), &[&filter], &[], &budget).map(Cow::into_owned)
    }

    #[test]
    fn simple_filters_decode_and_must_end() {
        let cases: [(&[u8], &[u8], &[u8]); 4] = [
            (b"RunLengthDecode", b"\x02abc\xfez\x80", b"abczzz"),
            (b"ASCIIHexDecode", b"61 6 2 7>", b"abp"),
            (b"ASCII85Decode", b"87cURD]i,\"Ebo80~>", b"Hello World!"),
            (b"LZWDecode", b"\x80\x0b\x60\x50\x22\x0c\x0c\x85\x01", b"-----A---B"),
        ];
        for (filter, data, expected) in cases {
            assert_eq!(decoded(filter, data, 1000).as_deref(), Ok(expected));
            let (_, cut) = data.split_last().unwrap();
            assert_eq!(decoded(filter, cut, 1000), Err(BAD), "{}", String::from_utf8_lossy(filter));
            assert_eq!(decoded(filter, data, 2), Err(Unreadable("too_large")));
        }
    }

    #[test]
    fn the_start_of_a_stream_is_the_same_as_the_start_of_all_of_it() {
        let text: Vec<u8> = (0..5000u32).flat_map(|n| n.to_be_bytes()).collect();
        let packed = miniz_oxide::deflate::compress_to_vec_zlib(&text, 6);
        let budget = |left| Budget::new(&Limits { max_inflated_bytes: left, ..Limits::default() });
        let roomy = budget(70_000);
        assert_eq!(inflate_start(&packed, 700, &roomy).as_deref(), Ok(&text[..700]));
        assert_eq!(inflate_start(&packed, 70_000, &roomy).as_ref(), Ok(&text));
        assert_eq!(inflate(&packed, &roomy).map(|(data, _)| data).as_ref(), Ok(&text));
        assert_eq!(inflate(&packed, &budget(19_999)).err(), Some(Unreadable("too_large")));
    }

    #[test]
    fn a_stream_is_read_the_same_whatever_was_read_before_it() {
        let budget = Budget::new(&Limits::default());
        let (short, long) = (b"a short text".to_vec(), vec![7; 100_000]);
        let pack = |text: &[u8]| miniz_oxide::deflate::compress_to_vec_zlib(text, 6);
        let damaged = [&pack(&long)[..40], &[0xff; 20]].concat();
        for _ in 0..2 {
            assert_eq!(inflate(&pack(&long), &budget).map(|(data, _)| data).as_ref(), Ok(&long));
            assert_eq!(inflate(&damaged, &budget).err(), Some(BAD));
            assert_eq!(inflate_start(&pack(&long), 10, &budget).as_deref(), Ok(&long[..10]));
            assert_eq!(inflate(&pack(&short), &budget), Ok((short.clone(), pack(&short).len())));
        }
    }
}
