//! The bytes of a journal: a header, then frames that each name what was durable before them.
//!
//! header: magic (8) | purpose digest (32) | head of the file before (32) | crc32c of these (4)
//! frame:  magic (4) | length (4) | durable bytes before this write (8) | crc32c of the rest (4) | chain (32) | entry
//! chain = BLAKE3(chain of the frame before | entry); numbers are little-endian. An empty entry seals a file closed cleanly.

/// First bytes of a journal, with the layout's version.
pub(super) const FILE_MAGIC: [u8; 8] = *b"SEKISJ\0\x01";
/// First bytes of a frame; never zero, since room is made with zeros.
pub(super) const FRAME_MAGIC: [u8; 4] = *b"\xA5SJ\x01";
/// Bytes before the first frame.
pub(super) const HEADER_BYTES: usize = 76;
/// Where a header says the head of the file before.
pub(super) const BEFORE: std::ops::Range<usize> = 40..72;
/// Bytes before an entry.
pub(super) const FRAME_BYTES: usize = 52;

/// The digest that a purpose is stored as.
fn purpose_digest(purpose: &str) -> [u8; 32] {
    blake3::derive_key("sekisho journal purpose 2026-11", purpose.as_bytes())
}

/// A header, and the chain that starts with it.
pub(super) fn header(purpose: &str, before: &[u8; 32]) -> (Vec<u8>, [u8; 32]) {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(&FILE_MAGIC);
    bytes.extend_from_slice(&purpose_digest(purpose));
    bytes.extend_from_slice(before);
    let crc = crc32c::crc32c(&bytes);
    let chain = *blake3::hash(&bytes).as_bytes();
    bytes.extend_from_slice(&crc.to_le_bytes());
    (bytes, chain)
}

/// Reads a header; `purpose` is compared where it is known.
pub(super) fn read_header(bytes: &[u8], purpose: Option<&str>) -> Result<[u8; 32], &'static str> {
    let (covered, crc) = bytes.split_last_chunk::<4>().ok_or("no header")?;
    let (magic, rest) = covered.split_first_chunk::<8>().ok_or("no header")?;
    let (digest, _) = rest.split_first_chunk::<32>().ok_or("no header")?;
    if *magic != FILE_MAGIC {
        return Err("not a journal, or of a newer layout");
    }
    if crc32c::crc32c(covered) != u32::from_le_bytes(*crc) {
        return Err("damaged header");
    }
    if purpose.is_some_and(|p| purpose_digest(p) != *digest) {
        return Err("a journal of another purpose");
    }
    Ok(*blake3::hash(covered).as_bytes())
}

/// The chain after `entry`.
pub(super) fn link(chain: &[u8; 32], entry: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(chain);
    hasher.update(entry);
    *hasher.finalize().as_bytes()
}

/// Appends a frame to `out` and returns the chain after it.
pub(super) fn write(out: &mut Vec<u8>, chain: &[u8; 32], durable: u64, entry: &[u8]) -> [u8; 32] {
    let next = link(chain, entry);
    let length = (entry.len() as u32).to_le_bytes();
    let durable = durable.to_le_bytes();
    let mut crc = crc32c::crc32c(&length);
    for part in [&durable[..], &next[..], entry] {
        crc = crc32c::crc32c_append(crc, part);
    }
    out.extend_from_slice(&FRAME_MAGIC);
    out.extend_from_slice(&length);
    out.extend_from_slice(&durable);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&next);
    out.extend_from_slice(entry);
    next
}

/// The fixed part of a frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) durable: u64,
    pub(super) crc: u32,
    pub(super) chain: [u8; 32],
}

impl Head {
    /// Reads the fixed part; `None` where it cannot be one.
    pub(super) fn read(bytes: &[u8; FRAME_BYTES]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (durable, rest) = rest.split_first_chunk::<8>()?;
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        let (chain, _) = rest.split_first_chunk::<32>()?;
        let length = u32::from_le_bytes(*length) as usize;
        (*magic == FRAME_MAGIC && length <= super::MAX_ENTRY_BYTES).then_some(Self {
            length,
            durable: u64::from_le_bytes(*durable),
            crc: u32::from_le_bytes(*crc),
            chain: *chain,
        })
    }

    /// Whether `entry` is what was written with this head.
    pub(super) fn covers(&self, entry: &[u8]) -> bool {
        let mut crc = crc32c::crc32c(&(self.length as u32).to_le_bytes());
        for part in [&self.durable.to_le_bytes()[..], &self.chain[..], entry] {
            crc = crc32c::crc32c_append(crc, part);
        }
        crc == self.crc
    }
}
