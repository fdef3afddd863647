//! Kinds of certificate (the civil document, never X.509), and the bytes of one.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What kind of certificate a route issues. A closed set, since it is a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// 住民票の写し
    ResidentRecord,
    /// 住民票記載事項証明書
    ResidentItems,
    /// 印鑑登録証明書
    SealRegistration,
    /// 所得・課税証明書
    Tax,
    /// 戸籍全部・個人事項証明書
    FamilyRegister,
    /// 戸籍の附票の写し
    FamilyRegisterAddress,
}

impl Kind {
    /// Every kind, in declaration order.
    pub const ALL: [Self; 6] = [
        Self::ResidentRecord,
        Self::ResidentItems,
        Self::SealRegistration,
        Self::Tax,
        Self::FamilyRegister,
        Self::FamilyRegisterAddress,
    ];

    /// The name in configuration files and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ResidentRecord => "resident_record",
            Self::ResidentItems => "resident_items",
            Self::SealRegistration => "seal_registration",
            Self::Tax => "tax",
            Self::FamilyRegister => "family_register",
            Self::FamilyRegisterAddress => "family_register_address",
        }
    }

    /// The Japanese title, as it is printed.
    pub const fn title(self) -> &'static str {
        match self {
            Self::ResidentRecord => "住民票の写し",
            Self::ResidentItems => "住民票記載事項証明書",
            Self::SealRegistration => "印鑑登録証明書",
            Self::Tax => "所得・課税証明書",
            Self::FamilyRegister => "戸籍全部・個人事項証明書",
            Self::FamilyRegisterAddress => "戸籍の附票の写し",
        }
    }
}

/// The body of a backend's answer. Held once, printed never, zeroed when the last holder drops it.
pub struct DocumentBytes(Vec<u8>);

impl DocumentBytes {
    /// Takes the bytes over; the caller keeps no copy.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, for verification.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Hands the bytes to the socket without a copy; they are still zeroed when the socket lets go of them.
    pub fn into_zeroing_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for DocumentBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for DocumentBytes {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Zeroes `bytes` over its whole room and empties it. In one piece: a document is many times longer than the keys that byte by
/// byte zeroing is made for. The barrier keeps the compiler from dropping writes that nobody reads.
pub fn wipe(bytes: &mut Vec<u8>) {
    zero(bytes);
    bytes.clear();
}

fn zero(bytes: &mut Vec<u8>) {
    bytes.fill(0);
    bytes.resize(bytes.capacity(), 0);
    zeroize::optimization_barrier(bytes.as_slice());
}

impl fmt::Debug for DocumentBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DocumentBytes({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wiping_zeroes_the_whole_room_and_never_moves_it() {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(b"a document");
        bytes.truncate(3);
        let (room, capacity) = (bytes.as_ptr(), bytes.capacity());
        zero(&mut bytes);
        assert_eq!((bytes.as_ptr(), bytes.len()), (room, capacity));
        assert!(bytes.iter().all(|byte| *byte == 0));
        wipe(&mut bytes);
        assert_eq!((bytes.as_ptr(), bytes.len(), bytes.capacity()), (room, 0, capacity));
    }
}
