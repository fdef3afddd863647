//! The random keys of a state directory, made on its first start and never printed.

use std::fmt;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rand::TryRngCore;
use sekisho_issuance::shard::LaneKey;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::pseudonym::PseudonymKeys;
use super::{PSEUDONYMS_FILE, StateDirError, durable};

/// 64 bits that stand for a person, a session or a card in a record; meaningless without the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pseudonym(pub(super) u64);

impl Pseudonym {
    /// Reads the 16 digits that records have.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok().map(Self))?
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Pseudonym {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pseudonym {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Keys the digests that `unique` remembers: content, resident set, issue number. Rotating it would forget them.
#[derive(Clone)]
pub struct RecordKey([u8; 32]);

impl RecordKey {
    /// From 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// 128 bits over `parts`, each length-prefixed, kept apart by `domain`.
    pub fn digest(&self, domain: &'static str, parts: &[&[u8]]) -> u128 {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in std::iter::once(&domain.as_bytes()).chain(parts) {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let mut bits = [0; 16];
        hasher.finalize_xof().fill(&mut bits);
        u128::from_be_bytes(bits)
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordKey(<redacted>)")
    }
}

/// All keys of a state directory but the operator's.
#[derive(Debug, Clone)]
pub struct Keys {
    /// For lanes and shards.
    pub lane: LaneKey,
    /// For logs and records.
    pub pseudonym: PseudonymKeys,
    /// For `unique`.
    pub record: RecordKey,
}

impl Keys {
    /// Reads `path`; makes it only when `first`.
    pub(super) fn load(path: &Path, first: bool) -> Result<Self, StateDirError> {
        let io = |error| StateDirError::Io { path: path.to_owned(), error };
        let text = match fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound && first => {
                let mut text = Zeroizing::new(String::new());
                for name in ["lane", "pseudonym", "record"] {
                    let _ = writeln!(text, "{name} {}", &*hex(random().map_err(io)?.as_slice()));
                }
                durable::replace(path, text.as_bytes()).map_err(io)?;
                text
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(StateDirError::Lost(path.to_owned())),
            Err(error) => return Err(io(error)),
        };
        check_mode(path)?;
        let key = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(unhex).ok_or_else(|| StateDirError::Lost(path.to_owned()))
        };
        let pseudonym = PseudonymKeys::load(&path.with_file_name(PSEUDONYMS_FILE), key("pseudonym")?)?;
        Ok(Self { lane: LaneKey::new(key("lane")?), pseudonym, record: RecordKey::new(key("record")?) })
    }
}

/// What an operator's command presents to the admin API.
#[derive(Clone)]
pub struct AdminKey(Zeroizing<String>);

impl AdminKey {
    /// Reads `path`, or makes it: losing it locks nobody out for good, so it is simply made again.
    pub(super) fn load(path: &Path) -> Result<Self, StateDirError> {
        let io = |error| StateDirError::Io { path: path.to_owned(), error };
        if !path.exists() {
            durable::replace(path, hex(random().map_err(io)?.as_slice()).as_bytes()).map_err(io)?;
        }
        Self::read(path)
    }

    /// Reads an existing key file, for a command.
    pub fn read(path: &Path) -> Result<Self, StateDirError> {
        let text = fs::read_to_string(path).map_err(|error| StateDirError::Io { path: path.to_owned(), error })?;
        check_mode(path)?;
        let text = Zeroizing::new(text);
        if text.trim().len() < 32 {
            return Err(StateDirError::Format { path: path.to_owned(), what: "is too short for a key".to_owned() });
        }
        Ok(Self(Zeroizing::new(text.trim().to_owned())))
    }

    /// Compares in constant time.
    pub fn matches(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }

    /// The key, for the `Authorization` header of a command.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminKey(<redacted>)")
    }
}

pub(super) fn check_mode(path: &Path) -> Result<(), StateDirError> {
    let metadata = fs::metadata(path).map_err(|error| StateDirError::Io { path: path.to_owned(), error })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(StateDirError::Mode { path: path.to_owned(), mode }) }
}

pub(super) fn random() -> io::Result<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    rand::rngs::OsRng.try_fill_bytes(&mut *bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

pub(super) fn hex(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut bytes = [0; 32];
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
